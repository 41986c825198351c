use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const TEXT: &str = "#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.1.170 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0 \\\"=y\\\"\"
CONFIG_LOG_BUF_SHIFT=17
CONFIG_PHYSICAL_START=0x1000000
CONFIG_RANGE=-1

# CONFIG_IKCONFIG is not set
CONFIG_KEXEC=y
CONFIG_VIRTIO_PCI=m
CONFIG_EMPTY=\"\"
";

/// A kernel with a configuration in it, as kernel/configs.c lays it out.
pub(in super::super) fn kernel_with(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(text).unwrap();
    let packed = gzip.finish().unwrap();
    // The words alone come before it, as in the kernel's own strings.
    [
        b"\x7fELF IKCFG_ST, ".as_slice(),
        IKCONFIG,
        &packed,
        IKCONFIG_END,
        b"more",
    ]
    .concat()
}

#[test]
fn how_symbols_are_set() {
    let config = KernelConfig::parse(TEXT.as_bytes()).unwrap();
    for (symbol, setting) in [
        ("KEXEC", Setting::Yes),
        ("VIRTIO_PCI", Setting::Module),
        ("IKCONFIG", Setting::No),
        ("NEVER_HEARD_OF", Setting::No),
        ("LOG_BUF_SHIFT", Setting::Yes),
        ("EMPTY", Setting::Yes),
    ] {
        assert_eq!(config.setting(symbol), setting, "{symbol}");
        assert_eq!(KernelConfig::UNKNOWN.setting(symbol), Setting::Unknown);
    }
    // Fragments are put behind each other.
    let merged = format!("{TEXT}CONFIG_KEXEC=n\nCONFIG_VIRTIO_PCI=y\n# CONFIG_EMPTY is not set\n");
    let merged = KernelConfig::parse(merged.as_bytes()).unwrap();
    assert_eq!(merged.setting("KEXEC"), Setting::No);
    assert_eq!(merged.setting("VIRTIO_PCI"), Setting::Yes);
    assert_eq!(merged.setting("EMPTY"), Setting::No);
}

#[test]
fn what_is_no_configuration() {
    let error = |text: &[u8]| KernelConfig::parse(text).unwrap_err();
    assert_eq!(error(b""), BadConfig::Empty);
    assert_eq!(error(b"# CONFIG_KEXEC is not set\n"), BadConfig::Empty);
    assert_eq!(error(b"CONFIG_A=y\nCONFIG_B"), BadConfig::Line { line: 2 });
    assert_eq!(error(b"KEXEC=y"), BadConfig::Line { line: 1 });
    assert_eq!(error(b"CONFIG_A=\"x"), BadConfig::Line { line: 1 });
    assert_eq!(error(b"CONFIG_A=\""), BadConfig::Line { line: 1 });
    assert_eq!(error(b"\x7fELF\x80"), BadConfig::NotText);
    assert_eq!(error(&[b'\n'; (4 << 20) + 1]), BadConfig::TooLarge);
}

#[test]
fn a_file_is_named_when_it_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config-6.1");
    let missing = KernelConfig::read(&file).unwrap_err();
    assert!(missing.to_string().contains("config-6.1"), "{missing}");
    std::fs::write(&file, "CONFIG_A=y\nhello\n").unwrap();
    let wrong = KernelConfig::read(&file).unwrap_err().to_string();
    assert!(wrong.contains("config-6.1: line 2"), "{wrong}");
    std::fs::write(&file, TEXT).unwrap();
    assert_eq!(
        KernelConfig::read(&file).unwrap(),
        KernelConfig::parse(TEXT.as_bytes()).unwrap()
    );
}

#[test]
fn out_of_the_kernel_itself() {
    let kernel = kernel_with(TEXT.as_bytes());
    assert_eq!(KernelConfig::inside(&kernel).unwrap(), TEXT.as_bytes());
    assert_eq!(KernelConfig::inside(b"no kernel"), None);
    assert_eq!(KernelConfig::inside(IKCONFIG), None);
    // The end is part of it.
    let end = memmem::find(&kernel, IKCONFIG_END).unwrap();
    for cut in 0..end + IKCONFIG_END.len() {
        assert_eq!(KernelConfig::inside(&kernel[..cut]), None, "{cut}");
    }
    assert_eq!(
        KernelConfig::inside(&kernel_with(b"no configuration")),
        None
    );
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = kernel_with(&vec![b'\n'; 6 << 20]);
    assert!(bomb.len() < 1 << 16);
    assert_eq!(KernelConfig::inside(&bomb), None);
}

proptest! {
    #[test]
    fn damage_is_an_error_or_nothing(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut text = TEXT.as_bytes().to_vec();
        let mut kernel = kernel_with(&text);
        for (at, value) in &edits {
            let place = at.index(text.len());
            text[place] = *value;
            let place = at.index(kernel.len());
            kernel[place] = *value;
        }
        let _ = KernelConfig::parse(&text);
        let _ = KernelConfig::parse(&bytes);
        if let Some(found) = KernelConfig::inside(&kernel) {
            prop_assert!(KernelConfig::parse(&found).is_ok());
        }
    }

    #[test]
    fn what_is_written_is_read(
        symbols in prop::collection::btree_map("[A-Z0-9_]{1,12}", "y|m|n|[0-9]{1,4}|0x[0-9a-f]{1,8}", 1..20),
    ) {
        let text: String = symbols
            .iter()
            .map(|(name, value)| match value.as_str() {
                "n" => format!("# CONFIG_{name} is not set\n"),
                value => format!("CONFIG_{name}={value}\n"),
            })
            .collect();
        match KernelConfig::parse(text.as_bytes()) {
            Ok(config) => {
                for (name, value) in &symbols {
                    let setting = match value.as_str() {
                        "n" => Setting::No,
                        "m" => Setting::Module,
                        _ => Setting::Yes,
                    };
                    prop_assert_eq!(config.setting(name), setting);
                }
            }
            Err(error) => {
                prop_assert_eq!(error, BadConfig::Empty);
                prop_assert!(symbols.values().all(|value| value == "n"));
            }
        }
    }
}
