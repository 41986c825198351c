//! The dump reader against makedumpfile and crash themselves.
//!
//! One drill leaves a whole /proc/vmcore. The image's own makedumpfile turns it into every format
//! that it has, and what the reader says of each is held against what makedumpfile and crash say.
//! Both come from the image, so nothing need be installed.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};

use crashdrill::image::{Cache, Image, Silent};
use crashdrill::machine::catalogue;
use crashdrill::project::Project;
use crashdrill::run::{self, Shell};
use crashdrill::target::{BlockDevice, Target};
use crashdrill::vmcore::{
    Completeness, Compression, FlatFile, Format, Frames, Inspection, Lack, ReadAt, inspect,
};

/// Debian 13's makedumpfile is the one that knows zstd.
const IMAGE: &str = "
name: crosscheck
about: Debian 13 with crash
source:
  apt:
    suite: trixie
    packages: [linux-image-amd64, kexec-tools, makedumpfile, busybox-static, e2fsprogs, crash]
";
/// As small as the kernels allow. Nothing is left out: what makedumpfile counts when it filters a
/// dump that was filtered before is wrong.
const SCENARIO: &str = "
name: crosscheck
about: A dump of all memory.
image: crosscheck
machine:
  cpus: 2
  memory: 512M
  devices:
    - {device: virtio-blk, target: true}
crashkernel: 256M
kdump:
  conf: |
    ext4 /dev/vda
    core_collector makedumpfile -E -d 0
";

/// What all tests look at.
struct World {
    image: Arc<Image>,
    directory: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    /// Runs the drill, and takes the dump off its disk.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (name, text) in [
            ("images/crosscheck.yaml", IMAGE),
            ("scenarios/crosscheck.yaml", SCENARIO),
        ] {
            let path = root.join(name);
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let project = Project::at(root.to_owned()).unwrap();
        let file = project.scenarios(&[]).unwrap().remove(0);
        let scenario = crashdrill::scenario::read(&file, catalogue::facts)
            .map_err(|error| error.render(100, false))
            .unwrap();
        let cache = Cache::from_env().unwrap();
        let prepared =
            run::prepare(&project, &cache, scenario.drills, None, Shell::No, &Silent).unwrap();
        let job = &prepared.jobs[0];
        let result = run::one(job).unwrap();
        let console = || String::from_utf8_lossy(&result.console).into_owned();
        let vmcore = result.outcome.vmcore.as_ref();
        assert!(vmcore.is_some_and(|dump| dump.complete), "{}", console());
        let disk = BlockDevice::whole(&result.files.disks[0]).unwrap();
        let target = Target::open(&disk).unwrap();
        let found = target.find_dumps(&job.plan.dump_directory).unwrap();
        let dump = target.open_dump(&found.dumps[0].path).unwrap();
        copy(&dump, dump.len(), &root.join("elf"));
        Self {
            image: job.image.clone(),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = self.image.userland.command(name).unwrap();
        command
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// makedumpfile's words, standard output and error in one.
    fn makedumpfile(&self, arguments: &str) -> String {
        let mut command = self.tool("makedumpfile");
        said(command.args(arguments.split(' ')))
    }

    /// A flattened dump: makedumpfile writes it to standard output.
    fn flatten(&self, arguments: &str, from: &str, to: &str) {
        let mut command = self.tool("makedumpfile");
        let out = File::create(self.path(to)).unwrap();
        command
            .args(arguments.split(' '))
            .args(["-F", from])
            .stdout(out)
            .stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "{to}");
    }

    /// As `makedumpfile -R` puts a flattened dump back.
    fn rearrange(&self, from: &str, to: &str) {
        let mut command = self.tool("makedumpfile");
        command.stdin(File::open(self.path(from)).unwrap());
        said(command.args(["-R", to]));
    }

    fn inspect(&self, name: &str) -> Inspection {
        let file = File::open(self.path(name)).unwrap();
        let len = file.metadata().unwrap().len();
        inspect(&file, len).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What crash reads in the headers: it prints all of them when asked for debugging.
    fn crash(&self, name: &str) -> String {
        let mut command = self.tool("crash");
        said(command.args(["-d", "8", "--osrelease", name]))
    }

    /// The log as makedumpfile prints it. Where the kernel says in VMCOREINFO which field of a
    /// record holds the caller, 1.7.6 prints that too, `[      T0] ` behind the time, which dmesg
    /// does not; it is taken out again.
    fn dmesg(&self, name: &str) -> String {
        let log = format!("{name}.log");
        self.makedumpfile(&format!("--dump-dmesg {name} {log}"));
        let log = fs::read_to_string(self.path(&log)).unwrap();
        without_callers(&log)
    }
}

fn without_callers(log: &str) -> String {
    let caller = regex::Regex::new(r"^(\[ *\d+\.\d{6}\] )(\[ *[TC]\d+\] )?").unwrap();
    let mut plain = String::new();
    // Further lines of a record are indented as far as its first.
    let mut width = 0;
    for line in log.split_inclusive('\n') {
        match caller.captures(line) {
            Some(found) => {
                width = found.get(2).map_or(0, |caller| caller.len());
                plain += &found[1];
                plain += &line[found[0].len()..];
            }
            None => plain += &line[width.min(line.len() - line.trim_start_matches(' ').len())..],
        }
    }
    plain
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace('\r', "\n");
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

fn copy(from: &dyn ReadAt, len: u64, to: &Path) {
    let mut to = File::create(to).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let take = (len - at).min(buffer.len() as u64) as usize;
        from.read_exact_at(at, &mut buffer[..take]).unwrap();
        to.write_all(&buffer[..take]).unwrap();
        at += take as u64;
    }
}

/// The hexadecimal or decimal number behind `name :` or `name:`.
#[track_caller]
fn number(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    });
    let value = value.unwrap_or_else(|| panic!("no `{name}` in {text}"));
    let word = value.split(' ').next().unwrap();
    match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => word.parse().unwrap(),
    }
}

/// Byte for byte; says where not.
#[track_caller]
fn assert_same_log(told: &str, found: &Inspection) {
    let log = found.dmesg.as_ref().unwrap();
    for (theirs, ours) in told.lines().zip(log.lines()) {
        assert_eq!(theirs, ours);
    }
    assert!(told == log, "{} bytes and {}", told.len(), log.len());
}

/// What is the same whatever the format.
#[track_caller]
fn assert_same_crash(found: &Inspection, elf: &Inspection) {
    assert_eq!(found.release, elf.release);
    assert_eq!(found.crash_time, elf.crash_time);
    assert_eq!(found.cpus, Some(2));
    assert_eq!(found.frames.memory, elf.frames.memory);
    assert_eq!(found.dmesg.as_ref().unwrap(), elf.dmesg.as_ref().unwrap());
    assert!(found.vmcoreinfo.lines().eq(elf.vmcoreinfo.lines()));
    let panic = "Kernel panic - not syncing: sysrq triggered crash";
    assert_eq!(found.panic.as_deref(), Some(panic));
}

/// Every compression, several levels: pages as makedumpfile counts them and as crash does, the log
/// as makedumpfile prints it, the headers as crash reads them.
#[test]
fn compressed_dumps() {
    let world = &*WORLD;
    let elf = world.inspect("elf");
    assert_same_log(&world.dmesg("elf"), &elf);
    // From ELF makedumpfile counts the kernel's text twice, which has two segments.
    world.makedumpfile("-d 0 elf whole");
    for (option, level, compression) in [
        ("-c", 0, Compression::Zlib),
        ("-l", 1, Compression::Lzo),
        ("-z", 31, Compression::Zstd),
        ("-c", 16, Compression::Zlib),
        ("-l", 31, Compression::Lzo),
    ] {
        let name = format!("kdump{option}{level}");
        let told = world.makedumpfile(&format!("--show-stats {option} -d {level} whole {name}"));
        let found = world.inspect(&name);
        assert_eq!(found.complete, Completeness::Complete, "{name}");
        assert_eq!(found.format, Format::KdumpCompressed);
        assert_same_crash(&found, &elf);
        assert_same_log(&world.dmesg(&name), &found);
        let Frames {
            memory,
            dumped,
            zeros,
        } = found.frames;
        assert_eq!(memory, number(&told, "Original pages"), "{name}");
        assert_eq!(zeros, number(&told, "Pages filled with zero"), "{name}");
        assert_eq!(dumped - zeros, number(&told, "Remaining pages"), "{name}");
        assert_eq!(zeros > 0, level & 1 != 0, "{name}");
        assert_eq!(found.dump_level.unwrap().0, level);
        let packed: Vec<_> = found
            .packed
            .iter()
            .map(|packed| packed.compression)
            .collect();
        assert_eq!(packed, [Compression::None, compression], "{name}");
        let pages: u64 = found.packed.iter().map(|packed| packed.pages).sum();
        assert_eq!(pages, dumped - zeros, "{name}");

        let crash = world.crash(&name);
        assert_eq!(
            found.frames.dumped,
            number(&crash, "total_valid_pages"),
            "{name}"
        );
        assert_eq!(u64::from(level), number(&crash, "dump_level"));
        assert_eq!(
            u64::from(found.header_version.unwrap()),
            number(&crash, "header_version")
        );
        assert_eq!(u64::from(found.cpus.unwrap()), number(&crash, "nr_cpus"));
        assert_eq!(crash.lines().last(), found.release.as_deref());
        for (key, value) in found.vmcoreinfo.lines() {
            let line = format!("{key}={value}");
            assert!(crash.lines().any(|have| have.trim() == line), "{line}");
        }
    }
}

/// ELF dumps with pages left out.
#[test]
fn elf_dumps() {
    let world = &*WORLD;
    let elf = world.inspect("elf");
    assert_eq!(elf.complete, Completeness::Complete);
    assert_eq!((elf.format, elf.dump_level), (Format::Elf, None));
    assert_same_crash(&elf, &elf);
    let told = world.makedumpfile("--show-stats -E -d 31 elf elf31");
    let found = world.inspect("elf31");
    assert_eq!(found.complete, Completeness::Complete);
    assert_same_crash(&found, &elf);
    assert_same_log(&world.dmesg("elf31"), &found);
    // It counts the kernel's text twice, as the file holds it.
    assert!(number(&told, "Original pages") > found.frames.memory);
    assert!(found.frames.dumped < elf.frames.dumped);
    assert_eq!(elf.frames.left_out(), 0);
    let crash = world.crash("elf31");
    assert_eq!(number(&crash, "num_prstatus_notes"), 2);
    assert_eq!(crash.lines().last(), found.release.as_deref());
}

/// The reader's view of a flattened dump is what `makedumpfile -R` makes of it, byte for byte.
#[test]
fn flattened_dumps() {
    let world = &*WORLD;
    let elf = world.inspect("elf");
    for (options, format) in [
        ("-l -d 31", Format::KdumpCompressed),
        ("-E -d 31", Format::Elf),
    ] {
        let flat = format!("flat-{format}");
        world.flatten(options, "elf", &flat);
        let rearranged = format!("rearranged-{format}");
        world.rearrange(&flat, &rearranged);

        let found = world.inspect(&flat);
        assert_eq!(found.complete, Completeness::Complete);
        assert_eq!(found.format, format);
        assert_same_crash(&found, &elf);
        let expected = world.inspect(&rearranged);
        assert_eq!(found.frames, expected.frames);
        assert_eq!(found.packed, expected.packed);
        let crash = world.crash(&flat);
        assert_eq!(crash.lines().last(), found.release.as_deref());

        let file = File::open(world.path(&flat)).unwrap();
        let len = file.metadata().unwrap().len();
        let stream = found.stream.unwrap();
        assert_eq!((stream.bytes, stream.behind), (len, 0));
        let view = FlatFile::open(&file, len).unwrap();
        let view_copy = world.path("view");
        copy(&view, view.len(), &view_copy);
        assert!(same(&view_copy, &world.path(&rearranged)), "{format}");

        // On a raw device something else lies behind it; and a dump may be cut off.
        let mut bytes = fs::read(world.path(&flat)).unwrap();
        bytes.extend_from_slice(&[0xa5; 100_000]);
        let found = inspect(&&bytes[..], bytes.len() as u64).unwrap();
        assert_eq!(found.complete, Completeness::Complete);
        assert_eq!(found.stream.unwrap().behind, 100_000);
        for cut in [len - 1, len - 16, len / 2] {
            let found = inspect(&&bytes[..cut as usize], cut).unwrap();
            let lack = Lack::StreamCut { len: cut };
            assert_eq!(found.complete, Completeness::Incomplete(lack));
        }
    }
}

/// The parts of a split dump are parts, and together they are the dump.
#[test]
fn split_dumps() {
    let world = &*WORLD;
    let elf = world.inspect("elf");
    world.makedumpfile("--split --splitblock-size 64 -l -d 31 elf part1 part2 part3");
    world.makedumpfile("--reassemble part1 part2 part3 joined");
    let joined = world.inspect("joined");
    assert_eq!(joined.complete, Completeness::Complete);
    assert_same_crash(&joined, &elf);
    let mut next = 0;
    let mut pages = 0;
    let mut zeros = 0;
    for name in ["part1", "part2", "part3"] {
        let part = world.inspect(name);
        let Completeness::Incomplete(Lack::Split { start, end }) = part.complete else {
            panic!("{name}: {:?}", part.complete);
        };
        assert_eq!(start, next, "{name}");
        assert!(end > start, "{name}");
        next = end;
        let own: u64 = part.packed.iter().map(|packed| packed.pages).sum();
        assert!(own > 0, "{name}");
        pages += own;
        zeros += part.frames.zeros;
        assert_eq!(part.frames.dumped, joined.frames.dumped);
    }
    assert_eq!(zeros, joined.frames.zeros);
    assert_eq!(pages, joined.frames.dumped - zeros);
}

/// The commands as people use them.
#[test]
fn the_log_of_a_dump_can_be_diagnosed() {
    let world = &*WORLD;
    let crashdrill = env!("CARGO_BIN_EXE_crashdrill");
    let mut vmcore = Command::new(crashdrill)
        .args(["vmcore", "--dmesg", "elf"])
        .current_dir(world.directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = Command::new(crashdrill)
        .args(["diagnose", "--json", "-"])
        .current_dir(world.directory.path())
        .stdin(vmcore.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(vmcore.wait().unwrap().success());
    // A crash.
    assert_eq!(output.status.code(), Some(1));
    let diagnosis: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let release = world.inspect("elf").release;
    assert_eq!(
        diagnosis["boots"][0]["release"].as_str(),
        release.as_deref()
    );
    assert_eq!(diagnosis["crash"], true);
}

fn same(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let read = (&mut one).take(1 << 20).read_to_end(&mut left).unwrap();
        (&mut other).take(1 << 20).read_to_end(&mut right).unwrap();
        if left != right {
            return false;
        }
        if read == 0 {
            return true;
        }
    }
}
