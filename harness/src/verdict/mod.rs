//! From what was seen of a drill to what it means: evidence, rules, outcome.

mod evidence;
mod judge;
mod normalise;
pub mod outcome;
mod rules;
mod told;

pub use evidence::{Dump, End, Entry, Evidence, Expectations, Recorder};
pub use judge::{Finding, Judgement, assess, judge};
pub use normalise::{normalise, normalise_text};
pub use rules::{Rule, RuleBook, RulesError};
