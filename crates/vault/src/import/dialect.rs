//! Delimiter and quote of a CSV file, found by reading its first lines in every way on offer.
//!
//! The way wins whose records agree with their header row most often; between equals, the one with more
//! columns. An Excel line `sep=X` before the header settles the delimiter and is no record.

use super::csv::{Split, Splitter, Width};
use super::lines::Line;

/// Delimiters that are tried, in the order in which they win a draw.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Lines that are looked at. Enough to see through a few ragged rows; the sample is 64 KiB anyway.
const LINES_MAX: usize = 500;

/// How cells are told apart. Both are ASCII, so they are never part of another character in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells.
    pub quote: u8,
}

impl Dialect {
    /// What RFC 4180 says.
    pub const RFC_4180: Self = Self { delimiter: b',', quote: b'"' };
}

/// The delimiter a line `sep=X` names; `None` if the line is not one.
pub(super) fn sep_line(line: &Line) -> Option<u8> {
    let whole = line.parts().0;
    let inner = whole.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(whole);
    // `sep=;` of a spreadsheet may carry the empty cells of its row: `sep=;;;;`.
    let (word, named) = inner.split_at_checked(4)?;
    if !word.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let mut bytes = named.bytes();
    let first = match (bytes.next(), named) {
        (Some(b'\\'), "\\t") => return Some(b'\t'),
        (Some(first), _) => first,
        (None, _) => return None,
    };
    let allowed = first == b'\t' || first == b' ' || first.is_ascii_punctuation();
    (allowed && first != b'"' && bytes.all(|b| b == first)).then_some(first)
}

/// Finds the dialect in the first lines of a file. `named` is the delimiter of a `sep=` line.
pub(super) fn detect(lines: &[Line], named: Option<u8>) -> Dialect {
    let quote = quote_of(lines);
    if let Some(delimiter) = named {
        return Dialect { delimiter, quote };
    }
    let mut best = (Score::NONE, DELIMITERS[0]);
    for delimiter in DELIMITERS {
        let score = score(lines, Dialect { delimiter, quote });
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    Dialect { delimiter: best.1, quote }
}

/// An apostrophe is the quote only where the whole first line is written so: in other files it is the
/// apostrophe of a name.
fn quote_of(lines: &[Line]) -> u8 {
    let first = lines.iter().map(|line| line.parts().0).find(|body| !body.is_empty());
    let Some(first) = first else { return Dialect::RFC_4180.quote };
    let wrapped = |cell: &str| cell.len() >= 2 && cell.starts_with('\'') && cell.ends_with('\'');
    let all = DELIMITERS.iter().any(|d| first.split(char::from(*d)).all(wrapped));
    if all { b'\'' } else { Dialect::RFC_4180.quote }
}

/// How well a way of reading fits; later members decide between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// Records as wide as the header row less those that are not.
    agreeing: i64,
    columns: usize,
}

impl Score {
    const NONE: Self = Self { agreeing: i64::MIN, columns: 0 };
}

fn score(lines: &[Line], dialect: Dialect) -> Score {
    let mut score = Score { agreeing: 0, columns: 0 };
    let mut splitter = Splitter::new(dialect, Width::OfHeader, 1);
    let mut sink = |split: Split| match split {
        Split::Header(Some(cells)) => score.columns = cells.len(),
        Split::Header(None) => {}
        Split::Row(_) => score.agreeing += 1,
        Split::Refused(_) => score.agreeing -= 1,
    };
    for line in lines.iter().take(LINES_MAX) {
        splitter.push(line.clone(), &mut sink);
    }
    if score.columns < 2 { Score::NONE } else { score }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::encoding::Charset;
    use crate::import::lines::LineReader;

    fn lines(text: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut reader = LineReader::new(Charset::Utf8, 0);
        reader.push(text.as_bytes(), &mut |line| lines.push(line));
        reader.finish(&mut |line| lines.push(line));
        lines
    }

    fn found(text: &str) -> (char, char) {
        let dialect = detect(&lines(text), None);
        (char::from(dialect.delimiter), char::from(dialect.quote))
    }

    #[test]
    fn the_delimiter_is_the_one_the_records_agree_on() {
        assert_eq!(found("a,b\n1,2\n").0, ',');
        assert_eq!(found("a;b\n1,5;2\n3,5;4\n").0, ';');
        assert_eq!(found("name;price, EUR;city\nx;1,5;y\n").0, ';');
        assert_eq!(found("a\tb\tc\nx, y\tz\t1;2\n").0, '\t');
        assert_eq!(found("a|b\n\"x|y\"|z\n").0, '|');
        assert_eq!(found("email\nada@example.com\n").0, ',');
        assert_eq!(found("").0, ',');
    }

    #[test]
    fn an_apostrophe_is_a_quote_only_where_every_header_is_written_so() {
        assert_eq!(found("'a','b'\n'x, y','z'\n"), (',', '\''));
        assert_eq!(found("a,b\n'x','z'\n"), (',', '"'));
    }

    #[test]
    fn a_sep_line_names_the_delimiter() {
        let sep = |text: &str| sep_line(&lines(text)[0]).map(char::from);
        assert_eq!(sep("sep=;\n"), Some(';'));
        assert_eq!(sep("SEP=\t\r\n"), Some('\t'));
        assert_eq!(sep("\"sep=|\"\n"), Some('|'));
        assert_eq!(sep("sep=^\n"), Some('^'));
        assert_eq!(sep("sep=;;;\n"), Some(';'));
        assert_eq!(sep("sep=,\n"), Some(','));
        assert_eq!(sep("sep=x\n"), None);
        assert_eq!(sep("separator\n"), None);
        assert_eq!(sep("sep=\n"), None);
    }
}
