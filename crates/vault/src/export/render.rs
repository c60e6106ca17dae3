//! Pages of leads for an export: each covered by an entry of its own before anything of it is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_domain::{ExportId, Fields, LeafRange, Masking, OperationId, Value};
use leadvault_keys::{Keyring, NotCovered, Opener};
use leadvault_ledger::{CommittedReceipt, ResourceType};
use leadvault_policy::Ask;
use leadvault_store::{LeadRow, RowsSeen, TenantScope};

use super::batches::Batches;
use super::line::LeadOut;
use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::{Permit, hidden};
use crate::leads::list::policy_row;
use crate::leads::opened::{category_of, open_parts};
use crate::mask::masked;
use crate::room::{DatasetControl, Room};

/// Leads of one page and of one entry: a page is opened in a few milliseconds and held in memory.
const PAGE_ROWS: u32 = 512;
/// Ciphertext of one page, unless a single lead is larger: what bounds the memory of an export.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;
/// How often a page is decided again when the control state moves under it.
const DECISIONS_MAX: usize = 3;

/// Rows of a page by leaf, with their dataset.
type Wanted<'a> = BTreeMap<u32, (&'a LeadRow, Arc<DatasetControl>)>;

/// A job at its leads.
#[derive(Debug)]
pub(crate) struct Render<'a> {
    pub(crate) cell: &'a Cell,
    pub(crate) room: &'a Arc<Room>,
    pub(crate) call: &'a Call,
    pub(crate) ask: &'a Ask,
    pub(crate) export: ExportId,
    pub(crate) operation: OperationId,
    /// System leaf of the export: digests in entries are keyed by it.
    pub(crate) leaf: u32,
    pub(crate) permit: Permit,
    pub(crate) batches: Batches,
    /// Index of the last entry.
    pub(crate) last_index: u64,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// What goes out.
    pub(crate) leads: Vec<LeadOut>,
    /// Live leads that stay out: quarantined, or not covered.
    pub(crate) withheld: u64,
    /// What was stored in its range.
    pub(crate) seen: RowsSeen,
    /// What is left of the range behind it.
    pub(crate) left: LeafRange,
}

impl Render<'_> {
    /// The next page of what is left of a range; `None` at its end.
    ///
    /// # Errors
    /// What store, journal and keys say; a denial where the instruction was withdrawn meanwhile.
    pub(crate) async fn page(&mut self, rest: LeafRange) -> Result<Option<Page>, Refusal> {
        let (data, scope) = (self.cell.data(), TenantScope(self.room.no));
        let last = data.find_page_end(scope, rest, PAGE_ROWS, PAGE_BYTES).await?;
        let Some(last) = last else { return Ok(None) };
        let end = u64::from(last) + 1;
        let range = LeafRange { end, ..rest };
        let left = match last.checked_add(1) {
            Some(first) => LeafRange { first, ..rest },
            None => LeafRange { first: u32::MAX, end: u64::from(u32::MAX), ..rest },
        };
        let mut rows = data.list_leads_in_range(scope, range, PAGE_ROWS).await?;
        let seen = RowsSeen {
            rows: rows.len() as u64,
            versions: rows.iter().map(|row| u64::from(row.version)).sum(),
        };
        // Read behind the rows: whatever came into the range is among them and here, or in neither.
        let late = data.list_export_late(scope, self.export, range).await?;
        rows.retain(|row| !late.iter().any(|late| late.contains(row.at)));
        for row in &rows {
            self.batches.see(self.cell, self.room, row.batch).await?;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.page_once(&rows, range).await {
                Err(refusal) if refusal.fault == Fault::Stale && tries < DECISIONS_MAX => {
                    self.cell.reload(self.room).await?;
                    let on = ResourceType::Export;
                    self.permit = self.cell.permit(self.room, self.call, self.ask, on).await?;
                }
                other => {
                    let (leads, withheld) = other?;
                    return Ok(Some(Page { leads, withheld, seen, left }));
                }
            }
        }
    }

    /// The leads of a page, and how many of it stay out.
    async fn page_once(
        &mut self,
        rows: &[LeadRow],
        range: LeafRange,
    ) -> Result<(Vec<LeadOut>, u64), Refusal> {
        let control = self.room.control();
        let seen = self.call.caller.datasets.as_ref();
        let mut wanted: Wanted<'_> = BTreeMap::new();
        let mut withheld = 0;
        for row in rows {
            // A dataset that is being shredded: its leads are gone, whether or not their rows are.
            let Some(home) = control.dataset_by_no(row.at.dataset) else { continue };
            let unseen = seen.is_some_and(|seen| !seen.contains(&home.id));
            let denied = || self.permit.rows.denial(&policy_row(row, home.id)).is_some();
            if hidden(row.labels) || unseen || denied() {
                withheld += 1;
            } else {
                wanted.insert(row.at.leaf, (row, home));
            }
        }
        if wanted.is_empty() {
            return Ok((Vec::new(), withheld));
        }
        let receipt = self.cover(&wanted, range).await?;
        self.last_index = receipt.index();
        let leads = match self.open(&self.ring()?, &receipt, &wanted, range) {
            // An advance since the snapshot was taken is followed once.
            Err(Fault::NotReady) => self.open(&self.ring()?, &receipt, &wanted, range)?,
            other => other?,
        };
        Ok((leads, withheld))
    }

    fn ring(&self) -> Result<Arc<Keyring>, Fault> {
        self.room.ring()
    }

    /// Commits the entry of a page.
    async fn cover(
        &self,
        wanted: &Wanted<'_>,
        range: LeafRange,
    ) -> Result<CommittedReceipt, Refusal> {
        // A keyed digest: it can be told from the ranges by whoever has the export's leaf, and by nobody
        // once that is punctured.
        let system = self.ring()?.system(self.leaf)?;
        let digest = system.hmac(
            "LV1-REFS",
            &[
                &range.dataset.0.to_be_bytes(),
                &range.tree.to_be_bytes(),
                &range.first.to_be_bytes(),
                &range.end.to_be_bytes(),
            ],
        );
        let mut entry = self
            .permit
            .entry(self.call, ResourceType::Export)
            .resource_id(self.export)
            .job(self.operation)
            .n(wanted.len() as u64)
            .refs_sha256(digest)
            .covering_ranges(vec![range]);
        if let Some((_, home)) = wanted.values().next() {
            entry = entry.dataset(home.id);
        }
        self.cell.commit(self.room, entry, Some(self.permit.read_generations())).await
    }

    /// Opens a page under its receipt. A lead erased meanwhile has no leaf any more and is left out.
    fn open(
        &self,
        ring: &Arc<Keyring>,
        receipt: &CommittedReceipt,
        wanted: &Wanted<'_>,
        range: LeafRange,
    ) -> Result<Vec<LeadOut>, Fault> {
        let now = self.cell.clock().now();
        let mut leads = Vec::with_capacity(wanted.len());
        let mut sweep = ring.sweep(range);
        while sweep.portion().is_some() {
            let openers = sweep.open(receipt, now).map_err(|not| match not {
                NotCovered::SnapshotBehind { .. } => Fault::NotReady,
                NotCovered::TooOld => Fault::Overloaded,
                _ => Fault::Internal("receipt does not cover the page"),
            })?;
            for opener in openers {
                let opener = opener.map_err(|_| Fault::Internal("entry does not name the page"))?;
                self.room.count_released();
                if let Some((row, home)) = wanted.get(&opener.at().leaf) {
                    leads.push(self.lead(&opener, row, home)?);
                }
            }
        }
        Ok(leads)
    }

    fn lead(
        &self,
        opener: &Opener,
        row: &LeadRow,
        home: &DatasetControl,
    ) -> Result<LeadOut, Fault> {
        let mut fields = open_parts(opener, row, |_| true)?;
        let batch = self.batches.get(row.batch);
        let covered = |f| self.permit.fields.covers(f, category_of(home, f));
        // The cells tell every field of the row: they go out where all of them may.
        let whole = self.permit.masking == Masking::None && fields.keys().all(|f| covered(*f));
        let original = if whole { batch.cells(&fields) } else { Vec::new() };
        fields.retain(|f, _| covered(*f) && *f != leadvault_domain::FieldNo::ORIGINAL);
        if self.permit.masking != Masking::None {
            fields = mask_all(&fields);
        }
        Ok(LeadOut {
            id: row.id,
            dataset: home.id,
            import: batch.id,
            row: row.row_no,
            created: row.created,
            updated: row.updated,
            fields,
            original,
        })
    }
}

/// The texts of a lead, masked; what has no masked text is left out.
fn mask_all(fields: &Fields) -> Fields {
    let texts = fields.iter().filter_map(|(field, value)| {
        let text = match masked(*field, value)? {
            serde_json::Value::String(text) => text,
            _ => return None,
        };
        Some((*field, Value::Text(text.into())))
    });
    texts.filter(|(field, _)| !is_list(*field)).collect()
}

fn is_list(field: leadvault_domain::FieldNo) -> bool {
    use leadvault_domain::FieldNo;
    matches!(field, FieldNo::TAGS | FieldNo::NOTES | FieldNo::ORIGINAL)
}
