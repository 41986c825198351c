use std::path::{Path, PathBuf};

use super::*;
use crate::machine::catalogue;
use crate::proof::tests::{bad, good};
use crate::scenario::parse;

fn drills(matrix: &str) -> Vec<Drill> {
    let text = format!(
        "name: x\nabout: A drill.\nimage: debian-12\ncrashkernel: 256M\nmachine:\n  devices:\n    \
         - {{device: nvme, target: true}}\n    - {{device: virtio-serial, msix: 8}}\n{matrix}"
    );
    parse(Path::new("x.yaml"), &text, catalogue::facts)
        .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)))
        .drills
}

fn changed() -> Comparison {
    Comparison::Changed {
        file: PathBuf::new(),
        old: String::new(),
        new: String::new(),
    }
}

/// Four devices are too many for one CPU; of the last drill nothing is known.
fn came(id: &DrillId) -> Option<Cell> {
    let name = id.variant.as_deref().unwrap();
    let has = |part: &str| name.contains(part);
    match (has("count-4"), has("cpus-1"), has("count-5")) {
        (true, true, _) => Some(Cell::of(&bad(), &Comparison::Same, false)),
        (true, false, _) => Some(Cell::of(&good(), &changed(), false)),
        (_, _, true) => None,
        _ => Some(Cell::of(&good(), &Comparison::Same, false)),
    }
}

fn shown(drills: &[Drill], width: usize) -> String {
    let grids = Grid::of(drills);
    let texts = grids.iter().map(|grid| grid.page(came, width));
    anstream::adapter::strip_str(&texts.collect::<String>()).to_string()
}

const TWO: &str = "matrix:\n  machine.cpus: [1, 2]\n  machine.devices[1].count: [3, 4, 5]\n";

#[test]
fn rows_and_columns() {
    insta::assert_snapshot!("two-axes", shown(&drills(TWO), 100));
}

#[test]
fn causes_below_where_there_is_not_the_room() {
    insta::assert_snapshot!("causes-below", shown(&drills(TWO), 60));
}

#[test]
fn columns_that_do_not_fit_stand_below_the_others() {
    insta::assert_snapshot!("narrow", shown(&drills(TWO), 40));
    // Each of them is wider than the page.
    insta::assert_snapshot!("too-narrow", shown(&drills(TWO), 20));
}

#[test]
fn one_axis_is_a_list() {
    let text = "matrix: {'machine.devices[1].count': [3, 4, 5]}\n";
    insta::assert_snapshot!("one-axis", shown(&drills(text), 100));
}

#[test]
fn a_grid_for_each_combination_of_the_others() {
    let text = format!("variants: {{plain: {{}}, more-memory: {{machine.memory: 2G}}}}\n{TWO}");
    let mut drills = drills(&text);
    drills.truncate(8);
    let drills: Vec<_> = drills.into_iter().map(|drill| drill.on("host")).collect();
    insta::assert_snapshot!("three-axes", shown(&drills, 100));
}

#[test]
fn verdicts_have_their_colour() {
    let drills = drills("matrix: {machine.cpus: [1], 'machine.devices[1].count': [3, 4]}\n");
    let text = Grid::of(&drills)[0].page(came, 100);
    assert!(
        text.contains("\u{1b}[1m\u{1b}[32mvmcore-saved\u{1b}[0m"),
        "{text:?}"
    );
    let verdict = bad().verdict;
    assert!(
        text.contains(&format!("\u{1b}[1m\u{1b}[31m{verdict}\u{1b}[0m")),
        "{text:?}"
    );
}

#[test]
fn without_a_matrix_there_is_no_grid() {
    assert_eq!(Grid::of(&drills("")), []);
    assert_eq!(Grid::of(&drills("variants: {a: {}, b: {}}\n")), []);
}

#[test]
fn a_drill_that_could_not_run() {
    let drills = drills("matrix: {machine.cpus: [1, 2]}\n");
    let finished = [Finished {
        id: drills[0].id.clone(),
        result: Err(crate::run::HarnessError::Image("no image".to_owned())),
    }];
    let text = Grid::of(&drills)[0].text(&finished, 100);
    let text = anstream::adapter::strip_str(&text).to_string();
    assert_eq!(text, "\nx\n  cpus 1  ERROR\n  cpus 2  -\n");
}
