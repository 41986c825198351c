//! A diagnosis for programs.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::diagnose::Diagnosis;
use crate::report::{json_line, json_schema};

/// What a log says.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
    /// Why the log was not read to its end, if it was not.
    unread: Option<&'a str>,
}

/// One line, without its end. Programs write such documents below one another (JSON Lines).
///
/// # Errors
/// None that a diagnosis can cause.
pub fn diagnosis_json(
    diagnosis: &Diagnosis,
    unread: Option<&str>,
) -> Result<String, serde_json::Error> {
    json_line(&Document { diagnosis, unread })
}

/// The JSON Schema of [`diagnosis_json`].
pub fn diagnosis_schema() -> Value {
    json_schema::<Document<'_>>("crashdrill diagnosis")
}
