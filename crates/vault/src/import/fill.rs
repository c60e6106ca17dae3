//! Cells into fields: text as it came, phones in E.164, tags and notes as lists.

use leadvault_crypto::normalise::{self, Phone, PhoneParser};
use leadvault_domain::{FieldNo, Fields, Personal, TagKind, Timestamp, Value};

use super::cells::Cells;
use super::code::RowCode;
use super::lead_line::LeadLine;
use super::plan::Plan;
use super::row::{Noted, Refusal};

/// The fields of a row, without `original`.
#[derive(Default)]
pub(super) struct Filled {
    pub(super) fields: Fields,
    pub(super) noted: Vec<Noted>,
    /// Columns whose cell is a valid phone number.
    pub(super) phones: Vec<usize>,
    /// Normalised forms of phones, to be found by.
    pub(super) forms: Vec<(FieldNo, Phone)>,
}

/// Fills the fields from cells.
pub(super) fn fill_cells(plan: &Plan, cells: &Cells, phones: &mut PhoneParser) -> Filled {
    let mut filled = Filled::default();
    let mut notes = Vec::new();
    let mut tags: Option<Vec<Personal>> = None;
    for (index, column) in plan.columns.iter().enumerate() {
        let Some(cell) = cells.cell(index) else { continue };
        if cell.is_empty() && plan.absent_is_empty() {
            continue;
        }
        match column.field {
            FieldNo::NOTES => notes.push((Personal::from(cell), Personal::default())),
            FieldNo::TAGS => tags.get_or_insert_default().extend(split_tags(cell)),
            field => {
                let kind = column.tag.or_else(|| field.info().and_then(|info| info.tag));
                filled.text(index, field, kind, cell, phones);
            }
        }
    }
    if !notes.is_empty() {
        filled.fields.insert(FieldNo::NOTES, Value::Pairs(notes));
    }
    filled.fields.extend(tags.map(|tags| (FieldNo::TAGS, Value::List(tags))));
    filled
}

/// Fills the fields from a line of an export.
pub(super) fn fill_lead(
    plan: &Plan,
    lead: &LeadLine,
    phones: &mut PhoneParser,
) -> Result<Filled, Refusal> {
    let mut filled = Filled::default();
    for (index, text) in &lead.fields {
        let Some(column) = plan.columns.get(*index) else { continue };
        let kind = column.field.info().and_then(|info| info.tag);
        filled.text(*index, column.field, kind, text.expose(), phones);
    }
    let pairs = |list: &Option<Vec<(Personal, Personal)>>| list.clone().map(Value::Pairs);
    let text = |text: &Option<Personal>| text.clone().map(Value::Text);
    let time = |time: &Option<Personal>| {
        text(&time.clone().filter(|t| Timestamp::parse_rfc3339(t.expose()).is_some()))
    };
    let members = [
        (FieldNo::EXTERNAL_ID, text(&lead.external_id)),
        (FieldNo::NOTES, pairs(&lead.notes)),
        (FieldNo::TAGS, lead.tags.clone().map(Value::List)),
        (
            FieldNo::ORIGINAL,
            pairs(&lead.original).filter(|pairs| *pairs != Value::Pairs(Vec::new())),
        ),
        (FieldNo::CREATED_AT, time(&lead.created_at)),
        (FieldNo::UPDATED_AT, time(&lead.updated_at)),
    ];
    filled.fields.extend(members.into_iter().filter_map(|(field, value)| Some((field, value?))));
    match holds_nul(&filled.fields) {
        Some(field) => {
            Err((plan.columns_of(field).next().map(|(index, _)| index), RowCode::NulByte))
        }
        None => Ok(filled),
    }
}

/// A field with U+0000 in it. Cells were searched when they were read.
fn holds_nul(fields: &Fields) -> Option<FieldNo> {
    let nul = |text: &Personal| text.expose().contains('\0');
    let holds = |value: &Value| match value {
        Value::Text(text) => nul(text),
        Value::List(texts) => texts.iter().any(nul),
        Value::Pairs(pairs) => pairs.iter().any(|(a, b)| nul(a) || nul(b)),
    };
    fields.iter().find(|(_, value)| holds(value)).map(|(field, _)| *field)
}

impl Filled {
    fn text(
        &mut self,
        index: usize,
        field: FieldNo,
        kind: Option<TagKind>,
        cell: &str,
        phones: &mut PhoneParser,
    ) {
        let mut value = Personal::from(cell);
        let blank = cell.trim().is_empty();
        match kind {
            Some(TagKind::PHONE) if !blank => {
                let form = phones.e164(cell);
                match &form {
                    Phone::E164(number) => {
                        self.phones.push(index);
                        // A third phone is no phone field: it stays as it came.
                        if field.info().is_some() {
                            value = number.as_str().into();
                        }
                    }
                    Phone::Raw(_) => self.noted.push(Noted::BadPhone(Some(index))),
                }
                self.forms.push((field, form));
            }
            Some(TagKind::EMAIL) if !blank && normalise::email(cell).is_none() => {
                self.noted.push(Noted::BadEmail(Some(index)));
            }
            _ => {}
        }
        self.fields.insert(field, Value::Text(value));
    }
}

/// The tags of a cell: separated by ` ::: ` (Google), `;`, `,` or `|`, the first of these that occurs.
fn split_tags(cell: &str) -> Vec<Personal> {
    let separator = [":::", ";", ",", "|"].into_iter().find(|s| cell.contains(s)).unwrap_or("\0");
    cell.split(separator)
        .map(|tag| tag.trim().trim_start_matches("* "))
        .filter(|tag| !tag.is_empty())
        .map(Personal::from)
        .collect()
}
