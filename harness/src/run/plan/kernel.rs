//! What the image's kernel was built with, against what the drill asks of it.

use crashdrill_guest::order::{CaptureOrder, FirstOrder};

use super::{PlanError, Stage};
use crate::image::{Does, Image, KernelConfig, knows_auto, lacking};
use crate::kdump::crashkernel::{Crashkernel, Reserved};
use crate::kdump::reservation::reservation;
use crate::scenario::model::Scenario;

/// Refuses a kernel that lacks something without which the drill would show nothing. One of which
/// nobody knows what it was built with is taken.
pub(super) fn check(
    image: &Image,
    first: &Stage<FirstOrder>,
    capture: &Stage<CaptureOrder>,
) -> Result<KernelConfig, PlanError> {
    let config = image
        .kernel
        .built_with()
        .map_err(|source| PlanError::Config {
            image: image.name.clone(),
            source,
        })?;
    let does = Does {
        modules: !first.modules.is_empty() || !capture.modules.is_empty(),
        scripts: !capture.scripts.is_empty(),
        network: capture.order.target.network().is_some(),
    };
    let release = &image.kernel.release;
    let lacking = lacking(&config, release, does);
    if lacking.is_empty() {
        return Ok(config);
    }
    Err(PlanError::Lacking {
        image: image.name.clone(),
        release: release.clone(),
        lacking,
    })
}

/// What `crashkernel=auto` is on a kernel that does not know it. That is no mistake of the
/// scenario's: a machine whose kernel was changed reserves nothing, too.
pub(super) fn auto(scenario: &Scenario, image: &Image, config: &KernelConfig) -> Option<String> {
    if scenario.crashkernel != Crashkernel::Auto || knows_auto(config, &image.kernel.release) {
        return None;
    }
    let (memory, flavour) = (scenario.machine.memory, scenario.kdump.flavour);
    let known = "crashkernel=auto, which the kernels of RHEL 6 to 8 alone know, reserves nothing on \
                 this one";
    Some(
        match reservation("crashkernel=auto", Some(memory), flavour).reserved {
            Some(Reserved::Bytes(size)) => format!(
                "{known}; that of {flavour} reserves {size} of {memory}: `crashkernel: {size}` \
                 drills it"
            ),
            _ => known.to_owned(),
        },
    )
}
