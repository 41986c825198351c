use super::*;
use crate::vmcore::fixture::{Codec, LogKind, Machine, Mapping, flatten};
use crate::vmcore::inspect;

fn text(dump: &[u8], verbose: bool) -> String {
    let found = inspect(&dump, dump.len() as u64);
    let looked = Looked {
        file: "crash/vmcore",
        bytes: dump.len() as u64,
        found: found.as_ref(),
    };
    let view = View {
        width: 100,
        verbose,
    };
    anstream::adapter::strip_str(&vmcore_text(looked, view)).to_string()
}

fn machine() -> Machine {
    Machine::new(LogKind::PrintkLog, Mapping::Small, 4)
}

#[test]
fn a_complete_dump() {
    insta::assert_snapshot!(text(&machine().kdump(6, Codec::Plain, 31), false));
}

#[test]
fn a_stream_that_was_cut_off() {
    let flat = flatten(&machine().elf(), 4096);
    insta::assert_snapshot!(text(&flat[..flat.len() - 16], false));
}

#[test]
fn a_raw_device() {
    let mut flat = flatten(&machine().kdump(5, Codec::Plain, 1), 4096);
    flat.resize(1 << 20, 0);
    insta::assert_snapshot!(text(&flat, true));
}

#[test]
fn headers_that_cannot_be_read() {
    let dump = machine().elf();
    assert_eq!(
        text(&dump[..100], false),
        "crash/vmcore: damaged\n  The dump is cut off in the ELF program headers: it has 100 bytes \
         and needs 400.\n"
    );
}

#[test]
fn a_log_that_cannot_be_read() {
    let text = text(&machine().kdump(1, Codec::Plain, 0), false);
    assert!(text.contains("cannot be read: "), "{text}");
    assert!(!text.contains("The end of the log"), "{text}");
}

#[test]
fn what_a_dump_says_does_not_steer_the_terminal() {
    let mut machine = machine();
    machine.info = machine.info.replace("6.1.0-test", "6\x1b[31m");
    let dump = machine.elf();
    let text = text(&dump, true);
    assert!(text.contains("6\\x1b[31m"), "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn times_are_dates() {
    for (seconds, date) in [
        (0, "1970-01-01 00:00:00 UTC"),
        (951_782_399, "2000-02-28 23:59:59 UTC"),
        (951_782_400, "2000-02-29 00:00:00 UTC"),
        (1_795_341_130, "2026-11-22 09:52:10 UTC"),
        (4_107_542_400, "2100-03-01 00:00:00 UTC"),
    ] {
        assert_eq!(utc(seconds), date);
    }
    // A damaged dump may say anything.
    assert!(utc(u64::MAX).ends_with(" UTC"));
}
