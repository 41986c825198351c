//! What became of a customer's machine in a scenario, as a table.

use super::page::{BAD, BOLD, DIM, Page, Text};
use crate::import::{Imported, Row};

/// A row a function or card: what it is, what stands for it, its vectors in the first and in the
/// capture kernel, there and here.
pub fn import_text(imported: &Imported, width: usize) -> String {
    let mut page = Page::new(width);
    let (theirs, ours) = imported.capture_cpus;
    let cpus = match theirs == ours {
        true => format!("their capture kernel and the drill's have {}", cpus(ours)),
        false => format!(
            "their capture kernel has {}, the drill's {}",
            cpus(theirs),
            cpus(ours)
        ),
    };
    let head = Text::new()
        .styled(BOLD, &imported.scenario.name)
        .plain(&format!(": {cpus}"));
    page.flow(&Text::new(), &head);
    page.blank();
    let rows: Vec<[String; 6]> = imported.rows.iter().map(cells).collect();
    let head = ["device", "driver", "table", "first", "capture", "here"].map(str::to_owned);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let all = rows.iter().chain([&head]);
            all.map(|row| Text::new().plain(&row[column]).width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    page.verbatim(0, &line(&head, &widths));
    for (row, cells) in imported.rows.iter().zip(&rows) {
        page.verbatim(0, &line(cells, &widths));
        let mut about = Text::new().styled(DIM, &row.what);
        about = match &row.stands {
            Some(stands) => about.plain(&format!(" -> {stands}")),
            None => about.plain(" -> left out"),
        };
        if !row.lost.is_empty() {
            about = about.styled(DIM, &format!(" ({})", row.lost));
        }
        page.flow_at(&Text::new().plain("    "), 4, &about);
    }
    page.blank();
    let sum = |of: fn(&Row) -> u32| imported.rows.iter().map(of).sum::<u32>();
    let total = format!(
        "vectors asked for in the capture kernel: {} there, {} here",
        sum(|row| row.capture),
        sum(|row| row.ours)
    );
    page.flow(&Text::new(), &Text::new().plain(&total));
    if let Some(expect) = &imported.expect {
        let ended = Text::new()
            .plain("their machine ended in ")
            .styled(BAD, &expect.to_string());
        page.flow(&Text::new(), &ended);
    }
    page.finish()
}

fn cpus(count: u16) -> String {
    match count {
        1 => "1 CPU".to_owned(),
        count => format!("{count} CPUs"),
    }
}

fn cells(row: &Row) -> [String; 6] {
    let at = match row.at.as_slice() {
        [] => "-".to_owned(),
        [one] => one.short(),
        [first, .., last] => format!("{}-{}", first.short(), last.slot.function),
    };
    let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    [
        at,
        row.driver.clone().unwrap_or_else(|| "-".to_owned()),
        number(row.table.map(u32::from)),
        number(row.first),
        row.capture.to_string(),
        number(row.stands.as_ref().map(|_| row.ours)),
    ]
}

/// Two columns of words, four of numbers.
fn line(cells: &[String; 6], widths: &[usize]) -> Text {
    let mut line = Text::new();
    for (nth, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = Text::new().plain(cell);
        let cell = match nth {
            0 | 1 => cell.padded(*width),
            _ => cell.right(*width),
        };
        line = match nth {
            0 => cell,
            _ => line.plain("  ").then(cell),
        };
    }
    line
}
