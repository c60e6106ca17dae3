//! Replay records (protocols.md 8): a keyed hash of the key and of the request, never a body. A replay is
//! rendered again; a lead erased since is a 410.

use leadvault_store::{InsertReplay, ReplayRow, TenantScope, Write};

use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// How long a key is remembered.
const LIFE_SECONDS: i64 = 24 * 3600;

struct Hashes {
    key: [u8; 32],
    body: [u8; 32],
}

fn hashes(call: &Call, room: &Room, key: &str) -> Option<Hashes> {
    let own = room.ring().ok()?.system(room.control().own_leaf).ok()?;
    let scope: [&[u8]; 3] = [call.route.as_bytes(), &call.caller.principal.bytes(), key.as_bytes()];
    Some(Hashes {
        key: own.hmac("LV1-IDK", &scope),
        body: own.hmac("LV1-IDB", &[&call.fingerprint]),
    })
}

/// Whether this very request was done before under the same key.
///
/// # Errors
/// [`Fault::IdempotencyMismatch`] for another request under the same key.
pub(crate) async fn seen(
    cell: &Cell,
    call: &Call,
    room: &Room,
    key: &str,
) -> Result<bool, Refusal> {
    let Some(hashes) = hashes(call, room, key) else { return Ok(false) };
    let row = cell.data().find_replay(TenantScope(room.no), hashes.key).await?;
    let now = cell.clock().now();
    match row.filter(|row| row.expires_at > now) {
        None => Ok(false),
        Some(row) if row.body == hashes.body => Ok(true),
        Some(_) => Err(Fault::IdempotencyMismatch.into()),
    }
}

/// The record of a request, to go into its own commit; none where the call names no key.
pub(crate) fn record(cell: &Cell, call: &Call, room: &Room, status: u16) -> Option<Write> {
    let key = call.idempotency_key.as_ref()?;
    let hashes = hashes(call, room, key.expose())?;
    let now = cell.clock().now();
    let row = ReplayRow {
        key: hashes.key,
        body: hashes.body,
        status,
        created_at: now,
        expires_at: now.plus_seconds(LIFE_SECONDS),
        answer: None,
    };
    Some(InsertReplay { row }.into())
}
