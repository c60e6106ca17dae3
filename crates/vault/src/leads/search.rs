//! Exact search: by a tag of what is looked for, in each dataset under that dataset's own key. No stranger's
//! lead is opened; what was found is opened and compared with the query all the same.

use std::sync::Arc;

use leadvault_crypto::normalise::{self, Phone, PhoneParser};
use leadvault_domain::{Category, DatasetId, FieldNo, Operation, Role, TagKind, Value};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{DatasetTag, LeadRow, TenantScope};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::cursor;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::gate::hidden;
use crate::leads::list::{check_limit, policy_row};
use crate::leads::opened::{category_of, dataset_of, locate, open_parts, opener};
use crate::leads::reveal::view_of;
use crate::leads::view::{LeadPage, LeadView, Shown, shape};
use crate::room::{DatasetControl, Room};

/// An exact search.
#[derive(Debug, Clone)]
pub struct Search {
    /// One dataset, or all the key may see.
    pub dataset: Option<DatasetId>,
    /// What is looked for: field name and value.
    pub field: FieldNo,
    /// The value; compared after normalisation.
    pub value: leadvault_domain::Personal,
    /// Fields to answer with; none = masked.
    pub fields: Option<Vec<FieldNo>>,
    /// Most leads of a page.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// Searches.
///
/// # Errors
/// [`Fault::Invalid`] for a field that has no index or a value that does not normalise; denials as decided.
pub async fn search(cell: &Cell, call: &Call, search: &Search) -> Outcome<LeadPage> {
    check_limit(search.limit)?;
    let room = cell.room_of(call.caller.tenant)?;
    let operation = if search.fields.is_some() { Operation::Read } else { Operation::Display };
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    let (operation, on) = (LogOperation::Data(operation), ResourceType::Query);
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || search_once(cell, call, &room, search)).await
}

/// What a query is looked up by.
struct Query {
    kind: TagKind,
    normalised: String,
}

fn query_of(search: &Search, region: Option<&str>) -> Result<Query, Fault> {
    let text = search.value.expose();
    let kind = search.field.info().and_then(|f| f.tag);
    let pointer = format!("#/match/{}", search.field.name());
    let kind = kind.ok_or_else(|| Fault::invalid(pointer.clone(), "not_indexed"))?;
    let normalised = match kind {
        TagKind::EMAIL => normalise::email(text),
        TagKind::PHONE => match PhoneParser::new(region).e164(text) {
            Phone::E164(number) => Some(number),
            Phone::Raw(_) => None,
        },
        TagKind::DOMAIN => normalise::registrable_domain(text),
        TagKind::EXTERNAL_ID => normalise::external_id(text),
        _ => None,
    };
    let normalised = normalised.ok_or_else(|| Fault::invalid(pointer, "not_searchable"))?;
    Ok(Query { kind, normalised })
}

async fn search_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    search: &Search,
) -> Outcome<LeadPage> {
    let on = ResourceType::Query;
    let Ok(known) = asked_datasets(room, call, search.dataset) else {
        return Err(cell.missing(room, call, Operation::Search, on).await);
    };
    let with_fields = search.fields.is_some();
    // A hit tells the field that was looked for, whatever fields it is answered with.
    let named = search.fields.iter().flatten().chain([&search.field]);
    let named: Vec<_> = named.map(|f| (*f, category_in(&known, *f))).collect();
    let mut ask = Ask::new(operations_of(Kind::SearchExact { fields: with_fields }));
    ask = ask.with_fields(named);
    ask.masked = !with_fields;
    ask.dataset = search.dataset;
    ask.within_key = true;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let ring = room.ring()?;
    let mut tags = Vec::new();
    for dataset in &known {
        let query = query_of(search, dataset.default_region.as_deref())?;
        for epoch in ring.index_epochs(dataset.no) {
            let tag = ring.tag_at(dataset.no, epoch, query.kind, query.normalised.as_bytes())?;
            tags.push(DatasetTag { dataset: dataset.no, tag: tag.0 });
        }
    }
    let kind = search.field.info().and_then(|f| f.tag).ok_or(Fault::Internal("tag kind"))?;
    let dataset = search.dataset.map_or([0; 16], DatasetId::bytes);
    let field = search.field.0.to_be_bytes();
    let own: [&[u8]; 4] = [b"search", &dataset, &field, search.value.expose().as_bytes()];
    let read = |text| cursor::read(cell, room, text, cursor::IN_BODY, &own);
    let after = search.cursor.as_deref().map(read).transpose()?;
    let scope = TenantScope(room.no);
    let rows = cell.data().list_leads_by_tag(scope, kind, &tags, after, search.limit + 1).await?;
    let more = rows.len() > search.limit as usize;
    let page: Vec<_> = rows.into_iter().take(search.limit as usize).collect();
    let last = page.last().map(|row| row.at);
    let mut located = Vec::new();
    for row in page {
        let Ok(home) = dataset_of(room, call.caller.datasets.as_ref(), &row) else { continue };
        if hidden(row.labels) || permit.rows.denial(&policy_row(&row, home.id)).is_some() {
            continue;
        }
        if let Ok(leaf) = locate(&ring, &row) {
            located.push((row, home, leaf));
        }
    }
    let named = search.fields.as_deref().unwrap_or(&[]);
    let mut entry = permit.entry(call, on).n(located.len() as u64).fields(named.iter().copied());
    if let Some(dataset) = search.dataset {
        entry = entry.dataset(dataset);
    }
    if !located.is_empty() {
        entry = entry.refs(located.iter().map(|(_, _, leaf)| leaf.reference()));
    }
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let shown = Shown::new(search.fields.as_deref(), permit.masking);
    let mut views = Vec::new();
    for (row, home, leaf) in located {
        let opened = match opener(cell, room, leaf, &row, &receipt).await {
            Ok(opened) => opened,
            Err(Fault::NotFound) => continue,
            Err(other) => return Err(other.into()),
        };
        let values = open_parts(&opened, &row, |_| true)?;
        if !holds(&values, kind, search, &home) {
            continue;
        }
        let covered = |f| permit.fields.covers(f, category_of(&home, f));
        let (shaped, tags, notes) = shape(&values, shown, covered);
        views.push(finish(cell, room, &row, &home, !shown.reveals(), (shaped, tags, notes)).await?);
    }
    let next_cursor = match last.filter(|_| more) {
        Some(last) => Some(cursor::write(cell, room, last, cursor::PAGE_SECONDS, &own)?),
        None => None,
    };
    Ok(Answer::stamped(LeadPage { data: views, next_cursor }, &receipt))
}

/// The category of a field in the datasets of a search: as they classify it, if they agree.
fn category_in(datasets: &[Arc<DatasetControl>], field: FieldNo) -> Category {
    let mut categories = datasets.iter().map(|dataset| category_of(dataset, field));
    let first = categories.next().unwrap_or_else(|| field.category());
    if categories.all(|other| other == first) { first } else { field.category() }
}

/// The datasets a search goes through.
fn asked_datasets(
    room: &Room,
    call: &Call,
    dataset: Option<DatasetId>,
) -> Result<Vec<Arc<DatasetControl>>, Refusal> {
    if let Some(id) = dataset {
        return Ok(vec![datasets::visible(room, call, id)?]);
    }
    let control = room.control();
    let seen = |id: &DatasetId| call.caller.datasets.as_ref().is_none_or(|d| d.contains(id));
    Ok(control.datasets.values().filter(|d| seen(&d.id)).cloned().collect())
}

/// Whether the opened lead really holds what was looked for.
fn holds(
    values: &leadvault_domain::Fields,
    kind: TagKind,
    search: &Search,
    dataset: &DatasetControl,
) -> bool {
    let region = dataset.default_region.as_deref();
    let Ok(query) = query_of(search, region) else { return false };
    values.iter().any(|(field, value)| {
        let Value::Text(text) = value else { return false };
        let of_kind = field.info().and_then(|f| f.tag) == Some(kind);
        let by_email = kind == TagKind::DOMAIN && *field == FieldNo::EMAIL;
        if !of_kind && !by_email {
            return false;
        }
        let probe = Search { value: text.clone(), ..search.clone() };
        query_of(&probe, region).is_ok_and(|q| q.normalised == query.normalised)
    })
}

async fn finish(
    cell: &Cell,
    room: &Room,
    row: &LeadRow,
    home: &DatasetControl,
    masked: bool,
    shaped: (serde_json::Map<String, serde_json::Value>, serde_json::Value, Vec<super::NoteView>),
) -> Result<LeadView, Refusal> {
    let import = crate::import::job::id_of(cell, room, row.batch).await?;
    let view = view_of(row, home, import, masked, shaped.0);
    Ok(LeadView { tags: shaped.1, notes: shaped.2, ..view })
}
