use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::image::{Image, KeyPair, Keys, ModuleTree, Userland};
use crate::kdump::configuration::Configuration;
use crate::machine::catalogue;
use crate::run::plan::{BOOT_APIC_ID, Shell, Supplies, machine_plan};
use crate::scenario::model::Boot;
use crate::scenario::{self, Drill};
use crate::vectors::{Forecast, Got, Prediction, predict};

use super::*;

/// What Debian's kernels have as modules, as far as a scenario asks for it.
const MODULES: &str = "\
    kernel/drivers/ata/ahci.ko:
    kernel/drivers/block/virtio_blk.ko:
    kernel/drivers/char/virtio_console.ko:
    kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko:
    kernel/drivers/net/ethernet/intel/i40e/i40e.ko:
    kernel/drivers/net/ethernet/intel/igb/igb.ko:
    kernel/drivers/net/virtio_net.ko:
    kernel/drivers/net/vmxnet3/vmxnet3.ko:
    kernel/drivers/nvme/host/nvme-core.ko:
    kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/host/nvme-core.ko
    kernel/drivers/scsi/mpt3sas/mpt3sas.ko:
    kernel/drivers/scsi/sd_mod.ko:
    kernel/drivers/scsi/virtio_scsi.ko:
    kernel/drivers/virtio/virtio_pci.ko:
    kernel/fs/btrfs/btrfs.ko:
    kernel/fs/ext4/ext4.ko:
    kernel/fs/nfs/nfs.ko:
    kernel/fs/nfsd/nfsd.ko:
    kernel/fs/xfs/xfs.ko:
";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An image with all that the shipped scenarios need.
static IMAGE: LazyLock<(tempfile::TempDir, Image)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let modules = directory.path().join("modules");
    let programs = directory.path().join("userland/usr/bin");
    fs::create_dir_all(&modules).unwrap();
    fs::create_dir_all(&programs).unwrap();
    let dep: String = MODULES
        .lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect();
    fs::write(modules.join("modules.dep"), dep).unwrap();
    fs::write(modules.join("modules.alias"), "alias fs-ext3 ext4\n").unwrap();
    fs::write(modules.join("modules.builtin"), "kernel/fs/fuse/fuse.ko\n").unwrap();
    let mut program = vec![0; 64];
    program[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (program[16], program[18], program[20]) = (2, 62, 1);
    (program[52], program[54]) = (64, 56);
    for name in [
        "kexec",
        "makedumpfile",
        "vmcore-dmesg",
        "busybox",
        "mount.nfs",
        "ssh",
        "scp",
    ] {
        fs::write(programs.join(name), &program).unwrap();
    }
    let userland = Userland::at(directory.path().join("userland"));
    let image = Image::for_plans("test", ModuleTree::at(modules), userland);
    (directory, image)
});

fn drills() -> Vec<Drill> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |file: &PathBuf| scenario::read(file, catalogue::facts).unwrap().drills;
    files.iter().flat_map(read).collect()
}

/// All but the modules and programs of a drill's image.
fn setting(drill: &Drill) -> Setting {
    let release = match drill.scenario.image.as_str() {
        "debian-13" => "6.12.0",
        _ => "6.1.0",
    };
    Setting {
        kernel: Kernel::of_release(release).unwrap(),
        ..setting_of(drill, &IMAGE.1)
    }
}

fn setting_of(drill: &Drill, image: &Image) -> Setting {
    if drill.scenario.boot == Boot::Disk {
        // A plan would need the root disk.
        let machine = machine_plan(&drill.scenario, image).unwrap();
        let configuration = Configuration::read(&drill.scenario.kdump).unwrap();
        let line = configuration
            .capture_commandline("console=ttyS0", BOOT_APIC_ID)
            .to_string();
        let kernel = kernel(image).unwrap();
        let nothing = KdumpConf::defaults(Flavour::default());
        let kept_out = commandline::kept_out(&line, &nothing);
        let drivers = udev_drivers(&machine, &kept_out, kernel);
        return Setting::new(kernel, &machine, &line, 0, drivers);
    }
    let pair = || KeyPair {
        private: "private".to_owned(),
        public: "ssh-ed25519 public".to_owned(),
    };
    let keys = Keys {
        host: pair(),
        user: pair(),
        stranger: pair(),
    };
    let supplies = Supplies {
        image,
        keys: &keys,
        seeds: &["one".to_owned(), "two".to_owned()],
    };
    let plan = Plan::new(drill, image, Some(supplies), "token", Shell::No);
    let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", drill.id));
    plan.vectors(drill, image).unwrap()
}

fn drill(name: &str) -> Drill {
    let mut drills = drills().into_iter();
    drills.find(|drill| drill.id.to_string() == name).unwrap()
}

fn of<'a>(prediction: &'a Prediction, slot: &str) -> &'a Forecast {
    let mut devices = prediction.devices.iter();
    devices.find(|device| device.slot == slot).unwrap()
}

/// The part of a snapshot that counts here: slot to vectors granted, if the capture kernel lived to
/// list them.
fn snapshot(drill: &Drill) -> Option<BTreeMap<String, u32>> {
    let file = root().join(format!("snapshots/{}.snap", drill.id));
    let text = fs::read_to_string(file).unwrap();
    let outcome = text.splitn(3, "---\n").nth(2).unwrap();
    let outcome: serde_json::Value = serde_yaml::from_str(outcome).unwrap();
    if outcome["vectors"].is_null() {
        return None;
    }
    let devices = outcome["devices"].as_array().unwrap();
    let granted = devices.iter().map(|device| {
        let number = device["granted"].as_u64().unwrap();
        (
            device["slot"].as_str().unwrap().to_owned(),
            u32::try_from(number).unwrap(),
        )
    });
    Some(granted.collect())
}

/// What a drill has shown, the plan has said before: a rule that a drill contradicts is wrong.
#[test]
fn the_shipped_drills_end_as_planned() {
    let mut compared = 0;
    for drill in drills() {
        let prediction = predict(&setting(&drill));
        let Some(seen) = snapshot(&drill) else {
            continue;
        };
        for (slot, granted) in seen {
            let devices = prediction.devices.iter();
            let planned = devices.filter(|device| device.slot == slot);
            let planned: u32 = planned.map(|device| device.granted).sum();
            assert_eq!(planned, granted, "{} {slot}: {prediction:#?}", drill.id);
            compared += 1;
        }
    }
    // The comparison itself must not come to nothing.
    assert!(compared > 100, "{compared}");
}

#[test]
fn the_first_that_is_refused_and_the_cpus_that_it_takes() {
    let exhausted = predict(&setting(&drill("vector-exhaustion-nvme@exhausted")));
    assert_eq!(exhausted.first_refused().unwrap().slot, "00:10.0");
    assert_eq!(of(&exhausted, "00:05.0").got, Got::Nothing);
    assert_eq!((exhausted.demand, exhausted.needed_cpus), (258, Some(2)));
    let cured = predict(&setting(&drill(
        "vector-exhaustion-nvme@fixed-by-blacklist",
    )));
    assert!(cured.first_refused().is_none());
    let by = "rd.driver.blacklist=virtio_console".to_owned();
    assert_eq!(of(&cured, "00:04.0").got, Got::KeptOut(by));
    let nfs = predict(&setting(&drill("vector-exhaustion-nfs@exhausted")));
    assert_eq!(of(&nfs, "00:05.0").got, Got::Refused);
}

/// The field's two cures help on both kernels, but for four CPUs with flat routing on the old one; with
/// and without the vector of `int 0x80`.
#[test]
fn the_field_report_on_3_10_and_now() {
    for (variant, old, new) in [
        ("exhausted", false, false),
        ("four-cpus-physical", true, true),
        ("four-cpus-x2apic", true, true),
        ("four-cpus-flat", false, true),
        ("without-i40e", true, true),
    ] {
        let drill = drill(&format!("field-report@{variant}"));
        for (release, ia32, saved) in [
            ("3.10.0-514.el7", false, old),
            ("3.10.0-693.5.2.el7", true, old),
            ("4.18.0-477.el8", true, new),
            ("5.14.0-427.el9", true, new),
            ("6.1.0", true, new),
        ] {
            let kernel = Kernel {
                ia32,
                ..Kernel::of_release(release).unwrap()
            };
            let prediction = predict(&Setting {
                kernel,
                ..setting(&drill)
            });
            let target = &of(&prediction, "00:05.0").got;
            let wanted = if saved { Got::All } else { Got::Nothing };
            assert_eq!(*target, wanted, "{variant} {release}: {prediction:#?}");
        }
    }
}

#[test]
fn what_keeps_a_driver_out() {
    for (variant, by) in [
        ("omitted", "--omit-drivers nvme"),
        ("omitted-by-pattern", "--omit-drivers core"),
        ("refused-by-the-kernel", "module_blacklist=nvme"),
    ] {
        let drill = drill(&format!("driver-kept-out@{variant}"));
        let prediction = predict(&setting(&drill));
        let got = &of(&prediction, "00:05.0").got;
        assert_eq!(*got, Got::KeptOut(by.to_owned()), "{variant}");
    }
}
