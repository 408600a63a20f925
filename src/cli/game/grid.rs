//! Tables under names that nobody knew before; where there is no room for one, each row in lines of its own.

use crate::cli::output::escape;
use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};

/// Rows under their names. A cell may be empty; nothing of one is ever cut off.
pub(super) struct Grid {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// So many spaces stand between two columns.
const GAP: u16 = 2;

impl Grid {
    pub(super) fn new(head: impl IntoIterator<Item = impl AsRef<str>>) -> Grid {
        Grid { head: head.into_iter().map(|name| escape(name.as_ref()).into_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| escape(&cell).into_owned()).collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }

    /// The lines, so far to the right, in so many characters if they fit; no column stands there that is empty.
    pub(super) fn lines(&self, indent: usize, width_max: Option<usize>) -> Vec<String> {
        let is_used = |at: &usize| self.rows.iter().any(|row| !row[*at].is_empty());
        let used: Vec<usize> = (0..self.head.len()).filter(is_used).collect();
        let (lines, width) = self.laid_out(&used);
        let lines = if width_max.is_none_or(|most| indent + width <= most) { lines } else { self.listed(&used) };
        lines.into_iter().map(|line| format!("{:indent$}{}", "", line.trim_end())).collect()
    }

    /// As a table, and how wide that is.
    fn laid_out(&self, used: &[usize]) -> (Vec<String>, usize) {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let has_head = self.head.iter().any(|name| !name.is_empty());
        for row in has_head.then_some(&self.head).into_iter().chain(&self.rows) {
            table.add_row(used.iter().map(|at| row[*at].as_str()));
        }
        let widths = table.column_max_content_widths();
        for (at, width) in widths.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                let fixed = Width::Fixed(width.saturating_add(GAP));
                column.set_padding((0, GAP)).set_constraint(ColumnConstraint::LowerBoundary(fixed));
            }
        }
        let width = widths.iter().map(|width| usize::from(width.saturating_add(GAP))).sum::<usize>();
        (table.lines().collect(), width.saturating_sub(GAP.into()))
    }

    /// A line for each cell, under the first of its row.
    fn listed(&self, used: &[usize]) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            let mut cells = used.iter().filter(|at| !row[**at].is_empty()).map(|at| named(&self.head[*at], &row[*at]));
            lines.extend(cells.next());
            lines.extend(cells.map(|cell| format!("  {cell}")));
        }
        lines
    }
}

fn named(name: &str, cell: &str) -> String {
    if name.is_empty() { cell.to_owned() } else { format!("{name}: {cell}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(["attempt", "Ada", "", "nobody", ""]);
        grid.row(["1", "ゲーム", "3.2 s", "", "no match"].map(str::to_owned));
        grid.row(["2", "a\u{1b}[31m", "", "", ""].map(str::to_owned));
        grid
    }

    #[test]
    fn columns_stand_under_their_names_and_empty_ones_do_not() {
        let expected =
            ["  attempt  Ada", "  1        ゲーム       3.2 s  no match", r"  2        a\u{1b}[31m"].map(str::to_owned);
        assert_eq!(grid().lines(2, None), expected);
        assert_eq!(grid().lines(2, Some(41)), expected);
    }

    #[test]
    fn without_room_each_row_has_lines_of_its_own_and_nothing_is_lost() {
        let expected = ["attempt: 1", "  Ada: ゲーム", "  3.2 s", "  no match", "attempt: 2", r"  Ada: a\u{1b}[31m"];
        for width in [0, 1, 30] {
            assert_eq!(grid().lines(0, Some(width)), expected, "{width}");
        }
        let mut long = Grid::new(["a", "b"]);
        long.row(["x".repeat(1_000), "y".repeat(50)]);
        assert_eq!(long.lines(0, Some(80)).concat().matches(['x', 'y']).count(), 1_050);
        assert_eq!(long.lines(0, None).concat().matches(['x', 'y']).count(), 1_050);
    }
}
