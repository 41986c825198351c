use std::path::PathBuf;
use std::time::Instant;

use super::super::modules::Found;
use super::super::progress::Silent;
use super::super::qemu;
use super::super::trust::Sum;
use super::*;

struct Lines;
impl Progress for Lines {
    fn report(&self, item: &str, step: &Step) {
        eprintln!("{item}: {step:?}");
    }
}

fn shipped(name: &str) -> Result<Manifest, ImageError> {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    Manifest::load(&images.join(format!("{name}.yaml")))
}

fn fetched(name: &str) {
    let cache = Cache::from_env().unwrap();
    let manifest = shipped(name).unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        let image = Image::open(&manifest, &shipped, &cache, &Lines).unwrap();
        eprintln!("opened in {:?}: {:?}", start.elapsed(), image.kernel);
        let drivers = [
            "nvme",
            "virtio-blk",
            "virtio_scsi",
            "ahci",
            "megaraid_sas",
            "ext4",
            "xfs",
        ];
        for driver in image.modules.closure(&drivers).unwrap() {
            match &driver.found {
                Found::Files(files) => {
                    let names: Vec<_> = files
                        .iter()
                        .map(|module| {
                            assert!(module.read().unwrap().starts_with(b"\x7fELF"));
                            (module.name.as_str(), module.optional)
                        })
                        .collect();
                    eprintln!("{}: {names:?}", driver.name);
                }
                other => eprintln!("{}: {other:?}", driver.name),
            }
        }
        let start = Instant::now();
        let files = image
            .userland
            .closure(&["kexec", "makedumpfile", "busybox", "mke2fs"])
            .unwrap();
        eprintln!("userland in {:?}:", start.elapsed());
        for (guest, host) in &files {
            assert!(host.is_file());
            eprintln!("  {guest}");
        }
        for program in ["kexec", "makedumpfile", "mke2fs"] {
            let flag = if program == "mke2fs" { "-V" } else { "-v" };
            let output = image
                .userland
                .command(program)
                .unwrap()
                .arg(flag)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        assert!(
            image
                .packages
                .iter()
                .any(|package| package.name == "makedumpfile")
        );
        eprintln!("{:#?}", cache.entries().unwrap());
    }
}

#[test]
fn a_local_kernel_is_converted_once_and_again_when_it_changes() {
    use super::super::kernel::BootKernel;
    use super::super::kernel::tests::{bzimage, payloads, vmlinux};
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let mut source = LocalSource {
        kernel: directory.path().join("vmlinuz"),
        modules: None,
        userland: "debian-12".into(),
    };
    fs::write(&source.kernel, bzimage(&payloads(&vmlinux(false))[0].1)).unwrap();
    for _ in 0..2 {
        let image = open_local("old", &source, &cache, &Silent).unwrap();
        assert_eq!(image.kernel.release, "3.10.0-514.el7.x86_64");
        assert!(matches!(image.kernel.boot, BootKernel::BzImage(file) if file.is_file()));
        assert_eq!(
            image.modules.closure(&["nvme"]).unwrap()[0].found,
            Found::Assumed
        );
    }
    assert_eq!(cache.entries().unwrap().len(), 1);
    // Modules that depmod has not seen are indexed in the cache, not in the user's directory.
    let modules = directory.path().join("lib/modules/3.10.0");
    fs::create_dir_all(modules.join("kernel")).unwrap();
    fs::write(modules.join("modules.order"), "").unwrap();
    source.modules = Some(directory.path().to_owned());
    let image = open_local("old", &source, &cache, &Silent).unwrap();
    assert_eq!(image.modules.directory(), Some(modules.as_path()));
    assert_eq!(
        image.modules.closure(&["nvme"]).unwrap()[0].found,
        Found::Assumed
    );
    assert!(!modules.join("modules.dep").exists());
    fs::write(modules.join("modules.dep"), "kernel/nvme.ko:\n").unwrap();
    let image = open_local("old", &source, &cache, &Silent).unwrap();
    assert!(matches!(
        image.modules.closure(&["nvme"]).unwrap()[0].found,
        Found::Files(_)
    ));

    fs::write(&source.kernel, vmlinux(false)).unwrap();
    let error = open_local("old", &source, &cache, &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("vmlinuz") && error.contains("bzImage"),
        "{error}"
    );
    source.kernel = "/nowhere/vmlinuz".into();
    let error = open_local("old", &source, &cache, &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/vmlinuz"), "{error}");
}

#[test]
fn a_raw_disk_image_stays_where_it_is_and_a_downloaded_one_moves_in() {
    use super::super::disk_image::tests::{ROOT, filesystem};
    use super::super::fetch::downloads;
    use super::super::fetch::server::{Answer, Server};
    use super::super::kernel::tests::{bzimage, payloads, vmlinux};
    let kernel = bzimage(&payloads(&vmlinux(false))[0].1);
    let files = ROOT.map(|(path, text)| match text {
        "kernel" => (path, kernel.clone()),
        text => (path, text.as_bytes().to_vec()),
    });
    let disk = filesystem(&files);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let file = directory.path().join("their.img");
    fs::write(&file, &disk).unwrap();
    let served = disk.clone();
    let server = Server::start(move |_, asked| Answer::file(asked, &served, "\"1\""));
    let url = server.url("their.img");
    let sum = Sum::of(&disk[..]).unwrap();
    let open = |file: Location, sum| {
        let sha256 = Some(sum);
        let source = DiskImageSource { file, sha256 };
        open_disk_image("theirs", &source, &cache, &Silent)
            .map(|image| image.root.unwrap().disk)
            .map_err(|error| error.to_string())
    };
    let other = Sum::of(&b""[..]).unwrap();
    for location in [Location::File(file.clone()), Location::Url(url.clone())] {
        let error = open(location.clone(), other).unwrap_err();
        assert!(error.contains(&location.to_string()), "{error}");
        assert!(error.contains("SHA-256"), "{error}");
        assert_eq!(cache.entries().unwrap(), []);
    }
    assert_eq!(open(Location::File(file.clone()), sum), Ok(file.clone()));
    for _ in 0..2 {
        let inside = open(Location::Url(url.clone()), sum).unwrap();
        assert!(inside.starts_with(cache.root().join("image")));
        assert_eq!(fs::read(inside).unwrap(), disk);
    }
    assert_eq!(downloads(&cache).unwrap(), []);
    assert_eq!(server.asked().len(), 2);
    assert!(file.exists());
}

#[test]
fn a_local_image_lends_nothing() {
    let text = "name: a\nabout: x\nsource: {local: {kernel: k, userland: b}}\n";
    let manifest = Manifest::parse(text, Path::new("/i/a.yaml")).unwrap();
    let images = |_: &str| Manifest::parse(text, Path::new("/i/b.yaml"));
    let directory = tempfile::tempdir().unwrap();
    let error = Image::open(&manifest, &images, &Cache::at(directory.path()), &Silent).unwrap_err();
    assert!(matches!(error, ImageError::Lender { .. }), "{error}");
}

/// As a user would: `CRASHDRILL_TRY_KERNEL=... CRASHDRILL_TRY_MODULES=...`.
#[test]
#[ignore = "needs a kernel of the machine's own, and the userland of debian-12"]
fn local() {
    let manifest = Manifest {
        name: "local".into(),
        cpu: None,
        about: String::new(),
        source: Source::Local(LocalSource {
            kernel: std::env::var("CRASHDRILL_TRY_KERNEL").unwrap().into(),
            modules: std::env::var("CRASHDRILL_TRY_MODULES")
                .ok()
                .map(PathBuf::from),
            userland: "debian-12".into(),
        }),
    };
    let cache = Cache::from_env().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let image = Image::open(&manifest, &shipped, &cache, &Lines).unwrap();
        eprintln!("opened in {:?}: {:?}", start.elapsed(), image.kernel);
        eprintln!("{:?}", image.modules.closure(&["ext4"]).unwrap());
        image.userland.closure(&["kexec", "makedumpfile"]).unwrap();
    }
}

#[test]
#[ignore = "fetches 87 MB from the machine's Debian mirror into the cache"]
fn debian_12() {
    fetched("debian-12");
}

#[test]
#[ignore = "fetches 125 MB from the machine's Debian mirror into the cache"]
fn debian_13() {
    fetched("debian-13");
}

#[test]
#[ignore = "fetches 45 MB from the machine's Debian mirror into the cache"]
fn newest_qemu() {
    let cache = Cache::from_env().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let qemu = qemu::fetch(&cache, &Lines).unwrap();
        eprintln!("opened in {:?}: {qemu:?}", start.elapsed());
        assert!(qemu.version >= (10, 0, 0));
        let output = qemu
            .command()
            .args(["-device", "vfio-user-pci,help"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let start = Instant::now();
    eprintln!(
        "found {:?} in {:?}",
        qemu::find(&cache, &Lines).unwrap(),
        start.elapsed()
    );
}
