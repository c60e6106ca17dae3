//! The store side of an upload: takes slices in order, decides, commits, finishes.
//!
//! A slice is in [`super::slice`]. The permit is decided again when the control state moves, and once a minute,
//! so that an instruction that ends stops an import that runs.

use std::sync::Arc;

use leadvault_domain::{ImportId, LeafRange, TagKind, Timestamp};
use leadvault_ledger::{Generations, ResourceType};
use leadvault_store::{
    Conflict, ImportRow, ImportRows, ImportState, Outcome as Written, Sealed, StepImport,
    TenantScope, UpdateImport, Write,
};
use tokio::sync::mpsc::Receiver;

use super::super::digest::Prefix;
use super::super::{Enabled, Plan};
use super::feed::Fed;
use super::merge::Plans;
use super::open::ask_of;
use super::origin::plan_of;
use super::press::Press;
use super::request::{DuplicateAction, Meta, NewImport};
use super::view::{ImportView, row_of, view};
use crate::call::{Answer, Call};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::room::{DatasetControl, Room};
use crate::suppression::Suppressed;
use crate::system;

/// How long a decision serves the slices behind it.
const PERMIT_SECONDS: i64 = 60;

/// The store side of one upload.
pub(super) struct Storing<'a> {
    pub(super) cell: &'a Cell,
    pub(super) call: &'a Call,
    pub(super) room: Arc<Room>,
    pub(super) dataset: Arc<DatasetControl>,
    pub(super) id: ImportId,
    pub(super) new: NewImport,
    pub(super) action: DuplicateAction,
    pub(super) kinds: Vec<TagKind>,
    pub(super) press: Arc<Press>,
    pub(super) meta: Sealed,
    /// Where the import stands; its counts are those of the start.
    pub(super) row: ImportRow,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) permit: Option<(Timestamp, Arc<Permit>)>,
    /// What the rows of this upload may hold.
    pub(super) enabled: Enabled,
    /// Digest of every byte that is stored.
    pub(super) prefix: Prefix,
    /// The suppression list, and the epoch it was read in.
    pub(super) suppressed: Option<(Generations, Arc<Suppressed>)>,
    /// The last leaves that were stored: a range that goes on is one row.
    pub(super) open_range: Option<LeafRange>,
    pub(super) plans: Plans,
}

impl Storing<'_> {
    /// Stores what is fed; the finished import, or none where the feed ended before the file did.
    pub(super) async fn run(
        mut self,
        mut fed: Receiver<Fed>,
    ) -> Result<Option<Answer<ImportView>>, Refusal> {
        while let Some(next) = fed.recv().await {
            match next {
                Fed::Plan(plan) => self.begin_plan(plan).await?,
                Fed::Slice(worker) => {
                    let slice = worker.await.map_err(|_| Fault::Internal("worker"))??;
                    self.store(slice).await?;
                    self.cell.fail_point("import.slice_stored");
                }
                Fed::End(rest) => return self.finish(&rest).await.map(Some),
            }
        }
        Ok(None)
    }

    /// The columns are known: decide on their categories, keep the plan and the headers, sealed.
    async fn begin_plan(&mut self, plan: Arc<Plan>) -> Result<(), Refusal> {
        let bytes = plan.to_bytes();
        self.plan = Some(plan);
        self.permit = None;
        self.permit().await?;
        let meta = Meta { new: self.new.clone(), plan: Some(hex::encode(bytes.as_slice())) };
        let plain = meta.to_bytes()?;
        let sealed =
            system::seal_again(self.cell, &self.room, &self.meta, self.id.bytes(), &plain)?;
        self.meta = sealed.clone();
        let update = UpdateImport {
            id: self.id,
            from: self.row.state,
            to: ImportState::Running,
            expires_at: self.row.expires_at,
            meta: Some(sealed),
        };
        match self.cell.data().apply(TenantScope(self.room.no), update).await? {
            Written::Conflict(_) => return Err(Fault::InProgress.into()),
            _ => self.row.state = ImportState::Running,
        }
        self.cell.fail_point("import.plan_stored");
        Ok(())
    }

    /// The permit of this upload, as of now.
    pub(super) async fn permit(&mut self) -> Result<Arc<Permit>, Refusal> {
        let now = self.cell.clock().now();
        if let Some((at, permit)) = &self.permit
            && now.seconds_since(*at) < PERMIT_SECONDS
        {
            return Ok(Arc::clone(permit));
        }
        let ask = ask_of(self.call, &self.new, self.plan.as_deref());
        let on = ResourceType::Import;
        let permit = Arc::new(self.cell.permit(&self.room, self.call, &ask, on).await?);
        // Rows are parsed ahead of the decision: under other rules they must be parsed again.
        if Enabled::by(&permit) != self.enabled {
            return Err(Fault::Overloaded.into());
        }
        self.permit = Some((now, Arc::clone(&permit)));
        Ok(permit)
    }

    /// Decides again after the control state moved.
    pub(super) async fn decide_again(&mut self) -> Result<(), Refusal> {
        self.permit = None;
        self.suppressed = None;
        self.cell.reload(&self.room).await
    }

    /// The suppression list, read under the permit of this moment or a later one. An erasure that adds to it
    /// moves the generation that every slice asserts, so a list that is behind is never committed on.
    pub(super) async fn suppressed(&mut self) -> Result<Arc<Suppressed>, Refusal> {
        let generation = self.permit().await?.write_generations();
        if let Some((read_in, list)) = &self.suppressed
            && *read_in == generation
        {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(Suppressed::load(self.cell, &self.room).await?);
        self.suppressed = Some((generation, Arc::clone(&list)));
        Ok(list)
    }

    /// The plan the cells of a lead are rebuilt by.
    pub(super) async fn plan_of_lead(
        &mut self,
        batch: Option<u32>,
    ) -> Result<Option<Arc<Plan>>, Refusal> {
        let Some(no) = batch else { return Ok(None) };
        if no == self.row.no {
            return Ok(self.plan.clone());
        }
        if let Some(plan) = self.plans.get(&no) {
            return Ok(plan.clone());
        }
        let plan = plan_of(self.cell, &self.room, no).await?.map(Arc::new);
        self.plans.insert(no, plan.clone());
        Ok(plan)
    }

    /// Seals the digest of what is stored, for the row of the import.
    pub(super) async fn cursor(&self) -> Result<Sealed, Refusal> {
        let plain = self.prefix.to_bytes();
        match &self.row.cursor {
            Some(before) => {
                system::seal_again(self.cell, &self.room, before, self.id.bytes(), &plain)
            }
            None => system::seal_new(self.cell, self.room.keys()?, self.id.bytes(), &plain).await,
        }
    }

    /// Everything is stored: one entry ends the import.
    async fn finish(&mut self, rest: &[u8]) -> Result<Answer<ImportView>, Refusal> {
        let to = if self.new.quarantined() { ImportState::Quarantined } else { ImportState::Done };
        let step = StepImport {
            id: self.id,
            from_row: self.row.next_row,
            next_byte: self.row.next_byte.saturating_add(rest.len() as u64),
            next_row: self.row.next_row,
            rows: ImportRows::default(),
            ranges: Vec::new(),
            cursor: None,
        };
        let update = UpdateImport {
            id: self.id,
            from: ImportState::Running,
            to,
            expires_at: self.row.expires_at,
            meta: None,
        };
        let write: Write = vec![step.into(), update.into()].into();
        let stored = row_of(self.cell, &self.room, self.id).await?.rows.stored;
        loop {
            let permit = self.permit().await?;
            let entry = permit
                .entry(self.call, ResourceType::Import)
                .resource_id(self.id)
                .dataset(self.dataset.id)
                .n(stored);
            let asserted = Some(permit.write_generations());
            let done =
                self.cell.commit_write(&self.room, entry, None, asserted, write.clone()).await;
            match done {
                Err(refusal) if refusal.fault == Fault::Stale => self.decide_again().await?,
                Err(other) => return Err(other),
                Ok((_, Written::Conflict(Conflict::StateMoved))) => {
                    return Err(Fault::InProgress.into());
                }
                Ok((receipt, _)) => {
                    self.cell.fail_point("import.done");
                    let row = row_of(self.cell, &self.room, self.id).await?;
                    let view = view(self.cell, &self.room, self.call, &row)?;
                    return Ok(Answer::stamped(view, &receipt));
                }
            }
        }
    }
}
