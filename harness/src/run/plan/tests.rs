use std::fs;
use std::path::Path;

use crashdrill_guest::order::{self, Action, FailureAction, Filesystem, Script, Service, Target};
use tempfile::TempDir;

use super::*;
use crate::image::{KeyPair, Keys, ModuleTree, Userland};
use crate::scenario;
use crate::target::{Content, Format};

const MODULES: [(&str, &str); 3] = [
    (
        "modules.dep",
        "kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz\n\
         kernel/drivers/nvme/host/nvme-core.ko.xz:\n\
         kernel/drivers/block/virtio_blk.ko.xz:\n\
         kernel/drivers/virtio/virtio_pci.ko.xz:\n\
         kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz\nkernel/fs/jbd2/jbd2.ko.xz:\n\
         kernel/fs/xfs/xfs.ko.xz: kernel/fs/jbd2/jbd2.ko.xz\n\
         kernel/net/sunrpc/sunrpc.ko.xz:\n\
         kernel/fs/nfs/nfs.ko.xz: kernel/net/sunrpc/sunrpc.ko.xz\n\
         kernel/fs/nfs/nfsv4.ko.xz: kernel/fs/nfs/nfs.ko.xz kernel/net/sunrpc/sunrpc.ko.xz\n\
         kernel/fs/nfsd/nfsd.ko.xz: kernel/net/sunrpc/sunrpc.ko.xz\n\
         kernel/drivers/net/virtio_net.ko.xz:\n",
    ),
    ("modules.alias", "alias fs-ext3 ext4\nalias fs-ext2 ext4\n"),
    (
        "modules.builtin",
        "kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/ata/ahci.ko\n\
         kernel/drivers/scsi/megaraid/megaraid_sas.ko\n",
    ),
];

/// A static x86-64 program, as far as anyone reads it.
pub(super) fn program() -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16] = 2;
    file[18] = 62;
    file[20] = 1;
    file[52] = 64;
    file[54] = 56;
    file
}

fn image() -> (TempDir, Image) {
    let directory = tempfile::tempdir().unwrap();
    let modules = directory.path().join("modules");
    let programs = directory.path().join("userland/usr/bin");
    fs::create_dir_all(&modules).unwrap();
    fs::create_dir_all(&programs).unwrap();
    for (file, text) in MODULES {
        fs::write(modules.join(file), text).unwrap();
    }
    for name in [
        "kexec",
        "makedumpfile",
        "vmcore-dmesg",
        "busybox",
        "mount.nfs",
        "ssh",
        "scp",
    ] {
        fs::write(programs.join(name), program()).unwrap();
    }
    let userland = Userland::at(directory.path().join("userland"));
    let image = Image::for_plans("test", ModuleTree::at(modules), userland);
    (directory, image)
}

fn names(modules: &[order::Module]) -> Vec<&str> {
    modules.iter().map(|module| module.name.as_str()).collect()
}

/// `kdump` is what stands below `kdump:`, `more` at the end of the file.
fn plan(devices: &str, kdump: &str, more: &str) -> Result<Direct, PlanError> {
    whole_plan(devices, kdump, more).map(direct)
}

fn direct(plan: Plan) -> Direct {
    match plan.boot {
        BootPlan::Direct(direct) => *direct,
        BootPlan::Disk(_) => panic!("no such image here"),
    }
}

fn whole_plan(devices: &str, kdump: &str, more: &str) -> Result<Plan, PlanError> {
    let text = format!(
        "name: x\nabout: A plan.\nimage: test\nmachine:\n  devices:\n{devices}\
         crashkernel: 256M\nkdump:\n{kdump}{more}"
    );
    plan_on(&image().1, &text)
}

fn plan_on(image: &Image, text: &str) -> Result<Plan, PlanError> {
    let file = scenario::parse(Path::new("x.yaml"), text, catalogue::facts);
    let file = file.unwrap_or_else(|error| panic!("{}", error.render(100, false)));
    let pair = |name: &str| KeyPair {
        private: format!("{name}'s private key"),
        public: format!("ssh-ed25519 {name}"),
    };
    let keys = Keys {
        host: pair("host"),
        user: pair("user"),
        stranger: pair("stranger"),
    };
    let supplies = Supplies {
        image,
        keys: &keys,
        seeds: &["seed".to_owned(), "another".to_owned()],
    };
    Plan::new(&file.drills[0], image, Some(supplies), "token", Shell::No)
}

const NVME: &str = "    - {device: nvme, target: true}\n";

fn conf(flavour: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("  flavour: {flavour}\n  conf: |\n{lines}")
}

#[test]
fn the_target_of_kdump_conf() {
    let of = |line: &str, flavour| {
        let plan = plan(NVME, &conf(flavour, &[line]), "").unwrap();
        (plan.capture.order.target, plan.contents)
    };
    let (target, contents) = of("ext3 LABEL=dumps", "rhel6");
    let Target::Filesystem(Filesystem {
        device,
        kind,
        modules,
    }) = target
    else {
        panic!("{target:?}");
    };
    // Mounted as ext3, by ext4's module.
    assert_eq!((device.as_str(), kind.as_str()), ("LABEL=dumps", "ext3"));
    let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["jbd2", "ext4"]);
    let ext3 = Format::new(crate::kdump::conf::Filesystem::Ext3);
    let held = Content::Filesystem(ext3.label("dumps").unwrap());
    assert_eq!(contents, [held]);

    let (target, contents) = of("raw /dev/nvme0n1", "rhel8");
    let device = "/dev/nvme0n1".to_owned();
    assert_eq!(
        (target, contents),
        (Target::Raw { device }, vec![Content::Blank])
    );
}

#[test]
fn the_script_and_its_actions() {
    let of = |flavour, lines: &[&str]| plan(NVME, &conf(flavour, lines), "").unwrap().capture.order;
    let order = of("rhel6", &["ext4 /dev/nvme0n1", "default poweroff"]);
    assert_eq!(order.script, Script::Rhel6);
    assert_eq!(order.failure_action, FailureAction::End(Action::PowerOff));
    assert_eq!(order.final_action, Action::PowerOff);
    let order = of(
        "rhel9",
        &[
            "ext4 /dev/nvme0n1",
            "failure_action shell",
            "final_action halt",
        ],
    );
    assert_eq!(order.script, Script::Rhel9);
    assert_eq!(order.failure_action, FailureAction::Shell);
    assert_eq!(order.final_action, Action::Halt);
    let order = of("rhel7", &["ext4 /dev/nvme0n1"]);
    assert_eq!(order.failure_action, FailureAction::End(Action::Reboot));
    assert_eq!(order.final_action, Action::Reboot);
}

#[test]
fn a_root_file_system_for_dump_to_rootfs() {
    let lines = ["ext4 LABEL=dumps", "failure_action dump_to_rootfs"];
    let error = plan(NVME, &conf("rhel8", &lines), "").unwrap_err();
    assert!(matches!(error, PlanError::NoRoot));
    let devices =
        format!("    - {{device: virtio-blk, root: true, filesystem: {{type: xfs}}}}\n{NVME}");
    let plan = plan(&devices, &conf("rhel8", &lines), "").unwrap();
    let root = plan.capture.order.failure_action.root().unwrap();
    assert_eq!(root.device, "UUID=c7a54d11-0000-4000-8000-000000000002");
    assert_eq!(root.kind, "xfs");
    // The target, of which it is not known whether it was ever mounted, brings ext4 for itself.
    assert_eq!(names(&root.modules), ["jbd2", "xfs"]);
    assert_eq!(names(plan.capture.order.target.modules()), ["jbd2", "ext4"]);
    let held: Vec<_> = plan
        .contents
        .iter()
        .map(|content| match content {
            Content::Filesystem(format) => format.filesystem().name(),
            Content::Blank => "blank",
        })
        .collect();
    assert_eq!(held, ["xfs", "ext4"]);
}

#[test]
fn what_is_kept_out_and_what_is_not() {
    let of = |flavour, lines: &[&str], sysconfig: &str| -> Vec<String> {
        let kdump = conf(flavour, lines) + sysconfig;
        let order = plan(NVME, &kdump, "").unwrap().capture.order;
        let told = |driver: &crashdrill_guest::order::Driver| match &driver.kept_out_by {
            Some(by) => format!("{} not: {by}", driver.name),
            None => {
                let modules = driver.modules.iter().map(|module| module.name.as_str());
                format!("{}: {}", driver.name, modules.collect::<Vec<_>>().join(" "))
            }
        };
        order.drivers.iter().map(told).collect()
    };
    let target = "ext4 /dev/nvme0n1";
    let append =
        |words: &str| format!("  sysconfig: {{KDUMP_COMMANDLINE_APPEND: nr_cpus=1 {words}}}\n");
    // modprobe's blacklist does not keep a dependency out.
    assert_eq!(
        of("rhel7", &[target], &append("rd.driver.blacklist=nvme_core")),
        ["nvme: nvme_core nvme"]
    );
    assert_eq!(
        of("rhel7", &[target], &append("modprobe.blacklist=nvme")),
        ["nvme not: modprobe.blacklist=nvme"]
    );
    // The kernel refuses by itself.
    assert_eq!(
        of("rhel7", &[target], &append("module_blacklist=nvme")),
        ["nvme: nvme_core nvme"]
    );
    // dracut's patterns keep it out of the initramfs.
    let omit = "dracut_args --omit-drivers \"nvme_core\"";
    assert_eq!(
        of("rhel9", &[target, omit], ""),
        ["nvme_core not: --omit-drivers nvme_core", "nvme: nvme"]
    );
    let core = "dracut_args --omit-drivers \"core\"";
    assert_eq!(of("rhel9", &[target, core], ""), ["nvme: nvme_core nvme"]);
    assert_eq!(
        of("rhel8", &[target, core], ""),
        ["nvme_core not: --omit-drivers core", "nvme: nvme"]
    );
    assert_eq!(
        of("rhel6", &[target, "blacklist nvme"], ""),
        ["nvme not: blacklist nvme"]
    );
    assert_eq!(
        of("rhel6", &[target, "blacklist kernel/drivers/nvme/"], ""),
        ["nvme not: blacklist kernel/drivers/nvme/"]
    );
    assert_eq!(
        of("rhel6", &[target, "blacklist kernel/drivers/nv"], ""),
        ["nvme: nvme_core nvme"]
    );
    // What is part of the kernel is there whatever is said.
    let builtin = plan(
        NVME,
        &(conf("rhel7", &[target]) + &append("rd.driver.blacklist=sd_mod")),
        "capture: {drivers: [sd_mod, nvme]}\n",
    );
    assert_eq!(builtin.unwrap().capture.order.drivers[0].kept_out_by, None);
}

#[test]
fn modules_that_are_wanted_besides() {
    let lines = ["ext4 /dev/nvme0n1", "extra_modules virtio_blk nonsense"];
    let plan = plan(NVME, &conf("rhel7", &lines), "").unwrap();
    assert_eq!(
        plan.first.order.messages,
        ["kdump: Module nonsense not found"]
    );
    let names: Vec<&str> = plan
        .capture
        .order
        .drivers
        .iter()
        .map(|driver| driver.name.as_str())
        .collect();
    assert_eq!(names, ["nvme", "virtio_blk"]);
}

#[test]
fn parameters_of_modules() {
    let kdump = conf("rhel7", &["ext4 /dev/nvme0n1"])
        + "  sysconfig: {KDUMP_COMMANDLINE_APPEND: nvme.a=1 nvme-core.b=2}\n";
    let plan = plan(
        NVME,
        &kdump,
        "first-kernel: {drivers: [nvme], append: nvme.c=3}\n",
    )
    .unwrap();
    let of = |driver: &crashdrill_guest::order::Driver| -> Vec<String> {
        let modules = driver.modules.iter();
        modules.map(|module| module.parameters.clone()).collect()
    };
    assert_eq!(of(&plan.first.order.drivers[0]), ["", "c=3"]);
    // What the first kernel has on its command line the capture kernel inherits.
    assert_eq!(of(&plan.capture.order.drivers[0]), ["b=2", "c=3 a=1"]);
}

#[test]
fn programs() {
    let order = |lines: &[&str], more: &str| plan(NVME, &conf("rhel7", lines), more);
    let raw = order(
        &["raw /dev/nvme0n1", "core_collector makedumpfile -F -d 31"],
        "",
    )
    .unwrap();
    let names: Vec<&String> = raw.capture.programs.iter().collect();
    assert_eq!(names, ["dd", "makedumpfile", "vmcore-dmesg"]);

    let missing = |lines: &[&str]| order(lines, "").unwrap_err().to_string();
    assert_eq!(
        missing(&["ext4 /dev/nvme0n1", "kdump_pre /kdump/pre.sh"]),
        "`kdump_pre`: image test has no program /kdump/pre.sh"
    );
    assert_eq!(
        missing(&["ext4 /dev/nvme0n1", "core_collector snapdump"]),
        "`core_collector`: image test has no program snapdump"
    );
    assert_eq!(
        missing(&["ext4 /dev/nvme0n1", "extra_bins /usr/bin/lsblk"]),
        "`extra_bins`: image test has no program /usr/bin/lsblk"
    );
    let own = "capture: {files: {/kdump/pre.sh: exit 0}}\n";
    order(&["ext4 /dev/nvme0n1", "kdump_pre /kdump/pre.sh"], own).unwrap();
}

#[test]
fn what_is_refused_by_name() {
    let refused = |devices: &str, kdump: &str| plan(devices, kdump, "").unwrap_err().to_string();
    assert_eq!(
        refused(NVME, "  flavour: debian\n"),
        "a direct drill acts out the scripts of RHEL and Fedora, not those of flavour debian"
    );
    let small = "    - {device: nvme, target: true, size: 8M}\n";
    assert_eq!(
        refused(small, &conf("rhel9", &["xfs /dev/nvme0n1"])),
        "a disk of 8M is too small for xfs, which needs 300M"
    );
    let pattern = refused(
        NVME,
        &conf(
            "rhel9",
            &["ext4 /dev/nvme0n1", "dracut_args --omit-drivers \"a [\""],
        ),
    );
    assert!(
        pattern.starts_with("--omit-drivers: `[` is no regular expression"),
        "{pattern}"
    );
}

const NIC: &str = "    - {device: virtio-net, target: true}\n";

fn text<'a>(texts: &'a [TextFile], path: &str) -> Option<&'a str> {
    let file = texts.iter().find(|file| file.path == path)?;
    Some(&file.text)
}

#[test]
fn over_nfs() {
    let lines = ["nfs dumps.example.com:/export/", "path /kdump"];
    let whole = whole_plan(NIC, &conf("rhel9", &lines), "").unwrap();
    let (directory, mac) = (whole.dump_directory.clone(), whole.machine.mac);
    let plan = direct(whole);
    let capture = &plan.capture;
    let Target::Nfs {
        network, modules, ..
    } = &capture.order.target
    else {
        panic!("{:?}", capture.order.target);
    };
    assert_eq!(
        capture.order.target.to_string(),
        "dumps.example.com:/export"
    );
    assert_eq!(network.address.to_string(), "192.0.2.2");
    // This kernel has version 4 alone.
    assert_eq!(names(modules), ["sunrpc", "nfs", "nfsv4"]);
    assert!(capture.programs.contains("mount.nfs"));
    let hosts = text(&capture.texts, "/etc/hosts").unwrap();
    assert!(hosts.contains("192.0.2.1 dumps.example.com"), "{hosts}");
    assert_eq!(directory, "/export/kdump");

    let server = plan.server.unwrap();
    let order = &server.stage.order;
    assert_eq!(order.directory, "/export");
    assert_eq!(order.network.address.to_string(), "192.0.2.1");
    assert_eq!(order.disk, "/dev/vda");
    let client = "192.0.2.2".to_owned();
    assert_eq!(order.service, Service::Nfs { client });
    assert_ne!(server.machine.mac, mac);
}

#[test]
fn over_ssh() {
    let lines = ["ssh kdump@10.0.0.7", "sshkey /root/.ssh/my_key"];
    let whole = whole_plan(NIC, &conf("rhel7", &lines), "").unwrap();
    assert_eq!(whole.dump_directory, "/var/crash");
    let own = direct(whole);
    let capture = &own.capture;
    let Target::Ssh { key, network, .. } = &capture.order.target else {
        panic!("{:?}", capture.order.target);
    };
    assert_eq!(key, "/root/.ssh/my_key");
    assert_eq!(network.address.to_string(), "10.0.0.8");
    assert_eq!(text(&capture.texts, key), Some("user's private key"));
    assert_eq!(
        text(&capture.texts, "/root/.ssh/known_hosts"),
        Some("10.0.0.7 ssh-ed25519 host\n")
    );
    assert!(capture.programs.contains("ssh"));
    assert_eq!(capture.order.collector.last().unwrap(), "-F");

    let authorized = |plan: Direct| {
        let stage = plan.server.unwrap().stage;
        assert_eq!(stage.order.service, Service::Ssh);
        assert!(stage.programs.contains("scp"));
        assert_eq!(stage.order.owner, 1000);
        let keys = text(&stage.texts, "/etc/ssh/authorized_keys");
        keys.unwrap().to_owned()
    };
    assert_eq!(authorized(own), "ssh-ed25519 user\n");
    let refusing = plan(NIC, &conf("rhel7", &lines), "server: refuses\n").unwrap();
    assert_eq!(authorized(refusing), "ssh-ed25519 stranger\n");
    let absent = plan(NIC, &conf("rhel7", &lines), "server: absent\n").unwrap();
    assert!(absent.server.is_none());
}

#[test]
fn servers_that_are_refused_by_name() {
    let refused = |line: &str| {
        let error = plan(NIC, &conf("rhel7", &[line]), "").unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused("nfs [fe80::1]:/export"),
        "the dump server `[fe80::1]` has an IPv6 address, which is not emulated; use a name, or IPv4"
    );
    assert_eq!(
        refused("nfs 127.0.0.1:/export"),
        "no dump server can have the address 127.0.0.1"
    );
    assert_eq!(
        refused("nfs dumps:/etc"),
        "the dump server cannot offer /etc: it has its own files there; use a directory such as \
         /var/crash or /export"
    );
    assert_eq!(
        refused("ssh Kdump@dumps"),
        "`Kdump` is no user's name; small letters, digits, `_`, `.` and `-`"
    );
}

#[test]
fn threads_of_makedumpfile() {
    let noted = |flavour, cpus: &str, append: &str| {
        let kdump = conf(flavour, &["ext4 /dev/nvme0n1"])
            + &format!("  sysconfig: {{KDUMP_COMMANDLINE_APPEND: {append}}}\n");
        let devices = format!("{NVME}  cpus: {cpus}\n");
        let notes = whole_plan(&devices, &kdump, "").unwrap();
        let notes = notes.expectations.fidelity;
        notes.iter().any(|note| note.contains("libgcc_s"))
    };
    assert!(noted("rhel9", "4", "irqpoll nr_cpus=2"));
    assert!(noted("fedora", "2", "irqpoll"));
    assert!(!noted("rhel9", "4", "nr_cpus=4 maxcpus=1"));
    assert!(!noted("rhel9", "1", "nr_cpus=2"));
    assert!(!noted("rhel8", "4", "nr_cpus=2"));
}

#[test]
fn system_calls_of_an_older_kernel() {
    let of = |more: &str, append: &str| {
        let kdump = conf("rhel7", &["ext4 /dev/nvme0n1"])
            + &format!("  sysconfig: {{KDUMP_COMMANDLINE_APPEND: nr_cpus=1 {append}}}\n");
        let notes = whole_plan(NVME, &kdump, more).map(|plan| plan.expectations.fidelity);
        notes.map(|notes| {
            let notes = notes.iter().filter(|note| note.contains("ENOSYS"));
            let begin = |note: &String| note.split(" are").next().unwrap_or(note).to_owned();
            notes.map(begin).collect::<Vec<_>>()
        })
    };
    let first = "first-kernel: {append: crashdrill.syscalls=313}\n";
    assert_eq!(of("", "").unwrap(), [""; 0]);
    // The capture kernel inherits it.
    assert_eq!(
        of(first, "").unwrap(),
        ["in both kernels system calls above 313"]
    );
    assert_eq!(
        of("", "crashdrill.syscalls=312").unwrap(),
        ["in the capture kernel system calls above 312"]
    );
    assert_eq!(
        of(first, "crashdrill.syscalls=312").unwrap(),
        [
            "in the first kernel system calls above 313",
            "in the capture kernel system calls above 312"
        ]
    );
    let error = of("", "crashdrill.syscalls=3.10").unwrap_err().to_string();
    assert_eq!(
        error,
        "crashdrill.syscalls=3.10: the number of a kernel's last system call has to come here, \
         298 to 65535: 313 is Linux 3.10's"
    );
}

#[test]
fn the_outcome_names_the_cpu_that_was_used() {
    let machine = |more: &str, of_the_image: Option<&str>| {
        let (_directory, mut image) = image();
        image.cpu = of_the_image.map(str::to_owned);
        let text = format!(
            "name: x\nabout: A plan.\nimage: test\nmachine:\n{more}  devices:\n{NVME}\
             crashkernel: 256M\n"
        );
        let file = scenario::parse(Path::new("x.yaml"), &text, catalogue::facts).unwrap();
        let plan = Plan::new(&file.drills[0], &image, None, "token", Shell::No).unwrap();
        assert_eq!(plan.server().map(|server| &server.machine.cpu), None);
        let cpu = plan.machine.cpu_model();
        assert!(plan.expectations.machine.ends_with(&cpu), "{cpu}");
        plan.expectations.machine
    };
    assert_eq!(machine("", None), "pc-q35-7.2, qemu64,x2apic=off");
    assert_eq!(
        machine("", Some("Haswell-noTSX")),
        "pc-q35-7.2, Haswell-noTSX,x2apic=off"
    );
    assert_eq!(
        machine("  cpu: Nehalem\n  chipset: pc\n", Some("Haswell-noTSX")),
        "pc-i440fx-7.2, Nehalem,x2apic=off"
    );
}

#[test]
fn a_distribution_cannot_be_told_to_answer_fewer_system_calls() {
    use crate::image::{CaptureInitrd, RootDisk, RootKind};

    let text = "name: x\nabout: A plan.\nimage: test\nboot: disk\nmachine:\n  devices:\n    \
                - {device: nvme, target: true}\ncrashkernel: 256M\nkdump: {flavour: debian}\n\
                first-kernel: {append: crashdrill.syscalls=313}\n";
    let file = scenario::parse(Path::new("x.yaml"), text, catalogue::facts)
        .unwrap_or_else(|error| panic!("{}", error.render(100, false)));
    let (_directory, mut image) = image();
    image.root = Some(RootDisk {
        disk: "disk".into(),
        initrd: "initrd".into(),
        kind: RootKind::Packages(CaptureInitrd {
            file: "capture".into(),
            path: "/boot/capture".to_owned(),
        }),
    });
    let error = Plan::new(&file.drills[0], &image, None, "token", Shell::No).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`crashdrill.syscalls` is /init's to act on, which does not run with `boot: disk`"
    );
}

/// With a kernel that was built with what the drill needs, but for `without`.
fn plan_without(without: &[&str], kdump: &str, release: &str) -> Result<Plan, PlanError> {
    let (directory, mut image) = image();
    let config: String = crate::image::NEEDS
        .iter()
        .flat_map(|need| need.symbols)
        .filter(|symbol| !without.contains(symbol))
        .map(|symbol| format!("CONFIG_{symbol}=y\n"))
        .collect();
    let path = directory.path().join("config");
    fs::write(&path, config).unwrap();
    image.kernel.config = Some(path);
    image.kernel.release = release.to_owned();
    let text = format!(
        "name: x\nabout: A plan.\nimage: test\nmachine:\n  memory: 4G\n  devices:\n{NVME}\
         crashkernel: auto\nkdump:\n{kdump}"
    );
    plan_on(&image, &text)
}

#[test]
fn the_order_of_the_drivers() {
    let devices = format!(
        "    - {{device: virtio-blk, slots: [0x8]}}\n{NVME}    - {{device: virtio-net, slots: [0x3]}}\n"
    );
    let lines = ["ext4 /dev/nvme0n1", "extra_modules sunrpc"];
    let of = |order: &str| {
        let more = format!("capture: {{order: {order}}}\n");
        let plan = whole_plan(&devices, &conf("rhel7", &lines), &more).unwrap();
        let note = plan.expectations.fidelity[0].clone();
        let drivers = plan.expectations.capture_drivers.clone();
        let loaded = direct(plan).capture.order.drivers;
        let names: Vec<_> = loaded.into_iter().map(|driver| driver.name).collect();
        assert_eq!(names, drivers);
        (drivers.join(" "), note)
    };
    const NOTE: &str = "the capture initramfs is crashdrill's own, not dracut's: no udev, drivers \
                        load one after the other";
    assert_eq!(
        of("explicit"),
        (
            "virtio_pci virtio_blk virtio_net nvme sunrpc".to_owned(),
            format!("{NOTE} in the order of the scenario")
        )
    );
    assert_eq!(
        of("pci"),
        (
            "virtio_pci virtio_net nvme virtio_blk sunrpc".to_owned(),
            format!(
                "{NOTE} by the PCI addresses of their devices, where udev loads several at once: \
                 virtio_pci, virtio_net, nvme, virtio_blk, sunrpc"
            )
        )
    );
    let (drivers, note) = of("{shuffled: 7}");
    assert_eq!(
        note,
        format!(
            "{NOTE} as seed 7 shuffles them: {}",
            drivers.replace(' ', ", ")
        )
    );
}

#[test]
fn the_target_is_called_what_the_order_makes_of_it() {
    let devices = "    - {device: ahci, target: true, slots: [0x3]}\n\
                   \u{20}   - {device: megasas-gen2, size: 1G, slots: [0x4]}\n";
    let of = |order: &str| {
        let more = format!("capture: {{order: {order}}}\n");
        let target = plan(devices, "  flavour: rhel7\n", &more).unwrap();
        match target.capture.order.target {
            Target::Filesystem(filesystem) => filesystem.device,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of("explicit"), "/dev/sdb");
    assert_eq!(of("pci"), "/dev/sda");
}

#[test]
fn a_kernel_that_lacks_something() {
    let kdump = conf("rhel7", &["ext4 /dev/nvme0n1"]);
    let of = |without: &[&str]| plan_without(without, &kdump, "6.1.0-50-amd64");
    assert!(of(&[]).is_ok());
    // No script, no network.
    assert!(of(&["BINFMT_SCRIPT", "INET"]).is_ok());
    let error = of(&["KEXEC", "MODULES"]).unwrap_err();
    assert!(matches!(&error, PlanError::Lacking { lacking, .. } if lacking.len() == 2));
    assert_eq!(
        error.to_string(),
        "image test: its kernel, 6.1.0-50-amd64, was built without\n  \
         CONFIG_KEXEC=y (arch/x86/Kconfig): kdump cannot be armed: kexec_load(2) is not there\n  \
         CONFIG_MODULES=y (init/Kconfig): the drivers that are modules cannot be loaded"
    );
    let scripted = conf("rhel7", &["ext4 /dev/nvme0n1", "kdump_pre /bin/pre"])
        + "capture:\n  files:\n    /bin/pre: |\n      #!/bin/sh\n";
    let error = plan_without(&["BINFMT_SCRIPT"], &scripted, "6.1.0").unwrap_err();
    assert!(matches!(error, PlanError::Lacking { .. }), "{error}");

    let (directory, mut image) = image();
    let path = directory.path().join("config");
    fs::write(&path, "garbage").unwrap();
    image.kernel.config = Some(path);
    let text = format!(
        "name: x\nabout: A plan.\nimage: test\nmachine:\n  devices:\n{NVME}\
         crashkernel: 256M\nkdump:\n{kdump}"
    );
    let error = plan_on(&image, &text).unwrap_err().to_string();
    assert!(error.contains("config: line 1"), "{error}");
}

#[test]
fn auto_on_a_kernel_that_does_not_know_it() {
    let note = |flavour, release| {
        let kdump = conf(flavour, &["ext4 /dev/nvme0n1"]);
        let plan = plan_without(&[], &kdump, release).unwrap();
        let notes = plan.expectations.fidelity.into_iter();
        notes.into_iter().find(|note| note.contains("auto"))
    };
    assert_eq!(
        note("rhel7", "6.1.0-50-amd64").unwrap(),
        "crashkernel=auto, which the kernels of RHEL 6 to 8 alone know, reserves nothing on this \
         one; that of rhel7 reserves 161M of 4G: `crashkernel: 161M` drills it"
    );
    assert!(
        note("rhel9", "6.1.0-50-amd64")
            .unwrap()
            .ends_with("this one")
    );
    assert_eq!(note("rhel8", "4.18.0-553.el8_10.x86_64"), None);
}
