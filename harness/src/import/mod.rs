//! From a customer's files to a scenario.
//!
//! Files, directories and archives are gathered, each text is recognised by what is in it and read
//! by a reader of its own, and what they say together is [`Facts`]: one customer's machine. Whatever
//! was not understood is a [`Note`], never an error.

pub mod facts;

pub use facts::{Facts, Note};
