//! The picture of a plan: what the drivers ask for, device by device in the order in which they are
//! loaded, against what each number of CPUs has.

use std::fmt::Write;

use super::{Planned, cpus};
use crate::vectors::{Forecast, Got, Prediction};

const WIDTH: u32 = 960;
const LEFT: u32 = 76;
const RIGHT: u32 = 24;
const TOP: u32 = 64;
const BAR: u32 = 26;
const ROW: u32 = 52;
const LEGEND: u32 = 24;
/// Of the legend.
const COLUMNS: u32 = 6;
const COLUMN: u32 = (WIDTH - LEFT - RIGHT) / COLUMNS;

/// Readable on a light and on a dark page; told apart with the common kinds of colour blindness.
const COLOURS: [&str; 10] = [
    "#4477aa", "#228833", "#aa7722", "#8855aa", "#2299aa", "#997799", "#667788", "#776633",
    "#aa4466", "#55aa88",
];

const STYLE: &str = "\
svg{color-scheme:light dark;font:13px system-ui,sans-serif}\
.page{fill:#fff}.ink{fill:#222}.dim{fill:#666}.grid{stroke:#ddd}\
.line{stroke:#222;stroke-width:2;fill:none}.short{stroke:#c22;stroke-width:1.5}\
.bad{fill:#c22}.gap{stroke:#fff}\
@media(prefers-color-scheme:dark){.page{fill:#16181c}.ink{fill:#e6e6e6}.dim{fill:#a0a0a0}\
.grid{stroke:#333}.line{stroke:#e6e6e6}.short{stroke:#ff7a70}.bad{fill:#ff7a70}.gap{stroke:#16181c}}";

/// The plan as an SVG: a bar for each number of CPUs, made of what each driver asks for, where what
/// it does not get is hollow; and the line that the vectors of so many CPUs reach to.
pub fn vectors_svg(planned: Planned<'_>) -> String {
    let plot = Plot::new(planned);
    let mut svg = String::new();
    // Writing into a String cannot fail.
    let _ = plot.draw(&mut svg);
    svg
}

struct Plot<'a> {
    planned: Planned<'a>,
    /// Names of devices, in the order in which they first appear.
    kinds: Vec<&'static str>,
    /// Vectors at the right edge.
    most: u32,
}

impl<'a> Plot<'a> {
    fn new(planned: Planned<'a>) -> Self {
        let mut kinds = Vec::new();
        for device in planned.predictions.iter().flat_map(|it| &it.devices) {
            if device.asked > 0 && !kinds.contains(&device.device) {
                kinds.push(device.device);
            }
        }
        let predictions = planned.predictions.iter();
        let sum = |it: &Prediction| it.devices.iter().map(length).sum();
        let demand: u32 = predictions.clone().map(sum).max().unwrap_or(0);
        // No further than to the last mark that is of interest, with room for the others' arrows.
        let room = demand.saturating_mul(3) / 2;
        let marks = predictions.map(|it| it.available);
        let marks = marks.filter(|available| *available <= room).max();
        let most = marks.unwrap_or(0).max(demand).saturating_mul(9) / 8;
        Self {
            planned,
            kinds,
            most: most.max(8),
        }
    }

    fn x(&self, vectors: u32) -> f64 {
        let room = f64::from(WIDTH - LEFT - RIGHT);
        f64::from(LEFT) + room * f64::from(vectors.min(self.most)) / f64::from(self.most)
    }

    fn colour(&self, device: &str) -> &'static str {
        let kind = self.kinds.iter().position(|kind| *kind == device);
        COLOURS[kind.unwrap_or(0) % COLOURS.len()]
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let rows = u32::try_from(self.planned.predictions.len()).unwrap_or(0);
        let bottom = TOP + rows * ROW;
        let kinds = u32::try_from(self.kinds.len()).unwrap_or(0);
        let height = bottom + 44 + kinds.div_ceil(COLUMNS).max(1) * LEGEND;
        let title = escaped(&format!(
            "{}, capture kernel {}",
            self.planned.drill, self.planned.release
        ));
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>Interrupt vectors: {title}</title>\n\
             <style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>"
        )?;
        writeln!(
            svg,
            "<text class=\"ink\" x=\"{LEFT}\" y=\"24\" font-weight=\"bold\">{title}</text>\n\
             <text class=\"dim\" x=\"{LEFT}\" y=\"44\">Vectors asked for, driver by driver as they load. Pale: on \
             none of these CPUs. Hollow: refused. Mark: available.</text>"
        )?;
        self.axis(svg, bottom)?;
        for (row, prediction) in (0..).zip(self.planned.predictions) {
            self.row(svg, TOP + row * ROW, prediction)?;
        }
        self.available(svg)?;
        self.legend(svg, bottom + 44)?;
        svg.push_str("</svg>\n");
        Ok(())
    }

    fn axis(&self, svg: &mut String, bottom: u32) -> std::fmt::Result {
        let step = step(self.most);
        for vectors in (0..=self.most).step_by(step as usize) {
            let x = self.x(vectors);
            writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
                 <text class=\"dim\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{vectors}</text>",
                bottom + 16
            )?;
        }
        Ok(())
    }

    fn row(&self, svg: &mut String, top: u32, prediction: &Prediction) -> std::fmt::Result {
        let y = top + 20;
        writeln!(
            svg,
            "<text class=\"ink\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 10,
            y + 18,
            cpus(prediction.cpus)
        )?;
        let mut start = 0;
        for device in prediction.devices.iter().filter(|it| it.asked > 0) {
            self.device(svg, start, y, device)?;
            start += length(device);
        }
        let lost: Vec<&Forecast> = prediction
            .devices
            .iter()
            .filter(|device| device.got.is_lost())
            .collect();
        let said = match (prediction.first_refused(), &lost[..]) {
            (None, _) => "everybody gets what it asks for".to_owned(),
            (Some(first), []) => format!("{} makes do with less", named(first)),
            (Some(first), [one, rest @ ..]) => {
                let refused = match first.slot == one.slot {
                    true => String::new(),
                    false => format!("{} is refused first, ", named(first)),
                };
                match rest.len() {
                    0 => format!("{refused}{} is lost", named(one)),
                    more => format!("{refused}{} and {more} more are lost", named(one)),
                }
            }
        };
        let class = if lost.is_empty() { "dim" } else { "bad" };
        writeln!(
            svg,
            "<text class=\"{class}\" x=\"{LEFT}\" y=\"{}\">{} asked of {} available: {}</text>",
            top + 14,
            prediction.demand,
            prediction.available,
            escaped(&said)
        )
    }

    /// What it takes is filled, what it holds besides is pale, what it does not get is an outline.
    fn device(&self, svg: &mut String, start: u32, y: u32, device: &Forecast) -> std::fmt::Result {
        let held = match device.got {
            Got::Refused | Got::Nothing => 0,
            // A line, of its own or shared, is what one vector would be.
            Got::Line => 1,
            Got::All => device.asked,
            _ => device.granted,
        };
        let colour = self.colour(device.device);
        let taken = start + device.taken;
        let held = taken.max(start + held);
        let end = start + length(device);
        writeln!(
            svg,
            "<g><title>{}: asks for {}, is granted {}, takes {}: {}</title>",
            escaped(&named(device)),
            device.asked,
            device.granted,
            device.taken,
            escaped(&device.got.to_string())
        )?;
        for (from, to, look) in [
            (start, taken, "class=\"gap\""),
            (taken, held, "class=\"gap\" fill-opacity=\"0.45\""),
            (
                held,
                end,
                "class=\"short\" fill-opacity=\"0.12\" stroke-dasharray=\"4 2\"",
            ),
        ] {
            if from < to {
                let (left, right) = (self.x(from), self.x(to));
                writeln!(
                    svg,
                    "<rect {look} x=\"{left:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" \
                     fill=\"{colour}\"/>",
                    right - left
                )?;
            }
        }
        svg.push_str("</g>\n");
        Ok(())
    }

    /// A mark across each bar; an arrow with the number where it lies outside.
    fn available(&self, svg: &mut String) -> std::fmt::Result {
        for (row, prediction) in (0..).zip(self.planned.predictions) {
            let top = TOP + row * ROW + 16;
            let available = prediction.available;
            if available > self.most {
                writeln!(
                    svg,
                    "<text class=\"dim\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{available} \u{2192}</text>",
                    WIDTH - RIGHT,
                    top + 22
                )?;
                continue;
            }
            let x = self.x(available);
            let bottom = top + BAR + 8;
            writeln!(svg, "<path class=\"line\" d=\"M{x:.1} {top}V{bottom}\"/>")?;
        }
        Ok(())
    }

    fn legend(&self, svg: &mut String, top: u32) -> std::fmt::Result {
        for (nth, kind) in (0..).zip(&self.kinds) {
            let x = LEFT + nth % COLUMNS * COLUMN;
            let y = top + nth / COLUMNS * LEGEND;
            writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
                 <text class=\"ink\" x=\"{}\" y=\"{y}\">{}</text>",
                y - 11,
                self.colour(kind),
                x + 18,
                escaped(kind)
            )?;
        }
        Ok(())
    }
}

/// What it asks for, or takes where that is more: an interrupt that is spread over several CPUs takes
/// a vector of each.
fn length(device: &Forecast) -> u32 {
    device.asked.max(device.taken)
}

fn named(device: &Forecast) -> String {
    format!("{} {}", device.slot, device.device)
}

/// Vectors between two lines of the grid: 1, 2 or 5 and noughts, so that there are about eight.
fn step(most: u32) -> u32 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 5] {
            if most / (step * factor) <= 10 {
                return step * factor;
            }
        }
        step *= 10;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
