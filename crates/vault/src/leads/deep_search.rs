//! Deep search: scan-decrypt under an instruction. What no index may hold, such as a word in a note, is looked
//! for by opening every lead in turn; each portion is one entry that names its leaf ranges.

use std::sync::Arc;

use leadvault_domain::{
    DatasetId, FieldNo, LeafAddress, LeafRange, Operation, Personal, Role, Value,
};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{LeadRow, TenantScope};

use crate::call::{Answer, Call, Outcome, Stamp};
use crate::cell::Cell;
use crate::cursor;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::gate::{Permit, hidden};
use crate::import::job;
use crate::leads::list::{check_limit, policy_row};
use crate::leads::opened::{category_of, dataset_of, locate, open_parts, opener};
use crate::leads::reveal::view_of;
use crate::leads::view::{LeadPage, LeadView, Shown, shape};
use crate::room::{DatasetControl, Room};

/// Leads opened under one entry. A receipt opens for a second; a thousand leads take some milliseconds.
const PORTION_ROWS: u32 = 1_000;
/// Leads looked through in one call; the cursor goes on from there.
const ROWS_MAX: usize = 20_000;
/// Longest text that is looked for, in bytes.
const TEXT_BYTES_MAX: usize = 1_000;

/// A deep search.
#[derive(Debug, Clone)]
pub struct DeepSearch {
    /// The dataset to go through; without it, all the key may see.
    pub dataset: Option<DatasetId>,
    /// Fields to look into.
    pub inside: Vec<FieldNo>,
    /// What they must contain, letters compared without case.
    pub contains: Personal,
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
/// [`Fault::Invalid`] for nothing to look for; denials as decided.
pub async fn search(cell: &Cell, call: &Call, search: &DeepSearch) -> Outcome<LeadPage> {
    check_limit(search.limit)?;
    let text = search.contains.expose();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(Fault::invalid("#/deep/contains", "length").into());
    }
    if search.inside.is_empty() {
        return Err(Fault::invalid("#/deep/fields", "empty").into());
    }
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    let (operation, on) = (LogOperation::Data(Operation::Search), ResourceType::Query);
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || search_once(cell, call, &room, search)).await
}

async fn search_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    search: &DeepSearch,
) -> Outcome<LeadPage> {
    let on = ResourceType::Query;
    let Ok(asked) = search.dataset.map(|id| datasets::visible(room, call, id)).transpose() else {
        return Err(cell.missing(room, call, Operation::Search, on).await);
    };
    let category = |f: FieldNo| asked.as_ref().map_or_else(|| f.category(), |d| category_of(d, f));
    let named = search.inside.iter().chain(search.fields.iter().flatten());
    let named: Vec<_> = named.map(|f| (*f, category(*f))).collect();
    let mut ask = Ask::new(operations_of(Kind::SearchDeep)).with_fields(named);
    ask.dataset = search.dataset;
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let dataset = search.dataset.map_or([0; 16], DatasetId::bytes);
    let numbers = search.inside.iter().map(|f| u64::from(f.0));
    let inside = std::iter::once(search.inside.len() as u64).chain(numbers);
    let inside: Vec<u8> = inside.flat_map(u64::to_be_bytes).collect();
    let query: [&[u8]; 4] = [b"deep", &dataset, &inside, search.contains.expose().as_bytes()];
    let mut after = search
        .cursor
        .as_deref()
        .map(|text| cursor::read(cell, room, text, cursor::IN_BODY, &query))
        .transpose()?;
    let needle = search.contains.expose().to_lowercase();
    let mut found = Vec::new();
    let mut stamp = None;
    let mut scanned = 0;
    let mut more = true;
    while more && scanned < ROWS_MAX && found.len() < search.limit as usize {
        let scope = TenantScope(room.no);
        let no = asked.as_ref().map(|dataset| dataset.no);
        let mut rows = cell.data().list_leads(scope, no, after, PORTION_ROWS).await?;
        more = rows.len() == PORTION_ROWS as usize;
        // An entry names one dataset, so a portion ends where the next one begins.
        let Some(first) = rows.first().map(|row| row.at.dataset) else { break };
        if let Some(next) = rows.iter().position(|row| row.at.dataset != first) {
            rows.truncate(next);
            more = true;
        }
        scanned += rows.len();
        let home = rows.first().map(|row| dataset_of(room, call.caller.datasets.as_ref(), row));
        let Some(Ok(dataset)) = home else {
            after = rows.last().map(|row| row.at);
            continue;
        };
        let portion = Portion { cell, call, room, permit: &permit, dataset: &dataset, search };
        let hits = portion.open(rows, &needle).await?;
        stamp = Some(hits.stamp);
        let missing = (search.limit as usize).saturating_sub(found.len());
        if hits.leads.len() > missing {
            more = true;
        }
        for (at, view) in hits.leads.into_iter().take(missing) {
            after = Some(at);
            found.push(view);
        }
        if found.len() < search.limit as usize {
            after = hits.end.or(after);
        }
    }
    let stamp = match stamp {
        Some(stamp) => stamp,
        None => {
            let entry = permit.entry(call, on).fields(search.inside.iter().copied()).n(0);
            Stamp::from(&cell.commit(room, entry, Some(permit.read_generations())).await?)
        }
    };
    let next_cursor = match after.filter(|_| more) {
        Some(last) => Some(cursor::write(cell, room, last, cursor::PAGE_SECONDS, &query)?),
        None => None,
    };
    Ok(Answer { value: LeadPage { data: found, next_cursor }, stamp: Some(stamp) })
}

/// What a portion is opened with.
struct Portion<'a> {
    cell: &'a Cell,
    call: &'a Call,
    room: &'a Room,
    permit: &'a Permit,
    dataset: &'a DatasetControl,
    search: &'a DeepSearch,
}

/// What was found in a portion.
struct Hits {
    leads: Vec<(LeafAddress, LeadView)>,
    end: Option<LeafAddress>,
    stamp: Stamp,
}

impl Portion<'_> {
    /// One entry over the leaf ranges of the portion, then every lead of it is opened and looked into.
    async fn open(&self, rows: Vec<LeadRow>, needle: &str) -> Result<Hits, Refusal> {
        let ring = self.room.ring()?;
        let end = rows.last().map(|row| row.at);
        let mut located = Vec::with_capacity(rows.len());
        for row in rows {
            let denied = self.permit.rows.denial(&policy_row(&row, self.dataset.id)).is_some();
            if denied || hidden(row.labels) {
                continue;
            }
            if let Ok(leaf) = locate(&ring, &row) {
                located.push((row, leaf));
            }
        }
        let ranges = ranges_of(located.iter().map(|(row, _)| row.at));
        let mut entry = self
            .permit
            .entry(self.call, ResourceType::Query)
            .dataset(self.dataset.id)
            .fields(self.search.inside.iter().copied())
            .n(located.len() as u64);
        if !ranges.is_empty() {
            let own = ring.system(self.room.control().own_leaf)?;
            let list: Vec<u8> = ranges
                .iter()
                .flat_map(|r| [u64::from(r.first), r.end])
                .flat_map(u64::to_be_bytes)
                .collect();
            let digest = own.hmac("LV1-RNG", &[&self.dataset.id.bytes(), &list]);
            entry = entry.refs_sha256(digest).covering_ranges(ranges);
        }
        let asserted = Some(self.permit.read_generations());
        let receipt = self.cell.commit(self.room, entry, asserted).await?;
        let mut leads = Vec::new();
        for (row, leaf) in located {
            let opened = match opener(self.cell, self.room, leaf, &row, &receipt).await {
                Ok(opened) => opened,
                Err(Fault::NotFound) => continue,
                Err(other) => return Err(other.into()),
            };
            let values = open_parts(&opened, &row, |_| true)?;
            if !self.holds(&values, needle) {
                continue;
            }
            let shown = Shown::new(self.search.fields.as_deref(), self.permit.masking);
            let covered = |f| self.permit.fields.covers(f, category_of(self.dataset, f));
            let (shaped, tags, notes) = shape(&values, shown, covered);
            let import = job::id_of(self.cell, self.room, row.batch).await?;
            let view = view_of(&row, self.dataset, import, !shown.reveals(), shaped);
            leads.push((row.at, LeadView { tags, notes, ..view }));
        }
        Ok(Hits { leads, end, stamp: Stamp::from(&receipt) })
    }

    fn holds(&self, values: &leadvault_domain::Fields, needle: &str) -> bool {
        let contains = |text: &Personal| text.expose().to_lowercase().contains(needle);
        let covered = |f: &&FieldNo| self.permit.fields.covers(**f, category_of(self.dataset, **f));
        let inside = self.search.inside.iter().filter(covered).filter_map(|f| values.get(f));
        inside.into_iter().any(|value| match value {
            Value::Text(text) => contains(text),
            Value::List(list) => list.iter().any(contains),
            Value::Pairs(pairs) => pairs.iter().any(|(text, _)| contains(text)),
        })
    }
}

/// Leaves in ascending order as ranges.
pub(crate) fn ranges_of(leaves: impl Iterator<Item = LeafAddress>) -> Vec<LeafRange> {
    let mut ranges: Vec<LeafRange> = Vec::new();
    for at in leaves {
        match ranges.last_mut() {
            Some(last)
                if last.end == u64::from(at.leaf)
                    && last.dataset == at.dataset
                    && last.tree == at.tree =>
            {
                last.end += 1;
            }
            _ => ranges.push(LeafRange::single(at)),
        }
    }
    ranges
}
