use std::io::Write;
use std::sync::LazyLock;

use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use proptest::prelude::*;

use super::payload::decompress_within;
use super::*;
use crate::image::elf::made;

/// An ELF kernel as small as can be: code that ends with zeros, data, and notes.
pub(in super::super) fn vmlinux(pvh: bool) -> Vec<u8> {
    let mut code =
        b"\x90\x90Linux version %s\nLinux version 6.1.0-50-amd64 (gcc) #1 SMP\n\0".to_vec();
    // E8 calls, so that the x86 filter has something to do; and something to compress.
    for at in 0..4000_u32 {
        code.push(0xe8);
        code.extend_from_slice(&(at * 7).to_le_bytes());
    }
    code.resize(24 << 10, 0);
    let note = |kind: u32, name: &[u8; 4], value: &[u8]| {
        let mut note = Vec::new();
        for word in [4, value.len() as u32, kind] {
            note.extend_from_slice(&word.to_le_bytes());
        }
        note.extend_from_slice(name);
        note.extend_from_slice(value);
        note
    };
    let mut notes = note(6, b"Xen\0", b"linu");
    notes.extend(note(18, b"Sun\0", &[0; 8]));
    if pvh {
        notes.extend(note(18, b"Xen\0", &0x100_0850_u64.to_le_bytes()));
    }
    let mut file = made::IDENT.to_vec();
    file.extend(made::halves(&[2, 62, 1, 0]));
    file.extend(made::longs(&[0x100_0000, 64, 0]));
    file.extend(made::halves(&[0, 0, 64, 56, 2, 64, 0, 0]));
    let segment = |file: &mut Vec<u8>, kind: u16, at: u64, address: u64, size: u64, memory: u64| {
        file.extend(made::halves(&[kind, 0, 7, 0]));
        file.extend(made::longs(&[at, address, address, size, memory, 4]));
    };
    let (code_at, size) = (0x1000_u64, code.len() as u64);
    segment(&mut file, 1, code_at, 0x100_0000, size, size + 4096);
    segment(
        &mut file,
        4,
        code_at + size,
        0x200_0000,
        notes.len() as u64,
        notes.len() as u64,
    );
    file.resize(0x1000, 0);
    file.extend(code);
    file.extend(notes);
    // Relocations for KASLR follow the ELF file in a real payload.
    file.extend([0xaa; 400]);
    file
}

pub(in super::super) fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 3 * 512];
    file[0x1f1] = 2;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    file[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    file[0x248..0x24c].copy_from_slice(&64_u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file[0x300..0x320].copy_from_slice(b"3.10.0-514.el7.x86_64 (mock@x)\0\0");
    file.extend([0x90; 64]);
    file.extend_from_slice(payload);
    file.extend([0; 100]);
    file
}

fn with_size(mut packed: Vec<u8>, plain: &[u8]) -> Vec<u8> {
    packed.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    packed
}

/// The payload of each compressor but lzo, of which no encoder is at hand.
pub(in super::super) fn payloads(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(plain).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(plain).unwrap();
    let lzma = |stream: Stream| {
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    };
    let options = LzmaOptions::new_preset(6).unwrap();
    let mut filters = Filters::new();
    filters.x86().lzma2(&options);
    let mut lz4 = 0x184c_2102_u32.to_le_bytes().to_vec();
    for chunk in plain.chunks(8 << 20) {
        let packed = lz4_flex::block::compress(chunk);
        lz4.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        lz4.extend(packed);
    }
    let zstd =
        ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest);
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("bzip2", with_size(bzip2.finish().unwrap(), plain)),
        (
            "lzma",
            with_size(lzma(Stream::new_lzma_encoder(&options).unwrap()), plain),
        ),
        (
            "xz",
            with_size(
                lzma(Stream::new_stream_encoder(&filters, Check::Crc32).unwrap()),
                plain,
            ),
        ),
        ("lz4", with_size(lz4, plain)),
        ("zstd", with_size(zstd, plain)),
    ]
}

/// What fixtures/words.lzo holds, as `lzop -9` packed it.
fn words() -> Vec<u8> {
    let mut text = Vec::new();
    let mut n: u64 = 0x2545_f491;
    for word in 0..9000 {
        n = (n * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        write!(text, "word{} ", (n >> 16) % 37).unwrap();
        if word % 1000 == 999 {
            text.resize(text.len() + 9000, 0);
            text.extend((0..40).map(|at| (n >> (8 * (at % 3))) as u8));
        }
    }
    text
}

const WORDS: &[u8] = include_bytes!("fixtures/words.lzo");

#[test]
fn every_compression_of_the_kernel_is_read() {
    let plain = vmlinux(true);
    for (name, payload) in payloads(&plain) {
        let file = bzimage(&payload);
        let image = BzImage::parse(&file).unwrap();
        assert_eq!(image.release, Some("3.10.0-514.el7.x86_64"));
        assert!(decompress(image.payload).unwrap() == plain, "{name}");
    }
    let plain = words();
    assert!(plain.len() > 128 << 10);
    assert!(
        decompress(&with_size(WORDS.to_vec(), &plain)).unwrap() == plain,
        "lzo"
    );
}

#[test]
fn damage_is_an_error() {
    let plain = vmlinux(true);
    let all = payloads(&plain)
        .into_iter()
        .chain([("lzo", with_size(WORDS.to_vec(), &words()))]);
    for (name, payload) in all {
        let half = with_size(payload[..payload.len() / 2].to_vec(), &plain);
        assert!(decompress(&half).is_err(), "{name} cut");
        let mut other = payload.clone();
        let last = other.len() - 1;
        other[last] ^= 1;
        assert!(decompress(&other).is_err(), "{name} size");
    }
    assert!(matches!(
        decompress(b"????????"),
        Err(PayloadError::Unknown { .. })
    ));
    assert!(matches!(decompress(b""), Err(PayloadError::Unknown { .. })));
}

#[test]
fn what_never_ends_is_cut_off() {
    let plain = words();
    let all = payloads(&plain)
        .into_iter()
        .chain([("lzo", with_size(WORDS.to_vec(), &plain))]);
    for (name, payload) in all {
        assert!(decompress_within(&payload, plain.len()).is_ok(), "{name}");
        let error = decompress_within(&payload, plain.len() - 1).unwrap_err();
        assert!(
            matches!(error, PayloadError::TooLarge { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_kernel_with_the_note_is_stored_uncompressed() {
    let plain = vmlinux(true);
    let directory = tempfile::tempdir().unwrap();
    for kernel in [plain.clone(), bzimage(&payloads(&plain)[3].1)] {
        let (converted, release) = convert(&kernel, directory.path()).unwrap();
        assert_eq!(
            (converted, release.as_str()),
            (Converted::Uncompressed, "6.1.0-50-amd64")
        );
        let Kernel { boot, capture, .. } = converted.kernel(directory.path(), release);
        let (BootKernel::Pvh(boot), CaptureKernel::Unpacked(capture)) = (boot, capture) else {
            panic!()
        };
        let (boot, capture) = (
            std::fs::read(boot).unwrap(),
            std::fs::read(capture).unwrap(),
        );

        assert!(boot.len() < plain.len() - 3000);
        assert!(Vmlinux::parse(&boot).unwrap().has_pvh_note());
        // Entry and program headers where the loader looks for them.
        assert_eq!(boot[24..40], plain[24..40]);

        let number = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
        assert_eq!(&capture[0x202..0x206], b"HdrS");
        assert_eq!(&capture[0x300..0x30e], b"6.1.0-50-amd64");
        // Two megabytes of room for the entry, then the kernel with its memory size.
        assert_eq!(number(0x260), (2 << 20) + (24 << 10) + 4096);
        // The entry jumps to the kernel's first byte.
        let entry = 0x400 + 0x200;
        assert_eq!(capture[entry..entry + 3], [0x48, 0x8d, 0x05]);
        assert_eq!(entry + 7 + number(entry + 3) as usize, 0x400 + (2 << 20));
        assert_eq!(capture[entry + 7..entry + 9], [0xff, 0xe0]);
        let code = &capture[0x400 + (2 << 20)..];
        assert_eq!(*code, plain[0x1000..0x1000 + code.len()]);
        assert!(
            plain[0x1000 + code.len()..0x1000 + (24 << 10)]
                .iter()
                .all(|byte| *byte == 0)
        );
    }
}

#[test]
fn a_kernel_without_the_note_stays_a_bzimage() {
    let plain = vmlinux(false);
    let directory = tempfile::tempdir().unwrap();
    let kernel = bzimage(&payloads(&plain)[0].1);
    let (converted, release) = convert(&kernel, directory.path()).unwrap();
    assert_eq!(
        (converted, release.as_str()),
        (Converted::BzImage, "3.10.0-514.el7.x86_64")
    );
    let Kernel {
        boot: BootKernel::BzImage(boot),
        ..
    } = converted.kernel(directory.path(), release)
    else {
        panic!()
    };
    assert!(std::fs::read(boot).unwrap() == kernel);
    let error = convert(&plain, directory.path()).unwrap_err();
    assert!(matches!(error, KernelError::NoPvhNote), "{error}");
    assert!(error.to_string().contains("bzImage"));
}

#[test]
fn the_configuration_inside_a_kernel_is_kept() {
    let inside = super::config::tests::kernel_with(b"CONFIG_KEXEC=y\n");
    // Behind the segments, as far as `Vmlinux` cares.
    let plain = |pvh| [vmlinux(pvh), inside.clone()].concat();
    for kernel in [plain(true), bzimage(&payloads(&plain(false))[0].1)] {
        let directory = tempfile::tempdir().unwrap();
        let (converted, release) = convert(&kernel, directory.path()).unwrap();
        let config = converted.kernel(directory.path(), release).built_with();
        assert_eq!(config.unwrap().setting("KEXEC"), Setting::Yes);
    }
    let directory = tempfile::tempdir().unwrap();
    let (converted, release) = convert(&vmlinux(true), directory.path()).unwrap();
    let kernel = converted.kernel(directory.path(), release);
    assert_eq!(kernel.config, None);
    assert_eq!(kernel.built_with().unwrap(), KernelConfig::UNKNOWN);
}

#[test]
fn what_is_no_kernel_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = |file: &[u8]| convert(file, directory.path()).unwrap_err().to_string();
    assert!(error(b"").contains("neither a bzImage"));
    assert!(error(b"\x7fELF\x01").contains("ELF"));
    let mut old = bzimage(b"");
    old[0x206] = 4;
    assert!(error(&old).contains("2.04 is too old"));
    let mut cut = bzimage(&[0; 2000]);
    cut.truncate(3000);
    assert!(error(&cut).contains("cut short"));
    let mut arm = vmlinux(true);
    arm[18] = 183;
    assert!(error(&arm).contains("another machine"));
}

/// What the edits below are made on.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let small: Vec<u8> = words().into_iter().take(3000).collect();
    let mut seeds: Vec<_> = payloads(&small)
        .into_iter()
        .map(|(_, payload)| payload)
        .collect();
    seeds.push(with_size(WORDS.to_vec(), &words()));
    seeds.push(vmlinux(true));
    seeds.push(bzimage(b"\x1f\x8b"));
    seeds.push(super::config::tests::kernel_with(b"CONFIG_KEXEC=y\n"));
    seeds
});

proptest! {
    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for mut file in SEEDS.iter().cloned().chain([bytes]) {
            for (at, value) in &edits {
                if !file.is_empty() {
                    let at = at.index(file.len().min(4096));
                    file[at] = *value;
                }
            }
            let _ = decompress(&file);
            let _ = KernelConfig::inside(&file);
            let _ = BzImage::parse(&file);
            if let Ok(vmlinux) = Vmlinux::parse(&file) {
                vmlinux.has_pvh_note();
                let _ = vmlinux.release();
                let _ = vmlinux.trimmed();
                let _ = super::unpacked::bzimage(&vmlinux, "6.1");
            }
        }
    }
}
