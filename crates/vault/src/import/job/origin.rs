//! Where a lead came from: its import, the plan that import was read under, the cells of its row.

use std::collections::HashMap;

use leadvault_crypto::Kind;
use leadvault_domain::{Fields, ImportId, Personal};
use leadvault_store::{ImportRow, TenantScope};

use super::super::{Plan, cells_of_fields, rebuild_cells};
use super::request::Meta;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::system;

/// Imports by their numbers, as rooms remember them.
pub(crate) type KnownImports = HashMap<u32, ImportId>;

/// The plan an import was read under; `None` before its header was seen.
pub(super) fn plan_of_row(room: &Room, row: &ImportRow) -> Result<Option<Plan>, Refusal> {
    let Some(sealed) = &row.meta else { return Ok(None) };
    let plain = system::open(room, Kind::Small, row.id.bytes(), sealed)?;
    Ok(Meta::from_bytes(&plain)?.plan()?)
}

/// The plan of an import by its number.
///
/// # Errors
/// What store and keys say.
pub(crate) async fn plan_of(cell: &Cell, room: &Room, no: u32) -> Result<Option<Plan>, Refusal> {
    let row = cell.data().find_import_by_no(TenantScope(room.no), no).await?;
    Ok(row.map(|row| plan_of_row(room, &row)).transpose()?.flatten())
}

/// The import a lead came with.
///
/// # Errors
/// What the store says.
pub(crate) async fn id_of(
    cell: &Cell,
    room: &Room,
    batch: Option<u32>,
) -> Result<Option<ImportId>, Refusal> {
    let Some(batch) = batch else { return Ok(None) };
    if let Some(id) = room.known_import(batch) {
        return Ok(Some(id));
    }
    let row = cell.data().find_import_by_no(TenantScope(room.no), batch).await?;
    if let Some(row) = &row {
        room.remember_import(batch, row.id);
    }
    Ok(row.map(|row| row.id))
}

/// The cells of a lead as they came: header by header of its row, or member by member of the body it was
/// made with.
///
/// # Errors
/// What store and keys say.
pub(crate) async fn cells_of(
    cell: &Cell,
    room: &Room,
    batch: Option<u32>,
    fields: &Fields,
) -> Result<Option<Vec<(String, String)>>, Refusal> {
    let plan = match batch {
        Some(batch) => plan_of(cell, room, batch).await?,
        None => None,
    };
    let cells = match plan {
        Some(plan) => rebuild_cells(&plan, fields),
        None => cells_of_fields(fields),
    };
    let text = |p: &Personal| p.expose().clone();
    Ok(Some(cells.iter().map(|(h, c)| (text(h), text(c))).collect()))
}
