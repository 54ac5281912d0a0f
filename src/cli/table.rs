//! Text tables: aligned columns, cut to the terminal's width, nothing but spaces between them.

use unicode_width::UnicodeWidthStr;

/// Spaces between two columns.
const GAP: usize = 2;

/// A column is not cut below this width.
const COLUMN_WIDTH_MIN: usize = 8;

/// A table being filled.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    title: &'static str,
    right: bool,
}

impl Table {
    /// A table with these titles; a title that starts with `>` stands over numbers.
    pub(super) fn new(titles: &[&'static str]) -> Self {
        let columns = titles
            .iter()
            .map(|title| Column {
                title: title.trim_start_matches('>'),
                right: title.starts_with('>'),
            })
            .collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, one cell a column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The lines, without the last newline; `width` cuts them, `None` does not.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let titles: Vec<_> =
            self.columns.iter().map(|column| column.title.to_uppercase()).collect();
        std::iter::once(&titles)
            .chain(&self.rows)
            .map(|row| self.line(row, &widths))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                cells.map(|cell| cell.width()).chain([column.title.len()]).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let Some(width) = width else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        // The widest column gives first.
        while widths.iter().sum::<usize>() + gaps > width {
            match widths.iter_mut().max() {
                Some(widest) if *widest > COLUMN_WIDTH_MIN => *widest -= 1,
                _ => break,
            }
        }
        widths
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), &width) in row.iter().zip(&self.columns).zip(widths) {
            let cell = cut(cell, width);
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if column.right {
                line.push_str(&pad);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&pad);
            }
            line.push_str(&" ".repeat(GAP));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Text that cannot move the cursor or change the terminal, whoever chose it.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut short = String::new();
    for letter in cell.chars() {
        short.push(letter);
        if short.width() >= width {
            short.pop();
            break;
        }
    }
    short.push('…');
    short
}

/// Columns of the terminal on stdout; `None` when it is none.
pub(super) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["client", ">in", "peer"]);
        table.row(vec!["a".into(), "7".into(), "10.0.0.1".into()]);
        table.row(vec!["sensor-in-the-attic".into(), "1234".into(), String::new()]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        assert_eq!(
            table().render(None),
            "CLIENT                 IN  PEER\n\
             a                       7  10.0.0.1\n\
             sensor-in-the-attic  1234"
        );
    }

    #[test]
    fn the_widest_column_gives_way() {
        for line in table().render(Some(28)).lines() {
            assert!(line.width() <= 28, "{line:?}");
        }
        assert!(table().render(Some(28)).contains("sensor-in-t…  1234"));
    }

    #[test]
    fn names_of_clients_cannot_paint_the_terminal() {
        let mut table = Table::new(&["client"]);
        table.row(vec!["\u{1b}[31mred\n".into()]);
        let text = table.render(None);
        assert!(text.ends_with("\\u{1b}[31mred\\n"), "{text:?}");
    }

    #[test]
    fn wide_letters_count_twice() {
        let mut table = Table::new(&["topic", "qos"]);
        table.row(vec!["温度".into(), "1".into()]);
        table.row(vec!["temp".into(), "1".into()]);
        let text = table.render(None);
        let lines: Vec<_> = text.lines().map(UnicodeWidthStr::width).collect();
        assert_eq!(lines[1], lines[2]);
    }
}
