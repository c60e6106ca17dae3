//! Datasets: lists of leads under one index key and one tree of leaf keys.

use std::collections::HashMap;
use std::sync::Arc;

use leadvault_domain::{
    Category, DatasetId, DatasetNo, FieldNo, Operation, Regime, Role, Timestamp,
};
use leadvault_keys::Change;
use leadvault_ledger::{LogOperation, Op, ResourceType};
use leadvault_policy::{Ask, Call as Kind, StateOperation, operations_of};
use leadvault_store::{
    BumpState, DatasetRow, DatasetState, InsertDataset, Sealed, TenantScope, UpdateDataset, Write,
};
use serde::Deserialize;

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::control::DatasetMeta;
use crate::error::{Fault, Pointed, Refusal, TOO_MANY};
use crate::idempotency::{self, Made};
use crate::room::{DatasetControl, Room};
use crate::system;
use crate::tenants::NAME_CHARS_MAX;

/// The tree a dataset begins with.
const FIRST_TREE: u32 = 1;

/// Datasets a tenant may have at once (protocols.md 1.1): its directory of keys names each of them.
const DATASETS_MAX: usize = 1_000;

/// A dataset to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDataset {
    /// Its name; sealed at rest.
    pub name: String,
    /// Region for phone numbers that bring no country (ISO 3166-1 alpha-2).
    #[serde(default)]
    pub default_region: Option<leadvault_domain::Country>,
    /// Origin regimes of leads that bring none.
    #[serde(default)]
    pub origin: Vec<Regime>,
}

/// A dataset.
#[derive(Debug, Clone)]
pub struct DatasetView {
    /// Its id.
    pub id: DatasetId,
    /// Its name.
    pub name: String,
    /// Region for phone numbers that bring no country.
    pub default_region: Option<String>,
    /// Origin regimes of leads that bring none.
    pub origin: Vec<Regime>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Columns the tenant classified, in their order.
    pub columns: Vec<ClassifiedColumn>,
}

/// An unmapped column that the tenant classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassifiedColumn {
    /// Its index in the file, from 0.
    pub column: u16,
    /// Its category, which decides what may be done with it.
    pub category: Category,
    /// The field whose values it holds, where the tenant says so.
    pub field: Option<FieldNo>,
}

impl From<&DatasetControl> for DatasetView {
    fn from(control: &DatasetControl) -> Self {
        let mut columns: Vec<_> = control
            .columns
            .iter()
            .map(|(unmapped, category)| ClassifiedColumn {
                column: unmapped.0.saturating_sub(FieldNo::FIRST_UNMAPPED),
                category: *category,
                field: control.meanings.get(unmapped).copied(),
            })
            .collect();
        columns.sort_by_key(|column| column.column);
        Self {
            id: control.id,
            name: control.name.clone(),
            default_region: control.default_region.clone(),
            origin: control.origin.clone(),
            created_at: control.created_at,
            columns,
        }
    }
}

/// Makes a dataset: its tree and index key first, its row after (protocols.md 1.2).
///
/// # Errors
/// [`Fault::Invalid`]; [`Fault::RoleInsufficient`]; `DENY_TENANT_STATE` outside the state active.
pub async fn create(cell: &Cell, call: &Call, new: NewDataset) -> Outcome<DatasetView> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::DatasetCreate, ResourceType::Dataset);
    cell.require_role(&room, call, &[Role::Controller, Role::Editor], operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Dataset { id } = made else { return Err(idempotency::other()) };
        let known = room.control().dataset(id).map_err(|_| Fault::Erased)?;
        return Ok(Answer { value: DatasetView::from(&*known), stamp });
    }
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Fault::Invalid(vec![Pointed::new("#/name", "length")]).into());
    }
    cell.require_state(&room, call, StateOperation::Work, operation, on).await?;
    if room.control().datasets.len() >= DATASETS_MAX {
        return Err(Fault::invalid("#", TOO_MANY).into());
    }
    let id = DatasetId::make(cell.clock(), cell.entropy())?;
    let no = cell.data().reserve_dataset_no(TenantScope(room.no)).await?;
    room.keys()?.advance(Change::AddDataset { no, id }).await?;
    let meta = DatasetMeta {
        name: name.to_owned(),
        default_region: new.default_region.map(|c| c.as_str().to_owned()),
        origin: new.origin,
        columns: HashMap::new(),
        headers: HashMap::new(),
        meanings: HashMap::new(),
    };
    let plain = serde_json::to_vec(&meta).map_err(|_| Fault::Internal("dataset"))?;
    let sealed = system::seal_new(cell, room.keys()?, id.bytes(), &plain).await?;
    let at = cell.clock().now();
    let row = DatasetRow {
        no,
        id,
        tree: FIRST_TREE,
        state: DatasetState::Active,
        created_at: at,
        meta: Some(sealed),
        columns: None,
    };
    let entry = cell.administrative(call, operation, on).resource_id(id).dataset(id);
    let writes: Vec<Write> = vec![InsertDataset { row }.into(), BumpState.into()];
    let write = idempotency::beside(cell, call, &room, writes, Made::Dataset { id }).await?;
    let (receipt, _) = cell.commit_write(&room, entry, None, None, write).await?;
    cell.reload(&room).await?;
    let made = room.control().dataset(id)?;
    Ok(Answer::stamped(DatasetView::from(&*made), &receipt))
}

/// The datasets the key may see.
///
/// # Errors
/// [`Fault::RoleInsufficient`].
pub async fn list(cell: &Cell, call: &Call) -> Outcome<Vec<DatasetView>> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    let (operation, on) = (LogOperation::Data(Operation::Display), ResourceType::Dataset);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let control = room.control();
    let seen = |id: &DatasetId| call.caller.datasets.as_ref().is_none_or(|d| d.contains(id));
    let mut views: Vec<_> = control
        .datasets
        .values()
        .filter(|d| seen(&d.id))
        .map(|d| DatasetView::from(&**d))
        .collect();
    views.sort_by_key(|view| view.id);
    Ok(Answer::plain(views))
}

/// Classifies an unmapped column: from now on its category decides what may be done with it. The
/// values stay where they are, under `x_<n>`; a field that is named says what they mean.
///
/// # Errors
/// [`Fault::Invalid`] for a column no file can have, for a category that no row carries, or one that the
/// field does not have; denials as decided.
pub async fn classify(
    cell: &Cell,
    call: &Call,
    dataset: DatasetId,
    column: usize,
    category: Category,
    meaning: Option<FieldNo>,
) -> Outcome<DatasetView> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::DatasetClassify, ResourceType::Dataset);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let field = FieldNo::unmapped(column);
    let field = field.ok_or_else(|| Fault::invalid("path:n", "column_unknown"))?;
    if category == Category::SpecialCategory {
        // A property of whole datasets, never of a row (fields.md 4).
        return Err(Fault::invalid("#/category", "of_datasets_only").into());
    }
    if meaning.is_some_and(|meaning| meaning.info().is_none() || meaning.category() != category) {
        return Err(Fault::invalid("#/field", "of_another_category").into());
    }
    let column = (field, category, meaning);
    cell.settled(&room, || classify_once(cell, call, &room, dataset, column)).await
}

async fn classify_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    dataset: DatasetId,
    (field, category, meaning): (FieldNo, Category, Option<FieldNo>),
) -> Outcome<DatasetView> {
    let on = ResourceType::Dataset;
    let Ok(known) = visible(room, call, dataset) else {
        return Err(cell.not_found(room, call, Operation::Modify, on).await);
    };
    let mut ask = Ask::new(operations_of(Kind::Change));
    ask.dataset = Some(dataset);
    ask.categories = [category].into();
    let ask = Cell::ask(call, ask);
    let permit = cell.permit(room, call, &ask, on).await?;
    let mut meta = meta_of(&known);
    meta.columns.insert(field.0, category);
    meta.meanings.remove(&field.0);
    meta.meanings.extend(meaning.map(|meaning| (field.0, meaning.0)));
    let plain = serde_json::to_vec(&meta).map_err(|_| Fault::Internal("dataset"))?;
    let sealed = system::seal_again(cell, room, &known.meta, dataset.bytes(), &plain)?;
    let entry = permit
        .entry_as(call, LogOperation::DatasetClassify, on)
        .dataset(dataset)
        .fields([field])
        .categories([category]);
    let write: Write =
        vec![UpdateDataset { row: row_of(&known, sealed) }.into(), BumpState.into()].into();
    let op = Op {
        log: room.no,
        entry: entry.finish()?,
        otherwise: None,
        asserted: Some(permit.read_generations()),
        write: Some(write),
    };
    let (receipt, _, _) = cell.journal().commit_write(op).await?;
    cell.reload(room).await?;
    let now = room.control().dataset(dataset)?;
    Ok(Answer::stamped(DatasetView::from(&*now), &receipt))
}

/// The row of a dataset with other sealed texts.
fn row_of(known: &DatasetControl, meta: Sealed) -> DatasetRow {
    DatasetRow {
        no: known.no,
        id: known.id,
        tree: known.tree,
        state: DatasetState::Active,
        created_at: known.created_at,
        meta: Some(meta),
        columns: None,
    }
}

/// The sealed part of a dataset, to be sealed again with a change.
fn meta_of(known: &DatasetControl) -> DatasetMeta {
    DatasetMeta {
        name: known.name.clone(),
        default_region: known.default_region.clone(),
        origin: known.origin.clone(),
        columns: known.columns.iter().map(|(f, c)| (f.0, *c)).collect(),
        headers: known.headers.iter().map(|(f, h)| (f.0, h.clone())).collect(),
        meanings: known.meanings.iter().map(|(f, m)| (f.0, m.0)).collect(),
    }
}

/// Whether the caller may know of what belongs to a dataset, which may be shredded by now.
pub(crate) fn may_see(room: &Room, call: &Call, no: DatasetNo) -> bool {
    let Some(own) = &call.caller.datasets else { return true };
    room.control().dataset_by_no(no).is_some_and(|dataset| own.contains(&dataset.id))
}

/// A dataset the caller may know of.
///
/// # Errors
/// [`Fault::NotFound`].
pub(crate) fn visible(
    room: &Room,
    call: &Call,
    id: DatasetId,
) -> Result<Arc<DatasetControl>, Refusal> {
    let seen = call.caller.datasets.as_ref().is_none_or(|d| d.contains(&id));
    if !seen {
        return Err(Fault::NotFound.into());
    }
    Ok(room.control().dataset(id)?)
}
