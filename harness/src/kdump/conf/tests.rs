use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> KdumpConf {
    KdumpConf::parse(text, Flavour::Rhel7).unwrap()
}

fn one_error(text: &str) -> ConfError {
    let mut errors = KdumpConf::parse(text, Flavour::Rhel7).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn whole_file() {
    let conf = parse(
        "# kdump.conf\n\
         \n\
         ext4 /dev/nvme0n1 # the spare disk\n\
         path /crash\n\
         path \"/var/crash/here\"\n\
         core_collector makedumpfile -l --message-level 1 -d 31\n\
         kdump_pre /bin/pre.sh\n\
         default shell\n\
         extra_modules a b\n\
         dracut_args --omit-drivers \"i40e ice\" --add-drivers=c\n\
         force_rebuild 1\n",
    );
    assert_eq!(
        conf.target,
        Some(DumpTarget::Filesystem {
            filesystem: Filesystem::Ext4,
            device: TargetDevice::Node("/dev/nvme0n1".to_owned())
        })
    );
    assert_eq!(conf.path, "/var/crash/here");
    assert_eq!(
        conf.core_collector[0..3],
        ["makedumpfile", "-l", "--message-level"]
    );
    assert_eq!(conf.kdump_pre.as_deref(), Some("/bin/pre.sh"));
    assert_eq!(conf.failure_action, FailureAction::Shell);
    assert_eq!(conf.extra_modules, ["a", "b", "c"]);
    assert_eq!(conf.omit_drivers, ["i40e", "ice"]);
    assert_eq!(parse(""), KdumpConf::default());
    assert_eq!(
        parse("xfs LABEL=dump").target,
        Some(DumpTarget::Filesystem {
            filesystem: Filesystem::Xfs,
            device: TargetDevice::Label("dump".to_owned())
        })
    );
    assert_eq!(
        parse("xfs UUID=\"1-2\"").target,
        Some(DumpTarget::Filesystem {
            filesystem: Filesystem::Xfs,
            device: TargetDevice::Uuid("1-2".to_owned())
        })
    );
}

#[test]
fn refusals() {
    for (text, line, column, message) in [
        (
            "blacklist i40e",
            1,
            1,
            "Deprecated kdump config option: blacklist. Refer to kdump.conf manpage for \
             alternatives.",
        ),
        (
            "path /a\ncore_colector x",
            2,
            1,
            "Invalid kdump config option core_colector",
        ),
        ("path", 1, 1, "Invalid kdump config value for option path."),
        (
            "\n  path /a",
            2,
            1,
            "No whitespaces are allowed before a kdump option name in \
             /etc/kdump.conf",
        ),
        ("nfs h", 1, 5, "Dump target h is invalid"),
        ("ssh there", 1, 5, "Bad ssh dump target"),
        ("raw sda", 1, 5, "Bad raw disk sda"),
        (
            "raw /dev/a\ncore_collector makedumpfile -l -d 31",
            2,
            16,
            "The specified dump target needs makedumpfile \"-F\" option.",
        ),
        (
            "core_collector makedumpfile -l -d 32",
            1,
            16,
            "makedumpfile parameter check failed. (`-d 32`)",
        ),
        (
            "ext4 /dev/a\nxfs /dev/b",
            2,
            1,
            "More than one dump targets specified",
        ),
        ("ext4 sda1", 1, 6, "Dump target sda1 is invalid"),
        (
            "default rebot",
            1,
            9,
            "Usage kdump.conf: default {reboot|halt|poweroff|shell|dump_to_rootfs}",
        ),
        (
            "failure_action shell",
            1,
            1,
            "Invalid kdump config option failure_action",
        ),
        ("core_collector mk \"-d", 1, 19, "the quote is never closed"),
        (
            "dracut_args --mount \"/dev/a / xfs\" --mount \"/dev/b /b xfs\"",
            1,
            13,
            "Multiple mount targets specified in one \"dracut_args\".",
        ),
        (
            "kdump_pre pre.sh",
            1,
            11,
            "`kdump_pre` takes the absolute path of a program",
        ),
    ] {
        let error = one_error(text);
        assert_eq!(
            (error.line, error.column, error.message.as_str()),
            (line, column, message)
        );
    }
    assert_eq!(
        one_error("core_colector x").help.as_deref(),
        Some("did you mean `core_collector`?")
    );
    assert!(
        one_error("blacklist a b")
            .help
            .unwrap()
            .contains("--omit-drivers \"a b\"")
    );
}

#[test]
fn every_error_is_found() {
    assert_eq!(
        KdumpConf::parse("raw a\nnet x\nfoo 1\n", Flavour::Rhel7)
            .unwrap_err()
            .len(),
        3
    );
}

fn messages(errors: &[ConfError]) -> Vec<&str> {
    errors.iter().map(|error| error.message.as_str()).collect()
}

#[test]
fn targets() {
    let target = |text| parse(text).target.unwrap();
    assert_eq!(
        target("raw /dev/sdb"),
        DumpTarget::Raw("/dev/sdb".to_owned())
    );
    assert_eq!(
        target("nfs [2001:db8::1]:/export"),
        DumpTarget::Nfs {
            host: "[2001:db8::1]".to_owned(),
            export: "/export".to_owned()
        }
    );
    assert_eq!(
        target("ssh me@2001:db8::1"),
        DumpTarget::Ssh {
            user: "me".to_owned(),
            host: "2001:db8::1".to_owned()
        }
    );
    assert_eq!(
        target("dracut_args --mount \"/dev/vg/x /mnt xfs defaults\""),
        DumpTarget::Filesystem {
            filesystem: Filesystem::Xfs,
            device: TargetDevice::Node("/dev/vg/x".to_owned())
        }
    );
    for flattened in ["raw /dev/sdb", "ssh me@there"] {
        assert_eq!(parse(flattened).core_collector.last().unwrap(), "-F");
    }
    let net = |text| KdumpConf::read(text, Flavour::Rhel6);
    assert!(matches!(
        net("net me@h").value.target,
        Some(DumpTarget::Ssh { .. })
    ));
    let nfs = net("net h:/e");
    assert!(matches!(nfs.value.target, Some(DumpTarget::Nfs { .. })));
    assert_eq!(nfs.warnings.len(), 1);
}

#[test]
fn rhel_6() {
    let text = "net server:/export\nlink_delay 60\ndisk_timeout 30\noptions mlx4_core a=1 b=2\n\
                blacklist gfs2\nblacklist be2net i40e\ndefault shell\n";
    let conf = KdumpConf::parse(text, Flavour::Rhel6).unwrap();
    assert_eq!(conf.blacklist, ["gfs2", "be2net", "i40e"]);
    assert_eq!(
        conf.module_options,
        [("mlx4_core".to_owned(), "a=1 b=2".to_owned())]
    );
    assert_eq!(
        messages(&KdumpConf::parse(text, Flavour::Rhel8).unwrap_err()).len(),
        6
    );
    assert_eq!(
        messages(&conf.not_emulated(text)),
        [
            "`link_delay` is not emulated yet",
            "`disk_timeout` is not emulated yet"
        ]
    );
}

#[test]
fn rhel_6_takes_what_its_mkdumprd_takes() {
    let text = "force_rebuild 1\ndefault mount_root_run_init\nssh root@dumps\n\
                core_collector makedumpfile -c -d 31\n";
    let read = KdumpConf::read(text, Flavour::Rhel6);
    assert_eq!((&read.errors[..], &read.warnings[..]), (&[][..], &[][..]));
    assert_eq!(
        messages(&read.value.not_emulated(text)),
        ["`default mount_root_run_init` is not emulated yet"]
    );
    let refused = |text| KdumpConf::parse(text, Flavour::Rhel6).unwrap_err();
    assert_eq!(
        messages(&refused("minix /dev/a\ndefault dump_to_rootfs\n")),
        [
            "Unknown parameter minix",
            "dump_to_rootfs is not a valid default option"
        ]
    );
    let flat = KdumpConf::read("core_collector makedumpfile -F\n", Flavour::Rhel6);
    assert!(flat.warnings[0].message.contains("is flattened"));
}

/// mkdumprd looks for these two letters, and kdump.sh takes them out.
#[test]
fn the_letters_of_flat() {
    let read = |text| KdumpConf::read(text, Flavour::Rhel9);
    let piped = read("ssh a@b\ncore_collector makedumpfile -lF -d 31\n");
    assert_eq!(
        messages(&piped.errors),
        ["The specified dump target needs makedumpfile \"-F\" option."]
    );
    assert_eq!(
        read("ssh a@b\ncore_collector makedumpfile -Fl -d 31\n").errors,
        []
    );
    let stays = read("core_collector makedumpfile -lF -d 31\n");
    assert!(stays.warnings[0].message.contains("is flattened"));
    let torn = read("core_collector makedumpfile -Fl -d 31\n");
    assert!(torn.errors[0].message.contains("makedumpfile fails on `l`"));
}

#[test]
fn newlines_of_windows() {
    let read = |flavour| KdumpConf::read("path /a\r\ndefault halt\r\n", flavour);
    for flavour in [Flavour::Rhel6, Flavour::Rhel7] {
        let errors = read(flavour).errors;
        assert_eq!(errors.len(), 1, "{flavour}");
        assert!(errors[0].message.starts_with("newlines of Windows"));
    }
    assert_eq!(read(Flavour::Rhel9).errors, []);
}

#[test]
fn since_rhel_8() {
    for flavour in [Flavour::Rhel8, Flavour::Rhel9, Flavour::Fedora] {
        let read = KdumpConf::read("  default shell\nfinal_action poweroff\n", flavour);
        assert_eq!(read.errors, []);
        assert_eq!(read.value.failure_action, FailureAction::Shell);
        assert_eq!(read.value.final_action, FinalAction::Poweroff);
        assert_eq!(
            messages(&read.warnings),
            [
                "WARNING: Option 'default' was renamed 'failure_action' and will be removed in the \
              future."
            ]
        );
        assert_eq!(
            messages(&KdumpConf::parse("path /a\npath /b\nsshkey\n", flavour).unwrap_err()),
            [
                "Duplicated kdump config value of option path",
                "Invalid kdump config value for option 'sshkey'"
            ]
        );
        assert_eq!(
            messages(
                &KdumpConf::parse("default halt\nfailure_action halt\n", flavour).unwrap_err()
            ),
            ["Cannot specify 'failure_action' and 'default' option together"]
        );
    }
    let both = "force_rebuild 1\nforce_no_rebuild 1\n";
    assert_eq!(
        messages(&KdumpConf::parse(both, Flavour::Rhel7).unwrap_err()),
        ["force_rebuild and force_no_rebuild are enabled simultaneously in kdump.conf"]
    );
}

#[test]
fn what_a_drill_does_not_act_out() {
    let text = "virtiofs tag\nfence_kdump_nodes a b\nkdump_emergency /bin/x\n\
                dracut_args --omit-drivers \"a b\" --add network\nextra_bins /bin/y\n";
    let conf = KdumpConf::parse(text, Flavour::Fedora).unwrap();
    assert_eq!(conf.dracut_args, ["--add", "network"]);
    let missing = conf.not_emulated(text);
    assert_eq!(
        messages(&missing),
        [
            "`virtiofs` is not emulated yet",
            "`fence_kdump_nodes` is not emulated yet",
            "`dracut_args --add` is not emulated yet",
        ]
    );
    let places: Vec<_> = missing.iter().map(|it| &text[it.at.clone()]).collect();
    assert_eq!(places, ["virtiofs", "fence_kdump_nodes", "dracut_args"]);
    let all = "ext4 LABEL=x\ndracut_args --force-drivers=\"a\"\nfinal_action halt\n";
    let conf = KdumpConf::parse(all, Flavour::Rhel9).unwrap();
    assert_eq!(conf.not_emulated(all), []);
}

#[test]
fn warnings() {
    for (text, warning) in [
        ("path /a\npath /b\n", "`path` a second time"),
        ("raw /dev/a\npath /b\n", "`path` is ignored"),
        ("sshkey /k\n", "`sshkey` is for an `ssh` target"),
        (
            "ext4 /dev/a\ncore_collector makedumpfile -F -d 31\n",
            "takes it out again",
        ),
        ("ssh a@b\ncore_collector cp\n", "standard output"),
        ("raw /dev/a\ncore_collector dd\n", "non-makedumpfile"),
    ] {
        let read = KdumpConf::read(text, Flavour::Rhel7);
        assert_eq!(read.errors, [], "{text}");
        let [found] = &read.warnings[..] else {
            panic!("{text}: {:?}", read.warnings);
        };
        assert!(found.message.contains(warning), "{text}: {found}");
    }
}

#[test]
fn minix_is_accepted_and_not_acted_out() {
    for flavour in [Flavour::Rhel7, Flavour::Rhel9, Flavour::Fedora] {
        let text = "minix /dev/sdb1\n";
        let conf = KdumpConf::parse(text, flavour).unwrap();
        let device = TargetDevice::Node("/dev/sdb1".to_owned());
        assert_eq!(conf.target, Some(DumpTarget::Minix(device)));
        assert_eq!(conf.not_emulated(text).len(), 1);
    }
}

proptest! {
    #[test]
    fn any_text(text in "((path|ext4|raw|dracut_args|default|core_collector|nfs|ssh|[a-z]*)?[ \"'\\\\#=\t\r\n\\PC]{0,12}){0,4}") {
        for flavour in Flavour::ALL {
            let read = KdumpConf::read(&text, flavour);
            for error in read.errors.iter().chain(&read.warnings) {
                let underlined = text.get(error.at.clone());
                prop_assert!(underlined.is_some_and(|it| !it.contains('\n')));
            }
            read.value.not_emulated(&text);
        }
    }
}

#[test]
fn scp_is_for_ssh() {
    let parse =
        |target: &str| KdumpConf::parse(&format!("{target}\ncore_collector scp\n"), Flavour::Rhel7);
    parse("ssh root@dumps").unwrap();
    parse("ext4 /dev/a").unwrap_err();
}
