//! `crashdrill plan`.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Args;

use super::named::{self, named};
use super::progress::Shown;
use super::{CliError, Context, Status, print, width};
use crate::report::{Planned, safe, vectors_json, vectors_schema, vectors_svg, vectors_text};
use crate::run;
use crate::vectors::{Prediction, predict};

/// Say who gets which interrupt vectors in the capture kernel, without starting anything.
///
/// Device by device, in the order in which the capture kernel loads their drivers: what the driver
/// asks for, what it is granted, who is the first that is refused, and with how many CPUs everybody
/// would get what it asks for.
#[derive(Debug, Args)]
#[command(after_help = HELP.as_str())]
pub(super) struct Plan {
    /// The drill: SCENARIO or SCENARIO@VARIANT.
    #[arg(value_name = "DRILL", required_unless_present = "schema")]
    drill: Option<String>,
    /// For so many CPUs of the capture kernel instead of those of its command line: a number, or
    /// FIRST..LAST, up to 255; the machine need not have them.
    #[arg(long, value_name = "N", value_parser = range)]
    cpus: Option<RangeInclusive<u16>>,
    /// Draw it, as an SVG: a bar for each number of CPUs.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print one JSON document instead of text. `--schema` describes it.
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, conflicts_with_all = ["drill", "cpus", "plot", "json"])]
    schema: bool,
}

static HELP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "\
{}

Examples:
  crashdrill plan vector-exhaustion-nvme@exhausted
  crashdrill plan vector-exhaustion-nvme@exhausted --cpus 1..8 --plot vectors.svg

The image must be there, or is fetched: its kernel and modules decide. The order in which drivers
load in a whole distribution (`boot: disk`) is an assumption, as udev loads them in parallel.",
        named::SYNTAX
    )
});

/// Bars of a picture for which nobody said how many CPUs.
const BARS: u16 = 8;

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let number = |text: &str| {
        let number = text.parse::<u16>().ok().filter(|it| (1..=255).contains(it));
        number.ok_or_else(|| format!("`{text}` is no number of CPUs, 1 to 255"))
    };
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    match first <= last {
        true => Ok(first..=last),
        false => Err(format!("{first} is more than {last}")),
    }
}

impl Plan {
    pub(super) fn schema(&self) -> Option<Result<Status, CliError>> {
        let show = || {
            let schema = vectors_schema();
            let text = serde_json::to_string_pretty(&schema).map_err(CliError::harness)?;
            say!("{text}");
            Ok(Status::Good)
        };
        self.schema.then(show)
    }

    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let name = self.drill.as_deref().unwrap_or_default();
        let drill = named(context, name)?;
        let (plan, image) =
            run::prepare_plan(&context.project, &context.cache, &drill, &Shown::new())?;
        let release = image.kernel.release.as_str();
        let Some(setting) = plan.vectors(&drill, &image) else {
            return Err(CliError::wrong(format!(
                "image {}: the kernel's release `{}` does not begin with a version, such as 6.1",
                image.name,
                safe(release)
            )));
        };
        let of = |cpus: RangeInclusive<u16>| -> Vec<Prediction> {
            cpus.map(|cpus| predict(&setting.with_cpus(cpus))).collect()
        };
        let predictions = match &self.cpus {
            Some(cpus) => of(cpus.clone()),
            None => vec![predict(&setting)],
        };
        let drill = drill.id.to_string();
        let planned = Planned {
            drill: &drill,
            release,
            predictions: &predictions,
            several: predictions.len() > 1,
        };
        if let Some(path) = &self.plot {
            let bars = match &self.cpus {
                Some(_) => predictions.clone(),
                None => of(1..=setting.most.min(BARS)),
            };
            let svg = vectors_svg(Planned {
                predictions: &bars,
                ..planned
            });
            fs::write(path, svg).map_err(|error| {
                CliError::harness(format!("cannot write {}: {error}", path.display()))
            })?;
        }
        match self.json {
            true => say!("{}", vectors_json(planned).map_err(CliError::harness)?),
            false => print(&vectors_text(planned, width()))?,
        }
        Ok(Status::Good)
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn numbers_of_cpus() {
        assert_eq!(range("4"), Ok(4..=4));
        assert_eq!(range("1..8"), Ok(1..=8));
        for wrong in ["", "0", "256", "1..", "..3", "4..2", "1-4", "1..=3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
