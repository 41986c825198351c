use std::fs::File;
use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::Index;

use super::fixture::{Codec, LogKind, Machine, Mapping};
use super::*;

/// Prints what is found in a real dump; compare by hand with `makedumpfile --dump-dmesg`.
#[test]
#[ignore = "needs a real dump: CRASHDRILL_TEST_VMCORE=/path/to/vmcore"]
fn real_dump() {
    let path = std::env::var("CRASHDRILL_TEST_VMCORE").expect("CRASHDRILL_TEST_VMCORE is not set");
    let file = File::open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    let start = Instant::now();
    let found = inspect(&file, len).unwrap();
    let took = start.elapsed();
    println!(
        "{path}: {took:?} {} {:?} {:?} {:?} {:?} {} pages, {:?}",
        found.format,
        found.dump_level,
        found.complete,
        found.release,
        found.crash_time,
        found.frames.dumped,
        found.panic,
    );
    match &found.dmesg {
        Ok(text) => {
            println!("log of {} bytes", text.len());
            if let Ok(out) = std::env::var("CRASHDRILL_TEST_DMESG") {
                std::fs::write(out, text).unwrap();
            }
        }
        Err(error) => println!("no log: {error}"),
    }
}

const CODECS: [Codec; 5] = [
    Codec::Plain,
    Codec::Zlib,
    Codec::Lzo,
    Codec::Snappy,
    Codec::Zstd,
];

fn look(dump: &[u8]) -> Result<Inspection, VmcoreError> {
    inspect(&dump, dump.len() as u64)
}

/// Everything that a verdict rests on.
#[track_caller]
fn assert_proves_the_drill(dump: &[u8], format: Format) {
    let found = look(dump).unwrap();
    assert_eq!(found.complete, Completeness::Complete);
    assert_eq!(found.format, format);
    assert_eq!(found.release.as_deref(), Some("6.1.0-test"));
    assert_eq!(found.crash_time, Some(1_795_341_130));
    assert!(found.has_token(fixture::TOKEN));
    assert!(found.has_token(&format!("crashdrill.token={}", fixture::TOKEN)));
    assert!(!found.has_token("drill"));
    assert!(!found.has_token(""));
    assert_eq!(found.dmesg.as_deref().unwrap(), fixture::dmesg());
    let outcome = found.outcome(fixture::TOKEN);
    assert!(outcome.complete && outcome.this_drill);
    let panic = "Kernel panic - not syncing: sysrq triggered crash";
    assert_eq!(outcome.panic.as_deref(), Some(panic));
}

#[test]
fn every_log_through_every_page_size_in_both_formats() {
    for log in [LogKind::Ring, LogKind::PrintkLog, LogKind::Log] {
        for mapping in [Mapping::Small, Mapping::Large, Mapping::Huge] {
            for levels in [4, 5] {
                let machine = Machine::new(log, mapping, levels);
                assert_proves_the_drill(&machine.elf(), Format::Elf);
                let dump = machine.kdump(6, Codec::Lzo, 31);
                assert_proves_the_drill(&dump, Format::KdumpCompressed);
            }
        }
    }
}

#[test]
fn every_header_version_and_compression() {
    let machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    for version in 3..=6 {
        for codec in CODECS {
            for level in [0, 1] {
                let dump = machine.kdump(version, codec, level);
                assert_proves_the_drill(&dump, Format::KdumpCompressed);
                assert_eq!(look(&dump).unwrap().dump_level, Some(DumpLevel(level)));
            }
        }
    }
    // Before version 3 there is no VMCOREINFO in the file.
    let found = look(&machine.kdump(1, Codec::Zlib, 0)).unwrap();
    assert_eq!(found.complete, Completeness::Complete);
    assert_eq!(found.release.as_deref(), Some("6.1.0-test"));
    assert!(matches!(found.dmesg, Err(LogError::Translation(_))));
}

#[test]
fn phys_base_from_the_headers_when_vmcoreinfo_has_none() {
    let mut machine = Machine::new(LogKind::Log, Mapping::Small, 4);
    machine.info = machine.info.replace("NUMBER(phys_base)", "NUMBER(none)");
    let found = look(&machine.kdump(5, Codec::Lzo, 31)).unwrap();
    assert_eq!(found.dmesg.unwrap(), fixture::dmesg());
    let found = look(&machine.elf()).unwrap();
    let error = found.dmesg.unwrap_err().to_string();
    assert!(error.contains("phys_base"), "{error}");
}

#[test]
fn a_flattened_dump_is_the_dump() {
    for log in [LogKind::Ring, LogKind::Log] {
        let machine = Machine::new(log, Mapping::Small, 4);
        for (dump, format) in [
            (machine.elf(), Format::Elf),
            (machine.kdump(6, Codec::Zlib, 31), Format::KdumpCompressed),
        ] {
            for piece in [17, 4096, 5000, 1 << 16] {
                let mut flat = fixture::flatten(&dump, piece);
                let stream = flat.len() as u64;
                // What a raw device held before.
                flat.extend([0x5a; 9000]);
                let found = look(&flat).unwrap();
                assert_eq!(found.complete, Completeness::Complete);
                assert_eq!(found.bytes, dump.len() as u64);
                let around = found.stream.unwrap();
                assert_eq!((around.bytes, around.behind), (stream, 9000));
                assert_eq!(found.dmesg.as_deref().unwrap(), fixture::dmesg());
                let outcome = found.outcome(fixture::TOKEN);
                assert_eq!(outcome.format, format!("flattened {format}"));
                assert!(outcome.complete && outcome.this_drill);

                let reader = &flat[..];
                let view = FlatFile::open(&reader, flat.len() as u64).unwrap();
                let mut all = vec![0; dump.len()];
                view.read_exact_at(0, &mut all).unwrap();
                assert!(all == dump, "{piece}");
                assert!(view.read_exact_at(1, &mut all).is_err());
            }
        }
    }
}

#[test]
fn a_flattened_dump_without_its_end_is_never_complete() {
    let dump = Machine::new(LogKind::Ring, Mapping::Small, 4).kdump(6, Codec::Plain, 0);
    let flat = fixture::flatten(&dump, 3000);
    for len in (0..flat.len())
        .step_by(997)
        .chain([flat.len() - 1, flat.len() - 16])
    {
        match look(&flat[..len]) {
            Ok(found) => {
                let lack = Lack::StreamCut { len: len as u64 };
                assert_eq!(found.complete, Completeness::Incomplete(lack), "{len}");
            }
            // In its header, or before both writings of the dump's own.
            Err(VmcoreError::Empty | VmcoreError::NotADump { .. }) => assert!(len < 16, "{len}"),
            Err(VmcoreError::Truncated { .. }) => assert!(len < 4096, "{len}"),
            Err(VmcoreError::NoRecords) => assert!(len <= 4096 + 16, "{len}"),
            Err(VmcoreError::Unfinished { lack, .. }) => {
                assert_eq!(lack, Lack::StreamCut { len: len as u64 });
                assert!(len < flat.len() - 1000, "{len}");
            }
            Err(error) => panic!("{len}: {error}"),
        }
    }
    // A device of zeros, or of what was there before.
    for rest in [[0; 20_000], [0x80; 20_000]] {
        let at = flat.len() - 16;
        let found = look(&[&flat[..at], &rest].concat()).unwrap();
        let lack = Lack::StreamBroken { at: at as u64 };
        assert_eq!(found.complete, Completeness::Incomplete(lack));
    }
}

#[test]
fn what_is_no_flattened_dump_is_named() {
    let mut header = fixture::flatten(b"x", 1)[..4096].to_vec();
    let error = look(&header[..100]).unwrap_err();
    assert!(matches!(error, VmcoreError::Truncated { .. }), "{error}");
    for rest in [&[][..], &[0xff; 16], &[0; 16]] {
        let error = look(&[&header[..], rest].concat()).unwrap_err();
        assert!(matches!(error, VmcoreError::NoRecords), "{error}");
    }
    // Not twice.
    let twice = fixture::flatten(&fixture::flatten(b"KDUMP   ", 8), 4096);
    let error = look(&twice).unwrap_err();
    assert!(matches!(error, VmcoreError::NotADump { .. }), "{error}");
    header[31] = 2;
    let error = look(&header).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn a_record_may_reach_as_far_as_it_likes() {
    let mut flat = fixture::flatten(b"\x7fELF", 4);
    flat.truncate(flat.len() - 16);
    flat.extend(i64::MAX.to_be_bytes());
    flat.extend(1i64.to_be_bytes());
    flat.push(1);
    flat.extend(5i64.to_be_bytes());
    flat.extend(i64::MAX.to_be_bytes());
    flat.extend([1; 100]);
    let reader = &flat[..];
    let view = FlatFile::open(&reader, flat.len() as u64).unwrap();
    assert_eq!(view.len(), 1 << 63);
    let mut end = [7; 2];
    view.read_exact_at((1 << 63) - 2, &mut end).unwrap();
    assert_eq!(end, [0, 1]);
    assert!(look(&flat).is_err());
}

#[test]
fn what_a_dump_counts() {
    let machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    let memory = machine.pages.len() as u64;
    let zero = |page: &[u8; 4096]| page.iter().all(|byte| *byte == 0);
    let zeros = machine.pages.values().filter(|page| zero(page)).count() as u64;
    for codec in CODECS {
        let found = look(&machine.kdump(6, codec, 1)).unwrap();
        let dumped = memory - zeros;
        let expected = Frames {
            memory,
            dumped,
            zeros: 0,
        };
        assert_eq!(found.frames, expected);
        assert_eq!(found.frames.left_out(), zeros);
        let pages: u64 = found.packed.iter().map(|packed| packed.pages).sum();
        assert_eq!(pages, dumped);
        let bytes: u64 = found.packed.iter().map(|packed| packed.bytes).sum();
        let names: Vec<_> = found
            .packed
            .iter()
            .map(|packed| packed.compression)
            .collect();
        match codec {
            Codec::Plain => {
                assert_eq!(names, [Compression::None]);
                assert_eq!(bytes, dumped * 4096);
            }
            _ => assert!(!names.is_empty() && bytes < dumped * 4096),
        }
    }
    let all = Frames {
        memory,
        dumped: memory,
        zeros: 0,
    };
    let found = look(&machine.kdump(6, Codec::Lzo, 31)).unwrap();
    assert_eq!(found.frames, Frames { zeros, ..all });
    let pages: u64 = found.packed.iter().map(|packed| packed.pages).sum();
    assert_eq!(pages, memory - zeros);
    let found = look(&machine.elf()).unwrap();
    assert_eq!(found.frames, all);
    assert_eq!(found.dump_level, None);
    assert_eq!(found.cpus, Some(1));
    assert_eq!(found.vmcoreinfo.text("PAGESIZE"), Some("4096"));
    let all: Vec<_> = DumpLevel(31).left_out().collect();
    assert_eq!(all, ["zero", "cache", "private cache", "user", "free"]);
    assert_eq!(DumpLevel(0).left_out().count(), 0);
    assert_eq!(DumpLevel(17).left_out().last(), Some("free"));
}

#[test]
fn a_part_of_a_split_dump_holds_its_own_pages() {
    let machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    let whole = machine.kdump(6, Codec::Lzo, 0);
    let frames = machine.pages.keys().last().unwrap() + 1;
    let first = *machine.pages.keys().nth(3).unwrap();
    // The second of two parts has no descriptors for the first three pages.
    let mut part = whole.clone();
    part.drain(DESCRIPTORS..DESCRIPTORS + 3 * 24);
    part[4096 + 12..4096 + 16].copy_from_slice(&1u32.to_le_bytes());
    part[4096 + 80..4096 + 88].copy_from_slice(&first.to_le_bytes());
    part[4096 + 88..4096 + 96].copy_from_slice(&frames.to_le_bytes());
    let count = machine.pages.len() - 3;
    for slot in 0..count {
        let at = DESCRIPTORS + slot * 24;
        let offset = u64::from_le_bytes(part[at..at + 8].try_into().unwrap()) - 3 * 24;
        part[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    let found = look(&part).unwrap();
    let lack = Lack::Split {
        start: first,
        end: frames,
    };
    assert_eq!(found.complete, Completeness::Incomplete(lack));
    let pages: u64 = found.packed.iter().map(|packed| packed.pages).sum();
    assert_eq!(pages, count as u64);
    let cut = look(&part[..part.len() - 1]).unwrap();
    let Completeness::Incomplete(Lack::Truncated { .. }) = cut.complete else {
        panic!("{:?}", cut.complete);
    };
}

#[test]
fn a_dump_that_is_cut_off_is_never_complete() {
    let machine = Machine::new(LogKind::Ring, Mapping::Large, 4);
    for dump in [
        machine.kdump(6, Codec::Zlib, 1),
        machine.kdump(4, Codec::Plain, 0),
        machine.elf(),
    ] {
        for len in (0..600)
            .chain((600..dump.len()).step_by(149))
            .chain([dump.len() - 1])
        {
            if let Ok(found) = look(&dump[..len]) {
                assert_ne!(found.complete, Completeness::Complete, "{len}");
            }
        }
    }
}

/// No file can be read there: for pread(2) such an offset is an invalid argument, not an end.
#[test]
fn what_lies_beyond_every_file_is_cut_off() {
    let mut dump = Machine::new(LogKind::Ring, Mapping::Small, 4).kdump(6, Codec::Zlib, 1);
    dump[4096 + 32..4096 + 40].fill(0xff);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &dump).unwrap();
    let error = inspect(&file, dump.len() as u64).unwrap_err();
    assert!(matches!(error, VmcoreError::Truncated { .. }), "{error}");
}

/// Offsets in the fixture's kdump files.
const DESCRIPTORS: usize = 5 * 4096;

#[test]
fn what_makedumpfile_leaves_behind_when_it_is_killed_or_out_of_space() {
    let machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    let good = machine.kdump(6, Codec::Lzo, 0);
    let pages = machine.pages.len() as u64;

    let mut flagged = good.clone();
    flagged[424] |= 8;
    let found = look(&flagged).unwrap();
    assert_eq!(found.complete, Completeness::Incomplete(Lack::Flagged));

    let mut unwritten = good.clone();
    unwritten[DESCRIPTORS + 24 * 3..DESCRIPTORS + 24 * 5].fill(0);
    let found = look(&unwritten).unwrap();
    let lack = Lack::PagesMissing { absent: 2, pages };
    assert_eq!(found.complete, Completeness::Incomplete(lack));

    unwritten[DESCRIPTORS..DESCRIPTORS + 24 * pages as usize].fill(0);
    let error = look(&unwritten).unwrap().dmesg.unwrap_err().to_string();
    assert!(error.ends_with("it was never written"), "{error}");

    let mut no_bitmap = good.clone();
    no_bitmap[3 * 4096..DESCRIPTORS].fill(0);
    let found = look(&no_bitmap).unwrap();
    assert_eq!(found.complete, Completeness::Incomplete(Lack::NoPages));

    for (at, bytes) in [(8, u32::MAX.to_le_bytes()), (8, 4097u32.to_le_bytes())] {
        let mut damaged = good.clone();
        damaged[DESCRIPTORS + at..DESCRIPTORS + at + 4].copy_from_slice(&bytes);
        let lack = Lack::PagesMissing { absent: 1, pages };
        assert_eq!(
            look(&damaged).unwrap().complete,
            Completeness::Incomplete(lack)
        );
    }
    let mut outside = good.clone();
    outside[DESCRIPTORS..DESCRIPTORS + 8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(matches!(
        look(&outside).unwrap().complete,
        Completeness::Incomplete(Lack::Truncated { .. })
    ));
}

#[test]
fn what_is_no_dump_is_named() {
    assert!(matches!(look(b""), Err(VmcoreError::Empty)));
    assert!(matches!(look(b"hello"), Err(VmcoreError::NotADump { .. })));
    assert!(matches!(
        look(&[0; 5000]),
        Err(VmcoreError::NotADump { .. })
    ));
    let error = look(b"KDUMP   \x06\0\0\0").unwrap_err();
    assert!(matches!(error, VmcoreError::Truncated { .. }), "{error}");
    for (begins, by) in [
        (&b"\x1f\x8b\x08\0"[..], "gunzip"),
        (b"\xfd7zXZ\0", "xz -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"BZh9", "bunzip2"),
        (b"\x04\x22\x4d\x18", "lz4 -d"),
        (b"DISKDUMP", "diskdump"),
    ] {
        let error = look(begins).unwrap_err().to_string();
        assert!(error.contains(by), "{error}");
    }
    let mut arm = Machine::new(LogKind::Ring, Mapping::Small, 4).kdump(6, Codec::Lzo, 0);
    arm[272..280].copy_from_slice(b"aarch64\0");
    assert!(look(&arm).unwrap_err().to_string().contains("aarch64"));
}

/// Every segment is the same notes, and there are as many as fit into a header's count.
#[test]
fn notes_end_however_many_segments_have_them() {
    let (segments, notes) = (0xfffe_u64, 1 << 16);
    let mut dump = Machine::new(LogKind::Ring, Mapping::Small, 4).elf()[..64].to_vec();
    dump[56..58].copy_from_slice(&(segments as u16).to_le_bytes());
    let at = 64 + 56 * segments;
    for _ in 0..segments {
        dump.extend(4u64.to_le_bytes());
        for word in [at, 0, 0, 12 * notes, 0, 0] {
            dump.extend(word.to_le_bytes());
        }
    }
    dump.resize((at + 12 * notes) as usize, 0);
    let begun = Instant::now();
    let found = look(&dump).unwrap();
    assert_eq!(found.complete, Completeness::Incomplete(Lack::NoPages));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_log_without_end_is_an_error() {
    // Symbols page at PHYS_BASE + 0x3000, log at 6 MiB: see the fixture.
    let mut machine = Machine::new(LogKind::Log, Mapping::Small, 4);
    machine.put(0x60_0000, &[0; 16]);
    machine.put(0x60_0000 + 1200, &[0; 16]);
    let found = look(&machine.elf()).unwrap();
    assert!(matches!(found.dmesg, Err(LogError::Damaged(_))));
    assert_eq!(found.panic, None);

    let mut machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    machine.put(0x60_0000 + 24, &12345u64.to_le_bytes());
    let found = look(&machine.elf()).unwrap();
    assert!(matches!(found.dmesg, Err(LogError::Damaged(_))));

    // The top table points to itself at every level: translation ends all the same.
    let mut machine = Machine::new(LogKind::Ring, Mapping::Small, 4);
    let root = 0x20_1000u64;
    for slot in 0..512 {
        machine.put(root + slot * 8, &(root | 0x63).to_le_bytes());
    }
    assert!(look(&machine.elf()).unwrap().dmesg.is_err());
}

#[test]
fn the_panic_line_is_the_most_telling_one() {
    let of = |log: &str| inspect::panic_line(log);
    let oops = "[    1.000000] SysRq : Trigger a crash\n\
                [    1.000001] BUG: unable to handle kernel NULL pointer dereference at (null)\n";
    let expected = "BUG: unable to handle kernel NULL pointer dereference at (null)";
    assert_eq!(of(oops).as_deref(), Some(expected));
    let sysrq = "[    1.000000] SysRq : Trigger a crash\n";
    assert_eq!(of(sysrq).as_deref(), Some("SysRq : Trigger a crash"));
    assert_eq!(of("[    1.000000] all is well: Kernel panic - no\n"), None);
}

/// Both kinds of log in every format, to be damaged.
static DUMPS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [LogKind::Ring, LogKind::PrintkLog]
        .into_iter()
        .flat_map(|log| {
            let machine = Machine::new(log, Mapping::Small, 4);
            [
                machine.elf(),
                machine.kdump(6, Codec::Plain, 0),
                machine.kdump(6, Codec::Lzo, 1),
                fixture::flatten(&machine.elf(), 700),
                fixture::flatten(&machine.kdump(6, Codec::Zstd, 1), 5000),
            ]
        })
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_damage_makes_it_panic(
        shape in 0..10usize,
        damage in proptest::collection::vec((any::<Index>(), any::<bool>(), any::<[u8; 8]>(), 1..9usize), 1..12),
    ) {
        let mut dump = DUMPS[shape].clone();
        for (at, headers, bytes, count) in damage {
            // Half of it where the lengths and offsets are.
            let range = if headers { 5 * 4096 + 600 } else { dump.len() };
            let at = at.index(range.min(dump.len()));
            for (place, byte) in dump[at..].iter_mut().zip(&bytes[..count]) {
                *place = *byte;
            }
        }
        if let Ok(found) = look(&dump) {
            let _ = found.has_token(fixture::TOKEN);
        }
    }
}
