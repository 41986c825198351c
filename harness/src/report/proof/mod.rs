//! A proof for people: what is different, both outcomes side by side, the vectors of each device,
//! and what was shown.

mod configuration;
mod json;

use anstyle::{AnsiColor, Style};

pub use json::proof_json;

use super::page::{Page, Text};
use super::{answer, mebibytes, seconds};
use crate::proof::{Effect, Finding, Proof, Side, same_failure};
use crate::verdict::outcome::{Function, Outcome, Verdict, Vmcore};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

const BEFORE: &str = "before";
const AFTER: &str = "after";

/// The whole text, `width` columns wide, with styles.
pub fn proof_text(proof: &Proof, width: usize) -> String {
    let mut page = Page::new(width);
    let (before, after) = (usual(&proof.before), usual(&proof.after));
    head(&mut page, proof);
    configuration::show(&mut page, &proof.changes, width);
    if let (Some(before), Some(after)) = (before, after) {
        result(&mut page, proof, before, after, width);
        evidence(&mut page, before, after);
        devices(&mut page, before, after);
    }
    outcomes(&mut page, proof);
    kept(&mut page, proof);
    if let (Some(before), Some(after)) = (before, after) {
        conclusion(&mut page, proof, before, after);
    }
    page.finish()
}

/// The most frequent outcome.
fn usual(side: &Side) -> Option<&Outcome> {
    side.groups().first().map(|group| group.outcome)
}

fn style_of(outcome: &Outcome) -> Style {
    match outcome.verdict {
        Verdict::VmcoreSaved => GOOD,
        _ => BAD,
    }
}

fn heading(page: &mut Page, text: &str) {
    page.blank();
    page.flow(&Text::new(), &Text::new().styled(BOLD, text));
}

/// `  before  `, in a column as wide as the longer of the two.
fn lead(name: &str) -> Text {
    Text::new().styled(DIM, &format!("  {name:6}  "))
}

fn head(page: &mut Page, proof: &Proof) {
    for (name, side) in [(BEFORE, &proof.before), (AFTER, &proof.after)] {
        let id = side.id.to_string();
        page.flow(
            &Text::new().styled(DIM, &format!("{name:6}  ")),
            &Text::new().styled(BOLD, &id),
        );
    }
}

fn arrow(before: &str, after: &str) -> Text {
    Text::new()
        .styled(OLD, before)
        .plain(" -> ")
        .styled(NEW, after)
}

fn result(page: &mut Page, proof: &Proof, before: &Outcome, after: &Outcome, width: usize) {
    let column = |outcome: &Outcome, side: &Side| {
        let vectors = outcome.vectors.as_ref();
        [
            outcome.verdict.to_string(),
            outcome.cause.to_string(),
            outcome.phase.to_string(),
            outcome.vmcore.as_ref().map_or("none".to_owned(), dump),
            vectors.map_or("-".to_owned(), |seen| seen.capture_cpus.to_string()),
            vectors.map_or("-".to_owned(), |seen| seen.in_use().to_string()),
            memory(side, outcome),
            outcome.machine.clone(),
            times(side, outcome),
        ]
    };
    const MACHINE: &str = "machine";
    let names = [
        "verdict",
        "cause",
        "last phase",
        "dump",
        "capture CPUs",
        "vectors in use",
        "memory in use",
        MACHINE,
        "time",
    ];
    let (left, right) = (column(before, &proof.before), column(after, &proof.after));
    // The emulated machine is of no interest while it is the same.
    let rows: Vec<(&str, String, String)> = names
        .into_iter()
        .zip(left)
        .zip(right)
        .map(|((name, left), right)| (name, left, right))
        .filter(|(name, left, right)| *name != MACHINE || left != right)
        .collect();
    let longest = |of: fn(&(&str, String, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name_width = longest(|row| row.0.len());
    let left_width = longest(|row| row.1.len()).max(BEFORE.len());
    let right_width = longest(|row| row.2.len()).max(AFTER.len());
    let name = |name: &str| {
        Text::new()
            .plain("  ")
            .styled(DIM, name)
            .padded(name_width + 4)
    };
    page.blank();
    let title = Text::new().styled(BOLD, "Result");
    let beside = name_width + 4 + left_width + 2 + right_width <= width;
    if beside {
        let head = title
            .padded(name_width + 4)
            .styled(DIM, BEFORE)
            .padded(name_width + 4 + left_width + 2)
            .styled(DIM, AFTER);
        page.flow(&head, &Text::new());
    } else {
        page.flow(&title, &Text::new());
    }
    for (row, (key, one, other)) in rows.iter().enumerate() {
        // Times always differ.
        let same = one == other || row == rows.len() - 1;
        let style = |outcome| match row {
            0 => style_of(outcome),
            _ if same => DIM,
            _ => Style::new(),
        };
        let one = Text::new().styled(style(before), one);
        let other = Text::new().styled(style(after), other);
        if beside {
            page.flow(
                &name(key).then(one.padded(left_width + 2)).then(other),
                &Text::new(),
            );
        } else {
            page.flow(&name(key).then(lead(BEFORE)), &one);
            page.flow(&name("").then(lead(AFTER)), &other);
        }
    }
}

/// `kdump-compressed, level 31, complete`.
fn dump(vmcore: &Vmcore) -> String {
    let mut text = vmcore.format.clone();
    if let Some(level) = vmcore.dump_level {
        text.push_str(&format!(", level {level}"));
    }
    text.push_str(match (vmcore.complete, vmcore.this_drill) {
        (false, _) => ", incomplete",
        (true, false) => ", complete, of another crash",
        (true, true) => ", complete",
    });
    text
}

/// The highest of all runs with this outcome.
fn memory(side: &Side, outcome: &Outcome) -> String {
    let runs = side.runs.iter().filter(|run| run.outcome == *outcome);
    match runs.filter_map(|run| run.capture_memory).max() {
        Some(most) => mebibytes(most),
        None => "-".to_owned(),
    }
}

/// `12.0 s`, `12.0 s to 14.1 s`.
fn times(side: &Side, outcome: &Outcome) -> String {
    let runs = side.runs.iter().filter(|run| run.outcome == *outcome);
    let times: Vec<_> = runs.map(|run| run.elapsed).collect();
    let least = times.iter().min().copied().unwrap_or_default();
    let most = times.iter().max().copied().unwrap_or_default();
    match (seconds(least), seconds(most)) {
        (least, most) if least == most => least,
        (least, most) => format!("{least} to {most}"),
    }
}

fn evidence(page: &mut Page, before: &Outcome, after: &Outcome) {
    if before.evidence == after.evidence {
        return;
    }
    heading(page, "Evidence");
    for (name, outcome, other) in [(BEFORE, before, after), (AFTER, after, before)] {
        let mut name = name;
        for line in &outcome.evidence {
            let style = match other.evidence.contains(line) {
                true => DIM,
                false => Style::new(),
            };
            page.flow(&lead(name), &Text::new().styled(style, line));
            name = "";
        }
    }
}

/// A PCI function in both capture kernels.
struct Pair<'a> {
    slot: &'a str,
    before: Option<&'a Function>,
    after: Option<&'a Function>,
}

/// By slot; the second drill's own where they belong.
fn pairs<'a>(before: &'a Outcome, after: &'a Outcome) -> Vec<Pair<'a>> {
    fn at<'a>(devices: &'a [Function], slot: &str) -> Option<&'a Function> {
        devices.iter().find(|function| function.slot == slot)
    }
    let both = before.devices.iter().chain(&after.devices);
    let mut slots: Vec<&str> = both.map(|function| function.slot.as_str()).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
        .into_iter()
        .map(|slot| Pair {
            slot,
            before: at(&before.devices, slot),
            after: at(&after.devices, slot),
        })
        .collect()
}

fn devices(page: &mut Page, before: &Outcome, after: &Outcome) {
    let pairs = pairs(before, after);
    if pairs.is_empty() {
        return;
    }
    let texts = |pair: &Pair<'_>, of: fn(&Function) -> String| {
        let text = |function: Option<&Function>| function.map_or("-".to_owned(), of);
        (text(pair.before), text(pair.after))
    };
    let one_or_both = |(before, after): (String, String)| match before == after {
        true => before,
        false => format!("{before} -> {after}"),
    };
    let devices: Vec<String> = pairs
        .iter()
        .map(|pair| one_or_both(texts(pair, |function| function.device.clone())))
        .collect();
    let tables: Vec<String> = pairs
        .iter()
        .map(|pair| one_or_both(texts(pair, |function| function.table.to_string())))
        .collect();
    let table_width = tables.iter().map(String::len).max().unwrap_or(0).max(5);
    let device_width = devices.iter().map(String::len).max().unwrap_or(0).max(6);
    let slot_width = pairs.iter().map(|pair| pair.slot.len()).max().unwrap_or(0);
    let row = |slot: &str, device: &str, numbers: [Text; 3], driver: Text| {
        let [table, granted_before, granted_after] = numbers;
        Text::new()
            .plain("  ")
            .plain(slot)
            .padded(slot_width + 4)
            .plain(device)
            .padded(slot_width + 4 + device_width + 2)
            .then(table.right(table_width))
            .plain("  ")
            .then(granted_before.right(BEFORE.len()))
            .plain("  ")
            .then(granted_after.right(BEFORE.len()))
            .plain("  ")
            .then(driver)
    };
    heading(page, "Interrupt vectors that each device was granted");
    let dim = |text: &str| Text::new().styled(DIM, text);
    let head = row(
        "slot",
        "device",
        [dim("table"), dim(BEFORE), dim(AFTER)],
        dim("driver"),
    );
    page.verbatim(0, &head);
    for ((pair, device), table) in pairs.iter().zip(&devices).zip(&tables) {
        let (before, after) = texts(pair, |function| function.granted.to_string());
        let drivers = texts(pair, |function| {
            function.driver.clone().unwrap_or_else(|| "none".to_owned())
        });
        let numbers = [
            Text::new().plain(table),
            Text::new().styled(if before == after { DIM } else { OLD }, &before),
            Text::new().styled(if before == after { DIM } else { NEW }, &after),
        ];
        let driver = match drivers.0 == drivers.1 {
            true => dim(&drivers.0),
            false => arrow(&drivers.0, &drivers.1),
        };
        page.verbatim(0, &row(pair.slot, device, numbers, driver));
    }
}

/// How often each outcome came, if there were several runs.
fn outcomes(page: &mut Page, proof: &Proof) {
    let of = proof.finding().of;
    if of < 2 {
        return;
    }
    heading(page, &format!("Outcomes of {of} runs each"));
    let digits = of.to_string().len();
    for (name, side) in [(BEFORE, &proof.before), (AFTER, &proof.after)] {
        let mut name = name;
        let groups = side.groups();
        let first = groups.first().map(|group| group.outcome);
        for group in &groups {
            let mut text = Text::new().styled(style_of(group.outcome), &answer(group.outcome));
            if let Some(first) = first
                && answer(first) == answer(group.outcome)
                && first != group.outcome
            {
                let differs = parts_that_differ(first, group.outcome).join(", ");
                text = text.plain(&format!(", with other {differs}"));
            }
            let times = format!("{:>digits$} x  ", group.times);
            page.flow(&lead(name).plain(&times), &text);
            name = "";
        }
    }
}

fn parts_that_differ(one: &Outcome, other: &Outcome) -> Vec<&'static str> {
    [
        ("phase", one.phase != other.phase),
        ("evidence", one.evidence != other.evidence),
        ("vector counts", one.vectors != other.vectors),
        ("devices", one.devices != other.devices),
        ("dump", one.vmcore != other.vmcore),
        ("machine", one.machine != other.machine),
        ("fidelity", one.fidelity != other.fidelity),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn kept(page: &mut Page, proof: &Proof) {
    let runs = proof.before.runs.iter().chain(&proof.after.runs);
    let kept: Vec<_> = runs.filter_map(|run| run.kept.as_ref()).collect();
    if kept.is_empty() {
        return;
    }
    heading(page, "Kept");
    for directory in kept {
        page.verbatim(2, &Text::new().plain(&directory.display().to_string()));
    }
}

fn conclusion(page: &mut Page, proof: &Proof, before: &Outcome, after: &Outcome) {
    let finding = proof.finding();
    let style = if finding.is_good() { GOOD } else { BAD };
    page.blank();
    let lead = Text::new().styled(style, effect(finding.effect));
    let Finding { times, of, .. } = finding;
    let said = match finding.effect {
        Effect::Fixes => format!("{} before, a complete dump after", answer(before)),
        Effect::Breaks => format!("a complete dump before, {} after", answer(after)),
        Effect::NoDifference => "a complete dump both before and after".to_owned(),
        Effect::DoesNotFix if same_failure(before, after) => {
            format!("{} both before and after", answer(before))
        }
        Effect::DoesNotFix => format!(
            "it fails otherwise, {} before, {} after",
            answer(before),
            answer(after)
        ),
    };
    let often = match (of, finding.steady) {
        (1, _) => String::new(),
        (_, true) => format!(" {times} times out of {of}"),
        (_, false) if times == of => {
            format!(" {times} times out of {of}, but not with the same outcomes each time")
        }
        (_, false) => format!(" only {times} times out of {of}"),
    };
    page.flow_at(
        &lead,
        2,
        &Text::new()
            .styled(style, &often)
            .plain(&format!(": {said}")),
    );
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Fixes => "fixes",
        Effect::DoesNotFix => "does not fix",
        Effect::Breaks => "breaks",
        Effect::NoDifference => "no difference",
    }
}

#[cfg(test)]
mod tests;
