//! /etc/default/kdump-tools of Debian and Ubuntu.

/// Debian's default for `KDUMP_COREDIR`.
pub const DEFAULT_COREDIR: &str = "/var/crash";

/// Default for `MAKEDUMP_ARGS` of Debian 12, which adds `-F` to others that do not begin with it.
pub const DEFAULT_MAKEDUMP_ARGS: &str = "-F -c -d 31";

/// Debian's default for `KDUMP_FAIL_CMD`.
pub const DEFAULT_FAIL_CMD: &str = "reboot -f";

/// /etc/default/kdump-tools, with Debian's defaults where it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdumpTools {
    /// `USE_KDUMP`: whether a capture kernel is loaded at all.
    pub use_kdump: bool,
    /// `KDUMP_KERNEL`: the capture kernel's file.
    pub kernel: Option<String>,
    /// `KDUMP_INITRD`: its initramfs.
    pub initrd: Option<String>,
    /// `KDUMP_COREDIR`: the directory that dumps are saved below.
    pub coredir: String,
    /// `KDUMP_FAIL_CMD`: the shell command that runs when the dump has failed.
    pub fail_cmd: String,
    /// `KDUMP_DUMP_DMESG`: whether the kernel's log is saved besides.
    pub dump_dmesg: bool,
    /// `KDUMP_NUM_DUMPS`: how many dumps are kept; 0 keeps all.
    pub num_dumps: u32,
    /// `KDUMP_COMPRESSION`: what the files of a finished dump are compressed with.
    pub compression: Option<Compression>,
    /// `DEBUG_KERNEL`: a kernel with symbols, for makedumpfile.
    pub debug_kernel: Option<String>,
    /// `MAKEDUMP_ARGS`.
    pub makedump_args: Vec<String>,
    /// `KDUMP_KEXEC_ARGS`.
    pub kexec_args: Vec<String>,
    /// `KDUMP_CMDLINE`: the capture kernel's command line before removal and addition; the first
    /// kernel's by default.
    pub cmdline: Option<String>,
    /// `KDUMP_CMDLINE_APPEND`.
    pub cmdline_append: Option<String>,
    /// `KDUMP_SYSCTL`: what kdump-config sets when it loads the capture kernel.
    pub sysctl: Option<String>,
    /// Where the dump goes over the network, in the order of the attempts; if there is none of FTP
    /// and SSH, or an NFS, it goes to `coredir`.
    pub remotes: Vec<Remote>,
    /// `HOSTTAG`: what the directory of a remote dump is named after.
    pub host_tag: HostTag,
}

/// Programs for `KDUMP_COMPRESSION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// bzip2.
    Bzip2,
    /// gzip.
    Gzip,
    /// lz4.
    Lz4,
    /// xz.
    Xz,
}

/// What `HOSTTAG` can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostTag {
    /// The machine's address.
    #[default]
    Ip,
    /// Its name.
    Hostname,
}

/// Where kdump-tools sends a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `NFS`.
    Nfs {
        /// `host:/export`.
        mount: String,
        /// `NFS_TIMEO`, tenths of a second.
        timeo: Option<u32>,
        /// `NFS_RETRANS`.
        retrans: Option<u32>,
    },
    /// `SSH`.
    Ssh {
        /// `user@host`.
        login: String,
        /// `SSH_KEY`.
        key: Option<String>,
    },
    /// `FTP`.
    Ftp {
        /// The server, and a directory behind a colon.
        server: String,
        /// `FTP_USER`.
        user: Option<String>,
        /// `FTP_PASSWORD`.
        password: Option<String>,
        /// `FTP_PORT`.
        port: Option<u16>,
    },
}
