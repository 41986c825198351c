//! `crashdrill list`.

use std::path::PathBuf;

use clap::Args;

use super::run::drills;
use super::{CliError, Context, Status};
use crate::report::safe;

/// List scenarios and their variants.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  crashdrill list scenarios/")]
pub(super) struct List {
    /// Scenario files, directories of them, or names of files in scenarios/, with @VARIANT behind it
    /// for one drill [default: all of scenarios/].
    paths: Vec<PathBuf>,
}

impl List {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let drills = drills(context, &self.paths, &[])?;
        let mut last = None;
        for drill in &drills {
            if last != Some(&drill.id.scenario) {
                let file = safe(&drill.file.display().to_string());
                say!("{}  [{file}]", drill.id.scenario);
                say!("    {}", safe(&drill.scenario.about));
                last = Some(&drill.id.scenario);
            }
            if let Some(variant) = &drill.id.variant {
                say!("    - {variant}");
            }
        }
        Ok(Status::Good)
    }
}
