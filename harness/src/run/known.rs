//! What has been learnt about a QEMU and this host, kept in the cache so that it is asked once.
//!
//! Asking a QEMU takes a tenth of a second, and finding out that no guest runs under KVM two
//! seconds; both answers stay the same for the same program and until the next boot.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::qemu::Origin;
use crate::image::{Cache, Qemu};
use crate::machine::probe::{self, Capabilities};
use crate::machine::{Accel, AccelChoice, MachineError};

/// What one QEMU has, from the cache or by asking it.
///
/// # Errors
/// It cannot be started or asked.
pub fn capabilities(cache: &Cache, qemu: &Qemu) -> Result<Capabilities, MachineError> {
    let file = Answer::new(
        cache,
        &of("qemu", qemu),
        &[
            stamp(&qemu.program),
            format!("{:?}", qemu.version),
            // What it was asked: a newer crashdrill may know more devices.
            probe::wanted().into_iter().collect::<Vec<_>>().join(" "),
        ],
    );
    if let Some(known) = file.read() {
        return Ok(known);
    }
    let asked = super::runtime()?.block_on(Capabilities::ask(qemu.command()))?;
    file.write(&asked);
    Ok(asked)
}

/// The accelerator for drills with this QEMU: the user's wish, or KVM if a guest runs under it.
///
/// # Errors
/// No runtime.
pub fn accelerator(
    cache: &Cache,
    qemu: &Qemu,
    wish: Option<Accel>,
) -> Result<AccelChoice, MachineError> {
    if let Some(accel) = wish {
        return Ok(AccelChoice {
            accel,
            reason: None,
        });
    }
    // A reboot may bring another kernel, and whether /dev/kvm may be opened is this user's affair.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let may_open = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    let host = [
        stamp(&qemu.program),
        stamp(Path::new("/dev/kvm")),
        boot,
        may_open.to_string(),
    ];
    let file = Answer::new(cache, &of("accelerator", qemu), &host);
    if let Some(known) = file.read() {
        return Ok(known);
    }
    let choice = super::runtime()?.block_on(probe::accel(qemu.command(), "qemu64"));
    file.write(&choice);
    Ok(choice)
}

/// Both the machine's own QEMU and crashdrill's may be asked in one run.
fn of(name: &str, qemu: &Qemu) -> String {
    match qemu.origin {
        Origin::Fetched => format!("{name}-fetched"),
        Origin::Path | Origin::Override => name.to_owned(),
    }
}

/// Which file this is: another one under the same name is told by its inode and its times.
fn stamp(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(found) => format!(
            "{} {} {} {} {}.{}",
            path.display(),
            found.dev(),
            found.ino(),
            found.size(),
            found.ctime(),
            found.ctime_nsec()
        ),
        Err(_) => format!("{} missing", path.display()),
    }
}

/// An answer and the question it belongs to. A file that does not fit is asked anew; one that
/// cannot be written costs time at the next start, nothing else.
struct Answer {
    file: PathBuf,
    question: String,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    question: String,
    answer: T,
}

impl Answer {
    fn new(cache: &Cache, name: &str, question: &[String]) -> Self {
        let question = question.join("\n");
        Self {
            file: cache.root().join(format!("{name}.json")),
            question,
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        let kept: Kept<T> = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        (kept.question == self.question).then_some(kept.answer)
    }

    fn write<T: Serialize>(&self, answer: &T) {
        let kept = Kept {
            question: self.question.clone(),
            answer,
        };
        let write = || {
            fs::create_dir_all(self.file.parent().unwrap_or(Path::new(".")))?;
            // A file that is read half written does not parse.
            fs::write(&self.file, serde_json::to_vec(&kept)?)
        };
        let _: io::Result<()> = write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_its_question_alone() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache"));
        let question = |text: &str| Answer::new(&cache, "x", &[text.to_owned()]);
        let choice = AccelChoice {
            accel: Accel::Tcg,
            reason: Some("slow".to_owned()),
        };
        question("a").write(&choice);
        assert_eq!(question("a").read(), Some(choice));
        assert_eq!(question("b").read::<AccelChoice>(), None);
        fs::write(cache.root().join("x.json"), "{").unwrap();
        assert_eq!(question("a").read::<AccelChoice>(), None);
    }

    #[test]
    fn another_file_of_the_same_name_is_another_question() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qemu");
        let missing = stamp(&path);
        fs::write(&path, "one").unwrap();
        let one = stamp(&path);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "two2").unwrap();
        assert_ne!(missing, one);
        assert_ne!(one, stamp(&path));
    }
}
