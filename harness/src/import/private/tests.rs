use proptest::prelude::*;

use super::*;

/// Whether anything private is left.
fn leaks(text: &str) -> Option<String> {
    let patterns = &*PATTERNS;
    let found = |pattern: &Regex, kind| {
        let mut all = pattern
            .find_iter(text)
            .map(|found| found.as_str().to_owned());
        all.find(|found| !is_placeholder(kind, found))
    };
    found(&patterns.uuid, Kind::Uuid)
        .or_else(|| found(&patterns.mac, Kind::Mac))
        .or_else(|| found(&patterns.ipv6, Kind::V6))
        .or_else(|| found(&patterns.ipv4, Kind::V4))
        .or_else(|| {
            patterns
                .domain
                .find(text)
                .map(|found| found.as_str().to_owned())
        })
        .or_else(|| {
            patterns
                .home
                .find(text)
                .map(|found| found.as_str().to_owned())
        })
        .or_else(|| found(&patterns.serial, Kind::Serial))
        .or_else(|| {
            let mut logins = patterns.login.find_iter(text);
            logins
                .find(|found| !found.as_str().starts_with("kdump@"))
                .map(|found| found.as_str().to_owned())
        })
}

#[test]
fn placeholders() {
    let mut scrubber = Scrubber::new(false);
    for (text, clean) in [
        ("nfs 10.20.30.40:/export", "nfs 192.0.2.1:/export"),
        ("nfs 10.20.30.41:/export", "nfs 192.0.2.2:/export"),
        ("again 10.20.30.40", "again 192.0.2.1"),
        ("ssh jdoe@vault.acme.com", "ssh kdump@dump-server"),
        ("ssh jdoe@10.20.30.40", "ssh kdump@192.0.2.1"),
        ("nfs files.acme.internal:/dumps", "nfs dump-server:/dumps"),
        ("sshkey /home/jdoe/.ssh/id_rsa", "sshkey /root/.ssh/id_rsa"),
        (
            "ext4 UUID=4f2a9c11-7d0e-4e1b-9b1a-0d5be1f0aa21",
            "ext4 UUID=00000000-0000-4000-8000-000000000001",
        ),
        ("hwaddr a0:36:9f:11:22:33", "hwaddr 02:00:00:00:00:01"),
        ("netmask 255.255.255.0", "netmask 255.255.255.0"),
        (
            "raw /dev/disk/by-id/scsi-3600508b1001c4d5e",
            "raw /dev/disk/by-id/serial-number",
        ),
        (
            "xfs /dev/mapper/3600508b1001c4d5e8f",
            "xfs /dev/mapper/serial-number",
        ),
        ("nfs [fd00:1:2::7]:/x", "nfs [2001:db8::1]:/x"),
        (
            "core_collector makedumpfile -l --message-level 1 -d 31",
            "core_collector makedumpfile -l --message-level 1 -d 31",
        ),
        ("rd.driver.blacklist=i40e", "rd.driver.blacklist=i40e"),
        ("KDUMP_IMG=vmlinuz", "KDUMP_IMG=vmlinuz"),
        (
            "rd.net.timeout.carrier=30 rd.net",
            "rd.net.timeout.carrier=30 dump-server",
        ),
    ] {
        assert_eq!(scrubber.clean(text), clean);
    }
    assert_eq!(Scrubber::new(true).clean("ssh a@b.com"), "ssh a@b.com");
}

#[test]
fn names_of_hosts() {
    let mut facts = Facts {
        host: Some("DB7.corp.acme.example".to_owned()),
        ..Facts::default()
    };
    facts.kdump.conf = Some(crate::import::facts::Sourced {
        value: "nfs filer7:/vol/db7\nfence_kdump_nodes db8-hb crash 10.1.2.3\n# old:/x\n\
                dracut_args --mount \"store2:/acme /mnt nfs\"\npath /db7\n"
            .to_owned(),
        source: crate::import::facts::Source {
            file: "x".into(),
            line: None,
        },
    });
    let mut scrubber = Scrubber::of_machine(false, &facts);
    for (text, clean) in [
        ("path /db7_dumps", "path /host-name_dumps"),
        ("path /crash/db7.corp.acme.example", "path /crash/host-name"),
        ("path /db70/adb7", "path /db70/adb7"),
        ("hostname=db7 path /old", "hostname=host-name path /old"),
        (
            "nodes db8-hb crash 10.1.2.3",
            "nodes host-name crash 192.0.2.1",
        ),
        ("--mount store2:/x", "--mount host-name:/x"),
        ("filer7", "host-name"),
    ] {
        assert_eq!(scrubber.clean(text), clean);
    }
    assert_eq!(scrubber.replaced(), 6, "{:?}", scrubber.known);
    let keeps = Scrubber::of_machine(true, &facts).clean("db7");
    assert_eq!(keeps, "db7");
    // Names that are words, and none.
    facts.host = Some("host".to_owned());
    facts.kdump.conf = None;
    assert_eq!(
        Scrubber::of_machine(false, &facts).clean("host-name"),
        "host-name"
    );
}

#[test]
fn parameters_that_matter() {
    let line = "BOOT_IMAGE=/vmlinuz-3.10.0 root=/dev/mapper/acme-root ro crashkernel=auto \
                rd.lvm.lv=acme/root ip=10.0.0.7::10.0.0.1:255.255.255.0:web1:eth0:none \
                console=ttyS0 intel_iommu=on mpt3sas.max_queue_depth=100 nfs.nfs4_unique_id=web1";
    let found = parameters(line, &["mpt3sas"]);
    assert_eq!(
        found.kept,
        ["intel_iommu=on", "mpt3sas.max_queue_depth=100"]
    );
    assert!(found.left.iter().any(|name| name == "ip"));
    assert!(!found.left.concat().contains("10.0"));
}

proptest! {
    #[test]
    fn nothing_private_is_left(parts in prop::collection::vec(prop_oneof![
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}",
        "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){1,7}",
        "[0-9a-f]{0,4}::[0-9a-f]{0,4}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[a-z]{1,6}@[a-z]{1,5}\\.(com|lan|local)",
        "/home/[a-z]{1,8}",
        "(wwn|scsi|ata)-[0-9a-zA-Z_.]{6,20}",
        "[0-9a-f]{15,33}",
        "[ /=:,.@-]",
        "[a-z]{1,6}",
    ], 0..12)) {
        let text = parts.concat();
        let clean = Scrubber::new(false).clean(&text);
        prop_assert!(leaks(&clean).is_none(), "{:?} became {:?}: {:?}", text, clean, leaks(&clean));
    }
}
