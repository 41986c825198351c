//! `crashdrill devices`.

use clap::Args;

use super::progress::Shown;
use super::{CliError, Context, Status};
use crate::image::qemu::{self, Origin, QEMU_VARIABLE};
use crate::machine::Capabilities;
use crate::machine::catalogue::{self, Table};
use crate::pci::Id;
use crate::run::capabilities;
use crate::scenario::model::DeviceKind;

/// List the device catalogue, marked with what the QEMU in use has.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crashdrill devices")]
pub(super) struct Devices {}

impl Devices {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let qemu = qemu::find(&context.cache, &Shown::new()).map_err(CliError::harness)?;
        let has = capabilities(&context.cache, &qemu).map_err(CliError::harness)?;
        say!("QEMU {}", has.version);
        say!(
            "{:14} {:3} {:6} {:>9}  {:32} what it is",
            "device",
            "has",
            "target",
            "msix",
            "guest drivers"
        );
        for kind in catalogue::ALL {
            let entry = catalogue::entry(kind);
            let table = match entry.table {
                Table::None => "-".to_owned(),
                Table::Fixed(entries) => entries.to_string(),
                Table::Free { min, max, .. } => format!("{min}-{max}"),
            };
            let yes = |yes| if yes { "yes" } else { "no" };
            let drivers = match entry.drivers {
                [] if entry.is_modelled() => "none".to_owned(),
                [] => "built in".to_owned(),
                drivers => drivers.join(" "),
            };
            say!(
                "{:14} {:3} {:6} {table:>9}  {drivers:32} {}",
                entry.name,
                yes(has.has(kind)),
                yes(entry.can_be_target()),
                entry.about,
            );
            if let Some(model) = &entry.model {
                let ids: Vec<String> = model.ids.iter().map(Id::to_string).collect();
                let ids = match ids.is_empty() {
                    true => "any".to_owned(),
                    false => ids.join(" "),
                };
                say!("{:14} ids {ids}, {} by itself", "", model.id);
            }
        }
        if let Some(text) = without_models(&has, qemu.origin) {
            say!("\n{text}");
        }
        Ok(Status::Good)
    }
}

/// What becomes of drills with modelled devices when the QEMU at hand is too old for them.
pub(super) fn without_models(has: &Capabilities, origin: Origin) -> Option<String> {
    let lacks = |kind: &DeviceKind| catalogue::entry(*kind).is_modelled() && !has.has(*kind);
    let lacking: Vec<&str> = catalogue::ALL
        .into_iter()
        .filter(lacks)
        .map(|kind| catalogue::entry(kind).name)
        .collect();
    let names = lacking.join(", ");
    match (lacking.is_empty(), origin) {
        (true, _) => None,
        (false, Origin::Path) => Some(format!(
            "drills with {names} run in crashdrill's own QEMU, fetched when it is needed"
        )),
        (false, _) => Some(format!(
            "drills with {names} are left out; {QEMU_VARIABLE}=fetched, or without it crashdrill's \
             own QEMU where that on PATH is too old, runs them"
        )),
    }
}
