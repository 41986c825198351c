//! Which options each flavour knows, and what it says about the others.

use crate::kdump::error::shown;
use crate::kdump::flavour::Flavour;
use crate::suggest;

/// What a flavour does with an option's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// It takes it.
    Taken,
    /// It takes it, and warns.
    Renamed(&'static str),
    /// kdumpctl's list of options that are no more.
    Deprecated,
    /// Unknown to it.
    Unknown,
}

/// RHEL 6 alone: 2013's kdumpctl calls them deprecated and refuses them.
const OLD: [&str; 6] = [
    "net",
    "options",
    "link_delay",
    "disk_timeout",
    "debug_mem_level",
    "blacklist",
];

/// Every option with the flavours that take it, in the order of [`COLUMNS`].
const OPTIONS: [(&str, [bool; 5]); 29] = [
    ("raw", [true; 5]),
    ("ext2", [true; 5]),
    ("ext3", [true; 5]),
    ("ext4", [true; 5]),
    ("xfs", [true; 5]),
    ("btrfs", [true; 5]),
    ("minix", [false, true, true, true, true]),
    ("nfs", [true; 5]),
    ("nfs4", [true, false, false, false, false]),
    ("ssh", [true; 5]),
    // Fedora of 2022 (c743881), RHEL 9.2.
    ("virtiofs", [false, false, false, true, true]),
    ("sshkey", [true; 5]),
    ("path", [true; 5]),
    ("core_collector", [true; 5]),
    ("kdump_pre", [true; 5]),
    ("kdump_post", [true; 5]),
    // 2026.
    ("kdump_emergency", [false, false, false, false, true]),
    ("extra_bins", [true; 5]),
    ("extra_modules", [true; 5]),
    ("default", [true; 5]),
    // 2019 (cc95f0a, 242da37).
    ("failure_action", [false, false, true, true, true]),
    ("final_action", [false, false, true, true, true]),
    ("force_rebuild", [true; 5]),
    ("force_no_rebuild", [false, true, true, true, true]),
    // 2013.
    ("dracut_args", [false, true, true, true, true]),
    ("fence_kdump_args", [true; 5]),
    ("fence_kdump_nodes", [true; 5]),
    // 2021.
    ("auto_reset_crashkernel", [false, false, false, true, true]),
    // mkdumprd read it from 2013 to 2023, but kdumpctl refused it before.
    ("override_resettable", [false; 5]),
];

const COLUMNS: [Flavour; 5] = [
    Flavour::Rhel6,
    Flavour::Rhel7,
    Flavour::Rhel8,
    Flavour::Rhel9,
    Flavour::Fedora,
];

pub(super) fn rule(option: &str, flavour: Flavour) -> Rule {
    if OLD.contains(&option) {
        return match flavour {
            Flavour::Rhel6 => Rule::Taken,
            _ => Rule::Deprecated,
        };
    }
    if !takes(option, flavour) {
        return Rule::Unknown;
    }
    match (option, flavour) {
        ("default", Flavour::Rhel8 | Flavour::Rhel9 | Flavour::Fedora) => {
            Rule::Renamed("failure_action")
        }
        _ => Rule::Taken,
    }
}

fn takes(option: &str, flavour: Flavour) -> bool {
    OPTIONS.iter().any(|(name, taken)| {
        *name == option
            && COLUMNS
                .iter()
                .zip(taken)
                .any(|(column, taken)| *column == flavour && *taken)
    })
}

/// Everything that a flavour takes.
pub(super) fn names(flavour: Flavour) -> impl Iterator<Item = &'static str> {
    let old = OLD
        .iter()
        .copied()
        .filter(move |_| flavour == Flavour::Rhel6);
    OPTIONS
        .iter()
        .map(|(name, _)| *name)
        .filter(move |name| takes(name, flavour) && !OLD.contains(name))
        .chain(old)
}

/// Whether the name belongs to some flavour's kdump.conf.
pub(crate) fn is_option(name: &str) -> bool {
    OLD.contains(&name) || OPTIONS.iter().any(|(option, _)| *option == name)
}

/// What to write in place of an option that a flavour does not know.
pub(super) fn instead_of_unknown(option: &str, flavour: Flavour) -> Option<String> {
    let newer = |year: u16, what: &str| {
        Some(format!(
            "{flavour} does not know it (it is of {year}): {what}"
        ))
    };
    match option {
        "failure_action" => newer(2019, "write `default`, the older name"),
        "final_action" => newer(2019, "it reboots after a dump"),
        "dracut_args" => Some("RHEL 6 has no dracut: `extra_modules`, `blacklist`".to_owned()),
        "nfs4" => Some("write `nfs`".to_owned()),
        "virtiofs" => newer(2022, "remove the line"),
        "auto_reset_crashkernel" => newer(2021, "remove the line"),
        "kdump_emergency" => newer(2026, "remove the line"),
        "override_resettable" if flavour != Flavour::Rhel6 => Some(
            "mkdumprd read it from 2013 to 2023, but kdumpctl has always refused it: remove the \
             line"
                .to_owned(),
        ),
        _ if option.contains(char::is_whitespace) => {
            Some("option and value are separated by an ordinary blank".to_owned())
        }
        _ if is_option(option) => Some(format!("{flavour} does not know it: remove the line")),
        _ => match option.split_once('=') {
            Some((name, value)) if !name.is_empty() => Some(format!(
                "option and value are separated by a blank: `{} {}`",
                shown(name),
                shown(value)
            )),
            _ => suggest::closest(option, names(flavour).chain(OLD))
                .map(|closest| format!("did you mean `{closest}`?")),
        },
    }
}

/// What to write in place of an option that kdumpctl calls deprecated.
pub(super) fn instead_of_deprecated(option: &str, value: &str) -> String {
    let value = shown(value);
    let first_word = value.split_whitespace().next().unwrap_or("MODULE");
    match option {
        "blacklist" => {
            let drivers: Vec<&str> = value.split_whitespace().collect();
            let drivers = if drivers.is_empty() {
                vec!["DRIVER"]
            } else {
                drivers
            };
            format!(
                "to leave the driver out of the initramfs: `dracut_args --omit-drivers \"{}\"`; \
                 to keep it from being loaded: `rd.driver.blacklist={}` in \
                 KDUMP_COMMANDLINE_APPEND",
                drivers.join(" "),
                drivers.join(",")
            )
        }
        "net" if value.contains('@') => format!("ssh {value}"),
        "net" => format!("nfs {value}"),
        "options" => format!(
            "module options go on the command line: `{first_word}.OPTION=VALUE` in \
             KDUMP_COMMANDLINE_APPEND"
        ),
        "link_delay" => {
            "remove it, or write `rd.net.timeout.carrier=SECONDS` in KDUMP_COMMANDLINE_APPEND"
                .to_owned()
        }
        "disk_timeout" => {
            "remove it, or write `rd.retry=SECONDS` in KDUMP_COMMANDLINE_APPEND".to_owned()
        }
        _ => "remove it, or write `rd.memdebug=3` in KDUMP_COMMANDLINE_APPEND".to_owned(),
    }
}

/// The default for `core_collector` on x86_64.
pub(super) fn core_collector(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Rhel6 => "makedumpfile -c --message-level 1 -d 31",
        Flavour::Rhel7 => "makedumpfile -l --message-level 1 -d 31",
        _ => "makedumpfile -l --message-level 7 -d 31",
    }
}

/// A value to show for an option that lacks one.
pub(super) fn example(option: &str) -> &'static str {
    match option {
        "path" => super::DEFAULT_PATH,
        "core_collector" => "makedumpfile -l --message-level 1 -d 31",
        "kdump_pre" | "kdump_post" | "kdump_emergency" => "/usr/local/bin/script.sh",
        "default" | "failure_action" | "final_action" => "reboot",
        "extra_modules" | "blacklist" => "megaraid_sas",
        "extra_bins" => "/usr/bin/lftp",
        "dracut_args" => "--omit-drivers \"i40e ice\"",
        "force_rebuild" | "force_no_rebuild" | "debug_mem_level" => "0",
        "link_delay" | "disk_timeout" => "30",
        "nfs" | "nfs4" | "net" => "server:/export",
        "ssh" => "user@server",
        "sshkey" => super::DEFAULT_SSHKEY,
        "virtiofs" => "TAG",
        "auto_reset_crashkernel" => "yes",
        "fence_kdump_nodes" => "node1 node2",
        "fence_kdump_args" => "-p 7410 -f auto",
        "options" => "mlx4_core log_num_mac=0",
        _ => "/dev/nvme0n1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_flavour() {
        for (option, flavour, wanted) in [
            ("blacklist", Flavour::Rhel6, Rule::Taken),
            ("blacklist", Flavour::Rhel7, Rule::Deprecated),
            ("link_delay", Flavour::Rhel6, Rule::Taken),
            ("link_delay", Flavour::Fedora, Rule::Deprecated),
            ("default", Flavour::Rhel7, Rule::Taken),
            ("default", Flavour::Rhel9, Rule::Renamed("failure_action")),
            ("failure_action", Flavour::Rhel7, Rule::Unknown),
            ("failure_action", Flavour::Rhel8, Rule::Taken),
            ("auto_reset_crashkernel", Flavour::Rhel8, Rule::Unknown),
            ("auto_reset_crashkernel", Flavour::Rhel9, Rule::Taken),
            ("virtiofs", Flavour::Rhel8, Rule::Unknown),
            ("nfs4", Flavour::Rhel6, Rule::Taken),
            ("force_rebuild", Flavour::Rhel6, Rule::Taken),
            ("minix", Flavour::Rhel6, Rule::Unknown),
            ("override_resettable", Flavour::Rhel7, Rule::Unknown),
            ("nfs4", Flavour::Rhel7, Rule::Unknown),
            ("dracut_args", Flavour::Rhel6, Rule::Unknown),
            ("kdump_emergency", Flavour::Fedora, Rule::Taken),
            ("colour", Flavour::Fedora, Rule::Unknown),
        ] {
            assert_eq!(rule(option, flavour), wanted, "{option} {flavour}");
        }
    }
}
