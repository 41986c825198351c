//! What people and other programs get to see of a run.

/// `eprintln!` for messages: that nobody reads them, or that they do not fit the disk, changes nothing
/// of what is done.
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::report::tell_text(&format!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use tell;

mod diagnosis;
mod fault;
mod findings;
mod grid;
mod image;
mod import;
mod json;
mod junit;
mod orders;
mod page;
mod proof;
mod scenario;
mod search;
mod snippet;
mod terminal;
mod vectors;
mod vmcore;

use std::fmt::Write;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use diagnosis::{View, diagnosis_json, diagnosis_schema, diagnosis_text};
pub use findings::{findings_json, findings_schema, findings_text};
pub use grid::Grid;
pub use image::{
    Cached, Described, Fetched, Held, Inventory, Kept, Other, Role, State as ImageState,
    fetched_text, image_list_json, image_list_schema, image_list_text, image_text, verified_text,
};
pub use import::import_text;
pub use json::write_json;
pub use junit::write_junit;
pub use orders::{Ending, OrderRun, Orders, orders_json, orders_text};
pub use proof::{proof_json, proof_text};
pub use search::{search_head, search_json, search_text, trial_line};
pub use terminal::Terminal;
pub use vectors::{Planned, vectors_json, vectors_schema, vectors_svg, vectors_text};
pub use vmcore::{Looked, State, vmcore_json, vmcore_schema, vmcore_text};

pub(crate) use fault::fault_text;
pub(crate) use page::safe;
pub(crate) use snippet::Snippet;
pub(crate) use vmcore::amount;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::run::{DrillResult, HarnessError};
use crate::scenario::DrillId;
use crate::scenario::model::Expect;
use crate::snapshot::Comparison;
use crate::units::Bytes;
use crate::verdict::outcome::{Cause, Outcome};

/// One finished drill, compared: what the reports are made from.
#[derive(Debug)]
pub struct Finished {
    /// Which drill.
    pub id: DrillId,
    /// Its outcome and how that stands to the snapshot, or the failure of the harness.
    pub result: Result<Compared, HarnessError>,
}

/// An outcome and its snapshot.
#[derive(Debug)]
pub struct Compared {
    /// What the drill came to.
    pub drill: Box<DrillResult>,
    /// How that stands to the snapshot.
    pub comparison: Comparison,
    /// How the scenario says that it ends.
    pub expected: Option<Expect>,
    /// Where console log, reports and QEMU's command line were kept, if they were.
    pub kept: Option<PathBuf>,
}

impl Compared {
    /// What the scenario expects, if that is not what came.
    pub fn unmet(&self) -> Option<&Expect> {
        let expected = self.expected.as_ref();
        expected.filter(|expected| !expected.is_met(&self.drill.outcome))
    }

    /// Whether the drill ended as its snapshot and its scenario say.
    pub fn as_expected(&self) -> bool {
        self.comparison.as_expected() && self.unmet().is_none()
    }
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ended as their snapshot and their scenario's `expect` say.
    pub as_expected: usize,
    /// Ended otherwise, or have neither.
    pub changed: usize,
    /// Gave no outcome.
    pub failed: usize,
}

impl Totals {
    /// Counts.
    pub fn of(finished: &[Finished]) -> Self {
        let mut totals = Totals::default();
        for drill in finished {
            match &drill.result {
                Ok(compared) if compared.as_expected() => totals.as_expected += 1,
                Ok(_) => totals.changed += 1,
                Err(_) => totals.failed += 1,
            }
        }
        totals
    }
}

/// To standard error, with styles only where it is a terminal.
pub(crate) fn tell_text(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn write_report(file: &Path, text: &str) -> io::Result<()> {
    if file != Path::new("-") {
        return std::fs::write(file, text);
    }
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// `no-vmcore (irq-vector-exhaustion)`, `vmcore-saved`.
pub(crate) fn answer(outcome: &Outcome) -> String {
    match outcome.cause == Cause::NONE {
        true => outcome.verdict.to_string(),
        false => format!("{} ({})", outcome.verdict, outcome.cause),
    }
}

/// `58.6 MiB`.
pub(crate) fn mebibytes(bytes: Bytes) -> String {
    format!("{:.1} MiB", bytes.0 as f64 / Bytes::MIB as f64)
}

/// `9.8 s`, `2 m 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        format!("{} m {:02} s", whole / 60, whole % 60)
    }
}

/// One line, without its end. Programs write such documents below one another (JSON Lines).
fn json_line(document: &impl Serialize) -> Result<String, serde_json::Error> {
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

fn json_schema<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    schema
}

#[cfg(test)]
mod tests;
