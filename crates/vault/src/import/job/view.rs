//! An import as its tenant sees it: state, progress, what was detected, the mapping, the refused rows.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use leadvault_domain::{Category, DatasetId, FieldNo, ImportId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{FailureRow, ImportRow, ImportRows, ImportState, TenantScope};
use serde_json::Value as Json;

use super::super::{Format, Plan};
use super::gauge;
use super::origin::plan_of_row;
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::leads::opened::category_of;
use crate::room::{DatasetControl, Room};

/// A column as the import took it.
#[derive(Debug, Clone)]
pub struct ColumnView {
    /// Its index, from 0.
    pub index: usize,
    /// The header's text, for callers that may read the dataset.
    pub column: Option<String>,
    /// The field it went to.
    pub field: Option<String>,
    /// Its category, as the tenant classified it.
    pub category: Category,
    /// `dictionary`, `caller`, `none`.
    pub by: &'static str,
}

/// An import.
#[derive(Debug)]
pub struct ImportView {
    /// Its id.
    pub id: ImportId,
    /// The dataset its leads go to; nothing once that is shredded.
    pub dataset: Option<DatasetId>,
    /// Its state.
    pub state: &'static str,
    /// Where the client goes on.
    pub next_byte: u64,
    /// What became of the rows.
    pub rows: ImportRows,
    /// Rows a second, while it is uploaded.
    pub rate_per_second: Option<f64>,
    /// Seconds to go, while it is uploaded and the client said how long the file is.
    pub remaining_seconds: Option<f64>,
    /// What was detected: encoding, delimiter, quote, header.
    pub detected: Option<Json>,
    /// The mapping.
    pub mapping: Vec<ColumnView>,
}

impl ImportView {
    /// An import nothing of which has come yet.
    pub(super) fn just_opened(id: ImportId, dataset: DatasetId) -> Self {
        Self {
            id,
            dataset: Some(dataset),
            state: ImportState::Open.as_str(),
            next_byte: 0,
            rows: ImportRows::default(),
            rate_per_second: None,
            remaining_seconds: None,
            detected: None,
            mapping: Vec::new(),
        }
    }
}

/// An import of the tenant.
///
/// # Errors
/// [`Fault::NotFound`].
pub async fn find(cell: &Cell, call: &Call, id: ImportId) -> Outcome<ImportView> {
    let room = cell.room_of(call.caller.tenant)?;
    cell.require_live_key(&room, call)?;
    let row = visible(cell, call, &room, id).await?;
    Ok(Answer::plain(view(cell, &room, call, &row)?))
}

/// Pages of the rows that were refused, in the order of the file. There is no end to how many there may be.
pub type Failures = BoxStream<'static, Result<Vec<FailureRow>, Fault>>;

/// Failures of an import: row, column, code; never a value.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::RoleInsufficient`].
pub async fn failures(cell: &Arc<Cell>, call: &Call, id: ImportId) -> Outcome<Failures> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor, Role::Auditor];
    let (operation, on) = (LogOperation::Data(Operation::Display), ResourceType::Import);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let import = visible(cell, call, &room, id).await?;
    let (cell, scope) = (Arc::clone(cell), TenantScope(room.no));
    let pages = futures::stream::try_unfold(None, move |last: Option<FailureRow>| {
        let cell = Arc::clone(&cell);
        async move {
            let page = cell.data().list_import_failures(scope, import.no, last.as_ref()).await?;
            let last = page.last().cloned();
            Ok::<_, Fault>(last.map(|last| (page, Some(last))))
        }
    });
    Ok(Answer::plain(pages.boxed()))
}

/// The row of an import that the caller may know of.
async fn visible(
    cell: &Cell,
    call: &Call,
    room: &Room,
    id: ImportId,
) -> Result<ImportRow, Refusal> {
    let row = row_of(cell, room, id).await?;
    if datasets::may_see(room, call, row.dataset) { Ok(row) } else { Err(Fault::NotFound.into()) }
}

/// The row of an import.
///
/// # Errors
/// [`Fault::NotFound`].
pub(super) async fn row_of(cell: &Cell, room: &Room, id: ImportId) -> Result<ImportRow, Refusal> {
    let row = cell.data().find_import(TenantScope(room.no), id).await?;
    Ok(row.ok_or(Fault::NotFound)?)
}

/// Shapes an import for a caller.
///
/// # Errors
/// What the keys say.
pub(super) fn view(
    cell: &Cell,
    room: &Room,
    call: &Call,
    row: &ImportRow,
) -> Result<ImportView, Refusal> {
    let plan = plan_of_row(room, row)?;
    let dataset = room.control().dataset_by_no(row.dataset);
    let pace = gauge::pace(room.gauges(), row, cell.clock().now());
    let shown = dataset.as_deref().filter(|dataset| may_read(call, dataset));
    Ok(ImportView {
        id: row.id,
        dataset: dataset.as_deref().map(|dataset| dataset.id),
        state: row.state.as_str(),
        next_byte: row.next_byte,
        rows: row.rows,
        rate_per_second: pace.rows_per_second,
        remaining_seconds: pace.remaining_seconds,
        detected: plan.as_ref().map(detected),
        mapping: plan
            .map(|plan| columns_of(&plan, dataset.as_deref(), shown.is_some()))
            .unwrap_or_default(),
    })
}

/// Headers of unknown columns may be anything: an auditor and a key of other datasets see numbers only.
fn may_read(call: &Call, dataset: &DatasetControl) -> bool {
    let role = matches!(call.caller.role, Role::Controller | Role::Editor | Role::Reader);
    let sees = call.caller.datasets.as_ref().is_none_or(|seen| seen.contains(&dataset.id));
    role && sees
}

/// What was detected of a file.
fn detected(plan: &Plan) -> Json {
    let csv = plan.format == Format::Csv;
    serde_json::json!({
        "encoding": plan.charset.name(),
        "delimiter": csv.then(|| char::from(plan.dialect.delimiter).to_string()),
        "quote": csv.then(|| char::from(plan.dialect.quote).to_string()),
        "header": plan.header,
    })
}

fn columns_of(plan: &Plan, dataset: Option<&DatasetControl>, headers: bool) -> Vec<ColumnView> {
    plan.columns
        .iter()
        .enumerate()
        .map(|(index, column)| ColumnView {
            index,
            column: headers.then(|| column.header.expose().clone()),
            field: column.mapped().map(FieldNo::name),
            category: dataset.map_or_else(|| column.category(), |d| category_of(d, column.field)),
            by: column.by.as_str(),
        })
        .collect()
}
