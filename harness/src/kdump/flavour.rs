//! Whose kdump reads a configuration.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Distribution and version whose kdump is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Red Hat Enterprise Linux 6 and CentOS 6.
    Rhel6,
    /// Red Hat Enterprise Linux 7 and CentOS 7.
    #[default]
    Rhel7,
    /// Red Hat Enterprise Linux 8 and its rebuilds.
    Rhel8,
    /// Red Hat Enterprise Linux 9 and its rebuilds.
    Rhel9,
    /// Fedora as of 2026.
    Fedora,
    /// Debian and Ubuntu: kdump-tools.
    Debian,
    /// openSUSE and SUSE Linux Enterprise.
    Opensuse,
}

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Rhel6,
        Self::Rhel7,
        Self::Rhel8,
        Self::Rhel9,
        Self::Fedora,
        Self::Debian,
        Self::Opensuse,
    ];

    /// As scenarios and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rhel6 => "rhel6",
            Self::Rhel7 => "rhel7",
            Self::Rhel8 => "rhel8",
            Self::Rhel9 => "rhel9",
            Self::Fedora => "fedora",
            Self::Debian => "debian",
            Self::Opensuse => "opensuse",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No flavour has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no flavour `{0}`: rhel6, rhel7, rhel8, rhel9, fedora, debian or opensuse")]
pub struct NoFlavour(pub String);

impl FromStr for Flavour {
    type Err = NoFlavour;

    fn from_str(text: &str) -> Result<Self, NoFlavour> {
        Self::ALL
            .into_iter()
            .find(|flavour| flavour.name() == text)
            .ok_or_else(|| NoFlavour(text.to_owned()))
    }
}
