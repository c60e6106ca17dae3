//! One record of a CSV file, put together from the lines it takes.

use super::cells::Cells;
use super::code::RowCode;
use super::csv::{CELL_BYTES_MAX, ROW_BYTES_MAX};
use super::dialect::Dialect;
use super::lines::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Plain,
    Quoted,
    AfterQuote,
}

pub(super) enum Scanned {
    /// The record ends with this line.
    Whole,
    /// The line ends inside quotes.
    Open,
    /// A closing quote is followed by something else.
    Fault,
}

/// The record that is being put together.
#[derive(Debug)]
pub(super) struct Record {
    state: State,
    pub(super) cells: Cells,
    /// Lines it has taken so far, all of which ended inside quotes.
    pub(super) held: Vec<Line>,
    /// Index among its lines of the one on which the last quoted cell opened.
    pub(super) opened_on: usize,
    /// First cell that ran over a line end.
    pub(super) first_open: Option<usize>,
    bad_encoding: Option<usize>,
}

impl Record {
    /// A record whose first cell is open: the rest of one that was dropped.
    pub(super) fn inside_quotes() -> Self {
        Self { state: State::Quoted, ..Self::new() }
    }

    pub(super) fn new() -> Self {
        Self {
            state: State::CellStart,
            cells: Cells::default(),
            held: Vec::new(),
            opened_on: 0,
            first_open: None,
            bad_encoding: None,
        }
    }

    /// Reads one more line into the record.
    pub(super) fn scan(&mut self, dialect: Dialect, line: &Line) -> Scanned {
        let (body, line_end) = line.parts();
        let bytes = body.as_bytes();
        let find = |byte: u8, from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().position(|b| *b == byte).map_or(bytes.len(), |i| from + i)
        };
        let piece = |from: usize, to: usize| body.get(from..to).unwrap_or_default();
        let mut at = 0;
        loop {
            match self.state {
                State::CellStart if bytes.get(at) == Some(&dialect.quote) => {
                    self.state = State::Quoted;
                    self.opened_on = self.held.len();
                    at += 1;
                }
                State::CellStart => self.state = State::Plain,
                State::Plain => {
                    let end = find(dialect.delimiter, at);
                    self.cells.append(piece(at, end));
                    if self.end_cell(line, end, bytes.len()) {
                        return Scanned::Whole;
                    }
                    at = end + 1;
                }
                State::Quoted => {
                    let end = find(dialect.quote, at);
                    self.cells.append(piece(at, end));
                    if end == bytes.len() {
                        self.cells.append(line_end);
                        self.first_open.get_or_insert(self.cells.len());
                        self.note_bad_encoding(line, end);
                        return Scanned::Open;
                    }
                    self.state = State::AfterQuote;
                    at = end + 1;
                }
                State::AfterQuote if bytes.get(at) == Some(&dialect.quote) => {
                    self.cells.append(piece(at, at + 1));
                    self.state = State::Quoted;
                    at += 1;
                }
                State::AfterQuote
                    if at == bytes.len() || bytes.get(at) == Some(&dialect.delimiter) =>
                {
                    if self.end_cell(line, at, bytes.len()) {
                        return Scanned::Whole;
                    }
                    at += 1;
                }
                State::AfterQuote => return Scanned::Fault,
            }
        }
    }

    /// Ends the cell at `at`; true at the end of the line.
    fn end_cell(&mut self, line: &Line, at: usize, line_bytes: usize) -> bool {
        self.note_bad_encoding(line, at);
        self.cells.close();
        self.state = State::CellStart;
        at >= line_bytes
    }

    /// Remembers the open cell, if the first malformed place of the line lies in it.
    fn note_bad_encoding(&mut self, line: &Line, until: usize) {
        if line.bad_at.is_some_and(|bad| bad <= until) {
            self.bad_encoding.get_or_insert(self.cells.len());
        }
    }

    /// Why the finished record is not taken in, if it is not.
    pub(super) fn fault(&self, width: Option<usize>) -> Option<(Option<usize>, RowCode)> {
        if let Some(column) = self.bad_encoding {
            return Some((Some(column), RowCode::BadEncoding));
        }
        if let Some(column) = self.cells.find(|cell| cell.contains('\0')) {
            return Some((Some(column), RowCode::NulByte));
        }
        let cells = self.cells.len();
        match width {
            Some(width) if cells < width => return Some((Some(cells), RowCode::TooFewColumns)),
            Some(width) if cells > width => return Some((Some(width), RowCode::TooManyColumns)),
            _ => {}
        }
        if let Some(column) = self.cells.find(|cell| cell.len() > CELL_BYTES_MAX) {
            return Some((Some(column), RowCode::CellTooLarge));
        }
        (self.cells.bytes() > ROW_BYTES_MAX).then_some((None, RowCode::RowTooLarge))
    }
}

/// Number of cells of a line that is a whole record without any quoting fault: no quote left open, none
/// in an unquoted cell, nothing after a closing one.
pub(super) fn strict_cells(dialect: Dialect, body: &str) -> Option<usize> {
    let mut rest = body.as_bytes();
    let mut cells = 0;
    loop {
        cells += 1;
        rest = if let Some(inside) = rest.strip_prefix(&[dialect.quote]) {
            after_closing_quote(dialect, inside)?
        } else {
            let end = rest.iter().position(|b| *b == dialect.delimiter).unwrap_or(rest.len());
            let (cell, tail) = rest.split_at(end);
            if cell.contains(&dialect.quote) {
                return None;
            }
            tail
        };
        match rest.split_first() {
            None => return Some(cells),
            Some((delimiter, tail)) if *delimiter == dialect.delimiter => rest = tail,
            Some(_) => return None,
        }
    }
}

fn after_closing_quote(dialect: Dialect, inside: &[u8]) -> Option<&[u8]> {
    let mut rest = inside;
    loop {
        let end = rest.iter().position(|b| *b == dialect.quote)?;
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix(&[dialect.quote]) {
            Some(tail) => rest = tail,
            None => return Some(rest),
        }
    }
}
