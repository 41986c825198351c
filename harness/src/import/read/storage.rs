//! What lies on what: mounts, volumes, partitions and links, put into one graph.

use super::super::facts::{By, Sourced};
use super::Text;

/// Things that are kept of one text.
const MOST: usize = 50_000;
/// Of a name.
const MOST_NAME: usize = 1024;

/// One thing lies on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Edge {
    /// `/var/crash`, `UUID=...`, `/dev/mapper/rhel-root`.
    pub(in super::super) from: String,
    /// `/dev/sda2`.
    pub(in super::super) to: String,
    /// Why.
    pub(in super::super) by: By,
}

/// What one text says.
#[derive(Debug, Default)]
pub(in super::super) struct Storage {
    /// What lies on what.
    pub(in super::super) edges: Vec<Sourced<Edge>>,
    /// File systems, each of a device by any of its names.
    pub(in super::super) filesystems: Vec<Sourced<(String, String)>>,
}

impl Storage {
    fn edge(&mut self, text: &Text<'_>, line: u32, from: &str, to: &str, by: By) {
        let fits = from.len() <= MOST_NAME && to.len() <= MOST_NAME && from != to;
        if fits && self.edges.len() < MOST {
            let (from, to) = (from.to_owned(), to.to_owned());
            self.edges.push(text.fact(line, Edge { from, to, by }));
        }
    }

    fn filesystem(&mut self, text: &Text<'_>, line: u32, of: &str, kind: &str) {
        let plain = kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain && kind.len() <= 16 && of.len() <= MOST_NAME && self.filesystems.len() < MOST {
            let pair = (of.to_owned(), kind.to_owned());
            self.filesystems.push(text.fact(line, pair));
        }
    }
}

/// `/dev/sda2 on / type xfs (rw)`, and fstab's and /proc/mounts' `/dev/sda2 / xfs rw 0 0`.
pub(in super::super) fn mounts(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    for (line, words) in words(text) {
        let (device, place, kind) = match words[..] {
            [device, "on", place, "type", kind, ..] => (device, place, kind),
            [device, place, kind, _, ..] => (device, place, kind),
            _ => continue,
        };
        let is_device = device.starts_with("/dev/")
            || device.starts_with("UUID=")
            || device.starts_with("LABEL=");
        if is_device && place.starts_with('/') {
            let device = device.replace('"', "");
            all.edge(text, line, place, &device, By::Mount);
            all.filesystem(text, line, &device, kind);
        }
    }
    all
}

/// lsblk: its tree is drawn from the disk up, so that what is deeper lies on what is above.
pub(in super::super) fn lsblk(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    // Depth and name of the devices above, and of the last one.
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut begun = false;
    for (line, drawn) in text.lines() {
        if drawn.starts_with("NAME") {
            begun = true;
            above.clear();
            continue;
        }
        if !begun || drawn.is_empty() {
            continue;
        }
        let depth = drawn
            .chars()
            .take_while(|c| " |`-├└─│".contains(*c))
            .count();
        let rest: String = drawn.chars().skip(depth).collect();
        let mut fields = rest.split_whitespace();
        let Some(name) = fields.next() else { continue };
        // Further places of the same file system, as of Btrfs.
        if name.starts_with('/') && !name.starts_with("/dev/") {
            if let Some((_, node)) = above.last() {
                let node = node.clone();
                all.edge(text, line, name, &node, By::Mount);
            }
            continue;
        }
        let kind = fields.clone().find(|word| {
            let known = ["disk", "part", "lvm", "mpath", "crypt", "rom", "loop"];
            known.contains(word) || word.starts_with("raid")
        });
        // In a listing with TYPE, `sda 8:0 0 10G 0 disk`.
        let by = match kind {
            Some("part") => By::Partition,
            Some("mpath") => By::Multipath,
            Some("crypt") => By::Crypt,
            Some(raid) if raid.starts_with("raid") => By::Raid,
            Some("lvm") => By::Lvm,
            _ => guessed(name),
        };
        above.retain(|(of, _)| *of < depth);
        let mapped = |(_, node): &(usize, String)| node.starts_with("/dev/mapper/");
        let node = match kind {
            Some("lvm" | "mpath" | "crypt") => format!("/dev/mapper/{name}"),
            // kpartx maps partitions of what is mapped itself.
            Some("part") if above.last().is_some_and(mapped) => format!("/dev/mapper/{name}"),
            _ if name.starts_with('/') => name.to_owned(),
            _ => format!("/dev/{name}"),
        };
        if let Some((_, below)) = above.last() {
            let below = below.clone();
            all.edge(text, line, &node, &below, by);
        }
        above.push((depth, node.clone()));
        let last = fields.next_back();
        if let Some(place) = last.filter(|place| place.starts_with('/')) {
            all.edge(text, line, place, &node, By::Mount);
        }
        let filesystems = ["ext2", "ext3", "ext4", "xfs", "btrfs"];
        if let Some(kind) = rest
            .split_whitespace()
            .find(|word| filesystems.contains(word))
        {
            all.filesystem(text, line, &node, kind);
        }
    }
    all
}

/// Without TYPE, what has no kernel name is a mapped device.
fn guessed(name: &str) -> By {
    match name.ends_with(|c: char| c.is_ascii_digit()) {
        true => By::Partition,
        false => By::Lvm,
    }
}

/// `/dev/sda2: UUID="..." TYPE="xfs" LABEL="root"`.
pub(in super::super) fn blkid(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    for (line, words) in text.lines() {
        let Some((device, tags)) = words.split_once(": ") else {
            continue;
        };
        if !device.starts_with("/dev/") {
            continue;
        }
        // A label may have blanks, and stands between quotes.
        let value = |key: &str| {
            let wanted = format!("{key}=\"");
            let mut places = tags.match_indices(&wanted);
            let (at, _) = places.find(|(at, _)| *at == 0 || tags[..*at].ends_with(' '))?;
            tags[at + wanted.len()..].split('"').next()
        };
        for key in ["UUID", "LABEL", "PARTUUID", "PARTLABEL"] {
            if let Some(value) = value(key) {
                all.edge(text, line, &format!("{key}={value}"), device, By::Name);
            }
        }
        if let Some(kind) = value("TYPE") {
            all.filesystem(text, line, device, kind);
        }
    }
    all
}

/// `pvs`: `/dev/sda2 rhel lvm2 a-- 49.00g 0`: the volume group lies on the device.
pub(in super::super) fn pvs(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    for (line, words) in words(text) {
        // A device of no group has its format there.
        if let [device, group, format, ..] = words[..]
            && device.starts_with('/')
            && format.starts_with("lvm")
        {
            all.edge(text, line, &group_name(group), device, By::Lvm);
        }
    }
    all
}

/// `lvs -a -o +devices`: `root rhel -wi-ao---- 45.00g ... /dev/sda2(0)`; sosreports have more columns
/// behind it.
pub(in super::super) fn lvs(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    for (line, words) in words(text) {
        let [name, group, attributes, ..] = words[..] else {
            continue;
        };
        if !attributes.contains('-') || !(9..=10).contains(&attributes.len()) {
            continue;
        }
        let node = format!("/dev/{group}/{name}");
        // libdevmapper's mangling: what is a hyphen in a name is two in the node's.
        let mapped = format!(
            "/dev/mapper/{}-{}",
            group.replace('-', "--"),
            name.replace('-', "--")
        );
        all.edge(text, line, &node, &mapped, By::Name);
        let is_on = |word: &&&str| word.starts_with("/dev/") && word.contains('(');
        let devices = words.iter().rfind(is_on).copied().unwrap_or_default();
        let mut on = devices
            .split(',')
            .filter_map(|device| device.split_once('('))
            .filter(|(device, _)| device.starts_with("/dev/"))
            .peekable();
        if on.peek().is_none() {
            all.edge(text, line, &mapped, &group_name(group), By::Lvm);
        }
        for (device, _) in on {
            all.edge(text, line, &mapped, device, By::Lvm);
        }
    }
    all
}

/// Not a device's, so that nobody takes it for one.
fn group_name(group: &str) -> String {
    format!("volume group {group}")
}

/// `ls -l`, with `-R` too: links below /dev and /sys.
pub(in super::super) fn links(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    let mut directory = String::new();
    for (line, listed) in text.lines() {
        if listed.starts_with('/') && listed.ends_with(':') {
            directory = listed.trim_end_matches(':').to_owned();
            continue;
        }
        if !listed.starts_with('l') {
            continue;
        }
        let Some((left, target)) = listed.split_once(" -> ") else {
            continue;
        };
        let Some(name) = left.split_whitespace().next_back() else {
            continue;
        };
        let path = match name.starts_with('/') {
            true => name.to_owned(),
            false => format!("{directory}/{name}"),
        };
        link(&mut all, text, line, &path, target);
    }
    all
}

/// A link of /sys/block, /sys/class/block, /dev/disk or /dev/mapper.
pub(in super::super) fn link(
    all: &mut Storage,
    text: &Text<'_>,
    line: u32,
    path: &str,
    target: &str,
) {
    let name = path.rsplit('/').next().unwrap_or(path);
    if target.contains("/block/") || path.contains("sys/block") || path.contains("/class/block") {
        // `../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/host0/.../block/sda/sda1`.
        if let Some(address) = last_address(target) {
            let adapter = adapter(address);
            let node = format!("/dev/{name}");
            all.edge(text, line, &node, &adapter, By::Adapter);
            if let Some(whole) = namespace_of_path(name) {
                all.edge(text, line, &format!("/dev/{whole}"), &node, By::Multipath);
            }
        }
        return;
    }
    let Some(node) = target.rsplit('/').next().filter(|node| !node.is_empty()) else {
        return;
    };
    let node = format!("/dev/{node}");
    let (directory, _) = path.rsplit_once('/').unwrap_or(("", path));
    let by = |key: &str| format!("{key}={}", name.replace("\\x20", " "));
    match directory.rsplit('/').next() {
        Some("by-uuid") => all.edge(text, line, &by("UUID"), &node, By::Name),
        Some("by-label") => all.edge(text, line, &by("LABEL"), &node, By::Name),
        Some("by-partuuid") => all.edge(text, line, &by("PARTUUID"), &node, By::Name),
        Some("by-partlabel") => all.edge(text, line, &by("PARTLABEL"), &node, By::Name),
        _ => {}
    }
    if let Some((_, below)) = path.split_once("dev/") {
        all.edge(text, line, &format!("/dev/{below}"), &node, By::Name);
    }
    // by-path says where the disk is: `pci-0000:3b:00.0-sas-phy0-lun-0`.
    if directory.ends_with("by-path")
        && !name.contains("-part")
        && let Some(address) = name.strip_prefix("pci-").and_then(|rest| rest.get(..12))
        && is_address(address)
    {
        all.edge(text, line, &node, &adapter(address), By::Adapter);
    }
}

/// `nvme0n1` of `nvme0c1n1`, one controller's path to it. Where the kernel has multipath for NVMe, the
/// namespace itself is a virtual device and below no function (drivers/nvme/host/multipath.c).
fn namespace_of_path(name: &str) -> Option<String> {
    let (subsystem, rest) = name.strip_prefix("nvme")?.split_once('c')?;
    let (controller, namespace) = rest.split_once('n')?;
    let number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    let plain = [subsystem, controller, namespace].into_iter().all(number);
    plain.then(|| format!("nvme{subsystem}n{namespace}"))
}

/// The function that a device of /sys is below.
pub(in super::super) fn last_address(target: &str) -> Option<&str> {
    target.split('/').rfind(|part| is_address(part))
}

fn is_address(part: &str) -> bool {
    part.parse::<super::super::facts::PciAddress>().is_ok() && part.len() >= 12
}

/// What a disk's adapter is called in the graph.
pub(in super::super) fn adapter(address: &str) -> String {
    format!("PCI {address}")
}

/// `multipath -ll`: `mpatha (3600...) dm-0 DELL,MD36xxf`, and below it the paths: `1:0:0:1 sdb 8:16
/// active ready running`.
pub(in super::super) fn multipath(text: &Text<'_>) -> Storage {
    let mut all = Storage::default();
    let mut map: Option<String> = None;
    for (line, drawn) in text.lines() {
        if let Some(at) = drawn.find(" dm-")
            && !drawn.starts_with([' ', '|', '`'])
        {
            let name = drawn.split_whitespace().next().unwrap_or_default();
            let node: String = drawn[at + 1..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            let mapped = format!("/dev/mapper/{name}");
            all.edge(text, line, &format!("/dev/{node}"), &mapped, By::Name);
            map = Some(mapped);
            continue;
        }
        let Some(map) = &map else { continue };
        let words: Vec<&str> = drawn
            .trim_start_matches([' ', '|', '`', '\\', '_', '-', '+'])
            .split_whitespace()
            .collect();
        if let [place, disk, ..] = words[..]
            && place.split(':').count() == 4
        {
            all.edge(text, line, map, &format!("/dev/{disk}"), By::Multipath);
        }
    }
    all
}

fn words<'a>(text: &Text<'a>) -> impl Iterator<Item = (u32, Vec<&'a str>)> {
    let written = text
        .lines()
        .filter(|(_, line)| !line.trim_start().starts_with('#'));
    written.map(|(number, line)| (number, line.split_whitespace().take(64).collect()))
}

#[cfg(test)]
mod tests;
