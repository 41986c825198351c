//! The capture kernel's command line, put together as kdumpctl does, and which drivers it keeps
//! out.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::assembly::Assembly;
use super::conf::KdumpConf;
use super::flavour::Flavour;
use super::sysconfig::Sysconfig;
use super::words::kernel_words;

/// KDUMP_COMMANDLINE_REMOVE of RHEL 7.3 on x86_64, where /etc/sysconfig/kdump does not say.
pub const DEFAULT_REMOVE: &str = "hugepages hugepagesz slub_debug quiet";

/// KDUMP_COMMANDLINE_APPEND of RHEL 7.3 on x86_64, where /etc/sysconfig/kdump does not say.
pub const DEFAULT_APPEND: &str = "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off \
                                  numa=off udev.children-max=2 panic=10 rootflags=nofail \
                                  acpi_no_memhotplug transparent_hugepage=never";

/// KDUMP_COMMANDLINE_REMOVE in the file that a flavour comes with on x86_64.
pub fn default_remove(flavour: Flavour) -> &'static str {
    match flavour {
        // RHEL 6 does not read the key.
        Flavour::Rhel6 => "",
        Flavour::Rhel8 => "hugepages hugepagesz slub_debug quiet log_buf_len swiotlb",
        Flavour::Rhel9 => {
            "hugepages hugepagesz slub_debug quiet log_buf_len swiotlb cma hugetlb_cma \
             ignition.firstboot"
        }
        Flavour::Fedora => {
            "hugepages hugepagesz slub_debug quiet log_buf_len swiotlb hugetlb_cma \
             ignition.firstboot cma"
        }
        _ => DEFAULT_REMOVE,
    }
}

/// KDUMP_COMMANDLINE_APPEND in the file that a flavour comes with on x86_64.
pub fn default_append(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Rhel6 => "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off",
        Flavour::Rhel8 => {
            "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off \
             udev.children-max=2 panic=10 rootflags=nofail acpi_no_memhotplug \
             transparent_hugepage=never nokaslr novmcoredd hest_disable"
        }
        Flavour::Rhel9 => {
            "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off \
             udev.children-max=2 panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr \
             hest_disable novmcoredd cma=0 hugetlb_cma=0 pcie_ports=compat"
        }
        Flavour::Fedora => {
            "novmcoredd hugetlb_cma=0 kfence.sample_interval=0 initramfs_options=size=90% irqpoll \
             nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off udev.children-max=2 \
             panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr hest_disable cma=0 \
             pcie_ports=compat"
        }
        _ => DEFAULT_APPEND,
    }
}

/// What kdumpctl removes whatever the configuration says.
const ALWAYS_REMOVED: [&str; 11] = [
    "crashkernel",
    "panic_on_warn",
    "root",
    "rd.lvm.lv",
    "rd.luks.uuid",
    "rd.dm.uuid",
    "rd.md.uuid",
    "fcoe",
    "netroot",
    "rd.iscsi.initiator",
    "iscsi_initiator",
];

/// The capture kernel's command line. `first` is the first kernel's (/proc/cmdline), which
/// KDUMP_COMMANDLINE replaces; `boot_apic_id` is the APIC id of the first kernel's boot CPU, which
/// the capture kernel must leave alone when it was started on another.
///
/// What kdumpctl adds for a machine's watchdog or for AWS is not: a drill's machine has neither.
/// RHEL 6's init script has no KDUMP_COMMANDLINE_REMOVE; what it takes away is what it always does.
pub fn assemble(
    flavour: Flavour,
    first: &str,
    sysconfig: &Sysconfig,
    boot_apic_id: u32,
) -> Assembly {
    let base = sysconfig.kdump_commandline.as_deref();
    let mut line = match base.filter(|base| !base.trim().is_empty()) {
        Some(base) => Assembly::from("KDUMP_COMMANDLINE", base),
        None => Assembly::from("/proc/cmdline", first),
    };
    let append = sysconfig.kdump_commandline_append.as_deref();
    let append = append.unwrap_or_else(|| default_append(flavour));
    if flavour == Flavour::Rhel6 {
        line.remove("kdump", &["crashkernel", "mem", "hugepages", "hugepagesz"]);
        line.append("KDUMP_COMMANDLINE_APPEND", append);
        line.append_new("kdump", &format!("disable_cpu_apicid={boot_apic_id}"));
        return line;
    }
    let remove = sysconfig.kdump_commandline_remove.as_deref();
    let remove = kernel_words(remove.unwrap_or_else(|| default_remove(flavour)));
    line.remove("KDUMP_COMMANDLINE_REMOVE", &remove);
    line.remove("kdumpctl", &ALWAYS_REMOVED);
    let modern = matches!(flavour, Flavour::Rhel9 | Flavour::Fedora);
    if modern {
        line.remove_words("kdumpctl", |word| word.ends_with('='));
    }
    line.append("KDUMP_COMMANDLINE_APPEND", append);
    line.append_new("kdumpctl", &format!("disable_cpu_apicid={boot_apic_id}"));
    if modern {
        line.append_new("kdumpctl", "rd.systemd.gpt_auto=no");
    }
    line
}

/// The value of the last `parameter=` on a command line, which is the one that counts.
pub fn last_value<'a>(commandline: &'a str, parameter: &str) -> Option<&'a str> {
    kernel_words(commandline)
        .into_iter()
        .filter_map(|word| word.split_once('='))
        // The kernel takes - and _ in a parameter's name for the same.
        .rfind(|(name, _)| name.replace('-', "_") == parameter)
        .map(|(_, value)| unquoted(value))
}

/// What modprobe hands to a module from the kernel's command line: of each word
/// `module.parameter=value` what stands behind the dot (libkmod-config.c, kcmdline_parse).
pub fn module_parameters(commandline: &str, module: &str) -> Vec<String> {
    let words = kernel_words(commandline).into_iter();
    words
        .filter_map(|word| {
            let (quote, rest) = match word.strip_prefix('"') {
                Some(rest) => ("\"", rest),
                None => ("", word),
            };
            let (name, parameter) = rest.split_once('.')?;
            let same = name.replace('-', "_") == module && !parameter.is_empty();
            same.then(|| format!("{quote}{parameter}"))
        })
        .collect()
}

/// A driver that the capture kernel is not to load.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeptOut {
    /// With underscores, as the kernel knows it.
    pub driver: String,
    /// What keeps it out.
    pub by: KeptOutBy,
}

/// What keeps a driver out of the capture kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptOutBy {
    /// dracut's `rd.driver.blacklist=`.
    RdDriverBlacklist,
    /// modprobe's `modprobe.blacklist=`.
    ModprobeBlacklist,
    /// The kernel's own `module_blacklist=`; 3.10 does not know it.
    ModuleBlacklist,
    /// `dracut_args --omit-drivers`: it is not in the initramfs at all.
    OmitDrivers,
    /// RHEL 6's `blacklist`, which mkdumprd writes for modprobe.
    Blacklist,
}

impl fmt::Display for KeptOutBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RdDriverBlacklist => "rd.driver.blacklist=",
            Self::ModprobeBlacklist => "modprobe.blacklist=",
            Self::ModuleBlacklist => "module_blacklist=",
            Self::OmitDrivers => "--omit-drivers=",
            Self::Blacklist => "blacklist ",
        })
    }
}

/// The drivers that a capture command line and kdump.conf keep out of the capture kernel, in the
/// order in which they are named. dracut takes `--omit-drivers` for patterns; here they are names.
pub fn kept_out(commandline: &str, conf: &KdumpConf) -> Vec<KeptOut> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |driver: &str, by| {
        let driver = driver.trim().replace('-', "_");
        let kept_out = KeptOut { driver, by };
        if !kept_out.driver.is_empty() && seen.insert(kept_out.clone()) {
            found.push(kept_out);
        }
    };
    for word in kernel_words(commandline) {
        let Some((parameter, list)) = word.split_once('=') else {
            continue;
        };
        // The kernel takes - and _ in a parameter's name for the same.
        let by = match parameter.replace('-', "_").as_str() {
            "rd.driver.blacklist" => KeptOutBy::RdDriverBlacklist,
            "modprobe.blacklist" => KeptOutBy::ModprobeBlacklist,
            "module_blacklist" => KeptOutBy::ModuleBlacklist,
            _ => continue,
        };
        for driver in unquoted(list).split(',') {
            add(driver, by);
        }
    }
    for driver in &conf.omit_drivers {
        add(driver, KeptOutBy::OmitDrivers);
    }
    for driver in &conf.blacklist {
        add(driver, KeptOutBy::Blacklist);
    }
    found
}

fn unquoted(value: &str) -> &str {
    let value = value.strip_prefix('"').unwrap_or(value);
    value.strip_suffix('"').unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capture_commandline(first: &str, sysconfig: &Sysconfig, apic_id: u32) -> String {
        assemble(Flavour::Rhel7, first, sysconfig, apic_id).to_string()
    }

    fn sysconfig(base: Option<&str>, remove: Option<&str>, append: Option<&str>) -> Sysconfig {
        Sysconfig {
            kdump_commandline: base.map(str::to_owned),
            kdump_commandline_remove: remove.map(str::to_owned),
            kdump_commandline_append: append.map(str::to_owned),
            ..Sysconfig::default()
        }
    }

    #[test]
    fn assembled_as_kdumpctl_does() {
        let first = "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro crashkernel=256M quiet console=ttyS0";
        for (first, sysconfig, wanted) in [
            (
                first,
                sysconfig(None, None, Some("nr_cpus=1")),
                "BOOT_IMAGE=/vmlinuz ro console=ttyS0 nr_cpus=1 disable_cpu_apicid=0",
            ),
            (
                first,
                sysconfig(None, Some(""), Some("")),
                "BOOT_IMAGE=/vmlinuz ro quiet console=ttyS0 disable_cpu_apicid=0",
            ),
            (
                first,
                sysconfig(
                    Some("console=tty0 crashkernel=1G,high rootdelay=3"),
                    None,
                    Some("a"),
                ),
                "console=tty0 rootdelay=3 a disable_cpu_apicid=0",
            ),
            // Only whole words go, and a quoted blank does not end one.
            (
                "quiet_please slub_debug=FZ slub_debug_x dyndbg=\"file a +p\" quiet",
                sysconfig(None, None, Some("")),
                "quiet_please slub_debug_x dyndbg=\"file a +p\" disable_cpu_apicid=0",
            ),
            (
                "x dyndbg=\"quiet root=1\"",
                sysconfig(None, None, Some("disable_cpu_apicid=4")),
                "x dyndbg=\"quiet root=1\" disable_cpu_apicid=4",
            ),
            // What is appended is not removed again.
            (
                "quiet",
                sysconfig(None, None, Some("quiet root=/dev/x")),
                "quiet root=/dev/x disable_cpu_apicid=0",
            ),
        ] {
            assert_eq!(capture_commandline(first, &sysconfig, 0), wanted);
        }
        let default = capture_commandline("", &Sysconfig::default(), 2);
        assert_eq!(default, format!("{DEFAULT_APPEND} disable_cpu_apicid=2"));
    }

    #[test]
    fn assembled_as_rhel_6_does() {
        let first = "ro root=/dev/sda1 quiet crashkernel=128M mem=4G hugepages=8 memtest";
        let line = assemble(
            Flavour::Rhel6,
            first,
            &sysconfig(None, Some("quiet"), Some("maxcpus=1")),
            3,
        );
        assert_eq!(
            line.to_string(),
            "ro root=/dev/sda1 quiet memtest maxcpus=1 disable_cpu_apicid=3"
        );
    }

    #[test]
    fn parameters_of_a_module() {
        let line =
            "rd.driver.blacklist=x nvme.a=1 nvme_core.b=2 \"nvme.c=d e\" nvme-core.f nvme. nvme";
        let of = |module| module_parameters(line, module);
        assert_eq!(of("nvme"), ["a=1", "\"c=d e\""]);
        assert_eq!(of("nvme_core"), ["b=2", "f"]);
        assert!(of("driver").is_empty());
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(last_value("nr_cpus=1 x nr_cpus=4", "nr_cpus"), Some("4"));
        assert_eq!(last_value("nr_cpus", "nr_cpus"), None);
        assert_eq!(last_value("nr_cpus=1 nr-cpus=2", "nr_cpus"), Some("2"));
        assert_eq!(last_value("a=\"b c\"", "a"), Some("b c"));
    }

    #[test]
    fn drivers_kept_out() {
        let conf =
            KdumpConf::parse("dracut_args --omit-drivers \"i40e ice\"\n", Flavour::Rhel7).unwrap();
        let found = kept_out(
            "rd.driver.blacklist=virtio-console,i40e x modprobe.blacklist=a,,b \
             module_blacklist=\"c\" rd.driver.blacklist=i40e blacklist=no",
            &conf,
        );
        let found: Vec<String> = found
            .iter()
            .map(|kept| format!("{} {}", kept.driver, kept.by))
            .collect();
        assert_eq!(
            found,
            [
                "virtio_console rd.driver.blacklist=",
                "i40e rd.driver.blacklist=",
                "a modprobe.blacklist=",
                "b modprobe.blacklist=",
                "c module_blacklist=",
                "i40e --omit-drivers=",
                "ice --omit-drivers=",
            ]
        );
    }

    proptest! {
        #[test]
        fn removed_words_never_survive(first in "([a-z=]{0,6} ?(quiet|root=[a-z]*)? ){0,6}") {
            let line = capture_commandline(&first, &sysconfig(None, None, Some("")), 0);
            for word in line.split(' ') {
                prop_assert!(word != "quiet" && !word.starts_with("root="));
            }
        }
    }
}
