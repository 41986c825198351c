use std::io::Write;

use proptest::prelude::*;

use super::super::fixture::{LogKind, Machine, Mapping, PHYS_BASE, dmesg};
use super::super::inspect;
use super::*;

/// Physical, where a kernel's own note lies, and where the crashed one's does.
const NOTE: u64 = 0x9000;
const OTHER: u64 = 0xa000;

fn note_in_memory(text: &str) -> Vec<u8> {
    let mut note = Vec::new();
    note.extend(11u32.to_le_bytes());
    note.extend((text.len() as u32).to_le_bytes());
    note.extend(0u32.to_le_bytes());
    note.extend(b"VMCOREINFO\0\0");
    note.extend(text.as_bytes());
    note
}

fn machine(kind: LogKind) -> (Machine, String) {
    let mut machine = Machine::new(kind, Mapping::Large, 4);
    let own = machine.info.replace("CRASHTIME=1795341130\n", "");
    let own = format!("{own}SYMBOL(swapper_pg_dir)={:x}\n", KERNEL_MAP + 0x1000);
    // As a kernel that has crashed, whose log has gone.
    machine.put(OTHER, &note_in_memory("OSRELEASE=6.1.0-old\nCRASHTIME=1\n"));
    (machine, own)
}

/// As QEMU writes it: notes of CPUs alone, memory by physical addresses, a section behind it.
fn qemu(machine: &Machine) -> Vec<u8> {
    let mut machine = machine.clone();
    machine.info = String::new();
    let mut elf = machine.elf();
    let count = usize::from(u16_at(&elf, 56));
    for at in (0..count).map(|index| 64 + index * 56) {
        elf[at + 16..at + 24].fill(0);
    }
    let name = memmem::find(&elf, b"VMCOREINFO\0").unwrap();
    elf[name..name + 10].copy_from_slice(b"QEMU\0\0\0\0\0\0");
    elf[40] = 64;
    elf[52] = 8;
    elf[58..64].copy_from_slice(&[64, 0, 2, 0, 1, 0]);
    elf.extend(b"\0.shstrtab\0");
    elf
}

fn taken(stream: &[u8], piece: usize) -> Result<GuestDump, GuestDumpError> {
    let mut intake = Intake::new(tempfile::tempfile().unwrap(), 1 << 30);
    for piece in stream.chunks(piece) {
        intake.take(piece)?;
    }
    intake.finish()
}

#[test]
fn the_last_kernels_note_is_added() {
    for kind in [LogKind::Ring, LogKind::PrintkLog] {
        let (mut machine, own) = machine(kind);
        machine.put(NOTE, &note_in_memory(&own));
        let stream = qemu(&machine);
        for piece in [1, 777, 1 << 20] {
            let dump = taken(&stream, piece).unwrap();
            assert_eq!(dump.release.as_deref(), Some("6.1.0-test"));
            assert_eq!(dump.len, dump.file.metadata().unwrap().len());
            let inspection = inspect(&dump.file, dump.len).unwrap();
            assert_eq!(inspection.release.as_deref(), Some("6.1.0-test"));
            assert!(inspection.complete.lack().is_none());
            assert_eq!(inspection.dmesg.unwrap(), dmesg());
        }
    }
}

/// As QEMU 7.2 and later write it: sections come before the segments.
fn with_sections(mut stream: Vec<u8>) -> Vec<u8> {
    const SECTIONS: usize = 128;
    stream[32] += SECTIONS as u8;
    let count = usize::from(u16_at(&stream, 56));
    for at in (0..count).map(|index| HEADER + index * SEGMENT + 8) {
        let offset = u64_at(&stream, at) + SECTIONS as u64;
        stream[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    stream.splice(HEADER..HEADER, [7; SECTIONS]);
    stream
}

/// Type, place in the file, virtual and physical address, and length.
fn segments(dump: &GuestDump) -> Vec<[u64; 5]> {
    let mut head = vec![0; MAX_HEAD.min(dump.len as usize)];
    dump.file.read_exact_at(&mut head, 0).unwrap();
    assert_eq!(u64_at(&head, 32), HEADER as u64);
    let headers = head[HEADER..].chunks(SEGMENT);
    let headers = headers.map(|raw| {
        let [offset, virt, physical, size] = [8, 16, 24, 32].map(|at| u64_at(raw, at));
        [u64::from(u32_at(raw, 0)), offset, virt, physical, size]
    });
    headers.take(u16_at(&head, 56).into()).collect()
}

/// drgn before 0.0.27 finds them by this segment alone.
#[test]
fn the_page_tables_have_a_segment_with_their_virtual_address() {
    let (mut machine, own) = machine(LogKind::Ring);
    machine.put(NOTE, &note_in_memory(&own));
    let stream = qemu(&machine);
    for stream in [stream.clone(), with_sections(stream)] {
        let dump = taken(&stream, 777).unwrap();
        let segments = segments(&dump);
        let [kind, offset, virt, physical, size] = *segments.last().unwrap();
        assert_eq!(
            [kind, virt, physical, size],
            [1, KERNEL_MAP + 0x1000, PHYS_BASE + 0x1000, PAGE]
        );
        let mut page = vec![0; PAGE as usize];
        dump.file.read_exact_at(&mut page, offset).unwrap();
        assert_eq!(page, machine.pages[&(physical / PAGE)][..]);
        // The rest is as QEMU had it, in other places.
        let count = usize::from(u16_at(&stream, 56));
        assert_eq!(segments.len(), count + 1);
        for (index, [kind, offset, _, physical, size]) in segments[..count].iter().enumerate() {
            let at = u64_at(&stream, 32) as usize + index * SEGMENT;
            assert_eq!(*kind, u64::from(u32_at(&stream, at)));
            assert_eq!(*physical, u64_at(&stream, at + 24));
            let was = u64_at(&stream, at + 32) as usize;
            assert!(*size as usize == was || *kind == u64::from(PT_NOTE) && *size as usize > was);
            let from = u64_at(&stream, at + 8) as usize;
            let mut bytes = vec![0; was];
            dump.file.read_exact_at(&mut bytes, *offset).unwrap();
            assert_eq!(bytes, stream[from..from + was], "segment {index}");
        }
        let inspection = inspect(&dump.file, dump.len).unwrap();
        assert!(inspection.complete.lack().is_none());
        assert_eq!(inspection.dmesg.unwrap(), dmesg());
    }
}

/// Without a note there is nothing to find them by; page tables outside of the memory are none.
#[test]
fn no_segment_for_page_tables_that_are_not_there() {
    let (mut machine, own) = machine(LogKind::Ring);
    let count = usize::from(u16_at(&qemu(&machine), 56));
    assert_eq!(
        segments(&taken(&qemu(&machine), 4096).unwrap()).len(),
        count
    );
    let own = own.replace(
        "SYMBOL(swapper_pg_dir)=ffffffff8",
        "SYMBOL(swapper_pg_dir)=ffffffffc",
    );
    machine.put(NOTE, &note_in_memory(&own));
    let stream = qemu(&machine);
    let dump = taken(&stream, 4096).unwrap();
    assert_eq!(dump.release.as_deref(), Some("6.1.0-test"));
    assert_eq!(segments(&dump).len(), usize::from(u16_at(&stream, 56)));
}

#[test]
fn a_kernel_that_has_crashed_into_another_is_not_the_last() {
    let (machine, _) = machine(LogKind::Ring);
    let dump = taken(&qemu(&machine), 4096).unwrap();
    assert_eq!(dump.release, None);
    let inspection = inspect(&dump.file, dump.len).unwrap();
    assert!(inspection.vmcoreinfo.is_empty());
    assert!(inspection.complete.lack().is_none());
}

/// kexec has read the crashed kernel's note before the crash, and its memory is still there.
#[test]
fn an_earlier_copy_of_the_crashed_kernels_note() {
    let (mut machine, own) = machine(LogKind::Ring);
    let old = own.replace("6.1.0-test", "6.1.0-old");
    machine.put(NOTE, &note_in_memory(&old));
    machine.put(OTHER, &note_in_memory(&format!("{old}CRASHTIME=1\n")));
    assert_eq!(taken(&qemu(&machine), 4096).unwrap().release, None);
    machine.put(0xb000, &note_in_memory(&own));
    let dump = taken(&qemu(&machine), 4096).unwrap();
    assert_eq!(dump.release.as_deref(), Some("6.1.0-test"));
}

/// A copy of the note that describes nothing that is in this memory, as in a buffer.
#[test]
fn a_note_whose_log_cannot_be_read_is_none() {
    let (mut machine, own) = machine(LogKind::Ring);
    machine.put(
        NOTE,
        &note_in_memory(&own.replace("phys_base)=", "phys_base)=7")),
    );
    assert_eq!(taken(&qemu(&machine), 4096).unwrap().release, None);
}

/// Before 4.10 the note has no phys_base, so that only being alone speaks for it.
#[test]
fn an_old_kernels_note() {
    let (mut machine, _) = machine(LogKind::Log);
    machine.put(
        NOTE,
        &note_in_memory("OSRELEASE=3.10.0\nSYMBOL(log_buf)=1\n"),
    );
    let dump = taken(&qemu(&machine), 4096).unwrap();
    assert_eq!(dump.release.as_deref(), Some("3.10.0"));
    machine.put(NOTE + 0x800, &note_in_memory("OSRELEASE=3.10.0\n"));
    assert_eq!(taken(&qemu(&machine), 4096).unwrap().release, None);
}

#[test]
fn a_name_across_the_end_of_a_window() {
    let mut file = tempfile::tempfile().unwrap();
    let text = "OSRELEASE=1";
    for shift in 0..24 {
        let at = WINDOW - shift;
        let mut bytes = vec![0; 2 * WINDOW];
        let note = note_in_memory(text);
        bytes[at..at + note.len()].copy_from_slice(&note);
        file.set_len(0).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        file.write_all(&bytes).unwrap();
        let found = texts(&file, 0, bytes.len() as u64).unwrap();
        assert_eq!(found, [text.as_bytes()], "{shift}");
    }
}

#[test]
fn what_is_not_all_there_or_too_large() {
    let (machine, _) = machine(LogKind::Ring);
    let stream = qemu(&machine);
    let error = taken(&stream[..stream.len() - 12], 4096).unwrap_err();
    assert!(error.to_string().ends_with("it ends too early"), "{error}");
    let file = tempfile::tempfile().unwrap();
    let mut intake = Intake::new(file.try_clone().unwrap(), 4096);
    let error = intake.take(&stream).unwrap_err();
    assert!(matches!(error, GuestDumpError::NoRoom { free: 4096, .. }));
    assert_eq!(file.metadata().unwrap().len(), 0);
}

proptest! {
    #[test]
    fn damaged_streams_are_refused_or_taken(
        damage in proptest::collection::vec((0usize..600, any::<u8>()), 1..8),
        piece in 1usize..5000,
    ) {
        let (machine, _) = machine(LogKind::Ring);
        let mut stream = qemu(&machine);
        for (at, byte) in damage {
            stream[at] = byte;
        }
        // Neither panics nor writes more than it was allowed to.
        let _ = taken(&stream, piece);
    }
}
