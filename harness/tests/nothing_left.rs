//! Whatever is killed, and whenever: nothing is left behind, and no snapshot changes.
//!
//! The real `crashdrill` runs with a stand-in for QEMU, this very executable, that plays a recorded
//! drill up to a given phase, says so, and stays there until a signal comes. Two tests run a real
//! drill in a real QEMU, which they fetch if need be.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "nothing_left/stand_in.rs"]
mod stand_in;
#[path = "nothing_left/world.rs"]
mod world;

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use crashdrill::image::{Cache, Silent, qemu};
use libtest_mimic::{Arguments, Trial};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::Value;

use world::{Run, SNAPSHOT, Template, World};

/// Before a machine runs: QEMU is asked for its version and its devices, and has to greet.
const BEFORE: [&str; 3] = ["version", "capabilities", "greeting"];
const PHASES: [&str; 8] = [
    "firmware",
    "first-kernel",
    "armed",
    "crashed",
    "capture-kernel",
    "capture-drivers",
    "saving",
    "saved",
];
/// With `--accept`, so that a wrong verdict would be written down.
const DRILL: [&str; 4] = ["run", "--variant", "nvme", "--accept"];

type Case = fn(&Template);

const SINGLE: [(&str, Case); 20] = [
    (
        "crashdrill gets SIGKILL over a real QEMU",
        real_crashdrill_is_killed,
    ),
    ("a real QEMU gets SIGKILL", real_qemu_is_killed),
    (
        "ctrl-c on a terminal while a disk is formatted",
        formatting_is_interrupted,
    ),
    (
        "crashdrill gets SIGKILL while a disk is formatted",
        formatting_is_killed,
    ),
    (
        "QEMU is killed while a capture kernel's memory is dumped",
        dumping_qemu_is_killed,
    ),
    ("apt-get is killed", apt_is_killed),
    ("one of two QEMUs is killed", one_of_two_is_killed),
    (
        "one of two QEMUs under compare is killed",
        one_of_two_compared_is_killed,
    ),
    ("search without a dump", search_finds_nothing),
    (
        "QEMU under search is killed in the second boot",
        second_boot_of_search_is_killed,
    ),
    ("the dump server is killed", server_is_killed),
    ("a drill waits for its dump server", server_is_slow),
    ("no room for temporary files", no_room),
    ("QEMU has no room and says so", qemu_stops_without_room),
    ("what is kept is the user's alone", kept_is_private),
    ("a drill that cannot be kept is reported", cannot_be_kept),
    (
        "crashdrill gets SIGKILL before QEMU has come to its devices",
        nobody_comes_to_the_devices,
    ),
    (
        "a QEMU with a modelled device is killed",
        qemu_with_a_device_is_killed,
    ),
    ("a modelled device fails", device_fails),
    (
        "a QEMU is too old for one of two drills",
        qemu_is_too_old_for_one_of_two,
    ),
];

fn main() -> ExitCode {
    if std::env::var_os(stand_in::FIFO).is_some() {
        stand_in::run();
    }
    let mut arguments = Arguments::from_args();
    // They wait more than they work.
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    arguments.test_threads.get_or_insert(2 * cpus);
    let template = Arc::new(Template::new().unwrap());
    let mut trials = Vec::new();
    let mut add = |name: String, test: Box<dyn Fn(&Template) + Send>| {
        let template = template.clone();
        trials.push(Trial::test(name, move || {
            test(&template);
            Ok(())
        }));
    };
    // The two real drills, which take longest, first.
    for (name, test) in SINGLE {
        add(name.to_owned(), Box::new(test));
    }
    for place in BEFORE.into_iter().chain(PHASES) {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
            let name = format!("crashdrill gets {signal} at {place}");
            add(
                name,
                Box::new(move |template| crashdrill_is_killed(template, place, signal)),
            );
        }
        let name = format!("ctrl-c on a terminal at {place}");
        add(
            name,
            Box::new(move |template| group_is_interrupted(template, place)),
        );
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let name = format!("QEMU gets {signal} at {place}");
            add(
                name,
                Box::new(move |template| qemu_is_killed(template, place, signal)),
            );
        }
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let name = format!("crashdrill gets {signal} with three drills running");
        add(
            name,
            Box::new(move |template| many_are_killed(template, signal)),
        );
        let name = format!("crashdrill compare gets {signal} with both drills running");
        add(
            name,
            Box::new(move |template| compare_is_killed(template, signal)),
        );
        let name = format!("crashdrill search gets {signal} in its second boot");
        add(
            name,
            Box::new(move |template| search_is_killed(template, signal)),
        );
        let name = format!("crashdrill gets {signal} beside a dump server");
        add(
            name,
            Box::new(move |template| two_machines_are_killed(template, signal)),
        );
        let name = format!("crashdrill gets {signal} while an image is fetched");
        add(
            name,
            Box::new(move |template| fetching_is_killed(template, signal)),
        );
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let name = format!("crashdrill gets {signal} while a capture kernel's memory is dumped");
        add(
            name,
            Box::new(move |template| dumping_is_killed(template, signal)),
        );
    }
    let full = template.clone();
    let trial = Trial::test("QEMU has no room and tells the guest only", move || {
        qemu_goes_on_without_room(&full);
        Ok(())
    });
    // Ignored, and shown so, where the host gives no user namespaces.
    trials.push(trial.with_ignored_flag(!has_namespaces(&template)));

    let conclusion = libtest_mimic::run(&arguments, trials);
    // exit() would leave its directory.
    drop(template);
    conclusion.exit_code()
}

fn shell_status(signal: Signal) -> i32 {
    128 + signal as i32
}

fn crashdrill_is_killed(template: &Template, place: &str, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill(place, &DRILL).unwrap()).unwrap();
    let qemu = world.arrived(&run, 1);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemu);
}

fn group_is_interrupted(template: &Template, place: &str) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill(place, &DRILL).unwrap()).unwrap();
    let qemu = world.arrived(&run, 1);
    run.signal_group(Signal::SIGINT);
    assert_eq!(
        run.ended(),
        shell_status(Signal::SIGINT),
        "{}",
        world.stderr()
    );
    world.assert_nothing_is_left(&qemu);
}

fn qemu_is_killed(template: &Template, place: &str, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill(place, &DRILL).unwrap()).unwrap();
    let qemu = world.arrived(&run, 1);
    qemu[0].signal(signal);
    let status = run.ended();
    let said = world.stderr();
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("QEMU"), "{said}");
    if PHASES.contains(&place) {
        assert!(said.contains(&format!("in phase {place},")), "{said}");
        let how = match signal {
            // QEMU takes it for a request, and says so.
            Signal::SIGTERM => "host-signal",
            _ => "SIGKILL",
        };
        assert!(said.contains(how), "{said}");
    }
    world.assert_nothing_is_left(&qemu);
}

const POSTMORTEM: [&str; 4] = ["run", "--variant", "nvme", "--postmortem"];

fn dumping_is_killed(template: &Template, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill(stand_in::DUMPING, &POSTMORTEM).unwrap()).unwrap();
    let qemu = world.arrived(&run, 1);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemu);
}

fn dumping_qemu_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill(stand_in::DUMPING, &POSTMORTEM).unwrap()).unwrap();
    let qemu = world.arrived(&run, 1);
    qemu[0].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    assert!(world.stderr().contains("SIGKILL"), "{}", world.stderr());
    world.assert_nothing_is_left(&qemu);
}

fn many_are_killed(template: &Template, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut arguments = vec!["run", "-j", "3", "--accept"];
    for variant in ["nvme", "virtio-blk", "ahci"] {
        arguments.extend(["--variant", variant]);
    }
    let mut run = Run::start(world.crashdrill("saving", &arguments).unwrap()).unwrap();
    let qemus = world.arrived(&run, 3);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

const COMPARE: [&str; 7] = [
    "compare",
    "healthy@nvme",
    "healthy@ahci",
    "-j",
    "2",
    "--json",
    "proof.json",
];

fn compare_is_killed(template: &Template, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill("saving", &COMPARE).unwrap()).unwrap();
    let qemus = world.arrived(&run, 2);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

/// A failure of the harness is no outcome: there is nothing to compare, and nothing is written.
fn one_of_two_compared_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill("saving", &COMPARE).unwrap()).unwrap();
    let qemus = world.arrived(&run, 2);
    qemus[1].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    assert!(world.stderr().contains("SIGKILL"), "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

/// The stand-in never leaves a dump, so the scenario's own value is tried after the larger one.
const SEARCH: [&str; 8] = [
    "search",
    "healthy@nvme",
    "--minimise",
    "crashkernel",
    "--to",
    "512M",
    "--json",
    "search.json",
];

/// A search in its second boot, and both QEMUs.
fn second_boot(world: &World) -> (Run, Vec<world::Process>) {
    let run = Run::start(world.crashdrill("saving", &SEARCH).unwrap()).unwrap();
    let mut qemus = world.arrived(&run, 1);
    qemus[0].signal(Signal::SIGUSR1);
    qemus.extend(world.arrived(&run, 1));
    (run, qemus)
}

fn search_is_killed(template: &Template, signal: Signal) {
    let world = World::new(template).unwrap();
    let (mut run, qemus) = second_boot(&world);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

fn second_boot_of_search_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let (mut run, qemus) = second_boot(&world);
    qemus[1].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

fn search_finds_nothing(template: &Template) {
    let world = World::new(template).unwrap();
    let (mut run, qemus) = second_boot(&world);
    qemus[1].signal(Signal::SIGUSR1);
    assert_eq!(run.ended(), 1, "{}", world.stderr());
    let found = fs::read_to_string(world.path("work/search.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert!(found["smallest"].is_null(), "{found}");
    let tried: Vec<_> = found["trials"].as_array().unwrap().iter().collect();
    assert_eq!(tried.len(), 2, "{found}");
    assert_eq!(tried[1]["value"], 256 << 20, "{found}");
    fs::remove_file(world.path("work/search.json")).unwrap();
    world.assert_nothing_is_left(&qemus);
}

/// With a dump server as its second machine.
const REMOTE: [&str; 4] = ["run", "--variant", "saved", "--accept"];

fn two_machines_are_killed(template: &Template, signal: Signal) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill("saving", &REMOTE).unwrap()).unwrap();
    let qemus = world.arrived(&run, 2);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    world.assert_nothing_is_left(&qemus);
}

/// A machine that has crashed before there is a server stands still until there is one.
fn server_is_slow(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill("serving", &REMOTE).unwrap()).unwrap();
    let heard = world.heard(&run, 2);
    let at = |place: &str| heard.iter().find(|(at, _)| at == place);
    assert!(at("stop").is_some(), "{heard:?}");
    let (_, server) = at("serving").unwrap();
    kill(Pid::from_raw(*server), Signal::SIGUSR1).unwrap();
    let (at, _) = &world.heard(&run, 1)[0];
    assert_eq!(at, "cont");
    assert_eq!(run.ended(), 0, "{}", world.stderr());
}

/// A drill with a device that lives in crashdrill.
fn modelled(template: &Template, stop: &str) -> (World, Command) {
    let mut world = World::new(template).unwrap();
    let scenario = world.path("root/scenarios/modelled.yaml");
    let text = "name: modelled\nabout: A device that QEMU does not have.\nimage: debian-12\n\
                machine: {devices: [{device: generic, msix: 8}, {device: nvme, target: true}]}\n\
                crashkernel: 256M\nkdump: {conf: 'ext4 /dev/nvme0n1'}\n";
    fs::write(&scenario, text).unwrap();
    world.settle().unwrap();
    let arguments = ["run", scenario.to_str().unwrap()];
    let command = world.crashdrill(stop, &arguments).unwrap();
    (world, command)
}

fn nobody_comes_to_the_devices(template: &Template) {
    let (world, command) = modelled(template, "greeting");
    let mut run = Run::start(command).unwrap();
    let qemu = world.arrived(&run, 1);
    // Not even while it runs.
    world.assert_no_file_is_left();
    run.process.signal(Signal::SIGKILL);
    assert_eq!(run.ended(), shell_status(Signal::SIGKILL));
    world.assert_nothing_is_left(&qemu);
}

/// Its devices have nothing to do with that.
fn qemu_with_a_device_is_killed(template: &Template) {
    let (world, command) = modelled(template, "saving");
    let mut run = Run::start(command).unwrap();
    let qemu = world.arrived(&run, 1);
    qemu[0].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    let said = world.stderr();
    assert!(said.contains("in phase saving,"), "{said}");
    assert!(said.contains("SIGKILL"), "{said}");
    assert!(!said.contains("generic-0"), "{said}");
    world.assert_nothing_is_left(&qemu);
}

/// What the guest makes of that is no outcome either.
fn device_fails(template: &Template) {
    let (world, mut command) = modelled(template, "saving");
    command.env(stand_in::THEN, stand_in::GARBLE);
    let mut run = Run::start(command).unwrap();
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    let said = world.stderr();
    let expected = "the modelled device generic-0 failed: QEMU sent";
    assert!(said.contains(expected), "{said}");
    world.assert_nothing_is_left(&[]);
}

/// Of two drills the one that it can do is done, and what became of the other is in every report.
fn qemu_is_too_old_for_one_of_two(template: &Template) {
    let (world, _) = modelled(template, "");
    let modelled = world.path("root/scenarios/modelled.yaml");
    let plain = world.path("root/scenarios/plain.yaml");
    let text = fs::read_to_string(&modelled).unwrap();
    let text = text.replace("{device: generic, msix: 8}, ", "");
    fs::write(&plain, text.replace("name: modelled", "name: plain")).unwrap();
    let [junit, json] = ["work/junit.xml", "work/drills.json"].map(|file| world.path(file));
    let files = [&modelled, &plain, &junit, &json].map(|file| file.to_str().unwrap());
    let [modelled, plain, junit, json] = files;
    let arguments = [
        "run", modelled, plain, "--accept", "--junit", junit, "--json", json,
    ];
    let mut command = world.crashdrill("", &arguments).unwrap();
    command.env(stand_in::OLD, "1");
    let mut run = Run::start(command).unwrap();
    assert_eq!(run.ended(), 0, "{}", world.stderr());
    let said = world.stderr();
    let why = "QEMU 7.2.22 has no device vfio-user-pci; CRASHDRILL_QEMU=fetched runs";
    assert!(
        said.contains(&format!("left out modelled: {why}")),
        "{said}"
    );
    assert!(said.contains("1 drill in"), "{said}");
    assert!(said.contains("0 failed to run, 1 left out"), "{said}");
    let report = fs::read_to_string(junit).unwrap();
    assert!(
        report.contains(&format!("<skipped message=\"{why}")),
        "{report}"
    );
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["left_out"][0]["scenario"], "modelled");
    assert_eq!(report["drills"].as_array().unwrap().len(), 1);
}

/// That is no outcome of the drill.
fn server_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = Run::start(world.crashdrill("saving", &REMOTE).unwrap()).unwrap();
    let heard = world.heard(&run, 2);
    let (_, server) = heard.iter().find(|(place, _)| place == "server").unwrap();
    kill(Pid::from_raw(*server), Signal::SIGKILL).unwrap();
    let status = run.ended();
    let said = world.stderr();
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("the dump server failed: QEMU ended"),
        "{said}"
    );
    assert!(said.contains("SIGKILL"), "{said}");
    world.assert_nothing_is_left(&[]);
}

/// mke2fs must not be hit by what is typed for crashdrill.
fn formatting_is_interrupted(template: &Template) {
    let mut world = World::new(template).unwrap();
    world.wait_in_mke2fs(template).unwrap();
    let mut run = Run::start(world.crashdrill("greeting", &DRILL).unwrap()).unwrap();
    world.heard(&run, 1);
    run.signal_group(Signal::SIGINT);
    let _gate = world.open_gate().unwrap();
    assert_eq!(
        run.ended(),
        shell_status(Signal::SIGINT),
        "{}",
        world.stderr()
    );
    assert!(!world.stderr().contains("ERROR"), "{}", world.stderr());
    world.assert_nothing_is_left(&[]);
}

fn formatting_is_killed(template: &Template) {
    let mut world = World::new(template).unwrap();
    world.wait_in_mke2fs(template).unwrap();
    let mut run = Run::start(world.crashdrill("", &DRILL).unwrap()).unwrap();
    world.heard(&run, 1);
    let processes = world.processes();
    assert!(
        processes
            .iter()
            .any(|process| process.pid != run.process.pid)
    );
    run.process.signal(Signal::SIGKILL);
    assert_eq!(
        run.ended(),
        shell_status(Signal::SIGKILL),
        "{}",
        world.stderr()
    );
    world.assert_nothing_is_left(&processes);
}

fn one_of_two_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let arguments = [
        "run",
        "-j",
        "2",
        "--variant",
        "nvme",
        "--variant",
        "ahci",
        "--accept",
        "--json",
        "out",
    ];
    let mut run = Run::start(world.crashdrill("saving", &arguments).unwrap()).unwrap();
    let qemus = world.arrived(&run, 2);
    qemus[0].signal(Signal::SIGKILL);
    qemus[1].signal(Signal::SIGUSR1);
    assert_eq!(run.ended(), 3, "{}", world.stderr());

    let accepted = fs::read_to_string(world.path("root/snapshots/healthy@ahci.snap"));
    let kept = fs::read_to_string(world.path("root/snapshots/healthy@nvme.snap")).unwrap();
    match accepted {
        // It was nvme's QEMU that was killed.
        Ok(text) => {
            assert!(text.contains("verdict:"), "{text}");
            assert_eq!(kept, SNAPSHOT);
        }
        Err(_) => assert_ne!(kept, SNAPSHOT),
    }
}

/// A world whose apt-get stays for ever.
fn fetching(template: &Template) -> World {
    let mut world = World::new(template).unwrap();
    let this = std::env::current_exe().unwrap();
    std::os::unix::fs::symlink(this, world.path("bin/apt-get")).unwrap();
    world.settle().unwrap();
    world
}

/// Starts a drill of the image that is not in the cache.
fn fetch(world: &World) -> Run {
    let arguments = ["run", "--variant", "nvme-debian-13", "--accept"];
    let mut command = world.crashdrill("fetching", &arguments).unwrap();
    command
        .env("PATH", world.path("bin"))
        .env("CRASHDRILL_MIRROR", "file:/nonexistent");
    Run::start(command).unwrap()
}

/// The lock file of a cache entry may stay: to remove it would be a race with those who wait for it.
fn remove_lock_file(world: &World) {
    let is_lock = |name: &str| name.starts_with(".debian-13-") && name.ends_with(".lock");
    for entry in fs::read_dir(world.path("cache/image")).unwrap().flatten() {
        if is_lock(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn fetching_is_killed(template: &Template, signal: Signal) {
    let world = fetching(template);
    let mut run = fetch(&world);
    let apt = world.arrived(&run, 1);
    run.process.signal(signal);
    assert_eq!(run.ended(), shell_status(signal), "{}", world.stderr());
    // What was half fetched is swept by the next crashdrill, whatever it is about.
    let scenario = world.path("root/scenarios/healthy.yaml");
    let next = ["show", scenario.to_str().unwrap(), "--variant", "nvme"];
    let mut next = Run::start(world.crashdrill("", &next).unwrap()).unwrap();
    assert_eq!(next.ended(), 0, "{}", world.stderr());
    remove_lock_file(&world);
    world.assert_nothing_is_left(&apt);
}

fn apt_is_killed(template: &Template) {
    let world = fetching(template);
    let mut run = fetch(&world);
    let apt = world.arrived(&run, 1);
    apt[0].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    remove_lock_file(&world);
    world.assert_nothing_is_left(&apt);
}

/// A limit on the size of files stands for a full disk: it needs no privilege.
fn no_room(template: &Template) {
    let world = World::new(template).unwrap();
    let mut command = world.crashdrill("", &DRILL).unwrap();
    let limit = || {
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20)?;
        // As a full disk: an error, no signal.
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
        Ok(())
    };
    // SAFETY: between fork and exec only setrlimit and sigaction are called.
    unsafe { command.pre_exec(limit) };
    let mut run = Run::start(command).unwrap();
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    assert!(
        world.stderr().contains("cannot make the initramfs"),
        "{}",
        world.stderr()
    );
    world.assert_nothing_is_left(&[]);
}

/// What a guest makes of a disk that the host cannot write is no verdict.
fn disk_cannot_be_written(world: &World, mut command: Command, then: &str) {
    command.env(stand_in::THEN, then);
    let mut run = Run::start(command).unwrap();
    let qemu = world.arrived(&run, 1);
    qemu[0].signal(Signal::SIGUSR1);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    assert!(
        world.stderr().contains("No space left on device"),
        "{}",
        world.stderr()
    );
    world.assert_nothing_is_left(&qemu);
}

fn qemu_stops_without_room(template: &Template) {
    let world = World::new(template).unwrap();
    let command = world.crashdrill("saving", &DRILL).unwrap();
    disk_cannot_be_written(&world, command, "stopped");
}

fn qemu_goes_on_without_room(template: &Template) {
    let world = World::new(template).unwrap();
    let mut command = small_tmp(&world.crashdrill("saving", &DRILL).unwrap());
    world.redirect(&mut command).unwrap();
    disk_cannot_be_written(&world, command, "full");
}

/// The same command with a file system of 16 MiB for its TMPDIR, which needs no privilege where the
/// kernel gives user namespaces to everybody.
fn small_tmp(command: &Command) -> Command {
    const SCRIPT: &str = r#"mount -t tmpfs -o size=16m tmpfs "$TMPDIR" && exec "$0" "$@""#;
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    unshare
}

/// Whether [`small_tmp`] works here.
fn has_namespaces(template: &Template) -> bool {
    let world = World::new(template).unwrap();
    let mut command = Command::new("true");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TMPDIR", world.path("tmp"));
    let mut command = small_tmp(&command);
    command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn kept_is_private(template: &Template) {
    let world = World::new(template).unwrap();
    let mut command = world
        .crashdrill("", &["run", "--variant", "nvme", "--keep"])
        .unwrap();
    command.env("CI", "true");
    let mut run = Run::start(command).unwrap();
    assert_eq!(run.ended(), 1, "{}", world.stderr());
    let kept = world.path("work/crashdrill-kept");
    for directory in [&kept, &kept.join("healthy@nvme")] {
        let mode = fs::metadata(directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{}", directory.display());
    }
    assert!(kept.join("healthy@nvme/console.log").is_file());
    fs::remove_dir_all(kept).unwrap();
    // With CI set, not even the proposal of a snapshot.
    world.assert_nothing_is_left(&[]);
}

fn cannot_be_kept(template: &Template) {
    let world = World::new(template).unwrap();
    let junit = world.path("work/junit.xml");
    let mut command = world
        .crashdrill(
            "",
            &["run", "--variant", "nvme", "--keep-in", "/dev/null/kept"],
        )
        .unwrap();
    command.env("CI", "true").arg("--junit").arg(&junit);
    let mut run = Run::start(command).unwrap();
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    let told = "cannot be kept in /dev/null/kept/healthy@nvme: Not a directory";
    for text in [world.stderr(), fs::read_to_string(&junit).unwrap()] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(told), "{text}");
    }
    fs::remove_file(junit).unwrap();
    world.assert_nothing_is_left(&[]);
}

/// A real drill, with crashdrill's own cache.
fn real(world: &World) -> Run {
    let cache = Cache::from_env().unwrap();
    let qemu = qemu::find(&cache, &Silent).unwrap();
    let leading = qemu
        .leading_args
        .iter()
        .map(|argument| argument.to_str().unwrap());
    let real: Vec<&str> = [qemu.program.to_str().unwrap()]
        .into_iter()
        .chain(leading)
        .collect();
    let mut command = world.crashdrill("", &DRILL).unwrap();
    command
        .env("CRASHDRILL_CACHE", cache.root())
        .env(stand_in::REAL, serde_json::to_string(&real).unwrap())
        .envs(qemu.env.iter().map(|(name, value)| (name, value)));
    Run::start(command).unwrap()
}

fn real_crashdrill_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = real(&world);
    let qemu = world.arrived(&run, 1);
    run.process.signal(Signal::SIGKILL);
    assert_eq!(
        run.ended(),
        shell_status(Signal::SIGKILL),
        "{}",
        world.stderr()
    );
    world.assert_nothing_is_left(&qemu);
}

fn real_qemu_is_killed(template: &Template) {
    let world = World::new(template).unwrap();
    let mut run = real(&world);
    let qemu = world.arrived(&run, 1);
    qemu[0].signal(Signal::SIGKILL);
    assert_eq!(run.ended(), 3, "{}", world.stderr());
    let said = world.stderr();
    assert!(
        said.contains("QEMU ended by itself (killed by SIGKILL)"),
        "{said}"
    );
    assert!(said.contains("in phase capture-"), "{said}");
    world.assert_nothing_is_left(&qemu);
}
