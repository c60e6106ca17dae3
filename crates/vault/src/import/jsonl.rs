//! JSON Lines: one object a line. Keys are columns, in the order in which they are first seen.
//!
//! A key that a line does not name, or names with `null`, is an absent cell; numbers and booleans are
//! cells as they are written; a list or an object where a cell belongs refuses the row
//! (`nested_value`). A file of lines as an export of the vault has them is read as such.
//!
//! Columns may appear at any line. Those of the first 64 KiB are mapped with questions where needed; a
//! later one can no longer be asked about and stays unmapped where its header is ambiguous.

use std::collections::HashMap;

use leadvault_domain::{FieldNo, Personal};

use super::cells::{Cells, RawBody, RawRow};
use super::code::{RefusedRow, RowCode};
use super::csv::{CELL_BYTES_MAX, ROW_BYTES_MAX};
use super::json::{self, Json};
use super::lead_line;
use super::lines::Line;
use super::mapping::{self, COLUMNS_MAX, Wanted};
use super::plan::{By, Column, Format};
use super::reader::HEADER_BYTES_MAX;

/// What a line is.
#[derive(Debug)]
pub(super) enum Parsed {
    /// A record.
    Row(RawRow),
    /// A record that is not taken in.
    Refused(RefusedRow),
}

/// Reads lines, collecting the columns.
#[derive(Debug)]
pub(super) struct JsonLines {
    format: Format,
    wanted: Wanted,
    columns: Vec<Column>,
    /// Bytes of all keys together.
    header_bytes: usize,
    /// Column of each key.
    index: HashMap<String, usize>,
    next_number: u64,
}

/// Whether the first line of a file makes it JSON Lines, and of which kind.
pub(super) fn detect(lines: &[Line]) -> Option<Format> {
    let first = lines.iter().map(|line| line.parts().0.trim()).find(|body| !body.is_empty())?;
    if !first.starts_with('{') {
        return None;
    }
    match json::parse(first) {
        Ok(Json::Object(members)) if lead_line::is_lead_line(&members) => Some(Format::Export),
        _ => Some(Format::Jsonl),
    }
}

impl JsonLines {
    /// A reader that knows these columns; `first_number` is the number of the next data record.
    pub(super) fn new(
        format: Format,
        wanted: Wanted,
        columns: Vec<Column>,
        first_number: u64,
    ) -> Self {
        let index = columns
            .iter()
            .enumerate()
            .map(|(i, column)| (column.header.expose().clone(), i))
            .collect();
        let header_bytes = columns.iter().map(|column| column.header.expose().len()).sum();
        Self { format, wanted, columns, header_bytes, index, next_number: first_number }
    }

    /// The columns so far.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes a line; `None` if it is blank.
    pub(super) fn take(&mut self, line: &Line) -> Option<Parsed> {
        let body = line.parts().0.trim();
        if body.is_empty() {
            return None;
        }
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        let end_byte = line.end_byte;
        Some(match self.read(line, body) {
            Ok(body) => Parsed::Row(RawRow { number, end_byte, body }),
            Err((column, code)) => Parsed::Refused(RefusedRow { number, column, code, end_byte }),
        })
    }

    fn read(&mut self, line: &Line, body: &str) -> Result<RawBody, (Option<usize>, RowCode)> {
        if line.cut {
            return Err((None, RowCode::RowTooLarge));
        }
        if line.bad_at.is_some() {
            return Err((None, RowCode::BadEncoding));
        }
        let Ok(Json::Object(members)) = json::parse(body) else {
            return Err((None, RowCode::BadJson));
        };
        if self.format == Format::Export {
            if !lead_line::is_lead_line(&members) {
                return Err((None, RowCode::BadJson));
            }
            let lead = lead_line::read(members, &mut |name| self.column_of(name));
            return lead.map(|lead| RawBody::Lead(Box::new(lead))).map_err(|code| (None, code));
        }
        self.cells(members).map(RawBody::Cells)
    }

    fn cells(&mut self, members: Vec<(Personal, Json)>) -> Result<Cells, (Option<usize>, RowCode)> {
        let mut cells = Cells::default();
        let mut fault = None;
        for (name, value) in members {
            // Every key of a well-formed line is a column, also that of a refused one: the order of
            // columns must not depend on what is refused.
            let Some(column) = self.column_of(&name) else {
                return Err((None, RowCode::TooManyColumns));
            };
            let problem = match lead_line::scalar(value) {
                Err(code) => Some(code),
                Ok(None) => None,
                Ok(Some(_)) if cells.cell(column).is_some() => Some(RowCode::BadJson),
                Ok(Some(text)) if text.expose().contains('\0') => Some(RowCode::NulByte),
                Ok(Some(text)) if text.expose().len() > CELL_BYTES_MAX => {
                    Some(RowCode::CellTooLarge)
                }
                Ok(Some(text)) => {
                    cells.put(column, text.expose());
                    None
                }
            };
            fault = fault.or(problem.map(|code| (Some(column), code)));
        }
        if cells.bytes() > ROW_BYTES_MAX {
            fault = fault.or(Some((None, RowCode::RowTooLarge)));
        }
        fault.map_or(Ok(cells), Err)
    }

    /// The column of a key, a new one if it is new; `None` above [`COLUMNS_MAX`] columns or
    /// [`HEADER_BYTES_MAX`] bytes of keys, which stay in memory for the whole file.
    fn column_of(&mut self, name: &Personal) -> Option<usize> {
        if let Some(column) = self.index.get(name.expose().as_str()) {
            return Some(*column);
        }
        let column = self.columns.len();
        let header_bytes = self.header_bytes.saturating_add(name.expose().len());
        if column >= COLUMNS_MAX || header_bytes > HEADER_BYTES_MAX {
            return None;
        }
        self.header_bytes = header_bytes;
        match self.format {
            Format::Export => {
                let column = export_column(name.clone(), &self.columns);
                self.columns.push(column);
            }
            _ => mapping::append(&mut self.columns, name.clone(), &self.wanted),
        }
        self.index.insert(name.expose().clone(), column);
        Some(column)
    }
}

/// Fields of an export keep their numbers, `x_<n>` too. A name that only the other vault knew, of a custom
/// field, takes an `x_<n>` above every column a file can have.
fn export_column(name: Personal, columns: &[Column]) -> Column {
    let special = [FieldNo::NOTES, FieldNo::TAGS, FieldNo::ORIGINAL];
    let free = |field: &FieldNo| columns.iter().all(|column| column.field != *field);
    let known = FieldNo::by_name(name.expose()).filter(|f| !special.contains(f)).filter(free);
    let by = if known.is_some_and(|f| f.info().is_some()) { By::Dictionary } else { By::None };
    // Fewer columns than numbers from here to the last x_<n>: one of them is free.
    let above = || (COLUMNS_MAX..).map_while(FieldNo::unmapped).find(free);
    let field = known.or_else(above).unwrap_or(FieldNo(FieldNo::FIRST_CUSTOM - 1));
    Column { header: name, field, by, tag: None }
}
