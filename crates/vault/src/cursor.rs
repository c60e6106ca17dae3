//! Cursors: where a page ends, sealed, so that they neither leak nor cross tenants, queries or days.
//!
//! Payload: `u32 dataset ‖ u32 tree ‖ u32 leaf ‖ u64 expiry (ms) ‖ query[8]`, sealed under the tenant's own
//! leaf and written in base64url. `query` is the beginning of a keyed hash of what was asked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leadvault_crypto::Kind;
use leadvault_domain::{DatasetNo, LeafAddress, Timestamp};

use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// Record id of every cursor: they lie nowhere.
const RECORD: [u8; 16] = *b"cursor\0\0\0\0\0\0\0\0\0\0";
const SCHEMA: u16 = 2;
const REVISION: u32 = 1;
/// How long the cursor of a page is good for.
pub(crate) const PAGE_SECONDS: i64 = 24 * 3600;
/// How long a place in the change feed is good for: a client may sleep for a year.
pub(crate) const FEED_SECONDS: i64 = 400 * 24 * 3600;
/// Longest text that can be a cursor of ours.
const TEXT_BYTES_MAX: usize = 1024;

/// Writes a cursor that goes on behind `after` in the same query.
///
/// # Errors
/// What the keys say.
pub(crate) fn write(
    cell: &Cell,
    room: &Room,
    after: LeafAddress,
    life_seconds: i64,
    query: &[&[u8]],
) -> Result<String, Refusal> {
    let own = room.ring()?.system(room.control().own_leaf)?;
    let expiry = cell.clock().now().plus_seconds(life_seconds).millis();
    let mut plain = Vec::with_capacity(28);
    plain.extend_from_slice(&after.dataset.0.to_be_bytes());
    plain.extend_from_slice(&after.tree.to_be_bytes());
    plain.extend_from_slice(&after.leaf.to_be_bytes());
    plain.extend_from_slice(&expiry.to_be_bytes());
    plain.extend_from_slice(own.hmac("LV1-CUR", query).get(..8).unwrap_or_default());
    let blob = own.seal(Kind::Small, RECORD, SCHEMA, REVISION, &plain, cell.entropy())?;
    Ok(URL_SAFE_NO_PAD.encode(blob))
}

/// Where the cursor of a search stands.
pub(crate) const IN_BODY: &str = "#/cursor";
/// Where the cursor of a list stands.
pub(crate) const IN_QUERY: &str = "query:cursor";

/// Reads a cursor; `place` says where it stands.
///
/// # Errors
/// [`Fault::BadRequest`] for a foreign or expired one, or one of another query.
pub(crate) fn read(
    cell: &Cell,
    room: &Room,
    text: &str,
    place: &'static str,
    query: &[&[u8]],
) -> Result<LeafAddress, Refusal> {
    let bad = || Fault::bad(place, "cursor_invalid");
    let own = room.ring()?.system(room.control().own_leaf)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad().into());
    }
    let blob = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let plain = own.open(Kind::Small, RECORD, SCHEMA, REVISION, &blob).map_err(|_| bad())?;
    let number = |at: usize| {
        let bytes = plain.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or_else(bad)
    };
    let expiry = plain.get(12..20).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    let now: Timestamp = cell.clock().now();
    let same = plain.get(20..) == own.hmac("LV1-CUR", query).get(..8);
    if !same || expiry.is_none_or(|e| e < now.millis()) {
        return Err(bad().into());
    }
    Ok(LeafAddress { dataset: DatasetNo(number(0)?), tree: number(4)?, leaf: number(8)? })
}
