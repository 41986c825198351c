//! A scripted stand-in plays QEMU, through the same `Machine::start`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::*;
use crate::machine::catalogue::ALL;
use crate::machine::plan::Accel;
use crate::scenario::model;
use crate::units::Bytes;

/// Finds its channels in the arguments as QEMU does; `$behaviour` follows.
const PROLOGUE: &str = r#"
for argument; do
    case $argument in
        socket,id=qmp,*) qmp=${argument##*=} ;;
        file,id=serial,*) serial=${argument##*=} ;;
        file,id=reports,*) reports=${argument##*=} ;;
        /dev/fd/*) : "${kernel:=$argument}" ;;
    esac
done
say() { printf '%s\n' "$1" >&"$qmp"; }
hear() { read -r line <&"$qmp"; }
greet() {
    say '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}'
    hear
    say '{"return": {}, "id": 1}'
}
close() { exec {qmp}>&-; }
# Nothing is written to the kernel's file, nobody else has this pipe: never ends by itself.
linger() { exec 9<> <(:); read -r _ <&9; }
"#;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

async fn stand_in(behaviour: &str) -> Result<Machine, MachineError> {
    let mut kernel = tempfile::tempfile().unwrap();
    kernel.write_all(b"a kernel").unwrap();
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &format!("{PROLOGUE}{behaviour}"), "qemu"]);
    let plan = MachinePlan::new(&model::Machine::default()).unwrap();
    let inputs = Inputs {
        kernel: Input::Open(kernel.as_fd()),
        initrd: Input::Path(Path::new("/dev/null")),
        disks: vec![],
        medium: None,
        link: None,
        devices: vec![],
        outlet: None,
    };
    Machine::start(command, &plan, &inputs).await
}

fn fails_to_start(behaviour: &str) -> MachineError {
    match block_on(stand_in(behaviour)) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

fn ends(behaviour: &str) -> Result<Shutdown, MachineError> {
    block_on(async { stand_in(behaviour).await.unwrap().ended().await })
}

#[test]
fn a_program_that_is_not_there() {
    let error = block_on(async {
        let plan = MachinePlan::new(&model::Machine::default()).unwrap();
        let nothing = Input::Path(Path::new("/dev/null"));
        let inputs = Inputs {
            kernel: nothing,
            initrd: nothing,
            disks: vec![],
            medium: None,
            link: None,
            devices: vec![],
            outlet: None,
        };
        let command = std::process::Command::new("/nonexistent/qemu");
        Machine::start(command, &plan, &inputs).await.unwrap_err()
    });
    assert_eq!(error.to_string(), "/nonexistent/qemu could not be started");
}

#[test]
fn dies_at_once() {
    let error = fails_to_start("echo 'qemu: no such disk' >&2; exit 1");
    assert_eq!(
        error.to_string(),
        "QEMU ended by itself (exit status 1):\nqemu: no such disk"
    );
    let error = fails_to_start("kill -KILL $$");
    assert_eq!(
        error.to_string(),
        "QEMU ended by itself (killed by SIGKILL)"
    );
    let error = fails_to_start(r#"printf '{"QMP": {"ver' >&$qmp"#);
    assert_eq!(error.to_string(), "QEMU ended by itself (exit status 0)");
}

#[test]
fn greets_with_garbage() {
    let error = fails_to_start("echo why >&2; say 'Hello.'; linger");
    assert_eq!(
        error.to_string(),
        "QEMU's QMP channel carries no QMP: \"Hello.\":\nwhy"
    );
}

#[test]
fn ends_as_machines_do() {
    let shutdown = ends(
        r#"greet
        say '{"event": "A_NEW_ONE", "data": {"x": []}}'
        say '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}'"#,
    );
    assert_eq!(shutdown.unwrap().reason, "guest-shutdown");
}

#[test]
fn ends_otherwise() {
    let announced =
        r#"say '{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-signal"}}'"#;
    for (behaviour, expected) in [
        ("exit 0", "QEMU ended by itself (exit status 0)"),
        (
            "echo boom >&2; exit 3",
            "QEMU ended by itself (exit status 3):\nboom",
        ),
        ("kill -SEGV $$", "QEMU ended by itself (killed by SIGSEGV)"),
        (
            "say nonsense; exit 0",
            "QEMU ended by itself (exit status 0)",
        ),
        (announced, "QEMU was ended from outside (host-signal)"),
        (
            &format!("{announced}; exit 1"),
            "QEMU ended by itself (exit status 1)",
        ),
    ] {
        let error = ends(&format!("greet; {behaviour}")).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn closes_its_monitor_and_stays() {
    let error = ends("greet; close; linger").unwrap_err();
    assert!(matches!(error, MachineError::Lingered), "{error}");
}

#[test]
fn ignores_quit_and_is_killed() {
    block_on(async {
        let mut machine = stand_in("trap '' TERM HUP; greet; while hear; do :; done; linger")
            .await
            .unwrap();
        let limit = Duration::from_millis(50);
        let error = machine.qmp.execute(qapi::qmp::quit {}, limit).await;
        assert!(matches!(error, Err(QmpError::Timeout { .. })));
        let status = machine.kill().await.unwrap();
        assert_eq!(status.signal(), Some(9));
        assert_eq!(machine.kill().await.unwrap(), status);
        assert_eq!(machine.starved(), Duration::ZERO);
    });
}

#[test]
fn channels_files_and_limits() {
    block_on(async {
        let mut machine = stand_in(
            r#"greet
            printf 'report' >"$reports"
            { cat $kernel; ulimit -c; } >"$serial"
            fds=(/proc/$$/fd/*); echo "${#fds[@]}" >"$serial""#,
        )
        .await
        .unwrap();
        let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(machine.pid() as i32)));
        assert_eq!(group.unwrap().as_raw() as u32, machine.pid());
        let mut text = String::new();
        machine.serial.read_to_string(&mut text).await.unwrap();
        // Three standard ones, three channels, one file, and the folder that is being read.
        assert_eq!(text, "a kernel0\n8\n");
        let mut text = String::new();
        machine.reports.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "report");
    });
}

#[test]
fn endless_complaints_neither_block_nor_grow() {
    block_on(async {
        let mut machine = stand_in(
            "greet; for ((i = 0; i < 3000; i++)); do printf '%099d\n' $i >&2; done; echo last >&2",
        )
        .await
        .unwrap();
        machine.wait().await.unwrap();
        let tail = machine.stderr_tail();
        assert_eq!(tail.len(), Tail::LIMIT);
        assert!(tail.ends_with("2999\nlast\n"));
    });
}

#[test]
fn dies_when_dropped() {
    block_on(async {
        let machine = stand_in("greet; linger").await.unwrap();
        let Machine {
            mut serial,
            process,
            ..
        } = machine;
        drop(process);
        // The stand-in held the other end.
        assert_eq!(serial.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn dies_with_the_thread_that_started_it() {
    let drill = std::thread::spawn(|| {
        let runtime = runtime();
        let machine = runtime.block_on(stand_in("greet; linger")).unwrap();
        let Machine {
            serial,
            process,
            reports,
            qmp,
        } = machine;
        let serial = runtime.block_on(async { serial.into_blocking_fd().unwrap() });
        // As after a SIGKILL: nobody cleans up.
        std::mem::forget((process, reports, qmp, runtime));
        serial
    });
    let mut serial = File::from(drill.join().unwrap());
    assert_eq!(serial.read(&mut [0]).unwrap(), 0);
}

/// A real QEMU, from CRASHDRILL_TEST_QEMU or PATH.
fn qemu() -> std::process::Command {
    let program = std::env::var_os("CRASHDRILL_TEST_QEMU");
    std::process::Command::new(program.unwrap_or("qemu-system-x86_64".into()))
}

async fn paused(machine: &model::Machine, accel: Accel) -> Result<Machine, MachineError> {
    let mut plan = MachinePlan::new(machine).unwrap();
    plan.accel = accel;
    let disks: Vec<File> = plan
        .file_disks()
        .map(|(_, disk)| {
            let file = tempfile::tempfile().unwrap();
            file.set_len(disk.size.0).unwrap();
            file
        })
        .collect();
    // Any file is a kernel to a machine whose firmware never runs, if it looks like a bzImage.
    let mut kernel = tempfile::tempfile().unwrap();
    let mut image = vec![0; 8192];
    image[0x1f1] = 4;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x208].copy_from_slice(b"HdrS\x06\x02");
    image[0x22c..0x230].copy_from_slice(&0x37ff_ffff_u32.to_le_bytes());
    kernel.write_all(&image).unwrap();
    let inputs = Inputs {
        kernel: Input::Open(kernel.as_fd()),
        initrd: Input::Open(kernel.as_fd()),
        disks: disks.iter().map(|file| Input::Open(file.as_fd())).collect(),
        medium: None,
        link: None,
        devices: vec![],
        outlet: None,
    };
    Machine::start_with(qemu(), &plan, &inputs, &["-S".into()]).await
}

fn device(kind: model::DeviceKind, msix: Option<u16>) -> model::Device {
    model::Device {
        msix: msix.and_then(crate::units::TableSize::new),
        count: 2,
        size: super::super::catalogue::entry(kind)
            .can_be_target()
            .then_some(Bytes(Bytes::GIB)),
        ..model::Device::new(kind)
    }
}

/// Every device with the smallest, the usual and the largest table, and every routing, on both
/// chipsets: this QEMU builds the machine, and `quit` ends it.
#[test]
#[ignore = "needs a QEMU"]
fn a_real_qemu_builds_everything() {
    use super::super::catalogue::{Table, entry};
    block_on(async {
        let known = super::super::probe::Capabilities::ask(qemu())
            .await
            .unwrap();
        let mut machines = Vec::new();
        for chipset in [model::Chipset::Q35, model::Chipset::Pc] {
            for kind in ALL.into_iter().filter(|kind| known.has(*kind)) {
                if entry(kind).express && chipset == model::Chipset::Pc {
                    continue;
                }
                let mut tables = vec![None];
                if let Table::Free { min, max, .. } = entry(kind).table {
                    tables.extend([Some(min), Some(max)]);
                }
                for table in tables {
                    for size in [true, false] {
                        let mut device = device(kind, table);
                        device.size = device.size.filter(|_| size);
                        machines.push(model::Machine {
                            chipset,
                            devices: vec![device],
                            ..model::Machine::default()
                        });
                    }
                }
            }
        }
        let all = ALL.into_iter().filter(|kind| known.has(*kind));
        let everything = model::Machine {
            devices: all.map(|kind| device(kind, None)).collect(),
            ..model::Machine::default()
        };
        let physical = model::Machine {
            apic: model::Apic::Physical,
            cpus: crate::units::Cpus(9.try_into().unwrap()),
            ..everything.clone()
        };
        let mut full = everything.clone();
        full.devices = vec![model::Device {
            count: 240,
            ..device(model::DeviceKind::VirtioSerial, Some(3))
        }];
        machines.extend([everything, physical, full]);
        for machine in machines {
            let begin = std::time::Instant::now();
            let mut running = match paused(&machine, Accel::Tcg).await {
                Ok(running) => running,
                Err(error) => panic!("{machine:?}\n{error}"),
            };
            let greeted = begin.elapsed();
            let limit = Duration::from_secs(10);
            running
                .qmp
                .execute(qapi::qmp::quit {}, limit)
                .await
                .unwrap();
            let shutdown = running.ended().await.unwrap();
            assert_eq!(shutdown.reason, "host-qmp-quit");
            let names: Vec<_> = machine.devices.iter().map(|d| d.device).collect();
            println!(
                "{greeted:?} {:?} {names:?} {}",
                machine.chipset,
                running.stderr_tail().trim()
            );
        }
    });
}

/// A kernel without a root file system panics; with panic=-1 that is a reset, which ends QEMU.
#[test]
#[ignore = "needs a QEMU, and a kernel in CRASHDRILL_TEST_KERNEL"]
fn a_real_kernel_speaks_and_ends() {
    let kernel = PathBuf::from(std::env::var_os("CRASHDRILL_TEST_KERNEL").unwrap());
    block_on(async {
        let everything = model::Machine {
            cpus: crate::units::Cpus(2.try_into().unwrap()),
            devices: vec![device(model::DeviceKind::Nvme, None)],
            ..model::Machine::default()
        };
        let mut plan = MachinePlan::new(&everything).unwrap();
        plan.append = "console=ttyS0 panic=-1".to_owned();
        let file = tempfile::tempfile().unwrap();
        file.set_len(Bytes::GIB).unwrap();
        let kernel = File::open(kernel).unwrap();
        let inputs = Inputs {
            kernel: Input::Open(kernel.as_fd()),
            initrd: Input::Open(file.as_fd()),
            disks: vec![Input::Open(file.as_fd()); 2],
            medium: None,
            link: None,
            devices: vec![],
            outlet: None,
        };
        file.set_len(512).unwrap();
        let begin = std::time::Instant::now();
        let mut machine = Machine::start(qemu(), &plan, &inputs).await.unwrap();
        println!("greeted after {:?}", begin.elapsed());
        let mut text = Vec::new();
        machine.serial.read_to_end(&mut text).await.unwrap();
        let starved = machine.starved();
        let shutdown = machine.ended().await.unwrap();
        println!("{:?}, starved {starved:?}, {shutdown:?}", begin.elapsed());
        let text = String::from_utf8_lossy(&text);
        for line in text
            .lines()
            .filter(|line| line.contains("GSI") || line.contains("routing"))
        {
            println!("{line}");
        }
        assert!(text.contains("Linux version"), "{text}");
        assert!(text.contains("Kernel panic"), "{text}");
        assert_eq!(shutdown.reason, "guest-reset");
    });
}

#[test]
#[ignore = "needs a QEMU"]
fn a_killed_real_qemu_is_an_error() {
    block_on(async {
        let mut machine = paused(&model::Machine::default(), Accel::Tcg)
            .await
            .unwrap();
        let pid = nix::unistd::Pid::from_raw(machine.pid() as i32);
        nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
        let error = machine.ended().await.unwrap_err();
        assert!(matches!(error, MachineError::Died { status, .. } if status.signal() == Some(9)));
        let mut machine = paused(&model::Machine::default(), Accel::Tcg)
            .await
            .unwrap();
        let pid = nix::unistd::Pid::from_raw(machine.pid() as i32);
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        let error = machine.ended().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "QEMU was ended from outside (host-signal)"
        );
    });
}
