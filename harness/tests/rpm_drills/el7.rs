//! Packages as RHEL 7's rpm 4.11 wrote and signed them: without a digest of the payload in the
//! header, with a second signature over header and payload, and with signature packets of version 3.
//!
//! The layout of a package: docs/manual/format_v3.md, format_v4.md and format_header.md of rpm.

use pgp::composed::{Deserializable, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PacketTrait, Signature, SignatureConfig, SignatureType};
use pgp::types::{KeyDetails, Password, SigningKey, Timestamp};

const LEAD: usize = 96;
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];

/// Tags of the signature header.
pub(crate) const HEADER_SIGNATURE: u32 = 268;
const SHA1: u32 = 269;
const SIZE: u32 = 1000;
pub(crate) const SIGNATURE: u32 = 1002;
const MD5: u32 = 1004;
const SIGNATURES_REGION: u32 = 62;

/// What rpm has put into headers since 4.14: PAYLOADDIGEST and what goes with it.
const LATER: std::ops::RangeInclusive<u32> = 5092..=5200;
const IMMUTABLE_REGION: u32 = 63;

const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRINGS: u32 = 8;
const TRANSLATED: u32 = 9;

/// A package taken apart.
pub(crate) struct Parts {
    lead: Vec<u8>,
    pub(crate) signatures: Header,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Parts {
    pub(crate) fn read(package: &[u8]) -> Self {
        let (lead, rest) = package.split_at(LEAD);
        let (signatures, used) = Header::read(rest);
        let (header, more) = Header::read(&rest[used.next_multiple_of(8)..]);
        Self {
            lead: lead.to_vec(),
            signatures,
            header,
            payload: rest[used.next_multiple_of(8) + more..].to_vec(),
        }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut signatures = self.signatures.write(SIGNATURES_REGION);
        signatures.resize(signatures.len().next_multiple_of(8), 0);
        let header = self.header.write(IMMUTABLE_REGION);
        [&self.lead, &signatures, &header, &self.payload]
            .map(Vec::as_slice)
            .concat()
    }

    /// Takes out what RHEL 7 does not have, and signs anew. `key`: an armoured secret key.
    pub(crate) fn sign(&mut self, key: &str) {
        self.header.0.retain(|entry| !LATER.contains(&entry.tag));
        let header = self.header.write(IMMUTABLE_REGION);
        self.signatures.0.clear();
        self.signatures
            .put(HEADER_SIGNATURE, BINARY, signature(key, &header));
        let all = [&header[..], &self.payload].concat();
        self.signatures.put(SIGNATURE, BINARY, signature(key, &all));
        self.digest();
    }

    /// Brings up to date what everybody can compute.
    pub(crate) fn digest(&mut self) {
        let header = self.header.write(IMMUTABLE_REGION);
        let all = [&header[..], &self.payload].concat();
        let sha1 = digest(HashAlgorithm::Sha1, &header);
        let sha1: String = sha1.iter().map(|byte| format!("{byte:02x}")).collect();
        let size = u32::try_from(all.len()).unwrap();
        self.signatures
            .put(SHA1, STRING, [sha1.as_bytes(), &[0]].concat());
        self.signatures.put(SIZE, INT32, size.to_be_bytes().into());
        self.signatures
            .put(MD5, BINARY, digest(HashAlgorithm::Md5, &all));
    }
}

fn digest(algorithm: HashAlgorithm, data: &[u8]) -> Vec<u8> {
    algorithm.digest(data).unwrap()
}

/// A signature packet of version 3, as gpg 1.4 made them for rpm. `pgp` makes none with a key of
/// version 4 by itself, as every key is today.
fn signature(key: &str, data: &[u8]) -> Vec<u8> {
    let (key, _) = SignedSecretKey::from_string(key).unwrap();
    let key = &key.primary_key;
    let config = SignatureConfig::v3(
        SignatureType::Binary,
        key.algorithm(),
        HashAlgorithm::Sha256,
        Timestamp::from_secs(1_503_576_000),
        key.legacy_key_id(),
    );
    let mut hasher = config.hash_alg.new_hasher().unwrap();
    hasher.update(data);
    config.hash_signature_data(&mut hasher).unwrap();
    let hash = hasher.finalize();
    let signed = key
        .sign(&Password::empty(), config.hash_alg, &hash)
        .unwrap();
    let signature = Signature::from_config(config, [hash[0], hash[1]], signed).unwrap();
    let mut packet = Vec::new();
    signature.to_writer_with_header(&mut packet).unwrap();
    packet
}

/// The entries of a header, without the one of its region.
pub(crate) struct Header(Vec<Entry>);

struct Entry {
    tag: u32,
    kind: u32,
    count: u32,
    data: Vec<u8>,
}

impl Header {
    /// Also returns how many bytes it takes.
    fn read(bytes: &[u8]) -> (Self, usize) {
        assert_eq!(bytes[..8], MAGIC);
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let (entries, size) = (number(8) as usize, number(12) as usize);
        let store = &bytes[16 + 16 * entries..][..size];
        let entry = |index: usize| {
            let at = 16 + 16 * index;
            let [tag, kind, offset, count] = [0, 4, 8, 12].map(|field| number(at + field));
            let from = &store[offset as usize..];
            let length = length(kind, count as usize, from);
            Entry {
                tag,
                kind,
                count,
                data: from[..length].to_vec(),
            }
        };
        // The first is the region's.
        let read = Self((1..entries).map(entry).collect());
        (read, 16 + 16 * entries + size)
    }

    fn write(&self, region: u32) -> Vec<u8> {
        let entries = self.0.len() as u32 + 1;
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for entry in &self.0 {
            let alignment = match entry.kind {
                INT16 => 2,
                INT32 => 4,
                INT64 => 8,
                _ => 1,
            };
            store.resize(store.len().next_multiple_of(alignment), 0);
            put(
                &mut index,
                [entry.tag, entry.kind, store.len() as u32, entry.count],
            );
            store.extend_from_slice(&entry.data);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(entries.to_be_bytes());
        bytes.extend((store.len() as u32 + 16).to_be_bytes());
        put(&mut bytes, [region, BINARY, store.len() as u32, 16]);
        // How far back the region reaches, which is all of the index.
        put(
            &mut store,
            [region, BINARY, (16 * entries).wrapping_neg(), 16],
        );
        [bytes, index, store].concat()
    }

    /// In the order of tags.
    fn put(&mut self, tag: u32, kind: u32, data: Vec<u8>) {
        let count = match kind {
            BINARY => data.len() as u32,
            _ => 1,
        };
        self.remove(tag);
        self.0.push(Entry {
            tag,
            kind,
            count,
            data,
        });
        self.0.sort_by_key(|entry| entry.tag);
    }

    pub(crate) fn remove(&mut self, tag: u32) {
        self.0.retain(|entry| entry.tag != tag);
    }
}

fn put(to: &mut Vec<u8>, numbers: [u32; 4]) {
    to.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

fn length(kind: u32, count: usize, data: &[u8]) -> usize {
    match kind {
        INT16 => 2 * count,
        INT32 => 4 * count,
        INT64 => 8 * count,
        STRING | STRINGS | TRANSLATED => {
            let ends = memchr::memchr_iter(0, data).nth(count - 1);
            ends.unwrap() + 1
        }
        _ => count,
    }
}
