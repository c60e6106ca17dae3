//! What a lead is found by: normalised terms that become tags (fields.md 3).
//!
//! The first e-mail, the first phone and the domain are columns of the row, every further one a row of the
//! side table; a look-up asks both. A phone that no parser knows is found by its digits, if there are enough of
//! them ([`Phone::taggable`]).

use std::collections::BTreeSet;

use leadvault_crypto::normalise::{self, Phone, PhoneParser};
use leadvault_domain::{FieldNo, Fields, Personal, TagKind, Value};

use super::plan::Plan;

/// First tag kind of custom fields (fields.md 1).
const FIRST_CUSTOM_KIND: u16 = 16;

/// Where a tag lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In its column of the row; at most one of each kind.
    Row,
    /// In the side table.
    Side,
}

/// A term to make a tag of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Kind of the tag.
    pub kind: TagKind,
    /// Where the tag lies.
    pub place: Place,
    /// The normalised form.
    pub normalised: Personal,
}

/// Fields by which somebody can tell whose lead a row is.
pub(super) fn identifies(field: FieldNo) -> bool {
    const IDENTIFYING: [FieldNo; 11] = [
        FieldNo::EMAIL,
        FieldNo::EMAIL_2,
        FieldNo::PHONE,
        FieldNo::PHONE_2,
        FieldNo::MOBILE,
        FieldNo::FIRST_NAME,
        FieldNo::LAST_NAME,
        FieldNo::FULL_NAME,
        FieldNo::EXTERNAL_ID,
        FieldNo::COMPANY,
        FieldNo::WEBSITE,
    ];
    IDENTIFYING.contains(&field)
}

/// The terms of a lead that is put together anew. `region` is the default region of phones.
pub(super) fn of_fields(
    plan: &Plan,
    fields: &Fields,
    searchable: &BTreeSet<FieldNo>,
    region: Option<&str>,
) -> Vec<Term> {
    let mut parser = PhoneParser::new(region);
    let tagged = plan.columns.iter().filter(|column| column.tag == Some(TagKind::PHONE));
    let known = [FieldNo::PHONE, FieldNo::PHONE_2, FieldNo::MOBILE].into_iter();
    let forms: Vec<(FieldNo, Phone)> = known
        .chain(tagged.map(|column| column.field))
        .filter_map(|field| match fields.get(&field) {
            Some(Value::Text(text)) if !text.expose().trim().is_empty() => {
                Some((field, parser.e164(text.expose())))
            }
            _ => None,
        })
        .collect();
    of(plan, fields, searchable, &forms)
}

/// The terms of a lead, each once. `phones` holds the normalised forms of its phones by field.
pub(super) fn of(
    plan: &Plan,
    fields: &Fields,
    searchable: &BTreeSet<FieldNo>,
    phones: &[(FieldNo, Phone)],
) -> Vec<Term> {
    let text = |field: FieldNo| match fields.get(&field) {
        Some(Value::Text(text)) if !text.expose().trim().is_empty() => Some(text.expose().as_str()),
        _ => None,
    };
    let tagged = |kind: TagKind| {
        let columns = plan.columns.iter().filter(move |column| column.tag == Some(kind));
        columns.map(|column| column.field)
    };
    let mut terms = Terms(Vec::new());
    let emails = [FieldNo::EMAIL, FieldNo::EMAIL_2].into_iter().chain(tagged(TagKind::EMAIL));
    for email in emails.filter_map(text).filter_map(normalise::email) {
        terms.add(TagKind::EMAIL, email);
    }
    let numbers = [FieldNo::PHONE, FieldNo::MOBILE, FieldNo::PHONE_2];
    for field in numbers.into_iter().chain(tagged(TagKind::PHONE)) {
        let form = phones.iter().find(|(own, _)| *own == field).and_then(|(_, f)| f.taggable());
        if let Some(form) = form {
            terms.add(TagKind::PHONE, form.to_owned());
        }
    }
    let domain = text(FieldNo::WEBSITE)
        .and_then(normalise::registrable_domain)
        .or_else(|| text(FieldNo::EMAIL).and_then(normalise::registrable_domain));
    // A domain that half the world shares finds nobody and tells a thief which rows are alike.
    if let Some(domain) = domain.filter(|domain| !normalise::is_freemail(domain)) {
        terms.add(TagKind::DOMAIN, domain);
    }
    if let Some(id) = text(FieldNo::EXTERNAL_ID).and_then(normalise::external_id) {
        terms.add(TagKind::EXTERNAL_ID, id);
    }
    for field in searchable {
        let kind = field.0.checked_sub(FieldNo::FIRST_CUSTOM).map(|k| k + FIRST_CUSTOM_KIND);
        let value = text(*field).and_then(normalise::external_id);
        if let (Some(kind), Some(value)) = (kind, value) {
            terms.add(TagKind(kind), value);
        }
    }
    terms.0
}

struct Terms(Vec<Term>);

impl Terms {
    fn add(&mut self, kind: TagKind, normalised: String) {
        let normalised = Personal::new(normalised);
        if self.0.iter().any(|term| term.kind == kind && term.normalised == normalised) {
            return;
        }
        let in_row = [TagKind::EMAIL, TagKind::PHONE, TagKind::DOMAIN].contains(&kind);
        let first = self.0.iter().all(|term| term.kind != kind);
        let place = if in_row && first { Place::Row } else { Place::Side };
        self.0.push(Term { kind, place, normalised });
    }
}
