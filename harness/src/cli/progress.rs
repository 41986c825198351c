//! What is being fetched, on stderr: a bar on a terminal, a line a step elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::image::{Progress, Step};

/// Shows the steps of fetching.
pub(super) struct Shown {
    bars: MultiProgress,
    live: bool,
    items: Mutex<HashMap<String, Item>>,
}

struct Item {
    bar: ProgressBar,
    /// The kind of step that was last written as a line, and its tens of percent.
    said: (&'static str, u32),
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
        Item { bar, said: ("", 0) }
    }
}

impl Progress for Shown {
    fn report(&self, item: &str, step: &Step) {
        let (kind, percent, text) = match step {
            Step::Waiting => (
                "waiting",
                0.0,
                "waiting for another crashdrill to finish it".to_owned(),
            ),
            Step::Downloading { percent, text } => ("downloading", *percent, text.clone()),
            Step::Unpacking { done, total } => (
                "unpacking",
                *done as f32 * 100.0 / (*total).max(1) as f32,
                format!("unpacking {done}/{total}"),
            ),
            Step::Installing(text) => ("installing", 100.0, text.clone()),
            Step::Converting => ("converting", 100.0, "converting the kernel".to_owned()),
            Step::Done => ("done", 100.0, "ready".to_owned()),
        };
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = items
            .entry(item.to_owned())
            .or_insert_with(|| self.new_item(item));
        if self.live {
            shown.bar.set_position(percent.clamp(0.0, 100.0) as u64);
            shown.bar.set_message(text);
            if *step == Step::Done {
                shown.bar.finish_and_clear();
                items.remove(item);
            }
            return;
        }
        // A CI log needs no line a percent.
        let now = (
            kind,
            if kind == "downloading" {
                percent as u32 / 50
            } else {
                0
            },
        );
        if now != shown.said {
            shown.said = now;
            eprintln!("{item}: {text}");
        }
    }
}
