//! The words of the vault: typed ids, lead fields, instructions, actors, places, time.
//!
//! No I/O, no async, no key and no SQL. Every other crate speaks in these types; a bare string or
//! integer never stands for an id, a field or a code across a crate boundary.

mod actor;
mod entropy;
mod field;
mod id;
mod instruction;
mod labels;
mod lead;
mod measure;
mod place;
mod sensitive;
mod time;
mod vocabulary;

pub use actor::{Caller, Employer};
pub use entropy::{Entropy, EntropyFailed};
pub use field::{Compartment, FIELDS, FieldInfo, FieldNo, MaskRule, TagKind};
pub use id::{
    ApiKeyId, CertificateId, DatasetId, DirectoryId, ExportId, FileId, IdError, ImportId,
    InstructionId, LeadId, NoticeId, OperationId, PageId, PrincipalId, RecipientId, RequestId,
    ServiceId, SlotId, TenantId,
};
pub use instruction::{
    Agreement, Conditions, DataScope, Evidence, Instruction, Issuer, Legal, Locations,
    RecipientGrant, Retention, SubjectScope, Validity,
};
pub use labels::{CategorySet, LabelFlag, Labels, RegimeSet};
pub use lead::{DatasetNo, Fields, LeafAddress, LeafRange, TenantNo, Value};
pub use measure::{JobKind, Lane, Measured, Observer, RowOutcome, SPANS, Unobserved};
pub use place::{Country, Place, PlaceError, Region};
pub use sensitive::{Personal, Sensitive};
pub use time::{Clock, Timestamp};
pub use vocabulary::{
    Category, DecisionCode, Effect, HonourFlag, InstructionKind, InstructionStatus, KeyState,
    Masking, Operation, Party, Purpose, ReasonCode, RecipientRole, Regime, Role, SubjectKind,
    TenantApproval, TenantState, UnknownWord,
};
