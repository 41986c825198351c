//! The least ISO 9660 (ECMA-119) file system: some files in the root directory, each in one piece.
//!
//! Linux shows names of this kind in small letters and without their version, and lets everybody
//! read and execute the files (fs/isofs/dir.c, inode.c). Other systems' limits on names do not
//! matter here.

use std::io::{self, Write};

const SECTOR: usize = 2048;
/// Sectors before the descriptors, for boot loaders.
const SYSTEM_AREA: usize = 16;
const PATH_TABLE_LE: u32 = 18;
const PATH_TABLE_BE: u32 = 19;
const ROOT: u32 = 20;
/// The path table has the root alone.
const PATH_TABLE_LEN: u32 = 10;
const DIRECTORY: u8 = 2;
/// 1 January 2000: nobody asks when.
const TIME: [u8; 7] = [100, 1, 1, 0, 0, 0, 0];

/// A file: its name in small letters, and what is in it.
pub(super) struct File<'a> {
    pub(super) name: &'static str,
    pub(super) bytes: &'a [u8],
}

/// Writes a file system with these files; their names have to fit into a sector together, and
/// `label` into 32 bytes.
pub(super) fn write(label: &str, files: &[File<'_>], to: &mut dyn Write) -> io::Result<()> {
    let mut root = Vec::new();
    root.extend(record(&[0], ROOT, SECTOR as u32, DIRECTORY));
    root.extend(record(&[1], ROOT, SECTOR as u32, DIRECTORY));
    let mut next = ROOT + 1;
    // In the order of their names, as the standard wants it.
    let mut files: Vec<&File<'_>> = files.iter().collect();
    files.sort_by_key(|file| file.name);
    for file in &files {
        let len = u32::try_from(file.bytes.len()).map_err(io::Error::other)?;
        let name = format!("{}.;1", file.name.to_ascii_uppercase());
        root.extend(record(name.as_bytes(), next, len, 0));
        next += len.div_ceil(SECTOR as u32);
    }
    if root.len() > SECTOR || label.len() > 32 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    to.write_all(&[0; SYSTEM_AREA * SECTOR])?;
    sector(to, &primary(label, next))?;
    sector(to, b"\xffCD001\x01")?;
    for big in [false, true] {
        sector(to, &path_table(big))?;
    }
    sector(to, &root)?;
    for file in files {
        for part in file.bytes.chunks(SECTOR) {
            sector(to, part)?;
        }
    }
    Ok(())
}

fn sector(to: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    let mut whole = [0; SECTOR];
    whole[..bytes.len()].copy_from_slice(bytes);
    to.write_all(&whole)
}

/// Numbers are there in both orders of bytes.
fn both32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&number.to_le_bytes());
    both[4..].copy_from_slice(&number.to_be_bytes());
    both
}

fn both16(number: u16) -> [u8; 4] {
    let [low, high] = number.to_le_bytes();
    [low, high, high, low]
}

/// A directory record (9.1).
fn record(name: &[u8], extent: u32, len: u32, flags: u8) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both32(extent));
    record.extend(both32(len));
    record.extend(TIME);
    record.extend([flags, 0, 0]);
    record.extend(both16(1));
    record.push(name.len() as u8);
    record.extend(name);
    if !record.len().is_multiple_of(2) {
        record.push(0);
    }
    record[0] = record.len() as u8;
    record
}

/// The primary volume descriptor (8.4).
fn primary(label: &str, sectors: u32) -> Vec<u8> {
    let mut primary = b"\x01CD001\x01\0".to_vec();
    primary.extend([b' '; 32]);
    primary.extend(format!("{label:32}").into_bytes());
    primary.extend([0; 8]);
    primary.extend(both32(sectors));
    primary.extend([0; 32]);
    // A set of one volume, the first; the size of a sector.
    for number in [1, 1, SECTOR as u16] {
        primary.extend(both16(number));
    }
    primary.extend(both32(PATH_TABLE_LEN));
    primary.extend(PATH_TABLE_LE.to_le_bytes());
    primary.extend([0; 4]);
    primary.extend(PATH_TABLE_BE.to_be_bytes());
    primary.extend([0; 4]);
    primary.extend(record(&[0], ROOT, SECTOR as u32, DIRECTORY));
    // Five names of 128 bytes and three of 37.
    primary.extend([b' '; 4 * 128 + 3 * 37]);
    for _ in 0..4 {
        primary.extend(b"0000000000000000\0");
    }
    // The structure's version.
    primary.push(1);
    primary
}

fn path_table(big: bool) -> Vec<u8> {
    let (extent, parent) = match big {
        false => (ROOT.to_le_bytes(), 1u16.to_le_bytes()),
        true => (ROOT.to_be_bytes(), 1u16.to_be_bytes()),
    };
    let mut table = vec![1, 0];
    table.extend(extent);
    table.extend(parent);
    table.extend([0, 0]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8], at: usize) -> usize {
        let field = |range: std::ops::Range<usize>| bytes[range].try_into().unwrap();
        let little = u32::from_le_bytes(field(at..at + 4));
        assert_eq!(little, u32::from_be_bytes(field(at + 4..at + 8)));
        little as usize
    }

    /// As fs/isofs reads it.
    fn read(disk: &[u8]) -> Vec<(String, Vec<u8>)> {
        let primary = &disk[16 * SECTOR..17 * SECTOR];
        assert_eq!(&primary[..7], b"\x01CD001\x01");
        assert_eq!(number(primary, 80) * SECTOR, disk.len());
        assert_eq!(primary[881], 1);
        let root = &primary[156..190];
        let at = number(root, 2) * SECTOR;
        let mut directory = &disk[at..at + number(root, 10)];
        let mut files = Vec::new();
        while directory[0] != 0 {
            let (record, rest) = directory.split_at(usize::from(directory[0]));
            directory = rest;
            if record[25] & DIRECTORY != 0 {
                assert_eq!(number(record, 2), ROOT as usize);
                continue;
            }
            let name = &record[33..33 + usize::from(record[32])];
            let name = String::from_utf8(name.to_vec()).unwrap();
            let name = name.strip_suffix(".;1").unwrap().to_lowercase();
            let at = number(record, 2) * SECTOR;
            files.push((name, disk[at..at + number(record, 10)].to_vec()));
        }
        files
    }

    #[test]
    fn files_are_where_the_directory_says() {
        let agent: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let files = [
            ("user-data", &b"#cloud-config\n"[..]),
            ("agent", &agent),
            ("empty", b""),
            ("meta-data", &[7; SECTOR]),
        ];
        let given = files.map(|(name, bytes)| File { name, bytes });
        let mut disk = Vec::new();
        write("cidata", &given, &mut disk).unwrap();
        assert_eq!(&disk[16 * SECTOR + 40..16 * SECTOR + 47], b"cidata ");
        let mut wanted = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
        wanted.sort();
        assert_eq!(read(&disk), wanted);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let label = "x".repeat(33);
        assert!(write(&label, &[], &mut Vec::new()).is_err());
    }
}
