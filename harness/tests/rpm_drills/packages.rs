//! Packages laid out as those of RHEL 7 and of RHEL 9, around a kernel and programs of Debian.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use crashdrill::image::{Found, Image};
use rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};

use super::kernel::without_pvh;

/// What the drills need, and a little more than that.
const DRIVERS: [&str; 8] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "ahci",
    "nvme",
    "ext4",
    "xfs",
];
/// In RHEL 9's kernel-modules; the others are in kernel-modules-core.
const LESS_USUAL: [&str; 2] = ["ahci", "xfs"];
/// RHEL 7 compresses its modules with xz; a kernel can as well be built for this.
const WITH_GZIP: &str = "virtio_scsi.ko";

/// 2017-08-24 12:00 UTC, when RHEL 7.4 was young.
const BUILT: u32 = 1_503_576_000;

/// Packages before they are signed.
pub(crate) type Set = Vec<(String, PackageBuilder)>;

/// Of RHEL 7: `kernel` is one package, and makedumpfile is in kexec-tools. Each payload is packed
/// with another of the formats that rpm has; RHEL 7 itself has xz everywhere.
pub(crate) fn el7(image: &Image) -> Set {
    let release = &image.kernel.release;
    let mut kernel = kernel_package("kernel", release, CompressionWithLevel::Xz(1));
    let stock = fs::read(image.kernel.stock.as_ref().unwrap()).unwrap();
    let boot = |name: &str| format!("/boot/{name}-{release}");
    add(&mut kernel, &boot("vmlinuz"), 0o755, without_pvh(&stock));
    add(&mut kernel, &boot("config"), 0o644, config(image));
    add(&mut kernel, &boot("System.map"), 0o600, SYSTEM_MAP);
    let sum = format!("/boot/.vmlinuz-{release}.hmac");
    add(&mut kernel, &sum, 0o644, "made by sha512hmac\n");
    // The header names it, the payload does not have it.
    let initramfs = FileOptions::ghost(format!("/boot/initramfs-{release}.img"));
    kernel.with_ghost(initramfs).unwrap();
    let directory = format!("/lib/modules/{release}");
    let sources = format!("/usr/src/kernels/{release}");
    link(&mut kernel, &format!("{directory}/build"), &sources);
    link(&mut kernel, &format!("{directory}/source"), "build");
    for list in ["modules.builtin", "modules.order"] {
        add_list(&mut kernel, image, list);
    }
    for (file, module) in modules(image, &DRIVERS) {
        add_module(&mut kernel, release, &file, &module);
    }

    let mut tools = package(
        "kexec-tools",
        "2.0.14",
        "17.el7",
        CompressionWithLevel::Xz(1),
    );
    let mut libraries = BTreeMap::new();
    for program in ["kexec", "makedumpfile", "vmcore-dmesg"] {
        add_program(&mut tools, image, program, &mut libraries);
    }
    let mut set = vec![
        ("kernel".to_owned(), kernel),
        ("kexec-tools".to_owned(), tools),
    ];
    let formats = [
        CompressionWithLevel::Gzip(1),
        CompressionWithLevel::Bzip2(1),
        CompressionWithLevel::Zstd(1),
        CompressionWithLevel::None,
    ];
    let formats = formats.into_iter().cycle();
    set.extend(library_packages(libraries, "1.el7", formats));
    set
}

/// Of RHEL 9: the kernel is split, lies beside its modules, and makedumpfile is a package of its
/// own.
pub(crate) fn el9(image: &Image) -> Set {
    let format = CompressionWithLevel::Zstd(3);
    let release = &image.kernel.release;
    let mut core = kernel_package("kernel-core", release, format);
    let directory = format!("/lib/modules/{release}");
    let stock = fs::read(image.kernel.stock.as_ref().unwrap()).unwrap();
    let mut put = |name: &str, mode, content: Vec<u8>| {
        add(&mut core, &format!("{directory}/{name}"), mode, content);
    };
    put("vmlinuz", 0o755, stock);
    put(".vmlinuz.hmac", 0o644, b"made by sha512hmac\n".to_vec());
    put("config", 0o644, config(image));
    put("System.map", 0o644, SYSTEM_MAP.as_bytes().to_vec());
    for list in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        add_list(&mut core, image, list);
    }
    for ghost in ["vmlinuz", "config", "System.map", "symvers"] {
        let ghost = FileOptions::ghost(format!("/boot/{ghost}-{release}"));
        core.with_ghost(ghost).unwrap();
    }
    let less_usual = modules(image, &LESS_USUAL);
    let rest: Vec<&str> = DRIVERS
        .into_iter()
        .filter(|driver| !LESS_USUAL.contains(driver))
        .collect();
    let usual = modules(image, &rest);
    let mut modules_core = kernel_package("kernel-modules-core", release, format);
    for (file, module) in &usual {
        add_module(&mut modules_core, release, file, module);
    }
    let mut modules = kernel_package("kernel-modules", release, format);
    for (file, module) in less_usual
        .iter()
        .filter(|(file, _)| !usual.contains_key(*file))
    {
        add_module(&mut modules, release, file, module);
    }

    let mut tools = package("kexec-tools", "2.0.29", "10.el9", format);
    let mut collector = package("makedumpfile", "1.7.6", "4.el9", format);
    let mut libraries = BTreeMap::new();
    add_program(&mut tools, image, "kexec", &mut libraries);
    add_program(&mut tools, image, "vmcore-dmesg", &mut libraries);
    add_program(&mut collector, image, "makedumpfile", &mut libraries);
    let mut set: Set = [
        ("kernel-core", core),
        ("kernel-modules", modules),
        ("kernel-modules-core", modules_core),
        ("kexec-tools", tools),
        ("makedumpfile", collector),
    ]
    .map(|(name, package)| (name.to_owned(), package))
    .into();
    set.extend(library_packages(
        libraries,
        "1.el9",
        std::iter::repeat(format),
    ));
    set
}

/// A small one, which nobody needs, with a payload that is not packed.
pub(crate) fn extra() -> PackageBuilder {
    let mut extra = package("extra-tools", "1", "1.el9", CompressionWithLevel::None);
    add(&mut extra, "/usr/sbin/extra", 0o755, "harmless");
    extra
}

/// Nobody reads it.
const SYSTEM_MAP: &str = "ffffffff81000000 T _text\n";

fn package(
    name: &str,
    version: &str,
    release: &str,
    format: CompressionWithLevel,
) -> PackageBuilder {
    let mut builder = PackageBuilder::new(name, version, "GPL-2.0-only", "x86_64", "for a test");
    builder
        .release(release)
        .using_config(BuildConfig::v4().compression(format).source_date(BUILT));
    builder
}

/// The version and release of a package have no hyphens, as those of Debian's kernel do.
fn kernel_package(name: &str, release: &str, format: CompressionWithLevel) -> PackageBuilder {
    let (version, rest) = release.split_once('-').unwrap();
    package(name, version, &rest.replace('-', "."), format)
}

fn add(package: &mut PackageBuilder, path: &str, mode: u16, content: impl Into<Vec<u8>>) {
    let options = FileOptions::new(path).permissions(mode);
    package.with_file_contents(content, options).unwrap();
}

fn link(package: &mut PackageBuilder, path: &str, target: &str) {
    let options = FileOptions::symlink(path, target);
    package.with_symlink(options).unwrap();
}

fn config(image: &Image) -> Vec<u8> {
    fs::read(image.kernel.config.as_ref().unwrap()).unwrap()
}

fn add_list(package: &mut PackageBuilder, image: &Image, list: &str) {
    let content = fs::read(image.modules.directory().unwrap().join(list)).unwrap();
    let path = format!("/lib/modules/{}/{list}", image.kernel.release);
    add(package, &path, 0o644, content);
}

/// The drivers' modules and what these need, plain, by their path below the modules' directory.
fn modules(image: &Image, drivers: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let found = image.modules.closure(drivers).unwrap().into_iter();
    let files = found.flat_map(|driver| match driver.found {
        Found::Files(files) => files,
        Found::Builtin | Found::Assumed => Vec::new(),
    });
    let plain = |file: &str| file.split_inclusive(".ko").next().unwrap().to_owned();
    files
        .map(|module| (plain(&module.file), module.read().unwrap()))
        .collect()
}

fn add_module(package: &mut PackageBuilder, release: &str, file: &str, module: &[u8]) {
    let (suffix, packed) = match file.ends_with(WITH_GZIP) {
        true => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(module).unwrap();
            ("gz", encoder.finish().unwrap())
        }
        false => {
            let mut packed = Vec::new();
            let mut encoder = liblzma::read::XzEncoder::new(module, 0);
            encoder.read_to_end(&mut packed).unwrap();
            ("xz", packed)
        }
    };
    let path = format!("/lib/modules/{release}/{file}.{suffix}");
    add(package, &path, 0o644, packed);
}

/// Puts a program at /usr/sbin, and what it needs into `libraries`: file by soname.
fn add_program(
    package: &mut PackageBuilder,
    image: &Image,
    program: &str,
    libraries: &mut BTreeMap<String, (String, Vec<u8>)>,
) {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    for (guest, host) in image.userland.closure(&[program]).unwrap() {
        let content = fs::read(&host).unwrap();
        let soname = name(Path::new(&guest));
        if soname == program {
            add(package, &format!("/usr/sbin/{program}"), 0o755, content);
        } else {
            libraries.insert(soname, (name(&host), content));
        }
    }
}

fn library_packages(
    libraries: BTreeMap<String, (String, Vec<u8>)>,
    release: &str,
    mut formats: impl Iterator<Item = CompressionWithLevel>,
) -> Set {
    let mut set = Set::new();
    let names: BTreeSet<&str> = libraries.keys().map(|soname| belongs_to(soname)).collect();
    for name in names {
        let mut built = package(name, "1", release, formats.next().unwrap());
        for (soname, (file, content)) in &libraries {
            if belongs_to(soname) != name {
                continue;
            }
            // RHEL 7 has glibc in /lib64 still, by name, though that is a link to /usr/lib64.
            let directory = match name {
                "glibc" => "/lib64",
                _ => "/usr/lib64",
            };
            let content = match soname.starts_with("ld-linux") {
                true => looking_in_lib64(content),
                false => content.clone(),
            };
            add(&mut built, &format!("{directory}/{file}"), 0o755, content);
            if soname != file {
                link(&mut built, &format!("{directory}/{soname}"), file);
            }
        }
        set.push((name.to_owned(), built));
    }
    set
}

/// The package that has this library.
fn belongs_to(soname: &str) -> &'static str {
    match soname.split(['.', '-']).next().unwrap() {
        "libz" => "zlib",
        "liblzma" => "xz-libs",
        "libbz2" => "bzip2-libs",
        "libdw" => "elfutils-libs",
        "libelf" => "elfutils-libelf",
        "liblzo2" => "lzo",
        "ld" | "libc" | "libm" | "libdl" | "librt" | "libpthread" => "glibc",
        // Debian's kexec can start Xen too.
        _ => "xen-libs",
    }
}

/// Debian's dynamic loader with RHEL's two standard directories in place of Debian's own: in a
/// place of the same length, and slashes may be many.
fn looking_in_lib64(loader: &[u8]) -> Vec<u8> {
    let debian = b"/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0";
    let rhel = b"/lib64////////////////\0/usr/lib64////////////////\0";
    let found: Vec<usize> = memchr::memmem::find_iter(loader, debian).collect();
    assert!(!found.is_empty(), "no standard directories in the loader");
    let mut changed = loader.to_vec();
    for at in found {
        changed[at..at + rhel.len()].copy_from_slice(rhel);
    }
    changed
}
