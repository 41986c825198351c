//! The header of a bzImage (`Documentation/arch/x86/boot.rst`).

/// A file that is not a bzImage that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BzImageError {
    /// The magic numbers are missing.
    #[error("neither a bzImage nor an ELF vmlinux")]
    NotAKernel,
    /// Boot protocol before 2.08, Linux 2.6.24: no payload fields.
    #[error("boot protocol {}.{:02} is too old: a kernel of 2.6.26 or later is needed", protocol >> 8, protocol & 0xff)]
    TooOld {
        /// Major number in the high byte.
        protocol: u16,
    },
    /// The header points outside the file.
    #[error("the bzImage's header points outside the file: the file is damaged or cut short")]
    Truncated,
}

/// A bzImage, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BzImage<'a> {
    /// Compressed kernel, with the four bytes of size after it.
    pub payload: &'a [u8],
    /// What `uname -r` will say, where the header tells it.
    pub release: Option<&'a str>,
}

impl<'a> BzImage<'a> {
    /// Reads the header of a whole bzImage file.
    ///
    /// # Errors
    /// [`BzImageError`].
    pub fn parse(file: &'a [u8]) -> Result<Self, BzImageError> {
        let magic = |at: usize, wanted: &[u8]| file.get(at..at + wanted.len()) == Some(wanted);
        if !magic(0x1fe, &[0x55, 0xaa]) || !magic(0x202, b"HdrS") {
            return Err(BzImageError::NotAKernel);
        }
        let word = |at: usize| -> Result<u16, BzImageError> {
            let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
            bytes
                .copied()
                .map(u16::from_le_bytes)
                .ok_or(BzImageError::Truncated)
        };
        let long = |at: usize| -> Result<usize, BzImageError> {
            Ok(usize::from(word(at)?) | usize::from(word(at + 2)?) << 16)
        };
        let protocol = word(0x206)?;
        if protocol < 0x208 {
            return Err(BzImageError::TooOld { protocol });
        }
        let sectors = match file[0x1f1] {
            0 => 4,
            sectors => usize::from(sectors),
        };
        // The payload's offset counts from the protected-mode code.
        let start = (sectors + 1) * 512 + long(0x248)?;
        let payload = file
            .get(start..)
            .and_then(|rest| rest.get(..long(0x24c).ok()?))
            .ok_or(BzImageError::Truncated)?;
        let release = match word(0x20e)? {
            0 => None,
            at => file.get(usize::from(at) + 0x200..).and_then(first_word),
        };
        Ok(Self { payload, release })
    }
}

/// The text up to a space or NUL, when it looks like a kernel release.
pub(super) fn first_word(bytes: &[u8]) -> Option<&str> {
    // UTS_RELEASE is at most 64 bytes long.
    let end = bytes
        .iter()
        .take(65)
        .position(|byte| matches!(byte, b' ' | 0))?;
    let word = std::str::from_utf8(&bytes[..end]).ok()?;
    let fits = |c: char| c.is_ascii_graphic() && c != '/';
    (word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(fits)).then_some(word)
}
