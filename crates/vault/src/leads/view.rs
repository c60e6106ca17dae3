//! A lead as it is answered. The one place where plaintext becomes JSON.

use leadvault_domain::{DatasetId, FieldNo, Fields, ImportId, LeadId, Masking, Timestamp, Value};
use serde_json::{Map, Value as Json};

use crate::mask::{HIDDEN, masked};

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

/// What of a lead goes into an answer: which fields, and how much of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    fields: Option<&'a [FieldNo]>,
    masking: Masking,
}

impl<'a> Shown<'a> {
    /// The fields a call names, else every one; as they are only where some are named and the instruction
    /// does not mask.
    pub(crate) fn new(fields: Option<&'a [FieldNo]>, instructed: Masking) -> Self {
        let least = if fields.is_some() { Masking::None } else { Masking::Partial };
        Self { fields, masking: instructed.max(least) }
    }

    /// Whether values go out as they are.
    pub(crate) fn reveals(self) -> bool {
        self.masking == Masking::None
    }

    fn wants(self, field: FieldNo) -> bool {
        // The cells as they came are no field of an answer's `fields`.
        field != FieldNo::ORIGINAL && self.fields.is_none_or(|named| named.contains(&field))
    }

    /// What stands for a value that is not shown as it is; `None` where nothing does.
    fn veil(self, field: FieldNo, value: &Value) -> Option<Json> {
        match self.masking {
            Masking::None | Masking::Partial => masked(field, value),
            Masking::Full => Some(HIDDEN.into()),
            Masking::TokensOnly => None,
        }
    }
}

/// Shapes the values of a lead; `covered` says what the instruction lets out.
pub(crate) fn shape(
    fields: &Fields,
    shown: Shown<'_>,
    covered: impl Fn(FieldNo) -> bool,
) -> (Map<String, Json>, Json, Vec<NoteView>) {
    let mut out = Map::new();
    let revealed = shown.reveals();
    let mut tags = match shown.masking {
        Masking::None => Json::Array(Vec::new()),
        Masking::Partial => Json::from(0),
        Masking::Full | Masking::TokensOnly => Json::Null,
    };
    let mut notes = Vec::new();
    for (field, value) in fields {
        if !shown.wants(*field) || !covered(*field) {
            continue;
        }
        match (*field, value) {
            (FieldNo::TAGS, Value::List(list)) if revealed => {
                tags = list.iter().map(|t| Json::from(t.expose().as_str())).collect();
            }
            (FieldNo::TAGS, value) => tags = shown.veil(*field, value).unwrap_or(Json::Null),
            (FieldNo::NOTES, Value::Pairs(pairs)) => notes = shape_notes(pairs, shown, value),
            (field, Value::Text(text)) if revealed => {
                out.insert(field.name(), text.expose().as_str().into());
            }
            (field, value) => {
                if let Some(json) = shown.veil(field, value) {
                    out.insert(field.name(), json);
                }
            }
        }
    }
    (out, tags, notes)
}

fn shape_notes(
    pairs: &[(leadvault_domain::Personal, leadvault_domain::Personal)],
    shown: Shown<'_>,
    value: &Value,
) -> Vec<NoteView> {
    if shown.reveals() {
        let note =
            |(text, at): &(leadvault_domain::Personal, leadvault_domain::Personal)| NoteView {
                text: text.expose().as_str().into(),
                at: Some(at.expose().clone()).filter(|at| !at.is_empty()),
            };
        return pairs.iter().map(note).collect();
    }
    let classes = shown.veil(FieldNo::NOTES, value).unwrap_or(Json::Null);
    let classes = classes.as_array().cloned().unwrap_or_default();
    classes.into_iter().map(|text| NoteView { text, at: None }).collect()
}
