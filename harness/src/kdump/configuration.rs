//! A whole configuration of kdump: all files that one distribution's kdump reads.

use super::assembly::Assembly;
use super::commandline;
use super::conf::KdumpConf;
use super::error::ConfError;
use super::flavour::Flavour;
use super::kdump_tools::KdumpTools;
use super::suse::SuseKdump;
use super::sysconfig::Sysconfig;
use crate::scenario::model::{Kdump, SysconfigFile};

/// What the configuration files say, defaults included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// Red Hat Enterprise Linux and Fedora.
    Kdumpctl {
        /// Whose.
        flavour: Flavour,
        /// /etc/kdump.conf.
        conf: Box<KdumpConf>,
        /// /etc/sysconfig/kdump.
        sysconfig: Box<Sysconfig>,
    },
    /// Debian and Ubuntu: /etc/default/kdump-tools.
    KdumpTools(Box<KdumpTools>),
    /// openSUSE: its own /etc/sysconfig/kdump.
    Suse(Box<SuseKdump>),
}

impl Configuration {
    /// Reads what a scenario says about kdump. A file that it does not give has the
    /// distribution's own contents. Keys of other distributions are the scenario's mistake and
    /// are refused where it is checked.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn read(kdump: &Kdump) -> Result<Self, Vec<ConfError>> {
        let flavour = kdump.flavour;
        match flavour {
            Flavour::Debian => match &kdump.kdump_tools {
                Some(text) => KdumpTools::read(text).into_result(),
                None => Ok(KdumpTools {
                    use_kdump: true,
                    ..KdumpTools::default()
                }),
            }
            .map(|tools| Self::KdumpTools(Box::new(tools))),
            Flavour::Opensuse => match &kdump.sysconfig {
                SysconfigFile::Text(text) => SuseKdump::read(text).into_result(),
                SysconfigFile::Keys(_) => Ok(SuseKdump::default()),
            }
            .map(|suse| Self::Suse(Box::new(suse))),
            _ => {
                let conf = match &kdump.conf {
                    Some(text) => KdumpConf::parse(text, flavour),
                    None => Ok(KdumpConf::defaults(flavour)),
                };
                let sysconfig = match &kdump.sysconfig {
                    SysconfigFile::Text(text) => Sysconfig::read(text, flavour).into_result(),
                    SysconfigFile::Keys(keys) => Ok((**keys).clone()),
                };
                match (conf, sysconfig) {
                    (Ok(conf), Ok(sysconfig)) => Ok(Self::Kdumpctl {
                        flavour,
                        conf: Box::new(conf),
                        sysconfig: Box::new(sysconfig),
                    }),
                    (conf, sysconfig) => {
                        let mut errors = conf.err().unwrap_or_default();
                        errors.extend(sysconfig.err().unwrap_or_default());
                        Err(errors)
                    }
                }
            }
        }
    }

    /// The capture kernel's command line. `first` is the first kernel's, `boot_apic_id` the APIC
    /// id of its boot CPU.
    pub fn capture_commandline(&self, first: &str, boot_apic_id: u32) -> Assembly {
        match self {
            Self::Kdumpctl {
                flavour, sysconfig, ..
            } => commandline::assemble(*flavour, first, sysconfig, boot_apic_id),
            Self::KdumpTools(tools) => tools.capture_commandline(first),
            Self::Suse(suse) => suse.capture_commandline(first, boot_apic_id),
        }
    }
}
