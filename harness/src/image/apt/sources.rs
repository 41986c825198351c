//! Which mirror this machine's apt already uses for Debian: read from its own configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::AptError;

/// A mirror of Debian's main archive, and the key that signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    /// Without the suite.
    pub(super) uri: String,
    /// The value of `Signed-By`, which may be a path, a fingerprint or a key of several lines.
    pub(super) signed_by: Option<String>,
}

impl Mirror {
    /// A sources file (deb822) with nothing but this mirror, these suites, and the package lists.
    pub(super) fn sources(&self, suites: &[&str]) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nTargets: Packages\n",
            self.uri,
            suites.join(" ")
        );
        if let Some(key) = &self.signed_by {
            text += &format!("Signed-By: {key}\n");
        }
        text
    }
}

/// One entry of apt's configuration.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The mirrors that this machine's apt uses for Debian, the most certain first.
///
/// # Errors
/// When apt's configuration cannot be read.
pub(super) fn mirrors() -> Result<Vec<Mirror>, AptError> {
    // apt-config knows of every way to move these.
    let mut command = Command::new("apt-config");
    command.args([
        "shell",
        "LIST",
        "Dir::Etc::sourcelist/f",
        "PARTS",
        "Dir::Etc::sourceparts/d",
    ]);
    let output = command.output().map_err(super::not_started("apt-config"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| PathBuf::from(value.trim_matches('\'')))
    };
    let mut files = Vec::new();
    files.extend(value("LIST="));
    if let Some(Ok(read)) = value("PARTS=").map(fs::read_dir) {
        let mut parts: Vec<_> = read.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    let entries = files.iter().filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        Some(parse(file, &text))
    });
    Ok(ranked(entries.flatten().collect()))
}

fn parse(file: &Path, text: &str) -> Vec<Entry> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("sources") => parse_deb822(text),
        Some("list") => text.lines().filter_map(parse_line).collect(),
        _ => Vec::new(),
    }
}

/// Stanzas of `Key: value` (sources.list(5)).
fn parse_deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            entries.extend(stanza(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn stanza(fields: &[(String, String)]) -> Option<Entry> {
    let field = |key: &str| {
        fields
            .iter()
            .find(|(have, _)| have == key)
            .map(|(_, value)| value)
    };
    let words = |key: &str| -> Vec<String> {
        let value = field(key).map(String::as_str).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let disabled = field("enabled").is_some_and(|value| {
        ["no", "false", "0", "off", "without", "disable"].contains(&value.to_lowercase().as_str())
    });
    (!disabled && words("types").iter().any(|kind| kind == "deb")).then(|| Entry {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").cloned(),
    })
}

/// `deb [option=value ...] uri suite component ...`.
fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(|value| value.replace(',', " "));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

/// Other archives too have a suite `bookworm` with a component `main`. What tells Debian's own is
/// the key, the path, and the company of `-updates`; what has none of these is not tried.
fn ranked(entries: Vec<Entry>) -> Vec<Mirror> {
    let mut found: Vec<(u32, Mirror)> = Vec::new();
    let updates: Vec<String> = entries
        .iter()
        .filter(|entry| entry.suites.iter().any(|suite| suite.ends_with("-updates")))
        .flat_map(|entry| entry.uris.clone())
        .collect();
    for entry in entries {
        // `bookworm-security`, `bookworm-pgdg`, `bookworm/updates` are other archives.
        let plain = |suite: &String| suite.chars().all(|c| c.is_ascii_lowercase());
        if !entry.components.iter().any(|component| component == "main")
            || !entry.suites.iter().any(plain)
        {
            continue;
        }
        for uri in entry.uris {
            if uri.starts_with("cdrom:") {
                continue;
            }
            let key = entry.signed_by.as_deref().unwrap_or_default();
            let last = uri
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let mut score = 0;
            score += if key.contains("debian-archive") { 4 } else { 0 };
            // `debian.list` is what `mirror+file:` URIs of cloud images end with.
            score += if ["debian", "debian.list"].contains(&last) {
                2
            } else {
                0
            };
            score += if uri.contains("/archive/debian/") {
                2
            } else {
                0
            };
            score += if updates.contains(&uri) { 1 } else { 0 };
            let mirror = Mirror {
                uri,
                signed_by: entry.signed_by.clone(),
            };
            let known = found.iter().any(|(_, other)| other.uri == mirror.uri);
            if score >= 2 && !known {
                found.push((score, mirror));
            }
        }
    }
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, mirror)| mirror).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uris(files: &[(&str, &str)]) -> Vec<String> {
        let entries = files
            .iter()
            .flat_map(|(file, text)| parse(Path::new(file), text));
        ranked(entries.collect())
            .into_iter()
            .map(|mirror| mirror.uri)
            .collect()
    }

    const DEBIAN: &str = "Types: deb\n# a note\nURIs: https://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: https://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";

    #[test]
    fn debian_is_told_from_other_archives() {
        let files = [
            (
                "a.list",
                "deb https://third.example cloud-sdk-bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] https://other.example bookworm main\ndeb https://docker.example/linux/debian bookworm stable",
            ),
            ("debian.sources", DEBIAN),
            (
                "node.sources",
                "Types: deb\nURIs: https://node.example/x\nSuites: nodistro\nComponents: main\n",
            ),
            ("ignored.save", "deb https://mirror.example/debian sid main"),
        ];
        assert_eq!(uris(&files), ["https://mirror.example/debian"]);
        let mirror = &ranked(parse_deb822(DEBIAN))[0];
        assert_eq!(
            mirror.sources(&["trixie", "trixie-backports"]),
            "Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie trixie-backports\nComponents: main\nTargets: Packages\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        );
    }

    #[test]
    fn one_line_form() {
        let list = "# deb https://off.example/debian bookworm main\ndeb cdrom:[Debian 12]/ bookworm main\ndeb-src https://m.example/debian bookworm main\ndeb https://m.example/debian/ bookworm main contrib # why\ndeb https://m.example/debian-security bookworm-security main\n";
        assert_eq!(
            uris(&[("sources.list", list)]),
            ["https://m.example/debian/"]
        );
    }

    #[test]
    fn a_disabled_entry_is_none_and_a_key_of_several_lines_is_kept() {
        assert_eq!(
            uris(&[("d.sources", &format!("Enabled: no\n{DEBIAN}"))]),
            [""; 0]
        );
        let key = "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n AAAA\n";
        let mirror = &ranked(parse_deb822(key))[0];
        assert_eq!(
            mirror.signed_by.as_deref(),
            Some("\n -----BEGIN\n .\n AAAA")
        );
        assert!(
            mirror
                .sources(&["x"])
                .ends_with("Signed-By: \n -----BEGIN\n .\n AAAA\n")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*", lines in "(deb |URIs:|Types: deb\n|\\[|\\]|#|\n| |x)*") {
            for text in [&text, &lines] {
                parse(Path::new("a.list"), text);
                parse(Path::new("a.sources"), text);
            }
        }
    }
}
