//! Drills on RPM packages that are built here, as those of RHEL 7 and of RHEL 9 are, around the
//! kernel and the programs of the image debian-12, which is fetched if need be. They are signed
//! with a key that is no secret. And packages that must not be believed.
//!
//! The real `crashdrill` runs, with a project and a cache of its own.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "rpm_drills/el7.rs"]
mod el7;
#[path = "rpm_drills/kernel.rs"]
mod kernel;
#[path = "rpm_drills/packages.rs"]
mod packages;
#[path = "rpm_drills/world.rs"]
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use crashdrill::image::{BootKernel, Cache, CaptureKernel, Image, Manifest, Silent, qemu};
use libtest_mimic::{Arguments, Trial};
use rpm::PackageBuilder;
use rpm::signature::pgp::Signer;
use tempfile::TempDir;

use el7::Parts;
use packages::Set;
use world::World;

const RHEL_7: &str = "rpm-el7";
/// The guest and its programs may use the system calls of Linux 3.10 alone.
const SCENARIO_7: &str = "\
machine:
  cpus: 1
  memory: 512M
  devices:
    - {device: virtio-blk, target: true}
crashkernel: 192M
first-kernel:
  append: crashdrill.syscalls=313
kdump:
  flavour: rhel7
";
const RHEL_9: &str = "rpm-el9";
const SCENARIO_9: &str = "\
machine:
  cpus: 1
  memory: 512M
  devices:
    - {device: nvme, target: true}
crashkernel: 192M
kdump:
  flavour: rhel9
";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let fixture = Arc::new(Fixture::new());
    let mut trials = Vec::new();
    let mut add = |name: &str, test: fn(&Fixture)| {
        let fixture = fixture.clone();
        trials.push(Trial::test(name, move || {
            test(&fixture);
            Ok(())
        }));
    };
    // The longest first.
    add("a drill on packages of RHEL 7", rhel_7);
    add("a drill on packages of RHEL 9", rhel_9);
    for (case, spoil, why) in REFUSED {
        let fixture = fixture.clone();
        trials.push(Trial::test(format!("refused: {case}"), move || {
            refused(&fixture, spoil, why);
            Ok(())
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What the tests share.
struct Fixture {
    directory: TempDir,
    image: OnceLock<Image>,
    rhel_9: OnceLock<Vec<PathBuf>>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            image: OnceLock::new(),
            rhel_9: OnceLock::new(),
        }
    }

    /// The image that the packages are made of; QEMU is there too then.
    fn image(&self) -> &Image {
        self.image.get_or_init(|| {
            let cache = Cache::from_env().unwrap();
            let manifest = world::checkout(&format!("images/{}.yaml", world::LENDER));
            let manifest = Manifest::load(&manifest).unwrap();
            let none = |_: &str| unreachable!("an image of apt's borrows from nobody");
            qemu::find(&cache, &Silent).unwrap();
            Image::open(&manifest, &none, &cache, &Silent).unwrap()
        })
    }

    /// The packages of RHEL 9, as files.
    fn rhel_9(&self) -> &[PathBuf] {
        self.rhel_9
            .get_or_init(|| self.write("el9", packages::el9(self.image()), signed_as_today))
    }

    fn rhel_7(&self) -> Vec<PathBuf> {
        let sign = |package| signed(package, "test.secret.asc").write();
        self.write("el7", packages::el7(self.image()), sign)
    }

    fn write(
        &self,
        directory: &str,
        set: Set,
        sign: impl Fn(PackageBuilder) -> Vec<u8>,
    ) -> Vec<PathBuf> {
        let directory = self.directory.path().join(directory);
        fs::create_dir(&directory).unwrap();
        let mut files = Vec::new();
        for (name, package) in set {
            let file = directory.join(format!("{name}.rpm"));
            fs::write(&file, sign(package)).unwrap();
            files.push(file);
        }
        files
    }
}

fn rhel_7(fixture: &Fixture) {
    let world = World::new(RHEL_7, &fixture.rhel_7(), SCENARIO_7);
    let image = saves_a_dump(&world);
    assert!(matches!(image.kernel.boot, BootKernel::BzImage(_)));
    assert!(matches!(image.kernel.capture, CaptureKernel::BzImage(_)));
    let fidelity = world.outcome()["fidelity"].to_string();
    assert!(
        fidelity.contains("in both kernels system calls above 313"),
        "{fidelity}"
    );
    assert!(!fidelity.contains("start uncompressed"), "{fidelity}");
}

fn rhel_9(fixture: &Fixture) {
    let world = World::new(RHEL_9, fixture.rhel_9(), SCENARIO_9);
    let image = saves_a_dump(&world);
    assert!(matches!(image.kernel.boot, BootKernel::Pvh(_)));
    let fidelity = world.outcome()["fidelity"].to_string();
    assert!(
        fidelity.contains("both kernels start uncompressed"),
        "{fidelity}"
    );
}

/// And was made of the world's packages, and of none that is not signed.
fn saves_a_dump(world: &World) -> Image {
    let output = world.run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let outcome = world.outcome();
    if outcome["verdict"] != "vmcore-saved" {
        panic!("{outcome:#}\nconsole log: {}", world.save().display());
    }
    assert_eq!(outcome["vmcore"]["complete"], true, "{outcome:#}");
    assert_eq!(outcome["vmcore"]["this-drill"], true, "{outcome:#}");

    let image = world.image();
    assert!(image.kernel.config.is_some());
    let mut files = world.packages().to_vec();
    for package in &image.packages {
        // The lender's are apt's.
        let Some(origin) = &package.origin else {
            continue;
        };
        let at = files
            .iter()
            .position(|file| file.to_str() == Some(&origin.from));
        let file = files.swap_remove(at.unwrap());
        assert_eq!(file.file_stem().unwrap().to_str(), Some(&*package.name));
        assert_eq!(fs::metadata(&file).unwrap().len(), origin.bytes);
        let signer = origin.signer.as_ref().unwrap();
        assert_eq!(signer.fingerprint.to_string(), world::FINGERPRINT);
        assert!(
            signer.user.contains("crashdrill test packages"),
            "{}",
            signer.user
        );
    }
    assert_eq!(files, Vec::<PathBuf>::new());
    image
}

/// What is done to a good package, which has one file with the text `harmless`, and a word of why
/// it must be refused then.
type Refused = (&'static str, fn(PackageBuilder) -> Vec<u8>, &'static str);

const REFUSED: [Refused; 9] = [
    ("not signed", |package| built(package), "not signed"),
    (
        "signed with another key",
        |package| signed(package, "other.secret.asc").write(),
        "signed by another key, E8092DB9B7EA3872",
    ),
    (
        "a changed header",
        |package| {
            let mut bytes = signed(package, "test.secret.asc").write();
            replace(&mut bytes, b"for a test", b"for a tent");
            bytes
        },
        "signature over the header is wrong",
    ),
    (
        "a changed payload, with a digest in the header",
        |package| {
            let mut bytes = signed_as_today(package);
            replace(&mut bytes, b"harmless", b"harmful!");
            bytes
        },
        "the SHA-256 of its payload is",
    ),
    (
        "a changed payload, with a signature over it",
        |package| {
            let mut parts = signed(package, "test.secret.asc");
            replace(&mut parts.payload, b"harmless", b"harmful!");
            parts.digest();
            parts.write()
        },
        "signature over header and payload is wrong",
    ),
    // Whoever changes the payload can also take out the signature over it: nothing in the header,
    // which is signed by itself, says that there was one.
    (
        "a changed payload, without the signature over it",
        |package| {
            let mut parts = signed(package, "test.secret.asc");
            replace(&mut parts.payload, b"harmless", b"harmful!");
            parts.signatures.remove(el7::SIGNATURE);
            parts.digest();
            parts.write()
        },
        "only its header is signed",
    ),
    (
        "cut short",
        |package| {
            let mut bytes = signed(package, "test.secret.asc").write();
            bytes.truncate(bytes.len() - 200);
            bytes
        },
        "",
    ),
    (
        "a device node",
        |mut package| {
            let device = rpm::FileOptions::character_device("/dev/kmsg", 1, 11);
            package.with_special_file(device).unwrap();
            signed(package, "test.secret.asc").write()
        },
        "dev/kmsg",
    ),
    (
        "a path that leads out",
        |package| {
            let mut parts = Parts::read(&built(package));
            replace(&mut parts.payload, b"./usr/sbin/extra", b"./../../../extra");
            parts.sign(&fs::read_to_string(world::key("test.secret.asc")).unwrap());
            parts.write()
        },
        "../../../extra",
    ),
];

fn refused(fixture: &Fixture, spoil: fn(PackageBuilder) -> Vec<u8>, why: &str) {
    let directory = TempDir::new_in(fixture.directory.path()).unwrap();
    let extra = directory.path().join("extra-tools.rpm");
    fs::write(&extra, spoil(packages::extra())).unwrap();
    // Everything before it is as it should be.
    let packages = [fixture.rhel_9(), &[extra]].concat();
    let world = World::new(RHEL_9, &packages, SCENARIO_9);
    let output = world.run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("extra-tools.rpm"), "{said}");
    assert!(said.contains(why), "{said}");
    assert_eq!(world.cached(), Vec::<String>::new());
}

fn built(mut package: PackageBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    package.build().unwrap().write(&mut bytes).unwrap();
    bytes
}

/// As rpm does it since 4.14.
fn signed_as_today(mut package: PackageBuilder) -> Vec<u8> {
    let signer = Signer::from_asc_file(world::key("test.secret.asc")).unwrap();
    let mut bytes = Vec::new();
    let package = package.build_and_sign(&signer).unwrap();
    package.write(&mut bytes).unwrap();
    bytes
}

/// As RHEL 7's are.
fn signed(package: PackageBuilder, key: &str) -> Parts {
    let mut parts = Parts::read(&built(package));
    parts.sign(&fs::read_to_string(world::key(key)).unwrap());
    parts
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = memchr::memmem::find(bytes, old).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new);
}
