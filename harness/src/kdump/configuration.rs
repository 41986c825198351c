//! A whole configuration of kdump: all files that one distribution's kdump reads.

use super::conf::KdumpConf;
use super::kdump_tools::KdumpTools;
use super::suse::SuseKdump;
use super::sysconfig::Sysconfig;

/// What the configuration files say, defaults included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// Red Hat Enterprise Linux and Fedora.
    Kdumpctl {
        /// /etc/kdump.conf.
        conf: Box<KdumpConf>,
        /// /etc/sysconfig/kdump.
        sysconfig: Sysconfig,
    },
    /// Debian and Ubuntu: /etc/default/kdump-tools.
    KdumpTools(KdumpTools),
    /// openSUSE: its own /etc/sysconfig/kdump.
    Suse(SuseKdump),
}
