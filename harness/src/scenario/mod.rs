//! Scenario files: YAML text to checked drills, or every error with the place where it stands.

mod advice;
pub mod check;
mod decode;
mod diagnostics;
pub mod identity;
pub mod load;
mod matrix;
pub mod model;
mod patch;
mod path;
pub mod schema;
#[cfg(test)]
mod tests;
mod tree;
mod userland;

pub use check::{DeviceFacts, FactsOf, Problem, TableRule};
pub use diagnostics::{BadScenario, Fault};
pub(crate) use load::some_of;
pub use load::{Drill, DrillId, ScenarioFile, Setting, parse, read};
pub use path::{Path, PathError, Step};
