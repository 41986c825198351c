//! VMCOREINFO: the text that the kernel leaves in its crash notes for whoever reads the dump
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst).

use std::collections::HashMap;

/// The kernel gives it one page; makedumpfile adds a few lines of its own.
pub(super) const MAX_LEN: u64 = 64 << 10;

/// `KEY=value` lines.
#[derive(Debug, Clone, Default)]
pub struct VmcoreInfo {
    lines: Vec<(String, String)>,
    /// Where in `lines` a key is.
    places: HashMap<String, usize>,
}

impl VmcoreInfo {
    /// Lines without `=` are skipped; of two lines with one key the first counts.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut info = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            if let Some((key, value)) = line.split_once('=')
                && !info.places.contains_key(key)
            {
                info.places.insert(key.to_owned(), info.lines.len());
                let value = value.trim_end_matches('\0').to_owned();
                info.lines.push((key.to_owned(), value));
            }
        }
        info
    }

    /// Keys and values, in the order of the text.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(key, value)| (&**key, &**value))
    }

    /// No line at all: the dump has none, or it cannot be read.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The value of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        let (_, value) = self.lines.get(*self.places.get(key)?)?;
        Some(value)
    }

    /// `SYMBOL(name)`: the virtual address, KASLR's offset included.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.text(&format!("SYMBOL({name})"))?, 16).ok()
    }

    /// `OFFSET(structure.member)`, in bytes.
    pub(super) fn offset(&self, member: &str) -> Option<usize> {
        let offset = self.text(&format!("OFFSET({member})"))?.parse().ok()?;
        (offset < STRUCTURE_MAX).then_some(offset)
    }

    /// `SIZE(structure)`, in bytes; never 0.
    pub(super) fn size(&self, structure: &str) -> Option<usize> {
        let size = self.text(&format!("SIZE({structure})"))?.parse().ok()?;
        (1..=STRUCTURE_MAX).contains(&size).then_some(size)
    }

    /// `NUMBER(name)`; a kernel may print it signed.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(&format!("NUMBER({name})"))?;
        text.parse()
            .ok()
            .or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
    }
}

/// No structure that a log is made of comes near this.
const STRUCTURE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_kind() {
        let info = VmcoreInfo::parse(
            b"OSRELEASE=6.1.0-50-amd64\nPAGESIZE=4096\nSYMBOL(prb)=ffffffff8a4b2c40\n\
              OFFSET(printk_info.seq)=0\nSIZE(printk_info)=88\nNUMBER(phys_base)=-1048576\n\
              SIZE(huge)=99999999999\nSIZE(zero)=0\nno equals sign\nOSRELEASE=other\nTAIL=1\0\0",
        );
        assert_eq!(info.text("OSRELEASE"), Some("6.1.0-50-amd64"));
        assert_eq!(info.symbol("prb"), Some(0xffff_ffff_8a4b_2c40));
        assert_eq!(info.offset("printk_info.seq"), Some(0));
        assert_eq!(info.size("printk_info"), Some(88));
        assert_eq!(info.number("phys_base"), Some(-0x10_0000));
        assert_eq!(info.size("huge"), None);
        assert_eq!(info.size("zero"), None);
        assert_eq!(info.text("TAIL"), Some("1"));
    }
}
