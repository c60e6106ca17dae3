//! Which operations a call counts as (decisions.md 3).
//!
//! The first operation of a row stands in the entry; each one must be permitted.

use leadvault_domain::Operation;

/// A call, as far as its operations depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// GET lead; POST search without exact terms.
    Look {
        /// Values were asked for (`fields`); else masked values go out.
        fields: bool,
    },
    /// GET list: always masked.
    List,
    /// Exact search.
    SearchExact {
        /// Values were asked for (`fields`); else masked values go out.
        fields: bool,
    },
    /// Deep search.
    SearchDeep,
    /// Create a lead, a note, a file.
    Create,
    /// Import.
    Import {
        /// `duplicates.action` is `update`.
        update: bool,
    },
    /// PATCH a lead, its tags, its notes; classify a column.
    Change,
    /// GET the content of a file.
    FileContent,
    /// Export to the tenant.
    Export,
    /// Export or push to a recipient.
    Push {
        /// It leaves the region.
        leaves_region: bool,
    },
    /// Erase a lead, shred a dataset or the tenant, undo an import, delete a file.
    Erase,
    /// Share with another tenant: each side is asked.
    Share,
    /// Restrict, objection, hold flags.
    Flag,
    /// Backup, replica.
    Backup,
    /// Region move.
    RegionMove,
    /// Dedupe across datasets, merge.
    Merge,
    /// A programme that de-identifies.
    Programme,
    /// The tenant's own log, instructions, operations, receipts; health: no entry.
    Account,
}

/// The operations a call counts as; none for [`Call::Account`].
pub fn operations_of(call: Call) -> Vec<Operation> {
    use Operation as Op;
    let operations: &[Operation] = match call {
        Call::Look { fields: true } | Call::FileContent => &[Op::Read],
        Call::Look { fields: false } | Call::List => &[Op::Display],
        Call::SearchExact { fields: true } => &[Op::Read, Op::Search],
        Call::SearchExact { fields: false } => &[Op::Display, Op::Search],
        Call::SearchDeep => &[Op::Search, Op::Read],
        Call::Create | Call::Import { update: false } => &[Op::Store, Op::Collect],
        Call::Import { update: true } => &[Op::Store, Op::Collect, Op::Modify],
        Call::Change => &[Op::Modify],
        Call::Export => &[Op::Export],
        Call::Push { leaves_region: false } => &[Op::Disclose],
        Call::Push { leaves_region: true } => &[Op::Disclose, Op::Transfer],
        Call::Erase => &[Op::Erase],
        Call::Share => &[Op::ShareInternal],
        Call::Flag => &[Op::Restrict],
        Call::Backup => &[Op::CopyBackup],
        Call::RegionMove => &[Op::Transfer, Op::CopyBackup, Op::Erase],
        Call::Merge => &[Op::Match, Op::Modify],
        Call::Programme => &[Op::Pseudonymise, Op::Anonymise, Op::Aggregate],
        Call::Account => &[],
    };
    operations.to_vec()
}
