//! /etc/default/kdump-tools of Debian and Ubuntu, as kdump-config of Debian 12 (1.8.1) reads it.

use super::assembly::Assembly;
use super::error::{ConfigFile, Fault, Reading, placed, shown};
use super::shell::{self, Assignments, Dialect};
use super::sysconfig::unknown;
use super::words::shell_words;

/// Debian's default for `KDUMP_COREDIR`.
pub const DEFAULT_COREDIR: &str = "/var/crash";

/// Default for `MAKEDUMP_ARGS` of Debian 12, which adds `-F` to others that do not begin with it.
pub const DEFAULT_MAKEDUMP_ARGS: &str = "-F -c -d 31";

/// Default for `KDUMP_CMDLINE_APPEND` of Debian 12 on x86_64.
pub const DEFAULT_CMDLINE_APPEND: &str = "reset_devices systemd.unit=kdump-tools-dump.service \
                                          nr_cpus=1 irqpoll usbcore.nousb";

/// Debian's default for `SSH_KEY`.
pub const DEFAULT_SSH_KEY: &str = "/root/.ssh/kdump_id_rsa";

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

/// Everything that kdump-config and its /init scripts read.
const KEYS: [&str; 27] = [
    "USE_KDUMP",
    "KDUMP_KERNEL",
    "KDUMP_INITRD",
    "KDUMP_COREDIR",
    "KDUMP_FAIL_CMD",
    "KDUMP_DUMP_DMESG",
    "KDUMP_NUM_DUMPS",
    "KDUMP_COMPRESSION",
    "KDUMP_SYSCTL",
    "DEBUG_KERNEL",
    "MAKEDUMP_ARGS",
    "KDUMP_KEXEC_ARGS",
    "KDUMP_CMDLINE",
    "KDUMP_CMDLINE_APPEND",
    "HOSTTAG",
    "NFS",
    "NFS_TIMEO",
    "NFS_RETRANS",
    "NFS_MOUNT_RETRY",
    "FTP",
    "FTP_USER",
    "FTP_PASSWORD",
    "FTP_PORT",
    "SSH",
    "SSH_KEY",
    "SSH_KDUMP_RETRY",
    "KDUMP_CONFIG",
];

impl Default for KdumpTools {
    /// An empty file, which turns kdump off.
    fn default() -> Self {
        Self {
            use_kdump: false,
            kernel: None,
            initrd: None,
            coredir: DEFAULT_COREDIR.to_owned(),
            fail_cmd: DEFAULT_FAIL_CMD.to_owned(),
            dump_dmesg: true,
            num_dumps: 0,
            compression: None,
            debug_kernel: None,
            makedump_args: DEFAULT_MAKEDUMP_ARGS
                .split(' ')
                .map(str::to_owned)
                .collect(),
            kexec_args: Vec::new(),
            cmdline: None,
            cmdline_append: None,
            sysctl: None,
            remotes: Vec::new(),
            host_tag: HostTag::Ip,
        }
    }
}

impl KdumpTools {
    /// Reads the file's text as dash and kdump-config do.
    pub fn read(text: &str) -> Reading<Self> {
        let found = shell::read(text, Dialect::Dash, &KEYS);
        let mut reader = Reader { found };
        let value = reader.tools();
        Reading {
            value,
            errors: placed(ConfigFile::KdumpTools, text, reader.found.errors),
            warnings: placed(ConfigFile::KdumpTools, text, reader.found.warnings),
        }
    }

    /// The capture kernel's command line: what kdump-config makes of the first kernel's.
    pub fn capture_commandline(&self, first: &str) -> Assembly {
        let mut assembly = match &self.cmdline {
            Some(cmdline) => Assembly::from("KDUMP_CMDLINE", cmdline),
            None => {
                let mut assembly = Assembly::from("/proc/cmdline", first);
                assembly.remove_words("kdump-config", |word| {
                    ["crashkernel=", "hugepages=", "hugepagesz=", "abm="]
                        .iter()
                        .any(|parameter| word.starts_with(parameter))
                });
                assembly
            }
        };
        let append = self.cmdline_append.as_deref();
        assembly.append(
            "KDUMP_CMDLINE_APPEND",
            append.unwrap_or(DEFAULT_CMDLINE_APPEND),
        );
        assembly
    }
}

struct Reader {
    found: Assignments,
}

impl Reader {
    fn tools(&mut self) -> KdumpTools {
        let names: Vec<_> = self
            .found
            .by_name
            .iter()
            .map(|(name, assignment)| (name.clone(), assignment.name_at.clone()))
            .filter(|(name, _)| !KEYS.contains(&name.as_str()))
            .collect();
        for (name, at) in names {
            // Each one costs a search for what may be meant.
            if self.found.warnings.full() {
                break;
            }
            self.found.warnings.push(unknown(&name, at, &KEYS));
        }
        let defaults = KdumpTools::default();
        // Any value but 0 turns it on.
        let use_kdump = self.filled("USE_KDUMP").is_some_and(|value| value != "0");
        if !use_kdump {
            let at = self.value_at("USE_KDUMP");
            self.found
                .warnings
                .push(Fault::new(at, "USE_KDUMP is not set or zero").help("USE_KDUMP=1"));
        }
        let compression = self.compression();
        let makedump_args = match self.filled("MAKEDUMP_ARGS") {
            None => defaults.makedump_args,
            Some(args) => {
                let mut args = self.words("MAKEDUMP_ARGS", &args);
                if !args.first().is_some_and(|first| first.starts_with("-F")) {
                    args.push("-F".to_owned());
                }
                args
            }
        };
        let kexec_args = self.filled("KDUMP_KEXEC_ARGS").unwrap_or_default();
        let host_tag = match self.filled("HOSTTAG").as_deref() {
            None | Some("ip") => HostTag::Ip,
            Some("hostname") => HostTag::Hostname,
            Some(_) => {
                self.warn(
                    "HOSTTAG",
                    "anything but `hostname` is `ip`",
                    "HOSTTAG=\"hostname\"",
                );
                HostTag::Ip
            }
        };
        KdumpTools {
            use_kdump,
            kernel: self.filled("KDUMP_KERNEL"),
            initrd: self.filled("KDUMP_INITRD"),
            coredir: self.filled("KDUMP_COREDIR").unwrap_or(defaults.coredir),
            fail_cmd: self.filled("KDUMP_FAIL_CMD").unwrap_or(defaults.fail_cmd),
            dump_dmesg: self.number("KDUMP_DUMP_DMESG").unwrap_or(1) == 1,
            num_dumps: self.number("KDUMP_NUM_DUMPS").unwrap_or(0),
            compression,
            debug_kernel: self.filled("DEBUG_KERNEL"),
            makedump_args,
            kexec_args: self.words("KDUMP_KEXEC_ARGS", &kexec_args),
            cmdline: self.filled("KDUMP_CMDLINE"),
            cmdline_append: self.filled("KDUMP_CMDLINE_APPEND"),
            sysctl: self.filled("KDUMP_SYSCTL"),
            remotes: self.remotes(),
            host_tag,
        }
    }

    fn remotes(&mut self) -> Vec<Remote> {
        let mut remotes = Vec::new();
        if let Some(server) = self.filled("FTP") {
            let port = self.number("FTP_PORT");
            if port.is_some_and(|port| !(1..=65535).contains(&port)) {
                self.error("FTP_PORT", "no port of TCP", "FTP_PORT=21");
            }
            remotes.push(Remote::Ftp {
                server,
                user: self.filled("FTP_USER"),
                password: self.filled("FTP_PASSWORD"),
                port: port.and_then(|port| u16::try_from(port).ok()),
            });
        }
        if let Some(login) = self.filled("SSH") {
            if !login.contains('@') {
                self.warn(
                    "SSH",
                    "no user in front of the server: root logs in",
                    "SSH=\"user@server\"",
                );
            }
            remotes.push(Remote::Ssh {
                login,
                key: self.filled("SSH_KEY"),
            });
        }
        if let Some(mount) = self.filled("NFS") {
            if !mount.contains(":/") {
                self.error(
                    "NFS",
                    "the syntax must be {HOSTNAME}:{MOUNTPOINT}",
                    "NFS=\"server:/export\"",
                );
            }
            remotes.push(Remote::Nfs {
                mount,
                timeo: self.number("NFS_TIMEO"),
                retrans: self.number("NFS_RETRANS"),
            });
        }
        remotes
    }

    fn compression(&mut self) -> Option<Compression> {
        let name = self.filled("KDUMP_COMPRESSION")?;
        let compression = match name.as_str() {
            "bzip2" => Some(Compression::Bzip2),
            "gzip" => Some(Compression::Gzip),
            "lz4" => Some(Compression::Lz4),
            "xz" => Some(Compression::Xz),
            _ => None,
        };
        if compression.is_none() {
            self.error(
                "KDUMP_COMPRESSION",
                &format!(
                    "Error: Compression '{}' not supported. Disabling compression.",
                    shown(&name)
                ),
                "one of bzip2, gzip, lz4, xz",
            );
        }
        compression
    }

    fn filled(&self, key: &str) -> Option<String> {
        self.found.filled(key).map(str::to_owned)
    }

    fn value_at(&self, key: &str) -> std::ops::Range<usize> {
        self.found
            .by_name
            .get(key)
            .map_or(0..0, |assignment| assignment.value_at.clone())
    }

    fn error(&mut self, key: &str, message: &str, help: &str) {
        let fault = Fault::new(self.value_at(key), format!("{key}: {message}")).help(help);
        self.found.errors.push(fault);
    }

    fn warn(&mut self, key: &str, message: &str, help: &str) {
        let fault = Fault::new(self.value_at(key), format!("{key}: {message}")).help(help);
        self.found.warnings.push(fault);
    }

    fn number(&mut self, key: &str) -> Option<u32> {
        let number = self.found.filled(key)?.parse();
        if number.is_err() {
            self.error(key, "Illegal number", "a whole number");
        }
        number.ok()
    }

    /// kdump-config passes them unquoted or to `eval`.
    fn words(&mut self, key: &str, value: &str) -> Vec<String> {
        match shell_words(value) {
            Ok(words) => words,
            Err(_) => {
                self.error(
                    key,
                    "a quote inside of the value is never closed",
                    "close it",
                );
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_debian_12() {
        let text = "# kdump-tools configuration\nUSE_KDUMP=1\n\
                    KDUMP_KERNEL=/var/lib/kdump/vmlinuz\nKDUMP_INITRD=/var/lib/kdump/initrd.img\n\
                    KDUMP_COREDIR=\"/var/crash\"\n#KDUMP_FAIL_CMD=\"reboot -f\"\n";
        let read = KdumpTools::read(text);
        assert_eq!((read.errors, read.warnings), (vec![], vec![]));
        assert_eq!(
            read.value,
            KdumpTools {
                use_kdump: true,
                kernel: Some("/var/lib/kdump/vmlinuz".to_owned()),
                initrd: Some("/var/lib/kdump/initrd.img".to_owned()),
                ..KdumpTools::default()
            }
        );
        let line = read
            .value
            .capture_commandline("root=/dev/sda1 quiet crashkernel=256M hugepages=4 crashkernel");
        assert_eq!(
            line.to_string(),
            format!("root=/dev/sda1 quiet crashkernel {DEFAULT_CMDLINE_APPEND}")
        );
    }

    #[test]
    fn values() {
        let read = KdumpTools::read(
            "USE_KDUMP=1\nMAKEDUMP_ARGS=\"-c -d 31\"\nKDUMP_COMPRESSION=zip\nNFS=server\n\
             SSH=\"me@there\"\nKDUMP_NUM_DUMPS=many\nHOSTTAG=hostname\n",
        );
        assert_eq!(read.value.makedump_args, ["-c", "-d", "31", "-F"]);
        assert_eq!(read.value.host_tag, HostTag::Hostname);
        assert_eq!(read.value.remotes.len(), 2);
        let lines: Vec<usize> = read.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [3, 4, 6]);
        assert_eq!(read.warnings, []);
        let off = KdumpTools::read("");
        assert_eq!(off.warnings[0].message, "USE_KDUMP is not set or zero");
    }
}
