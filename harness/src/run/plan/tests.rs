use std::fs;
use std::path::Path;

use crashdrill_guest::order::{Action, FailureAction, Filesystem, Script, Target};
use tempfile::TempDir;

use super::*;
use crate::image::{ModuleTree, Userland};
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
         kernel/fs/xfs/xfs.ko.xz: kernel/fs/jbd2/jbd2.ko.xz\n",
    ),
    ("modules.alias", "alias fs-ext3 ext4\nalias fs-ext2 ext4\n"),
    ("modules.builtin", "kernel/drivers/scsi/sd_mod.ko\n"),
];

/// A static x86-64 program, as far as anyone reads it.
fn program() -> Vec<u8> {
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
    for name in ["kexec", "makedumpfile", "vmcore-dmesg", "busybox"] {
        fs::write(programs.join(name), program()).unwrap();
    }
    let userland = Userland::at(directory.path().join("userland"));
    let image = Image::for_plans("test", ModuleTree::at(modules), userland);
    (directory, image)
}

/// `kdump` is what stands below `kdump:`, `more` at the end of the file.
fn plan(devices: &str, kdump: &str, more: &str) -> Result<Direct, PlanError> {
    let text = format!(
        "name: x\nabout: A plan.\nimage: test\nmachine:\n  devices:\n{devices}\
         crashkernel: 256M\nkdump:\n{kdump}{more}"
    );
    let file = scenario::parse(Path::new("x.yaml"), &text, catalogue::facts);
    let file = file.unwrap_or_else(|error| panic!("{}", error.render(100, false)));
    let (_directory, image) = image();
    let plan = Plan::new(&file.drills[0], &image, "token", Shell::No)?;
    match plan.boot {
        BootPlan::Direct(direct) => Ok(*direct),
        BootPlan::Disk(_) => panic!("no such image here"),
    }
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
    let names = |filesystem: &Filesystem| -> Vec<String> {
        let modules = filesystem.modules.iter();
        modules.map(|module| module.name.clone()).collect()
    };
    assert_eq!(names(root), ["jbd2", "xfs"]);
    let target = plan.capture.order.target.filesystem().unwrap();
    assert_eq!(names(target), ["jbd2", "ext4"]);
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
