//! Why packages are refused.

use std::path::PathBuf;

use super::header::HeaderError;
use super::payload::PayloadError;
use super::signature::Covers;
use crate::image::{Fingerprint, UnpackError};

/// An image of packages that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RpmError {
    /// A key file that is none.
    #[error("{}: {why}", file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is not in its file.
    #[error("{}: no key {wanted} in it{found}", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// The manifest's.
        wanted: Fingerprint,
        /// Which are, in a sentence.
        found: String,
    },
    /// A package is refused.
    #[error("{package}: {why}")]
    Package {
        /// Its file's name.
        package: String,
        /// Why.
        why: Box<PackageError>,
    },
}

/// A package that is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The front of the file.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The `rpm` crate does not take it.
    #[error("its header cannot be read: {0}")]
    Crate(String),
    /// What it says about itself.
    #[error("{0}")]
    Unfit(String),
    /// Nobody vouches for it.
    #[error(
        "it is not signed; rpm signs with `rpmsign`, and distributions publish what they have signed"
    )]
    Unsigned,
    /// Somebody else does.
    #[error("it is signed by another key, {by}; the manifest names {wanted}")]
    OtherKey {
        /// Key ids.
        by: String,
        /// The manifest's.
        wanted: Fingerprint,
    },
    /// Changed after it was signed.
    #[error("its signature over {covers} is wrong: the file is damaged, or was tampered with")]
    Wrong {
        /// What it signs.
        covers: Covers,
    },
    /// A signature that proves nothing.
    #[error("its signature over {covers} cannot be believed: {why}")]
    Unbelievable {
        /// What it signs.
        covers: Covers,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody vouches for the files in it.
    #[error(
        "only its header is signed, and that has no digest of the payload: \
         nothing vouches for the files in it"
    )]
    HeaderOnly,
    /// The payload is not what was signed.
    #[error(
        "the SHA-256 of its payload is {is}, but the signed header says {should}: \
         the file is damaged, or was tampered with"
    )]
    Payload {
        /// Of the file.
        is: String,
        /// Of the header.
        should: String,
    },
    /// Two packages of one name.
    #[error("it is a second package named {name}, after {first}; list one of them")]
    Twice {
        /// The package's name.
        name: String,
        /// The other's file.
        first: String,
    },
    /// The files in it.
    #[error(transparent)]
    Content(#[from] PayloadError),
    /// The file.
    #[error("cannot read it: {0}")]
    Read(#[from] std::io::Error),
}

impl From<UnpackError> for PackageError {
    fn from(error: UnpackError) -> Self {
        Self::Content(error.into())
    }
}

impl From<rpm::Error> for PackageError {
    fn from(error: rpm::Error) -> Self {
        Self::Crate(error.to_string())
    }
}
