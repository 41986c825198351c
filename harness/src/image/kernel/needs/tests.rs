use proptest::prelude::*;

use super::*;

/// A configuration in which everything is built in but `without`.
fn config(without: &[&str], module: &[&str]) -> KernelConfig {
    let mut text = String::from("CONFIG_LOG_BUF_SHIFT=17\n");
    let symbols = NEEDS.iter().flat_map(|need| need.symbols);
    for symbol in symbols.filter(|symbol| !without.contains(symbol)) {
        let value = if module.contains(symbol) { "m" } else { "y" };
        text += &format!("CONFIG_{symbol}={value}\n");
    }
    KernelConfig::parse(text.as_bytes()).unwrap()
}

fn symbols(config: &KernelConfig, release: &str, does: Does) -> Vec<&'static str> {
    let lacking = lacking(config, release, does);
    lacking.iter().map(|need| need.symbols[0]).collect()
}

const NOTHING_MORE: Does = Does {
    modules: false,
    scripts: false,
    network: false,
};

#[test]
fn what_is_missing_is_named() {
    let of = |without: &[&str], module: &[&str]| {
        symbols(&config(without, module), "6.1.0-50-amd64", Does::EVERYTHING)
    };
    assert_eq!(of(&[], &[]), [""; 0]);
    assert_eq!(of(&["KEXEC"], &[]), ["KEXEC"]);
    // Before /init no module can be loaded.
    assert_eq!(of(&[], &["SERIAL_8250"]), ["SERIAL_8250"]);
    assert_eq!(of(&["DEVPORT"], &[]), [""; 0]);
    assert_eq!(
        of(&["X86_IOPL_IOPERM", "DEVPORT"], &[]),
        ["X86_IOPL_IOPERM"]
    );
    let unknown = lacking(&KernelConfig::UNKNOWN, "6.1.0", Does::EVERYTHING);
    assert!(unknown.is_empty(), "what nobody knows is not missing");
}

#[test]
fn each_is_missed_on_its_own() {
    for need in &NEEDS {
        let config = config(need.symbols, &[]);
        let found = lacking(&config, "6.12.1", Does::EVERYTHING);
        assert_eq!(found, [need]);
        let text = found[0].to_string();
        assert!(
            text.contains(&format!("CONFIG_{}=y", need.symbols[0])),
            "{text}"
        );
        assert!(
            text.contains(need.source) && text.contains(need.without),
            "{text}"
        );
    }
}

#[test]
fn symbols_that_an_old_kernel_has_not() {
    let config = config(&["X86_IOPL_IOPERM", "DEVPORT", "BINFMT_SCRIPT"], &[]);
    let of = |release| symbols(&config, release, Does::EVERYTHING);
    assert_eq!(of("2.6.32-754.el6.x86_64"), [""; 0]);
    assert_eq!(of("3.10.0-693.5.2.el7.x86_64"), ["BINFMT_SCRIPT"]);
    assert_eq!(of("5.4.0"), ["BINFMT_SCRIPT"]);
    assert_eq!(of("5.5.0-rc1"), ["X86_IOPL_IOPERM", "BINFMT_SCRIPT"]);
    assert_eq!(of("not a release"), ["X86_IOPL_IOPERM", "BINFMT_SCRIPT"]);
}

#[test]
fn only_what_a_drill_does() {
    let config = config(&["MODULES", "BINFMT_SCRIPT", "INET"], &[]);
    assert_eq!(symbols(&config, "6.1", NOTHING_MORE), [""; 0]);
    let scripts = Does {
        scripts: true,
        ..NOTHING_MORE
    };
    assert_eq!(symbols(&config, "6.1", scripts), ["BINFMT_SCRIPT"]);
    assert_eq!(symbols(&config, "6.1", Does::EVERYTHING).len(), 3);
}

#[test]
fn who_knows_auto() {
    let unknown = KernelConfig::UNKNOWN;
    for (release, knows) in [
        ("2.6.32-754.el6.x86_64", true),
        ("3.10.0-693.5.2.el7.x86_64", true),
        ("4.18.0-553.el8_10.x86_64", true),
        ("5.14.0-427.el9.x86_64", false),
        ("5.14.0-427.el90.x86_64", false),
        ("4.18.0-1.el80.x86_64", false),
        ("5.4.278-1.el7.elrepo.x86_64", false),
        ("6.1.0-50-amd64", false),
        ("6.8.5-301.fc40.x86_64", false),
        ("", false),
    ] {
        assert_eq!(knows_auto(&unknown, release), knows, "{release}");
    }
    let with = |symbol: &str| {
        let text = format!("CONFIG_X86_64=y\nCONFIG_{symbol}\n");
        KernelConfig::parse(text.as_bytes()).unwrap()
    };
    // Built by oneself without the patch, under Red Hat's name.
    let plain = with("KEXEC=y");
    assert!(!knows_auto(&plain, "3.10.0-693.el7.x86_64"));
    assert!(knows_auto(&plain, "4.18.0-553.el8_10.x86_64"));
    assert!(knows_auto(
        &with("KEXEC_AUTO_RESERVE=y"),
        "3.8.13-118.el6uek.x86_64"
    ));
    assert!(knows_auto(
        &with("CRASH_AUTO_STR=\"1G-:128M\""),
        "5.4.17.x86_64"
    ));
}

proptest! {
    #[test]
    fn any_release(release in "\\PC{0,40}|[0-9.]{0,30}|([0-9]|el[678]|[._-]){0,12}") {
        let _ = version(&release);
        let _ = knows_auto(&KernelConfig::UNKNOWN, &release);
    }
}
