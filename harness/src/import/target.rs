//! From kdump's configuration to the PCI function that the dump goes through.

use std::collections::{BTreeMap, VecDeque};

use super::facts::{By, Facts, Note, PciAddress, Source, Sourced, Step, Target};
use super::read::storage::{Edge, Storage, adapter};
use crate::kdump::conf::{DEFAULT_PATH, DumpTarget, KdumpConf, TargetDevice};
use crate::kdump::flavour::Flavour;
use crate::kdump::kdump_tools::{KdumpTools, Remote};
use crate::kdump::suse::{SaveDir, SuseKdump};

/// Things on the way that are looked at.
const MOST: usize = 2_000;
/// PATH_MAX of <linux/limits.h>.
const MOST_NAME: usize = 4096;

/// Fills [`Facts::target`], where a file says where the dump goes.
pub(super) fn follow(facts: &mut Facts, storage: &[Storage]) {
    let Some(start) = start(facts) else {
        return;
    };
    let mut target = Target {
        source: start.source,
        given: start.given,
        steps: Vec::new(),
        filesystem: None,
        functions: Vec::new(),
    };
    if let Some(from) = start.from.filter(|from| from.len() <= MOST_NAME) {
        let graph = Graph::new(storage);
        let walk = graph.walk(&from, facts);
        target.filesystem = walk.filesystem(storage);
        target.functions = walk.functions();
        target.steps = walk.steps();
        if target.functions.is_empty() {
            let end = target.steps.last().map_or(&from, |step| &step.value.to);
            facts.notes.push(Note {
                source: Some(target.source.clone()),
                text: format!(
                    "the dump goes to {end}, and no file says on which PCI device that is; \
                     `lsblk` and `ls -l /dev/disk/by-path /sys/class/block` together would"
                ),
            });
        }
    }
    facts.target = Some(target);
}

/// Where the way begins.
struct Start {
    source: Source,
    given: Option<DumpTarget>,
    /// A device, as the graph names it, or a directory; none when the dump leaves the machine.
    from: Option<String>,
}

fn start(facts: &Facts) -> Option<Start> {
    let flavour = facts
        .distribution
        .as_ref()
        .and_then(|distribution| distribution.value.flavour());
    let kdump = &facts.kdump;
    if let Some(conf) = &kdump.conf {
        let flavour = match flavour {
            Some(Flavour::Debian | Flavour::Opensuse) | None => Flavour::default(),
            Some(flavour) => flavour,
        };
        let read = KdumpConf::read(&conf.value, flavour).value;
        let from = match &read.target {
            Some(DumpTarget::Filesystem { device, .. } | DumpTarget::Minix(device)) => {
                Some(match device {
                    TargetDevice::Node(node) => node.clone(),
                    TargetDevice::Uuid(uuid) => format!("UUID={uuid}"),
                    TargetDevice::Label(label) => format!("LABEL={label}"),
                })
            }
            Some(DumpTarget::Raw(device)) => Some(device.clone()),
            Some(DumpTarget::Nfs { .. } | DumpTarget::Ssh { .. } | DumpTarget::Virtiofs(_)) => None,
            None => Some(read.path.clone()),
        };
        return Some(Start {
            source: conf.source.clone(),
            given: read.target,
            from,
        });
    }
    if let Some(file) = &kdump.kdump_tools {
        let read = KdumpTools::read(&file.value).value;
        // A remote is tried first; kdump-config falls back to the directory only without one.
        let given = read.remotes.first().and_then(|remote| match remote {
            Remote::Nfs { mount, .. } => nfs(mount),
            Remote::Ssh { login, .. } => ssh(login),
            _ => None,
        });
        let from = read.remotes.is_empty().then(|| read.coredir.clone());
        return Some(Start {
            source: file.source.clone(),
            given,
            from,
        });
    }
    if let Some(file) = &kdump.sysconfig {
        // Red Hat's has nothing about the target: its kdump.conf has, and without one the dump goes
        // to the default directory.
        let from = match file.value.contains("KDUMP_SAVEDIR") {
            true => match SuseKdump::read(&file.value).value.savedir {
                SaveDir::File(directory) => Some(directory),
                SaveDir::Remote { .. } => None,
            },
            false => Some(DEFAULT_PATH.to_owned()),
        };
        return Some(Start {
            source: file.source.clone(),
            given: None,
            from,
        });
    }
    None
}

fn nfs(mount: &str) -> Option<DumpTarget> {
    let (host, export) = mount.split_once(':')?;
    Some(DumpTarget::Nfs {
        host: host.to_owned(),
        export: export.to_owned(),
    })
}

fn ssh(login: &str) -> Option<DumpTarget> {
    let (user, host) = login.split_once('@')?;
    Some(DumpTarget::Ssh {
        user: user.to_owned(),
        host: host.to_owned(),
    })
}

/// What lies on what, of all files.
struct Graph {
    below: BTreeMap<String, Vec<Sourced<Edge>>>,
}

impl Graph {
    fn new(storage: &[Storage]) -> Self {
        let mut below: BTreeMap<String, Vec<Sourced<Edge>>> = BTreeMap::new();
        for edge in storage.iter().flat_map(|storage| &storage.edges) {
            let from = &edge.value.from;
            below.entry(from.clone()).or_default().push(edge.clone());
            // Two names of one device.
            if edge.value.by == By::Name && from.starts_with("/dev/") {
                let back = Edge {
                    from: edge.value.to.clone(),
                    to: from.clone(),
                    by: By::Name,
                };
                below.entry(back.from.clone()).or_default().push(Sourced {
                    value: back,
                    source: edge.source.clone(),
                });
            }
        }
        Self { below }
    }

    /// Everything below a device or a directory, the nearest first. Files call what is mounted there by
    /// different names, of which not each leads to an adapter: the first that does is taken.
    fn walk(&self, from: &str, facts: &Facts) -> Walk {
        let begin = || Reached {
            name: from.to_owned(),
            over: None,
        };
        if !is_directory(from) {
            return self.walk_on(vec![begin()], facts);
        }
        let mut walks = self.mounted(from).into_iter().map(|edge| {
            let name = edge.value.to.clone();
            let over = Some((0, edge));
            self.walk_on(vec![begin(), Reached { name, over }], facts)
        });
        let Some(first) = walks.next() else {
            return Walk {
                reached: vec![begin()],
            };
        };
        let leads = |walk: &Walk| walk.adapters().next().is_some();
        match leads(&first) {
            true => first,
            false => walks.find(leads).unwrap_or(first),
        }
    }

    fn walk_on(&self, reached: Vec<Reached>, facts: &Facts) -> Walk {
        let mut queue = VecDeque::from([reached.len() - 1]);
        let mut walk = Walk { reached };
        while let Some(at) = queue.pop_front() {
            let node = walk.reached[at].name.clone();
            for edge in self.next(&node, facts) {
                let known = walk.reached.iter().any(|it| it.name == edge.value.to);
                if !known && walk.reached.len() < MOST {
                    queue.push_back(walk.reached.len());
                    walk.reached.push(Reached {
                        name: edge.value.to.clone(),
                        over: Some((at, edge)),
                    });
                }
            }
        }
        walk
    }

    fn next(&self, node: &str, facts: &Facts) -> Vec<Sourced<Edge>> {
        let mut next = self.below.get(node).cloned().unwrap_or_default();
        if is_directory(node) {
            return Vec::new();
        }
        let lies = next.iter().any(|edge| edge.value.by != By::Name);
        if !lies && let Some(disk) = disk_of(node).or_else(|| self.map_of(node)) {
            next.push(Sourced {
                value: Edge {
                    from: node.to_owned(),
                    to: disk,
                    by: By::Partition,
                },
                // The name says it.
                source: Source {
                    file: node.into(),
                    line: None,
                },
            });
        } else if !lies {
            next.extend(only_adapter(node, facts));
        }
        next
    }

    /// `/dev/mapper/mpatha` of `/dev/mapper/mpatha2`, which kpartx calls `mpatha-part2` or, behind a
    /// digit, `mpatha0p2`: where there is such a multipath device.
    fn map_of(&self, node: &str) -> Option<String> {
        let stem = node.trim_end_matches(|c: char| c.is_ascii_digit());
        if !node.starts_with("/dev/mapper/") || stem == node {
            return None;
        }
        let is_map = |name: &&str| {
            let below = self.below.get(*name).into_iter().flatten();
            below.into_iter().any(|edge| edge.value.by == By::Multipath)
        };
        let parts = ["-part", "_part", "p", ""];
        let names = parts.iter().filter_map(|part| stem.strip_suffix(part));
        names.into_iter().find(is_map).map(str::to_owned)
    }

    /// What is mounted where a directory is: at the longest place that it is below.
    fn mounted(&self, directory: &str) -> Vec<Sourced<Edge>> {
        /// Names of one device, in several files.
        const MOST: usize = 8;
        let mut place = directory.trim_end_matches('/');
        loop {
            let name = if place.is_empty() { "/" } else { place };
            let mut found: Vec<Sourced<Edge>> = Vec::new();
            for mount in self.below.get(name).into_iter().flatten() {
                let known = found.iter().any(|known| known.value.to == mount.value.to);
                if mount.value.by == By::Mount && !known && found.len() < MOST {
                    found.push(mount.clone());
                }
            }
            let above = place.rsplit_once('/');
            match above.filter(|_| found.is_empty() && !place.is_empty()) {
                Some((above, _)) => place = above,
                None => {
                    for mount in &mut found {
                        directory.clone_into(&mut mount.value.from);
                    }
                    return found;
                }
            }
        }
    }
}

fn is_directory(node: &str) -> bool {
    node.starts_with('/') && !node.starts_with("/dev/")
}

/// `/dev/sda` of `/dev/sda2`, `/dev/nvme0n1` of `/dev/nvme0n1p2`.
fn disk_of(node: &str) -> Option<String> {
    let name = node.strip_prefix("/dev/")?;
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem == name {
        return None;
    }
    let numbered = ["nvme", "mmcblk", "md"];
    if numbered.iter().any(|kind| name.starts_with(kind)) {
        let disk = stem.strip_suffix('p')?;
        let plain = disk.ends_with(|c: char| c.is_ascii_digit());
        return plain.then(|| format!("/dev/{disk}"));
    }
    let kinds = ["sd", "vd", "hd", "xvd"];
    let plain = stem.bytes().all(|byte| byte.is_ascii_lowercase());
    (plain && kinds.iter().any(|kind| stem.starts_with(kind))).then(|| format!("/dev/{stem}"))
}

/// Where the machine has one adapter that such a disk can be on, it is on that.
fn only_adapter(node: &str, facts: &Facts) -> Option<Sourced<Edge>> {
    let name = node.strip_prefix("/dev/")?;
    let fits: fn(Option<u16>, Option<u16>) -> bool = if name.starts_with("nvme") {
        |class, _| class == Some(0x0108)
    } else if name.starts_with("vd") {
        |class, vendor| vendor == Some(0x1af4) && matches!(class, Some(0x0100 | 0x0180))
    } else if name.starts_with("sd") {
        |class, _| matches!(class, Some(0x0100 | 0x0104..=0x0107 | 0x0c04))
    } else {
        return None;
    };
    let mut all = facts.functions.iter().filter(|(_, function)| {
        // A controller that no driver has has no disks.
        let idle = function.driver.is_none() && function.express.is_some();
        !idle && fits(function.class, function.id.map(|id| id.vendor))
    });
    let (address, function) = all.next()?;
    all.next().is_none().then(|| Sourced {
        value: Edge {
            from: node.to_owned(),
            to: adapter(&address.to_string()),
            by: By::Adapter,
        },
        source: function.source.clone(),
    })
}

/// What was reached, each with where from and why.
struct Walk {
    reached: Vec<Reached>,
}

struct Reached {
    name: String,
    /// By which edge, and from which of those that were reached before; none of the first.
    over: Option<(usize, Sourced<Edge>)>,
}

impl Walk {
    fn adapters(&self) -> impl Iterator<Item = (usize, PciAddress)> {
        let all = self.reached.iter().enumerate();
        all.filter_map(|(at, it)| Some((at, it.name.strip_prefix("PCI ")?.parse().ok()?)))
    }

    fn functions(&self) -> Vec<PciAddress> {
        let mut all: Vec<PciAddress> = self.adapters().map(|(_, address)| address).collect();
        all.sort();
        all
    }

    /// The ways to the adapters; where there is none, to what was reached last.
    fn steps(&self) -> Vec<Sourced<Step>> {
        let mut ends: Vec<usize> = self.adapters().map(|(at, _)| at).collect();
        if ends.is_empty() {
            let lies = |it: &Reached| {
                let over = it.over.as_ref();
                over.is_some_and(|(_, edge)| edge.value.by != By::Name)
            };
            ends.extend(self.reached.iter().rposition(lies));
        }
        let mut on_the_way = vec![false; self.reached.len()];
        for end in ends {
            let mut at = end;
            while let Some((above, _)) = &self.reached[at].over {
                on_the_way[at] = true;
                at = *above;
            }
        }
        let taken = self.reached.iter().zip(on_the_way);
        taken
            .filter(|(_, on)| *on)
            .filter_map(|(it, _)| it.over.as_ref())
            .map(|(_, edge)| Sourced {
                value: Step {
                    from: edge.value.from.clone(),
                    to: edge.value.to.clone(),
                    by: edge.value.by,
                },
                source: edge.source.clone(),
            })
            .collect()
    }

    fn filesystem(&self, storage: &[Storage]) -> Option<Sourced<String>> {
        let known: Vec<_> = storage.iter().flat_map(|one| &one.filesystems).collect();
        let of = |name: &str| {
            let found = known.iter().find(|pair| pair.value.0 == name)?;
            Some(Sourced {
                value: found.value.1.clone(),
                source: found.source.clone(),
            })
        };
        let mut kinds = self.reached.iter().filter_map(|it| of(&it.name));
        kinds.next()
    }
}

#[cfg(test)]
mod tests;
