use proptest::prelude::*;

use super::*;

fn of(name: &str, text: &str) -> Option<Kind> {
    kind(name, text)
}

/// By what is in them: the name says nothing.
#[test]
fn by_content() {
    for (text, expected) in [
        ("3b:00.0 Ethernet controller: X (rev 02)\n", Kind::Lspci),
        ("0000:3b:00.0 0200: 8086:1572\n", Kind::Lspci),
        ("-[0000:00]-+-00.0  Intel\n", Kind::LspciTree),
        ("-+-[0000:ff]-+-08.0\n", Kind::LspciTree),
        ("BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro\n", Kind::CommandLine),
        ("ro root=UUID=1-2 crashkernel=auto\n", Kind::CommandLine),
        ("processor\t: 0\nvendor_id\t: GenuineIntel\n", Kind::CpuInfo),
        ("MemTotal:       16265876 kB\n", Kind::MemInfo),
        (
            "           CPU0       CPU1\n  0:   1   2   IO-APIC   2-edge   timer\n",
            Kind::Interrupts,
        ),
        (
            "Linux h 3.10.0-693.el7.x86_64 #1 SMP Tue GNU/Linux\n",
            Kind::Uname,
        ),
        (
            "Linux version 6.1.0-1-amd64 (b@h) (gcc) #1 SMP\n",
            Kind::Uname,
        ),
        ("NAME=\"Rocky Linux\"\nID=\"rocky\"\n", Kind::OsRelease),
        (
            "path /var/crash\ncore_collector makedumpfile -l -d 31\n",
            Kind::KdumpConf,
        ),
        (
            "KDUMP_COMMANDLINE_APPEND=\"irqpoll\"\nKDUMP_BOOTDIR=\"/boot\"\n",
            Kind::SysconfigKdump,
        ),
        (
            "USE_KDUMP=1\n#KDUMP_COREDIR=\"/var/crash\"\n",
            Kind::KdumpTools,
        ),
        (
            "[    0.000000] Linux version 6.1.0 (b@h)\n[    0.1] x\n",
            Kind::Log(LogKind::Console),
        ),
        (
            "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINT\nsda 8:0 0 1G 0 disk\n",
            Kind::Lsblk,
        ),
        ("/dev/sda1: UUID=\"1\" TYPE=\"xfs\"\n", Kind::Blkid),
        ("  PV  VG  Fmt\n", Kind::Pvs),
        ("  LV  VG  Attr\n", Kind::Lvs),
        ("mpatha (36) dm-2 DELL,MD36xxf\n", Kind::Multipath),
        (
            "lrwxrwxrwx 1 root root 10 Jan 1 00:00 1-2 -> ../../sda1\n",
            Kind::Links,
        ),
        ("/dev/sda1 on / type xfs (rw)\n", Kind::Mounts),
        ("UUID=1-2 / xfs defaults 0 0\n", Kind::Mounts),
        (
            "driver: i40e\nversion: 2\nbus-info: 0000:3b:00.0\n",
            Kind::Ethtool,
        ),
        (
            "bash-4.2-1.x86_64\nkexec-tools-2.0.14-17.el7.x86_64\n",
            Kind::Packages,
        ),
        ("ii  kexec-tools  1:2.0.25-3  amd64\n", Kind::Packages),
    ] {
        assert_eq!(of("some.txt", text), Some(expected), "{text}");
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(of("some.txt", &crlf), Some(expected), "{text} with CRLF");
    }
}

#[test]
fn by_name_where_content_leaves_it_open() {
    let log = "[    0.000000] Linux version 6.1.0 (b@h)\n[    0.1] x\n";
    for (name, expected) in [
        ("sos_commands/kernel/dmesg", LogKind::Dmesg),
        (
            "var/crash/127.0.0.1-2024/vmcore-dmesg.txt",
            LogKind::VmcoreDmesg,
        ),
        ("sos_commands/logs/journalctl_--boot", LogKind::Journal),
        ("serial.log", LogKind::Console),
    ] {
        assert_eq!(of(name, log), Some(Kind::Log(expected)), "{name}");
    }
    let line = "CentOS Linux release 7.4.1708 (Core)\n";
    assert_eq!(of("etc/redhat-release", line), Some(Kind::ReleaseLine));
    // All of its lines are comments as it is shipped.
    let comments =
        "# Configures where to put the kdump /proc/vmcore files\n#raw /dev/vg/lv_kdump\n";
    assert_eq!(of("etc/kdump.conf", comments), Some(Kind::KdumpConf));
    assert_eq!(
        of("proc/cmdline", "quiet console=ttyS0\n"),
        Some(Kind::CommandLine)
    );
}

#[test]
fn other_texts() {
    for text in [
        "",
        "\n\n",
        "hello, world\n",
        "path of the righteous man\n",
        "default route\n",
        "Set\nKDUMP_COMMANDLINE_APPEND=\"nr_cpus=1\"\nKDUMP_BOOTDIR=/boot\nand try again,\nplease\n",
        "What\nUSE_KDUMP=1\nmeans is\nin the manual\n",
        "#!/bin/sh\necho root=/dev/sda1\necho\necho\n",
    ] {
        assert_eq!(of("notes.txt", text), None, "{text}");
    }
    assert!(!is_wanted("vmlinuz", &[0; 4096]));
    assert!(unwanted(b"PK\x03\x04").contains("zip"));
    let elf = |kind: u8| {
        [
            b"\x7fELF\x02\x01\x01".as_slice(),
            &[0; 9],
            &[kind, 0, 62, 0],
        ]
        .concat()
    };
    assert!(unwanted(&elf(4)).contains("is a dump"));
    assert!(unwanted(&elf(3)).contains("none of the texts"));
}

#[test]
fn supportconfig() {
    let text = "=====\nSupportconfig\n\n#==[ Command ]=======================#\n# /sbin/lspci -nnvv\n\
                3b:00.0 Ethernet controller [0200]: X [8086:1572]\n\n\
                #==[ Configuration File ]=============#\n# /etc/sysconfig/kdump\n\
                KDUMP_CPUS=1\nKDUMP_SAVEDIR=\"/var/crash\"\n";
    let all = sections("hardware.txt", text);
    let names: Vec<&str> = all.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["/sbin/lspci -nnvv", "/etc/sysconfig/kdump"]);
    assert_eq!(all[0].first, 6);
    assert_eq!(all[1].text, "KDUMP_CPUS=1\nKDUMP_SAVEDIR=\"/var/crash\"\n");
    assert_eq!(all[1].label, "hardware.txt (/etc/sysconfig/kdump)");
    assert_eq!(kind(&all[1].name, all[1].text), Some(Kind::SysconfigKdump));
    assert!(is_wanted("hardware.txt", text.as_bytes()));
}

#[test]
fn terminal() {
    let text = "Hello, here it is:\n[root@db1 ~]# cat /etc/kdump.conf\npath /var/crash\n\
                core_collector makedumpfile -l\n[root@db1 ~]# lspci -nn\n3b:00.0 0200: 8086:1572\n\
                root@db1:~# uname -a\nLinux db1 6.1.0-1-amd64 #1 SMP\n$ exit\n";
    let all = sections("mail.txt", text);
    let kinds: Vec<_> = all
        .iter()
        .map(|section| kind(&section.name, section.text))
        .collect();
    assert_eq!(
        kinds,
        [
            None,
            Some(Kind::KdumpConf),
            Some(Kind::Lspci),
            Some(Kind::Uname),
            None
        ]
    );
    assert_eq!(
        all[1].text,
        "path /var/crash\ncore_collector makedumpfile -l\n"
    );
    // A comment of kdump.conf is no prompt.
    let conf = "# mount the target\npath /var/crash\n# raw /dev/sda1\n";
    let all = sections("kdump.conf", conf);
    assert_eq!((all.len(), all[0].text), (1, conf));
}

proptest! {
    /// The sections are pieces of the text, in its order, on the lines that they say.
    #[test]
    fn pieces(text in "(#==\\[ Command \\]====#\n|# /sbin/lspci\n|\\$ lspci -nn\n|[a-z ]{0,8}\n){0,12}") {
        let mut end = 0;
        for section in sections("file", &text) {
            let at = section.text.as_ptr() as usize - text.as_ptr() as usize;
            prop_assert!(at >= end);
            end = at + section.text.len();
            prop_assert_eq!(text[..at].matches('\n').count() + 1, section.first as usize);
        }
        prop_assert!(end <= text.len());
    }

    #[test]
    fn any_text(name in ".{0,20}", text in "\\PC{0,200}") {
        kind(&name, &text);
        is_wanted(&name, text.as_bytes());
    }
}
