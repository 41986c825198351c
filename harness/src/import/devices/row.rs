//! What became of a customer's function, and the words for it.

use crate::import::facts::{PciAddress, PciFunction};

/// What became of a customer's function, or of all of a card's with one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub at: Vec<PciAddress>,
    /// What it is.
    pub what: String,
    /// Its driver in the first kernel.
    pub driver: Option<String>,
    /// Entries of its MSI-X table.
    pub table: Option<u16>,
    /// What stands for it, as a scenario has it; none if it is left out.
    pub stands: Option<String>,
    /// What is lost, or why it is left out.
    pub lost: String,
    /// Vectors that all of these functions had in the first kernel.
    pub first: Option<u32>,
    /// Vectors that their drivers ask for in the capture kernel.
    pub capture: u32,
    /// Vectors that what stands for it asks for there.
    pub ours: u32,
}

/// What a function is, with its ids.
pub(super) fn what(function: &PciFunction) -> String {
    let description = function.description.split_whitespace();
    let mut text = description.collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    if text.chars().count() > 70 {
        text = text.chars().take(69).chain(['…']).collect();
    }
    match (text.is_empty(), function.id) {
        (false, Some(id)) => format!("{text} [{id}]"),
        (false, None) => text,
        (true, Some(id)) => format!("[{id}]"),
        (true, None) => "an unknown function".to_owned(),
    }
}

pub(super) fn comment(row: &Row) -> String {
    let mut text = match row.at.as_slice() {
        // The target that is made up, which is said of the target.
        [] => return String::new(),
        [one] => format!("{} ", one.short()),
        [first, .., last] => format!("{} to {} ", first.short(), last.short()),
    };
    text.push_str(&row.what);
    if let Some(driver) = &row.driver {
        text.push_str(&format!(", {driver}"));
    }
    match (row.capture, row.ours) {
        (0, 0) => {}
        (theirs, ours) if theirs == ours => {
            let vectors = if ours == 1 { "vector" } else { "vectors" };
            text.push_str(&format!(
                ": {theirs} {vectors} in the capture kernel, as there"
            ));
        }
        (theirs, ours) => {
            let vectors = if ours == 1 { "vector" } else { "vectors" };
            text.push_str(&format!(
                ": {ours} {vectors} in the capture kernel, {theirs} there"
            ));
        }
    }
    if !row.lost.is_empty() {
        text.push_str(&format!(". Lost: {}", row.lost));
    }
    text.push('.');
    text
}
