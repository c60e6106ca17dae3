//! What is asked: the dimensions of one call.

use leadvault_domain::{
    Category, CategorySet, DatasetId, FieldNo, ImportId, InstructionId, Labels, LeadId, Operation,
    Purpose, RecipientId, SubjectKind,
};

/// An instruction named by a call: `ins_…`, or `ins_…;v=3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: InstructionId,
    /// The pinned version; `None` = the active one.
    pub version: Option<u32>,
}

/// The dimensions of one call. [`Ask::new`] is a call on one lead of every default.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a call, named at every use"
)]
#[derive(Debug, Clone)]
pub struct Ask {
    /// What the call counts as ([`crate::operations_of`]); the first stands in the entry, each must be
    /// permitted.
    pub operations: Vec<Operation>,
    /// The `Purpose` header, else the key's default.
    pub purpose: Option<Purpose>,
    /// The `Instruction` header.
    pub named: Option<Named>,
    /// The dataset; `None` = all of the tenant.
    pub dataset: Option<DatasetId>,
    /// Where no dataset is named, whether the call is about those of its key alone: a list, a search. Else
    /// it is about all of the tenant.
    pub within_key: bool,
    /// Whether a dataset it touches holds special categories (a property of datasets, fields.md 4).
    pub special_category: bool,
    /// Categories of the fields asked for, or present where none were asked for. Where it is not known
    /// what is present (a page, an export): all of them.
    pub categories: CategorySet,
    /// The fields asked for, with their category as classified; empty = whatever is covered.
    pub fields: Vec<(FieldNo, Category)>,
    /// Whether the caller named fields: one asked for and not covered is denied, else it is left out.
    pub explicit_fields: bool,
    /// How many leads.
    pub records: u64,
    /// Whom the data is about.
    pub subject: SubjectKind,
    /// The lead, where it is one.
    pub lead: Option<LeadId>,
    /// Its labels, where it is one; else [`crate::Allowed::rows`] tests each row.
    pub labels: Option<Labels>,
    /// The subject withdrew a consent that the processing rests on.
    pub consent_withdrawn: bool,
    /// The import batch of the lead.
    pub batch: Option<ImportId>,
    /// To whom it goes; `None` = it stays with the tenant.
    pub recipient: Option<RecipientId>,
    /// The tenant's own export, erase or shred under the built-in `tenant_exit_v1`.
    pub exit: bool,
    /// Only masked values go out.
    pub masked: bool,
    /// The content of a file goes out: it has no masked form, so that an instruction that masks covers none of it.
    pub content: bool,
    /// Whether the call opens, seals, locates or tags, and so needs the tenant's key (decisions.md 4).
    pub needs_key: bool,
}

impl Ask {
    /// A call on one lead of kind `lead`, with nothing else stated, that needs the key.
    pub fn new(operations: Vec<Operation>) -> Self {
        Self {
            operations,
            purpose: None,
            named: None,
            dataset: None,
            within_key: false,
            special_category: false,
            categories: CategorySet::new(),
            fields: Vec::new(),
            explicit_fields: false,
            records: 1,
            subject: SubjectKind::Lead,
            lead: None,
            labels: None,
            consent_withdrawn: false,
            batch: None,
            recipient: None,
            exit: false,
            masked: false,
            content: false,
            needs_key: true,
        }
    }

    /// With exactly these fields asked for, and their categories.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = (FieldNo, Category)>) -> Self {
        self.fields = fields.into_iter().collect();
        self.categories = self.fields.iter().map(|(_, category)| *category).collect();
        self.explicit_fields = true;
        self
    }
}
