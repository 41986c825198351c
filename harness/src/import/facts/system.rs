//! Which system a machine runs: the release of its kernel, its distribution.

use std::fmt;
use std::str::FromStr;

use crate::kdump::flavour::Flavour;
use crate::units::UnitError;

/// What `uname -r` says: `3.10.0-693.5.2.el7.x86_64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(String);

impl Release {
    /// As `uname -r` prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Release {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // UTS_RELEASE has at most 64 characters (__NEW_UTS_LEN of <linux/utsname.h>).
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
        let mut numbers = text.split(['.', '-']);
        let mut number = || {
            numbers
                .next()
                .is_some_and(|part| part.parse::<u16>().is_ok())
        };
        match number() && number() && text.len() <= 64 && text.chars().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(UnitError {
                given: text.chars().take(80).collect(),
                wanted: "a kernel's release such as 3.10.0-693.5.2.el7.x86_64",
            }),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A distribution and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Which.
    pub vendor: Vendor,
    /// Its version; Debian's testing has none.
    pub version: Option<Version>,
}

/// Who makes a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vendor {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// CentOS, Stream too.
    Centos,
    /// Rocky Linux.
    Rocky,
    /// AlmaLinux.
    Alma,
    /// Oracle Linux.
    Oracle,
    /// Fedora.
    Fedora,
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// SUSE Linux Enterprise.
    Sle,
    /// openSUSE.
    Opensuse,
    /// Any other, by its own name.
    Other(String),
}

/// `7.4`, `12`, `22.04`: two numbers, of which a distribution may leave out the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first.
    pub major: u16,
    /// The second.
    pub minor: Option<u16>,
}

impl Distribution {
    /// Whose kdump it has; none for what is not known here. Red Hat's 10 is taken for its 9.
    pub fn flavour(&self) -> Option<Flavour> {
        match &self.vendor {
            Vendor::Rhel | Vendor::Centos | Vendor::Rocky | Vendor::Alma | Vendor::Oracle => {
                match self.version?.major {
                    6 => Some(Flavour::Rhel6),
                    7 => Some(Flavour::Rhel7),
                    8 => Some(Flavour::Rhel8),
                    9.. => Some(Flavour::Rhel9),
                    _ => None,
                }
            }
            Vendor::Fedora => Some(Flavour::Fedora),
            Vendor::Debian | Vendor::Ubuntu => Some(Flavour::Debian),
            Vendor::Sle | Vendor::Opensuse => Some(Flavour::Opensuse),
            Vendor::Other(_) => None,
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.vendor {
            Vendor::Rhel => "Red Hat Enterprise Linux",
            Vendor::Centos => "CentOS",
            Vendor::Rocky => "Rocky Linux",
            Vendor::Alma => "AlmaLinux",
            Vendor::Oracle => "Oracle Linux",
            Vendor::Fedora => "Fedora",
            Vendor::Debian => "Debian",
            Vendor::Ubuntu => "Ubuntu",
            Vendor::Sle => "SUSE Linux Enterprise",
            Vendor::Opensuse => "openSUSE",
            Vendor::Other(name) => name,
        })?;
        match (self.version, &self.vendor) {
            (None, _) => Ok(()),
            (Some(Version { major, minor: None }), _) => write!(f, " {major}"),
            // The month of a year.
            (
                Some(Version {
                    major,
                    minor: Some(minor),
                }),
                Vendor::Ubuntu,
            ) => {
                write!(f, " {major}.{minor:02}")
            }
            (
                Some(Version {
                    major,
                    minor: Some(minor),
                }),
                _,
            ) => write!(f, " {major}.{minor}"),
        }
    }
}
