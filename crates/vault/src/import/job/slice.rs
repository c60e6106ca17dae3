//! One slice: who of it is there already, and everything that becomes of it in one commit: new leads, changed
//! leads, refused rows, progress, entry.
//!
//! Slices of one dataset take turns from the question to the commit, so that two imports into it do not
//! answer it for each other. A lead made or changed by itself in between undoes the commit, and the slice asks
//! again.

use std::collections::HashMap;

use leadvault_domain::{LabelFlag, Labels, LeafRange, Measured, RowOutcome};
use leadvault_ledger::{EntryOutcome, ResourceType};
use leadvault_store::{
    Conflict, ImportFailure, ImportRows, InsertImportFailures, LeadSlice, LostAs, NewLead,
    Outcome as Written, Sealed, StepImport, TenantScope, WholeSlice, Write,
};

use super::super::RowCode;
use super::duplicates::{self, Holders, Sorted};
use super::merge::{self, Merged};
use super::press::{Ready, Slice};
use super::storing::Storing;
use crate::error::{Fault, Refusal};

/// How often a slice asks again before the caller is told to come back.
const ATTEMPTS_MAX: usize = 8;
/// From this attempt on an address that two leads share already stays shared.
const SHARED_FROM: usize = 3;

/// What a slice changes.
struct Changes {
    leads: Vec<NewLead>,
    merged: Merged,
    failures: Vec<ImportFailure>,
    rows: ImportRows,
}

impl Storing<'_> {
    /// Stores a slice.
    ///
    /// # Errors
    /// [`Fault::InProgress`] where somebody else uploads the same import; denials as decided; what keys, store
    /// and journal say.
    pub(super) async fn store(&mut self, mut slice: Slice) -> Result<(), Refusal> {
        let bytes = std::mem::take(&mut slice.bytes);
        self.prefix.push(&bytes);
        drop(bytes);
        let turn = self.room.import_turn(self.dataset.no);
        for attempt in 0..ATTEMPTS_MAX {
            let held = turn.lock().await;
            let stored = self.try_store(&mut slice, attempt >= SHARED_FROM).await;
            drop(held);
            match stored {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(refusal) if refusal.fault == Fault::Stale => self.decide_again().await?,
                Err(other) => return Err(other),
            }
        }
        Err(Fault::Overloaded.into())
    }

    /// Asks and commits; false where somebody moved in between.
    async fn try_store(&mut self, slice: &mut Slice, shared: bool) -> Result<bool, Refusal> {
        let holders = self.holders(slice).await?;
        let suppressed = self.suppressed().await?;
        let sorted = duplicates::sort(&slice.rows, &holders, &suppressed, self.action);
        let permit = self.permit().await?;
        let merged = merge::merge(self, &permit, slice, &sorted.into_held, shared).await?;
        let Some(merged) = merged else { return Ok(false) };
        let leads = self.new_leads(slice, &sorted)?;
        let changes = changes(slice, &sorted, merged, leads);
        self.cell.fail_point("import.slice_ready");
        self.commit(slice, changes).await
    }

    /// The leads of the dataset that have a key of the slice.
    async fn holders(&self, slice: &Slice) -> Result<Holders, Refusal> {
        let keys = duplicates::keys_of(&slice.rows);
        let scope = TenantScope(self.room.no);
        // What waits in quarantine takes nobody's place: it may go, and the row would be lost with it.
        let without = Labels::default().with(LabelFlag::Quarantined, !self.new.quarantined());
        let mut holders = HashMap::new();
        for kind in &self.kinds {
            let tags: Vec<i64> =
                keys.iter().filter(|(own, _)| own == kind).map(|(_, tag)| *tag).collect();
            if tags.is_empty() {
                continue;
            }
            let data = self.cell.data();
            let found = data.probe_tags(scope, self.dataset.no, *kind, &tags, without).await?;
            holders.extend(found.into_iter().map(|(tag, lead)| ((*kind, tag), lead)));
        }
        Ok(holders)
    }

    /// The new leads of a slice, with the later rows of the file that were merged into them.
    fn new_leads(&self, slice: &Slice, sorted: &Sorted) -> Result<Vec<NewLead>, Refusal> {
        let row = |place: &usize| match slice.rows.get(*place) {
            Some(Ready::Row(row)) => Ok(row),
            _ => Err(Fault::Internal("place of a row")),
        };
        let mut leads = Vec::with_capacity(sorted.new.len());
        for place in &sorted.new {
            let first = row(place)?;
            let mut lead = first.lead.clone();
            if let Some(later) = sorted.into_new.get(place) {
                let mut fields = first.fields.clone();
                for place in later {
                    let plan = Some(slice.plan.as_ref());
                    fields = merge::merge_fields(plan, &slice.plan, fields, &row(place)?.fields);
                }
                self.press.seal_again(&mut lead, &slice.plan, &fields)?;
            }
            leads.push(lead);
        }
        Ok(leads)
    }

    async fn commit(&mut self, slice: &Slice, changes: Changes) -> Result<bool, Refusal> {
        let Changes { leads, merged, failures, rows } = changes;
        let permit = self.permit().await?;
        let cursor = self.cursor().await?;
        let written = leads.len() as u64 + merged.writes.len() as u64;
        let ranges: Vec<LeafRange> =
            ranges_of(&leads).into_iter().chain(merged.ranges.iter().copied()).collect();
        let open_range = self.range_with(&leads);
        let mut entry = permit
            .entry(self.call, ResourceType::Import)
            .resource_id(self.id)
            .dataset(self.dataset.id)
            .n(written);
        if !ranges.is_empty() {
            entry = entry.refs_sha256(self.digest_of(&ranges)?).covering_ranges(ranges);
        }
        let step = StepImport {
            id: self.id,
            from_row: self.row.next_row,
            next_byte: slice.next_byte,
            next_row: slice.next_row,
            rows,
            ranges: open_range.into_iter().collect(),
            cursor: Some(cursor.clone()),
        };
        let mut writes: Vec<Write> = vec![step.into()];
        if !leads.is_empty() {
            let leads = LeadSlice { rows: leads, step: None, lost_as: LostAs::Skipped };
            writes.push(WholeSlice(leads).into());
        }
        if !failures.is_empty() {
            writes.push(InsertImportFailures { id: self.id, failures }.into());
        }
        writes.extend(merged.writes.into_iter().map(Write::from));
        let otherwise = entry.clone().outcome(EntryOutcome::Error);
        let asserted = Some(permit.write_generations());
        let (_, outcome) = self
            .cell
            .commit_write(&self.room, entry, Some(otherwise), asserted, Write::from(writes))
            .await?;
        match outcome {
            Written::Conflict(Conflict::StateMoved) => Err(Fault::InProgress.into()),
            Written::Conflict(_) => Ok(false),
            _ => {
                self.tell(rows);
                self.advance(slice, cursor, open_range);
                Ok(true)
            }
        }
    }

    /// Counts the rows that are stored.
    fn tell(&self, rows: ImportRows) {
        for (outcome, rows) in [
            (RowOutcome::Stored, rows.stored),
            (RowOutcome::Updated, rows.updated),
            (RowOutcome::Skipped, rows.skipped),
            (RowOutcome::Rejected, rows.rejected),
        ] {
            if rows > 0 {
                self.cell.observer().observe(&Measured::Rows { outcome, rows });
            }
        }
    }

    fn advance(&mut self, slice: &Slice, cursor: Sealed, open_range: Option<LeafRange>) {
        self.row.next_byte = slice.next_byte;
        self.row.next_row = slice.next_row;
        self.row.cursor = Some(cursor);
        self.open_range = open_range.or(self.open_range);
    }

    /// The leaves of the slice as one range: those left free in between were taken for this upload and will
    /// never be anybody else's. Goes on from the slice before where it can.
    fn range_with(&self, leads: &[NewLead]) -> Option<LeafRange> {
        let (first, last) = (leads.first()?, leads.last()?);
        let own = LeafRange { end: u64::from(last.at.leaf) + 1, ..LeafRange::single(first.at) };
        match self.open_range {
            Some(open) if open.tree == own.tree && open.end == u64::from(own.first) => {
                Some(LeafRange { end: own.end, ..open })
            }
            _ => Some(own),
        }
    }

    /// The salted digest of the leaf ranges of a slice; the salt grows from the tenant's own leaf.
    fn digest_of(&self, ranges: &[LeafRange]) -> Result<[u8; 32], Refusal> {
        let own = self.room.ring()?.system(self.room.control().own_leaf)?;
        let list: Vec<u8> = ranges
            .iter()
            .flat_map(|r| [u64::from(r.dataset.0), u64::from(r.tree), u64::from(r.first), r.end])
            .flat_map(u64::to_be_bytes)
            .collect();
        Ok(own.hmac("LV1-RNG", &[&self.id.bytes(), &list]))
    }
}

/// Counts and failures of a slice: `read = stored + updated + skipped + rejected`.
fn changes(slice: &Slice, sorted: &Sorted, merged: Merged, leads: Vec<NewLead>) -> Changes {
    let mut failures: Vec<ImportFailure> = Vec::new();
    for ready in &slice.rows {
        if let Ready::Refused(refused) = ready {
            failures.push(ImportFailure {
                row: refused.number,
                column: refused.column.and_then(|c| u32::try_from(c).ok()),
                code: refused.code.as_str(),
            });
        }
    }
    let number = |place: usize| match slice.rows.get(place) {
        Some(Ready::Row(row)) => row.number,
        Some(Ready::Refused(row)) => row.number,
        None => 0,
    };
    let refused = sorted.refused.iter().chain(&merged.refused);
    failures.extend(refused.map(|(place, code): &(usize, RowCode)| ImportFailure {
        row: number(*place),
        column: None,
        code: code.as_str(),
    }));
    let into_new: usize = sorted.into_new.values().map(Vec::len).sum();
    let rows = ImportRows {
        read: slice.rows.len() as u64,
        stored: leads.len() as u64,
        updated: into_new as u64 + merged.updated,
        skipped: sorted.skipped,
        rejected: failures.len() as u64,
    };
    Changes { leads, merged, failures, rows }
}

/// Contiguous leaves as ranges.
fn ranges_of(leads: &[NewLead]) -> Vec<LeafRange> {
    let mut ranges: Vec<LeafRange> = Vec::new();
    for lead in leads {
        match ranges.last_mut() {
            Some(last) if last.end == u64::from(lead.at.leaf) => last.end += 1,
            _ => ranges.push(LeafRange::single(lead.at)),
        }
    }
    ranges
}
