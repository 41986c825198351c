use super::*;
use crate::machine::catalogue::ALL;
use crate::scenario::model::{Device, Machine};

fn machine(kinds: &[DeviceKind]) -> Machine {
    let devices = kinds.iter().map(|kind| Device {
        size: entry(*kind).disk.map(|_| Bytes(Bytes::GIB)),
        ..Device::new(*kind)
    });
    Machine {
        devices: devices.collect(),
        ..Machine::default()
    }
}

fn files(disks: usize) -> Files {
    Files {
        kernel: "/boot/vmlinux,6.1".into(),
        initrd: "first.cpio".into(),
        disks: (0..disks).map(|n| format!("disk,{n}").into()).collect(),
        medium: None,
        link: Link::Nobody,
        devices: (0..3).map(|n| format!("socket,{n}").into()).collect(),
        serial: Chardev::Stdio,
        reports: Chardev::File("reports".into()),
        qmp: None,
    }
}

fn shown(plan: &MachinePlan) -> String {
    let list = arguments(plan, &files(plan.file_disks().count()));
    let text = pretty("qemu-system-x86_64".as_ref(), &list);
    text.into_string().unwrap()
}

#[test]
fn a_whole_command_line() {
    let mut plan =
        MachinePlan::new(&machine(&[DeviceKind::VirtioSerial, DeviceKind::Nvme])).unwrap();
    plan.append = "console=ttyS0 token='a b'".to_owned();
    insta::assert_snapshot!(shown(&plan), @r#"
    qemu-system-x86_64 \
        -nodefaults \
        -no-user-config \
        -display none \
        -nic none \
        -name guest=crashdrill,debug-threads=on \
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
        -no-reboot \
        -machine pc-q35-7.2 \
        -cpu qemu64,x2apic=off \
        -smp 1 \
        -m size=1G \
        -accel tcg,thread=multi \
        -kernel /boot/vmlinux,6.1 \
        -initrd first.cpio \
        -append 'console=ttyS0 token='\''a b'\''' \
        -chardev stdio,id=serial,mux=on,signal=off \
        -serial chardev:serial \
        -chardev file,id=reports,path=reports \
        -device isa-debugcon,iobase=0xe9,chardev=reports \
        -device virtio-serial-pci,id=virtio-serial-0,bus=pcie.0,addr=4.0,disable-legacy=off,vectors=64,max_ports=31 \
        -blockdev driver=raw,node-name=disk-nvme-0,discard=unmap,cache.no-flush=on,file.driver=file,file.locking=off,file.filename=disk,,0 \
        -device nvme,id=nvme-0,bus=pcie.0,addr=8.0,serial=crashdrill0,msix_qsize=65,drive=disk-nvme-0
    "#);
}

#[test]
fn every_device() {
    let plan = MachinePlan::new(&machine(&ALL)).unwrap();
    let text = shown(&plan);
    let devices: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("id=") || line.contains(r#""id":"#))
        .filter(|line| !line.contains("-chardev"))
        .map(|line| line.trim_start().trim_end_matches(" \\"))
        .collect();
    insta::assert_snapshot!(devices.join("\n"), @r#"
    -object memory-backend-memfd,id=ram,size=1G,share=on
    -device virtio-serial-pci,id=virtio-serial-0,bus=pcie.0,addr=4.0,disable-legacy=off,vectors=64,max_ports=31
    -device nvme,id=nvme-0,bus=pcie.0,addr=8.0,serial=crashdrill0,msix_qsize=65,drive=disk-nvme-0
    -device virtio-blk-pci,id=virtio-blk-0,bus=pcie.0,addr=c.0,disable-legacy=off,num-queues=1,vectors=2,drive=disk-virtio-blk-0
    -device virtio-scsi-pci,id=virtio-scsi-0,bus=pcie.0,addr=10.0,disable-legacy=off,num_queues=1,vectors=4
    -device scsi-hd,id=virtio-scsi-0-disk,bus=virtio-scsi-0.0,drive=disk-virtio-scsi-0
    -device ich9-ahci,id=ahci-0,bus=pcie.0,addr=14.0
    -device ide-hd,id=ahci-0-disk,bus=ahci-0.0,drive=disk-ahci-0
    -device megasas-gen2,id=megasas-gen2-0,bus=pcie.0,addr=18.0
    -device scsi-hd,id=megasas-gen2-0-disk,bus=megasas-gen2-0.0,drive=disk-megasas-gen2-0
    -device mptsas1068,id=mptsas1068-0,bus=pcie.0,addr=1e.0
    -device scsi-hd,id=mptsas1068-0-disk,bus=mptsas1068-0.0,drive=disk-mptsas1068-0,wwn=0x5000c50015ea71ac
    -device e1000e,id=e1000e-0,bus=pcie.0,addr=6.0,romfile=
    -device igb,id=igb-0,bus=pcie.0,addr=a.0,romfile=
    -device vmxnet3,id=vmxnet3-0,bus=pcie.0,addr=e.0,romfile=
    -device virtio-net-pci,id=virtio-net-0,bus=pcie.0,addr=12.0,disable-legacy=off,romfile=,vectors=4
    -device qemu-xhci,id=xhci-0,bus=pcie.0,addr=16.0
    -device pcie-root-port,id=pcie-root-port-0,bus=pcie.0,addr=2.0,chassis=1,slot=1
    -device '{"addr":"7.0","bus":"pcie.0","driver":"vfio-user-pci","id":"generic-0","multifunction":false,"socket":{"path":"socket,0","type":"unix"},"x-msg-timeout":86400000}'
    -device '{"addr":"b.0","bus":"pcie.0","driver":"vfio-user-pci","id":"i40e-0","multifunction":false,"socket":{"path":"socket,1","type":"unix"},"x-msg-timeout":86400000}'
    -device '{"addr":"f.0","bus":"pcie.0","driver":"vfio-user-pci","id":"mpt3sas-0","multifunction":false,"socket":{"path":"socket,2","type":"unix"},"x-msg-timeout":86400000}'
    "#);
}

#[test]
fn routing_and_accelerator() {
    let line = |apic, accel| {
        let mut plan = MachinePlan::new(&Machine {
            apic,
            ..Machine::default()
        })
        .unwrap();
        plan.accel = accel;
        let text = shown(&plan);
        let wanted = ["-machine", "-cpu", "-accel"];
        let lines = text.lines().map(str::trim_start);
        lines
            .filter(|line| wanted.iter().any(|wanted| line.starts_with(wanted)))
            .map(|line| line.trim_end_matches(" \\").to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        line(Apic::Auto, Accel::Kvm),
        "-machine pc-q35-7.2 -cpu qemu64,x2apic=off -accel kvm"
    );
    assert_eq!(
        line(Apic::Physical, Accel::Tcg),
        "-machine pc-q35-7.2,x-oem-id=IBM,x-oem-table-id=EXA -cpu qemu64,x2apic=off -accel \
         tcg,thread=multi"
    );
    assert_eq!(
        line(Apic::X2apic, Accel::Kvm),
        "-machine pc-q35-7.2 -cpu qemu64,x2apic=on -accel kvm"
    );
}

#[test]
fn inherited_channels() {
    assert_eq!(
        Chardev::Socket(7).options("serial"),
        "socket,id=serial,fd=7"
    );
}

#[test]
fn sizes_are_never_read_as_mebibytes() {
    assert_eq!(size(Bytes(Bytes::GIB)), "1G");
    assert_eq!(size(Bytes(Bytes::GIB + 1)), "1073741825B");
}

#[test]
fn words_survive_a_shell() {
    let quoted = |word: &str| String::from_utf8(quoted(word.as_ref())).unwrap();
    assert_eq!(quoted("a=b,c"), "a=b,c");
    assert_eq!(quoted(""), "''");
    assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
}

proptest::proptest! {
    /// What a POSIX shell does to the quoted form, undone by hand.
    #[test]
    fn quoting_is_reversible(word in "\\PC*") {
        let text = String::from_utf8(quoted(word.as_ref())).unwrap();
        let mut back = String::new();
        let mut inside = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\'' => inside = !inside,
                '\\' if !inside => back.extend(characters.next()),
                other => back.push(other),
            }
        }
        proptest::prop_assert!(!inside);
        proptest::prop_assert_eq!(back, word);
    }
}

#[test]
fn the_target_of_a_dump_over_the_network_has_a_cable() {
    let mut machine = machine(&[DeviceKind::E1000e, DeviceKind::VirtioNet]);
    machine.devices[1].target = true;
    let plan = MachinePlan::new(&machine).unwrap();
    let network = |link| {
        let files = Files { link, ..files(0) };
        let list = arguments(&plan, &files);
        let text: Vec<_> = list.iter().map(|word| word.to_str().unwrap()).collect();
        let is_network = |words: &[&str]| words[0] == "-netdev" || words[1].contains("net-0");
        let found = text.windows(2).filter(|words| is_network(words));
        found.map(|words| words.join(" ")).collect::<Vec<_>>()
    };
    let device = "-device virtio-net-pci,id=virtio-net-0,bus=pcie.0,addr=5.0,disable-legacy=off,romfile=,vectors=4,\
                  netdev=cable-virtio-net-0,mac=52:54:00:c7:a5:01";
    assert_eq!(
        network(Link::Socket(7)),
        ["-netdev socket,id=cable-virtio-net-0,fd=7", device]
    );
    assert_eq!(
        network(Link::Nobody),
        ["-netdev hubport,id=cable-virtio-net-0,hubid=0", device]
    );
}

#[test]
fn a_medium_lies_in_a_drive_of_the_chipset() {
    for chipset in [Chipset::Q35, Chipset::Pc] {
        let machine = Machine {
            chipset,
            ..machine(&[])
        };
        let plan = MachinePlan::new(&machine).unwrap();
        let files = Files {
            medium: Some("seed,1.iso".into()),
            ..files(0)
        };
        let list = arguments(&plan, &files);
        let text: Vec<_> = list.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            text[text.len() - 4..],
            [
                "-blockdev",
                "driver=raw,node-name=medium,read-only=on,file.driver=file,file.locking=off,\
                 file.filename=seed,,1.iso",
                "-device",
                "ide-cd,id=cd,bus=ide.0,drive=medium",
            ]
        );
    }
}
