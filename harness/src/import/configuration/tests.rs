use super::*;
use crate::import::facts::{Source, Sourced};

fn sourced(text: &str) -> Option<Sourced<String>> {
    Some(Sourced {
        value: text.to_owned(),
        source: Source {
            file: "etc/kdump.conf".into(),
            line: None,
        },
    })
}

fn conf(text: &str) -> Drilled {
    let mut facts = Facts::default();
    facts.kdump.conf = sourced(text);
    configuration(&facts, "/dev/sda", &mut Scrubber::new(false))
}

#[test]
fn devices_hosts_and_scripts() {
    let drilled = conf(
        "# written by jdoe on web1.acme.com\n\nxfs /dev/mapper/acme-crash\npath /var/crash\n\
         core_collector makedumpfile -l --message-level 1 -d 31\nkdump_post /var/crash/scripts/post.sh\n\
         fence_kdump_nodes node2.acme.com\ndefault dump_to_rootfs\n",
    );
    let text = drilled.kdump.conf.unwrap();
    insta::assert_snapshot!(text, @"
    xfs UUID=00000000-0000-4000-8000-000000000001
    path /var/crash
    core_collector makedumpfile -l --message-level 1 -d 31
    # left out, its files are not at hand: kdump_post /var/crash/scripts/post.sh
    # left out, `fence_kdump_nodes` is not emulated yet: fence_kdump_nodes dump-server
    default dump_to_rootfs
    ");
    assert!(drilled.root && !drilled.network);
    assert_eq!(drilled.lost.len(), 2, "{:?}", drilled.lost);
}

#[test]
fn a_server_by_the_names_of_a_drill() {
    let drilled = conf(
        "ssh jdoe@vault.acme.com\nsshkey /home/jdoe/.ssh/key\ncore_collector makedumpfile -F -l -d 31\n",
    );
    let text = drilled.kdump.conf.unwrap();
    assert!(
        text.starts_with("ssh kdump@dump-server\nsshkey /root/.ssh/kdump_id_rsa\n"),
        "{text}"
    );
    assert!(drilled.network);
    let text = conf("nfs 10.1.2.3:/srv/dumps\n").kdump.conf.unwrap();
    assert_eq!(text, "nfs 192.0.2.1:/srv/dumps\n");
}

#[test]
fn what_kdump_refuses_is_turned_off() {
    let drilled = conf("path var/crash\nnonsense\next4 /dev/sdb1\ndisk_timeout 180\n");
    let text = drilled.kdump.conf.clone().unwrap();
    assert!(text.contains("# left out"), "{text}");
    assert!(Configuration::read(&drilled.kdump).is_ok(), "{text}");
    assert!(
        KdumpConf::read(&text, Flavour::Rhel7)
            .value
            .not_emulated(&text)
            .is_empty()
    );
}

#[test]
fn a_file_that_is_none() {
    let mut facts = Facts::default();
    // A quote that nothing closes, behind lines that are turned off.
    facts.kdump.sysconfig = sourced("x='\n_='\na='\n");
    let drilled = configuration(&facts, "/dev/sda", &mut Scrubber::new(false));
    assert!(
        Configuration::read(&drilled.kdump).is_ok(),
        "{:?}",
        drilled.kdump
    );

    let nonsense: String = (0..100_000).map(|nth| format!("option{nth} x\n")).collect();
    let drilled = conf(&nonsense);
    assert!(Configuration::read(&drilled.kdump).is_ok());
    assert!(drilled.lost.len() < 100);
    assert!(drilled.kdump.conf.unwrap().contains("the rest is left out"));
    let long = conf(&format!("path /{}\n", "x\\\n".repeat(100_000)));
    assert!(long.kdump.conf.unwrap().len() < 100_000);
}

#[test]
fn sysconfig_without_interfaces() {
    let mut facts = Facts::default();
    facts.kdump.sysconfig = sourced(
        "# comment\nKDUMP_KERNELVER=\"\"\nKDUMP_COMMANDLINE=\"\"\n\
         KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 ip=10.0.0.7:::255.255.255.0:web1:eth0:none \
         rd.driver.blacklist=i40e\"\n",
    );
    let drilled = configuration(&facts, "/dev/sda", &mut Scrubber::new(false));
    let SysconfigFile::Text(text) = &drilled.kdump.sysconfig else {
        panic!("{:?}", drilled.kdump.sysconfig);
    };
    assert!(
        text.contains("APPEND=\"irqpoll nr_cpus=1 rd.driver.blacklist=i40e\"\n"),
        "{text}"
    );
    assert_eq!(drilled.kept_out, ["i40e"]);
}
