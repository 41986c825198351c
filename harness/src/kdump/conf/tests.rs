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
         kdump_pre /bin/pre.sh\r\n\
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
        ("nfs h:/e", 1, 1, "`nfs` is not emulated yet"),
        (
            "ext4 /dev/a\nxfs /dev/b",
            2,
            1,
            "More than one dump targets specified",
        ),
        ("ext4 sda1", 1, 6, "Dump target sda1 is invalid"),
        ("default rebot", 1, 9, "`rebot` is no action for `default`"),
        (
            "failure_action shell",
            1,
            1,
            "Invalid kdump config option failure_action",
        ),
        ("core_collector mk \"-d", 1, 19, "the quote is never closed"),
        (
            "dracut_args --mount \"a b c\"",
            1,
            13,
            "`dracut_args --mount` is not emulated yet",
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
        KdumpConf::parse("raw /dev/a\nnet x\nfoo 1\n", Flavour::Rhel7)
            .unwrap_err()
            .len(),
        3
    );
}

proptest! {
    #[test]
    fn any_text(text in "(path|ext4|dracut_args|default|core_collector|[a-z]*)?[ \"'\\\\#=\t\r\n\\PC]{0,24}") {
        if let Err(errors) = KdumpConf::parse(&text, Flavour::Rhel7) {
            for error in errors {
                let underlined = text.get(error.at);
                prop_assert!(underlined.is_some_and(|it| !it.contains('\n')));
            }
        }
    }
}
