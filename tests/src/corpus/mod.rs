//! A corpus of messy lead files with their goldens, and lists of invented leads.
//!
//! The goldens come from what the generator wrote, never from reading a file back: each case knows its
//! cells before it becomes bytes. Everything is deterministic; nothing but `std` is used, so the corpus
//! can be included wherever it is needed.

mod csv_faults;
mod csv_messy;
mod json_lines;
mod leads;
mod matrix;
mod table;

pub use leads::{LEAD_HEADERS, lead_rows, leads};
pub use table::{Charset, Quoting, Row, Style, Table};

/// The day on which persons under 18 are told in the corpus.
pub const TODAY: &str = "2026-11-23";

/// A file and what must become of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is, in words.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// The encoding the caller names.
    pub named_encoding: Option<&'static str>,
    /// The mapping the caller gives: header or index, field.
    pub mapping: Vec<(&'static str, &'static str)>,
    /// What must become of it.
    pub expected: Expected,
}

/// What must become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing of it is kept.
    Refused {
        /// The code of the problem.
        code: &'static str,
        /// Columns that are asked about.
        columns: Vec<usize>,
    },
    /// Its rows are read.
    Read {
        /// Encoding and delimiter, where the case is about them.
        detected: Option<(&'static str, char)>,
        /// Number, and header and cell of each cell, of the rows that must be stored.
        stored: Vec<(u64, Vec<(String, String)>)>,
        /// Number, column and code of the rows that must be rejected.
        rejected: Vec<(u64, Option<usize>, &'static str)>,
    },
}

/// Every case of the corpus.
pub fn messy() -> Vec<Case> {
    let mut cases = matrix::cases();
    cases.extend(csv_messy::cases());
    cases.extend(csv_faults::cases());
    cases.extend(json_lines::cases());
    cases
}
