use proptest::prelude::*;

use super::super::super::facts::{BarKind, Buses, Express};
use super::*;

fn boots(bytes: impl AsRef<[u8]>) -> Vec<Boot> {
    let text = Text {
        label: "dmesg".into(),
        first: 1,
        text: "",
    };
    read(&text, bytes.as_ref())
}

fn only(log: &str) -> Boot {
    let mut all = boots(log);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn value<T>(fact: Option<Sourced<T>>) -> T {
    fact.unwrap().value
}

/// The lines that 3.10.0-693 prints, in its order and form.
const EL7: &str = "\
[    0.000000] Linux version 3.10.0-693.5.2.el7.x86_64 (builder@host) (gcc version 4.8.5) #1 SMP
[    0.000000] Command line: BOOT_IMAGE=/vmlinuz-3.10.0-693.5.2.el7.x86_64 root=/dev/mapper/rhel-root ro crashkernel=auto
[    0.000000] e820: BIOS-provided physical RAM map:
[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
[    0.000000] BIOS-e820: [mem 0x00000000000a0000-0x00000000000fffff] reserved
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable
[    0.000000] ACPI: FACP 000000007d7fe000 000F4 (v05 DELL   PE_SC3   00000000 DELL 00000001)
[    0.000000] Reserving 161MB of memory at 688MB for crashkernel (System RAM: 32681MB)
[    0.000000] Setting APIC routing to physical flat.
[    0.000000] smpboot: Allowing 48 CPUs, 8 hotplug CPUs
[    0.000000] setup_percpu: NR_CPUS:5120 nr_cpumask_bits:48 nr_cpu_ids:48 nr_node_ids:2
[    0.000000] Kernel command line: BOOT_IMAGE=/vmlinuz-3.10.0-693.5.2.el7.x86_64 root=/dev/mapper/rhel-root ro crashkernel=auto
[    0.000000] Memory: 32803504k/34865152k available (6886k kernel code, 1418836k absent)
[    0.031234] smpboot: CPU0: Intel(R) Xeon(R) CPU E5-2690 v3 @ 2.60GHz (fam: 06, model: 3f, stepping: 02)
[    0.412345] Brought up 40 CPUs
[    1.100000] pci 0000:3a:00.0: [8086:2030] type 01 class 0x060400
[    1.100001] pci 0000:3b:00.0: [8086:1572] type 00 class 0x020000
[    1.100002] pci 0000:3b:00.0: reg 0x10: [mem 0xe2000000-0xe27fffff 64bit pref]
[    1.100003] pci 0000:3b:00.0: reg 0x1c: [mem 0xe2808000-0xe280ffff 64bit pref]
[    1.100004] pci 0000:3b:00.0: reg 0x30: [mem 0xfff80000-0xffffffff pref]
[    1.100005] pci 0000:3a:00.0: PCI bridge to [bus 3b-3c]
[    2.200000] i40e 0000:3b:00.0: fw 5.0.40043 api 1.5 nvm 5.04 0x800024d8 0.0.0
[    2.300000] mpt3sas 0000:5e:00.0: irq 45 for MSI/MSI-X
[    2.300001] mpt3sas 0000:5e:00.0: irq 46 for MSI/MSI-X
[    2.400000] i40e 0000:3b:00.0 eth0: renamed from eth2
";

#[test]
fn rhel_7() {
    let boot = only(EL7);
    assert!(!boot.is_capture());
    assert_eq!(value(boot.release).as_str(), "3.10.0-693.5.2.el7.x86_64");
    let line = boot.command_line.unwrap();
    assert!(line.value.ends_with("crashkernel=auto"));
    assert_eq!(line.source.to_string(), "dmesg:12");
    assert_eq!(value(boot.memory), Bytes(0xa_0000 + 0x7ff0_0000));
    assert_eq!((value(boot.possible), value(boot.online)), (48, 40));
    assert_eq!(value(boot.routing), Routing::PhysicalFlat);
    let ids = value(boot.acpi);
    assert_eq!((ids.oem.as_str(), ids.table.as_str()), ("DELL", "PE_SC3"));
    let model = value(boot.model);
    assert_eq!((model.family, model.model, model.stepping), (6, 0x3f, 2));
    assert_eq!(model.name, "Intel(R) Xeon(R) CPU E5-2690 v3 @ 2.60GHz");
    let reserved = Reservation::Reserved {
        size: Bytes(161 << 20),
        at: Bytes(688 << 20),
        part: Part::Main,
        system_ram: Some(Bytes(32681 << 20)),
    };
    assert_eq!(boot.reservations[0].value, reserved);
    assert_eq!(boot.reservations.len(), 1);
    let at = |text: &str| text.parse::<PciAddress>().unwrap();
    let card = &boot.functions[&at("3b:00.0")];
    assert_eq!((card.class, card.prog_if), (Some(0x0200), Some(0)));
    assert_eq!(card.driver.as_deref(), Some("i40e"));
    let bars: Vec<_> = card.bars.iter().map(|bar| (bar.index, bar.size)).collect();
    let bytes = |size| Some(Bytes(size));
    assert_eq!(
        bars,
        [
            (0, bytes(8 << 20)),
            (3, bytes(32 << 10)),
            (6, bytes(512 << 10))
        ]
    );
    let memory = BarKind::Memory {
        wide: true,
        prefetchable: true,
    };
    assert_eq!(card.bars[0].kind, memory);
    let buses = Buses {
        secondary: 0x3b,
        subordinate: 0x3c,
    };
    assert_eq!(boot.functions[&at("3a:00.0")].buses, Some(buses));
    assert_eq!(boot.functions[&at("5e:00.0")].vectors, Some(2));
    assert_eq!(boot.interfaces["eth0"], at("3b:00.0"));
}

#[test]
fn rhel_6() {
    let boot = only(
        "Linux version 2.6.32-754.el6.x86_64 (b@h) #1 SMP\n\
         Command line: ro root=/dev/sda1 crashkernel=128M\n\
         \x20BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)\n\
         \x20BIOS-e820: 0000000000100000 - 00000000bffe0000 (usable)\n\
         Reserving 128MB of memory at 48MB for crashkernel (System RAM: 3071MB)\n\
         SMP: Allowing 4 CPUs, 0 hotplug CPUs\n\
         Setting APIC routing to flat\n\
         Brought up 4 CPUs\n\
         pci 0000:00:02.0: found [1013:00b8] class 000300 header type 00\n\
         pci 0000:00:03.0: [8086:100e] type 0 class 0x000200\n\
         pci 0000:00:01.0: PCI bridge, secondary bus 0000:02\n\
         pci 0000:00:03.0: reg 14: [io 0xc000-0xc03f]\n",
    );
    assert_eq!(
        value(boot.memory),
        Bytes(0x9_fc00 + 0xbffe_0000 - 0x10_0000)
    );
    assert_eq!(value(boot.routing), Routing::Flat);
    assert_eq!((value(boot.possible), value(boot.online)), (4, 4));
    let classes: Vec<_> = boot
        .functions
        .values()
        .map(|function| function.class)
        .collect();
    assert_eq!(classes, [None, Some(0x0300), Some(0x0200)]);
    let bar = boot.functions[&"00:03.0".parse().unwrap()].bars[0];
    assert_eq!(
        (bar.index, bar.kind, bar.size),
        (1, BarKind::Io, Some(Bytes(64)))
    );
}

#[test]
fn newer_kernels() {
    let boot = only(
        "[    0.000000] Linux version 6.12.0 (b@h) #1 SMP PREEMPT_DYNAMIC\n\
         [    0.000000] Hypervisor detected: KVM\n\
         [    0.000000] ACPI: FACP 0x000000007FFE1A2D 000074 (v01 BOCHS  BXPC     00000001 BXPC 00000001)\n\
         [    0.001000] crashkernel low memory reserved: 0xaf000000 - 0xbf000000 (256 MB)\n\
         [    0.001000] crashkernel reserved: 0x000000043f000000 - 0x000000045f000000 (512 MB)\n\
         [    0.001001] CPU topo: Allowing 6 present CPUs plus 2 hotplug CPUs\n\
         [    0.001001] Kernel command line: root=/dev/vda1 crashkernel=512M,high\n\
         [    0.002000] APIC: Switched APIC routing to: physical flat\n\
         [    0.002001] APIC: Switched APIC routing to: cluster x2apic\n\
         [    0.100000] smpboot: CPU0: AMD EPYC 7543 32-Core Processor (family: 0x19, model: 0x1, stepping: 0x1)\n\
         [    0.200000] smp: Brought up 2 nodes, 6 CPUs\n\
         [    0.300000] pci 0000:00:1c.0: [1b36:000c] type 01 class 0x060400 PCIe Root Port\n\
         [    0.300000] pci 0000:00:1c.0: BAR 0 [mem 0xfe000000-0xfe000fff]\n",
    );
    assert_eq!(value(boot.hypervisor), "KVM");
    assert_eq!(value(boot.routing), Routing::X2apicCluster);
    assert_eq!((value(boot.possible), value(boot.online)), (8, 6));
    assert_eq!(value(boot.model).family, 0x19);
    let low = Reservation::Reserved {
        size: Bytes(256 << 20),
        at: Bytes(0xaf00_0000),
        part: Part::Low,
        system_ram: None,
    };
    assert_eq!(boot.reservations[0].value, low);
    assert_eq!(boot.reservations.len(), 2);
    let port = &boot.functions[&"00:1c.0".parse().unwrap()];
    assert_eq!(port.express, Some(Express::RootPort));
}

/// Flat is what kernels begin with, and nothing that they speak of.
#[test]
fn silence_about_the_routing() {
    let silent = EL7.replace("Setting APIC routing to physical flat.", "");
    let routing = only(&silent).routing.unwrap();
    assert_eq!(routing.value, Routing::Flat);
    assert_eq!(routing.source.to_string(), "dmesg:1");
    let newer = silent.replace("3.10.0-693.5.2.el7.x86_64 (", "6.12.0 (");
    assert_eq!(value(only(&newer).routing), Routing::PhysicalFlat);
    // Without its beginning, a log has lost the line perhaps.
    let (_, rest) = silent.split_once('\n').unwrap();
    assert!(only(rest).routing.is_none());
}

#[test]
fn what_was_not_reserved() {
    let boot = only(
        "[    0.000000] Linux version 3.10.0 (b@h)\n\
         [    0.000000] crashkernel reservation failed - No suitable area found.\n\
         [    0.000000] Using crashkernel=auto, the size choosed is a best effort estimation.\n",
    );
    let failed = "crashkernel reservation failed - No suitable area found.";
    assert_eq!(
        boot.reservations[0].value,
        Reservation::Failed(failed.into())
    );
    assert!(matches!(
        &boot.reservations[1].value,
        Reservation::Remark(_)
    ));
}

/// A console has both kernels; what keeps a log puts its own clock and host before the lines.
#[test]
fn two_kernels_and_any_clock() {
    let capture = EL7.replace(
        "ro crashkernel=auto",
        "ro irqpoll nr_cpus=1 elfcorehdr=0x2b000000",
    );
    let both = format!("GNU GRUB\n{EL7}{capture}");
    let all = boots(&both);
    assert_eq!(all.len(), 2);
    assert_eq!([all[0].is_capture(), all[1].is_capture()], [false, true]);
    for prefix in [
        "Jan  2 03:04:05 db1 kernel: ",
        "2024-01-02T03:04:05.678901+01:00 db1 kernel: ",
        "<6>",
    ] {
        let log: String = EL7
            .lines()
            .map(|line| format!("{prefix}{line}\r\n"))
            .collect();
        let boot = only(&log);
        assert_eq!(value(boot.possible), 48, "{prefix}");
        assert_eq!(boot.functions.len(), 3, "{prefix}");
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        boots(bytes);
    }

    #[test]
    fn damaged(at in 0..EL7.len(), byte in any::<u8>(), end in 0..EL7.len()) {
        let mut bytes = EL7.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.truncate(end.max(1));
        prop_assert!(boots(bytes).len() <= 2);
    }
}
