//! The codes an import refuses a row with, as far as policy decides them (surfaces.md 5).

/// Why a row of an import is refused. The row's values are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowCode {
    /// Somebody under 18.
    Minor,
    /// A payment card number.
    CardNumber,
    /// A government identity number.
    GovernmentId,
}

impl RowCode {
    /// The code as the failure file carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::CardNumber => "card_number",
            Self::GovernmentId => "government_id",
        }
    }
}
