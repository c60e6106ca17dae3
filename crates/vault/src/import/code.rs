//! Why a row or a whole file is not taken in: codes, positions, never a value.
//!
//! The codes of rows are the open set of surfaces.md 5. Documented beside the pinned ones are `bad_json` and
//! `nested_value` of JSON Lines and `not_permitted` of merges.

use leadvault_domain::FieldNo;

/// Code of a row in the failures file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowCode {
    /// A person under 18.
    Minor,
    /// A payment card number.
    CardNumber,
    /// A government id.
    GovernmentId,
    /// Fewer cells than the header row has; the column is the first one missing.
    TooFewColumns,
    /// More cells than the header row has; the column is the first one too many.
    TooManyColumns,
    /// Bytes that are no text in the file's encoding.
    BadEncoding,
    /// A quote that opens a cell and does not close it as RFC 4180 says.
    UnclosedQuote,
    /// U+0000 in a cell.
    NulByte,
    /// A cell above 256 KiB.
    CellTooLarge,
    /// A row or one of its compartments above its bound.
    RowTooLarge,
    /// An e-mail address that does not normalise; noted, not refused.
    BadEmail,
    /// The file or the dataset has this lead already.
    Duplicate,
    /// On the tenant's suppression list.
    Suppressed,
    /// The instruction does not cover the lead the row would be merged into: it is restricted, for one.
    NotPermitted,
    /// Nothing in the row tells whose lead it is.
    NoIdentifier,
    /// A line that is no JSON object, or names a key twice.
    BadJson,
    /// A list or an object where a cell belongs.
    NestedValue,
}

impl RowCode {
    /// The code as the failures file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::CardNumber => "card_number",
            Self::GovernmentId => "government_id",
            Self::TooFewColumns => "too_few_columns",
            Self::TooManyColumns => "too_many_columns",
            Self::BadEncoding => "bad_encoding",
            Self::UnclosedQuote => "unclosed_quote",
            Self::NulByte => "nul_byte",
            Self::CellTooLarge => "cell_too_large",
            Self::RowTooLarge => "row_too_large",
            Self::BadEmail => "bad_email",
            Self::Duplicate => "duplicate",
            Self::Suppressed => "suppressed",
            Self::NotPermitted => "not_permitted",
            Self::NoIdentifier => "no_identifier",
            Self::BadJson => "bad_json",
            Self::NestedValue => "nested_value",
        }
    }
}

/// A row that is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRow {
    /// Number of the data record, from 1.
    pub number: u64,
    /// Index of the column, from 0, where one can be named.
    pub column: Option<usize>,
    /// Why.
    pub code: RowCode,
    /// Offset in the file right after the row, in bytes.
    pub end_byte: u64,
}

/// A column that must be asked about instead of guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Index of the column, from 0.
    pub column: usize,
    /// The fields it may be; `x_<n>` of the column itself means "leave it unmapped".
    pub choices: Vec<FieldNo>,
}

/// Why a file is not taken in at all. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// No text: a spreadsheet, an archive, a picture.
    #[error("not a text file")]
    Binary,
    /// The first row is no header row, or there is none.
    #[error("no header row")]
    NoHeaderRow,
    /// Columns that must be asked about.
    #[error("mapping needed")]
    MappingNeeded(Vec<Ask>),
    /// The caller's mapping names one field twice, a field that cannot be imported, a column beyond the last,
    /// or a header that the file does not have.
    #[error("the mapping cannot be followed")]
    BadMapping,
    /// More columns than [`super::COLUMNS_MAX`].
    #[error("too many columns")]
    TooManyColumns,
}

impl FileFault {
    /// The code of the problem (surfaces.md 2).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Binary => "media_type",
            Self::NoHeaderRow => "no_header_row",
            Self::MappingNeeded(_) => "mapping_needed",
            Self::BadMapping | Self::TooManyColumns => "invalid",
        }
    }
}
