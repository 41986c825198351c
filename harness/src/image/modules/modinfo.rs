//! What a module says about itself, in its section `.modinfo`.

use super::super::elf::{ElfError, section};

/// The parts that depmod reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modinfo {
    /// Names of the modules whose symbols it uses (modpost writes them).
    pub(super) depends: Vec<String>,
    /// Names and patterns it answers to.
    pub(super) aliases: Vec<String>,
    /// Soft dependencies, as modprobe.d has them: `pre: a b post: c`.
    pub(super) softdep: Vec<String>,
}

pub(super) fn modinfo(module: &[u8]) -> Result<Modinfo, ElfError> {
    Ok(parse(section(module, ".modinfo")?.unwrap_or_default()))
}

fn parse(section: &[u8]) -> Modinfo {
    let mut found = Modinfo::default();
    for entry in section.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        // A value with a line break would be two lines of an index.
        let Some((key, value)) = entry
            .split_once('=')
            .filter(|(_, value)| !value.contains('\n'))
        else {
            continue;
        };
        match key {
            "depends" => {
                let names = value
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                found.depends.extend(names.map(super::normalised));
            }
            "alias" => found.aliases.push(value.to_owned()),
            "softdep" => found.softdep.push(value.to_owned()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_split_at_nul() {
        let found = parse(b"license=GPL\0depends=jbd2,mbcache,crc-itu-t\0alias=fs-ext4\0softdep=pre: crc32c\0depends=\0odd\0");
        assert_eq!(found.depends, ["jbd2", "mbcache", "crc_itu_t"]);
        assert_eq!(found.aliases, ["fs-ext4"]);
        assert_eq!(found.softdep, ["pre: crc32c"]);
    }
}
