//! A QEMU that can be used: the machine's own, or one fetched beside it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::apt::{self, Request};
use super::cache::{Cache, Entry, EntryId, Kind};
use super::error::{ImageError, io as failed};
use super::progress::Progress;
use super::userland::Userland;
use crate::child::dying_with_us;

/// Names the QEMU to use.
pub const QEMU_VARIABLE: &str = "CRASHDRILL_QEMU";
const PROGRAM: &str = "qemu-system-x86_64";
/// `-M q35` with all that the catalogue uses, and QMP as it is spoken, are older; nothing before is
/// tried.
const OLDEST: (u32, u32, u32) = (5, 0, 0);
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
const PACKAGES: [&str; 1] = ["qemu-system-x86"];
const INDEX: &str = "qemu.json";
/// Value of [`QEMU_VARIABLE`] that asks for the fetched one, whatever is on PATH.
const OWN: &str = "fetched";

/// Where a QEMU comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Found on PATH.
    Path,
    /// Fetched into the cache.
    Fetched,
    /// Named by `CRASHDRILL_QEMU`.
    Override,
}

/// A QEMU that runs.
#[derive(Debug)]
pub struct Qemu {
    /// What to execute: QEMU, or the dynamic loader that runs it.
    pub program: PathBuf,
    /// What comes before any other argument: the loader's own, and where the firmware is.
    pub leading_args: Vec<OsString>,
    /// What to add to the environment.
    pub env: Vec<(String, OsString)>,
    /// Major, minor, micro.
    pub version: (u32, u32, u32),
    /// Where it comes from.
    pub origin: Origin,
    /// Keeps the cache entry.
    _entry: Option<Entry>,
}

impl Qemu {
    /// A command that starts it; arguments are to be appended.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.leading_args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn plain(program: PathBuf, origin: Origin) -> Result<Self, ImageError> {
        let mut qemu = Self {
            program,
            leading_args: Vec::new(),
            env: Vec::new(),
            version: (0, 0, 0),
            origin,
            _entry: None,
        };
        qemu.version = ask_version(&qemu)?;
        Ok(qemu)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    version: (u32, u32, u32),
    /// The dynamic loader, below the root.
    loader: PathBuf,
}

/// `$CRASHDRILL_QEMU` (`fetched` for crashdrill's own), else `qemu-system-x86_64` on PATH when it runs
/// and is version 5 or later, else one from the cache, fetched if need be.
///
/// # Errors
/// When the one that `CRASHDRILL_QEMU` names does not run, or none can be fetched.
pub fn find(cache: &Cache, progress: &dyn Progress) -> Result<Qemu, ImageError> {
    if let Some(named) = std::env::var_os(QEMU_VARIABLE).filter(|named| !named.is_empty()) {
        if named == OWN {
            return fetch(cache, progress);
        }
        return Qemu::plain(named.into(), Origin::Override);
    }
    match on_path().map(|program| Qemu::plain(program, Origin::Path)) {
        Some(Ok(qemu)) if qemu.version >= OLDEST => Ok(qemu),
        // One that does not run is as good as none.
        _ => fetch(cache, progress),
    }
}

/// The cache entry of the fetched QEMU, whether it is filled or not.
pub fn entry_id() -> EntryId {
    let definition: Vec<&str> = SUITES.into_iter().chain(PACKAGES).collect();
    EntryId::new(Kind::Qemu, "qemu", &definition)
}

/// The newest that Debian has, from the cache, fetched if need be.
///
/// # Errors
/// When it cannot be fetched, or does not run here.
pub fn fetch(cache: &Cache, progress: &dyn Progress) -> Result<Qemu, ImageError> {
    let item = "QEMU";
    let id = entry_id();
    let entry = cache.entry(&id, item, progress, |staging| -> Result<(), ImageError> {
        let work = staging.join("work");
        let root = staging.join("root");
        for directory in [&work, &root] {
            fs::create_dir(directory).map_err(failed("make", directory))?;
        }
        let request = Request {
            suites: &SUITES,
            prefer: Some(SUITES[1]),
            packages: &PACKAGES,
        };
        let debs = apt::download(request, &work, item, progress)?;
        apt::unpack(&debs, &root, item, progress)?;
        for useless in [
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "usr/share/lintian",
        ] {
            remove(&root.join(useless))?;
        }
        remove(&work)?;
        let loader = Userland::at(&root).command(PROGRAM)?.get_program().into();
        let mut index = Index {
            version: (0, 0, 0),
            loader: below(&root, loader),
        };
        index.version = ask_version(&from_root(&root, &index))?;
        write_json(&staging.join(INDEX), &index)
    })?;
    let index = read_json(&entry.path.join(INDEX))?;
    let mut qemu = from_root(&entry.path.join("root"), &index);
    qemu._entry = Some(entry);
    Ok(qemu)
}

/// How a QEMU unpacked into a directory is run without touching the machine's libraries.
fn from_root(root: &Path, index: &Index) -> Qemu {
    let libraries = Userland::at(root).library_path();
    let mut leading_args: Vec<OsString> = vec!["--library-path".into(), libraries.into()];
    leading_args.push(root.join("usr/bin").join(PROGRAM).into());
    for firmware in ["usr/share/qemu", "usr/share/seabios"] {
        leading_args.extend(["-L".into(), root.join(firmware).into()]);
    }
    let modules = root.join("usr/lib/x86_64-linux-gnu/qemu");
    Qemu {
        program: root.join(&index.loader),
        leading_args,
        env: vec![("QEMU_MODULE_DIR".to_owned(), modules.into())],
        version: index.version,
        origin: Origin::Fetched,
        _entry: None,
    }
}

fn below(root: &Path, path: PathBuf) -> PathBuf {
    path.strip_prefix(root).map(Path::to_owned).unwrap_or(path)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(PROGRAM))
        .find(|program| {
            fs::metadata(program)
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}

fn ask_version(qemu: &Qemu) -> Result<(u32, u32, u32), ImageError> {
    let named = match qemu.origin {
        Origin::Override => "; CRASHDRILL_QEMU names it: unset that, or name a qemu-system-x86_64",
        Origin::Path | Origin::Fetched => "",
    };
    let error = |message: String| ImageError::Qemu {
        program: qemu.program.clone(),
        message: message + named,
    };
    let mut command = qemu.command();
    command.arg("--version").stdin(Stdio::null());
    let output = dying_with_us(&mut command)
        .output()
        .map_err(|cause: io::Error| error(format!("cannot be run: {cause}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some(version) if output.status.success() => Ok(version),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = match said.trim() {
                "" => String::new(),
                said => format!(": {said}"),
            };
            Err(error(format!(
                "is not a QEMU that runs ({}){said}",
                output.status
            )))
        }
    }
}

/// `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let word = text.split_once("version ")?.1.split_whitespace().next()?;
    let mut numbers = word.split(['.', '-', '(']).map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((
        major,
        minor,
        numbers.next().and_then(Result::ok).unwrap_or(0),
    ))
}

pub(super) fn remove(path: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ImageError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| ImageError::Index {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    fs::write(path, text).map_err(failed("write", path))
}

pub(super) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ImageError> {
    let text = fs::read_to_string(path).map_err(failed("read", path))?;
    serde_json::from_str(&text).map_err(|error| ImageError::Index {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_qemu_is_told_with_who_named_it() {
        let told = |program: &str, origin| {
            let error = Qemu::plain(program.into(), origin).unwrap_err();
            error.to_string()
        };
        let named = "; CRASHDRILL_QEMU names it: unset that, or name a qemu-system-x86_64";
        let silent = "/bin/true: is not a QEMU that runs (exit status: 0)";
        assert_eq!(told("/bin/true", Origin::Path), silent);
        let missing = told("/no/such", Origin::Override);
        assert!(missing.starts_with("/no/such: cannot be run: ") && missing.ends_with(named));
    }

    #[test]
    fn versions() {
        assert_eq!(
            parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"),
            Some((7, 2, 22))
        );
        assert_eq!(
            parse_version("QEMU emulator version 11.1.3\n"),
            Some((11, 1, 3))
        );
        assert_eq!(
            parse_version("QEMU emulator version 10.2-rc1"),
            Some((10, 2, 0))
        );
        assert_eq!(parse_version("version "), None);
        assert_eq!(parse_version(""), None);
    }
}
