//! What all texts together say: of several that say the same thing the best is taken, and where they
//! differ in what the machine is, that is noted.

mod functions;
mod interrupts;
mod missing;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use functions::{fill, grow, merge};

use super::facts::{Facts, Log, LogKind, Note, PciAddress, PciFunction, Sourced};
use super::gather::{Candidate, GatherError, Gathered, gather, given};
use super::read::log::Boot;
use super::read::storage::{self, Storage};
use super::read::{Text, cpuinfo, log, lspci, lspci_tree, system};
use super::recognise::{Kind, Section, kind, sections};
use super::target;

/// Reads everything that is in the files, directories and archives.
///
/// # Errors
/// A path is not there or cannot be opened. Whatever is wrong with what it holds is among
/// [`Facts::notes`].
pub fn read(paths: &[PathBuf]) -> Result<Facts, GatherError> {
    Ok(of(gather(paths)?))
}

/// Reads one file, or archive, that is already in memory.
pub fn read_bytes(name: &str, bytes: &[u8]) -> Facts {
    of(given(name, bytes))
}

/// PCI functions, and network interfaces: no machine has a tenth of that.
const MOST_FUNCTIONS: usize = 16_384;
/// Edges of the graph of block devices.
const MOST_EDGES: usize = 200_000;
/// Of kdump's own files: longer ones are none.
const MOST_OF_CONF: usize = 1 << 20;

/// A fact of several, and how well its text knows it: less is better.
#[derive(Debug)]
struct Best<T>(Option<(u8, Sourced<T>)>);

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Best<T> {
    fn offer(&mut self, rank: u8, fact: Option<Sourced<T>>) {
        if let Some(fact) = fact
            && self.0.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            self.0 = Some((rank, fact));
        }
    }

    fn take(self) -> Option<Sourced<T>> {
        self.0.map(|(_, fact)| fact)
    }
}

/// Everything until all texts are read.
#[derive(Default)]
struct Collected {
    facts: Facts,
    kernel: Best<super::facts::Release>,
    distribution: Best<super::facts::Distribution>,
    online: Best<u16>,
    possible: Best<u16>,
    model: Best<super::facts::CpuModel>,
    memory: Best<crate::units::Bytes>,
    command_line: Best<String>,
    conf: Best<String>,
    sysconfig: Best<String>,
    kdump_tools: Best<String>,
    storage: Vec<Storage>,
    interfaces: BTreeMap<String, PciAddress>,
    /// Of logs, which know less of a function than lspci.
    scanned: BTreeMap<PciAddress, PciFunction>,
    trees: BTreeMap<PciAddress, (Arc<str>, lspci_tree::Node)>,
    edges: usize,
    functions_of_boots: usize,
    /// Of those that live: the failure's is likelier the first kernel's.
    boots: Vec<(LogKind, Vec<Boot>)>,
}

fn of(gathered: Gathered) -> Facts {
    let mut all = Collected::default();
    all.facts.notes = gathered.notes;
    for file in gathered.files {
        all.file(file);
    }
    let mut links = Storage::default();
    for link in &gathered.links {
        let text = Text {
            label: link.path.as_str().into(),
            first: 0,
            text: "",
        };
        let path = format!("/{}", link.path);
        storage::link(&mut links, &text, 0, &path, &link.target);
        // `eth0 -> ../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/net/eth0`.
        if let Some((_, name)) = path.split_once("/sys/class/net/")
            && let Some(Ok(address)) = storage::last_address(&link.target).map(str::parse)
            && all.interfaces.len() < MOST_FUNCTIONS
        {
            all.interfaces.insert(name.to_owned(), address);
        }
    }
    all.storage.push(links);
    all.finish()
}

impl Collected {
    fn file(&mut self, file: Candidate) {
        let decoded = String::from_utf8_lossy(&file.bytes);
        let mut whole = None;
        for section in sections(&file.path, &decoded) {
            let Some(kind) = kind(&section.name, section.text) else {
                continue;
            };
            match kind {
                // A console goes on where somebody has typed; and its bytes need not be UTF-8.
                Kind::Log(kind) if section.terminal => whole = whole.or(Some(kind)),
                kind => self.section(kind, &section, file.cut),
            }
        }
        drop(decoded);
        if let Some(kind) = whole {
            let text = Text {
                label: file.path.as_str().into(),
                first: 1,
                text: "",
            };
            self.log(kind, &text, file.bytes, file.cut);
        }
    }

    fn section(&mut self, kind: Kind, section: &Section<'_>, cut: bool) {
        let text = &Text {
            label: section.label.as_str().into(),
            first: section.first,
            text: section.text,
        };
        match kind {
            Kind::Lspci => {
                let found = lspci::read(text);
                self.facts.notes.extend(found.notes);
                for (address, function) in found.functions {
                    merge(&mut self.facts.functions, address, function);
                }
            }
            Kind::LspciTree => {
                for (address, node) in lspci_tree::read(text) {
                    if self.trees.len() < MOST_FUNCTIONS {
                        let label = Arc::clone(&text.label);
                        self.trees.entry(address).or_insert((label, node));
                    }
                }
            }
            Kind::CommandLine => self.command_line.offer(0, system::command_line(text)),
            Kind::CpuInfo => {
                let found = cpuinfo::read(text);
                self.online.offer(0, found.online);
                self.model.offer(0, found.model);
            }
            Kind::MemInfo => self.memory.offer(1, cpuinfo::memory(text)),
            Kind::Interrupts => {
                let found = super::read::interrupts::read(text);
                self.online.offer(1, found.cpus);
                if self.facts.interrupts.is_empty() {
                    self.facts.interrupts = found.lines;
                }
            }
            Kind::Uname => {
                self.kernel.offer(0, system::uname(text));
                let host = &mut self.facts.host;
                *host = host.take().or(system::host(text));
            }
            Kind::OsRelease => {
                // Of CentOS and Debian it has one number; the other file has both.
                let found = system::os_release(text);
                let short = |found: &Sourced<super::facts::Distribution>| {
                    found
                        .value
                        .version
                        .is_none_or(|version| version.minor.is_none())
                };
                let rank = if found.as_ref().is_some_and(short) {
                    2
                } else {
                    1
                };
                self.distribution.offer(rank, found);
            }
            Kind::ReleaseLine => self.distribution.offer(1, system::release_line(text)),
            Kind::Packages => {
                let tools = &mut self.facts.kexec_tools;
                *tools = tools.take().or(system::package(text, "kexec-tools"));
                let makedumpfile = &mut self.facts.makedumpfile;
                *makedumpfile = makedumpfile
                    .take()
                    .or(system::package(text, "makedumpfile"));
            }
            Kind::KdumpConf => {
                let words = self.conf(text);
                self.conf.offer(rank(text), words);
            }
            Kind::SysconfigKdump => {
                let words = self.conf(text);
                self.sysconfig.offer(rank(text), words);
            }
            Kind::KdumpTools => {
                let words = self.conf(text);
                self.kdump_tools.offer(rank(text), words);
            }
            Kind::Log(kind) => self.log(kind, text, section.text.as_bytes().to_vec(), cut),
            Kind::Mounts => self.stored(storage::mounts(text)),
            Kind::Lsblk => self.stored(storage::lsblk(text)),
            Kind::Blkid => self.stored(storage::blkid(text)),
            Kind::Pvs => self.stored(storage::pvs(text)),
            Kind::Lvs => self.stored(storage::lvs(text)),
            Kind::Links => self.stored(storage::links(text)),
            Kind::Multipath => self.stored(storage::multipath(text)),
            Kind::Ethtool => {
                if let Some((address, driver)) = system::ethtool(text) {
                    let function = self.scanned.entry(address);
                    let function = function.or_insert_with(|| PciFunction::new(text.whole()));
                    function.driver = Some(driver);
                    // `ethtool_-i_eth0`, `ethtool -i eth0`.
                    let name = text
                        .label
                        .rsplit(['_', ' ', ')'])
                        .find(|part| !part.is_empty());
                    if let Some(name) = name {
                        self.interfaces.insert(name.to_owned(), address);
                    }
                }
            }
        }
    }

    fn stored(&mut self, storage: Storage) {
        self.edges += storage.edges.len() + storage.filesystems.len();
        if self.edges <= MOST_EDGES {
            self.storage.push(storage);
        }
    }

    /// One of kdump's own files.
    fn conf(&mut self, text: &Text<'_>) -> Option<Sourced<String>> {
        if text.text.len() > MOST_OF_CONF {
            let words = "too long for a configuration of kdump: not read";
            self.facts.notes.push(text.note(0, words));
            return None;
        }
        Some(word_for_word(text))
    }

    fn log(&mut self, kind: LogKind, text: &Text<'_>, bytes: Vec<u8>, cut: bool) {
        let mut boots = log::read(text, &bytes);
        for boot in &mut boots {
            self.functions_of_boots += boot.functions.len() + boot.interfaces.len();
            if self.functions_of_boots > 8 * MOST_FUNCTIONS {
                boot.functions.clear();
                boot.interfaces.clear();
            }
        }
        self.boots.push((kind, boots));
        self.facts.logs.push(Log {
            source: text.whole(),
            kind,
            bytes,
            cut,
        });
    }

    /// Of each log, what its last first kernel says, and its last capture kernel.
    fn boots(&mut self) {
        // The kernel that is asked about is the one that runs; where no such log is there, the one
        // that failed.
        self.boots.sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
        for (nth, (kind, boots)) in std::mem::take(&mut self.boots).into_iter().enumerate() {
            let rank = u8::try_from(nth + 2).unwrap_or(u8::MAX);
            self.other_kernel(kind, &boots);
            for boot in boots.into_iter().rev() {
                let facts = &mut self.facts;
                if boot.is_capture() {
                    let line = &mut facts.capture_command_line;
                    *line = line.take().or(boot.command_line);
                    continue;
                }
                self.kernel.offer(rank, boot.release);
                self.command_line.offer(rank, boot.command_line);
                self.online.offer(rank, boot.online);
                self.possible.offer(rank, boot.possible);
                self.model.offer(rank, boot.model);
                self.memory.offer(0, boot.memory);
                facts.routing = facts.routing.take().or(boot.routing);
                facts.hypervisor = facts.hypervisor.take().or(boot.hypervisor);
                facts.acpi = facts.acpi.take().or(boot.acpi);
                if facts.reservations.is_empty() {
                    facts.reservations = boot.reservations;
                }
                for (address, function) in boot.functions {
                    merge(&mut self.scanned, address, function);
                }
                for (name, address) in boot.interfaces {
                    if self.interfaces.len() < MOST_FUNCTIONS {
                        self.interfaces.entry(name).or_insert(address);
                    }
                }
            }
        }
    }

    /// A failure of another kernel than the one that runs.
    fn other_kernel(&mut self, kind: LogKind, boots: &[Boot]) {
        let died = matches!(kind, LogKind::Console | LogKind::VmcoreDmesg);
        let mut first = boots.iter().rev().filter(|boot| !boot.is_capture());
        let failed = first.find_map(|boot| boot.release.as_ref());
        if let (true, Some((_, runs)), Some(failed)) = (died, &self.kernel.0, failed)
            && runs.value != failed.value
        {
            self.facts.notes.push(Note {
                source: Some(failed.source.clone()),
                text: format!(
                    "this log is of kernel {}; the other files ({}) are of {}",
                    failed.value, runs.source, runs.value
                ),
            });
        }
    }

    fn finish(mut self) -> Facts {
        self.boots();
        if self.edges > MOST_EDGES {
            self.facts.notes.push(Note {
                source: None,
                text: format!("more than {MOST_EDGES} block devices and links: some are not read"),
            });
        }
        let listed = !self.facts.functions.is_empty();
        for (address, scanned) in std::mem::take(&mut self.scanned) {
            match self.facts.functions.entry(address) {
                Entry::Occupied(mut known) => {
                    fill(known.get_mut(), scanned);
                }
                // What a kernel saw and lspci did not is gone: a virtual function, or hot-unplugged.
                Entry::Vacant(_) if listed => {}
                Entry::Vacant(new) => {
                    new.insert(scanned);
                }
            }
        }
        let mut facts = self.facts;
        grow(&mut facts.functions, self.trees);
        facts.kernel = self.kernel.take();
        facts.distribution = self.distribution.take();
        facts.cpus.online = self.online.take();
        facts.cpus.possible = self.possible.take();
        facts.cpus.model = self.model.take();
        facts.memory = self.memory.take();
        facts.command_line = self.command_line.take();
        facts.kdump.conf = self.conf.take();
        facts.kdump.sysconfig = self.sysconfig.take();
        facts.kdump.kdump_tools = self.kdump_tools.take();
        interrupts::whose(&mut facts, &self.interfaces);
        facts.logs.sort_by_key(|log| log.kind);
        target::follow(&mut facts, &self.storage);
        facts.notes.sort();
        facts.notes.dedup();
        missing::missing(&mut facts);
        facts
    }
}

/// A file at its own place is the machine's; one elsewhere, such as a package's or the initramfs's,
/// may be another's.
fn rank(text: &Text<'_>) -> u8 {
    let own = [
        "etc/kdump.conf",
        "etc/sysconfig/kdump",
        "etc/default/kdump-tools",
    ];
    let label = text.label.trim_end_matches(')');
    u8::from(!own.iter().any(|place| label.ends_with(place)))
}

fn word_for_word(text: &Text<'_>) -> Sourced<String> {
    let lines: Vec<&str> = text
        .text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let mut words = lines.join("\n").trim_end().to_owned();
    words.push('\n');
    text.fact(0, words)
}

#[cfg(test)]
mod tests;
