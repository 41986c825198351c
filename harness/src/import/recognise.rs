//! What a text is, by what is in it; where that may be two things, its name decides.

mod sections;

use std::sync::LazyLock;

use regex::RegexSet;

pub(super) use sections::{Section, sections};

use super::facts::LogKind;
use crate::kdump::conf::options::is_option as is_kdump_option;

/// Lines at the beginning that a decision is made by.
const LOOKED_AT: usize = 400;

/// Of a line: enough for every form, whatever a line is made of.
const MOST_OF_LINE: usize = 600;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// lspci, with whatever options, but for `-t` and `-m`.
    Lspci,
    /// `lspci -t`.
    LspciTree,
    /// /proc/cmdline.
    CommandLine,
    /// /proc/cpuinfo.
    CpuInfo,
    /// /proc/meminfo.
    MemInfo,
    /// /proc/interrupts.
    Interrupts,
    /// `uname -a`, /proc/version.
    Uname,
    /// os-release(5).
    OsRelease,
    /// /etc/redhat-release, /etc/centos-release and the like.
    ReleaseLine,
    /// `rpm -qa`, `dpkg -l`.
    Packages,
    /// /etc/kdump.conf.
    KdumpConf,
    /// /etc/sysconfig/kdump, of Red Hat or SUSE.
    SysconfigKdump,
    /// /etc/default/kdump-tools.
    KdumpTools,
    /// A kernel's log.
    Log(LogKind),
    /// fstab(5), /proc/mounts, `mount`, `findmnt`, `df -T` is none.
    Mounts,
    /// `lsblk`, with the tree that it draws.
    Lsblk,
    /// `blkid`.
    Blkid,
    /// `pvs`.
    Pvs,
    /// `lvs -o +devices`.
    Lvs,
    /// `ls -l` of links below /sys or /dev.
    Links,
    /// `multipath -ll`.
    Multipath,
    /// `ethtool -i`.
    Ethtool,
}

/// Whether a file is worth reading, by its beginning.
pub(super) fn is_wanted(path: &str, head: &[u8]) -> bool {
    if head.contains(&0) && !is_mostly_text(head) {
        return false;
    }
    let text = String::from_utf8_lossy(head);
    // A file of supportconfig has what is wanted anywhere.
    if text.contains("\n#==[ ") {
        return true;
    }
    sections(path, &text)
        .iter()
        .any(|section| kind(&section.name, section.text).is_some())
}

/// A serial log may begin with noise; nothing else that is read has a NUL.
fn is_mostly_text(head: &[u8]) -> bool {
    let noise = head.iter().filter(|byte| **byte == 0).count();
    noise < head.len() / 20
}

const DUMP: &str = "is a dump: `crashdrill vmcore --dmesg FILE` makes its log a text";

/// Why a file that the user named is not read.
pub(super) fn unwanted(head: &[u8]) -> &'static str {
    // ET_CORE of <linux/elf.h>; programs are ELF, too.
    let core = head.starts_with(b"\x7fELF") && head.get(16..18) == Some(&[4, 0]);
    match head {
        [] => "is empty",
        [b'P', b'K', 3, 4, ..] => "is a zip archive: unpack it, and name the directory",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "is UTF-16: `iconv -f UTF-16 -t UTF-8 FILE` makes a text of it"
        }
        [b'7', b'z', 0xbc, 0xaf, ..] => "is a 7z archive: unpack it, and name the directory",
        [b'L', b'P', b'K', b'S', b'H', b'H', b'R', b'H', ..] => {
            "is a systemd journal: `journalctl --file=FILE -k -o short-monotonic` makes a text of it"
        }
        [b'K', b'D', b'U', b'M', b'P', ..] => DUMP,
        _ if core => DUMP,
        _ => "is none of the texts that are known here: not read",
    }
}

/// What a text is; none if it is nothing of interest. `name` is its path, or the command that made
/// it.
pub(super) fn kind(name: &str, text: &str) -> Option<Kind> {
    let name = &name.to_ascii_lowercase();
    let base = name.rsplit('/').next().unwrap_or(name);
    let base = base.strip_prefix("cat ").unwrap_or(base);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .take(LOOKED_AT)
        .collect();
    let first = *lines.first()?;
    let counts = Counts::of(&lines);
    let has = |form| counts.has(form);

    if let Some(kind) = kdump_file(base, &lines) {
        return Some(kind);
    }
    if has(Form::Function) && !has(Form::Stamped) {
        return Some(Kind::Lspci);
    }
    if has(Form::Tree) {
        return Some(Kind::LspciTree);
    }
    if has(Form::CpuHeader) && has(Form::Interrupt) {
        return Some(Kind::Interrupts);
    }
    if has(Form::Processor) && has(Form::CpuModel) {
        return Some(Kind::CpuInfo);
    }
    if has(Form::MemTotal) {
        return Some(Kind::MemInfo);
    }
    // /proc/version.
    if has(Form::Uname) || (lines.len() <= 2 && first.starts_with("Linux version ")) {
        return Some(Kind::Uname);
    }
    if let Some(kind) = log(name, base, counts.of_form(Form::Stamped), has(Form::Banner)) {
        return Some(Kind::Log(kind));
    }
    if has(Form::OsId) && has(Form::OsName) {
        return Some(Kind::OsRelease);
    }
    if lines.len() <= 3 && base.contains("release") && has(Form::Release) {
        return Some(Kind::ReleaseLine);
    }
    if has(Form::BusInfo) {
        return Some(Kind::Ethtool);
    }
    if lines.len() <= 3
        && (has(Form::BootLine) || (base.contains("cmdline") && first.contains('=')))
    {
        return Some(Kind::CommandLine);
    }
    if has(Form::Lsblk) {
        return Some(Kind::Lsblk);
    }
    if has(Form::Pvs) {
        return Some(Kind::Pvs);
    }
    if has(Form::Lvs) {
        return Some(Kind::Lvs);
    }
    if has(Form::Multipath) {
        return Some(Kind::Multipath);
    }
    if 2 * counts.of_form(Form::Blkid) > lines.len() {
        return Some(Kind::Blkid);
    }
    if has(Form::Link) {
        return Some(Kind::Links);
    }
    if base.contains("fstab") || has(Form::Mount) {
        return Some(Kind::Mounts);
    }
    let listed = name.contains("rpm -qa") || name.contains("dpkg -l");
    if listed || 2 * counts.of_form(Form::Package) > lines.len() || has(Form::KexecPackage) {
        return Some(Kind::Packages);
    }
    None
}

/// kdump's own files. Nearly all of their lines may be comments.
fn kdump_file(base: &str, lines: &[&str]) -> Option<Kind> {
    let written: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_start())
        .filter(|line| !line.starts_with('#'))
        .collect();
    let keys = |known: &dyn Fn(&str) -> bool| {
        let is_one = |line: &&&str| {
            line.split_once('=')
                .is_some_and(|(key, _)| known(key.trim()))
        };
        written.iter().filter(is_one).count()
    };
    // A shell's assignments; a text that quotes two is none of these files.
    let name = |key: &str| {
        let key = key.strip_prefix("export ").unwrap_or(key);
        !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    };
    let assigns = 2 * keys(&name) > written.len();
    let tools = |key: &str| matches!(key, "USE_KDUMP" | "KDUMP_COREDIR" | "MAKEDUMP_ARGS");
    if (assigns && keys(&tools) > 0) || (base.starts_with("kdump-tools") && keys(&|_| true) > 0) {
        return Some(Kind::KdumpTools);
    }
    let sysconfig = |key: &str| key.starts_with("KDUMP_") || key == "KEXEC_ARGS";
    if assigns && keys(&sysconfig) > 1 {
        return Some(Kind::SysconfigKdump);
    }
    let is_option = |line: &&&str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(is_kdump_option) && words.next().is_some()
    };
    let options = written.iter().filter(is_option).count();
    let says_so = |line: &&str| line.starts_with('#') && line.contains("/proc/vmcore");
    let named = base.starts_with("kdump.conf");
    let all_options = options == written.len();
    // `path`, `raw` and `default` alone are anybody's words.
    let core = |line: &&&str| line.starts_with("core_collector") || line.starts_with("kdump_");
    let own = written.iter().any(|line| core(&line));
    ((named && (options > 0 || written.is_empty()))
        || (all_options && (own || lines.iter().any(says_so))))
    .then_some(Kind::KdumpConf)
}

fn log(name: &str, base: &str, stamped: usize, banner: bool) -> Option<LogKind> {
    if stamped < 3 && !banner {
        // The kernel's part of a long log may begin late.
        let long = ["messages", "syslog", "kern.log"];
        return long
            .iter()
            .any(|word| base == *word || base.starts_with(&format!("{word}-")))
            .then_some(LogKind::Journal);
    }
    if base.contains("vmcore-dmesg") || name.contains("var/crash/") || base.starts_with("dmesg.2") {
        return Some(LogKind::VmcoreDmesg);
    }
    if base.contains("journalctl") || base.contains("messages") || base.contains("syslog") {
        return Some(LogKind::Journal);
    }
    match base.contains("dmesg") || base.starts_with("boot.msg") {
        true => Some(LogKind::Dmesg),
        false => Some(LogKind::Console),
    }
}

macro_rules! patterns {
    ($($name:ident = $pattern:literal;)*) => {
        #[derive(Clone, Copy)]
        enum Form { $($name),* }

        const PATTERNS: &[&str] = &[$($pattern),*];
    };
}

patterns! {
    Function = r"^[> \t]*([0-9a-f:./]+/)?([0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] [^ ]";
    Tree = r"^[> \t]*-(\+-)?\[([0-9a-f]{4,8}:)?[0-9a-f]{2}(-[0-9a-f]{2})?\]-";
    CpuHeader = r"^ *CPU0( +CPU[0-9]+)* *$";
    Interrupt = r"^ *[0-9]+: +[0-9]+";
    Processor = r"^processor[ \t]*: *[0-9]+$";
    CpuModel = r"^(vendor_id|model name|cpu family)[ \t]*:";
    MemTotal = r"^MemTotal: +[0-9]+ kB$";
    Stamped = r"(^|[ >])\[ *[0-9]{1,9}\.[0-9]{6}\]|kernel: ";
    Banner = r"(^|\] |: )Linux version [0-9]+\.[0-9]+[^ ]* \(";
    Uname = r"^Linux [^ ]+ [0-9]+\.[0-9]+[^ ]* #[0-9]+";
    OsId = r"^ID=";
    OsName = r"^NAME=";
    Release = r"^[A-Za-z][A-Za-z /]* (release )?[0-9]+(\.[0-9]+)*( |$)";
    BusInfo = r"^bus-info: [0-9a-f]{4}:";
    BootLine = r"^(.* )?(BOOT_IMAGE=[^ ]+|root=(/dev|UUID|LABEL|PARTUUID)[^ ]*)( |$)";
    Lsblk = r"^NAME .*(MAJ:MIN|TYPE|FSTYPE|KNAME)";
    Pvs = r"^ *PV +VG ";
    Lvs = r"^ *LV +VG ";
    Multipath = r" dm-[0-9]+ +[^ ]+ *,";
    Blkid = r#"^/dev/[^ ]+: .*(UUID|TYPE|LABEL)=""#;
    Link = r"^l[rwx-]{9}[^ ]* .* -> \.\./";
    Mount = r"^(/dev/[^ ]+|UUID=[^ ]+|LABEL=[^ ]+)[ \t]+(on )?/[^ \t]*[ \t]+(type )?[a-z0-9]+[ \t]+[a-z(]";
    Package = r"^(ii +[^ ]+ +[^ ]+ +(amd64|all|i386)|[A-Za-z0-9_.+-]+-[0-9][^- ]*-[^- ]+\.(x86_64|noarch|i686))( |$)";
    KexecPackage = r"^(ii +)?(kexec-tools|makedumpfile)[^ ]*([- ]|$)";
}

static FORMS: LazyLock<RegexSet> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "constants, that every test here needs")]
    RegexSet::new(PATTERNS).unwrap()
});

/// How many lines have each form.
struct Counts([usize; PATTERNS.len()]);

impl Counts {
    fn of(lines: &[&str]) -> Self {
        let mut counts = [0; PATTERNS.len()];
        for line in lines {
            let end = line.floor_char_boundary(MOST_OF_LINE);
            for form in &FORMS.matches(&line[..end]) {
                counts[form] += 1;
            }
        }
        Self(counts)
    }

    fn of_form(&self, form: Form) -> usize {
        self.0[form as usize]
    }

    fn has(&self, form: Form) -> bool {
        self.of_form(form) > 0
    }
}

#[cfg(test)]
mod tests;
