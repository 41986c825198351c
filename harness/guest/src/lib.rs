//! What the harness and the two kernels' /init say to each other.
//!
//! The harness writes an [`order::Order`] into each initramfs; /init answers with a stream of
//! [`report::Report`]s through a port that needs no driver and no interrupt vector.
//! Both ends compile this crate, so the two cannot drift apart. It depends on next to nothing, so
//! that /init stays small.

pub mod agent;
pub mod console;
pub mod order;
pub mod report;
pub mod syscalls;
pub mod utc;
mod words;

pub use words::SyntaxError;
