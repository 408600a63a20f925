//! Tables for people: columns under a header, the last one as long as it is.

use crate::cli::output::escape;
use crate::cli::terminal;
use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};
use std::borrow::Cow;

/// Rows that wait to be laid out together. Later pages keep the widths of earlier ones and have no header.
pub(crate) struct Table {
    columns: &'static [&'static str],
    /// The cells but the last of each row, and the last one.
    rows: Vec<(Vec<String>, String)>,
    /// How wide the columns but the last came out so far.
    widths: Vec<u16>,
    /// How wide a line may be; the last column is cut to it.
    width_max: Option<usize>,
    is_begun: bool,
}

impl Table {
    /// A table with these columns, without a header where there are none. For a terminal lines are cut to its width.
    pub(crate) fn new(columns: &'static [&'static str], for_terminal: bool) -> Table {
        // Where there are no columns, what is shown is one thing whole.
        let width_max = if for_terminal && !columns.is_empty() { terminal::width() } else { None };
        Table { columns, rows: Vec::new(), widths: Vec::new(), width_max, is_begun: false }
    }

    /// Adds a row; what could harm a terminal is escaped.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let (last, others) = cells.split_last().expect("a row has cells");
        let others = others.iter().map(|cell| escape(cell).into_owned()).collect();
        self.rows.push((others, escape(last).into_owned()));
    }

    /// Lays out the rows that wait, and lets them go.
    pub(crate) fn take(&mut self) -> String {
        let mut rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return String::new();
        }
        if !std::mem::replace(&mut self.is_begun, true)
            && let Some((last, others)) = self.columns.split_last()
        {
            let others = others.iter().map(|name| (*name).to_owned()).collect();
            rows.insert(0, (others, (*last).to_owned()));
        }
        let mut page = String::new();
        for (line, (_, last)) in self.layout(&rows).into_iter().zip(&rows) {
            let room = self.width_max.map(|width| width.saturating_sub(line.chars().count()).max(20));
            page.push_str(&line);
            page.push_str(&room.map_or(Cow::Borrowed(last.as_str()), |room| narrow(last, room)));
            page.truncate(page.trim_end_matches(' ').len());
            page.push('\n');
        }
        page
    }

    /// All columns but the last, a line for each row, padded to equal widths.
    fn layout(&mut self, rows: &[(Vec<String>, String)]) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.add_rows(rows.iter().map(|(cells, _)| cells));
        let widths = table.column_max_content_widths();
        self.widths.resize(widths.len(), 0);
        for (index, (width, seen)) in widths.into_iter().zip(&mut self.widths).enumerate() {
            *seen = width.max(*seen);
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*seen + 2)));
            }
        }
        table.lines().collect()
    }
}

/// A text cut to so many characters, with a mark where something is left out.
pub(crate) fn narrow(text: &str, width: usize) -> Cow<'_, str> {
    match text.char_indices().nth(width) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let end = text.char_indices().nth(width.saturating_sub(1)).map_or(0, |(end, _)| end);
            Cow::Owned(format!("{}…", &text[..end]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(table: &mut Table, rows: &[[&str; 3]]) -> String {
        for row in rows {
            table.row(&row.map(str::to_owned));
        }
        table.take()
    }

    #[test]
    fn columns_stand_under_their_names_and_keep_their_widths() {
        let mut table = Table::new(&["one", "two", "three"], false);
        let first = page(&mut table, &[["1", "a long one", "x y  z"], ["2", "ゲーム", ""]]);
        assert_eq!(first, "one  two         three\n1    a long one  x y  z\n2    ゲーム\n");
        assert_eq!(page(&mut table, &[["3", "b", "c"]]), "3    b           c\n");
        assert_eq!(page(&mut table, &[]), "");
    }

    #[test]
    fn a_cell_is_one_line_however_long() {
        let long = "x".repeat(100_000);
        let mut table = Table::new(&["a", "b", "c"], false);
        let text = page(&mut table, &[["a\nb", "", &long]]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains(r"a\nb") && text.contains(&long));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(narrow("ゲーム", 3), "ゲーム");
        assert_eq!(narrow("ゲーム!", 3), "ゲー…");
        assert_eq!(narrow("abc", 0), "…");
    }
}
