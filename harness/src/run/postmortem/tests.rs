//! A scripted stand-in plays QEMU.

use std::io::Write as _;
use std::os::fd::AsFd;

use super::*;
use crate::machine::{Input, Inputs, MachinePlan};
use crate::scenario::model;

const PROLOGUE: &str = r#"
for argument; do
    case $argument in
        socket,id=qmp,*) qmp=${argument##*=} ;;
        /dev/fd/*) : "${stream:=$argument}" ;;
    esac
done
say() { printf '%s\n' "$1" >&"$qmp"; }
hear() { read -r line <&"$qmp"; }
say '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}'
hear; say '{"return": {}, "id": 1}'
"#;
const REGISTERS: &str = r#"
hear
[[ $line == *'"info registers -a"'*'"human-monitor-command"'* ]] || exit 7
say '{"return": "CPU#0\r\nRAX=0\r\n", "id": 2}'
"#;
const DUMP: &str = r#"
hear
[[ $line == *'"dump-guest-memory"'* ]] || exit 7
outlet=${line##*\"file:}; outlet=${outlet%%\"*}
"#;

/// A dump of 1 MiB without any note of a kernel.
fn stream() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([4, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0u64, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 2, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for (kind, offset, size) in [(4u32, 176u64, 20u64), (1, 196, 1 << 20)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(7u32.to_le_bytes());
        for word in [offset, 0, 0, size, size, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    for word in [5u32, 0, 1] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"CORE\0\0\0\0");
    elf.resize(196 + (1 << 20), 0x5a);
    elf
}

fn take(behaviour: &str, directory: &Path) -> Result<Postmortem, HarnessError> {
    let runtime = crate::run::runtime().unwrap();
    runtime.block_on(async {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&stream()).unwrap();
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &format!("{PROLOGUE}{behaviour}"), "qemu"]);
        let plan = MachinePlan::new(&model::Machine::default()).unwrap();
        let (outlet, theirs) = Outlet::new(directory).unwrap();
        let inputs = Inputs {
            kernel: Input::Open(file.as_fd()),
            initrd: Input::Path(Path::new("/dev/null")),
            disks: vec![],
            medium: None,
            link: None,
            devices: vec![],
            outlet: Some(theirs.as_fd()),
        };
        let mut machine = Machine::start(command, &plan, &inputs).await.unwrap();
        drop(theirs);
        super::take(&mut machine, outlet, None).await
    })
}

#[test]
fn registers_then_memory() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("not/there/yet");
    let answered = format!(
        r#"{REGISTERS}{DUMP}cat "$stream" >"$outlet"; say '{{"return": {{}}, "id": 3}}'; hear"#
    );
    let postmortem = take(&answered, &kept).unwrap();
    assert_eq!(postmortem.registers, "CPU#0\nRAX=0\n");
    assert_eq!(postmortem.release, None);
    assert_eq!(
        postmortem.vmcore.metadata().unwrap().len(),
        postmortem.size.0
    );
    assert!(postmortem.size.0 > 1 << 20);
    // It has no name.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_goes_wrong() {
    let directory = tempfile::tempdir().unwrap();
    for (behaviour, expected) in [
        ("exit 3".to_owned(), "QEMU ended by itself (exit status 3)"),
        (
            format!("{REGISTERS}kill -KILL $$"),
            "QEMU ended by itself (killed by SIGKILL)",
        ),
        (
            format!(r#"{REGISTERS}{DUMP}head -c 5000 "$stream" >"$outlet"; kill -KILL $$"#),
            "QEMU ended by itself (killed by SIGKILL)",
        ),
        (
            format!(
                r#"{REGISTERS}{DUMP}say '{{"error": {{"class": "GenericError", "desc": "no"}}, "id": 3}}'; hear"#
            ),
            "QEMU refused `dump-guest-memory`: no",
        ),
        (
            format!(r#"{REGISTERS}{DUMP}cat /proc/self/exe >"$outlet"; hear"#),
            "QEMU's dump of the guest's memory is not understood",
        ),
    ] {
        let error = take(&behaviour, directory.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{behaviour}\n{error}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn nowhere_to_put_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = take(REGISTERS, file.path()).unwrap_err().to_string();
    let place = file.path().display().to_string();
    assert!(
        error.contains("cannot be written") && error.contains(&place),
        "{error}"
    );
}
