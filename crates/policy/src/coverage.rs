//! Which fields an instruction covers, and which calls may leave fields out.
//!
//! `unclassified` is covered only where it is named; what is merely kept, changed or erased
//! needs no classification. Where a call shows or hands on what is there, a field not covered and not
//! asked for is left out; a call on whole records (erase, import, move) cannot leave anything out.

use leadvault_domain::{Category, CategorySet, FieldNo, Operation, Purpose};

use crate::ask::Ask;

/// Operations that give out what is covered and can leave out the rest.
const GIVES_OUT: &[Operation] = &[
    Operation::Read,
    Operation::Search,
    Operation::Display,
    Operation::Export,
    Operation::Disclose,
    Operation::ShareInternal,
    Operation::Derive,
    Operation::Pseudonymise,
    Operation::Anonymise,
    Operation::Aggregate,
];

/// Operations that need no classification: nothing is shown, combined or handed on.
const KEEPS: &[Operation] = &[
    Operation::Collect,
    Operation::Store,
    Operation::Modify,
    Operation::CopyBackup,
    Operation::Restrict,
    Operation::Erase,
];

/// Fields and categories named by a prohibit or the never-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldBan {
    pub(crate) categories: CategorySet,
    pub(crate) include: Vec<FieldNo>,
    pub(crate) exclude: Vec<FieldNo>,
}

impl FieldBan {
    /// Whether a field is named. An empty list of categories or included fields names them all.
    pub(crate) fn names(&self, no: FieldNo, category: Category) -> bool {
        self.reaches(category)
            && (self.include.is_empty() || self.include.contains(&no))
            && !self.exclude.contains(&no)
    }

    /// Whether everything of a category is named.
    pub(crate) fn names_whole(&self, category: Category) -> bool {
        self.reaches(category) && self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether anything of a category is named.
    pub(crate) fn reaches(&self, category: Category) -> bool {
        self.categories.is_empty() || self.categories.contains(&category)
    }
}

/// The predicate of an allowance: which fields may go out.
#[derive(Debug, Clone)]
pub struct FieldRule {
    pub(crate) categories: CategorySet,
    pub(crate) include: Vec<FieldNo>,
    pub(crate) exclude: Vec<FieldNo>,
    pub(crate) keeps_unclassified: bool,
    pub(crate) biometric: bool,
    pub(crate) bans: Vec<FieldBan>,
}

impl FieldRule {
    /// Whether a field, with its category as classified, is covered.
    pub fn covers(&self, no: FieldNo, category: Category) -> bool {
        self.covers_category(category)
            && self.lists(no)
            && !self.bans.iter().any(|ban| ban.names(no, category))
    }

    /// Whether a category is covered, whatever the lists of fields say.
    pub fn covers_category(&self, category: Category) -> bool {
        let named = self.categories.contains(&category)
            || (category == Category::Unclassified && self.keeps_unclassified);
        named && (category != Category::Biometric || self.biometric)
    }

    /// Whether the lists of fields let a field through.
    pub(crate) fn lists(&self, no: FieldNo) -> bool {
        (self.include.is_empty() || self.include.contains(&no)) && !self.exclude.contains(&no)
    }
}

/// Whether a call asks for all of its categories: it named fields, or works on whole records.
pub(crate) fn asks_for_all(ask: &Ask) -> bool {
    ask.explicit_fields || !ask.operations.iter().any(|o| GIVES_OUT.contains(o))
}

/// Whether a call only keeps, changes or erases.
pub(crate) fn only_keeps(ask: &Ask) -> bool {
    ask.operations.iter().all(|o| KEEPS.contains(o))
}

/// The matrix of R-151: verification alone, and the way out.
pub(crate) fn biometric_allowed(
    operation: Operation,
    purpose: Option<Purpose>,
    exit: bool,
) -> bool {
    match operation {
        Operation::Erase | Operation::Restrict | Operation::CopyBackup => true,
        Operation::Collect | Operation::Store | Operation::Match => {
            purpose == Some(Purpose::Security)
        }
        Operation::Export => exit || purpose == Some(Purpose::RightsRequest),
        _ => false,
    }
}

/// The field a name in an instruction means: of the table, `x_<n>` or `custom_<k>`.
pub(crate) fn field_by_name(name: &str) -> Option<FieldNo> {
    FieldNo::by_name(name).or_else(|| {
        let k: u16 = name.strip_prefix("custom_")?.parse().ok()?;
        let no = FieldNo(FieldNo::FIRST_CUSTOM.checked_add(k)?);
        // One spelling per field: `custom_07` and `custom_+7` are no names.
        (no.name() == name).then_some(no)
    })
}

pub(crate) fn fields_by_name(names: &[String]) -> Vec<FieldNo> {
    names.iter().filter_map(|name| field_by_name(name)).collect()
}
