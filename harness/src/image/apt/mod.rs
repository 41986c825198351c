//! Debian packages without root: this machine's apt-get with a state of its own, so that nothing of
//! the machine is changed and nothing of what it has installed is taken for granted.

mod sources;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::progress::{Progress, Step};
use crate::child::dying_with_us;

use sources::Mirror;

/// Names another mirror than the one found in apt's configuration.
pub const MIRROR_VARIABLE: &str = "CRASHDRILL_MIRROR";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// No apt or dpkg on this machine.
    #[error(
        "no `{program}` on this machine: install apt and dpkg (most distributions package them), or \
         run crashdrill where there is apt; for a kernel of your own see images/local.yaml.example"
    )]
    NotInstalled {
        /// The program that is missing.
        program: &'static str,
    },
    /// Its configuration names no mirror of Debian.
    #[error(
        "no mirror of Debian's archive in this machine's apt configuration: set CRASHDRILL_MIRROR \
         to one, and install the package debian-archive-keyring"
    )]
    NoMirror,
    /// apt-get or dpkg-deb ended with an error.
    #[error("{doing} failed: {said}\n{remedy}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What the program said: apt's own `E:` and `W:` lines.
        said: String,
        /// What to try.
        remedy: &'static str,
    },
    /// A program could not be run, or a file not written.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

fn not_started(program: &'static str) -> impl FnOnce(io::Error) -> AptError {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => AptError::NotInstalled { program },
        _ => AptError::Io {
            doing: format!("run {program}"),
            source,
        },
    }
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> AptError {
    let doing = format!("{doing} {}", path.display());
    move |source| AptError::Io { doing, source }
}

/// What to fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The suites to look in.
    pub(super) suites: &'a [&'a str],
    /// The suite to prefer, for packages and their dependencies.
    pub(super) prefer: Option<&'a str>,
    /// The packages; dependencies follow.
    pub(super) packages: &'a [&'a str],
}

/// A downloaded package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deb {
    pub(super) name: String,
    pub(super) version: String,
    path: PathBuf,
}

/// What a kernel's or a library's installation scripts want. Nothing is installed here and no
/// script runs, so apt is told that these are there already: it saves perl, udev, an initramfs
/// generator and what they bring, a quarter of the download. None of them holds a library.
const STAND_INS: [&str; 24] = [
    "adduser",
    "apt",
    "base-passwd",
    "coreutils",
    "debconf",
    "dpkg",
    "init-system-helpers",
    "initramfs-tools",
    "initramfs-tools-core",
    "klibc-utils",
    "kmod",
    "libpam-modules",
    "linux-base",
    "login.defs",
    "logsave",
    "openssl-provider-legacy",
    "passwd",
    "perl",
    "perl-base",
    "python3",
    "python3-dbus",
    "systemd",
    "ucf",
    "udev",
];

/// Downloads packages and what they depend on into `work`, an empty directory.
///
/// # Errors
/// [`AptError`].
pub(super) fn download(
    request: Request<'_>,
    work: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<Vec<Deb>, AptError> {
    let mut last = AptError::NoMirror;
    for mirror in mirrors()? {
        match download_from(&mirror, request, work, item, progress) {
            Err(error @ AptError::Failed { .. }) => last = error,
            other => return other,
        }
    }
    Err(last)
}

fn download_from(
    mirror: &Mirror,
    request: Request<'_>,
    work: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<Vec<Deb>, AptError> {
    let archives = work.join("cache/archives");
    for directory in [work.join("state/lists/partial"), archives.join("partial")] {
        fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
    }
    let write = |name: &str, text: String| {
        let path = work.join(name);
        fs::write(&path, text).map_err(failed("write", &path))
    };
    write("status", status(request.packages))?;
    write("mirror.sources", mirror.sources(request.suites))?;
    write("apt.conf", configuration(work))?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .arg("-c")
            .arg(work.join("apt.conf"))
            .args(["-q", "-y"]);
        command
    };
    let mut update = apt();
    // Without this a list that could not be fetched is only a warning.
    update.args(["-o", "APT::Update::Error-Mode=any", "update"]);
    let warnings = run(update, "fetching the package lists", item, progress)?;
    let mut install = apt();
    if let Some(suite) = request.prefer {
        install.args(["-t", suite]);
    }
    install
        .args(["--download-only", "install", "--"])
        .args(request.packages);
    run(install, "fetching packages", item, progress).map_err(|error| match error {
        // An old apt knows no Error-Mode: what went wrong was said in warnings then.
        AptError::Failed {
            doing,
            said,
            remedy,
        } => AptError::Failed {
            doing,
            said: [warnings.as_str(), said.as_str()]
                .join("\n")
                .trim()
                .to_owned(),
            remedy,
        },
        other => other,
    })?;
    debs(&archives)
}

/// A sources file for these suites on the mirror that this machine's apt uses.
///
/// # Errors
/// No mirror is known.
pub(super) fn mirror_sources(suites: &[&str]) -> Result<String, AptError> {
    let mirrors = mirrors()?;
    let mirror = mirrors.first().ok_or(AptError::NoMirror)?;
    Ok(mirror.sources(suites))
}

/// The one that the user names, or those of this machine's apt.
fn mirrors() -> Result<Vec<Mirror>, AptError> {
    match std::env::var(MIRROR_VARIABLE) {
        Ok(uri) if !uri.is_empty() => Ok(vec![Mirror {
            uri,
            signed_by: Path::new(KEYRING).is_file().then(|| KEYRING.to_owned()),
        }]),
        _ => sources::mirrors(),
    }
}

/// A dpkg status that knows the stand-ins only, less those that are asked for.
fn status(wanted: &[&str]) -> String {
    let stand_ins = STAND_INS.iter().filter(|name| !wanted.contains(name));
    stand_ins
        .map(|name| {
            // `perl:any` is satisfied by `allowed` only, a plain dependency by either.
            let multi = match *name {
                "perl" | "python3" => "allowed",
                _ => "foreign",
            };
            format!(
                "Package: {name}\nStatus: install ok installed\nVersion: 9999:1\n\
                 Architecture: amd64\nMulti-Arch: {multi}\nMaintainer: nobody\n\
                 Description: stand-in\n\n"
            )
        })
        .collect()
}

/// Read after the machine's own configuration, of which proxies and certificates stay in force.
fn configuration(work: &Path) -> String {
    let work = work.display();
    format!(
        r#"
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
Dir::State "{work}/state";
Dir::State::lists "{work}/state/lists";
Dir::State::status "{work}/status";
Dir::State::extended_states "{work}/state/extended_states";
Dir::Cache "{work}/cache";
Dir::Cache::archives "{work}/cache/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{work}/mirror.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "{work}";
APT::Default-Release "";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Keep-Downloaded-Packages "true";
APT::Status-Fd "1";
// As root apt would drop to a user who may not look into our directory.
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
"#
    )
}

/// Runs apt-get, and returns what it warned of.
fn run(
    mut command: Command,
    doing: &str,
    item: &str,
    progress: &dyn Progress,
) -> Result<String, AptError> {
    let mut errors = tempfile::tempfile().map_err(failed("make", &std::env::temp_dir()))?;
    let stderr = errors
        .try_clone()
        .map_err(failed("use", &std::env::temp_dir()))?;
    command
        .env("LC_ALL", "C")
        .env_remove("LANGUAGE")
        .env_remove("APT_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
    let mut child = dying_with_us(&mut command)
        .spawn()
        .map_err(not_started("apt-get"))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|source| AptError::Io {
                doing: doing.to_owned(),
                source,
            })?;
            if let Some(step) = parse_status(&String::from_utf8_lossy(&line)) {
                progress.report(item, &step);
            }
        }
    }
    let ended = child.wait().map_err(|source| AptError::Io {
        doing: doing.to_owned(),
        source,
    })?;
    let mut said = String::new();
    let read = errors
        .rewind()
        .and_then(|()| errors.by_ref().take(1 << 20).read_to_string(&mut said));
    read.map_err(|source| AptError::Io {
        doing: doing.to_owned(),
        source,
    })?;
    let told: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("E: ") || line.starts_with("W: "))
        .collect();
    if ended.success() {
        return Ok(told.join("\n"));
    }
    Err(AptError::Failed {
        doing: doing.to_owned(),
        said: match told.is_empty() {
            true => format!("{ended} {}", said.trim()),
            false => told.join("\n"),
        },
        remedy: remedy(&said),
    })
}

fn remedy(said: &str) -> &'static str {
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if has(&["NO_PUBKEY", "not signed", "EXPKEYSIG", "Missing key"]) {
        "the keys of this suite are not known here: install or update the package debian-archive-keyring"
    } else if has(&["No space left"]) {
        "make room, or set CRASHDRILL_CACHE to a directory on a larger disk"
    } else if has(&[
        "Unable to locate package",
        "has no installation candidate",
        "does not have a Release file",
    ]) {
        "check suite and packages in the image's manifest, and that the mirror carries the suite"
    } else {
        "check the network and its proxy (apt's own settings are used), or set CRASHDRILL_MIRROR to another mirror"
    }
}

/// `dlstatus:3:93.3333:Retrieving file 3 of 3`.
fn parse_status(line: &str) -> Option<Step> {
    let mut fields = line.strip_prefix("dlstatus:")?.splitn(3, ':');
    let percent: f32 = fields.nth(1)?.parse().ok()?;
    Some(Step::Downloading {
        percent: Some(percent.clamp(0.0, 100.0)),
        text: fields.next()?.trim().to_owned(),
    })
}

/// The packages in a directory, by apt's file names: `name_version_architecture.deb`.
fn debs(archives: &Path) -> Result<Vec<Deb>, AptError> {
    let read = fs::read_dir(archives).map_err(failed("list", archives))?;
    let mut debs = Vec::new();
    for entry in read {
        let path = entry.map_err(failed("list", archives))?.path();
        if path.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let mut fields = file.split('_');
        if let (Some(name), Some(version)) = (fields.next(), fields.next()) {
            debs.push(Deb {
                name: name.to_owned(),
                version: version.replace("%3a", ":"),
                path: path.clone(),
            });
        }
    }
    debs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(debs)
}

/// Unpacks packages over one another into `root`, without running anything of theirs.
///
/// # Errors
/// [`AptError`].
pub(super) fn unpack(
    debs: &[Deb],
    root: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), AptError> {
    let total = debs.len();
    for (done, deb) in debs.iter().enumerate() {
        progress.report(item, &Step::Unpacking { done, total });
        let mut command = Command::new("dpkg-deb");
        command
            .arg("-x")
            .arg(&deb.path)
            .arg(root)
            .stdin(Stdio::null());
        let output = dying_with_us(&mut command)
            .output()
            .map_err(not_started("dpkg-deb"))?;
        if !output.status.success() {
            return Err(AptError::Failed {
                doing: format!("unpacking {}", deb.name),
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                remedy: "check the space on the disk, or set CRASHDRILL_CACHE to a directory on another one",
            });
        }
        // Half the space at the peak.
        fs::remove_file(&deb.path).map_err(failed("remove", &deb.path))?;
    }
    progress.report(item, &Step::Unpacking { done: total, total });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines() {
        assert_eq!(
            parse_status("dlstatus:3:93.3333:Retrieving file 3 of 32"),
            Some(Step::Downloading {
                percent: Some(93.3333),
                text: "Retrieving file 3 of 32".into()
            })
        );
        for other in [
            "Get:1 x",
            "dlstatus:",
            "dlstatus:1:nan",
            "pmstatus:x:1:y",
            "dlstatus:1:x:y",
        ] {
            assert_eq!(parse_status(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_asked_for_is_no_stand_in() {
        assert!(status(&["udev"]).contains("Package: perl\n"));
        assert!(!status(&["udev"]).contains("Package: udev\n"));
    }

    #[test]
    fn remedies_fit() {
        assert!(remedy("W: GPG error: NO_PUBKEY 1").contains("keyring"));
        assert!(remedy("E: Unable to locate package x").contains("manifest"));
        assert!(remedy("E: Failed to fetch x  Could not resolve 'y'").contains("network"));
    }

    #[test]
    fn names_and_versions_come_from_file_names() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["kexec-tools_1%3a2.0.25-3_amd64.deb", "a_1_all.deb", "lock"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        let found: Vec<_> = debs(directory.path())
            .unwrap()
            .into_iter()
            .map(|d| (d.name, d.version))
            .collect();
        assert_eq!(
            found,
            [
                ("a".into(), "1".into()),
                ("kexec-tools".into(), "1:2.0.25-3".into())
            ]
        );
    }
}
