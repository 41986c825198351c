//! Why a file cannot be had.

use std::io;
use std::path::{Path, PathBuf};

use super::super::cache::CacheError;
use super::super::trust::Sum;
use crate::units::Bytes;

/// A file of a manifest that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A directory, a pipe, a device.
    #[error("{}: it is no regular file", .0.display())]
    NoFile(PathBuf),
    /// More than such a file ever has.
    #[error("{from}: {size}, but at most {most} bytes are read of such a file: refused")]
    TooLarge {
        /// Path or URL.
        from: String,
        /// What it has, or that it does not end.
        size: String,
        /// In bytes.
        most: u64,
    },
    /// Another file than the manifest means.
    #[error(
        "{from}: its SHA-256 is {found}, but the manifest says {wanted}: the file was changed or \
         damaged on its way, or the manifest means another one"
    )]
    Sum {
        /// Path or URL.
        from: String,
        /// What the manifest says.
        wanted: Sum,
        /// What the file has.
        found: Sum,
    },
    /// The server has no such file.
    #[error("{url}: the server answers {status}; check the URL in the manifest")]
    Status {
        /// The URL.
        url: String,
        /// Number and name.
        status: String,
    },
    /// Nobody answers.
    #[error(
        "{url} cannot be fetched: the server cannot be reached ({why}); check the network and its \
         proxy ({proxy}), or put the file on this machine and its path into the manifest"
    )]
    Unreachable {
        /// The URL.
        url: String,
        /// What happened.
        why: String,
        /// Which one is used, or how to name one.
        proxy: String,
    },
    /// The server answers, but not with the whole file.
    #[error(
        "{url} cannot be fetched, tried {tries} times: {why}; what has come is kept, the next try \
         goes on from there"
    )]
    Broken {
        /// The URL.
        url: String,
        /// What happened at last.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// Somebody on the way could give us anything.
    #[error("{url}: the server sends us on to {to}, which is not encrypted: refused")]
    Downgrade {
        /// The URL.
        url: String,
        /// Where to.
        to: String,
    },
    /// It is sent from place to place.
    #[error("{url}: the server sends us on more than {most} times: refused")]
    Redirects {
        /// The URL.
        url: String,
        /// How often is believable.
        most: u32,
    },
    /// The server is not who it should be.
    #[error(
        "{url}: the server's certificate is not trusted ({why}); the certificates of this machine \
         count (package ca-certificates), or those that SSL_CERT_FILE names"
    )]
    Certificate {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not what a server can be asked for.
    #[error("{url}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The disk is full.
    #[error(
        "no space is left in {} for {url}: make room, or set CRASHDRILL_CACHE to a directory on a \
         larger disk", directory.display()
    )]
    Full {
        /// The URL.
        url: String,
        /// Where downloads are.
        directory: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl FetchError {
    /// `size` is unknown of what does not end.
    pub(super) fn too_large(from: impl ToString, size: Option<u64>, most: Bytes) -> Self {
        Self::TooLarge {
            from: from.to_string(),
            size: match size {
                Some(size) => format!("it has {size} bytes"),
                None => "it goes on and on".to_owned(),
            },
            most: most.0,
        }
    }
}

pub(super) fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> FetchError + 'a {
    move |source| FetchError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
