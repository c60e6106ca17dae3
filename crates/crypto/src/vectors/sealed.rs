//! Sections of the LV1 container: `record` and `wrap`.

use super::section::Section;
use crate::header::{HEADER_BYTES, Header};
use crate::lv1::{BODY_AT, Parts, parts, seal_with_salt};
use crate::{Context, SecretKey, open, sha256};

/// Bytes of the blob that the member `blob_first_112` holds.
const HEAD_BYTES: usize = 112;
/// What key and commitment of a record depend on, and every byte of the ciphertext.
const ALL: &[&str] = &["leaf_key", "header", "tenant", "dataset", "record", "N"];
/// A changed text changes single bytes of the ciphertext, but all of the tag and of a hash.
const ALL_AND_TEXT: &[&str] =
    &["leaf_key", "header", "tenant", "dataset", "record", "N", "plaintext"];

/// `record`: every intermediate value of one sealed compartment.
pub(super) fn record(section: &mut Section<'_>) {
    let key = section.key("leaf_key");
    let header = header(section);
    let context = context(section);
    let salt = section.array("N");
    let plain = section.text("plaintext");
    let (Some(key), Some(header), Some(context), Some(salt), Some(plain)) =
        (key, header, context, salt, plain)
    else {
        return;
    };
    let Ok(blob) = seal_with_salt(&key, &header, &context, plain.as_bytes(), &salt) else {
        section.fail("header");
        return;
    };
    let Parts { info, aad, aes, commitment } = parts(&key, &header, &context, &salt);
    section.compare_at(
        "info",
        &info,
        &[
            (8, &[]),
            (32, &["header"]),
            (48, &["tenant"]),
            (64, &["dataset"]),
            (80, &["record"]),
            (104, &["N"]),
        ],
    );
    section.compare_at(
        "aad",
        &aad,
        &[(8, &[]), (32, &["header"]), (48, &["tenant"]), (64, &["dataset"]), (80, &["record"])],
    );
    section.compare("K", aes.as_slice(), ALL);
    section.compare("C", &commitment, ALL);
    if let Some(length) = section.member("blob_len") {
        let computed = u64::try_from(blob.len()).ok();
        section.piece("blob_len", length.as_u64() == computed, &[]);
    }
    section.compare("blob_sha256", &sha256(&[&blob]), ALL_AND_TEXT);
    let head = blob.get(..HEAD_BYTES).unwrap_or(&blob);
    section.compare_at("blob_first_112", head, blob_pieces(head.len()).as_slice());
    let tag_at = blob.len().saturating_sub(16);
    section.compare("tag", blob.get(tag_at..).unwrap_or_default(), ALL_AND_TEXT);
    let mut pieces = blob_pieces(tag_at);
    pieces.extend([(blob.len() - 8, ALL_AND_TEXT), (blob.len(), ALL_AND_TEXT)]);
    section.compare_at("blob", &blob, &pieces);
    opens(section, "blob", (&key, &header, &context), plain.as_bytes());
}

/// Pieces of a blob or of its head, `end` bytes long.
fn blob_pieces(end: usize) -> Vec<(usize, &'static [&'static str])> {
    vec![(HEADER_BYTES, &["header"]), (HEADER_BYTES + 24, &["N"]), (BODY_AT, ALL), (end, ALL)]
}

/// `wrap`: a sealed key. Its dataset and record are zeros unless stated.
pub(super) fn wrap(section: &mut Section<'_>) {
    let key = section.key("wrapping_key");
    let header = header(section);
    let salt = section.array("N");
    let payload = section.bytes("payload");
    let tenant = section.array("tenant");
    let zeros = Some([0; 16]);
    let dataset = if section.states("dataset") { section.array("dataset") } else { zeros };
    let record = if section.states("record") { section.array("record") } else { zeros };
    let (Some(key), Some(header), Some(salt), Some(payload)) = (key, header, salt, payload) else {
        return;
    };
    let (Some(tenant), Some(dataset), Some(record)) = (tenant, dataset, record) else { return };
    let context = Context { tenant, dataset, record };
    let Ok(blob) = seal_with_salt(&key, &header, &context, &payload, &salt) else {
        section.fail("header");
        return;
    };
    let all: &[&str] = &["wrapping_key", "header", "tenant", "dataset", "record", "N"];
    let text: &[&str] = &["wrapping_key", "header", "tenant", "dataset", "record", "N", "payload"];
    let tag_at = blob.len().saturating_sub(16);
    section.compare_at(
        "blob",
        &blob,
        &[
            (HEADER_BYTES, &["header"]),
            (HEADER_BYTES + 24, &["N"]),
            (BODY_AT, all),
            (tag_at, all),
            (blob.len() - 8, text),
            (blob.len(), text),
        ],
    );
    opens(section, "blob", (&key, &header, &context), &payload);
}

/// The file's own blob opens to the file's own plaintext.
fn opens(
    section: &mut Section<'_>,
    member: &str,
    (key, header, context): (&SecretKey, &Header, &Context),
    plain: &[u8],
) {
    let Some(blob) = section.member(member) else { return };
    let blob = blob.as_str().and_then(|text| hex::decode(text).ok()).unwrap_or_default();
    let opened = open(key, header, context, &blob);
    section.piece(member, opened.is_ok_and(|opened| opened.as_slice() == plain), &[]);
}

fn header(section: &mut Section<'_>) -> Option<Header> {
    let header = Header::parse(&section.array("header")?);
    if header.is_none() {
        section.unreadable("header");
    }
    header
}

fn context(section: &mut Section<'_>) -> Option<Context> {
    let (tenant, dataset) = (section.array("tenant"), section.array("dataset"));
    Some(Context { tenant: tenant?, dataset: dataset?, record: section.array("record")? })
}
