use super::*;

const FIXTURES: [(&str, &[u8]); 4] = [
    ("v2", include_bytes!("../../../tests/disks/qcow2-v2.qcow2")),
    ("v3", include_bytes!("../../../tests/disks/qcow2-v3.qcow2")),
    (
        "zlib",
        include_bytes!("../../../tests/disks/qcow2-zlib.qcow2"),
    ),
    (
        "zstd",
        include_bytes!("../../../tests/disks/qcow2-zstd.qcow2"),
    ),
];

/// What tests/disks/make.sh puts into each of them.
fn content() -> Vec<u8> {
    let mut disk = vec![0; 24 << 10];
    let text = b"crashdrill fixture\n";
    for (byte, text) in disk[..5000].iter_mut().zip(text.iter().cycle()) {
        *byte = *text;
    }
    let mut state: u64 = 1;
    for byte in &mut disk[12288..13312] {
        state = (state * 1_103_515_245 + 12345) & 0x7fff_ffff;
        *byte = (state >> 16) as u8;
    }
    disk[24000..24007].copy_from_slice(b"the end");
    disk
}

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn converted(image: &[u8]) -> Result<File, Qcow2Error> {
    let disk = tempfile::tempfile().unwrap();
    convert(&file(image), &disk).map(|()| disk)
}

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = FIXTURES[1].1.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

#[test]
fn images_of_qemu_img_are_read() {
    for (name, image) in FIXTURES {
        assert!(is_qcow2(&file(image)).unwrap(), "{name}");
        let disk = converted(image).unwrap();
        let mut bytes = vec![0; disk.metadata().unwrap().len() as usize];
        disk.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == content(), "{name}");
    }
    assert!(!is_qcow2(&file(b"QFI")).unwrap());
    assert!(!is_qcow2(&file(&[0; 512])).unwrap());
}

#[test]
fn compressed_clusters_are_in_the_fixtures() {
    for (name, image) in &FIXTURES[2..] {
        let text = b"crashdrill fixture\ncrashdrill fixture\n";
        let plain = image.windows(text.len()).any(|bytes| bytes == text);
        assert!(!plain, "{name}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (at, bytes, wanted) in [
        (4, &[0, 0, 0, 1][..], "version 1"),
        (8, &[0, 0, 0, 0, 0, 0, 2, 0], "backing file"),
        (32, &[0, 0, 0, 2], "encrypted"),
        (79, &[2], "marked it as corrupt"),
        (79, &[4], "external data file"),
        (79, &[16], "extended L2"),
        (78, &[1], "features 0x100"),
        (20, &[0, 0, 0, 8], "2^8 bytes"),
        (20, &[0, 0, 0, 60], "2^60 bytes"),
        (24, &[0xff; 8], "a disk of 18446744073709551615 bytes"),
        (28, &[0xff; 4], "its first table has"),
        (36, &[0; 4], "its first table has 0 entries"),
        (
            40,
            &[0, 0xff, 0, 0, 0, 0, 0, 0],
            "the file ends before its first table",
        ),
        (40, &[0xff; 8], "its first table is said to be at"),
    ] {
        let error = converted(&with(at, bytes)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let mut unknown = with(79, &[8]);
    unknown[104] = 7;
    let error = converted(&unknown).unwrap_err().to_string();
    assert!(error.contains("method 7"), "{error}");
    // Wrong reference counts alone do no harm.
    assert!(converted(&with(79, &[1])).is_ok());
}

#[test]
fn a_few_clusters_cannot_stand_for_more_than_is_allowed() {
    // Every entry of both tables leads to the same 2 MiB.
    let cluster = 2 << 20;
    let mut image = vec![0; 3 * cluster];
    image[..HEADER].copy_from_slice(&FIXTURES[1].1[..HEADER]);
    image[20..24].copy_from_slice(&21u32.to_be_bytes());
    image[24..32].copy_from_slice(&MAX_SIZE.0.to_be_bytes());
    image[36..40].copy_from_slice(&2u32.to_be_bytes());
    image[40..48].copy_from_slice(&(cluster as u64).to_be_bytes());
    for entry in image[cluster..cluster + 16].chunks_exact_mut(8) {
        entry.copy_from_slice(&(2 * cluster as u64).to_be_bytes());
    }
    let second = 2 * cluster;
    for entry in image[second..].chunks_exact_mut(8) {
        entry.copy_from_slice(&ZERO.to_be_bytes());
    }
    // Zeros cost nothing, however many.
    let disk = converted(&image).unwrap();
    assert_eq!(disk.metadata().unwrap().len(), MAX_SIZE.0);
    let header = Header::read(&file(&image)).unwrap();
    assert_eq!(header.l1_entries, 2);
}

#[test]
fn damage_is_an_error_or_other_content_and_never_a_panic() {
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut errors = 0;
    for (_, image) in FIXTURES {
        for _ in 0..1500 {
            let mut image = image.to_vec();
            for _ in 0..=random(3) {
                // Most often where the tables and the header are.
                let at = match random(3) {
                    0 => random(HEADER),
                    _ => random(image.len()),
                };
                image[at] = random(256) as u8;
            }
            if random(4) == 0 {
                image.truncate(random(image.len()));
            }
            errors += usize::from(converted(&image).is_err());
        }
    }
    assert!(errors > 500, "{errors}");
}
