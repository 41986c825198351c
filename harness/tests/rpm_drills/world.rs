//! A project and a cache of one's own, in which one crashdrill runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crashdrill::image::{Cache, Image, Manifest, Silent, entry_id};
use tempfile::TempDir;

/// The image that lends busybox and mke2fs, and that the packages were made of.
pub(crate) const LENDER: &str = "debian-12";
/// The file with the public key; its fingerprint.
const KEY: &str = "RPM-GPG-KEY-test";
pub(crate) const FINGERPRINT: &str = "DD22 F396 0F35 63AA EB57 B1D8 18BF A9E7 FC32 5178";

/// A file of the repository.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A key of this test.
pub(crate) fn key(file: &str) -> PathBuf {
    checkout("harness/tests/keys").join(file)
}

pub(crate) struct World {
    directory: TempDir,
    /// Of the image and of the scenario.
    name: &'static str,
    packages: Vec<PathBuf>,
}

impl World {
    /// One with an image of these packages, and a scenario with this machine and kdump.
    pub(crate) fn new(name: &'static str, packages: &[PathBuf], scenario: &str) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let world = Self {
            directory,
            name,
            packages: packages.to_vec(),
        };
        for directory in ["images", "scenarios", "snapshots", "cache/image"] {
            fs::create_dir_all(world.path(directory)).unwrap();
        }
        let lender = format!("images/{LENDER}.yaml");
        fs::copy(checkout(&lender), world.path(&lender)).unwrap();
        fs::copy(key(KEY), world.path("images").join(KEY)).unwrap();
        let listed: String = packages
            .iter()
            .map(|package| format!("      - {package:?}\n"))
            .collect();
        let manifest = format!(
            "name: {name}\nabout: Packages of a test.\nsource:\n  rpm:\n    key: {KEY}\n    \
             fingerprint: {FINGERPRINT}\n    packages:\n{listed}    userland: {LENDER}\n"
        );
        fs::write(world.path(&format!("images/{name}.yaml")), manifest).unwrap();
        let scenario =
            format!("name: {name}\nabout: A dump that works.\nimage: {name}\n{scenario}");
        fs::write(world.path(&format!("scenarios/{name}.yaml")), scenario).unwrap();
        world.borrow_cache();
        world
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn packages(&self) -> &[PathBuf] {
        &self.packages
    }

    /// Lets this world's cache have the lender and QEMU of the real one, and all that is known
    /// about the host, by links: nothing is fetched again.
    fn borrow_cache(&self) {
        let real = Cache::from_env().unwrap();
        let cache = self.path("cache");
        for entry in fs::read_dir(real.root()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name != "image" {
                symlink(&path, cache.join(name)).unwrap();
            }
        }
        let lender = Path::new("image").join(self.lender());
        symlink(real.root().join(&lender), cache.join(&lender)).unwrap();
    }

    /// Name of the lender's cache entry.
    fn lender(&self) -> String {
        entry_id(&self.manifest(LENDER)).unwrap().file_name()
    }

    pub(crate) fn manifest(&self, name: &str) -> Manifest {
        Manifest::load(&self.path(&format!("images/{name}.yaml"))).unwrap()
    }

    /// `crashdrill run`.
    pub(crate) fn run(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_crashdrill"))
            .arg("--root")
            .arg(self.directory.path())
            .args(["run", "--accept", "--keep", "--json", "drills.json"])
            .current_dir(self.directory.path())
            .env("CRASHDRILL_CACHE", self.path("cache"))
            // With it, no snapshot would be accepted.
            .env_remove("CI")
            .output()
            .unwrap()
    }

    /// The outcome of the drill that ran.
    pub(crate) fn outcome(&self) -> serde_json::Value {
        let text = fs::read(self.path("drills.json")).unwrap();
        let mut run: serde_json::Value = serde_json::from_slice(&text).unwrap();
        run["drills"][0]["outcome"].take()
    }

    /// The drill's console log, with all that was kept beside it, where it outlives this world.
    pub(crate) fn save(&self) -> PathBuf {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rpm_drills-{}", self.name));
        let _ = fs::remove_dir_all(&to);
        fs::rename(self.path("crashdrill-kept").join(self.name), &to).unwrap();
        to
    }

    /// The image as the run left it in the cache.
    pub(crate) fn image(&self) -> Image {
        let lender = |name: &str| Ok(self.manifest(name));
        let cache = Cache::at(self.path("cache"));
        Image::open(&self.manifest(self.name), &lender, &cache, &Silent).unwrap()
    }

    /// What is in this world's cache of images, without the lender and the lock files.
    pub(crate) fn cached(&self) -> Vec<String> {
        let read = fs::read_dir(self.path("cache/image")).unwrap();
        let names = read.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let lender = self.lender();
        names
            .filter(|name| *name != lender && !name.ends_with(".lock"))
            .collect()
    }
}
