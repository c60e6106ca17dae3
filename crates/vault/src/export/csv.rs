//! Cells of the CSV of an export: RFC 4180, UTF-8, with a guard against formulas.
//!
//! The guard is one `'` before every cell that starts with `=`, `+`, `-`, `@`, TAB, CR, LF or `'`. Taking one
//! `'` away from every cell that starts with one gives all cells back byte for byte ([`unguard`]).

/// Line end of RFC 4180.
const LINE_END: &[u8] = b"\r\n";

/// Whether a spreadsheet might take the cell for a formula, or for a guarded cell.
fn needs_guard(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\''])
}

/// Takes the guard away from the text of a cell.
pub fn unguard(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// Appends one row, with its line end.
pub(crate) fn push_row<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_cell(out, cell);
    }
    out.extend_from_slice(LINE_END);
}

fn push_cell(out: &mut Vec<u8>, cell: &str) {
    let quoted = cell.contains(['"', ',', '\r', '\n']);
    if quoted {
        out.push(b'"');
    }
    if needs_guard(cell) {
        out.push(b'\'');
    }
    for byte in cell.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    if quoted {
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reader of RFC 4180 for the tests: rows of cells.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                c => cell.push(c),
            }
        }
        rows
    }

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        push_row(&mut out, cells.iter().copied());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_that_could_be_formulas_are_guarded_and_others_are_not() {
        assert_eq!(line(&["=1+1", "+4930", "-1", "@a"]), "'=1+1,'+4930,'-1,'@a\r\n");
        assert_eq!(line(&["'a", "''"]), "''a,'''\r\n");
        assert_eq!(line(&["\ta", "\rb", "\nc"]), "'\ta,\"'\rb\",\"'\nc\"\r\n");
        assert_eq!(line(&["a=1", "", "a@b.example", "1-2"]), "a=1,,a@b.example,1-2\r\n");
    }

    #[test]
    fn quotes_commas_and_line_ends_are_quoted() {
        assert_eq!(line(&["a\"b", "c,d", "e\nf", " g "]), "\"a\"\"b\",\"c,d\",\"e\nf\", g \r\n");
    }

    proptest! {
        #[test]
        fn every_cell_comes_back_when_the_guard_is_taken_away(
            cells in proptest::collection::vec("[=+@\\-\t\r\n'\",;a-cÄ\u{0}]{0,6}|.{0,12}", 1..6),
        ) {
            let written = line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            let rows = read(&written);
            prop_assert_eq!(rows.len(), 1);
            let back: Vec<&str> = rows[0].iter().map(|c| unguard(c)).collect();
            prop_assert_eq!(back, cells);
            let harmless = |c: &String| !c.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
            prop_assert!(rows[0].iter().all(harmless));
        }
    }
}
