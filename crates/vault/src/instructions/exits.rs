//! The permits of the tenant's own exits: stored before they are used, read again for the register that the
//! tenant sees, never changed. They stand apart from the versions that decisions are made on: each is one
//! call's alone, and there is one for every erasure.

use leadvault_crypto::Kind;
use leadvault_domain::{Instruction, InstructionId, KeyState};
use leadvault_ledger::{Generations, LogOperation, ResourceType};
use leadvault_store::{ExitPermitRow, InsertExitPermit, TenantScope};

use super::{commit, hash_bytes, text};
use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;
use crate::system;

/// Permits read at a time.
const PAGE_ROWS: u32 = 200;

/// Some permits, the newest first.
pub(crate) struct Page {
    /// Those that can be read.
    pub(crate) permits: Vec<Instruction>,
    /// Where the next page begins; nothing after the last.
    pub(crate) next: Option<InstructionId>,
}

/// Stores a permit under the state it was decided in.
///
/// # Errors
/// [`Fault::Stale`] where that moved; what keys, store and journal say.
pub(crate) async fn store(
    cell: &Cell,
    room: &Room,
    call: &Call,
    permit: &Instruction,
    decided: Generations,
) -> Result<(), Refusal> {
    let away = Cell::key_state(room, &room.control()) != KeyState::Active;
    // Erasing needs no key, and so its own permit needs none: its text is in the entry's hash alone then.
    let body = if away {
        None
    } else {
        let (record, plain) = (permit.id.bytes(), text::write(permit, None)?);
        Some(system::seal_new_as(cell, room.keys()?, Kind::Instruction, record, &plain).await?)
    };
    let row = ExitPermitRow {
        id: permit.id,
        hash: hash_bytes(&permit.hash)?,
        created_at: permit.created_at.unwrap_or_else(|| cell.clock().now()),
        body,
    };
    let entry =
        cell.administrative(call, LogOperation::InstructionActivate, ResourceType::Instruction);
    let write = InsertExitPermit { row }.into();
    commit(cell, room, permit, entry, Some(decided), write).await.map(|_| ())
}

/// A permit by its id; nothing where there is none that can be read.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn find(
    cell: &Cell,
    room: &Room,
    id: InstructionId,
) -> Result<Option<Instruction>, Refusal> {
    let row = cell.data().find_exit_permit(TenantScope(room.no), id).await?;
    row.map_or(Ok(None), |row| open(room, &row))
}

/// A page of permits.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn page(
    cell: &Cell,
    room: &Room,
    before: Option<InstructionId>,
) -> Result<Page, Refusal> {
    let rows = cell.data().list_exit_permits(TenantScope(room.no), before, PAGE_ROWS).await?;
    let full = u32::try_from(rows.len()) == Ok(PAGE_ROWS);
    let next = rows.last().map(|row| row.id).filter(|_| full);
    let mut permits = Vec::new();
    for row in &rows {
        permits.extend(open(room, row)?);
    }
    Ok(Page { permits, next })
}

/// The instruction of a row; nothing where its text was issued without a key, or the key is away or gone.
fn open(room: &Room, row: &ExitPermitRow) -> Result<Option<Instruction>, Refusal> {
    let (Some(body), Ok(_)) = (&row.body, room.ring()) else { return Ok(None) };
    match system::open(room, Kind::Instruction, row.id.bytes(), body) {
        Ok(plain) => Ok(Some(text::read(&plain)?.0)),
        // Sealed again since an old database was copied: what this row said is forgotten.
        Err(Fault::NotFound) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
