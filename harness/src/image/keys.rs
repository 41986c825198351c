//! Keys for drills over ssh: made once, by an image's own ssh-keygen, and kept in the cache. They
//! open nothing but dump servers that crashdrill starts, which nobody else can reach.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::cache::{Cache, EntryId, Kind};
use super::error::{ImageError, io as failed};
use super::progress::{Progress, Step};
use super::userland::Userland;
use crate::child::dying_with_us;

/// Ed25519: what every OpenSSH since 6.5 (2014) takes without being asked to.
const TYPE: &str = "ed25519";

/// The texts of the key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The server's.
    pub host: KeyPair,
    /// kdump's.
    pub user: KeyPair,
    /// Somebody else's, whom a server may know instead.
    pub stranger: KeyPair,
}

/// A private key and its public one, each as ssh-keygen writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The private key's file.
    pub private: String,
    /// `ssh-ed25519 AAAA…`, one line, without a comment.
    pub public: String,
}

/// The keys out of the cache; they are made first if need be.
///
/// # Errors
/// `userland` has no ssh-keygen, or it fails; the cache cannot be used.
pub fn open(
    userland: &Userland,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Keys, ImageError> {
    let item = "ssh keys";
    let names = ["host", "user", "stranger"];
    let entry = cache.entry(&entry_id(), item, progress, |staging| {
        progress.report(item, &Step::Converting);
        names
            .into_iter()
            .try_for_each(|name| make(userland, &staging.join(name)))
    })?;
    let [host, user, stranger] = names.map(|name| read(&entry.path.join(name)));
    Ok(Keys {
        host: host?,
        user: user?,
        stranger: stranger?,
    })
}

/// The cache entry, whether it is filled or not.
pub fn entry_id() -> EntryId {
    EntryId::new(Kind::Keys, "ssh", &[TYPE])
}

fn make(userland: &Userland, file: &Path) -> Result<(), ImageError> {
    let mut command = userland.command("ssh-keygen")?;
    command
        .args(["-q", "-t", TYPE, "-N", "", "-C", "", "-f"])
        .arg(file)
        .stdin(Stdio::null());
    let says = match dying_with_us(&mut command).output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) => error.to_string(),
    };
    Err(ImageError::Keys(says))
}

fn read(file: &Path) -> Result<KeyPair, ImageError> {
    let public = file.with_extension("pub");
    let text = |path: &Path| fs::read_to_string(path).map_err(failed("read", path));
    Ok(KeyPair {
        private: text(file)?,
        public: text(&public)?.trim().to_owned(),
    })
}
