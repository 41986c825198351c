use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::kernel::tests::{bzimage, payloads, vmlinux};
use super::super::modules::Found;
use super::super::progress::Silent;
use super::super::userland::tests::{LOADER, NEEDED, elf};
use super::*;

const RELEASE: &str = "3.10.0-514.el7.x86_64";

fn running(release: &str) -> Running {
    Running {
        release: release.to_owned(),
        machine: "x86_64".to_owned(),
    }
}

/// A machine's root directory. In a path, `R` stands for the release.
struct Machine(tempfile::TempDir);

impl Machine {
    fn with(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (file, bytes) in files {
            machine.put(file, bytes);
        }
        for (link, to) in links {
            symlink(to, machine.at(link)).unwrap();
        }
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        let parts = path.split('/').map(|part| match part.strip_suffix('R') {
            Some(before) if before.is_empty() || before.ends_with('-') => {
                format!("{before}{RELEASE}")
            }
            _ => part.to_owned(),
        });
        self.0.path().join(parts.collect::<PathBuf>())
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn find(&self) -> Result<Installed, String> {
        find(self.0.path(), &running(RELEASE)).map_err(|error| error.to_string())
    }

    fn open(&self, cache: &Cache) -> Result<Image, ImageError> {
        open_at(self.0.path(), &running(RELEASE), "host", cache, &Silent)
    }
}

fn kernel_file() -> Vec<u8> {
    bzimage(&payloads(&vmlinux(false))[0].1)
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn each_distribution_has_its_kernel_somewhere() {
    let merged: &[(&str, &str)] = &[("lib", "usr/lib")];
    let config: &[u8] = b"CONFIG_EXT4_FS=m\n";
    let packed = gzipped(config);
    for (what, files, links, kernel, modules, config) in [
        (
            "Debian",
            &[
                ("boot/vmlinuz-R", &b"k"[..]),
                ("boot/config-R", config),
                ("usr/lib/modules/R/modules.dep", b""),
            ][..],
            merged,
            "boot/vmlinuz-R",
            "lib/modules/R",
            Some(config),
        ),
        (
            "Fedora, with a boot partition of its own for other kernels",
            &[
                ("boot/vmlinuz-6.1", b"k"),
                ("usr/lib/modules/R/vmlinuz", b"k"),
                ("usr/lib/modules/R/config", config),
                ("usr/lib/modules/R/modules.dep", b""),
            ],
            merged,
            "usr/lib/modules/R/vmlinuz",
            "lib/modules/R",
            Some(config),
        ),
        (
            "Arch",
            &[
                ("boot/vmlinuz-linux", b"k"),
                ("usr/lib/modules/R/vmlinuz", b"k"),
                ("usr/lib/modules/R/modules.dep", b""),
                ("proc/config.gz", &packed),
            ],
            merged,
            "usr/lib/modules/R/vmlinuz",
            "lib/modules/R",
            Some(config),
        ),
        (
            "openSUSE",
            &[
                ("usr/lib/modules/R/vmlinuz", b"k"),
                ("usr/lib/modules/R/modules.dep", b""),
            ],
            &[
                ("lib", "usr/lib"),
                ("boot", "usr/lib/modules/R"),
                ("usr/lib/modules/R/vmlinuz-R", "vmlinuz"),
            ],
            "usr/lib/modules/R/vmlinuz",
            "lib/modules/R",
            None,
        ),
        (
            "not merged",
            &[("boot/vmlinuz-R", b"k"), ("lib/modules/R/modules.dep", b"")],
            &[],
            "boot/vmlinuz-R",
            "lib/modules/R",
            None,
        ),
    ] {
        let links: Vec<(&str, String)> = links
            .iter()
            .map(|(link, to)| {
                (
                    *link,
                    to.replace("modules/R", &format!("modules/{RELEASE}")),
                )
            })
            .collect();
        let links: Vec<_> = links
            .iter()
            .map(|(link, to)| (*link, to.as_str()))
            .collect();
        let machine = Machine::with(files, &links);
        let installed = Installed {
            kernel: machine.at(kernel),
            modules: Some(machine.at(modules)),
            config: config.map(<[u8]>::to_vec),
        };
        assert_eq!(machine.find(), Ok(installed), "{what}");
    }
}

#[test]
fn the_image_is_the_machine_itself_and_the_entry_the_kernel_alone() {
    let machine = Machine::with(
        &[
            ("boot/vmlinuz-R", &kernel_file()),
            (
                "proc/config.gz",
                &gzipped(b"CONFIG_RD_GZIP=y\nCONFIG_A=m\n"),
            ),
            ("lib/modules/R/modules.dep", b"kernel/nvme.ko:\n"),
            (
                "usr/sbin/kexec",
                &elf(Some(LOADER), &[(NEEDED, "libc.so.6")]),
            ),
            ("usr/lib64/libc.so.6", &elf(None, &[])),
            ("usr/lib64/ld-linux-x86-64.so.2", &elf(None, &[])),
        ],
        &[("lib64", "usr/lib64")],
    );
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let entries = || cache.entries().unwrap();
    for _ in 0..2 {
        let image = machine.open(&cache).unwrap();
        assert_eq!(image.kernel.release, RELEASE);
        let config = image.kernel.config.as_deref().unwrap();
        assert_eq!(
            fs::read_to_string(config).unwrap(),
            "CONFIG_RD_GZIP=y\nCONFIG_A=m\n"
        );
        let modules = machine.at("lib/modules/R");
        assert_eq!(image.modules.directory(), Some(modules.as_path()));
        let found = &image.modules.closure(&["nvme"]).unwrap()[0].found;
        assert!(matches!(found, Found::Files(files) if files[0].path.starts_with(&modules)));
        let files = image.userland.closure(&["kexec"]).unwrap();
        assert!(
            files
                .iter()
                .all(|(_, host)| host.starts_with(machine.0.path()))
        );
        let error = image.userland.closure(&["makedumpfile"]).unwrap_err();
        assert!(error.to_string().contains("on this machine"), "{error}");
        let [entry] = &entries()[..] else {
            panic!("{:?}", entries())
        };
        assert!(!entry.path.join(super::super::index::USERLAND).exists());
    }
    // A driver more, and a kernel that was built again.
    let new = machine.at("lib/modules/R").join("modules.dep.new");
    fs::write(&new, "kernel/nvme.ko:\nkernel/new.ko:\n").unwrap();
    fs::rename(new, machine.at("lib/modules/R/modules.dep")).unwrap();
    let image = machine.open(&cache).unwrap();
    image.modules.closure(&["new"]).unwrap();
    assert_eq!(entries().len(), 2);
    machine.put("boot/vmlinuz-R", &[kernel_file(), vec![0]].concat());
    machine.open(&cache).unwrap();
    assert_eq!(entries().len(), 3);
}

#[test]
fn modules_that_depmod_has_not_seen_are_indexed_in_the_entry() {
    use super::super::modules::tests::module;
    let machine = Machine::with(
        &[
            ("boot/vmlinuz-R", &kernel_file()),
            ("lib/modules/R/modules.builtin", b""),
            ("lib/modules/R/kernel/nvme.ko", &module("")),
        ],
        &[],
    );
    let cache = tempfile::tempdir().unwrap();
    let image = machine.open(&Cache::at(cache.path())).unwrap();
    image.modules.closure(&["nvme"]).unwrap();
    assert!(!machine.at("lib/modules/R/modules.dep").exists());
}

#[test]
fn no_kernel_to_be_found() {
    let container = Machine::with(&[("etc/hostname", b"c")], &[]);
    let error = container.find().unwrap_err();
    assert!(
        error.contains(RELEASE)
            && error.contains("/boot/vmlinuz-3.10.0-514.el7.x86_64")
            && error.contains("it is a container, or a virtual machine")
            && error.contains("`source: local`"),
        "{error}"
    );
    let updated = Machine::with(
        &[
            ("boot/vmlinuz-3.10.0-693.el7.x86_64", b"k"),
            ("boot/vmlinuz-0-rescue-01", b"k"),
            ("lib/modules/3.10.0-693.el7.x86_64/modules.dep", b""),
            ("lib/modules/4.1/modules.dep", b""),
        ],
        &[],
    );
    let error = updated.find().unwrap_err();
    assert!(
        error.contains("but of 3.10.0-693.el7.x86_64, 4.1: if the kernel has been updated"),
        "{error}"
    );
}

/// Else `crashdrill image prune` would stop at it wherever the kernel cannot be drilled.
#[test]
fn the_entry_has_a_name_on_every_machine() {
    assert_eq!(id("host").unwrap(), id("host").unwrap());
}

#[test]
fn no_modules_to_be_found() {
    let machine = Machine::with(&[("boot/vmlinuz-R", &kernel_file())], &[]);
    let error = machine.find().unwrap_err();
    assert!(
        error.contains("lib/modules/3.10.0-514") && error.contains("install them"),
        "{error}"
    );
    // What is left when a package goes: files that it did not bring.
    machine.put("lib/modules/R/updates/own.ko", b"");
    machine.put("lib/modules/3.10.0-693.el7.x86_64/modules.dep", b"");
    let error = machine.find().unwrap_err();
    assert!(
        error.contains("those of 3.10.0-693.el7.x86_64: the kernel has been updated"),
        "{error}"
    );
    machine.put("boot/config-R", b"# CONFIG_MODULES is not set\n");
    assert_eq!(machine.find().unwrap().modules, None);
    let cache = tempfile::tempdir().unwrap();
    let image = machine.open(&Cache::at(cache.path())).unwrap();
    assert_eq!(
        image.modules.closure(&["nvme"]).unwrap()[0].found,
        Found::Assumed
    );
}

#[test]
fn a_kernel_that_does_not_run_here() {
    let machine = Machine::with(
        &[
            ("boot/vmlinuz-4.1", &kernel_file()),
            ("lib/modules/4.1/modules.dep", b""),
        ],
        &[],
    );
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let root = machine.0.path();
    let error = open_at(root, &running("4.1"), "host", &cache, &Silent).unwrap_err();
    assert!(
        error.to_string().contains("runs Linux 4.1, and")
            && error.to_string().contains(&format!("is Linux {RELEASE}")),
        "{error}"
    );
    assert!(cache.entries().unwrap().is_empty());

    let arm = Running {
        machine: "aarch64".to_owned(),
        ..running("4.1")
    };
    let error = find(root, &arm).unwrap_err();
    assert!(
        error.to_string().contains("this machine is aarch64"),
        "{error}"
    );
    machine.put(
        "boot/vmlinuz-4.1",
        b"MZ, and an EFI stub of another architecture",
    );
    let error = open_at(root, &running("4.1"), "host", &cache, &Silent).unwrap_err();
    assert!(error.to_string().contains("vmlinuz-4.1"), "{error}");
}

/// Root may read everything, so this thread stops being root for file systems (setfsuid(2)).
#[test]
fn a_kernel_for_root_alone() {
    let machine = Machine::with(&[("boot/vmlinuz-R", b"k")], &[]);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(machine.0.path(), 0o755);
    mode(&machine.at("boot/vmlinuz-R"), 0o600);
    if !nix::unistd::geteuid().is_root() {
        mode(&machine.at("boot/vmlinuz-R"), 0);
    }
    let as_nobody = || {
        std::thread::scope(|scope| {
            let find = || {
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
                machine.find()
            };
            scope.spawn(find).join().unwrap()
        })
    };
    let error = as_nobody().unwrap_err();
    let path = machine.at("boot/vmlinuz-R");
    assert!(
        error.contains(&format!("`sudo install -m 644 {} .`", path.display()))
            && error.contains("`source: local`"),
        "{error}"
    );
    mode(&machine.at("boot"), 0);
    assert_eq!(as_nobody(), Err(error));
    // Where another file of it may be read, that one is taken.
    machine.put("lib/modules/R/vmlinuz", b"k");
    machine.put("lib/modules/R/modules.dep", b"");
    let kernel = machine.at("lib/modules/R/vmlinuz");
    assert_eq!(as_nobody().unwrap().kernel, kernel);
    mode(&machine.at("boot"), 0o755);
}

/// A whole machine's root directory stands for this machine, such as mmdebstrap makes with
/// `--include=linux-image-amd64,kexec-tools,makedumpfile`: `CRASHDRILL_TRY_ROOT=...
/// CRASHDRILL_TRY_RELEASE=...`.
#[test]
#[ignore = "needs the root directory of a machine, and fetches QEMU and the userland of debian-12"]
fn a_drill_on_the_kernel_of_a_machine() {
    use std::sync::Arc;

    use super::super::manifest::Manifest;
    use crate::image::qemu;
    use crate::machine::catalogue;
    use crate::run::{Job, Plan, Shell, one};

    let root = PathBuf::from(std::env::var("CRASHDRILL_TRY_ROOT").unwrap());
    let running = running(&std::env::var("CRASHDRILL_TRY_RELEASE").unwrap());
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shipped = |name: &str| Manifest::load(&checkout.join(format!("images/{name}.yaml")));
    let entries = tempfile::tempdir().unwrap();
    let mut image = open_at(&root, &running, "host", &Cache::at(entries.path()), &Silent).unwrap();
    let cache = Cache::from_env().unwrap();
    let lender = Image::open(&shipped("debian-12").unwrap(), &shipped, &cache, &Silent).unwrap();
    image.userland = image.userland.lent_by("debian-12", lender.userland.clone());
    for (guest, host) in image.userland.closure(&["kexec", "makedumpfile"]).unwrap() {
        assert!(host.starts_with(&root), "{guest} is {}", host.display());
    }
    let image = Arc::new(image);
    let file = crate::scenario::read(&checkout.join("scenarios/healthy.yaml"), catalogue::facts);
    let drill = file.unwrap().drills.remove(0).on("host");
    let job = Job {
        plan: Plan::new(&drill, &image, None, "00ff00ff00ff00ff", Shell::No).unwrap(),
        drill,
        image,
        server: None,
        qemu: Arc::new(qemu::find(&cache, &Silent).unwrap()),
        postmortem: None,
    };
    let result = one(&job).unwrap();
    eprintln!("{}", String::from_utf8_lossy(&result.console));
    assert_eq!(result.outcome.verdict.to_string(), "vmcore-saved");
}
