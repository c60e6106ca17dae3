//! Search tags of a lead's values (fields.md 3): first e-mail, first phone and domain in the row, every
//! further value, `external_id` and custom fields beside it.

use leadvault_crypto::normalise::{self, Phone, PhoneParser};
use leadvault_domain::{DatasetNo, FieldNo, Fields, TagKind, Value};
use leadvault_keys::{KeyError, Keyring};
use leadvault_store::LeadTags;

/// What the values of a lead are found by, normalised.
#[derive(Debug, Default)]
pub(crate) struct Normalised {
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) more: Vec<(TagKind, String)>,
}

/// Normalises what a lead is found by. What does not normalise gets no tag.
pub(crate) fn normalise(fields: &Fields, phones: &mut PhoneParser) -> Normalised {
    let mut found = Normalised::default();
    for (field, value) in fields {
        let Value::Text(text) = value else { continue };
        let text = text.expose();
        match *field {
            FieldNo::EMAIL | FieldNo::EMAIL_2 => {
                if let Some(email) = normalise::email(text) {
                    put(&mut found.email, &mut found.more, TagKind::EMAIL, email);
                }
            }
            FieldNo::PHONE | FieldNo::PHONE_2 | FieldNo::MOBILE => {
                if let Phone::E164(phone) = phones.e164(text) {
                    put(&mut found.phone, &mut found.more, TagKind::PHONE, phone);
                }
            }
            FieldNo::EXTERNAL_ID => {
                found
                    .more
                    .extend(normalise::external_id(text).map(|id| (TagKind::EXTERNAL_ID, id)));
            }
            FieldNo::WEBSITE => found.domain = normalise::registrable_domain(text),
            _ => {}
        }
    }
    if found.domain.is_none() {
        found.domain = found.email.as_deref().and_then(normalise::registrable_domain);
    }
    found.domain = found.domain.filter(|domain| !normalise::is_freemail(domain));
    found
}

fn put(
    first: &mut Option<String>,
    more: &mut Vec<(TagKind, String)>,
    kind: TagKind,
    value: String,
) {
    match first {
        None => *first = Some(value),
        Some(have) if *have == value => {}
        Some(_) => more.push((kind, value)),
    }
}

/// The tags of normalised values under the present index key. `dup_no` is 0 where duplicates are refused.
///
/// # Errors
/// What the keys say.
pub(crate) fn make(
    ring: &Keyring,
    dataset: DatasetNo,
    normalised: &Normalised,
    dup_no: u32,
) -> Result<LeadTags, KeyError> {
    let tag = |kind, value: &Option<String>| {
        value.as_ref().map(|v| ring.tag(dataset, kind, v.as_bytes()).map(|t| t.0)).transpose()
    };
    let mut more = Vec::with_capacity(normalised.more.len());
    for (kind, value) in &normalised.more {
        more.push((*kind, ring.tag(dataset, *kind, value.as_bytes())?.0));
    }
    Ok(LeadTags {
        email: tag(TagKind::EMAIL, &normalised.email)?,
        phone: tag(TagKind::PHONE, &normalised.phone)?,
        domain: tag(TagKind::DOMAIN, &normalised.domain)?,
        more,
        index_epoch: ring.index_epoch(dataset),
        dup_no,
    })
}
