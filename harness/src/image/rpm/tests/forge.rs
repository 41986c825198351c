//! Packages written byte by byte: what no tool would write.

use std::path::PathBuf;

use pgp::composed::{Deserializable, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    PacketTrait, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{KeyDetails, Password, SigningKey, Timestamp};

use crate::image::{Fingerprint, Sum};

pub(super) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/rpms")
        .join(name)
}

/// One of the test keys.
#[derive(Clone, Copy)]
pub(super) struct TestKey(pub(super) &'static str);

pub(super) const RSA: TestKey = TestKey("TEST-KEY");
/// Signs by a subkey.
pub(super) const OWN: TestKey = TestKey("TEST-KEY-subkey");
pub(super) const STRANGER: TestKey = TestKey("TEST-KEY-stranger");

impl TestKey {
    pub(super) fn file(self) -> PathBuf {
        fixture(&format!("{}.asc", self.0))
    }

    pub(super) fn secret(self) -> SignedSecretKey {
        let file = fixture(&format!("{}.secret.asc", self.0));
        let text = std::fs::read_to_string(file).unwrap();
        SignedSecretKey::from_string(&text).unwrap().0
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        let fingerprint = self.secret().fingerprint();
        <[u8; 20]>::try_from(fingerprint.as_bytes()).unwrap().into()
    }

    /// A signature packet.
    pub(super) fn sign(self, how: How, data: &[u8]) -> Vec<u8> {
        let secret = self.secret();
        match secret.secret_subkeys.first() {
            Some(subkey) if how.by_subkey => how.sign(&subkey.key, data),
            _ => how.sign(&secret.primary_key, data),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) typ: SignatureType,
    pub(super) hash: HashAlgorithm,
    pub(super) by_subkey: bool,
}

pub(super) const USUAL: How = How {
    typ: SignatureType::Binary,
    hash: HashAlgorithm::Sha256,
    by_subkey: true,
};

impl How {
    fn sign(self, key: &impl SigningKey, data: &[u8]) -> Vec<u8> {
        let mut config = SignatureConfig::v4(self.typ, key.algorithm(), self.hash);
        for data in [
            SubpacketData::SignatureCreationTime(Timestamp::from_secs(1_800_000_000)),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
            SubpacketData::IssuerKeyId(key.legacy_key_id()),
        ] {
            let subpacket = Subpacket::regular(data).unwrap();
            config.hashed_subpackets.push(subpacket);
        }
        // By hand: pgp makes none of type 0x02 or 0x40, but reads them.
        let mut hasher = self.hash.new_hasher().unwrap();
        config.hash_data_to_sign(&mut hasher, data).unwrap();
        let length = config.hash_signature_data(&mut hasher).unwrap();
        hasher.update(&config.trailer(length).unwrap());
        let hash = hasher.finalize();
        let signed = key.sign(&Password::empty(), self.hash, &hash).unwrap();
        let signature = Signature::from_config(config, [hash[0], hash[1]], signed).unwrap();
        let mut bytes = Vec::new();
        signature.to_writer_with_header(&mut bytes).unwrap();
        bytes
    }
}

/// Of an index.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tag: u32,
    pub(super) kind: u32,
    pub(super) count: u32,
    pub(super) data: Vec<u8>,
}

pub(super) fn text(tag: u32, text: &str) -> Entry {
    let data = [text.as_bytes(), &[0]].concat();
    let (kind, count) = (6, 1);
    Entry {
        tag,
        kind,
        count,
        data,
    }
}

pub(super) fn binary(tag: u32, data: Vec<u8>) -> Entry {
    let (kind, count) = (7, data.len() as u32);
    Entry {
        tag,
        kind,
        count,
        data,
    }
}

/// A header with a region, as rpm writes it.
pub(super) fn blob(region: u32, entries: &[Entry]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut index = Vec::new();
    let put = |index: &mut Vec<u8>, words: [u32; 4]| {
        words
            .iter()
            .for_each(|word| index.extend_from_slice(&word.to_be_bytes()));
    };
    for entry in entries {
        let Entry {
            tag, kind, count, ..
        } = *entry;
        put(&mut index, [tag, kind, data.len() as u32, count]);
        data.extend_from_slice(&entry.data);
    }
    let count = entries.len() as u32 + 1;
    let mut first = Vec::new();
    put(&mut first, [region, 7, data.len() as u32, 16]);
    let back = (count * 16).wrapping_neg();
    put(&mut data, [region, 7, back, 16]);
    let mut blob = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    blob.extend_from_slice(&count.to_be_bytes());
    blob.extend_from_slice(&(data.len() as u32).to_be_bytes());
    [blob, first, index, data].concat()
}

pub(super) const NAME: u32 = 1000;
pub(super) const ARCHITECTURE: u32 = 1022;
pub(super) const DIGEST: u32 = 5092;

/// The header of a package; with the payload's digest when that is given.
pub(super) fn header(name: &str, architecture: &str, payload: Option<&[u8]>) -> Vec<u8> {
    let mut entries = vec![
        text(NAME, name),
        text(1001, "1.0"),
        text(1002, "1"),
        text(ARCHITECTURE, architecture),
        text(1044, "forged-1.0-1.src.rpm"),
        text(1124, "cpio"),
    ];
    if let Some(payload) = payload {
        let mut digest = text(DIGEST, &Sum::of(payload).unwrap().to_string());
        digest.kind = 8;
        entries.push(digest);
    }
    blob(63, &entries)
}

/// A package file.
pub(super) fn file(signatures: &[Entry], header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 96];
    bytes[..6].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb, 3, 0]);
    bytes[79] = 5;
    let size = (header.len() + payload.len()) as u32;
    let size = Entry {
        tag: 1000,
        kind: 4,
        count: 1,
        data: size.to_be_bytes().to_vec(),
    };
    // In the order of their tags, but the number has to be aligned.
    let entries = [&[size], signatures].concat();
    bytes.extend(blob(62, &entries));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    [&bytes[..], header, payload].concat()
}

/// `RPMSIGTAG_RSA`, over the header.
pub(super) const HEADER: u32 = 268;
/// `RPMSIGTAG_PGP`, over header and payload.
pub(super) const ALL: u32 = 1002;

/// A package as rpm makes them since 4.14.
pub(super) fn package(name: &str, by: TestKey, payload: &[u8]) -> Vec<u8> {
    let header = header(name, "x86_64", Some(payload));
    let signature = binary(HEADER, by.sign(USUAL, &header));
    file(&[signature], &header, payload)
}

/// Of an archive.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) inode: u32,
    pub(super) links: u32,
    pub(super) data: Vec<u8>,
}

pub(super) fn member(name: &str, mode: u32, data: &[u8]) -> Member {
    Member {
        name: name.to_owned(),
        mode,
        inode: 1,
        links: 1,
        data: data.to_owned(),
    }
}

impl Member {
    pub(super) fn write(&self, magic: &str, archive: &mut Vec<u8>) {
        let size = self.data.len() as u32;
        let name = self.name.len() as u32 + 1;
        archive.extend_from_slice(magic.as_bytes());
        for field in [
            self.inode, self.mode, 0, 0, self.links, 0, size, 0, 0, 0, 0, name, 0,
        ] {
            archive.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        archive.extend_from_slice(self.name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(&self.data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
}

/// Plain, as `rpmbuild` writes it with `w.ufdio`.
pub(super) fn archive(members: &[Member]) -> Vec<u8> {
    let mut archive = Vec::new();
    for member in members {
        member.write("070701", &mut archive);
    }
    member("TRAILER!!!", 0, b"").write("070701", &mut archive);
    archive
}
