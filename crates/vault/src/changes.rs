//! The change feed: what a client that keeps a copy must know of, in the order of the log.
//!
//! The feed *is* the log, so it has no gap and no order of its own: `seq` is the index of the entry. Entries
//! name leads by references that nobody turns back into ids; which leads an entry changed stands in a side
//! row that is committed with it, sealed under the tenant's own leaf ([`told`]). Erasures are told by their
//! own rows, so that they are told without a key as well.
//!
//! Side row: `01 ‖ id[16]…`, or `02 ‖ (u32 dataset ‖ u32 tree ‖ u32 first ‖ u64 end)…` for the slice of an
//! import. A place in the feed is an index and a slot in that list.

use std::collections::BTreeMap;
use std::time::Duration;

use leadvault_crypto::Kind;
use leadvault_domain::{
    DatasetId, DatasetNo, FieldNo, LeadId, LeafAddress, LeafRange, Operation, Role, Timestamp,
};
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_store::{ChangedLeads, InsertChange, Outcome as Written, Sealed, TenantScope, Write};
use serde::Deserialize;

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::cursor;
use crate::error::{Fault, Refusal};
use crate::leads::list::check_limit;
use crate::publisher;
use crate::room::Room;

/// Record id of every side row: its entry is named by the column beside it.
const RECORD: [u8; 16] = *b"change\0\0\0\0\0\0\0\0\0\0";
const SCHEMA: u16 = 3;
const REVISION: u32 = 1;
const IDS: u8 = 1;
const RANGES: u8 = 2;
/// Bytes of a range in a side row.
const RANGE_BYTES: usize = 20;
/// Entries looked through for one page: reads are entries too, and change nothing.
const ENTRIES_MAX: u64 = 4_000;
/// How often a waiting call looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Who keeps copies of leads. A key that is limited to datasets is told of these.
const READERS: [Role; 3] = [Role::Controller, Role::Editor, Role::Reader];
/// Longest wait for a change.
pub const WAIT_SECONDS_MAX: u64 = 30;

/// One change.
#[derive(Debug, Clone)]
pub struct ChangeEvent {
    /// Index of its entry.
    pub seq: u64,
    /// What happened; an open set.
    pub kind: &'static str,
    /// The lead, dataset, import, export or tenant.
    pub id: String,
    /// Names of what was changed of it.
    pub changed: Vec<String>,
    /// When.
    pub occurred_at: Timestamp,
}

/// A page of the feed.
#[derive(Debug)]
pub struct ChangePage {
    /// The changes, in order.
    pub data: Vec<ChangeEvent>,
    /// Where to go on, always.
    pub next_cursor: String,
    /// Whether the log goes on behind it already.
    pub has_more: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Index of the entry.
    index: u64,
    /// Slot in its list of leads.
    slot: u32,
}

impl Place {
    /// The three numbers of a cursor hold the index and the slot.
    fn to_address(self) -> LeafAddress {
        // Never cut: a half of 64 bits has 32.
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        LeafAddress {
            dataset: DatasetNo(half(self.index >> 32)),
            tree: half(self.index),
            leaf: self.slot,
        }
    }

    fn of(address: LeafAddress) -> Self {
        let index = u64::from(address.dataset.0) << 32 | u64::from(address.tree);
        Self { index, slot: address.leaf }
    }
}

/// The changes behind a cursor. Where there are none, waits up to `wait` for one.
///
/// # Errors
/// [`Fault::BadRequest`] for a foreign or old cursor; [`Fault::LimitTooLarge`]; the codes of a key that is not
/// active, for the ids are sealed.
pub async fn list(
    cell: &Cell,
    call: &Call,
    at: Option<&str>,
    limit: u32,
    wait: Duration,
) -> Outcome<ChangePage> {
    check_limit(limit)?;
    if !READERS.contains(&call.caller.role) {
        return Err(Fault::RoleInsufficient.into());
    }
    let room = cell.room_of(call.caller.tenant)?;
    cell.require_live_key(&room, call)?;
    room.ring()?;
    let read = |text| cursor::read(cell, &room, text, cursor::IN_QUERY, &[b"changes"]);
    let from = at.map(read).transpose()?.map_or(Place { index: 0, slot: 0 }, Place::of);
    let mut looks = wait.as_millis() / LOOK_EVERY.as_millis();
    loop {
        let feed = Feed { cell, room: &room, seen: call.caller.datasets.as_deref(), limit };
        let (data, next, has_more) = feed.page(from).await?;
        if !data.is_empty() || has_more || looks == 0 {
            let next = next.to_address();
            let next_cursor =
                cursor::write(cell, &room, next, cursor::FEED_SECONDS, &[b"changes"])?;
            return Ok(Answer::plain(ChangePage { data, next_cursor, has_more }));
        }
        looks -= 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the feed needs of an entry.
#[derive(Debug, Deserialize)]
struct Seen {
    time: Timestamp,
    operation: LogOperation,
    resource: SeenResource,
    decision: SeenDecision,
    #[serde(default)]
    outcome: Option<EntryOutcome>,
}

#[derive(Debug, Deserialize)]
struct SeenResource {
    #[serde(rename = "type")]
    kind: ResourceType,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    dataset: Option<DatasetId>,
    #[serde(default)]
    fields: Vec<FieldNo>,
}

#[derive(Debug, Deserialize)]
struct SeenDecision {
    code: String,
}

impl Seen {
    /// Whether it records something that was done.
    fn done(&self) -> bool {
        self.decision.code.starts_with("ALLOW")
            && self.outcome.is_none_or(|outcome| outcome != EntryOutcome::Error)
    }

    /// What it tells of, where it tells of anything but leads.
    fn own_kind(&self) -> Option<&'static str> {
        match (self.operation, self.resource.kind) {
            (LogOperation::DatasetCreate, _) => Some("dataset.created"),
            (LogOperation::DatasetClassify, _) => Some("dataset.changed"),
            (LogOperation::DatasetShred, _) => Some("dataset.shredded"),
            (LogOperation::EraseCompleted, ResourceType::Import) => Some("import.undone"),
            (LogOperation::ExportReady, _) => Some("export.ready"),
            (LogOperation::Restore, _) => Some("restored"),
            _ => None,
        }
    }

    /// What it tells of the leads of its side row, and what was changed of them.
    fn lead_kind(&self) -> (&'static str, Vec<String>) {
        match self.operation {
            LogOperation::Data(Operation::Store | Operation::Collect) => {
                ("lead.created", Vec::new())
            }
            LogOperation::FlagChange => ("lead.changed", vec!["flags".to_owned()]),
            _ => ("lead.changed", self.resource.fields.iter().map(|f| f.name()).collect()),
        }
    }
}

/// What a page is read with.
struct Feed<'a> {
    cell: &'a Cell,
    room: &'a Room,
    seen: Option<&'a [DatasetId]>,
    limit: u32,
}

impl Feed<'_> {
    /// The page from a place on, where the next one begins, and whether there is one.
    async fn page(&self, from: Place) -> Result<(Vec<ChangeEvent>, Place, bool), Refusal> {
        let scope = TenantScope(self.room.no);
        let data = self.cell.data();
        let size = data.find_log_size(scope).await?;
        let to = size.min(from.index.saturating_add(ENTRIES_MAX));
        if from.index >= to {
            return Ok((Vec::new(), from, false));
        }
        let entries = publisher::entries(self.cell, scope, from.index, to).await?;
        let rows = data.list_changes(scope, from.index, to).await?;
        let mut rows: BTreeMap<u64, Sealed> =
            rows.into_iter().map(|r| (r.index, r.leads)).collect();
        let mut erased: BTreeMap<u64, Vec<LeadId>> = BTreeMap::new();
        for (index, lead) in data.list_erases_requested(scope, from.index, to).await? {
            erased.entry(index).or_default().push(lead);
        }
        let mut page = Vec::new();
        for (index, bytes) in (from.index..to).zip(entries) {
            let start = if index == from.index { from.slot } else { 0 };
            let entry: Seen =
                serde_json::from_slice(&bytes).map_err(|_| Fault::Internal("entry of the log"))?;
            if !self.shows(&entry) {
                continue;
            }
            let leads = rows.remove(&index);
            let erased = erased.remove(&index).unwrap_or_default();
            let slots = self.slots(&entry, leads.as_ref(), erased, start).await?;
            for (slot, kind, id, changed) in slots {
                if page.len() == self.limit as usize {
                    return Ok((page, Place { index, slot }, true));
                }
                page.push(ChangeEvent { seq: index, kind, id, changed, occurred_at: entry.time });
            }
        }
        Ok((page, Place { index: to, slot: 0 }, to < size))
    }

    /// Whether the key may know of what an entry records.
    fn shows(&self, entry: &Seen) -> bool {
        let Some(seen) = self.seen else { return entry.done() };
        entry.done() && entry.resource.dataset.is_some_and(|dataset| seen.contains(&dataset))
    }

    /// The events of an entry from a slot on.
    async fn slots(
        &self,
        entry: &Seen,
        leads: Option<&Sealed>,
        erased: Vec<LeadId>,
        start: u32,
    ) -> Result<Vec<Event>, Refusal> {
        let mut events = Vec::new();
        let own = entry.own_kind();
        let id =
            entry.resource.id.clone().or_else(|| entry.resource.dataset.map(|d| d.to_string()));
        if let (Some(kind), 0) = (own, start) {
            let changed =
                if kind == "dataset.changed" { vec!["columns".to_owned()] } else { vec![] };
            let id = id.unwrap_or_else(|| self.room.id.to_string());
            events.push((0, kind, id, changed));
        }
        for (slot, lead) in (0_u32..).zip(erased).filter(|(slot, _)| *slot >= start) {
            events.push((slot, "lead.erased", lead.to_string(), Vec::new()));
        }
        if let Some(sealed) = leads {
            let (kind, changed) = entry.lead_kind();
            for (slot, lead) in self.leads_of(sealed, start).await? {
                events.push((slot, kind, lead.to_string(), changed.clone()));
            }
        }
        Ok(events)
    }

    /// The leads of a side row from a slot on; of an import those that are still there.
    async fn leads_of(&self, sealed: &Sealed, start: u32) -> Result<Vec<(u32, LeadId)>, Refusal> {
        let own = self.room.ring()?.system(sealed.leaf)?;
        let plain = own.open(Kind::Small, RECORD, SCHEMA, sealed.revision, &sealed.blob)?;
        let bad = || Fault::Internal("change");
        let (form, list) = plain.split_first().ok_or_else(bad)?;
        if *form == IDS {
            let ids = list.chunks_exact(16).filter_map(|id| id.try_into().ok());
            let ids = (0_u32..).zip(ids.map(LeadId::from_bytes));
            return Ok(ids.filter(|(slot, _)| *slot >= start).collect());
        }
        let mut out = Vec::new();
        let mut before = 0_u32;
        for range in list.chunks_exact(RANGE_BYTES) {
            let range = range_of(range).ok_or_else(bad)?;
            let leaves = u32::try_from(range.end.saturating_sub(u64::from(range.first)));
            let leaves = leaves.map_err(|_| bad())?;
            let scope = TenantScope(self.room.no);
            for (lead, at) in self.cell.data().list_addresses(scope, range, leaves).await? {
                let slot = before.saturating_add(at.leaf.saturating_sub(range.first));
                if slot >= start {
                    out.push((slot, lead));
                }
            }
            before = before.saturating_add(leaves);
        }
        Ok(out)
    }
}

/// Slot, kind, id, what was changed.
type Event = (u32, &'static str, String, Vec<String>);

fn range_of(bytes: &[u8]) -> Option<LeafRange> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    let end = bytes.get(12..20)?.try_into().ok()?;
    Some(LeafRange {
        dataset: DatasetNo(number(0)?),
        tree: number(4)?,
        first: number(8)?,
        end: u64::from_be_bytes(end),
    })
}

fn to_bytes(changed: &ChangedLeads) -> Vec<u8> {
    if changed.ranges.is_empty() {
        let ids = changed.ids.iter().flat_map(|id| id.bytes());
        return std::iter::once(IDS).chain(ids).collect();
    }
    let mut out = vec![RANGES];
    for range in &changed.ranges {
        out.extend(range.dataset.0.to_be_bytes());
        out.extend(range.tree.to_be_bytes());
        out.extend(range.first.to_be_bytes());
        out.extend(range.end.to_be_bytes());
    }
    out
}

/// How a write was told of in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It changes no lead.
    Not,
    /// A side row was put behind a single write.
    BesideOne,
    /// A side row was put behind several.
    BesideSeveral,
}

impl Told {
    /// The outcome of the write as it was asked for.
    pub(crate) fn outcome(self, outcome: Written) -> Written {
        match (self, outcome) {
            (Self::BesideSeveral, Written::Several(mut parts)) => {
                parts.pop();
                Written::Several(parts)
            }
            (Self::BesideOne, Written::Several(parts)) => {
                parts.into_iter().next().unwrap_or(Written::Done)
            }
            (_, outcome) => outcome,
        }
    }
}

/// Puts the side row of the feed behind a write that changes leads.
///
/// # Errors
/// What the keys say.
pub(crate) fn told(cell: &Cell, room: &Room, write: Write) -> Result<(Write, Told), Refusal> {
    let changed = ChangedLeads::of(&write);
    if changed.is_empty() {
        return Ok((write, Told::Not));
    }
    let leaf = room.control().own_leaf;
    let own = room.ring()?.system(leaf)?;
    let plain = to_bytes(&changed);
    let blob = own.seal(Kind::Small, RECORD, SCHEMA, REVISION, &plain, cell.entropy())?;
    let beside = Write::from(InsertChange { leads: Sealed { leaf, revision: REVISION, blob } });
    Ok(match write {
        Write::Several(mut parts) => {
            parts.push(beside);
            (Write::Several(parts), Told::BesideSeveral)
        }
        one => (Write::Several(vec![one, beside]), Told::BesideOne),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_its_cursor_says() {
        for index in [0, 1, u64::from(u32::MAX), 1 << 40, (1 << 53) - 1] {
            let place = Place { index, slot: 7 };
            assert_eq!(Place::of(place.to_address()), place);
        }
    }

    #[test]
    fn ranges_read_back_as_they_were_written() {
        let range = LeafRange { dataset: DatasetNo(3), tree: 1, first: 512, end: 1 << 32 };
        let changed = ChangedLeads { ids: Vec::new(), ranges: vec![range, range] };
        let bytes = to_bytes(&changed);
        let read: Vec<_> = bytes[1..].chunks_exact(RANGE_BYTES).map(range_of).collect();
        assert_eq!(read, [Some(range), Some(range)]);
    }

    #[test]
    fn the_outcome_of_a_write_is_as_if_nothing_stood_beside_it() {
        let done = || Written::Count(4);
        let beside = Written::Several(vec![done(), Written::Done]);
        assert_eq!(Told::BesideOne.outcome(beside), done());
        let several = Written::Several(vec![done(), done(), Written::Done]);
        assert_eq!(Told::BesideSeveral.outcome(several), Written::Several(vec![done(), done()]));
        assert_eq!(Told::Not.outcome(done()), done());
    }
}
