use std::time::Instant;

use super::super::modules::Found;
use super::super::qemu;
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
                .any(|(name, _)| name == "makedumpfile")
        );
        eprintln!("{:#?}", cache.entries().unwrap());
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
