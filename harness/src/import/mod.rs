//! From a customer's files to a scenario.
//!
//! Files, directories and archives are gathered, each text is recognised by what is in it and read
//! by a reader of its own, and what they say together is [`Facts`]: one customer's machine. Whatever
//! was not understood is a [`Note`], never an error.

mod collect;
pub mod facts;
mod gather;
mod read;
mod recognise;
mod target;

pub use collect::{read, read_bytes};
pub use facts::{Facts, Note};
pub use gather::GatherError;
