//! Who signed a package, and what of it.
//!
//! Up to RHEL 7 a signature covers header and payload. Since rpm 4.14 one over the header is enough,
//! because the header has a digest of the payload. The `rpm` crate checks neither the first kind nor
//! of which type a signature is (one of type 0x02 or 0x40 covers a single byte), so this goes to
//! `pgp` itself.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use memchr::memmem;
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PacketParser, PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};
use rpm::{IndexSignatureTag, IndexTag, PackageMetadata};

use super::error::{PackageError, RpmError};
use crate::image::{Fingerprint, Signer, Sum};

/// A key file is some kilobytes, one with pictures in it some more.
const MOST_KEY_FILE: u64 = 1 << 20;
const MOST_KEYS: usize = 100;
/// One of RSA with 4096 bits is 600 bytes.
const MOST_SIGNATURE: usize = 1 << 16;
const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";

/// A key that packages must be signed with.
#[derive(Debug)]
pub(super) struct Key {
    primary: PublicKey,
    /// Those that may sign.
    subkeys: Vec<PublicSubkey>,
    pub(super) signer: Signer,
}

impl Key {
    /// The one of this fingerprint, out of a file of keys in ASCII armor.
    pub(super) fn read(file: &Path, wanted: Fingerprint) -> Result<Self, RpmError> {
        let error = |why: String| RpmError::KeyFile {
            file: file.to_owned(),
            why,
        };
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|opened| opened.take(MOST_KEY_FILE + 1).read_to_end(&mut bytes))
            .map_err(|cause| error(format!("cannot read it: {cause}")))?;
        if bytes.len() as u64 > MOST_KEY_FILE {
            return Err(error("no key file: it is larger than 1 MiB".to_owned()));
        }
        let mut others = Vec::new();
        for key in keys(&bytes) {
            let fingerprint = key.fingerprint();
            if fingerprint.as_bytes() != wanted.bytes() {
                others.push(format!("{fingerprint:X}"));
                continue;
            }
            if is_revoked(&key) {
                return Err(error(format!("the key {wanted} is revoked")));
            }
            let may_sign = |subkey: &SignedPublicSubKey| may_sign(subkey, &key.primary_key);
            let subkeys = key.public_subkeys.iter().filter(|subkey| may_sign(subkey));
            return Ok(Self {
                subkeys: subkeys.map(|subkey| subkey.key.clone()).collect(),
                signer: Signer {
                    fingerprint: wanted,
                    user: user(&key),
                },
                primary: key.primary_key,
            });
        }
        let found = match others.is_empty() {
            true => ", and no other in ASCII armor that can be read".to_owned(),
            false => format!("; it has {}", others.join(", ")),
        };
        let file = file.to_owned();
        Err(RpmError::NoKey {
            file,
            wanted,
            found,
        })
    }

    /// Checks that this key signed the header, and that the payload, which begins at `at`, is
    /// covered too.
    pub(super) fn verify(
        &self,
        metadata: &PackageMetadata,
        header: &[u8],
        file: &mut (impl Read + Seek),
        at: u64,
    ) -> Result<(), PackageError> {
        let mut others = Vec::new();
        let mut covered = None;
        for (covers, bytes) in signatures(metadata)? {
            let unbelievable = |why| PackageError::Unbelievable { covers, why };
            let signature = parse(&bytes).map_err(unbelievable)?;
            let issuers = issuers(&signature);
            if !issuers.is_empty() && !issuers.iter().any(|issuer| self.is(issuer)) {
                others.extend(issuers);
                continue;
            }
            let mut data = Signed {
                header,
                file: &mut *file,
                // Of the payload.
                range: match covers {
                    Covers::Header => at..at,
                    Covers::All => at..u64::MAX,
                },
            };
            believable(&signature).map_err(unbelievable)?;
            if !self.made(&signature, &mut data)? {
                return Err(PackageError::Wrong { covers });
            }
            covered = covered.max(Some(covers));
        }
        match covered {
            Some(Covers::All) => Ok(()),
            Some(Covers::Header) => {
                file.seek(SeekFrom::Start(at))?;
                check_payload(metadata, file)
            }
            None if others.is_empty() => Err(PackageError::Unsigned),
            None => {
                others.sort();
                others.dedup();
                Err(PackageError::OtherKey {
                    by: others.join(", "),
                    wanted: self.signer.fingerprint,
                })
            }
        }
    }

    /// Whether an issuer, a key id or a fingerprint, is this key.
    fn is(&self, issuer: &str) -> bool {
        let own = |key: &dyn KeyDetails| {
            *issuer == format!("{:X}", key.fingerprint()) || *issuer == key_id(key.legacy_key_id())
        };
        own(&self.primary) || self.subkeys.iter().any(|key| own(key))
    }

    /// Whether the key, or a subkey, made this signature of this.
    fn made(
        &self,
        signature: &Signature,
        data: &mut Signed<'_, impl Read + Seek>,
    ) -> io::Result<bool> {
        if signature.verify(&self.primary, data.reader()?).is_ok() {
            return Ok(true);
        }
        for subkey in &self.subkeys {
            if signature.verify(subkey, data.reader()?).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a signature signs, in bytes.
struct Signed<'a, R> {
    header: &'a [u8],
    file: &'a mut R,
    range: Range<u64>,
}

impl<R: Read + Seek> Signed<'_, R> {
    fn reader(&mut self) -> io::Result<impl Read> {
        self.file.seek(SeekFrom::Start(self.range.start))?;
        let length = self.range.end - self.range.start;
        Ok(self.header.chain(self.file.by_ref().take(length)))
    }
}

/// What a signature signs; the greater, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Covers {
    /// The header alone.
    Header,
    /// The payload, too.
    All,
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::All => "header and payload",
        })
    }
}

/// Every signature that the package has.
pub(super) fn signatures(
    metadata: &PackageMetadata,
) -> Result<Vec<(Covers, Vec<u8>)>, PackageError> {
    let header = metadata.raw_signatures()?.into_iter();
    let mut found: Vec<(Covers, Vec<u8>)> = header
        .map(|bytes| (Covers::Header, bytes.into_owned()))
        .collect();
    for tag in [
        IndexSignatureTag::RPMSIGTAG_PGP,
        IndexSignatureTag::RPMSIGTAG_GPG,
    ] {
        match metadata.signature.get_entry_data_as_binary(tag) {
            Ok(bytes) => found.push((Covers::All, bytes.to_owned())),
            Err(rpm::Error::TagNotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Signature, String> {
    if bytes.len() > MOST_SIGNATURE {
        return Err("it is larger than 64 KiB".to_owned());
    }
    match PacketParser::new(bytes).next() {
        Some(Ok(Packet::Signature(signature))) => Ok(signature),
        _ => Err("it is no OpenPGP signature".to_owned()),
    }
}

/// Signed as a file is, and with a hash that is strong enough.
fn believable(signature: &Signature) -> Result<(), String> {
    if signature.typ() != Some(SignatureType::Binary) {
        return Err("it is not a signature of a file".to_owned());
    }
    match signature.hash_alg() {
        Some(hash) if is_strong(hash) => Ok(()),
        Some(hash) => Err(format!("its hash, {hash}, is too weak")),
        None => Err("it is of an unknown version".to_owned()),
    }
}

/// Fingerprints and key ids, in capitals.
fn issuers(signature: &Signature) -> Vec<String> {
    let prints = signature.issuer_fingerprint().into_iter();
    let prints: Vec<String> = prints.map(|print| format!("{print:X}")).collect();
    match prints.is_empty() {
        false => prints,
        true => {
            let ids = signature.issuer_key_id().into_iter();
            ids.map(|id| key_id(*id)).collect()
        }
    }
}

fn key_id(id: pgp::types::KeyId) -> String {
    id.to_string().to_uppercase()
}

/// Collisions of MD5 and SHA-1 can be made by whoever prepares what somebody else signs.
fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

fn check_payload(metadata: &PackageMetadata, payload: impl Read) -> Result<(), PackageError> {
    let tag = IndexTag::RPMTAG_PAYLOADSHA256;
    let should = match metadata.header.get_entry_data_as_string(tag) {
        Ok(should) => should,
        Err(rpm::Error::TagNotFound(_)) => return Err(PackageError::HeaderOnly),
        Err(error) => return Err(error.into()),
    };
    let is = Sum::of(payload)?;
    match should.parse() == Ok(is) {
        true => Ok(()),
        false => Err(PackageError::Payload {
            is: is.to_string(),
            should: should.escape_debug().take(200).collect(),
        }),
    }
}

/// Of all armored blocks of a file; between them may be anything, as in Red Hat's.
fn keys(file: &[u8]) -> impl Iterator<Item = SignedPublicKey> + '_ {
    let blocks = memmem::find_iter(file, BEGIN).filter_map(|at| {
        let end = at + memmem::find(&file[at..], END)? + END.len();
        Some(&file[at..end])
    });
    let keys = blocks.flat_map(|block| {
        let keys = SignedPublicKey::from_armor_many(block).ok();
        keys.into_iter().flat_map(|(keys, _)| keys.take(MOST_KEYS))
    });
    // One of an algorithm that is not known here is no reason to refuse its neighbours.
    keys.take(MOST_KEYS).filter_map(Result::ok)
}

fn is_revoked(key: &SignedPublicKey) -> bool {
    let revocations = &key.details.revocation_signatures;
    revocations
        .iter()
        .any(|signature| signature.verify_key(&key.primary_key).is_ok())
}

/// Bound by the primary key, bound back to it, meant for signing, and not revoked.
fn may_sign(subkey: &SignedPublicSubKey, primary: &PublicKey) -> bool {
    let bound = |signature: &&Signature| {
        let bound = signature.verify_subkey_binding(primary, &subkey.key);
        bound.is_ok()
    };
    let (bindings, revocations): (Vec<&Signature>, Vec<&Signature>) = subkey
        .signatures
        .iter()
        .filter(bound)
        .partition(|signature| signature.typ() == Some(SignatureType::SubkeyBinding));
    revocations.is_empty()
        && bindings.iter().any(|binding| {
            let back = binding.embedded_signature();
            let back =
                back.map(|signature| signature.verify_primary_key_binding(&subkey.key, primary));
            binding.key_flags().sign() && back.is_some_and(|back| back.is_ok())
        })
}

/// The first user id that the key itself vouches for.
fn user(key: &SignedPublicKey) -> String {
    let users = key.details.users.iter();
    let mut own = users.filter(|user| {
        user.signatures.iter().any(|signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature
                    .verify_certification(&key.primary_key, Tag::UserId, &user.id)
                    .is_ok()
        })
    });
    match own.next().and_then(|user| user.id.as_str()) {
        Some(user) => user.chars().filter(|char| !char.is_control()).collect(),
        None => "(no user id)".to_owned(),
    }
}
