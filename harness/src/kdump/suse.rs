//! openSUSE's /etc/sysconfig/kdump, as kdump-read-config.sh and load.sh of 2024 read it.
//!
//! Its own checks only warn and take the default; here they are errors, because what stands in the
//! file does not count.

use super::assembly::{Assembly, name};
use super::error::{ConfigFile, Fault, Reading, placed, shown};
use super::shell::{self, Assignments, Dialect};
use super::sysconfig::{appended_to_nothing, unknown};
use super::words::shell_words;

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

/// What kdump-read-config.sh checks of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    Number,
    Deprecated,
}

const KEYS: [(&str, Kind); 36] = [
    ("KDUMP_CRASHKERNEL", Kind::Text),
    ("KDUMP_UPDATE_BOOTLOADER", Kind::Bool),
    ("KDUMP_KERNELVER", Kind::Text),
    ("KDUMP_CPUS", Kind::Number),
    ("KDUMP_COMMANDLINE", Kind::Text),
    ("KDUMP_COMMANDLINE_APPEND", Kind::Text),
    ("KDUMP_AUTO_RESIZE", Kind::Bool),
    ("KDUMP_FADUMP", Kind::Bool),
    ("KDUMP_FADUMP_SHELL", Kind::Bool),
    ("FADUMP_COMMANDLINE_APPEND", Kind::Text),
    ("KEXEC_OPTIONS", Kind::Text),
    ("KDUMP_IMMEDIATE_REBOOT", Kind::Bool),
    ("KDUMP_TRANSFER", Kind::Text),
    ("KDUMP_SAVEDIR", Kind::Text),
    ("KDUMP_KEEP_OLD_DUMPS", Kind::Number),
    ("KDUMP_FREE_DISK_SIZE", Kind::Number),
    ("KDUMP_VERBOSE", Kind::Number),
    ("KDUMP_DUMPLEVEL", Kind::Number),
    ("KDUMP_DUMPFORMAT", Kind::Text),
    ("KDUMP_CONTINUE_ON_ERROR", Kind::Bool),
    ("KDUMP_REQUIRED_PROGRAMS", Kind::Text),
    ("KDUMP_PRESCRIPT", Kind::Text),
    ("KDUMP_POSTSCRIPT", Kind::Text),
    ("KDUMP_NETCONFIG", Kind::Text),
    ("KDUMP_NET_TIMEOUT", Kind::Number),
    ("KDUMP_SMTP_SERVER", Kind::Text),
    ("KDUMP_SMTP_USER", Kind::Text),
    ("KDUMP_SMTP_PASSWORD", Kind::Text),
    ("KDUMP_NOTIFICATION_TO", Kind::Text),
    ("KDUMP_NOTIFICATION_CC", Kind::Text),
    ("KDUMP_HOST_KEY", Kind::Text),
    ("KDUMP_SSH_IDENTITY", Kind::Text),
    ("MAKEDUMPFILE_OPTIONS", Kind::Text),
    ("KDUMPTOOL_FLAGS", Kind::Deprecated),
    ("KDUMP_COPY_KERNEL", Kind::Deprecated),
    ("KDUMP_CONF", Kind::Text),
];

/// `KDUMP_CPUS` where the file does not say.
const DEFAULT_CPUS: u32 = 32;
const DEFAULT_SAVEDIR: &str = "/var/crash";

impl Default for SuseKdump {
    /// An empty file.
    fn default() -> Self {
        Self {
            crashkernel: "auto".to_owned(),
            kernelver: None,
            cpus: DEFAULT_CPUS,
            commandline: None,
            commandline_append: None,
            kexec_options: Vec::new(),
            immediate_reboot: true,
            transfer: None,
            savedir: SaveDir::File(DEFAULT_SAVEDIR.to_owned()),
            keep_old_dumps: 0,
            free_disk_size: 64,
            verbose: 0,
            dumplevel: 31,
            dumpformat: DumpFormat::Compressed,
            continue_on_error: true,
            required_programs: Vec::new(),
            prescript: None,
            postscript: None,
            makedumpfile_options: Vec::new(),
            ssh_identity: Vec::new(),
            host_key: None,
            netconfig: "auto".to_owned(),
            net_timeout: 30,
        }
    }
}

impl SuseKdump {
    /// Reads the file's text as bash and openSUSE's scripts do.
    pub fn read(text: &str) -> Reading<Self> {
        let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        let mut reader = Reader {
            found: shell::read(text, Dialect::Bash, &known),
        };
        reader.names(&known);
        let value = reader.kdump();
        Reading {
            value,
            errors: placed(ConfigFile::Sysconfig, text, reader.found.errors),
            warnings: placed(ConfigFile::Sysconfig, text, reader.found.warnings),
        }
    }

    /// The capture kernel's command line, as load.sh builds it on x86_64. `first` is the first
    /// kernel's; `boot_apic_id` the APIC id of its boot CPU.
    pub fn capture_commandline(&self, first: &str, boot_apic_id: u32) -> Assembly {
        let mut line = match &self.commandline {
            Some(commandline) => Assembly::from("KDUMP_COMMANDLINE", commandline),
            None => {
                let mut line = Assembly::from("/proc/cmdline", first);
                line.remove("load.sh", &REMOVED);
                let cpus = match self.cpus {
                    0 => String::new(),
                    cpus => format!(" nr_cpus={cpus}"),
                };
                line.append(
                    "load.sh",
                    &format!(
                        "sysrq=yes reset_devices acpi_no_memhotplug cgroup_disable=memory nokaslr \
                         numa=off irqpoll{cpus} root=kdump rootflags=bind \
                         rd.udev.children-max=8 disable_cpu_apicid={boot_apic_id}"
                    ),
                );
                line.remove_words("load.sh", |word| {
                    word == "console=hvc0" || matches!(name(word), "unknown_nmi_panic" | "notsc")
                });
                line
            }
        };
        line.append(
            "KDUMP_COMMANDLINE_APPEND",
            self.commandline_append.as_deref().unwrap_or_default(),
        );
        line.append_new("load.sh", "panic=1");
        line
    }
}

/// What load.sh takes out of /proc/cmdline.
const REMOVED: [&str; 13] = [
    "root",
    "resume",
    "crashkernel",
    "splash",
    "mem",
    "BOOT_IMAGE",
    "showopts",
    "zfcp.allow_lun_scan",
    "hugepages",
    "acpi_no_memhotplug",
    "cgroup_disable",
    "unknown_nmi_panic",
    "rd.udev.children-max",
];

struct Reader {
    found: Assignments,
}

impl Reader {
    fn names(&mut self, known: &[&str]) {
        for (name, assignment) in &self.found.by_name {
            // Each one costs a search for what may be meant.
            if self.found.warnings.full() {
                break;
            }
            let at = assignment.name_at.clone();
            match KEYS.iter().find(|(key, _)| key == name) {
                None => self.found.warnings.push(unknown(name, at, known)),
                Some((_, Kind::Deprecated)) if !assignment.value.is_empty() => {
                    let message = format!("config option {name} is deprecated, ignoring");
                    let fault = Fault::new(at, message).help("remove the line");
                    self.found.warnings.push(fault);
                }
                Some(_) => {}
            }
            if assignment.appended_to_nothing {
                let fault = appended_to_nothing(name, assignment);
                self.found.warnings.push(fault);
            }
        }
        for (key, kind) in KEYS {
            let Some(value) = self.found.filled(key).map(shown) else {
                continue;
            };
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            match kind {
                Kind::Number if !digits => self.error(
                    key,
                    format!(
                        "config option {key} has invalid value '{value}', must be a number; \
                         ignoring"
                    ),
                    "a whole number",
                ),
                Kind::Bool if truth(&value).is_none() => self.error(
                    key,
                    format!(
                        "config option {key} has invalid value '{value}', should be 'true' or \
                         'false'; ignoring"
                    ),
                    "`true` or `false`",
                ),
                _ => {}
            }
        }
    }

    fn kdump(&mut self) -> SuseKdump {
        let defaults = SuseKdump::default();
        SuseKdump {
            crashkernel: self
                .filled("KDUMP_CRASHKERNEL")
                .unwrap_or(defaults.crashkernel),
            kernelver: self.filled("KDUMP_KERNELVER"),
            cpus: self.number("KDUMP_CPUS").unwrap_or(defaults.cpus),
            commandline: self.filled("KDUMP_COMMANDLINE"),
            commandline_append: self.filled("KDUMP_COMMANDLINE_APPEND"),
            kexec_options: self.words("KEXEC_OPTIONS"),
            immediate_reboot: self.truth("KDUMP_IMMEDIATE_REBOOT", defaults.immediate_reboot),
            transfer: self.filled("KDUMP_TRANSFER"),
            savedir: self.savedir(),
            keep_old_dumps: self.number("KDUMP_KEEP_OLD_DUMPS").unwrap_or(0),
            free_disk_size: self
                .number("KDUMP_FREE_DISK_SIZE")
                .unwrap_or(defaults.free_disk_size),
            verbose: self.number("KDUMP_VERBOSE").unwrap_or(0),
            dumplevel: self.dumplevel(),
            dumpformat: self.dumpformat(),
            continue_on_error: self.truth("KDUMP_CONTINUE_ON_ERROR", defaults.continue_on_error),
            required_programs: self.words("KDUMP_REQUIRED_PROGRAMS"),
            prescript: self.filled("KDUMP_PRESCRIPT"),
            postscript: self.filled("KDUMP_POSTSCRIPT"),
            makedumpfile_options: self.words("MAKEDUMPFILE_OPTIONS"),
            ssh_identity: self.words("KDUMP_SSH_IDENTITY"),
            host_key: self.filled("KDUMP_HOST_KEY"),
            netconfig: self.filled("KDUMP_NETCONFIG").unwrap_or(defaults.netconfig),
            net_timeout: self
                .number("KDUMP_NET_TIMEOUT")
                .unwrap_or(defaults.net_timeout),
        }
    }

    fn savedir(&mut self) -> SaveDir {
        let Some(url) = self.filled("KDUMP_SAVEDIR") else {
            return SaveDir::File(DEFAULT_SAVEDIR.to_owned());
        };
        if url.starts_with('/') {
            return SaveDir::File(url);
        }
        let scheme = url
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase());
        let protocol = match scheme.as_deref() {
            Some("file") => {
                return SaveDir::File(url["file://".len()..].to_owned());
            }
            Some("ftp") => Protocol::Ftp,
            Some("scp" | "sftp") => Protocol::Sftp,
            Some("ssh") => Protocol::Ssh,
            Some("nfs") => Protocol::Nfs,
            Some("smb" | "cifs") => Protocol::Cifs,
            _ => {
                self.error(
                    "KDUMP_SAVEDIR",
                    format!("KDUMP_SAVEDIR ({}) is invalid", shown(&url)),
                    "a directory, or a URL of file, ftp, sftp, ssh, nfs or cifs",
                );
                return SaveDir::File(DEFAULT_SAVEDIR.to_owned());
            }
        };
        SaveDir::Remote { protocol, url }
    }

    fn dumplevel(&mut self) -> u8 {
        match self.number("KDUMP_DUMPLEVEL") {
            None => 31,
            Some(level @ 0..=31) => level as u8,
            Some(level) => {
                self.error(
                    "KDUMP_DUMPLEVEL",
                    format!("makedumpfile has no dump level {level}"),
                    "a number from 0 to 31",
                );
                31
            }
        }
    }

    fn dumpformat(&mut self) -> DumpFormat {
        let Some(name) = self.filled("KDUMP_DUMPFORMAT") else {
            return DumpFormat::Compressed;
        };
        match name.to_ascii_lowercase().as_str() {
            "none" => DumpFormat::None,
            "elf" => DumpFormat::Elf,
            "compressed" => DumpFormat::Compressed,
            "lzo" => DumpFormat::Lzo,
            "snappy" => DumpFormat::Snappy,
            "zstd" => DumpFormat::Zstd,
            "raw" => DumpFormat::Raw,
            _ => {
                self.error(
                    "KDUMP_DUMPFORMAT",
                    format!("`{}` is no dump format", shown(&name)),
                    "one of none, ELF, compressed, lzo, snappy, zstd, raw",
                );
                DumpFormat::Compressed
            }
        }
    }

    fn filled(&self, key: &str) -> Option<String> {
        self.found.filled(key).map(str::to_owned)
    }

    /// A value that is no number was refused before.
    fn number(&mut self, key: &str) -> Option<u32> {
        let value = self.found.filled(key)?;
        match value.parse() {
            Ok(number) => Some(number),
            Err(_) => {
                if value.bytes().all(|byte| byte.is_ascii_digit()) {
                    self.error(key, format!("{key} is too large"), "a smaller number");
                }
                None
            }
        }
    }

    fn truth(&self, key: &str, default: bool) -> bool {
        self.found.filled(key).and_then(truth).unwrap_or(default)
    }

    fn words(&mut self, key: &str) -> Vec<String> {
        let value = self.filled(key).unwrap_or_default();
        match shell_words(&value) {
            Ok(words) => words,
            Err(_) => {
                let message = format!("{key}: a quote inside of the value is never closed");
                self.error(key, message, "close it");
                Vec::new()
            }
        }
    }

    fn error(&mut self, key: &str, message: String, help: &str) {
        let at = self
            .found
            .by_name
            .get(key)
            .map_or(0..0, |assignment| assignment.value_at.clone());
        self.found.errors.push(Fault::new(at, message).help(help));
    }
}

/// As kdump-read-config.sh takes it.
fn truth(value: &str) -> Option<bool> {
    match value {
        "yes" | "1" | "true" => Some(true),
        "no" | "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line() {
        let read = SuseKdump::read("KDUMP_CPUS=1\nKDUMP_COMMANDLINE_APPEND=\"a b\"\n");
        assert_eq!((&read.errors[..], &read.warnings[..]), (&[][..], &[][..]));
        let line = read.value.capture_commandline(
            "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 splash=silent quiet mem=4G console=hvc0 \
             console=ttyS0 crashkernel=256M",
            3,
        );
        assert_eq!(
            line.to_string(),
            "quiet console=ttyS0 sysrq=yes reset_devices acpi_no_memhotplug \
             cgroup_disable=memory nokaslr numa=off irqpoll nr_cpus=1 root=kdump rootflags=bind \
             rd.udev.children-max=8 disable_cpu_apicid=3 a b panic=1"
        );
        let all = SuseKdump::read("KDUMP_CPUS=0\nKDUMP_COMMANDLINE_APPEND=panic=5\n").value;
        let line = all.capture_commandline("", 0);
        assert!(!line.has("nr_cpus"));
        assert!(line.to_string().ends_with(" panic=5"));
        let own = SuseKdump::read("KDUMP_COMMANDLINE=\"x y\"\n").value;
        assert_eq!(own.capture_commandline("z", 0).to_string(), "x y panic=1");
    }

    #[test]
    fn values() {
        let read = SuseKdump::read(
            "KDUMP_CPUS=one\nKDUMP_IMMEDIATE_REBOOT=maybe\nKDUMP_SAVEDIR=http://x\n\
             KDUMP_DUMPLEVEL=32\nKDUMP_DUMPFORMAT=zip\nKDUMPTOOL_FLAGS=x\nKDUMP_SAVDIR=x\n",
        );
        let messages: Vec<&str> = read
            .errors
            .iter()
            .map(|error| error.message.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "config option KDUMP_CPUS has invalid value 'one', must be a number; ignoring",
                "config option KDUMP_IMMEDIATE_REBOOT has invalid value 'maybe', should be 'true' \
                 or 'false'; ignoring",
                "KDUMP_SAVEDIR (http://x) is invalid",
                "makedumpfile has no dump level 32",
                "`zip` is no dump format",
            ]
        );
        let warnings: Vec<usize> = read.warnings.iter().map(|warning| warning.line).collect();
        assert_eq!(warnings, [6, 7]);
        assert_eq!(read.value, SuseKdump::default());
        let remote = SuseKdump::read("KDUMP_SAVEDIR=\"SSH://me@there/x\"\n").value;
        assert!(matches!(
            remote.savedir,
            SaveDir::Remote {
                protocol: Protocol::Ssh,
                ..
            }
        ));
        let file = SuseKdump::read("KDUMP_SAVEDIR=\"file:///x\"\n").value;
        assert_eq!(file.savedir, SaveDir::File("/x".to_owned()));
    }
}
