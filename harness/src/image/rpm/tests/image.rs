//! Images of packages: all of them, or none.

use super::*;
use crate::image::BootKernel;
use crate::image::kernel::tests::{bzimage, payloads, vmlinux};
use crate::image::manifest::RpmSource;
use crate::image::progress::Silent;

const RELEASE: &str = "3.10.0-514.el7.x86_64";

struct Place {
    directory: tempfile::TempDir,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            cache: Cache::at(directory.path().join("cache")),
            directory,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Location {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        Location::File(path)
    }

    fn source(&self, packages: Vec<Location>) -> RpmSource {
        RpmSource {
            key: OWN.file(),
            fingerprint: OWN.fingerprint(),
            packages,
            userland: None,
        }
    }

    fn open(&self, packages: Vec<Location>) -> Result<Image, ImageError> {
        open("test", &self.source(packages), &self.cache, &Silent)
    }

    /// Why not; nothing of it is left.
    fn refused(&self, packages: Vec<Location>) -> String {
        let error = self.open(packages).unwrap_err().to_string();
        let images = self.cache.root().join("image");
        let left: Vec<_> = fs::read_dir(&images)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        error
    }
}

fn kernel_files(release: &str, boot: &str) -> Vec<Member> {
    let kernel = bzimage(&payloads(&vmlinux(false))[0].1);
    vec![
        member(boot, 0o100_755, &kernel),
        member(
            &format!("./lib/modules/{release}/modules.order"),
            0o100_644,
            b"kernel/drivers/block/virtio_blk.ko\n",
        ),
        member(
            &format!("./boot/config-{release}"),
            0o100_644,
            b"CONFIG_KEXEC=y\n",
        ),
    ]
}

fn kernel(name: &str) -> Vec<u8> {
    let files = kernel_files(RELEASE, &format!("./boot/vmlinuz-{RELEASE}"));
    package(name, OWN, &archive(&files))
}

fn tools() -> Vec<u8> {
    let files = [
        member("./usr/sbin/kexec", 0o104_755, b"kexec"),
        member("./sbin/makedumpfile", 0o100_755, b"makedumpfile"),
    ];
    package("kexec-tools", OWN, &archive(&files))
}

#[test]
fn an_image_of_packages() {
    let place = Place::new();
    let kernel = place.write("kernel.rpm", &kernel("kernel"));
    let tools = place.write("kexec-tools.rpm", &tools());
    for _ in 0..2 {
        let image = place.open(vec![kernel.clone(), tools.clone()]).unwrap();
        assert_eq!(image.kernel.release, RELEASE);
        assert!(matches!(&image.kernel.boot, BootKernel::BzImage(file) if file.is_file()));
        assert!(image.kernel.config.is_some_and(|config| config.is_file()));
        let names: Vec<_> = image
            .packages
            .iter()
            .map(|package| (package.name.as_str(), package.version.as_str()))
            .collect();
        assert_eq!(
            names,
            [("kernel", "1.0-1.x86_64"), ("kexec-tools", "1.0-1.x86_64")]
        );
        let origin = image.packages[1].origin.as_ref().unwrap();
        let Location::File(path) = &tools else {
            panic!()
        };
        assert_eq!(origin.from, path.display().to_string());
        assert_eq!(origin.bytes, fs::metadata(path).unwrap().len());
        assert_eq!(origin.sha256, Sum::of(File::open(path).unwrap()).unwrap());
        assert_eq!(origin.signer.as_ref(), Some(&OWN_KEY.signer));
        assert_eq!(
            origin.signer.as_ref().unwrap().user,
            "crashdrill test key subkey <subkey@example.org>"
        );
    }
    assert_eq!(place.cache.entries().unwrap().len(), 1);

    // RHEL 8 and later: the kernel lies with its modules.
    let files = kernel_files(RELEASE, &format!("./lib/modules/{RELEASE}/vmlinuz"));
    let newer = place.write(
        "kernel-core.rpm",
        &package("kernel-core", OWN, &archive(&files)),
    );
    let image = place.open(vec![newer, tools]).unwrap();
    assert_eq!(image.kernel.release, RELEASE);
    assert_eq!(place.cache.entries().unwrap().len(), 2);

    // A file that changes is another image.
    place.write("kernel.rpm", &[b'x'; 100]);
    let error = place.open(vec![kernel]).unwrap_err().to_string();
    assert_eq!(
        error,
        "kernel.rpm: no RPM package: it does not begin with ed ab ee db"
    );
}

#[test]
fn refused_whole() {
    let place = Place::new();
    let kernel_file = place.write("kernel.rpm", &kernel("kernel"));
    let with = |name: &str, bytes: &[u8]| {
        place.refused(vec![kernel_file.clone(), place.write(name, bytes)])
    };
    let payload = one_file();
    let header = header("forged", "x86_64", Some(&payload));
    let error = with("unsigned.rpm", &file(&[], &header, &payload));
    assert!(
        error.starts_with("unsigned.rpm: it is not signed"),
        "{error}"
    );
    let error = with("strange.rpm", &package("forged", STRANGER, &payload));
    assert!(
        error.starts_with("strange.rpm: it is signed by another key"),
        "{error}"
    );
    let mut damaged = package("forged", OWN, &payload);
    let last = damaged.len() - 200;
    damaged[last] ^= 1;
    let error = with("damaged.rpm", &damaged);
    assert!(
        error.starts_with("damaged.rpm: the SHA-256 of its payload"),
        "{error}"
    );
    for (name, bad) in [
        ("out", member("../../out", 0o100_644, b"x")),
        ("device", member("dev/sda", 0o060_600, b"x")),
    ] {
        let bytes = package("forged", OWN, &archive(&[bad]));
        let error = with(&format!("{name}.rpm"), &bytes);
        assert!(error.starts_with(&format!("{name}.rpm: \"")), "{error}");
        assert!(error.ends_with("refused"), "{error}");
    }
    let truncated = package("forged", OWN, &payload[..payload.len() - 120]);
    let error = with("short.rpm", &truncated);
    assert!(
        error.starts_with("short.rpm: the payload is damaged"),
        "{error}"
    );
    // A file of 4 GiB, which is not there, besides the kernel: the image's budget comes first.
    let mut large = archive(&[member("a", 0o100_644, b"")]);
    large[54..62].copy_from_slice(b"ffffffff");
    let error = with("large.rpm", &package("forged", OWN, &large));
    assert!(
        error.contains("more than 4294967296 bytes: refused"),
        "{error}"
    );

    let error = with("twice.rpm", &kernel("kernel"));
    assert_eq!(
        error,
        "twice.rpm: it is a second package named kernel, after kernel.rpm; list one of them"
    );
    let files = kernel_files("4.18.0", "./boot/vmlinuz-4.18.0");
    let error = with("second.rpm", &package("kernel-lt", OWN, &archive(&files)));
    assert!(error.contains("there are 2 kernels in it"), "{error}");
    let error = place.refused(vec![place.write("tools.rpm", &tools())]);
    assert!(error.contains("there is no kernel in it"), "{error}");
    assert!(error.contains("`kernel` of RHEL 7"), "{error}");

    let mut source = place.source(vec![kernel_file.clone()]);
    source.fingerprint = STRANGER.fingerprint();
    let error = open("test", &source, &place.cache, &Silent).unwrap_err();
    assert!(
        error.to_string().contains("TEST-KEY-subkey.asc: no key"),
        "{error}"
    );
    let error = place.refused(vec![Location::File(place.directory.path().to_owned())]);
    assert!(error.ends_with("it is no regular file"), "{error}");
    let error = place
        .open(vec![Location::File("/nowhere.rpm".into())])
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere.rpm"), "{error}");
    let huge = place.directory.path().join("huge.rpm");
    File::create(&huge).unwrap().set_len(600 << 20).unwrap();
    let error = place.refused(vec![Location::File(huge)]);
    assert!(error.contains("at most 536870912 bytes"), "{error}");
    // All of them, at last.
    place
        .open(vec![kernel_file, place.write("tools.rpm", &tools())])
        .unwrap();
}
