//! Texts that hold others: supportconfig's files, and what was copied out of a terminal.

use std::sync::LazyLock;

use regex::Regex;

/// A part of a file that is a text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Section<'a> {
    /// The file's path; or the command behind the prompt, or the command or file that supportconfig
    /// names.
    pub(in super::super) name: String,
    /// The file's path, with the section's name behind it where it is a part.
    pub(in super::super) label: String,
    /// The line of the file that the text begins on, from 1.
    pub(in super::super) first: u32,
    /// The text.
    pub(in super::super) text: &'a str,
    /// It is the whole file, or was copied out of a terminal together with the rest of it.
    pub(in super::super) terminal: bool,
}

/// Sections of a file that are looked at.
const MOST_SECTIONS: usize = 5_000;

static PROMPT: LazyLock<Regex> =
    LazyLock::new(|| {
        // `[root@host ~]# lspci`, `root@host:~# cat /proc/cmdline`, `$ uname -a`. A `#` without anybody
        // in front begins a comment as well: only what looks like a whole command counts.
        #[expect(clippy::unwrap_used, reason = "a constant that every test of sections needs")]
    Regex::new(concat!(
        r"^(?:(?:(?:\[[^\]\s]+@[^\]]*\]|[A-Za-z0-9_.-]+@[^\s#$]+)\s?[#$]|\$) ",
        r"((?:sudo )?(?:/\S*/)?(?:lspci|cat|uname|dmesg|journalctl|lsblk|blkid|mount|findmnt|pvs",
        r"|lvs|rpm|dpkg|ls|multipath|ethtool|lscpu|exit|date|hostname)(?: .*)?)",
        r"|# ((?:/\S*/)?(?:(?:lspci|uname|dmesg|lsblk|blkid|pvs|lvs|multipath)(?: -.*)?",
        r"|cat /\S+)))$",
    ))
    .unwrap()
    });

/// Splits a file; one that is no collection is one section.
pub(in super::super) fn sections<'a>(path: &str, text: &'a str) -> Vec<Section<'a>> {
    // Where its heading begins, where its text does, and the text's line.
    let mut begins: Vec<(usize, usize, u32, String)> = Vec::new();
    let mut supportconfig = false;
    let mut heading = false;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let above = at;
        at += line.len();
        let line = line.trim_end();
        if begins.len() == MOST_SECTIONS {
            break;
        }
        if line.starts_with("#==[ ") && line.ends_with("=#") {
            supportconfig = true;
            heading = true;
            // The rest of a section without a name is nobody's.
            begins.push((above, at, number + 1, String::new()));
        } else if heading {
            heading = false;
            let name = line.trim_start_matches('#').trim();
            // `# /etc/kdump.conf - not found` and the like has nothing below it.
            begins.push((above, at, number + 1, name.to_owned()));
        } else if !supportconfig && let Some(found) = PROMPT.captures(line) {
            let command = found.get(1).or(found.get(2));
            let command = command.map_or("", |command| command.as_str());
            let command = command.trim_start_matches("sudo ").to_owned();
            begins.push((above, at, number + 1, command));
        }
    }
    let whole = |text| Section {
        name: path.to_owned(),
        label: path.to_owned(),
        first: 1,
        text,
        terminal: true,
    };
    if begins.is_empty() {
        return vec![whole(text)];
    }
    let ends = begins.iter().skip(1).map(|begin| begin.0);
    let ends = ends.chain([text.len()]);
    let mut all: Vec<Section<'_>> = begins
        .iter()
        .zip(ends)
        .filter(|((.., name), _)| !name.is_empty())
        .map(|((_, begin, first, name), end)| Section {
            label: format!("{path} ({name})"),
            name: name.clone(),
            first: *first,
            text: &text[*begin..end],
            terminal: !supportconfig,
        })
        .collect();
    if !supportconfig && begins[0].0 > 0 {
        all.insert(0, whole(&text[..begins[0].0]));
    }
    all
}
