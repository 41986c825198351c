//! `crashdrill devices`.

use clap::Args;

use super::progress::Shown;
use super::{CliError, Context, Status};
use crate::image::qemu;
use crate::machine::catalogue::{self, Table};
use crate::run::capabilities;

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
        }
        Ok(Status::Good)
    }
}
