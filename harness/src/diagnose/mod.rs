//! A console log, read as a stream, and what it says: `crashdrill diagnose`.

mod diagnosis;
mod input;
mod reader;

pub use diagnosis::{Case, Config, Diagnosis, FORMAT, Noted, Omitted, Quote, Remedy, Reported};
pub use input::{ReadError, feed, open};
pub use reader::Reader;
