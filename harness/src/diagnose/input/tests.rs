use std::io::Write;

use proptest::prelude::*;

use super::*;

const LOG: &[u8] =
    b"[    0.000000] Linux version 3.10.0\n[    1.5] Kernel panic - not syncing: x\n";

fn read(data: &[u8]) -> (Vec<u8>, Result<(), ReadError>) {
    let mut out = Vec::new();
    let result = feed(data, |piece| out.extend_from_slice(piece));
    (out, result)
}

/// Long enough for several blocks of every format, and not all the same.
fn long() -> Vec<u8> {
    (0..20_000u32)
        .flat_map(|n| {
            format!(
                "[{n:>12}.{:06}] line\n",
                n.wrapping_mul(2_654_435_761) % 1_000_000
            )
            .into_bytes()
        })
        .collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
}

type Compress = fn(&[u8]) -> Vec<u8>;
const FORMATS: [(&str, Compress); 4] =
    [("gzip", gzip), ("bzip2", bzip2), ("xz", xz), ("zstd", zstd)];

#[test]
fn each_format_is_known_by_its_content() {
    for data in [LOG.to_vec(), long(), b"x".to_vec(), Vec::new()] {
        let (out, result) = read(&data);
        result.unwrap();
        assert_eq!(out, data);
        for (name, compress) in FORMATS {
            let (out, result) = read(&compress(&data));
            assert!(result.is_ok(), "{name}: {result:?}");
            assert!(out == data, "{name}: {} of {}", out.len(), data.len());
        }
    }
}

#[test]
fn members_follow_one_another() {
    for (name, compress) in FORMATS {
        let packed = [compress(LOG), compress(&long()), compress(LOG)].concat();
        let (out, result) = read(&packed);
        assert!(result.is_ok(), "{name}: {result:?}");
        assert!(out == [LOG, &long(), LOG].concat(), "{name}");
    }
}

#[test]
fn zstd_frames_to_be_skipped_are() {
    let skip = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"meta"].concat();
    let packed = [&skip[..], &zstd(LOG), &skip, &zstd(LOG)].concat();
    let (out, result) = read(&packed);
    result.unwrap();
    assert_eq!(out, [LOG, LOG].concat());
    assert!(matches!(
        read(&skip[..10]).1,
        Err(ReadError::Truncated("zstd"))
    ));
}

#[test]
fn what_precedes_a_cut_is_read() {
    let data = long();
    for (name, compress) in FORMATS {
        let packed = compress(&data);
        let (out, result) = read(&packed[..packed.len() * 3 / 4]);
        assert!(
            matches!(result, Err(ReadError::Truncated(format)) if format == name),
            "{name}: {result:?}"
        );
        assert!(data.starts_with(&out), "{name}");
        assert!(
            out.len() > data.len() / 2,
            "{name}: {} of {}",
            out.len(),
            data.len()
        );
    }
}

#[test]
fn what_precedes_damage_is_read() {
    let data = long();
    for (name, compress) in FORMATS {
        let mut packed = compress(&data);
        let middle = packed.len() * 3 / 4;
        packed[middle..middle + 200].fill(0xff);
        let (out, result) = read(&packed);
        match name {
            // ruzstd is built without check sums: what still decodes is taken.
            "zstd" => {}
            _ => assert!(
                matches!(result, Err(ReadError::Damaged { format, .. }) if format == name),
                "{name}: {result:?}"
            ),
        }
        assert!(
            out.len() > data.len() / 2,
            "{name}: {} of {}",
            out.len(),
            data.len()
        );
        assert!(data.starts_with(&out[..data.len() / 2]), "{name}");
    }
}

#[test]
fn windows_are_bounded() {
    // A frame without content size: descriptor 0, window 2^(10 + 21) bytes.
    let (_, result) = read(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0]);
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("128 MiB") && error.contains("--long=31"),
        "{error}"
    );

    let mut packed = xz(LOG);
    // The block header: its size, flags, LZMA2's id, the length and the byte that is the
    // dictionary's size, padding, check sum. 40 is 4 GiB.
    let header = 12;
    let length = (usize::from(packed[header]) + 1) * 4 - 4;
    assert_eq!(packed[header + 2..header + 4], [0x21, 1]);
    packed[header + 4] = 40;
    let mut sum = flate2::Crc::new();
    sum.update(&packed[header..header + length]);
    packed[header + length..header + length + 4].copy_from_slice(&sum.sum().to_le_bytes());
    let error = read(&packed).1.unwrap_err().to_string();
    assert!(
        error.contains("128 MiB") && error.contains("xz -dc"),
        "{error}"
    );
}

#[test]
fn what_is_no_log_says_how_to_get_one() {
    for (head, wanted) in [
        (&b"\x04\x22\x4d\x18rest"[..], "lz4 -dc"),
        (b"PK\x03\x04rest", "zip"),
        (b"LPKSHHRH", "journalctl --file"),
        (b"KDUMP   \x06", "vmcore --dmesg"),
        (b"\x7fELF\x02", "vmcore --dmesg"),
    ] {
        let (out, result) = read(head);
        assert!(out.is_empty());
        let error = result.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    // Texts that only begin like an archive.
    for text in [
        &b"BZh91 is a postcode\n"[..],
        b"PK",
        b"7z: error\n",
        b"\x1f\x8b",
    ] {
        let (out, result) = read(text);
        result.unwrap();
        assert_eq!(out, text);
    }
}

#[test]
fn errors_of_the_system_stay_what_they_are() {
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::from_raw_os_error(libc::EIO)),
                length => Ok(length),
            }
        }
    }
    let data = long();
    for (name, compress) in FORMATS {
        let packed = compress(&data);
        let mut length = 0;
        let result = feed(Broken(&packed[..packed.len() / 2]), |piece| {
            length += piece.len()
        });
        assert!(
            matches!(&result, Err(ReadError::Io(error)) if error.raw_os_error() == Some(libc::EIO)),
            "{name}: {result:?}"
        );
        assert!(length > data.len() / 4, "{name}");
    }
    assert!(matches!(feed(Broken(LOG), |_| {}), Err(ReadError::Io(_))));
}

#[test]
fn a_directory_is_no_log() {
    assert!(matches!(open(Path::new("/")), Err(ReadError::Directory)));
    let missing = open(Path::new("/nowhere/console.log")).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_panics(mut data in prop::collection::vec(any::<u8>(), 0..400), format in 0usize..4, at in 0usize..200, with: u8) {
        let _ = read(&data);
        let mut packed = FORMATS[format].1(&data);
        let at = at % packed.len();
        packed[at] = with;
        let _ = read(&packed);
        data.truncate(at);
        let _ = read(&data);
    }
}
