//! The importer's front half: bytes of an uploaded file in, leads out. Pure and synchronous.
//!
//! ```text
//! bytes ─ Reader ─────────────────────────────────────────────────► Plan, RawRow, RefusedRow
//!          encoding → lines → csv | jsonl;  dialect, header, dictionary → mapping → plan
//! RawRow ─ RowParser (one per worker) ────────────────────────────► ParsedRow | RefusedRow
//!          policy's row rules → fill → rebuild (what must be kept) → terms
//! ```
//! Invariants: memory does not grow with the file; nothing is spooled; events do not depend on how the
//! bytes are cut; reading can go on from the end of any row; a refused row leaves a number, a column and
//! a code, never a value; every cell of a stored row can be rebuilt byte for byte.

pub mod job;
pub mod quarantine;
pub mod undo;

mod cells;
mod code;
mod csv;
mod dialect;
mod dictionary;
mod digest;
mod enabled;
mod encoding;
mod fill;
mod header;
mod json;
mod jsonl;
mod lead_line;
mod lines;
mod magic;
mod mapping;
mod plan;
mod reader;
mod rebuild;
mod record;
mod row;
mod sample;
mod shape;
mod terms;

pub use cells::{Cells, RawBody, RawRow};
pub use code::{Ask, FileFault, RefusedRow, RowCode};
pub use dialect::Dialect;
pub use encoding::Charset;
pub use magic::{MAGIC_BYTES, binary_kind};
pub use mapping::{COLUMNS_MAX, Wanted};
pub use plan::{By, Column, Format, Plan, PlanMalformed};
pub use reader::{Event, Options, Reader, WantedFormat};
pub use rebuild::{Rebuild, cells_of_fields, rebuild_cells};
pub use row::{Noted, ParsedRow, RowParser, Rules};
pub use terms::{Place, Term};

pub(crate) use enabled::Enabled;

/// The rule that refuses a value sent by itself, as a row of a file would be refused.
pub(crate) fn refused_value(
    field: leadvault_domain::FieldNo,
    text: &str,
    today: jiff::civil::Date,
    enabled: Enabled,
) -> Option<&'static str> {
    use leadvault_domain::FieldNo;
    use leadvault_policy::{card, government_id, minor};
    let phone = matches!(field, FieldNo::PHONE | FieldNo::PHONE_2 | FieldNo::MOBILE);
    let born = field == FieldNo::BIRTH_DATE;
    let young = born.then(|| minor::check(minor::Column::BirthDate, text, today)).flatten();
    let number = || {
        let cards = (!phone && !enabled.cards).then(|| card::check(text)).flatten();
        let ids = || (!phone && !enabled.government_ids).then(|| government_id::check(text));
        cards.or_else(|| ids().flatten())
    };
    young.or_else(number).map(leadvault_policy::RowCode::as_str)
}

/// The generator of messy files, shared with the black-box tests.
#[cfg(test)]
#[path = "../../../../tests/src/corpus/mod.rs"]
#[expect(unreachable_pub, reason = "public in the kit of the black-box tests, included here")]
mod corpus;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod rebuild_tests;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod sample_tests;
