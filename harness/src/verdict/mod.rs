//! From what was seen of a drill to what it means: evidence, rules, outcome.

mod book;
#[cfg(test)]
mod classes;
mod crosscheck;
mod evidence;
mod hits;
mod judge;
mod log;
mod normalise;
pub mod outcome;
mod rules;
mod told;
mod vectors;

pub use book::{RuleBook, RulesError};
pub use evidence::{Counted, Dump, End, Evidence, Expectations, Recorder, Spotted};
pub use judge::{Finding, Judgement, assess, judge};
pub(crate) use judge::{quotes, quotes_of};
pub use log::{Log, LogReader};
pub use normalise::{normalise, normalise_text};
pub use rules::{Config, Remedy, Rule};
