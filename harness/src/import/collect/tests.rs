use std::fs;

use proptest::prelude::*;

use super::super::facts::{Release, Vendor};
use super::*;

/// A report as sos lays it out.
fn sos(files: &[(&str, &str)]) -> Facts {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("sosreport-h-2024");
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    read(&[root]).unwrap()
}

const LSPCI: &str = "\
3a:00.0 PCI bridge [0604]: Intel [8086:2030]
\tBus: primary=3a, secondary=3b, subordinate=3c, sec-latency=0
\tKernel driver in use: pcieport
3b:00.0 Ethernet controller [0200]: Intel X710 [8086:1572]
\tCapabilities: [70] MSI-X: Enable+ Count=129 Masked-
\tKernel driver in use: i40e
3b:00.1 Ethernet controller [0200]: Intel X710 [8086:1572]
\tCapabilities: [70] MSI-X: Enable+ Count=129 Masked-
\tKernel driver in use: i40e
5e:00.0 Serial Attached SCSI controller [0107]: LSI SAS3008 [1000:0097]
\tCapabilities: [c0] MSI-X: Enable+ Count=96 Masked-
\tKernel driver in use: mpt3sas
";

const INTERRUPTS: &str = "           CPU0       CPU1
 16:          0          0  IR-IO-APIC-fasteoi   ehci_hcd:usb1
 40:          0          0  IR-PCI-MSI-edge      i40e-0000:3b:00.0:misc
 41:          0          0  IR-PCI-MSI-edge      i40e-eth0-TxRx-0
 42:          0          0  IR-PCI-MSI-edge      i40e-eth1-TxRx-0
 43:          0          0  IR-PCI-MSI-edge      mpt3sas0-msix0
 44:          0          0  IR-PCI-MSI-edge      mpt3sas0-msix1
";

const DMESG: &str = "\
[    0.000000] Linux version 3.10.0-693.el7.x86_64 (b@h)
[    0.000000] Setting APIC routing to physical flat.
[    0.000000] setup_percpu: NR_CPUS:5120 nr_cpumask_bits:48 nr_cpu_ids:48 nr_node_ids:2
[    0.000000] Kernel command line: root=/dev/sda1 crashkernel=auto
[    2.000000] i40e 0000:3b:00.1 eth1: NIC Link is Up
";

#[test]
fn a_whole_report() {
    let facts = sos(&[
        ("sos_commands/pci/lspci_-nnvv", LSPCI),
        ("sos_commands/kernel/dmesg", DMESG),
        (
            "sos_commands/networking/ethtool_-i_eth0",
            "driver: i40e\nversion: 2\nbus-info: 0000:3b:00.0\n",
        ),
        ("proc/interrupts", INTERRUPTS),
        ("proc/cmdline", "root=/dev/sda1 crashkernel=auto\n"),
        ("proc/meminfo", "MemTotal:       32803504 kB\n"),
        (
            "uname",
            "Linux h 3.10.0-693.el7.x86_64 #1 SMP x86_64 GNU/Linux\n",
        ),
        (
            "etc/redhat-release",
            "CentOS Linux release 7.4.1708 (Core)\n",
        ),
        (
            "etc/os-release",
            "NAME=\"CentOS Linux\"\nID=\"centos\"\nVERSION_ID=\"7\"\n",
        ),
        ("installed-rpms", "kexec-tools-2.0.14-17.el7.x86_64   Mon\n"),
        (
            "etc/kdump.conf",
            "path /var/crash\r\ncore_collector makedumpfile -l\r\n",
        ),
        (
            "etc/sysconfig/kdump",
            "KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1\"\nKDUMP_BOOTDIR=\"/boot\"\n",
        ),
        (
            "var/crash/127.0.0.1-1/vmcore-dmesg.txt",
            "[    0.000000] Linux version 3.10.0-693.el7.x86_64 (b@h)\n",
        ),
    ]);
    let kernel = facts.kernel.as_ref().map(|kernel| kernel.value.as_str());
    assert_eq!(kernel, Some("3.10.0-693.el7.x86_64"));
    let distribution = &facts.distribution.as_ref().unwrap().value;
    assert_eq!(
        (&distribution.vendor, distribution.to_string().as_str()),
        (&Vendor::Centos, "CentOS 7.4")
    );
    assert_eq!(facts.kexec_tools.as_ref().unwrap().value, "2.0.14");
    assert_eq!(facts.cpus.possible.as_ref().unwrap().value, 48);
    assert_eq!(facts.cpus.online.as_ref().unwrap().value, 2);
    let line = facts.command_line.as_ref().unwrap();
    assert_eq!(line.source.to_string(), "proc/cmdline:1");
    let conf = facts.kdump.conf.as_ref().unwrap();
    assert_eq!(
        conf.value,
        "path /var/crash\ncore_collector makedumpfile -l\n"
    );
    let at = |text: &str| text.parse::<PciAddress>().unwrap();
    assert_eq!(facts.bridge_above(at("3b:00.1")), Some(at("3a:00.0")));
    assert_eq!(facts.bridge_above(at("3a:00.0")), None);
    // By address, by ethtool's interface, by the log's, by the only device of the driver.
    let vectors = |text: &str| facts.functions[&at(text)].vectors;
    assert_eq!(vectors("3b:00.0"), Some(2));
    assert_eq!(vectors("3b:00.1"), Some(1));
    assert_eq!(vectors("5e:00.0"), Some(2));
    let kinds: Vec<_> = facts.logs.iter().map(|log| log.kind).collect();
    assert_eq!(kinds, [LogKind::VmcoreDmesg, LogKind::Dmesg]);
}

/// Links are facts by where they lead.
#[test]
fn links_of_an_archive() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, target: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        let path = format!("sosreport-db1-2024/{name}");
        if target.is_empty() {
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        } else {
            tar.append_link(&mut header, path, target).unwrap();
        }
    };
    let (file, link) = (tar::EntryType::Regular, tar::EntryType::Symlink);
    let device = |at: &str, below: &str| format!("../devices/pci0000:3a/0000:3a:00.0/{at}/{below}");
    add("lspci", link, "sos_commands/pci/lspci_-nnvv", "");
    add("sos_commands/pci/lspci_-nnvv", file, "", LSPCI);
    add("proc/interrupts", file, "", INTERRUPTS);
    add("proc/mounts", file, "", "/dev/sda1 / xfs rw 0 0\n");
    add(
        "etc/kdump.conf",
        file,
        "",
        "core_collector makedumpfile -l\n",
    );
    add(
        "sys/block/sda",
        link,
        &device("0000:5e:00.0", "host0/block/sda"),
        "",
    );
    add(
        "sys/class/net/eth1",
        link,
        &device("0000:3b:00.1", "net/eth1"),
        "",
    );
    let facts = read_bytes("report.tar", &tar.into_inner().unwrap());
    let at = |text: &str| text.parse::<PciAddress>().unwrap();
    assert_eq!(facts.functions[&at("3b:00.1")].vectors, Some(1));
    let target = facts.target.unwrap();
    assert_eq!(target.functions, [at("5e:00.0")]);
    let last = &target.steps.last().unwrap().source;
    assert_eq!(last.to_string(), "sys/block/sda");
    assert!(!format!("{:?}", facts.notes).contains("db1"));
}

#[test]
fn supportconfig_of_suse() {
    let text = format!(
        "=====\n\n#==[ Command ]=====#\n# /bin/uname -a\nLinux h 5.14.21-150400.24-default #1 SMP x\n\n\
         #==[ Configuration File ]=====#\n# /etc/os-release\nNAME=\"SLES\"\nVERSION_ID=\"15.4\"\nID=\"sles\"\n\n\
         #==[ Command ]=====#\n# /sbin/lspci -nnvv\n{LSPCI}\n#==[ Command ]=====#\n# /bin/dmesg\n{DMESG}"
    );
    let facts = read_bytes("basic-environment.txt", text.as_bytes());
    assert_eq!(
        facts.kernel.unwrap().value.as_str(),
        "5.14.21-150400.24-default"
    );
    assert_eq!(
        facts.distribution.unwrap().value.to_string(),
        "SUSE Linux Enterprise 15.4"
    );
    assert_eq!(facts.functions.len(), 4);
    let log = &facts.logs[0];
    assert_eq!(
        (log.kind, log.source.file.as_ref()),
        (LogKind::Dmesg, "basic-environment.txt (/bin/dmesg)")
    );
    let routing = facts.routing.unwrap();
    // The line of the file, not of its section.
    let line = routing.source.line.unwrap().get() as usize;
    assert!(text.lines().nth(line - 1).unwrap().contains("APIC routing"));
}

/// A console's log of a crash: what the capture kernel says is not the machine.
#[test]
fn a_console_alone() {
    let capture = "[    0.000000] Linux version 3.10.0-693.el7.x86_64 (b@h)\n\
                   [    0.000000] Setting APIC routing to flat.\n\
                   [    0.000000] setup_percpu: NR_CPUS:5120 nr_cpumask_bits:1 nr_cpu_ids:1 nr_node_ids:1\n\
                   [    0.000000] Kernel command line: root=/dev/sda1 irqpoll nr_cpus=1 elfcorehdr=0x2b000000\n";
    let facts = read_bytes("serial.log", format!("{DMESG}{capture}").as_bytes());
    assert_eq!(facts.cpus.possible.unwrap().value, 48);
    assert_eq!(
        facts.routing.unwrap().value,
        super::super::facts::Routing::PhysicalFlat
    );
    assert!(
        facts
            .capture_command_line
            .unwrap()
            .value
            .contains("nr_cpus=1")
    );
    assert_eq!(
        facts.command_line.unwrap().value,
        "root=/dev/sda1 crashkernel=auto"
    );
    assert!(
        facts
            .notes
            .iter()
            .any(|note| note.text.contains("no MSI-X tables"))
    );
}

/// Somebody looked around on the console before it crashed.
#[test]
fn typed_on_a_console() {
    let log = format!(
        "[root@h ~]# uname -r\n3.10.0-693.el7.x86_64\n{DMESG}[root@h ~]# cat /proc/cmdline\n\
         root=/dev/sda1 crashkernel=auto\n[root@h ~]# echo c > /proc/sysrq-trigger\n\
         [  100.000000] SysRq : Trigger a crash\n[  100.000001] BUG: unable to handle kernel\n\
         [  100.000002] Oops: 0002 [#1] SMP\n[  101.000000] Kernel panic - not syncing\n"
    );
    let facts = read_bytes("serial.log", log.as_bytes());
    assert_eq!(facts.logs.len(), 1);
    assert_eq!(facts.logs[0].bytes, log.as_bytes());
    assert_eq!(facts.cpus.possible.unwrap().value, 48);
}

#[test]
fn nothing_at_all() {
    let facts = read_bytes("empty", b"");
    let notes: Vec<String> = facts.notes.iter().map(Note::to_string).collect();
    assert!(notes.contains(&"empty: is empty".to_owned()));
    assert_eq!(notes.len(), 8);
    assert_eq!(facts.kernel.map(|kernel| kernel.value), None::<Release>);
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read_bytes("file", &bytes);
    }

    #[test]
    fn any_order(lines in Just(format!("{LSPCI}{INTERRUPTS}{DMESG}").lines().map(str::to_owned).collect::<Vec<_>>()).prop_shuffle()) {
        read_bytes("file", lines.join("\n").as_bytes());
    }
}

#[test]
fn what_the_files_say_comes_before_what_they_lack() {
    let facts = super::read_bytes("notes.txt", b"hello\n");
    assert!(facts.is_empty());
    assert!(facts.notes[0].source.is_some(), "{:?}", facts.notes);
    assert!(
        facts.notes[1].text.starts_with("no PCI devices"),
        "{:?}",
        facts.notes
    );
    assert!(!super::read_bytes("any", b"MemTotal:       16265876 kB\n").is_empty());
}
