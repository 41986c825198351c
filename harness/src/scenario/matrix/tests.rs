use std::collections::BTreeSet;
use std::path::Path as File;

use proptest::prelude::*;

use super::MAX_DRILLS;
use crate::machine::catalogue::facts as facts_of;
use crate::scenario::model::{DeviceKind, SysconfigFile};
use crate::scenario::{BadScenario, Drill, parse};

const COMMON: &str = "\
name: x
about: A drill.
image: debian-12
machine:
  cpus: 4
  devices:
    - {device: nvme, target: true}
    - {device: virtio-serial, msix: 8}
    - {device: virtio-serial, msix: 8}
crashkernel: 256M
kdump:
  sysconfig:
    KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=1 reset_devices
";

fn load(text: &str) -> Result<Vec<Drill>, BadScenario> {
    parse(File::new("x.yaml"), &format!("{COMMON}{text}"), facts_of).map(|file| file.drills)
}

fn drills(text: &str) -> Vec<Drill> {
    load(text).unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
}

fn complaint(text: &str) -> String {
    load(text).unwrap_err().render(100, false)
}

fn names(drills: &[Drill]) -> Vec<&str> {
    let names = drills.iter().map(|drill| drill.id.variant.as_deref());
    names.map(Option::unwrap).collect()
}

fn append(drill: &Drill) -> &str {
    match &drill.scenario.kdump.sysconfig {
        SysconfigFile::Keys(keys) => keys.kdump_commandline_append.as_deref().unwrap(),
        SysconfigFile::Text(text) => text,
    }
}

#[test]
fn two_axes() {
    let drills = drills("matrix:\n  nr_cpus: [1, 2]\n  machine.devices[1].count: [3, 4]\n");
    assert_eq!(
        names(&drills),
        [
            "nr-cpus-1-count-3",
            "nr-cpus-1-count-4",
            "nr-cpus-2-count-3",
            "nr-cpus-2-count-4"
        ]
    );
    assert_eq!(drills[1].cell, ["nr_cpus 1", "count 4"]);
    assert_eq!(append(&drills[1]), "irqpoll nr_cpus=1 reset_devices");
    assert_eq!(append(&drills[2]), "irqpoll nr_cpus=2 reset_devices");
    assert_eq!(drills[2].scenario.machine.devices[1].count, 3);
    assert_eq!(drills[3].scenario.machine.devices[1].count, 4);
}

#[test]
fn names_of_values() {
    for (axis, wanted) in [
        (
            "crashkernel: [128M, '256M,high']",
            vec!["crashkernel-128m", "crashkernel-256m-high"],
        ),
        (
            "machine.devices[1].msix: [~, 64]",
            vec!["msix-unset", "msix-64"],
        ),
        ("machine.devices[0].target: [true]", vec!["target-true"]),
        (
            "capture.drivers: [[nvme, virtio_console], [virtio_console, nvme]]",
            vec!["drivers-nvme-virtio-console", "drivers-virtio-console-nvme"],
        ),
        (
            "capture.drivers: {last: [virtio_console, nvme], first: [nvme, virtio_console]}",
            vec!["last", "first"],
        ),
        // What tells two fields apart.
        (
            "{'machine.devices[1].count': [1], 'machine.devices[2].count': [2]}",
            vec!["devices-1-count-1-devices-2-count-2"],
        ),
        ("capture.files[\"/bin/x.sh\"]: [hi]", vec!["bin-x-sh-hi"]),
        ("machine.cpus: [0x10]", vec!["cpus-16"]),
    ] {
        let text = match axis.starts_with('{') {
            true => format!("matrix: {axis}\n"),
            false => format!("matrix:\n  {axis}\n"),
        };
        assert_eq!(names(&drills(&text)), wanted, "{axis}");
    }
}

#[test]
fn whole_values() {
    let drills = drills("matrix:\n  machine.devices[1]:\n    none: ~\n    gpu: {device: xhci}\n");
    assert_eq!(drills[0].scenario.machine.devices.len(), 2);
    assert_eq!(
        drills[1].scenario.machine.devices[1].device,
        DeviceKind::Xhci
    );
    assert_eq!(drills[1].cell, ["gpu"]);
}

#[test]
fn every_variant_has_the_matrix() {
    let drills = drills(
        "variants:\n  plain:\n  debian-13: {image: debian-13}\nmatrix:\n  machine.cpus: [2, 4]\n",
    );
    assert_eq!(
        names(&drills),
        [
            "plain-cpus-2",
            "plain-cpus-4",
            "debian-13-cpus-2",
            "debian-13-cpus-4"
        ]
    );
    assert_eq!(drills[2].cell, ["debian-13", "cpus 2"]);
    assert_eq!(drills[2].scenario.image, "debian-13");
}

#[test]
fn variants_alone_are_no_matrix() {
    let drills = drills("variants:\n  more: {nr_cpus: 3}\n");
    assert_eq!(drills[0].cell, [""; 0]);
    assert_eq!(append(&drills[0]), "irqpoll nr_cpus=3 reset_devices");
}

#[test]
fn nr_cpus_goes_into_the_command_line_of_the_other_axis() {
    let drills = drills(
        "matrix:\n  nr_cpus: [2]\n  kdump.sysconfig.KDUMP_COMMANDLINE_APPEND:\n    \
         quiet: quiet maxcpus=1\n    whole: irqpoll nr_cpus=8\n",
    );
    assert_eq!(append(&drills[0]), "quiet maxcpus=2");
    assert_eq!(append(&drills[1]), "irqpoll nr_cpus=2");
}

#[test]
fn another_value_keeps_the_cell() {
    let drill = drills("matrix:\n  machine.cpus: [2]\n").remove(0);
    let path = "crashkernel".parse().unwrap();
    let value = crate::scenario::Setting::Text("128M".to_owned());
    let other = drill.with(&path, value, facts_of).unwrap();
    assert_eq!((&other.id, &other.cell), (&drill.id, &drill.cell));
}

#[test]
fn too_many() {
    let numbers = |most: usize| {
        let numbers = (1..=most).map(|number| number.to_string());
        numbers.collect::<Vec<_>>().join(", ")
    };
    let two = |one, other| {
        format!(
            "matrix:\n  machine.devices[1].count: [{}]\n  limits.total: {{{}}}\n",
            numbers(one),
            (1..=other)
                .map(|nth| format!("s{nth}: {}s", 200 + nth))
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    assert_eq!(drills(&two(4, 64)).len(), MAX_DRILLS);
    let text = complaint(&two(4, 65));
    assert!(text.contains("4 x 65 are more than 256 drills"), "{text}");
    let text = complaint(&format!("matrix:\n  machine.cpus: [{}]\n", numbers(2_000)));
    assert!(text.contains("`machine.cpus` has 2000 values"), "{text}");
    let text = complaint(&format!(
        "matrix: {{{}}}\n",
        (0..9)
            .map(|nth| format!("a{nth}: [1]"))
            .collect::<Vec<_>>()
            .join(", ")
    ));
    assert!(text.contains("more than 8 fields vary"), "{text}");
}

#[test]
fn an_error_of_many_drills_does_not_list_them() {
    let text =
        complaint("matrix:\n  machine.cpus: [0, 4]\n  machine.devices[1].count: [1, 2, 3, 4, 5]\n");
    assert_eq!(text.matches("1 to 65535").count(), 1, "{text}");
    let few = "in variant cpus-0-count-1 and 4 more";
    assert!(text.contains(few), "{text}");
}

proptest! {
    #[test]
    fn every_cell_once(
        cpus in prop::collection::btree_set(4u16..9, 1..4),
        counts in prop::collection::btree_set(1u16..6, 1..4),
        images in prop::collection::btree_set("[a-z][a-z0-9.]{0,8}[a-z]", 1..4),
    ) {
        let text = format!(
            "matrix:\n  machine.cpus: {cpus:?}\n  machine.devices[2].count: {counts:?}\n  image: {images:?}\n"
        ).replace('{', "[").replace('}', "]");
        // `a.b` and `a-b` would be the same name, but there are no hyphens; `a..b` and `a.b` are.
        let slugs: BTreeSet<String> = images.iter().map(|image| super::slug(image)).collect();
        prop_assume!(slugs.len() == images.len());
        let drills = drills(&text);
        let names: BTreeSet<_> = names(&drills).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(names.len(), drills.len());
        prop_assert!(names.iter().all(|name| super::is_name(name)));
        let cells: BTreeSet<_> = drills.iter().map(|drill| drill.cell.clone()).collect();
        prop_assert_eq!(cells.len(), drills.len());
        let found: BTreeSet<_> = drills
            .iter()
            .map(|drill| {
                let machine = &drill.scenario.machine;
                (machine.cpus.get(), machine.devices[2].count, drill.scenario.image.clone())
            })
            .collect();
        let wanted: BTreeSet<_> = cpus
            .iter()
            .flat_map(|cpus| counts.iter().map(move |count| (*cpus, *count)))
            .flat_map(|(cpus, count)| images.iter().map(move |image| (cpus, count, image.clone())))
            .collect();
        prop_assert_eq!(drills.len(), wanted.len());
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn any_matrix(text in "([a-z]{1,3}: |- |\\[|\\{|\\}|\\]|, |&a |\\*a |\n {0,4}|nr_cpus|\"|'|é|[0-9]|~){0,30}") {
        if let Err(bad) = load(&format!("matrix:\n  {text}")) {
            bad.render(100, false);
        }
    }
}
