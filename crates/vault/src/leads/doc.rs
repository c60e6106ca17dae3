//! A lead as it is sent: to be made, or as a merge patch (RFC 7386).

use leadvault_domain::{DatasetId, FieldNo, Fields, Personal, Regime, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::error::Fault;

/// Longest text of a field sent by itself, in bytes: as a cell of a file.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most tags or notes of one lead.
const LIST_LEN_MAX: usize = 1_000;

/// A note that is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteDoc {
    /// Its text.
    pub text: String,
    /// When it was written, as the client says it.
    #[serde(default)]
    pub at: Option<String>,
}

/// A lead to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadDoc {
    /// The dataset it goes into.
    pub dataset: DatasetId,
    /// The client's own id.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Values by field name.
    #[serde(default)]
    pub fields: Map<String, Json>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Notes.
    #[serde(default)]
    pub notes: Vec<NoteDoc>,
    /// Origin regimes; the dataset's where absent.
    #[serde(default)]
    pub origin: Option<Vec<Regime>>,
}

impl LeadDoc {
    /// The values by number.
    ///
    /// # Errors
    /// [`Fault::UnknownField`], [`Fault::Invalid`] with the place.
    pub(crate) fn fields(&self) -> Result<Fields, Fault> {
        let mut fields = Fields::new();
        for (name, value) in &self.fields {
            let field = named(name)?;
            if let Some(text) = text_of(field, value)? {
                fields.insert(field, text);
            }
        }
        if let Some(id) = &self.external_id {
            fields.insert(FieldNo::EXTERNAL_ID, Value::Text(id.as_str().into()));
        }
        if !self.tags.is_empty() {
            fields.insert(FieldNo::TAGS, tags_of(&self.tags)?);
        }
        if !self.notes.is_empty() {
            fields.insert(FieldNo::NOTES, notes_of(&self.notes)?);
        }
        Ok(fields)
    }
}

/// A merge patch: `null` clears.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadPatch {
    /// Values by field name.
    #[serde(default)]
    pub fields: Map<String, Json>,
    /// The tags that replace those there.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// The notes that replace those there.
    #[serde(default)]
    pub notes: Option<Vec<NoteDoc>>,
}

impl LeadPatch {
    /// The changes by number; `None` clears.
    ///
    /// # Errors
    /// As [`LeadDoc::fields`].
    pub(crate) fn changes(&self) -> Result<Vec<(FieldNo, Option<Value>)>, Fault> {
        let mut changes = Vec::new();
        for (name, value) in &self.fields {
            let field = named(name)?;
            changes.push((field, text_of(field, value)?));
        }
        if let Some(tags) = &self.tags {
            changes.push((FieldNo::TAGS, Some(tags_of(tags)?).filter(|_| !tags.is_empty())));
        }
        if let Some(notes) = &self.notes {
            changes.push((FieldNo::NOTES, Some(notes_of(notes)?).filter(|_| !notes.is_empty())));
        }
        if changes.is_empty() {
            return Err(Fault::bad("#", "empty"));
        }
        Ok(changes)
    }
}

/// A field by its name. An unknown name is not repeated: it may be anything.
fn named(name: &str) -> Result<FieldNo, Fault> {
    let settable = |f: &FieldNo| {
        !matches!(
            *f,
            FieldNo::NOTES
                | FieldNo::TAGS
                | FieldNo::ORIGINAL
                | FieldNo::CREATED_AT
                | FieldNo::UPDATED_AT
        )
    };
    let field = FieldNo::by_name(name).filter(settable);
    field.ok_or_else(|| Fault::UnknownField("#/fields".to_owned()))
}

fn text_of(field: FieldNo, value: &Json) -> Result<Option<Value>, Fault> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) if text.len() <= TEXT_BYTES_MAX => {
            Ok(Some(Value::Text(text.as_str().into())))
        }
        Json::String(_) => Err(Fault::invalid(format!("#/fields/{}", field.name()), "too_long")),
        _ => Err(Fault::invalid(format!("#/fields/{}", field.name()), "not_a_string")),
    }
}

fn tags_of(tags: &[String]) -> Result<Value, Fault> {
    if tags.len() > LIST_LEN_MAX {
        return Err(Fault::invalid("#/tags", "too_many"));
    }
    Ok(Value::List(tags.iter().map(|t| Personal::from(t.as_str())).collect()))
}

fn notes_of(notes: &[NoteDoc]) -> Result<Value, Fault> {
    if notes.len() > LIST_LEN_MAX {
        return Err(Fault::invalid("#/notes", "too_many"));
    }
    let pair = |n: &NoteDoc| {
        (Personal::from(n.text.as_str()), Personal::from(n.at.as_deref().unwrap_or_default()))
    };
    Ok(Value::Pairs(notes.iter().map(pair).collect()))
}
