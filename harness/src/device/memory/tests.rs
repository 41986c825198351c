use proptest::prelude::*;

use super::*;

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

#[test]
fn across_a_border_and_beyond() {
    let mut memory = Memory::default();
    memory.map((0x1000, 4), (file(b"abcd"), 0), true).unwrap();
    memory.map((0x1004, 4), (file(b"..efgh"), 2), true).unwrap();
    let mut data = [0; 8];
    memory.read(0x1000, &mut data).unwrap();
    assert_eq!(&data, b"abcdefgh");
    memory.write(0x1002, b"1234").unwrap();
    memory.read(0x1000, &mut data).unwrap();
    assert_eq!(&data, b"ab1234gh");
    for (address, length) in [(0xfff, 2), (0x1007, 2), (u64::MAX, 2)] {
        let mut data = vec![0; length];
        assert!(memory.read(address, &mut data).is_err(), "{address:#x}");
        assert!(memory.write(address, &data).is_err(), "{address:#x}");
    }
    memory.unmap(0x1004, 4);
    assert!(memory.read(0x1004, &mut [0]).is_err());
    assert!(memory.read(0x1003, &mut [0]).is_ok());
}

#[test]
fn read_only_and_cut_short() {
    let mut memory = Memory::default();
    memory.map((0, 2), (file(b"ab"), 0), false).unwrap();
    assert!(memory.write(0, b"x").is_err());
    let later_cut = file(&[0; 4096]);
    let same = later_cut.try_clone().unwrap();
    memory.map((2, 4096), (later_cut, 0), true).unwrap();
    same.set_len(2).unwrap();
    assert!(memory.read(2, &mut [0; 2]).is_ok());
    assert!(memory.read(2, &mut [0; 4]).is_err());
}

#[test]
fn mappings_that_make_no_sense() {
    let mut memory = Memory::default();
    memory.map((0x1000, 16), (file(&[0; 16]), 0), true).unwrap();
    for (address, size, offset) in [
        (0, 0, 0),
        (u64::MAX, 2, 0),
        (0, 2, u64::MAX),
        (0xfff, 2, 0),
        // Beyond the end of the file.
        (0, 17, 0),
        (0, 16, 1),
    ] {
        let bad = memory.map((address, size), (file(&[0; 16]), offset), true);
        assert_eq!(bad, Err(BadMapping), "{address:#x} {size} {offset:#x}");
    }
}

/// What could keep a thread waiting is no memory.
#[test]
fn pipes_directories_and_devices() {
    let mut memory = Memory::default();
    let (reader, writer) = std::io::pipe().unwrap();
    let pipes = [reader.into(), writer.into()].map(|fd: std::os::fd::OwnedFd| File::from(fd));
    let others = ["/", "/dev/zero"].map(|path| File::open(path).unwrap());
    for file in pipes.into_iter().chain(others) {
        let bad = memory.map((0, 1), (file, 0), true);
        assert_eq!(bad, Err(BadMapping));
    }
}

#[test]
fn no_more_mappings_than_a_machine_has() {
    let mut memory = Memory::default();
    let one = file(b"a");
    let mut map = |n| memory.map((n, 1), (one.try_clone().unwrap(), 0), false);
    for n in 0..MOST as u64 {
        map(n).unwrap();
    }
    assert_eq!(map(MOST as u64), Err(BadMapping));
    memory.unmap_all();
    assert!(memory.read(0, &mut [0]).is_err());
}

proptest! {
    /// Reads see what a byte array of the whole address space would have, and only where all of it
    /// is mapped.
    #[test]
    fn as_one_array(
        maps in prop::collection::vec((0u64..200, 1u64..60, 0u64..20), 0..6),
        writes in prop::collection::vec((0u64..280, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        unmapped in (0u64..200, 0u64..200),
        read in (0u64..280, 0usize..80),
    ) {
        let mut memory = Memory::default();
        let mut model = vec![None; 400];
        let mut placed = Vec::new();
        for (address, size, offset) in maps {
            let bytes: Vec<u8> = (0..size + offset).map(|n| (n * 7 + address) as u8).collect();
            let range = address as usize..(address + size) as usize;
            let free = model[range.clone()].iter().all(Option::is_none);
            let mapped = memory.map((address, size), (file(&bytes), offset), true);
            prop_assert_eq!(mapped.is_ok(), free);
            if free {
                for (byte, to) in bytes[offset as usize..].iter().zip(&mut model[range]) {
                    *to = Some(*byte);
                }
                placed.push((address, size));
            }
        }
        for (address, bytes) in writes {
            let to = &mut model[address as usize..address as usize + bytes.len()];
            let there = to.iter().all(Option::is_some);
            prop_assert_eq!(memory.write(address, &bytes).is_ok(), there);
            // What can be written before the first hole is.
            let until = to.iter().position(Option::is_none).unwrap_or(to.len());
            for (byte, to) in bytes.iter().zip(&mut to[..until]) {
                *to = Some(*byte);
            }
        }
        memory.unmap(unmapped.0, unmapped.1);
        for (address, size) in placed {
            if address >= unmapped.0 && address + size <= unmapped.0 + unmapped.1 {
                model[address as usize..(address + size) as usize].fill(None);
            }
        }
        let expected: Option<Vec<u8>> = model[read.0 as usize..read.0 as usize + read.1].iter().copied().collect();
        let mut data = vec![0; read.1];
        let found = memory.read(read.0, &mut data).ok().map(|()| data);
        prop_assert_eq!(found, expected);
    }
}
