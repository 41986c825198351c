//! The types of a scenario file. What a file may say is exactly what these types hold; the JSON
//! Schema is generated from them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kdump::crashkernel::Crashkernel;
use crate::kdump::flavour::Flavour;
use crate::kdump::sysconfig::Sysconfig;
use crate::pci;
use crate::units::{Bytes, Cpus, Millis, Slot, TableSize};
use crate::verdict::outcome::{Cause, Outcome, Verdict};

/// One variant of one scenario file: a whole, concrete description of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The file's own name without `.yaml`: small letters, digits and hyphens.
    pub name: String,
    /// What the drill shows, for people.
    pub about: String,
    /// Name of an image in images/.
    pub image: String,
    /// Who does the work in both kernels.
    #[serde(default)]
    pub boot: Boot,
    /// The machine.
    #[serde(default)]
    pub machine: Machine,
    /// `crashkernel=` of the first kernel, or `none` for no such parameter.
    pub crashkernel: Crashkernel,
    /// The kernel that is going to die.
    #[serde(default)]
    pub first_kernel: FirstKernel,
    /// How it dies.
    #[serde(default)]
    pub crash: Crash,
    /// kdump's own configuration.
    #[serde(default)]
    pub kdump: Kdump,
    /// The kernel that saves the dump.
    #[serde(default)]
    pub capture: Capture,
    /// The machine that kdump.conf's `nfs` or `ssh` sends the dump to.
    #[serde(default)]
    pub server: DumpServer,
    /// When to give up.
    #[serde(default)]
    pub limits: Limits,
    /// How the drill is to end: as the machine ended that it was made after. A drill without a
    /// snapshot is held against this alone.
    pub expect: Option<Expect>,
    /// What the drill does not have of the machine that it was made after, in sentences: the
    /// outcome's `fidelity` ends with them.
    #[serde(default)]
    pub fidelity: Vec<String>,
}

/// How a drill is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// What happens.
    pub verdict: Verdict,
    /// Why; any cause will do when absent.
    pub cause: Option<Cause>,
}

impl Expect {
    /// Whether this is how a drill ended.
    pub fn is_met(&self, outcome: &Outcome) -> bool {
        let cause = self.cause.as_ref();
        self.verdict == outcome.verdict && cause.is_none_or(|cause| *cause == outcome.cause)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) if *cause != Cause::NONE => write!(f, "{} ({cause})", self.verdict),
            _ => write!(f, "{}", self.verdict),
        }
    }
}

/// Who does the work in both kernels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// crashdrill's own /init, in an initramfs of its own: quick, and the same for every kernel.
    #[default]
    Direct,
    /// A whole distribution on a root disk, with its own kdump: the device marked as target holds
    /// it.
    Disk,
}

/// The emulated machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Machine {
    /// Chipset. On `pc`, interrupt lines use preallocated ISA vectors, so a shortage of vectors
    /// does not end in the BUG that it ends in on q35.
    pub chipset: Chipset,
    /// QEMU's name of the CPU model; without it the image's, which is qemu64 unless its programs
    /// need more.
    pub cpu: Option<String>,
    /// CPUs of the machine (the first kernel uses all of them).
    pub cpus: Cpus,
    /// How the kernels route interrupts: with `flat`, a kernel before 4.15 takes each vector on
    /// all CPUs at once, so that more CPUs are not more vectors.
    pub apic: Apic,
    /// Memory.
    pub memory: Bytes,
    /// PCI devices.
    pub devices: Vec<Device>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            chipset: Chipset::Q35,
            cpu: None,
            cpus: Cpus::ONE,
            apic: Apic::Auto,
            memory: Bytes(Bytes::GIB),
            devices: Vec::new(),
        }
    }
}

/// QEMU's two PC machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Chipset {
    /// Q35 + ICH9, PCI Express.
    Q35,
    /// i440FX, PCI only.
    Pc,
}

/// APIC routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Apic {
    /// What the kernels choose by themselves.
    Auto,
    /// Logical flat: up to 8 CPUs.
    Flat,
    /// Physical flat: chosen through the ACPI ids that kernels match.
    Physical,
    /// x2APIC; under TCG it needs QEMU 9 or newer.
    X2apic,
}

/// One line of `machine.devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    /// What it is; `crashdrill devices` lists the catalogue.
    pub device: DeviceKind,
    /// Its ids, of those that crashdrill models: `generic` takes any, the others the ids of their
    /// family.
    pub id: Option<pci::Id>,
    /// Its subsystem's ids, of those that crashdrill models.
    pub subsystem: Option<pci::Id>,
    /// Class of a `generic`.
    pub class: Option<pci::Class>,
    /// Revision, of those that crashdrill models.
    pub rev: Option<pci::Revision>,
    /// Regions of registers (BARs) of a `generic`, in the order in which lspci shows them.
    pub bars: Option<Vec<pci::Region>>,
    /// Entries of the MSI-X table, where the device lets one choose.
    pub msix: Option<TableSize>,
    /// A `generic` has the MSI capability.
    #[serde(default)]
    pub msi: bool,
    /// Ports of an `i40e` card: each is a function of the card's slot.
    pub ports: Option<pci::Ports>,
    /// How many of them.
    #[serde(default = "one")]
    pub count: u16,
    /// Their PCI slots, one each; chosen by crashdrill when absent.
    pub slots: Option<Vec<Slot>>,
    /// The dump goes to this device.
    #[serde(default)]
    pub target: bool,
    /// The root file system is on this device: where `dump_to_rootfs` goes.
    #[serde(default)]
    pub root: bool,
    /// Size of the disk behind it, for devices that carry one.
    pub size: Option<Bytes>,
    /// What the disk holds before the machine starts, where it is to be something else than
    /// kdump.conf says of the target, or than ext4.
    pub filesystem: Option<DiskContent>,
    /// Whether the device has an interrupt line (GSI) of its own or shares one with the others.
    /// It decides between a BUG and a dump when a 3.10 kernel has run out of vectors.
    pub line: Option<Line>,
}

impl Device {
    /// One of a kind, as a line that says nothing more has it.
    pub fn new(device: DeviceKind) -> Self {
        Self {
            device,
            id: None,
            subsystem: None,
            class: None,
            rev: None,
            bars: None,
            msix: None,
            msi: false,
            ports: None,
            count: one(),
            slots: None,
            target: false,
            root: false,
            size: None,
            filesystem: None,
            line: None,
        }
    }

    /// Functions of each: the ports of a card.
    pub fn functions(&self) -> u8 {
        self.ports.map_or(1, pci::Ports::get)
    }
}

/// What a disk holds; what is absent is as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DiskContent {
    /// The kind of file system.
    pub r#type: Option<HeldType>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
}

/// What a disk can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldType {
    /// Nothing but zeros.
    Blank,
    /// Second extended.
    Ext2,
    /// Third extended.
    Ext3,
    /// Fourth extended.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
}

fn one() -> u16 {
    1
}

/// Interrupt line of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// No other device of the scenario is on the same line.
    Own,
    /// The same line as the other devices.
    Shared,
}

/// Every device that a scenario can name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// virtio-serial-pci: takes 2 x (ports + 1) vectors whatever the CPU count; the vector filler.
    VirtioSerial,
    /// NVM Express controller with one namespace.
    Nvme,
    /// virtio-blk-pci.
    VirtioBlk,
    /// virtio-scsi-pci with one disk.
    VirtioScsi,
    /// ICH9 AHCI with one disk.
    Ahci,
    /// LSI MegaRAID SAS 2108 with one disk.
    MegasasGen2,
    /// LSI SAS1068 with one disk.
    Mptsas1068,
    /// Intel 82574L.
    E1000e,
    /// Intel 82576.
    Igb,
    /// VMware vmxnet3.
    Vmxnet3,
    /// virtio-net-pci.
    VirtioNet,
    /// USB 3 host controller.
    Xhci,
    /// PCI Express root port.
    PcieRootPort,
    /// Any PCI function by its ids, with its table; nothing answers in it.
    Generic,
    /// Intel X710 or XL710 card with 1, 2 or 4 ports, modelled.
    I40e,
    /// Broadcom (LSI) SAS3 adapter with one disk, modelled.
    Mpt3sas,
}

/// The kernel that is going to die.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FirstKernel {
    /// Added to its command line.
    pub append: String,
    /// Drivers it loads before the crash, in this order; none by default. A driver that was live
    /// leaves its device with MSI-X enabled, as on a real machine.
    pub drivers: Vec<String>,
}

/// How the first kernel dies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Crash {
    /// The CPU that writes `c` to /proc/sysrq-trigger. With flat routing under TCG a crash on
    /// any CPU but 0 leaves the capture kernel without disk interrupts.
    pub cpu: u16,
}

/// kdump's own configuration, as the customer has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Kdump {
    /// Whose kdump reads it.
    pub flavour: Flavour,
    /// The text of kdump.conf. By default the target device with ext4, and makedumpfile.
    pub conf: Option<String>,
    /// /etc/sysconfig/kdump: some of its keys, or the file's own text.
    pub sysconfig: SysconfigFile,
    /// The text of Debian's /etc/default/kdump-tools.
    pub kdump_tools: Option<String>,
}

/// /etc/sysconfig/kdump in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SysconfigFile {
    /// A mapping: an absent key has the flavour's default.
    Keys(Box<Sysconfig>),
    /// The file as it lies on the machine: what it leaves out is absent there, too.
    Text(String),
}

impl Default for SysconfigFile {
    fn default() -> Self {
        Self::Keys(Box::default())
    }
}

impl<'de> Deserialize<'de> for SysconfigFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = SysconfigFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of keys, or the file's own text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SysconfigFile, E> {
                Ok(SysconfigFile::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SysconfigFile, A::Error> {
                Sysconfig::deserialize(MapAccessDeserializer::new(map))
                    .map(|keys| SysconfigFile::Keys(Box::new(keys)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for SysconfigFile {
    fn schema_name() -> Cow<'static, str> {
        "SysconfigFile".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<Sysconfig>(), { "type": "string" }]
        })
    }
}

/// The kernel that saves the dump.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Capture {
    /// Its drivers. By default those of `machine.devices`, in the order of the file, the dump
    /// target's last.
    pub drivers: Option<Vec<String>>,
    /// In which order they are loaded.
    pub order: LoadOrder,
    /// Files put into its initramfs, path to text; executable. For kdump_pre and kdump_post.
    pub files: BTreeMap<String, String>,
}

/// In which order the capture kernel loads its drivers, one after the other. What a driver cannot
/// do without (virtio_pci, modules that it depends on) comes before it in every order; modules that
/// only kdump.conf names come last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadOrder {
    /// As `drivers` has them.
    #[default]
    Explicit,
    /// By PCI address, as udev begins at boot (coldplug): the driver of the lowest first. A virtio
    /// device's own driver, for which udev waits for another event, comes with virtio_pci.
    Pci,
    /// Shuffled; the seed says how, and means the same order always.
    Shuffled(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    shuffled: u64,
}

impl Serialize for LoadOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Explicit => serializer.serialize_str("explicit"),
            Self::Pci => serializer.serialize_str("pci"),
            Self::Shuffled(shuffled) => Seed { shuffled }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LoadOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrSeed;

        impl<'de> Visitor<'de> for WordOrSeed {
            type Value = LoadOrder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`explicit`, `pci` or `{shuffled: SEED}`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<LoadOrder, E> {
                match word {
                    "explicit" => Ok(LoadOrder::Explicit),
                    "pci" => Ok(LoadOrder::Pci),
                    _ => Err(E::unknown_variant(
                        word,
                        &["explicit", "pci", "{shuffled: SEED}"],
                    )),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LoadOrder, A::Error> {
                Seed::deserialize(MapAccessDeserializer::new(map))
                    .map(|seed| LoadOrder::Shuffled(seed.shuffled))
            }
        }

        deserializer.deserialize_any(WordOrSeed)
    }
}

/// What becomes of a dump that is sent over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DumpServer {
    /// The server takes it.
    #[default]
    Ready,
    /// There is no server at that address.
    Absent,
    /// The server does not let this machine in: it exports the directory to others, or does not
    /// know the key.
    Refuses,
}

/// When to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// For the whole drill, from QEMU's start.
    pub total: Millis,
    /// Without a byte on the console while the machine had a CPU to run on.
    pub silence: Millis,
    /// For the dump target to appear, in guest time.
    pub target: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Millis(300_000),
            silence: Millis(60_000),
            target: Millis(10_000),
        }
    }
}
