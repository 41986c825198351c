//! How the slow steps tell what they are doing, without knowing who shows it.

/// One thing that happens while an image or QEMU is made ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Another crashdrill process is filling the same cache entry; nothing is done until it ends.
    Waiting,
    /// Bytes are coming from the network.
    Downloading {
        /// 0 to 100, of this step alone; fetching the package lists and then the packages are two.
        /// None when the server does not say how much there is.
        percent: Option<f32>,
        /// apt's own words, e.g. `Retrieving file 3 of 32`; of a file its name, size and speed.
        text: String,
    },
    /// Packages are being unpacked.
    Unpacking {
        /// Packages finished.
        done: usize,
        /// Packages in all.
        total: usize,
    },
    /// Packages are being installed, as on a machine; in the installer's own words.
    Installing(String),
    /// The kernel is decompressed and rewritten, the modules are indexed.
    Converting,
    /// Finished; only reported for what really had to be made.
    Done,
}

/// Shown progress: bars, plain lines, or nothing.
pub trait Progress: Sync {
    /// `item` says what is being made, e.g. `image debian-12`.
    fn report(&self, item: &str, step: &Step);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: &str, _: &Step) {}
}
