//! A console log, read as a stream, and what it says: `crashdrill diagnose`.

mod diagnosis;

pub use diagnosis::{Case, Config, Diagnosis, FORMAT, Noted, Omitted, Quote, Remedy, Reported};
