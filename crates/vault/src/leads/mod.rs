//! Leads: the use cases of one lead and of sets of leads, one file each.
//!
//! Each tells the same story: find the sealed row and its clear labels → decide → locate → commit the
//! entry → open. Nothing is opened without the receipt of that commit.

pub mod change;
pub mod create;
pub mod deep_search;
pub mod erase;
pub mod flags;
pub mod list;
pub mod reveal;
pub mod search;

mod doc;
pub(crate) mod opened;
pub(crate) mod removal;
mod tags;
mod view;

pub use doc::{LeadDoc, LeadPatch, NoteDoc};
pub use view::{LeadPage, LeadView, NoteView};
