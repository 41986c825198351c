use super::*;
use crate::machine::plan::MachinePlan;
use crate::scenario::model::{Device, Machine};

fn capabilities(major: u32) -> Capabilities {
    Capabilities {
        version: QemuVersion {
            major,
            minor: 2,
            micro: 0,
        },
        machines: ["pc-q35-7.2".to_owned()].into(),
        devices: wanted()
            .into_iter()
            .filter(|name| *name != "igb")
            .map(str::to_owned)
            .collect(),
    }
}

fn plan(apic: Apic, kind: DeviceKind) -> MachinePlan {
    let device = Device::new(kind);
    MachinePlan::new(&Machine {
        apic,
        devices: vec![device],
        ..Machine::default()
    })
    .unwrap()
}

#[test]
fn what_is_lacking_is_named() {
    let lacking = |capabilities: &Capabilities, plan: &MachinePlan| {
        let lacking = capabilities.lacking(plan);
        lacking.iter().map(Lacking::to_string).collect::<Vec<_>>()
    };
    let old = capabilities(7);
    assert!(lacking(&old, &plan(Apic::Auto, DeviceKind::Ahci)).is_empty());
    assert_eq!(
        lacking(&old, &plan(Apic::X2apic, DeviceKind::Igb)),
        [
            "QEMU 7.2.0 has no device igb",
            "QEMU 7.2.0 has no x2APIC without KVM; use QEMU 9 or newer, or apic: physical, which \
             also gives every CPU vectors of its own"
        ]
    );
    let mut with_kvm = plan(Apic::X2apic, DeviceKind::Ahci);
    with_kvm.accel = Accel::Kvm;
    assert!(lacking(&old, &with_kvm).is_empty());
    assert!(lacking(&capabilities(9), &plan(Apic::X2apic, DeviceKind::Ahci)).is_empty());
    let future = Capabilities {
        machines: BTreeSet::new(),
        ..capabilities(14)
    };
    assert_eq!(
        lacking(&future, &plan(Apic::Auto, DeviceKind::Ahci)),
        [
            "QEMU 14.2.0 has no machine type pc-q35-7.2; it needs QEMU 7.2 or a newer one that still \
          has it"
        ]
    );
    assert!(old.has(DeviceKind::Nvme) && !old.has(DeviceKind::Igb));
}

#[test]
fn a_complaint_is_no_warning() {
    assert_eq!(
        complaint("q: warning: no pni\n\nq: failed to set MSR 0x10a\nAborted\n"),
        "q: failed to set MSR 0x10a"
    );
    assert_eq!(complaint(""), "without a word");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_firmware_ends_with_the_reset_vector() {
    let image = crate::machine::kvm_guest::firmware();
    assert_eq!(image.len(), 64 << 10);
    // A near jump backwards, to the block's first instruction (cli).
    let reset = image.len() - 16;
    assert_eq!(image[reset], 0xe9);
    let distance = i16::from_le_bytes([image[reset + 1], image[reset + 2]]);
    let start = reset + 3 - usize::from(distance.unsigned_abs());
    assert_eq!(start, image.len() - 512);
    assert_eq!(image[start], 0xfa);
}

fn qemu() -> Command {
    let program = std::env::var_os("CRASHDRILL_TEST_QEMU");
    Command::new(program.unwrap_or("qemu-system-x86_64".into()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
#[ignore = "needs a QEMU"]
fn asks_a_real_qemu() {
    let begin = std::time::Instant::now();
    let known = block_on(Capabilities::ask(qemu())).unwrap();
    println!("{:?} {known:#?}", begin.elapsed());
    assert!(known.machines.contains("pc-q35-7.2"));
    assert!(known.has(DeviceKind::Nvme));
}

#[test]
#[ignore = "needs a QEMU; what it says depends on the host"]
fn says_why_kvm_is_not_used() {
    for model in ["qemu64,x2apic=off", "host"] {
        let begin = std::time::Instant::now();
        let result = block_on(kvm(qemu(), model));
        println!("{:?} {model}: {result:?}", begin.elapsed());
        if let Err(error) = result {
            println!("{error}");
        }
    }
}
