//! `crashdrill schema`.

use clap::Args;

use super::{CliError, Status};
use crate::scenario::schema::json_schema;

/// Print the JSON Schema of scenario files.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  crashdrill schema > scenario.schema.json
then, as the first line of a scenario, for editors with a YAML language server:
  # yaml-language-server: $schema=scenario.schema.json")]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn execute(&self) -> Result<Status, CliError> {
        let text = serde_json::to_string_pretty(&json_schema()).map_err(CliError::harness)?;
        say!("{text}");
        Ok(Status::Good)
    }
}
