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
    vec![
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
        "nobody looks at the devices of the capture kernel".to_owned(),
    ]
}
