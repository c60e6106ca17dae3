//! Lines in, records out: RFC 4180 with any single delimiter and quote, `""` for a quote in a quoted
//! cell, and line ends inside quoted cells.
//!
//! Cells are exact; nothing is trimmed. A blank line is no record. A quote inside a cell that does not
//! begin with one is a character like any other.
//!
//! # A quote that does not close
//! It would swallow the good rows after it. A record over several lines is therefore given up when
//! 1. a closing quote is followed by anything but a delimiter, a quote or a line end: most often that
//!    quote opened a cell of a later row;
//! 2. the file ends inside the quotes;
//! 3. it closes, but with another number of cells than the header, and one of the lines after its first
//!    is a whole record with exactly that number;
//! 4. it grows above [`CELL_BYTES_MAX`] in a cell or [`ROW_BYTES_MAX`] in all, and the same holds.
//!
//! Then the record is refused as `unclosed_quote` up to the end of the line on which the faulty cell
//! opened, and every line after that is read again on its own. So no good row is lost; what belonged to
//! the broken cell comes back as refused rows, counted and reported, never silently.
//! A record too large in which no line looks like a whole record is refused as `cell_too_large` or
//! `row_too_large`, and skipped without being kept until its quote closes or such a line comes.
//!
//! The state at the start of each record is the same as at the start of a file, so reading can go on
//! from the end of any row.

use std::collections::VecDeque;

use super::cells::{Cells, RawBody, RawRow};
use super::code::{RefusedRow, RowCode};
use super::dialect::Dialect;
use super::lines::Line;
use super::record::{Record, Scanned, strict_cells};

/// Largest cell, in bytes of UTF-8 (fields.md 2).
pub(super) const CELL_BYTES_MAX: usize = 256 << 10;

/// Largest row, in bytes of UTF-8 over all its cells: two compartments of 900 KiB and what a row may
/// hold beside them. The bound of a compartment is checked later; this one keeps memory flat.
pub(super) const ROW_BYTES_MAX: usize = 2 << 20;

/// What a line completes.
#[derive(Debug)]
pub(super) enum Split {
    /// The header row, where one is expected; `None` if it cannot be read.
    Header(Option<Cells>),
    /// A record with as many cells as the header row.
    Row(RawRow),
    /// A record that is not taken in.
    Refused(RefusedRow),
}

/// How many cells a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// As many as the header row, which comes first.
    OfHeader,
    /// That many.
    Cells(usize),
}

/// A record too large to be kept: only its quotes are followed.
#[derive(Debug)]
struct Skipped {
    column: Option<usize>,
    code: RowCode,
    end_byte: u64,
}

/// Puts lines together to records.
#[derive(Debug)]
pub(super) struct Splitter {
    dialect: Dialect,
    width: Option<usize>,
    record: Record,
    skipped: Option<Skipped>,
    ready: VecDeque<Line>,
    next_number: u64,
}

impl Splitter {
    /// A splitter at the start of a record; `first_number` is the number of the first data record.
    pub(super) fn new(dialect: Dialect, width: Width, first_number: u64) -> Self {
        let width = match width {
            Width::OfHeader => None,
            Width::Cells(cells) => Some(cells),
        };
        Self {
            dialect,
            width,
            record: Record::new(),
            skipped: None,
            ready: VecDeque::new(),
            next_number: first_number,
        }
    }

    /// Takes the next line and gives what it completes.
    pub(super) fn push(&mut self, line: Line, sink: &mut dyn FnMut(Split)) {
        self.ready.push_back(line);
        self.drain(sink);
    }

    /// The end of the file.
    pub(super) fn finish(&mut self, sink: &mut dyn FnMut(Split)) {
        self.drain(sink);
        while !self.record.held.is_empty() {
            // Each turn gives up at least one line.
            self.give_up_open_cell(None, sink);
            self.drain(sink);
        }
        self.end_skipped(sink);
    }

    /// Bytes that wait for the end of their record.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let lines = self.record.held.iter().chain(&self.ready);
        self.record.cells.bytes() + lines.map(|line| line.text.len()).sum::<usize>()
    }

    fn drain(&mut self, sink: &mut dyn FnMut(Split)) {
        while let Some(line) = self.ready.pop_front() {
            if self.skipped.is_some() {
                self.skip(line, sink);
            } else {
                self.take(line, sink);
            }
        }
    }

    fn take(&mut self, line: Line, sink: &mut dyn FnMut(Split)) {
        if self.record.held.is_empty() && line.parts().0.is_empty() {
            return;
        }
        if line.cut {
            return self.take_cut(line, sink);
        }
        match self.record.scan(self.dialect, &line) {
            Scanned::Whole if self.swallowed_a_record(&line) => {
                self.give_up(0, self.record.first_open, Some(line), sink);
            }
            Scanned::Whole => self.complete(line.end_byte, sink),
            Scanned::Fault => self.give_up_open_cell(Some(line), sink),
            Scanned::Open => {
                self.record.held.push(line);
                if self.record.cells.open_bytes() > CELL_BYTES_MAX {
                    self.overflow(Some(self.record.cells.len()), RowCode::CellTooLarge, sink);
                } else if self.record.cells.bytes() > ROW_BYTES_MAX {
                    self.overflow(None, RowCode::RowTooLarge, sink);
                }
            }
        }
    }

    /// A line longer than any row: ends the record before it, and is refused by itself.
    fn take_cut(&mut self, line: Line, sink: &mut dyn FnMut(Split)) {
        if !self.record.held.is_empty() {
            return self.give_up_open_cell(Some(line), sink);
        }
        let _ = self.record.scan(self.dialect, &line);
        self.record.cells.close();
        let column = self.record.cells.find(|cell| cell.len() > CELL_BYTES_MAX);
        let code = if column.is_some() { RowCode::CellTooLarge } else { RowCode::RowTooLarge };
        self.refuse(column, code, line.end_byte, sink);
    }

    fn complete(&mut self, end_byte: u64, sink: &mut dyn FnMut(Split)) {
        if let Some((column, code)) = self.record.fault(self.width) {
            return self.refuse(column, code, end_byte, sink);
        }
        let cells = std::mem::replace(&mut self.record, Record::new()).cells;
        if self.width.is_none() {
            self.width = Some(cells.len());
            return sink(Split::Header(Some(cells)));
        }
        let number = self.take_number();
        sink(Split::Row(RawRow { number, end_byte, body: RawBody::Cells(cells) }));
    }

    fn refuse(
        &mut self,
        column: Option<usize>,
        code: RowCode,
        end_byte: u64,
        sink: &mut dyn FnMut(Split),
    ) {
        self.record = Record::new();
        if self.width.is_none() {
            return sink(Split::Header(None));
        }
        let number = self.take_number();
        sink(Split::Refused(RefusedRow { number, column, code, end_byte }));
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }

    fn give_up_open_cell(&mut self, line: Option<Line>, sink: &mut dyn FnMut(Split)) {
        self.give_up(self.record.opened_on, Some(self.record.cells.len()), line, sink);
    }

    /// Gives up the record up to its line `last`; every line after that is read again.
    fn give_up(
        &mut self,
        last: usize,
        column: Option<usize>,
        line: Option<Line>,
        sink: &mut dyn FnMut(Split),
    ) {
        let mut lines = std::mem::take(&mut self.record.held);
        lines.extend(line);
        let again = lines.split_off(lines.len().min(last.saturating_add(1)));
        for line in again.into_iter().rev() {
            self.ready.push_front(line);
        }
        let end_byte = lines.last().map_or(0, |line| line.end_byte);
        self.refuse(column, RowCode::UnclosedQuote, end_byte, sink);
    }

    /// Whether a record over several lines has the wrong width while a line after its first is a whole
    /// record of the right one.
    fn swallowed_a_record(&self, last: &Line) -> bool {
        let held = &self.record.held;
        !held.is_empty()
            && self.width.is_some_and(|width| width != self.record.cells.len())
            && held.iter().skip(1).chain([last]).any(|line| self.is_whole_record(line))
    }

    /// Whether a line, read on its own, is a record as wide as the header without any quoting fault.
    fn is_whole_record(&self, line: &Line) -> bool {
        let body = line.parts().0;
        !body.is_empty() && self.width.is_some() && strict_cells(self.dialect, body) == self.width
    }

    /// The record has grown too large inside quotes.
    fn overflow(&mut self, column: Option<usize>, code: RowCode, sink: &mut dyn FnMut(Split)) {
        let opened_on = self.record.opened_on;
        if self.record.held.iter().skip(opened_on + 1).any(|line| self.is_whole_record(line)) {
            return self.give_up_open_cell(None, sink);
        }
        let end_byte = self.record.held.last().map_or(0, |line| line.end_byte);
        self.record = Record::new();
        self.skipped = Some(Skipped { column, code, end_byte });
    }

    /// Follows the quotes of a record that is too large, or ends it before a line that looks like one.
    fn skip(&mut self, line: Line, sink: &mut dyn FnMut(Split)) {
        let mut probe = Record::inside_quotes();
        let ended = line.cut || self.is_whole_record(&line);
        let scanned = if ended { Scanned::Fault } else { probe.scan(self.dialect, &line) };
        match scanned {
            Scanned::Fault => {
                self.end_skipped(sink);
                self.ready.push_front(line);
            }
            Scanned::Open | Scanned::Whole => {
                if let Some(skipped) = &mut self.skipped {
                    skipped.end_byte = line.end_byte;
                }
                if matches!(scanned, Scanned::Whole) {
                    self.end_skipped(sink);
                }
            }
        }
    }

    fn end_skipped(&mut self, sink: &mut dyn FnMut(Split)) {
        if let Some(skipped) = self.skipped.take() {
            self.refuse(skipped.column, skipped.code, skipped.end_byte, sink);
        }
    }
}
