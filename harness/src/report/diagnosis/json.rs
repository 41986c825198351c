//! A diagnosis for programs.

use std::fmt::Write;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::diagnose::Diagnosis;

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
    one_line(&Document { diagnosis, unread })
}

/// A document on one line that no terminal takes for commands.
pub(in crate::report) fn one_line(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(document)?;
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        // Outside of strings there are none, and serde_json escapes only the first 32. Some
        // terminals take the others for commands.
        if char.is_control() {
            let _ = write!(safe, "\\u{:04x}", u32::from(char));
        } else {
            safe.push(char);
        }
    }
    Ok(safe)
}

/// The JSON Schema of [`diagnosis_json`].
pub fn diagnosis_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document<'_>>()
        .to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "crashdrill diagnosis".into());
    }
    schema
}
