//! What is due by the clock and not by a request: the daily entries of each log, replays that are over, imports
//! that waited for an attestation in vain.
//!
//! A tenant whose log had an entry of anybody within 30 days gets a `heartbeat` once a day, so that silence
//! can be told from a log that was cut, and `stats` beside it: how many keys of leads left the keyring, and
//! how often the root unwrapped a key, since this node started or the last `stats`. Own entries are no
//! activity. A verifier may check that the leads named by the entries are at least as many as the keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{LogUpkeepRow, TenantScope, UpsertLogUpkeep};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::files;
use crate::idempotency;
use crate::import::quarantine;
use crate::operator;
use crate::room::Room;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_mins(10);
/// Once a day.
const EVERY_SECONDS: i64 = 24 * 3600;
/// A log without other entries for this long is let rest.
const QUIET_SECONDS: i64 = 30 * 24 * 3600;

/// Keeps up for as long as the cell lives.
pub(crate) async fn run(cell: Arc<Cell>) {
    loop {
        cell.keep_up().await;
        tokio::time::sleep(LOOK).await;
    }
}

impl Cell {
    /// Does what is due by the clock. A cell does it by itself every ten minutes.
    pub async fn keep_up(&self) {
        for room in self.rooms() {
            if Self::is_closed(&room) {
                continue;
            }
            if let Err(refusal) = keep_up_one(self, &room).await {
                tracing::error!(tenant = %room.id, fault = %refusal.fault, "upkeep failed");
            }
        }
        quarantine::sweep(self).await;
    }
}

async fn keep_up_one(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    if room.ring().is_ok() {
        idempotency::sweep(cell, room).await?;
        // A bucket that is away does not silence the log.
        if let Err(refusal) = files::sweep(cell, room).await {
            tracing::warn!(tenant = %room.id, fault = %refusal.fault, "files are swept later");
        }
    }
    let (scope, now) = (TenantScope(room.no), cell.clock().now());
    let size = cell.data().find_log_size(scope).await?;
    let Some(row) = cell.data().find_log_upkeep(scope).await? else {
        let first = UpsertLogUpkeep { said_at: now, active_at: now, from: 0 };
        cell.data().apply(scope, first).await?;
        return Ok(());
    };
    if now.seconds_since(row.said_at) < EVERY_SECONDS {
        return Ok(());
    }
    let active_at = if size > row.said_to { now } else { row.active_at };
    if now.seconds_since(active_at) > QUIET_SECONDS {
        return Ok(());
    }
    let upsert = UpsertLogUpkeep { said_at: now, active_at, from: size };
    say(cell, room, &row, size, upsert).await
}

/// Both entries; the row moves with the second one.
async fn say(
    cell: &Cell,
    room: &Room,
    row: &LogUpkeepRow,
    size: u64,
    upsert: UpsertLogUpkeep,
) -> Result<(), Refusal> {
    let on = ResourceType::Log;
    let heartbeat = operator::entry(cell, LogOperation::Heartbeat, on);
    cell.commit(room, heartbeat, None).await?;
    let released = room.released.swap(0, Ordering::AcqRel);
    let unwraps = cell.parts().root.unwraps(room.id);
    let told = room.unwraps_told.swap(unwraps, Ordering::AcqRel);
    let stats = operator::entry(cell, LogOperation::Stats, on)
        .own_number("from_index", row.said_to)
        .own_number("to_index", size)
        .own_number("leaf_keys_released", released)
        .own_number("unwraps", unwraps.saturating_sub(told));
    if let Err(refusal) = cell.commit_write(room, stats, None, None, upsert).await {
        // Nothing was said: the next ones count these in.
        room.released.fetch_add(released, Ordering::AcqRel);
        room.unwraps_told.store(told, Ordering::Release);
        return Err(refusal);
    }
    Ok(())
}
