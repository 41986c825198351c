//! A plan of interrupt vectors, for people and for programs; its picture is in [`plot`].

mod plot;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use plot::vectors_svg;

use super::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text};
use super::{json_line, json_schema};
use crate::vectors::{Forecast, Got, Prediction, Routing};

/// What a plan is of.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// The drill.
    pub drill: &'a str,
    /// What `uname -r` says.
    pub release: &'a str,
    /// One for each number of CPUs.
    pub predictions: &'a [Prediction],
    /// Whether they are shown as rows, one each.
    pub several: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    /// The drill.
    drill: &'a str,
    /// The capture kernel, as `uname -r` says it.
    kernel: &'a str,
    /// One for each number of CPUs that was asked for.
    predictions: Vec<One<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct One<'a> {
    #[serde(flatten)]
    prediction: &'a Prediction,
    /// The slot of the first device that gets less than its driver asks for; null if there is none.
    first_refused: Option<&'a str>,
}

/// One line, without its end.
///
/// # Errors
/// None that a scenario can cause.
pub fn vectors_json(planned: Planned<'_>) -> Result<String, serde_json::Error> {
    let one = |prediction| One {
        first_refused: Prediction::first_refused(prediction).map(|device| device.slot.as_str()),
        prediction,
    };
    json_line(&Document {
        drill: planned.drill,
        kernel: planned.release,
        predictions: planned.predictions.iter().map(one).collect(),
    })
}

/// The JSON Schema of [`vectors_json`].
pub fn vectors_schema() -> Value {
    json_schema::<Document<'_>>("crashdrill plan of one drill")
}

/// Device by device for one number of CPUs, or a row for each of several.
pub fn vectors_text(planned: Planned<'_>, width: usize) -> String {
    let mut page = Page::new(width);
    let head = Text::new()
        .styled(BOLD, planned.drill)
        .plain(&format!(", capture kernel {}", planned.release));
    page.flow(&Text::new(), &head);
    page.blank();
    match (planned.predictions, planned.several) {
        ([prediction], false) => devices(&mut page, prediction),
        (predictions, _) => rows(&mut page, predictions),
    }
    if let Some(prediction) = planned.predictions.first() {
        page.blank();
        page.flow(&Text::new(), &answer(prediction, planned.several));
    }
    page.finish()
}

fn cpus(count: u16) -> String {
    match count {
        1 => "1 CPU".to_owned(),
        count => format!("{count} CPUs"),
    }
}

/// `1 CPU (of 4 possible) has 195 interrupt vectors for devices`
fn budget(prediction: &Prediction) -> String {
    let possible = match prediction.possible_cpus == prediction.cpus {
        true => String::new(),
        false => format!(" (of {} possible)", prediction.possible_cpus),
    };
    let have = match prediction.cpus {
        1 => "has",
        _ => "have",
    };
    format!(
        "{}{possible} {have} {} interrupt vectors for devices, whose drivers ask for {}",
        cpus(prediction.cpus),
        prediction.available,
        prediction.demand
    )
}

const HEADS: [&str; 7] = [
    "slot", "device", "driver", "table", "asked", "granted", "taken",
];

fn devices(page: &mut Page, prediction: &Prediction) {
    page.flow(&Text::new(), &Text::new().plain(&budget(prediction)));
    page.blank();
    let cells = |device: &Forecast| {
        [
            device.slot.clone(),
            device.device.to_owned(),
            device.driver.unwrap_or("(kernel)").to_owned(),
            device.table.to_string(),
            device.asked.to_string(),
            device.granted.to_string(),
            device.taken.to_string(),
        ]
    };
    let rows: Vec<[String; 7]> = prediction.devices.iter().map(cells).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].len());
            cells.chain([HEADS[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: [&str; 7]| {
        let mut line = Text::new().plain("  ");
        for (column, cell) in cells.into_iter().enumerate() {
            let cell = Text::new().plain(cell);
            line = line.then(match column {
                0..=2 => cell.padded(widths[column]).plain("  "),
                3 => cell.right(widths[column]),
                _ => cell.right(widths[column] + 2),
            });
        }
        line
    };
    page.verbatim(0, &line(HEADS));
    for (row, device) in rows.iter().zip(&prediction.devices) {
        let style = match &device.got {
            Got::All => GOOD,
            Got::KeptOut(_) | Got::NoDriver => DIM,
            got if got.is_lost() => BAD,
            _ => NEW,
        };
        let text = line(row.each_ref().map(String::as_str));
        page.verbatim(0, &text.plain("  ").styled(style, &device.got.to_string()));
    }
}

fn rows(page: &mut Page, predictions: &[Prediction]) {
    let name = |device: &Forecast| format!("{} {}", device.slot, device.device);
    let refused: Vec<String> = predictions
        .iter()
        .map(|prediction| prediction.first_refused().map_or("-".to_owned(), name))
        .collect();
    let head = "first refused";
    let wide = refused.iter().map(String::len).chain([head.len()]).max();
    let wide = wide.unwrap_or(0);
    let titles = format!("  CPUs  available  asked  taken  {head:wide$}  lost");
    page.verbatim(0, &Text::new().plain(&titles));
    for (prediction, refused) in predictions.iter().zip(&refused) {
        let numbers = format!(
            "  {:>4}  {:>9}  {:>5}  {:>5}  ",
            prediction.cpus, prediction.available, prediction.demand, prediction.taken
        );
        let lost: Vec<String> = prediction
            .devices
            .iter()
            .filter(|device| device.got.is_lost())
            .map(name)
            .collect();
        let style = match (prediction.first_refused(), lost.is_empty()) {
            (None, _) => GOOD,
            (Some(_), true) => NEW,
            (Some(_), false) => BAD,
        };
        let lost = if lost.is_empty() {
            "-".to_owned()
        } else {
            lost.join(", ")
        };
        let text = Text::new()
            .plain(&numbers)
            .styled(style, &format!("{refused:wide$}"))
            .plain("  ")
            .plain(&lost);
        page.verbatim(0, &text);
    }
}

/// Who is refused first, and what it would take.
fn answer(prediction: &Prediction, several: bool) -> Text {
    let mut text = Text::new();
    if !several {
        text = match prediction.first_refused() {
            None => return text.styled(GOOD, "Every device gets what its driver asks for."),
            Some(first) => text
                .styled(BAD, &format!("{} ({})", first.slot, first.device))
                .plain(" is the first that is refused. "),
        };
    }
    let shared = prediction.routing == Routing::Shared;
    text = match prediction.needed_cpus {
        Some(cpus) => text
            .plain(&format!(
                "Every device gets what its driver asks for from {} on: ",
                self::cpus(cpus)
            ))
            .styled(BOLD, &format!("nr_cpus={cpus}"))
            .plain("."),
        None => text.plain(
            "No number of CPUs that the machine has gives every device what its driver asks for.",
        ),
    };
    if shared {
        text = text.plain(
            " With flat APIC routing this kernel takes each vector on all CPUs at once, so more CPUs \
             are not more vectors.",
        );
    }
    text
}

#[cfg(test)]
mod tests;
