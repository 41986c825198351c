//! The `crashkernel=` grammar.

use schemars::JsonSchema;
use serde::Deserialize;

/// Value of `crashkernel=`, or `none`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Crashkernel(pub String);
