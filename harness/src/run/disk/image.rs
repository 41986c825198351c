//! Drills of a disk image that somebody else made.

use crate::image::KdumpService;
use crate::run::plan::PlanError;
use crate::scenario::model::{Scenario, SysconfigFile};

/// Refuses what cannot be got into such an image.
pub(super) fn check(scenario: &Scenario) -> Result<(), PlanError> {
    if !scenario.capture.files.is_empty() {
        let text = "`capture.files` cannot be added to an initramfs that the image makes for \
                    itself; put them into the image, or name them with `extra_bins` of kdump.conf";
        return Err(PlanError::Boot(text.to_owned()));
    }
    match &scenario.kdump.sysconfig {
        SysconfigFile::Keys(keys) if **keys != Default::default() => {
            let text = "the image gets /etc/sysconfig/kdump as it is: write `sysconfig: |` and \
                        the file's text, not single keys";
            Err(PlanError::Boot(text.to_owned()))
        }
        _ => Ok(()),
    }
}

/// What is not as on a real machine.
pub(super) fn fidelity(service: KdumpService) -> Vec<String> {
    let mut notes = vec![
        "QEMU loads kernel and initramfs of the first kernel, taken out of the image: no boot \
         loader"
            .to_owned(),
        format!(
            "the image's cloud-init writes the configuration, and runs crashdrill's agent, which \
             restarts {} and crashes",
            service.unit()
        ),
        "a CD drive at the chipset's own disk controller carries that configuration; it is no \
         PCI function"
            .to_owned(),
        "what cloud-init does besides by itself is as on a machine that boots for the first time"
            .to_owned(),
    ];
    if service == KdumpService::Kdumpctl {
        notes.push("nobody looks at the devices of the capture kernel".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use crate::image::{FoundRoot, Image, ModuleTree, RootDisk, RootKind, Userland};
    use crate::machine::catalogue;
    use crate::run::disk::{Added, Distribution};
    use crate::run::plan::{BootPlan, Plan, Shell};
    use crate::scenario;

    fn plan(service: &str, more: &str) -> Result<Plan, String> {
        let text = format!(
            "name: x\nabout: A plan.\nimage: test\nboot: disk\nmachine:\n  devices:\n    \
             - {{device: nvme, target: true}}\ncrashkernel: 160M\n{more}"
        );
        let file = scenario::parse(Path::new("x.yaml"), &text, catalogue::facts);
        let file = file.unwrap_or_else(|error| panic!("{}", error.render(100, false)));
        let found = json!({"raw": null, "partition": 2, "uuid": "u-1", "service": service});
        let found: FoundRoot = serde_json::from_value(found).unwrap();
        let mut image = Image::for_plans("test", ModuleTree::none(), Userland::at("none"));
        image.root = Some(RootDisk {
            disk: "root.img".into(),
            initrd: "initrd".into(),
            kind: RootKind::Image(found),
        });
        Plan::new(&file.drills[0], &image, None, "00ff", Shell::No)
            .map_err(|error| error.to_string())
    }

    fn distribution(plan: &Plan) -> &Distribution {
        match &plan.boot {
            BootPlan::Disk(distribution) => distribution,
            BootPlan::Direct(_) => panic!("{:?}", plan.boot),
        }
    }

    #[test]
    fn the_kernel_finds_the_images_root_and_the_seed_has_the_configuration() {
        let conf = "kdump:\n  flavour: rhel8\n  conf: |\n    path /srv/dumps\n";
        let planned = plan("kdumpctl", conf).unwrap();
        let append = &planned.machine.append;
        assert!(append.starts_with("root=UUID=u-1 ro console=ttyS0 crashkernel=160M"));
        assert_eq!(planned.dump_directory, "/srv/dumps");
        let Added::Seed(seed) = &distribution(&planned).added else {
            panic!()
        };
        assert!(seed.user_data.contains(r#""path /srv/dumps\n""#));
        assert!(
            seed.user_data
                .contains("crash restarted kdump.service 0 00ff")
        );
        let debian = plan("kdump-tools", "kdump: {flavour: debian}\n").unwrap();
        assert_eq!(debian.dump_directory, "/var/crash");
        let Added::Seed(seed) = &distribution(&debian).added else {
            panic!()
        };
        // The image keeps its own.
        assert!(!seed.user_data.contains("/etc/default/kdump-tools"));
    }

    #[test]
    fn what_cannot_be_done_with_an_image_is_refused_by_name() {
        for (service, more, wanted) in [
            ("kdumpctl", "kdump: {flavour: debian}\n", "has kdumpctl"),
            (
                "kdump-tools",
                "kdump: {flavour: rhel9}\n",
                "flavour: debian",
            ),
            (
                "kdumpctl",
                "kdump: {conf: \"ext4 LABEL=dumps\\n\"}\n",
                "other than the root",
            ),
            (
                "kdumpctl",
                "kdump: {conf: \"dracut_args --mount \\\"/dev/vdb /mnt ext4 ro\\\"\\n\"}\n",
                "other than the root",
            ),
            (
                "kdumpctl",
                "kdump: {sysconfig: {KEXEC_ARGS: --reset-vga}}\n",
                "/etc/sysconfig/kdump as it is",
            ),
            (
                "kdumpctl",
                "capture: {files: {/etc/modprobe.d/x.conf: x}}\n",
                "`capture.files` cannot",
            ),
        ] {
            let error = plan(service, more).unwrap_err();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
