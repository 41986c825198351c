//! openSUSE's /etc/sysconfig/kdump.

/// openSUSE's /etc/sysconfig/kdump, with its defaults where it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuseKdump {
    /// `KDUMP_CRASHKERNEL`: `auto`, or values of `crashkernel=`.
    pub crashkernel: String,
    /// `KDUMP_KERNELVER`: release of the capture kernel.
    pub kernelver: Option<String>,
    /// `KDUMP_CPUS`: CPUs of the capture kernel; 0 is all.
    pub cpus: u32,
    /// `KDUMP_COMMANDLINE`: replaces the first kernel's command line.
    pub commandline: Option<String>,
    /// `KDUMP_COMMANDLINE_APPEND`.
    pub commandline_append: Option<String>,
    /// `KEXEC_OPTIONS`.
    pub kexec_options: Vec<String>,
    /// `KDUMP_IMMEDIATE_REBOOT`: reboot after the dump, else a shell.
    pub immediate_reboot: bool,
    /// `KDUMP_TRANSFER`: a program that saves the dump in place of kdump's own.
    pub transfer: Option<String>,
    /// `KDUMP_SAVEDIR`.
    pub savedir: SaveDir,
    /// `KDUMP_KEEP_OLD_DUMPS`: how many dumps are kept; 0 keeps all.
    pub keep_old_dumps: u32,
    /// `KDUMP_FREE_DISK_SIZE`: what must be left on the disk, in MiB.
    pub free_disk_size: u32,
    /// `KDUMP_VERBOSE`: a bit mask.
    pub verbose: u32,
    /// `KDUMP_DUMPLEVEL`: makedumpfile's -d.
    pub dumplevel: u8,
    /// `KDUMP_DUMPFORMAT`.
    pub dumpformat: DumpFormat,
    /// `KDUMP_CONTINUE_ON_ERROR`: reboot even if the dump has failed.
    pub continue_on_error: bool,
    /// `KDUMP_REQUIRED_PROGRAMS`: programs that the capture initramfs holds besides.
    pub required_programs: Vec<String>,
    /// `KDUMP_PRESCRIPT`: run before the dump.
    pub prescript: Option<String>,
    /// `KDUMP_POSTSCRIPT`: run after it.
    pub postscript: Option<String>,
    /// `MAKEDUMPFILE_OPTIONS`.
    pub makedumpfile_options: Vec<String>,
    /// `KDUMP_SSH_IDENTITY`: private keys.
    pub ssh_identity: Vec<String>,
    /// `KDUMP_HOST_KEY`: the server's key; empty takes any.
    pub host_key: Option<String>,
    /// `KDUMP_NETCONFIG`: `auto`, or a device with its mode.
    pub netconfig: String,
    /// `KDUMP_NET_TIMEOUT`, seconds.
    pub net_timeout: u32,
}

/// Where the dump goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveDir {
    /// A directory of the machine itself.
    File(String),
    /// A URL.
    Remote {
        /// How to get there.
        protocol: Protocol,
        /// The whole URL.
        url: String,
    },
}

/// Schemes of `KDUMP_SAVEDIR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `ftp://`
    Ftp,
    /// `sftp://` and `scp://`
    Sftp,
    /// `ssh://`
    Ssh,
    /// `nfs://`
    Nfs,
    /// `cifs://` and `smb://`
    Cifs,
}

/// `KDUMP_DUMPFORMAT`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DumpFormat {
    /// No dump, the kernel's log alone.
    None,
    /// makedumpfile -E.
    Elf,
    /// makedumpfile -c.
    #[default]
    Compressed,
    /// makedumpfile -l.
    Lzo,
    /// makedumpfile -p.
    Snappy,
    /// makedumpfile -z.
    Zstd,
    /// /proc/vmcore as it is.
    Raw,
}
