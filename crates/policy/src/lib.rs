//! Pure decisions: may this happen, and why.
//!
//! Data in, verdict out: no I/O, no async, no clock, no key. The same inputs and the same time give
//! the same verdict for ever, so a verdict can be explained and checked later. Default deny: nothing
//! here permits anything without an instruction of the tenant.
//!
//! [`decide`] takes what is asked ([`Ask`]), who asks ([`Actor`]), the tenant's instructions, the
//! facts the caller looked up ([`Facts`]) and the time, and answers [`Verdict`]. Everything else
//! serves it or is a rule of its own: the tables of states ([`state`]) and calls ([`calls`]), the
//! built-in exit permit ([`exit`]), the checks of a draft ([`draft`]), the label filter
//! ([`filter`]), time windows ([`time_window`]) and the row rules of an import ([`minor`],
//! [`card`], [`government_id`]).
//!
//! Rules live in `src`, tests in `tests`: [`policy_version`] names the bundle by the bytes of `src`.

mod actor;
mod ask;
pub mod calls;
pub mod card;
mod coverage;
mod decide;
mod dimensions;
pub mod draft;
pub mod exit;
mod facts;
pub mod filter;
mod form;
pub mod government_id;
pub mod minor;
mod prohibit;
mod row;
mod row_code;
mod select;
mod session;
pub mod state;
pub mod subject;
pub mod time_window;
mod verdict;
mod version;
mod would_need;

pub use actor::Actor;
pub use ask::{Ask, Named};
pub use calls::{Call, operations_of};
pub use coverage::FieldRule;
pub use decide::decide;
pub use draft::{DraftCode, DraftError, Pointer, high_risk, may_activate, validate_draft};
pub use exit::{ExitFacts, tenant_exit};
pub use facts::{Approvals, Facts, Grant, GrantState, RecipientRow, RegisterStatus};
pub use form::hash_form;
pub use row::{Row, RowRule};
pub use row_code::RowCode;
pub use state::{KeyAnswer, KeyOperation, StateOperation, key_answer, state_allows};
pub use verdict::{Allowed, BadRequest, Denied, InstructionRef, Obligation, Verdict, Warning};
pub use version::policy_version;
pub use would_need::{Detail, WouldNeed};
