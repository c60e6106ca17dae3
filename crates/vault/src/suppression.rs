//! The suppression list: an erased person does not come back with the next file (R-102, crypto.md 4.7).
//!
//! Erasing a lead remembers keyed tags of its e-mail addresses and phone numbers, in the commit that
//! requests the erasure: nothing else of the person stays. An import rejects a row, and `POST /v1/leads` a
//! lead, whose e-mail address is on the list; one that has no address, if a phone number of it is. A number
//! alone does not stop somebody who has an address of their own, because people share switchboards. A value
//! that is no address by itself is searched for addresses inside it (`mailto:`, brackets, lists).
//!
//! Shredding a dataset and undoing an import erase no person and remember nothing. A lead that is erased
//! while the tenant's key is away is not remembered either: nobody can read its address.

use leadvault_crypto::normalise::{self, PhoneParser};
use leadvault_domain::{Compartment, FieldNo, Fields, TagKind, Timestamp, Value};
use leadvault_keys::Keyring;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{InsertSuppression, LeadRow, SuppressionRow, TenantScope};

use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::leads::opened::{locate, open_parts, opener};
use crate::room::{DatasetControl, Room};

/// Why a value is on the list: the person was erased.
const REASON: &str = "erasure";
/// The code of a row or a field that is refused.
pub(crate) const CODE: &str = "suppressed";
/// Fields that hold e-mail addresses.
const EMAILS: [FieldNo; 2] = [FieldNo::EMAIL, FieldNo::EMAIL_2];
/// Fields that hold phone numbers.
const PHONES: [FieldNo; 3] = [FieldNo::PHONE, FieldNo::PHONE_2, FieldNo::MOBILE];

/// A tag of the list.
pub(crate) type Tag = [u8; 16];

/// Kind of a suppression tag, where the kind of search tag has one (crypto.md 4.7).
fn kind_of(kind: TagKind) -> Option<u8> {
    match kind {
        TagKind::EMAIL => Some(1),
        TagKind::PHONE => Some(2),
        _ => None,
    }
}

/// The list as an import searches it.
#[derive(Debug, Default)]
pub(crate) struct Suppressed {
    tags: Vec<Tag>,
}

impl Suppressed {
    /// The list as it is now.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn load(cell: &Cell, room: &Room) -> Result<Self, Refusal> {
        let now = cell.clock().now();
        Ok(Self { tags: cell.data().list_suppression(TenantScope(room.no), now).await? })
    }

    /// Whether one of the tags of a row is on the list.
    pub(crate) fn holds(&self, tags: &[Tag]) -> bool {
        tags.iter().any(|tag| self.tags.binary_search(tag).is_ok())
    }
}

/// The tags by which somebody with these fields and the search terms made of them would be on the list.
pub(crate) fn tags_of<'a>(
    ring: &Keyring,
    fields: &Fields,
    terms: impl Iterator<Item = (TagKind, &'a str)>,
) -> Vec<Tag> {
    let spelt = spelt_otherwise(fields);
    let mut all: Vec<(TagKind, &str)> = terms.collect();
    all.extend(spelt.iter().map(|(_, address)| (TagKind::EMAIL, address.as_str())));
    let found = identifying(all.iter().copied());
    found.map(|(kind, value)| ring.suppression_tag(kind, value.as_bytes())).collect()
}

/// Addresses in the e-mail fields that no search term is made of, because the value is not an address by
/// itself: a link, a list, one in brackets. A way to spell an address is no way around the list.
fn spelt_otherwise(fields: &Fields) -> Vec<(FieldNo, String)> {
    let values = EMAILS.iter().filter_map(|field| text_of(fields, *field));
    let inside = values.flat_map(|(field, text)| {
        normalise::emails_inside(text).into_iter().map(move |address| (field, address))
    });
    inside.collect()
}

fn text_of(fields: &Fields, field: FieldNo) -> Option<(FieldNo, &str)> {
    match fields.get(&field) {
        Some(Value::Text(text)) => Some((field, text.expose().as_str())),
        _ => None,
    }
}

/// The values a person is recognised by: e-mail addresses, else phone numbers.
fn identifying<'a>(
    terms: impl Iterator<Item = (TagKind, &'a str)> + Clone,
) -> impl Iterator<Item = (u8, &'a str)> {
    let has_email = terms.clone().any(|(kind, _)| kind == TagKind::EMAIL);
    let wanted = if has_email { TagKind::EMAIL } else { TagKind::PHONE };
    terms
        .filter(move |(kind, _)| *kind == wanted)
        .filter_map(|(kind, value)| Some((kind_of(kind)?, value)))
}

/// The normalised e-mail addresses and phone numbers of a lead, with their fields.
fn terms_of(fields: &Fields, region: Option<&str>) -> Vec<(FieldNo, TagKind, String)> {
    let mut phones = PhoneParser::new(region);
    let mut terms: Vec<(FieldNo, TagKind, String)> = EMAILS
        .iter()
        .filter_map(|field| text_of(fields, *field))
        .filter_map(|(field, text)| Some((field, normalise::email(text)?)))
        .chain(spelt_otherwise(fields))
        .map(|(field, address)| (field, TagKind::EMAIL, address))
        .collect();
    for (field, text) in PHONES.iter().filter_map(|field| text_of(fields, *field)) {
        if let Some(form) = phones.e164(text).taggable() {
            terms.push((field, TagKind::PHONE, form.to_owned()));
        }
    }
    terms
}

/// The field by which a lead sent by itself is on the list.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn find(
    cell: &Cell,
    room: &Room,
    dataset: &DatasetControl,
    fields: &Fields,
) -> Result<Option<FieldNo>, Refusal> {
    let terms = terms_of(fields, dataset.default_region.as_deref());
    let ring = room.ring()?;
    let now = cell.clock().now();
    let kinds = terms.iter().map(|(_, kind, value)| (*kind, value.as_str()));
    for (kind, value) in identifying(kinds) {
        let tag = ring.suppression_tag(kind, value.as_bytes());
        let row = cell.data().find_suppression(TenantScope(room.no), tag).await?;
        if row.is_some_and(|row| row.expires_at.is_none_or(|end| end > now)) {
            let field = terms.iter().find(|(_, _, own)| own == value).map(|(field, _, _)| *field);
            return Ok(field);
        }
    }
    Ok(None)
}

/// What is to be remembered of a lead that is about to be erased. It must be read for that, so an entry
/// `write.begin` is committed first, as for every change that reads.
///
/// # Errors
/// [`Fault::NotFound`] where the lead was erased meanwhile; what keys and journal say.
pub(crate) async fn of_erased(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    dataset: &DatasetControl,
    row: &LeadRow,
) -> Result<InsertSuppression, Refusal> {
    let located = locate(&*room.ring()?, row)?;
    let begin = permit
        .entry_as(call, LogOperation::WriteBegin, ResourceType::Record)
        .dataset(dataset.id)
        .refs([located.reference()])
        .fields(EMAILS.into_iter().chain(PHONES));
    let receipt = cell.commit(room, begin, Some(permit.read_generations())).await?;
    let opener = opener(cell, room, located, row, &receipt).await?;
    let fields = open_parts(&opener, row, |c| c == Compartment::CONTACT)?;
    let ring = room.ring()?;
    let rows = terms_of(&fields, dataset.default_region.as_deref())
        .into_iter()
        .filter_map(|(_, kind, value)| {
            Some(SuppressionRow {
                tag: ring.suppression_tag(kind_of(kind)?, value.as_bytes()),
                month: month_of(permit.at),
                reason: REASON.to_owned(),
                expires_at: None,
            })
        })
        .collect();
    Ok(InsertSuppression { rows })
}

/// `year * 12 + month - 1`: no finer, so that the list does not tell which erasure a tag belongs to.
fn month_of(at: Timestamp) -> u32 {
    let date = at.date();
    let year = u32::try_from(date.year()).unwrap_or_default();
    let month = u32::try_from(date.month()).unwrap_or(1);
    year * 12 + month - 1
}

/// The refusal of a field that is on the list.
pub(crate) fn refusal(field: FieldNo) -> Refusal {
    Fault::invalid(format!("#/fields/{}", field.name()), CODE).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[(FieldNo, &str)]) -> Fields {
        values.iter().map(|(f, v)| (*f, Value::Text((*v).into()))).collect()
    }

    #[test]
    fn somebody_with_an_address_is_recognised_by_it_alone() {
        let both = fields(&[(FieldNo::EMAIL, "Ada@Example.com"), (FieldNo::PHONE, "+14155552671")]);
        let terms = terms_of(&both, None);
        let kinds = terms.iter().map(|(_, kind, value)| (*kind, value.as_str()));
        let found: Vec<_> = identifying(kinds).collect();
        assert_eq!(found, [(1, "ada@example.com")]);
        let phone = terms_of(&fields(&[(FieldNo::MOBILE, "(415) 555-2671")]), Some("US"));
        let kinds = phone.iter().map(|(_, kind, value)| (*kind, value.as_str()));
        assert_eq!(identifying(kinds).collect::<Vec<_>>(), [(2, "+14155552671")]);
    }

    #[test]
    fn an_address_that_is_spelt_otherwise_is_recognised_too() {
        for spelt in ["mailto:ada@example.com", "\"ada\"@example.com", "Ada <ada@example.com>"] {
            let terms = terms_of(&fields(&[(FieldNo::EMAIL_2, spelt)]), None);
            assert!(terms.iter().any(|(field, _, value)| {
                (*field, value.as_str()) == (FieldNo::EMAIL_2, "ada@example.com")
            }));
        }
    }

    #[test]
    fn a_month_counts_from_the_year_nought() {
        let at = Timestamp::parse_rfc3339("2026-11-25T10:00:00Z").unwrap();
        assert_eq!(month_of(at), 2026 * 12 + 10);
    }
}
