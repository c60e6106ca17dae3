//! A page of leads, masked. One entry a page; its rows are named by reference.

use std::sync::Arc;

use leadvault_domain::{DatasetId, DatasetNo, LeafAddress, Operation, Role};
use leadvault_ledger::{CommittedReceipt, LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{LeadRow, TenantScope};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::cursor;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::gate::{Permit, hidden};
use crate::leads::opened::{category_of, dataset_of, locate, open_parts, opener};
use crate::leads::reveal::view_of;
use crate::leads::view::{LeadPage, LeadView, Shown, shape};
use crate::room::Room;

/// Most leads of a page; more is a 400 `limit_too_large`.
pub const LIMIT_MAX: u32 = 200;

/// Lists leads of one dataset or of all.
///
/// # Errors
/// [`Fault::LimitTooLarge`]; denials as decided.
pub async fn list(
    cell: &Cell,
    call: &Call,
    dataset: Option<DatasetId>,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<LeadPage> {
    check_limit(limit)?;
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    let (operation, on) = (LogOperation::Data(Operation::Display), ResourceType::Query);
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || list_once(cell, call, &room, dataset, limit, cursor)).await
}

/// # Errors
/// [`Fault::LimitTooLarge`] above [`LIMIT_MAX`], [`Fault::BadRequest`] for none.
pub(crate) fn check_limit(limit: u32) -> Result<(), Fault> {
    match limit {
        0 => Err(Fault::bad("#/limit", "limit_too_small")),
        1..=LIMIT_MAX => Ok(()),
        _ => Err(Fault::LimitTooLarge),
    }
}

async fn list_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    dataset: Option<DatasetId>,
    limit: u32,
    at: Option<&str>,
) -> Outcome<LeadPage> {
    let on = ResourceType::Query;
    let known = match dataset.map(|id| datasets::visible(room, call, id)).transpose() {
        Ok(known) => known,
        Err(_) => return Err(cell.not_found(room, call, Operation::Display, on).await),
    };
    let scope = TenantScope(room.no);
    let query: [&[u8]; 2] = [b"list", &dataset.map_or([0; 16], DatasetId::bytes)];
    let read = |text| cursor::read(cell, room, text, cursor::IN_QUERY, &query);
    let after = at.map(read).transpose()?;
    let homes = homes_of(room, call, known.as_ref().map(|d| d.no));
    let rows = rows_of(cell, scope, homes.as_deref(), after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    let page: Vec<_> = rows.into_iter().take(limit as usize).collect();
    let last = page.last().map(|row| row.at);
    let seen: Vec<_> = page.into_iter().filter(|row| !hidden(row.labels)).collect();
    let mut ask = Ask::new(operations_of(Kind::List));
    ask.dataset = dataset;
    ask.within_key = true;
    ask.masked = true;
    ask.records = seen.len() as u64;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let (views, receipt) = open_page(cell, call, room, &permit, seen, dataset).await?;
    let next_cursor = match last.filter(|_| more) {
        Some(last) => Some(cursor::write(cell, room, last, cursor::PAGE_SECONDS, &query)?),
        None => None,
    };
    Ok(Answer::stamped(LeadPage { data: views, next_cursor }, &receipt))
}

/// The datasets a list goes through, ascending; `None` = all of the tenant.
fn homes_of(room: &Room, call: &Call, named: Option<DatasetNo>) -> Option<Vec<DatasetNo>> {
    if let Some(no) = named {
        return Some(vec![no]);
    }
    let control = room.control();
    let own = call.caller.datasets.as_ref()?;
    let mut homes: Vec<_> =
        own.iter().filter_map(|id| Some(control.dataset(*id).ok()?.no)).collect();
    homes.sort_unstable();
    homes.dedup();
    Some(homes)
}

/// Rows behind `after` in the order of pages. What lies in other datasets is not read, so that it shows in no
/// page's length either.
async fn rows_of(
    cell: &Cell,
    scope: TenantScope,
    homes: Option<&[DatasetNo]>,
    after: Option<LeafAddress>,
    limit: u32,
) -> Result<Vec<LeadRow>, Refusal> {
    let Some(homes) = homes else {
        return Ok(cell.data().list_leads(scope, None, after, limit).await?);
    };
    let mut rows = Vec::new();
    for home in homes {
        let missing = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        if missing == 0 || after.is_some_and(|at| at.dataset > *home) {
            continue;
        }
        let behind = after.filter(|at| at.dataset == *home);
        rows.extend(cell.data().list_leads(scope, Some(*home), behind, missing).await?);
    }
    Ok(rows)
}

/// Locates all rows of a page, commits one entry that names them, opens them masked.
async fn open_page(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    rows: Vec<LeadRow>,
    dataset: Option<DatasetId>,
) -> Result<(Vec<LeadView>, CommittedReceipt), Refusal> {
    let ring = room.ring()?;
    let mut located = Vec::with_capacity(rows.len());
    for row in rows {
        let Ok(home) = dataset_of(room, call.caller.datasets.as_ref(), &row) else { continue };
        if permit.rows.denial(&policy_row(&row, home.id)).is_some() {
            continue;
        }
        match locate(&ring, &row) {
            Ok(leaf) => located.push((row, home, leaf)),
            Err(Fault::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let mut entry = permit.entry(call, ResourceType::Query).n(located.len() as u64);
    if let Some(dataset) = dataset {
        entry = entry.dataset(dataset);
    }
    if !located.is_empty() {
        entry = entry.refs(located.iter().map(|(_, _, leaf)| leaf.reference()));
    }
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let mut views = Vec::with_capacity(located.len());
    for (row, home, leaf) in located {
        let opened = match opener(cell, room, leaf, &row, &receipt).await {
            Ok(opened) => opened,
            Err(Fault::NotFound) => continue,
            Err(other) => return Err(other.into()),
        };
        let values = open_parts(&opened, &row, |_| true)?;
        let covered = |f| permit.fields.covers(f, category_of(&home, f));
        let (shaped, tags, notes) = shape(&values, Shown::new(None, permit.masking), covered);
        let import = crate::import::job::id_of(cell, room, row.batch).await?;
        let view = view_of(&row, &home, import, true, shaped);
        views.push(LeadView { tags, notes, ..view });
    }
    Ok((views, receipt))
}

/// What the rows of a set are tested against.
pub(crate) fn policy_row(row: &LeadRow, dataset: DatasetId) -> leadvault_policy::Row {
    leadvault_policy::Row { dataset, labels: row.labels, lead: Some(row.id), batch: None }
}
