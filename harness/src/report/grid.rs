//! What came of a scenario's matrix: rows, columns, and a verdict in each cell.

use std::collections::HashMap;
use std::ops::Range;

use anstyle::Style;

use super::Finished;
use super::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text};
use crate::scenario::{Drill, DrillId};
use crate::snapshot::Comparison;
use crate::verdict::outcome::{Cause, Outcome, Verdict};

/// Between two columns.
const GAP: usize = 2;

/// Two axes of a scenario's matrix, the others held; of a matrix of one axis, one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    scenario: String,
    image: Option<String>,
    /// The values of the other axes.
    held: Vec<String>,
    rows: Vec<String>,
    /// Without a heading if the matrix has one axis.
    columns: Vec<Option<String>>,
    /// By row and column.
    cells: HashMap<(usize, usize), DrillId>,
}

/// What stands in a cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    verdict: Text,
    cause: Option<Text>,
}

impl Grid {
    /// The grids of all drills that are cells of a matrix, in their order.
    pub fn of<'a>(drills: impl IntoIterator<Item = &'a Drill>) -> Vec<Self> {
        let mut grids: Vec<Self> = Vec::new();
        for drill in drills {
            let (held, row, column) = match drill.cell.as_slice() {
                [] => continue,
                [row] => (&[][..], row, None),
                [held @ .., row, column] => (held, row, Some(column.clone())),
            };
            let id = &drill.id;
            let same = |grid: &Self| {
                grid.scenario == id.scenario && grid.image == id.image && grid.held == held
            };
            let at = grids.iter().position(same).unwrap_or_else(|| {
                grids.push(Self {
                    scenario: id.scenario.clone(),
                    image: id.image.clone(),
                    held: held.to_vec(),
                    rows: Vec::new(),
                    columns: Vec::new(),
                    cells: HashMap::new(),
                });
                grids.len() - 1
            });
            if let Some(grid) = grids.get_mut(at) {
                let place = (
                    place(&mut grid.rows, row.clone()),
                    place(&mut grid.columns, column),
                );
                grid.cells.insert(place, id.clone());
            }
        }
        grids
    }

    /// For a terminal of `width` columns. Drills that are not among the finished leave a hyphen.
    pub fn text(&self, finished: &[Finished], width: usize) -> String {
        let known: HashMap<&DrillId, &Finished> =
            finished.iter().map(|drill| (&drill.id, drill)).collect();
        self.page(|id| known.get(id).map(|drill| cell(drill)), width)
    }

    fn page(&self, cell: impl Fn(&DrillId) -> Option<Cell>, width: usize) -> String {
        let mut page = Page::new(width);
        page.blank();
        page.flow(&Text::new(), &self.title());
        let cell = |row, column| {
            let id = self.cells.get(&(row, column));
            id.and_then(&cell).unwrap_or_else(Cell::missing)
        };
        let columns = 0..self.columns.len();
        let row = |row| columns.clone().map(|column| cell(row, column)).collect();
        let cells = (0..self.rows.len()).map(row).collect();
        let table = Table::new(self, cells, width);
        for (nth, columns) in table.blocks(width).into_iter().enumerate() {
            if nth > 0 {
                page.blank();
            }
            table.print(columns, &mut page);
        }
        page.finish()
    }

    fn title(&self) -> Text {
        let mut title = Text::new().styled(BOLD, &self.scenario);
        if let Some(image) = &self.image {
            title = title.plain(&format!(" on {image}"));
        }
        match self.held.is_empty() {
            true => title,
            false => title.plain(&format!(", {}", self.held.join(", "))),
        }
    }
}

/// A grid laid out.
struct Table {
    rows: Vec<Text>,
    headings: Vec<Text>,
    cells: Vec<Vec<Vec<Text>>>,
    /// Of the column with the rows' headings.
    lead: usize,
    /// Of the others.
    widths: Vec<usize>,
}

impl Table {
    /// The cause stands behind the verdict, or below it where there is not the room.
    fn new(grid: &Grid, cells: Vec<Vec<Cell>>, width: usize) -> Self {
        let beside = Self::with(grid, &cells, false);
        match beside.whole(&(0..beside.widths.len())) <= width {
            true => beside,
            false => Self::with(grid, &cells, true),
        }
    }

    fn with(grid: &Grid, cells: &[Vec<Cell>], below: bool) -> Self {
        let heading = |text: &str| Text::new().styled(BOLD, text);
        let rows = grid
            .rows
            .iter()
            .map(|row| Text::new().plain("  ").then(heading(row)));
        let rows: Vec<_> = rows.collect();
        let headings = grid.columns.iter();
        let headings = headings.map(|column| heading(column.as_deref().unwrap_or_default()));
        let headings: Vec<_> = headings.collect();
        let row = |row: &Vec<Cell>| row.iter().map(|cell| cell.lines(below)).collect();
        let cells: Vec<Vec<Vec<Text>>> = cells.iter().map(row).collect();
        let width = |(column, heading): (usize, &Text)| {
            let lines = cells.iter().filter_map(|row| row.get(column)).flatten();
            lines.map(Text::width).fold(heading.width(), usize::max)
        };
        Self {
            lead: rows.iter().map(Text::width).max().unwrap_or(0),
            widths: headings.iter().enumerate().map(width).collect(),
            rows,
            headings,
            cells,
        }
    }

    /// What some columns take.
    fn whole(&self, columns: &Range<usize>) -> usize {
        let widths = self.widths.get(columns.clone()).unwrap_or_default();
        self.lead + widths.iter().map(|width| GAP + width).sum::<usize>()
    }

    /// As many columns as fit, and at least one, one block below the other.
    fn blocks(&self, width: usize) -> Vec<Range<usize>> {
        let mut blocks: Vec<Range<usize>> = Vec::new();
        for column in 0..self.widths.len() {
            match blocks.last_mut() {
                Some(block) if self.whole(&(block.start..column + 1)) <= width => {
                    block.end = column + 1;
                }
                _ => blocks.push(column..column + 1),
            }
        }
        blocks
    }

    fn print(&self, columns: Range<usize>, page: &mut Page) {
        let nothing = Text::new();
        let headings: Vec<_> = columns.clone().map(|at| self.headings.get(at)).collect();
        if headings.iter().flatten().any(|heading| heading.width() > 0) {
            page.verbatim(0, &self.line(&nothing, &columns, &headings));
        }
        for (row, cells) in self.rows.iter().zip(&self.cells) {
            let cells = || columns.clone().map(|at| cells.get(at));
            let height = cells().flatten().map(Vec::len).max().unwrap_or(0);
            for nth in 0..height {
                let lead = if nth == 0 { row } else { &nothing };
                let texts: Vec<_> = cells().map(|cell| cell?.get(nth)).collect();
                page.verbatim(0, &self.line(lead, &columns, &texts));
            }
        }
    }

    /// Nothing is padded but what something stands behind.
    fn line(&self, lead: &Text, columns: &Range<usize>, texts: &[Option<&Text>]) -> Text {
        let mut line = Text::new();
        let mut missing = lead.clone().padded(self.lead + GAP);
        for (column, text) in columns.clone().zip(texts) {
            let width = self.widths.get(column).copied().unwrap_or(0);
            let text = text.cloned().unwrap_or_default();
            match text.width() {
                0 => missing = missing.then(Text::new().padded(width + GAP)),
                own => {
                    line = line.then(missing).then(text);
                    missing = Text::new().padded(width.saturating_sub(own) + GAP);
                }
            }
        }
        line
    }
}

/// Where a value is in a list, put there if it is new.
fn place<T: PartialEq>(list: &mut Vec<T>, value: T) -> usize {
    let at = list.iter().position(|it| *it == value);
    at.unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    })
}

fn cell(drill: &Finished) -> Cell {
    match &drill.result {
        Ok(compared) => {
            let unmet = compared.unmet().is_some();
            Cell::of(&compared.drill.outcome, &compared.comparison, unmet)
        }
        Err(_) => Cell {
            verdict: Text::new().styled(BAD, "ERROR"),
            cause: None,
        },
    }
}

impl Cell {
    fn of(outcome: &Outcome, comparison: &Comparison, unmet: bool) -> Self {
        let style = match outcome.verdict {
            Verdict::VmcoreSaved => GOOD,
            _ => BAD,
        };
        let verdict = Text::new().styled(style, &outcome.verdict.to_string());
        let (mark_style, mark): (Style, _) = match comparison {
            Comparison::New { .. } => (NEW, " new"),
            Comparison::Changed { .. } => (BAD, " CHANGED"),
            _ if unmet => (BAD, " OTHER"),
            Comparison::Same | Comparison::Accepted { .. } | Comparison::NotNeeded => (DIM, ""),
        };
        let cause = &outcome.cause;
        Self {
            verdict: verdict.styled(mark_style, mark),
            cause: (*cause != Cause::NONE).then(|| Text::new().styled(DIM, &format!("({cause})"))),
        }
    }

    fn missing() -> Self {
        Self {
            verdict: Text::new().styled(DIM, "-"),
            cause: None,
        }
    }

    fn lines(&self, below: bool) -> Vec<Text> {
        let verdict = self.verdict.clone();
        match (&self.cause, below) {
            (None, _) => vec![verdict],
            (Some(cause), true) => vec![verdict, cause.clone()],
            (Some(cause), false) => vec![verdict.plain(" ").then(cause.clone())],
        }
    }
}

#[cfg(test)]
mod tests;
