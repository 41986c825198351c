//! /etc/sysconfig/kdump of Red Hat Enterprise Linux and Fedora.

use schemars::JsonSchema;
use serde::Deserialize;

/// /etc/sysconfig/kdump. An absent key has the flavour's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct Sysconfig {
    /// The capture kernel's command line before removal and addition; the first kernel's by
    /// default.
    pub kdump_commandline: Option<String>,
    /// Parameters to remove from it.
    pub kdump_commandline_remove: Option<String>,
    /// Parameters to add to it.
    pub kdump_commandline_append: Option<String>,
    /// Options for kexec.
    pub kexec_args: Option<String>,
    /// Release of the capture kernel; the running one's by default.
    pub kdump_kernelver: Option<String>,
    /// Where the capture kernel lies.
    pub kdump_bootdir: Option<String>,
    /// The name of its file up to the release.
    pub kdump_img: Option<String>,
    /// What follows the release.
    pub kdump_img_ext: Option<String>,
    /// Parameters to add for firmware-assisted dump.
    pub fadump_commandline_append: Option<String>,
    /// A program that is told of every new dump; of 2024.
    pub vmcore_creation_notification: Option<String>,
    /// Log level of kdump's scripts on standard error, 0 to 4.
    pub kdump_stdloglvl: Option<String>,
    /// Log level of kdump's scripts in syslog, 0 to 4.
    pub kdump_sysloglvl: Option<String>,
    /// Log level of kdump's scripts in the kernel's log, 0 to 4.
    pub kdump_kmsgloglvl: Option<String>,
}
