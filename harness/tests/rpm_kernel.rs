//! A drill on a kernel out of an RPM package: Debian's, packed by the `rpm` crate and signed with the
//! test key.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crashdrill::image::{Cache, Found, Image, Manifest, Silent};
use rpm::signature::pgp::Signer;
use rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder};

#[test]
#[ignore = "fetches 87 MB from the machine's Debian mirror into the cache, and boots a QEMU"]
fn a_drill_on_a_kernel_out_of_a_package() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let images = here.join("../images");
    let load = |name: &str| Manifest::load(&images.join(format!("{name}.yaml")));
    let cache = Cache::from_env().unwrap();
    let debian = Image::open(&load("debian-12").unwrap(), &load, &cache, &Silent).unwrap();

    let release = &debian.kernel.release;
    let mut builder = PackageBuilder::new("kernel", "6.1", "GPL-2.0-only", "x86_64", "Debian's");
    builder
        .using_config(BuildConfig::v4().compression(CompressionType::Zstd))
        .with_file(
            debian.kernel.stock.as_ref().unwrap(),
            FileOptions::new(format!("/boot/vmlinuz-{release}")),
        )
        .unwrap();
    let modules = debian.modules.directory().unwrap();
    let guest = format!("/lib/modules/{release}");
    for entry in fs::read_dir(modules).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let options = FileOptions::new(format!("{guest}/{name}"));
            builder.with_file(&path, options).unwrap();
        }
    }
    let mut packed = BTreeSet::new();
    for driver in debian.modules.closure(&["nvme", "ext4"]).unwrap() {
        let Found::Files(files) = driver.found else {
            continue;
        };
        for module in files {
            if packed.insert(module.file.clone()) {
                let options = FileOptions::new(format!("{guest}/{}", module.file));
                builder.with_file(&module.path, options).unwrap();
            }
        }
    }
    let secret = fs::read(here.join("tests/rpms/TEST-KEY.secret.asc")).unwrap();
    let signer = Signer::from_asc_bytes(&secret).unwrap();
    let package = builder.build_and_sign(&signer).unwrap();

    let project = tempfile::tempdir().unwrap();
    let at = |path: &str| project.path().join(path);
    for directory in ["images", "scenarios", "snapshots"] {
        fs::create_dir(at(directory)).unwrap();
    }
    package.write_file(at("kernel.rpm")).unwrap();
    fs::copy(here.join("tests/rpms/TEST-KEY.asc"), at("images/KEY")).unwrap();
    fs::copy(images.join("debian-12.yaml"), at("images/debian-12.yaml")).unwrap();
    let manifest = "\
name: packed
about: Debian's kernel in a package
source:
  rpm:
    key: KEY
    fingerprint: 976B FE55 FCF1 D069 4855 F015 D75E CFEE 82F2 106C
    packages: [../kernel.rpm]
    userland: debian-12
";
    fs::write(at("images/packed.yaml"), manifest).unwrap();
    let scenario = "\
name: drill
about: A drill that goes well.
image: packed
machine: {memory: 1G, devices: [{device: nvme, target: true}]}
crashkernel: 256M
";
    fs::write(at("scenarios/drill.yaml"), scenario).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .arg("--root")
        .arg(project.path())
        .args(["run", "--accept"])
        .current_dir(project.path())
        .env("CRASHDRILL_CACHE", cache.root())
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && says.contains("vmcore-saved"),
        "{says}"
    );
    // An entry for a file that is gone is of no use to anybody.
    for entry in cache.entries().unwrap() {
        if entry.name.starts_with("packed-") {
            cache.remove(&entry).unwrap();
        }
    }
}
