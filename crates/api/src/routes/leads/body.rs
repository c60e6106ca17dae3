//! A lead as it is sent and answered.

use leadvault_domain::{DatasetId, ImportId, LeadId, Regime, Timestamp};
use leadvault_vault::leads::{LeadDoc, LeadPage, LeadPatch, LeadView, NoteDoc, NoteView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::answer::Page;
use crate::extract::{distinct, present};

/// A lead to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeadDraft {
    /// The dataset it goes into.
    #[schema(value_type = String, example = "ds_01kb0000000000000000000000")]
    dataset: DatasetId,
    /// The client's own id.
    #[serde(default)]
    external_id: Option<String>,
    /// Values by name of field.
    #[serde(default, deserialize_with = "distinct")]
    #[schema(value_type = Object, example = json!({"email": "ada@example.com", "first_name": "Ada"}))]
    fields: Option<Map<String, Value>>,
    /// Tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Notes.
    #[serde(default)]
    notes: Vec<NoteDraft>,
    /// Origin regimes; the dataset's where absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["EU"]))]
    origin: Option<Vec<Regime>>,
}

/// A note that is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteDraft {
    /// Its text.
    text: String,
    /// When it was written, as the client says it.
    #[serde(default)]
    at: Option<String>,
}

/// A merge patch of a lead (RFC 7386): null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeadChange {
    /// Values by name of field; null clears one.
    #[serde(default, deserialize_with = "distinct")]
    #[schema(value_type = Object, example = json!({"phone": "+14155550123", "job_title": null}))]
    fields: Option<Map<String, Value>>,
    /// The tags that replace those there.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Option<Vec<String>>>,
    /// The notes that replace those there.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<NoteDraft>>)]
    notes: Option<Option<Vec<NoteDraft>>>,
}

impl From<NoteDraft> for NoteDoc {
    fn from(note: NoteDraft) -> Self {
        Self { text: note.text, at: note.at }
    }
}

impl From<LeadDraft> for LeadDoc {
    fn from(draft: LeadDraft) -> Self {
        Self {
            dataset: draft.dataset,
            external_id: draft.external_id,
            fields: draft.fields.unwrap_or_default(),
            tags: draft.tags,
            notes: draft.notes.into_iter().map(NoteDoc::from).collect(),
            origin: draft.origin,
        }
    }
}

impl From<LeadChange> for LeadPatch {
    fn from(change: LeadChange) -> Self {
        let notes = change.notes.map(Option::unwrap_or_default);
        Self {
            fields: change.fields.unwrap_or_default(),
            tags: change.tags.map(Option::unwrap_or_default),
            notes: notes.map(|notes| notes.into_iter().map(NoteDoc::from).collect()),
        }
    }
}

/// A lead.
#[derive(Serialize, ToSchema)]
pub(super) struct Lead {
    /// Its id.
    #[schema(value_type = String, example = "ct_01kb0000000000000000000000")]
    id: LeadId,
    /// Its dataset.
    #[schema(value_type = String, example = "ds_01kb0000000000000000000000")]
    dataset: DatasetId,
    /// Its version, the `ETag`.
    #[schema(example = 3)]
    version: u32,
    /// When it was made, to the minute.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last, to the minute.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The import it came with.
    #[schema(value_type = Option<String>, required = true)]
    import: Option<ImportId>,
    /// Its data record in that file, from 1.
    #[schema(required = true)]
    row: Option<u64>,
    /// Whether values are masked.
    masked: bool,
    /// Values by name of field.
    #[schema(value_type = Object, example = json!({"email": "a***@example.com"}))]
    fields: Map<String, Value>,
    /// Tags; where masked, their number.
    #[schema(example = json!(["fair"]))]
    tags: Value,
    /// Notes; where masked, the class of their length.
    notes: Vec<Note>,
    /// Headers and cells as they came, with `fields=original`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<String>>>, example = json!([["Phone 1", "(415) 555-0123"]]))]
    original: Option<Vec<(String, String)>>,
}

/// A note.
#[derive(Serialize, ToSchema)]
struct Note {
    /// Its text.
    text: Value,
    /// When it was written, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl From<NoteView> for Note {
    fn from(view: NoteView) -> Self {
        Self { text: view.text, at: view.at }
    }
}

impl From<LeadView> for Lead {
    fn from(view: LeadView) -> Self {
        Self {
            id: view.id,
            dataset: view.dataset,
            version: view.version,
            created_at: view.created_at,
            updated_at: view.updated_at,
            import: view.import,
            row: view.row,
            masked: view.masked,
            fields: view.fields,
            tags: view.tags,
            notes: view.notes.into_iter().map(Note::from).collect(),
            original: view.original,
        }
    }
}

/// A page of leads.
pub(super) fn page(page: LeadPage) -> Page<Lead> {
    Page::new(page.data.into_iter().map(Lead::from).collect(), page.next_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_patch_null_clears_and_absence_keeps() {
        let patch = |text: &str| LeadPatch::from(serde_json::from_str::<LeadChange>(text).unwrap());
        let absent = patch(r#"{"fields":{"email":null}}"#);
        assert!(absent.tags.is_none() && absent.notes.is_none());
        assert_eq!(absent.fields["email"], Value::Null);
        let cleared = patch(r#"{"tags":null,"notes":[{"text":"x"}]}"#);
        assert_eq!(cleared.tags, Some(Vec::new()));
        assert_eq!(cleared.notes.unwrap().len(), 1);
    }
}
