//! What is being fetched, on stderr: a bar on a terminal, a line a step elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::image::{Progress, Step};
use crate::report::tell;

/// Shows the steps of fetching.
pub(super) struct Shown {
    bars: MultiProgress,
    live: bool,
    items: Mutex<HashMap<String, Item>>,
}

struct Item {
    bar: ProgressBar,
    /// What was last written as a line.
    said: Option<Said>,
}

/// What two steps have in common that are not worth a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    kind: &'static str,
    /// Of a download; none while it is not known.
    halves: Option<u32>,
}

/// Kind, percent where it is known, and text.
fn shown(step: &Step) -> (&'static str, Option<f32>, String) {
    match step {
        Step::Waiting => {
            let text = "waiting for another crashdrill to finish it";
            ("waiting", Some(0.0), text.to_owned())
        }
        Step::Downloading { percent, text } => ("downloading", *percent, text.clone()),
        Step::Unpacking { done, total } => (
            "unpacking",
            Some(*done as f32 * 100.0 / (*total).max(1) as f32),
            format!("unpacking {done}/{total}"),
        ),
        Step::Installing(text) => ("installing", Some(100.0), text.clone()),
        Step::Converting => {
            let text = "converting the kernel";
            ("converting", Some(100.0), text.to_owned())
        }
        Step::Done => ("done", Some(100.0), "ready".to_owned()),
    }
}

impl Said {
    /// A CI log needs no line a percent.
    fn of(kind: &'static str, percent: Option<f32>) -> Self {
        let halves = match kind {
            "downloading" => percent.map(|percent| percent as u32 / 50),
            _ => None,
        };
        Self { kind, halves }
    }
}

impl Shown {
    pub(super) fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let live = !bars.is_hidden();
        Self {
            bars,
            live,
            items: Mutex::default(),
        }
    }

    fn new_item(&self, item: &str) -> Item {
        let bar = self.bars.add(ProgressBar::new(100));
        if let Ok(style) = ProgressStyle::with_template("{prefix}  {bar:30} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(item.to_owned());
        Item { bar, said: None }
    }
}

impl Progress for Shown {
    fn report(&self, item: &str, step: &Step) {
        let (kind, percent, text) = shown(step);
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = items
            .entry(item.to_owned())
            .or_insert_with(|| self.new_item(item));
        if self.live {
            if let Some(percent) = percent {
                shown.bar.set_position(percent.clamp(0.0, 100.0) as u64);
            }
            shown.bar.set_message(text);
            if *step == Step::Done {
                shown.bar.finish_and_clear();
                items.remove(item);
            }
            return;
        }
        let now = Some(Said::of(kind, percent));
        if now != shown.said {
            shown.said = now;
            tell!("{item}: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_a_few_lines_where_no_terminal_is() {
        let said = |percents: &[Option<f32>]| {
            let mut said: Vec<_> = percents
                .iter()
                .map(|&percent| Said::of("downloading", percent))
                .collect();
            said.dedup();
            said.len()
        };
        let all: Vec<_> = (0..=100).map(|percent| Some(percent as f32)).collect();
        assert_eq!(said(&all), 3);
        assert_eq!(said(&[None; 100]), 1);
        // A try that failed is said, and how it goes on.
        assert_eq!(said(&[Some(1.0), None, Some(1.0), Some(2.0)]), 3);
        let step = Step::Unpacking { done: 1, total: 4 };
        assert_eq!(
            shown(&step),
            ("unpacking", Some(25.0), "unpacking 1/4".into())
        );
    }
}
