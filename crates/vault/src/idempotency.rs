//! Idempotency keys (protocols.md 8, ADR 0009): a request under a key is done once, and answered again.
//!
//! ```text
//! begin   in flight → 409 · unknown or over → first · other request → 422 · lead gone → 410 · else again
//! beside  the record joins the transaction of the write it speaks of: a crash leaves both or neither
//! sweep   records that are over: leaves punctured, then rows deleted
//! ```
//! A record holds keyed hashes of key and request, the place of the entry, and what was made, sealed under a
//! system leaf of its own; never a body and never a secret. Every use case behind POST or PATCH that
//! changes something begins here and renders a repeated answer from what was made; one that changes
//! nothing (a search) makes no record and runs again. While the tenant's keys are away nothing is recorded.

mod made;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use leadvault_crypto::{Kind, hmac_sha256};
use leadvault_domain::TenantNo;
use leadvault_keys::TenantKeys;
use leadvault_ledger::tree::leaf_hash;
use leadvault_ledger::{OPERATOR_LOG, reissue_receipt};
use leadvault_store::{DeleteReplays, InsertReplay, ReplayRow, TenantScope, Write};

pub(crate) use self::made::Made;
use crate::call::{Act, Call, Stamp};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::publisher;
use crate::room::Room;
use crate::system;

/// How long a key is remembered (api.md).
const LIFE_SECONDS: i64 = 24 * 3600;

/// The keys that are being worked on by this node.
#[derive(Debug, Default, Clone)]
pub(crate) struct InFlight(Arc<Mutex<Keys>>);

/// HMACs of keys, by their tenants.
type Keys = HashSet<(TenantNo, [u8; 32])>;

impl InFlight {
    /// Takes a key; `None` while somebody has it.
    fn hold(&self, of: TenantNo, key: [u8; 32]) -> Option<Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((of, key)).then(|| Held { all: self.clone(), of, key })
    }
}

/// A key that is being worked on, until this is dropped.
#[derive(Debug)]
struct Held {
    all: InFlight,
    of: TenantNo,
    key: [u8; 32],
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&(self.of, self.key));
    }
}

/// The right to work on a request; keep it until the answer is known.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    again: Option<(Made, Option<Stamp>)>,
    _held: Option<Held>,
}

impl Turn {
    /// What the same request came to before, and where its entry stands; `None` the first time.
    pub(crate) fn again(&self) -> Option<(Made, Option<Stamp>)> {
        self.again.clone()
    }
}

/// The record was made by another use case: its route is part of the key, so this is a fault of ours.
pub(crate) fn other() -> Refusal {
    Fault::Internal("replay_of_another_route").into()
}

/// What a request is recognised by; of no use to whoever has neither the key nor the request.
#[derive(Clone, Copy)]
struct Hashes {
    key: [u8; 32],
    body: [u8; 32],
}

/// Of the operator's request: under the hash of its key, for the tenant it makes has no key yet.
fn hashes_of_act(cell: &Cell, act: &Act) -> Option<Hashes> {
    let key = act.idempotency_key.as_ref()?;
    let own = &cell.parts().operator_key_hash;
    let scope: [&[u8]; 2] = [act.route.as_bytes(), key.expose().as_bytes()];
    Some(Hashes {
        key: hmac_sha256(own, &[b"LV1-IDK\0", &scope.map(framed).concat()]),
        body: hmac_sha256(own, &[b"LV1-IDB\0", &act.fingerprint]),
    })
}

/// `None` without a key in the request, or while the tenant's keys are away.
fn hashes(call: &Call, room: &Room) -> Option<Hashes> {
    let key = call.idempotency_key.as_ref()?;
    let own = room.ring().ok()?.system(room.control().own_leaf).ok()?;
    let caller = &call.caller;
    // Two keys of one person share their retries, unless they may do different things.
    let scope: [&[u8]; 4] = [
        call.route.as_bytes(),
        &caller.principal.bytes(),
        caller.role.as_str().as_bytes(),
        key.expose().as_bytes(),
    ];
    Some(Hashes {
        key: own.hmac("LV1-IDK", &[&scope.map(framed).concat()]),
        body: own.hmac("LV1-IDB", &[&call.fingerprint]),
    })
}

/// A part behind its length, so that no two lists of parts are one text.
fn framed(part: &[u8]) -> Vec<u8> {
    let length = u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&length, part].concat()
}

/// The record's own context: the head of its key.
fn record_id(key: &[u8; 32]) -> [u8; 16] {
    let mut id = [0; 16];
    id.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    id
}

/// Takes a request up.
///
/// # Errors
/// [`Fault::InProgress`] while the same key is worked on; [`Fault::IdempotencyMismatch`] for another
/// request under it; [`Fault::Erased`] where the lead it made or changed is gone.
pub(crate) async fn begin(cell: &Cell, call: &Call, room: &Room) -> Result<Turn, Refusal> {
    // Without the tenant's keys nothing was recorded and nothing is: the call is decided, and refused.
    if room.keys.is_none() {
        return Ok(Turn::default());
    }
    let Some(hashes) = hashes(call, room) else { return Ok(Turn::default()) };
    let held = cell.in_flight().hold(room.no, hashes.key).ok_or(Fault::InProgress)?;
    let again = find(cell, room, hashes).await?;
    Ok(Turn { again, _held: Some(held) })
}

/// Takes a request of the operator up. Its record lies with the tenant it made or changed, one of `rooms`.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn begin_act(
    cell: &Cell,
    act: &Act,
    rooms: &[Arc<Room>],
) -> Result<Turn, Refusal> {
    let Some(hashes) = hashes_of_act(cell, act) else { return Ok(Turn::default()) };
    let held = cell.in_flight().hold(OPERATOR_LOG, hashes.key).ok_or(Fault::InProgress)?;
    let mut again = None;
    for room in rooms {
        again = find(cell, room, hashes).await?;
        if again.is_some() {
            break;
        }
    }
    Ok(Turn { again, _held: Some(held) })
}

async fn find(
    cell: &Cell,
    room: &Room,
    hashes: Hashes,
) -> Result<Option<(Made, Option<Stamp>)>, Refusal> {
    let now = cell.clock().now();
    match cell.data().find_replay(TenantScope(room.no), hashes.key).await? {
        None => Ok(None),
        Some(row) if row.expires_at <= now => {
            sweep(cell, room).await?;
            Ok(None)
        }
        Some(row) if row.body != hashes.body => Err(Fault::IdempotencyMismatch.into()),
        Some(row) => again(cell, room, &row).await.map(Some),
    }
}

async fn again(
    cell: &Cell,
    room: &Room,
    row: &ReplayRow,
) -> Result<(Made, Option<Stamp>), Refusal> {
    let sealed = row.answer.as_ref().ok_or(Fault::Internal("replay"))?;
    let plain = system::open(room, Kind::Small, record_id(&row.key), sealed)?;
    let made: Made = serde_json::from_slice(&plain).map_err(|_| Fault::Internal("replay"))?;
    if let Some(id) = made.lead()
        && cell.data().find_lead(TenantScope(room.no), id).await?.is_none()
    {
        return Err(Fault::Erased.into());
    }
    if let Made::File { id } = made
        && cell.data().find_file(TenantScope(room.no), id).await?.is_none()
    {
        return Err(Fault::Erased.into());
    }
    let stamp = match row.index {
        Some(index) => Some(stamp_again(cell, room, index).await?),
        None => None,
    };
    Ok((made, stamp))
}

/// Where an entry of before stands, with a receipt signed now.
async fn stamp_again(cell: &Cell, room: &Room, index: u64) -> Result<Stamp, Refusal> {
    let entries = publisher::entries(cell, TenantScope(room.no), index, index + 1).await?;
    let leaf = leaf_hash(entries.first().ok_or(Fault::Internal("replay"))?);
    let keys = &cell.parts().log_keys;
    let receipt = reissue_receipt(keys, room.no, index, leaf, cell.clock().now());
    let receipt = receipt.ok_or(Fault::Internal("replay"))?.to_string();
    Ok(Stamp { index, leaf, receipt })
}

/// A write together with the record of its request; the write alone where the request names no key.
///
/// # Errors
/// What the keys say.
pub(crate) async fn beside(
    cell: &Cell,
    call: &Call,
    room: &Room,
    write: impl Into<Write>,
    made: Made,
) -> Result<Write, Refusal> {
    let write = write.into();
    let Some(record) = record(cell, call, room, made).await? else { return Ok(write) };
    // First, so that a key that was used has changed nothing yet.
    let mut parts = vec![record];
    match write {
        Write::Several(others) => parts.extend(others),
        one => parts.push(one),
    }
    Ok(parts.into())
}

/// The record of a request, where it names a key.
///
/// # Errors
/// What the keys say.
pub(crate) async fn record(
    cell: &Cell,
    call: &Call,
    room: &Room,
    made: Made,
) -> Result<Option<Write>, Refusal> {
    match hashes(call, room) {
        Some(hashes) => record_of(cell, room.keys()?, hashes, made).await.map(Some),
        None => Ok(None),
    }
}

/// As [`record`], of the operator's request, under the keys of the tenant it makes or changes.
///
/// # Errors
/// What the keys say.
pub(crate) async fn record_act(
    cell: &Cell,
    act: &Act,
    keys: &TenantKeys,
    made: Made,
) -> Result<Option<Write>, Refusal> {
    match hashes_of_act(cell, act) {
        Some(hashes) => record_of(cell, keys, hashes, made).await.map(Some),
        None => Ok(None),
    }
}

async fn record_of(
    cell: &Cell,
    keys: &TenantKeys,
    hashes: Hashes,
    made: Made,
) -> Result<Write, Refusal> {
    let plain = serde_json::to_vec(&made).map_err(|_| Fault::Internal("replay"))?;
    let answer = system::seal_new(cell, keys, record_id(&hashes.key), &plain).await?;
    let now = cell.clock().now();
    let row = ReplayRow {
        key: hashes.key,
        body: hashes.body,
        status: made.status(),
        created_at: now,
        expires_at: now.plus_seconds(LIFE_SECONDS),
        index: None,
        answer: Some(answer),
    };
    Ok(InsertReplay { row }.into())
}

/// Erases the records of a tenant that are over.
///
/// # Errors
/// What keys and store say; whatever is left goes with the next sweep.
pub(crate) async fn sweep(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let (scope, now) = (TenantScope(room.no), cell.clock().now());
    let leaves = cell.data().list_replay_leaves(scope, now).await?;
    if leaves.is_empty() {
        return Ok(());
    }
    system::erase(room, &leaves).await?;
    cell.data().apply(scope, DeleteReplays { now }).await?;
    Ok(())
}
