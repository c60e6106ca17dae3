//! A lead as it is answered. The one place where plaintext becomes JSON.

use leadvault_domain::{DatasetId, FieldNo, Fields, ImportId, LeadId, Timestamp, Value};
use serde_json::{Map, Value as Json};

use crate::mask::masked;

/// A note.
#[derive(Debug, Clone)]
pub struct NoteView {
    /// Its text, or its length class.
    pub text: Json,
    /// When it was written, as it came.
    pub at: Option<String>,
}

/// A lead, masked or revealed.
#[derive(Debug, Clone)]
pub struct LeadView {
    /// Its id.
    pub id: LeadId,
    /// Its dataset.
    pub dataset: DatasetId,
    /// Its version, the `ETag`.
    pub version: u32,
    /// When it was made, to the minute.
    pub created_at: Timestamp,
    /// When it was changed last, to the minute.
    pub updated_at: Timestamp,
    /// The import it came with.
    pub import: Option<ImportId>,
    /// Its data record in the file, from 1.
    pub row: Option<u64>,
    /// Whether values are masked.
    pub masked: bool,
    /// Values by name.
    pub fields: Map<String, Json>,
    /// Tags; their number where masked.
    pub tags: Json,
    /// Notes.
    pub notes: Vec<NoteView>,
    /// The cells as they came.
    pub original: Option<Vec<(String, String)>>,
}

/// A page of leads.
#[derive(Debug)]
pub struct LeadPage {
    /// The leads.
    pub data: Vec<LeadView>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// What of a lead goes into an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// Every field that is covered, masked.
    Masked,
    /// The named fields, as they are.
    Fields(&'a [FieldNo]),
}

/// Shapes the values of a lead; `covered` says what the instruction lets out.
pub(crate) fn shape(
    fields: &Fields,
    shown: Shown<'_>,
    covered: impl Fn(FieldNo) -> bool,
) -> (Map<String, Json>, Json, Vec<NoteView>) {
    let mut out = Map::new();
    let mut tags = match shown {
        Shown::Masked => Json::from(0),
        Shown::Fields(_) => Json::Array(Vec::new()),
    };
    let mut notes = Vec::new();
    for (field, value) in fields {
        let wanted = match shown {
            Shown::Masked => true,
            Shown::Fields(named) => named.contains(field),
        };
        if !wanted || !covered(*field) || *field == FieldNo::ORIGINAL {
            continue;
        }
        let revealed = matches!(shown, Shown::Fields(_));
        match (*field, value) {
            (FieldNo::TAGS, Value::List(list)) if revealed => {
                tags = list.iter().map(|t| Json::from(t.expose().as_str())).collect();
            }
            (FieldNo::TAGS, value) => tags = masked(*field, value).unwrap_or(Json::Null),
            (FieldNo::NOTES, Value::Pairs(pairs)) => notes = shape_notes(pairs, revealed, value),
            (field, Value::Text(text)) if revealed => {
                out.insert(field.name(), text.expose().as_str().into());
            }
            (field, value) => {
                if let Some(json) = masked(field, value) {
                    out.insert(field.name(), json);
                }
            }
        }
    }
    (out, tags, notes)
}

fn shape_notes(
    pairs: &[(leadvault_domain::Personal, leadvault_domain::Personal)],
    revealed: bool,
    value: &Value,
) -> Vec<NoteView> {
    if revealed {
        let note =
            |(text, at): &(leadvault_domain::Personal, leadvault_domain::Personal)| NoteView {
                text: text.expose().as_str().into(),
                at: Some(at.expose().clone()).filter(|at| !at.is_empty()),
            };
        return pairs.iter().map(note).collect();
    }
    let classes = masked(FieldNo::NOTES, value).unwrap_or(Json::Null);
    let classes = classes.as_array().cloned().unwrap_or_default();
    classes.into_iter().map(|text| NoteView { text, at: None }).collect()
}
