//! The job that renders an export.
//!
//! ```text
//! parts ─ settle: parts of erased and changed leads again ─ one instant of log and parts
//!       ─ entry → parts opened → package assembled, sealed ─ entry export.ready
//! ```
//! Each step is recorded before the next: a restart goes on behind the last rendered part. A lead erased at any
//! moment has its part rendered again, and the package assembled again where that was begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leadvault_crypto::age::Recipient;
use leadvault_domain::{ExportId, Instruction, JobKind, OperationId};
use leadvault_ledger::proof::{TlogProof, inclusion};
use leadvault_ledger::{EntryDraft, EntryOutcome, LogOperation, ResourceType};
use leadvault_policy::Ask;
use leadvault_store::{
    ClaimOperation, ExportFile, ExportMoment, ExportRow, ExportState, ExportStep, FinishOperation,
    NodeId, ObjectName, OperationRow, OperationState, Outcome as StoreOutcome, TenantScope,
    UpdateExport, UpdateProgress, Write,
};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::artifact::Written;
use super::asked::{Asked, ask_of};
use super::assemble::{self, LeadFiles};
use super::bag::BagInfo;
use super::batches::Batches;
use super::datapackage::{About, describe, schema};
use super::package::Packer;
use super::render::Render;
use super::settle::settle;
use super::{KIND, LIFE_SECONDS, log_copy, tags, tidy};
use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::instructions;
use crate::jobs::{AtWork, Lease};
use crate::log;
use crate::publisher;
use crate::room::Room;
use crate::system;

/// Times a job goes on after something below was not ready, or leads were erased under it.
const ATTEMPTS_MAX: u32 = 12;
/// How long it waits before it does, doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest it waits.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Times it waits for the log to be published before it gives up.
const PUBLISHED_TRIES: u32 = 12;

/// Starts the job of an operation.
pub(crate) fn spawn(cell: &Arc<Cell>, room: &Arc<Room>, operation: OperationId) {
    let (cell, room) = (Arc::clone(cell), Arc::clone(room));
    let job = async move {
        let lease = match Lease::take(&cell, room.no, operation).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return,
            Err(refusal) => {
                tracing::warn!(%operation, fault = %refusal.fault, "an export was not taken");
                return;
            }
        };
        let work = AtWork::begin(&cell, JobKind::Export);
        if let Err(refusal) = run(&cell, &work, &room, operation).await {
            tracing::error!(operation = %operation, fault = %refusal.fault, "an export failed");
            fail(&cell, &room, operation, &refusal.fault).await;
        }
        drop((work, lease));
    };
    tokio::spawn(job.instrument(AtWork::span(JobKind::Export, operation)));
}

/// Takes up exports that a restart left open.
///
/// # Errors
/// What the store says.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    for room in cell.rooms() {
        if room.ring().is_err() {
            continue;
        }
        tidy::expire(cell, &room).await?;
        for row in cell.data().list_open_operations(TenantScope(room.no)).await? {
            take_up(cell, &room, &row);
        }
    }
    Ok(())
}

/// Takes up an operation that is an export.
pub(crate) fn take_up(cell: &Arc<Cell>, room: &Arc<Room>, row: &OperationRow) {
    if row.kind == KIND && row.state == OperationState::Running && room.ring().is_ok() {
        spawn(cell, room, row.id);
    }
}

/// Ends an export that cannot be made: nothing of it stays.
async fn fail(cell: &Cell, room: &Room, operation: OperationId, fault: &Fault) {
    let error = Some(match fault {
        Fault::Denied(code) => code.as_str(),
        Fault::KeyDestroyed => "key_destroyed",
        Fault::NotFound => "not_found",
        Fault::JournalUnwritable => "journal_unwritable",
        Fault::NotReady => "not_ready",
        Fault::Overloaded => "overloaded",
        Fault::ExportStale => "export_stale",
        _ => "internal",
    });
    let ended = async {
        let scope = TenantScope(room.no);
        if let Ok(id) = export_of(cell, room, operation).await {
            let step = ExportStep::Expired;
            cell.data().apply(scope, UpdateExport { id, step }).await?;
        }
        let finish = FinishOperation { id: operation, node: None, error, result: None };
        cell.data().apply(scope, finish).await?;
        tidy::remove(cell, room).await
    };
    if let Err(refusal) = ended.await {
        // What is left is found by the next look at what is over.
        tracing::error!(operation = %operation, fault = %refusal.fault, "an export was not ended");
    }
}

async fn run(
    cell: &Arc<Cell>,
    work: &AtWork<'_>,
    room: &Arc<Room>,
    operation: OperationId,
) -> Result<(), Refusal> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS_MAX {
        let Err(refusal) = attempt(cell, room, operation).await else { return Ok(()) };
        let again = matches!(
            refusal.fault,
            Fault::ExportStale
                | Fault::Overloaded
                | Fault::Stale
                | Fault::NotReady
                | Fault::JournalUnwritable
        );
        if !again {
            return Err(refusal);
        }
        if refusal.fault == Fault::Stale {
            cell.reload(room).await?;
        }
        work.again();
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
    attempt(cell, room, operation).await
}

/// The export of an operation.
async fn export_of(cell: &Cell, room: &Room, operation: OperationId) -> Result<ExportId, Refusal> {
    let row = cell.data().find_operation(TenantScope(room.no), operation).await?;
    let subject = row.and_then(|row| row.subject).ok_or(Fault::NotFound)?;
    Ok(ExportId::from_bytes(subject))
}

/// Goes on with an export from where it is.
async fn attempt(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    operation: OperationId,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let id = export_of(cell, room, operation).await?;
    let row = cell.data().find_export(scope, id).await?.ok_or(Fault::NotFound)?;
    if row.state != ExportState::Running {
        return Err(Fault::ExportStale.into());
    }
    let asked = Asked::open(room, &row)?;
    let total = cell.data().count_leads(scope, row.dataset).await?;
    let call = asked.call(room.id);
    let ask = ask_of(&call, asked.dataset, total);
    let node = match cell.parts().node {
        Some(node) => node,
        None => {
            let mut attempt: NodeId = [0; 16];
            cell.entropy().fill(&mut attempt)?;
            attempt
        }
    };
    let done = AtomicU64::new(0);
    let job =
        Job { cell, room, row: &row, asked: &asked, call: &call, ask: &ask, node, done, total };
    job.claim().await?;
    job.make().await
}

/// An export being made.
pub(crate) struct Job<'a> {
    pub(crate) cell: &'a Arc<Cell>,
    pub(crate) room: &'a Arc<Room>,
    pub(crate) row: &'a ExportRow,
    asked: &'a Asked,
    call: &'a Call,
    ask: &'a Ask,
    /// Who reports the progress: this attempt.
    node: NodeId,
    done: AtomicU64,
    total: u64,
}

impl Job<'_> {
    pub(crate) fn scope(&self) -> TenantScope {
        TenantScope(self.room.no)
    }

    /// Takes the operation over from an attempt before. There is one job of an export at a time, so that the
    /// lease is over at once.
    async fn claim(&self) -> Result<(), Refusal> {
        let now = self.cell.clock().now();
        if self.cell.parts().node.is_none() {
            let claim = ClaimOperation { id: self.row.operation, node: self.node, now, until: now };
            self.cell.data().apply(self.scope(), claim).await?;
        }
        for part in self.cell.data().list_export_parts(self.scope(), self.row.id).await? {
            self.done.fetch_add(part.holds.leads, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Notes that so many leads more are rendered. Those of parts rendered again count once more, never above
    /// the total.
    pub(crate) async fn progress(&self, leads: u64) -> Result<(), Refusal> {
        let done = self.done.fetch_add(leads, Ordering::Relaxed).saturating_add(leads);
        let (id, node) = (self.row.operation, self.node);
        let (done, total) = (done.min(self.total), Some(self.total));
        let progress =
            UpdateProgress { id, node: Some(node), done, total, until: None, payload: None };
        self.cell.data().apply(self.scope(), progress).await?;
        Ok(())
    }

    async fn make(&self) -> Result<(), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let begun = row.begun_index.ok_or(Fault::ExportStale)?;
        let permit = self.permit().await?;
        let mut leads = Render {
            cell,
            room,
            call: self.call,
            ask: self.ask,
            export: row.id,
            operation: row.operation,
            leaf: row.leaf,
            permit,
            batches: Batches::default(),
            last_index: begun,
        };
        let moment = settle(self, &mut leads).await?;
        let (leaf, object) = assemble::begin(self).await?;
        let made = self.assembled(&mut leads, moment, begun, leaf, object).await;
        let committed = match made {
            Ok((written, count)) => {
                cell.fail_point("export.assembled");
                self.ready(leaf, object, written, count).await
            }
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = committed {
            // Where nobody knows whether it was committed, the row may name it; else the next try removes it.
            if refusal.fault != Fault::JournalUnwritable {
                cell.data().objects().delete(room.id, object).await?;
            }
            return Err(refusal);
        }
        cell.fail_point("export.ready");
        tidy::remove(cell, room).await
    }

    /// Writes the whole package; returns it and how many leads are in it.
    async fn assembled(
        &self,
        leads: &mut Render<'_>,
        moment: ExportMoment,
        begun: u64,
        leaf: u32,
        object: ObjectName,
    ) -> Result<(Written, u64), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let recipient = self.asked.recipient.as_deref().map(str::parse::<Recipient>).transpose();
        let recipient = recipient.map_err(|_| Fault::NoRecipient)?;
        let writer = self.writer(object, room.ring()?.system(leaf)?);
        let root = row.id.to_string();
        let mut packer = Packer::start(root, writer, recipient.as_ref(), cell.entropy())?;
        let permit = self.permit().await?;
        let entry = self.entry(permit.entry(self.call, ResourceType::Export)).n(moment.leads);
        let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
        leads.last_index = receipt.index();
        let files = assemble::lead_files(self, &mut packer, &receipt).await?;
        if let Some(last) = super::files::write(self, &mut packer).await? {
            leads.last_index = last;
        }
        self.descriptions(&mut packer, &files, moment, begun).await?;
        let proof = self.log_files(&mut packer, begun, leads.last_index).await?;
        let named = self.asked.named();
        let info = BagInfo {
            export: row.id.to_string(),
            tenant: room.id.to_string(),
            instruction: format!("{};v={}", named.id, self.asked.version),
            log_index: begun,
            recipient: self.asked.recipient.clone(),
            date: cell.clock().now().date().to_string(),
            leads: files.leads,
            signing_key: cell.parts().log_keys.file_key(),
        };
        let origin = cell.origin(room.no)?;
        let vkey = cell.parts().log_keys.vkey_file(&origin, cell.clock().now());
        tags::write(cell, &mut packer, &info, &proof, vkey).await?;
        Ok((packer.finish().await?, files.leads))
    }

    /// The call that asked for the export.
    pub(super) fn call(&self) -> &Call {
        self.call
    }

    /// Decides the export again.
    ///
    /// # Errors
    /// A denial where the instruction was withdrawn meanwhile.
    pub(super) async fn permit(&self) -> Result<Permit, Refusal> {
        self.cell.permit(self.room, self.call, self.ask, ResourceType::Export).await
    }

    /// An entry of this export.
    pub(super) fn entry(&self, entry: EntryDraft) -> EntryDraft {
        let entry = entry.resource_id(self.row.id).job(self.row.operation);
        if self.asked.recipient.is_none() { entry.plain() } else { entry }
    }

    /// Register, schema and description.
    async fn descriptions(
        &self,
        packer: &mut Packer,
        files: &LeadFiles,
        moment: ExportMoment,
        begun: u64,
    ) -> Result<(), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        packer.begin("data/instructions.jsonl").await?;
        packer.write(lines(room.control().register.all())?).await?;
        let mut before = None;
        loop {
            let page = instructions::exits::page(cell, room, before).await?;
            packer.write(lines(&page.permits)?).await?;
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        packer.end();
        let schema = serde_json::to_vec_pretty(&schema()).map_err(|_| Fault::Internal("schema"))?;
        packer.file("data/schema.json", schema).await?;
        let about = About {
            export: row.id.to_string(),
            tenant: room.id.to_string(),
            dataset: self.asked.dataset.map(|id| id.to_string()),
            created: cell.clock().now(),
            leads: files.leads,
            withheld: files.withheld,
            log_index: begun,
            log_size: moment.log_size,
        };
        let text = describe(&about, packer.members(), &files.rows, &files.layout);
        let text = serde_json::to_vec_pretty(&text).map_err(|_| Fault::Internal("description"))?;
        packer.file("data/datapackage.json", text).await?;
        Ok(())
    }

    /// The log up to a checkpoint that covers every entry of this export so far; the proof is of its first.
    async fn log_files(
        &self,
        packer: &mut Packer,
        begun: u64,
        last: u64,
    ) -> Result<TlogProof, Refusal> {
        let (cell, room) = (self.cell, self.room);
        let mut tries = 0;
        while let Err(fault) = publisher::cover(cell, room.no, last).await {
            tries += 1;
            if tries >= PUBLISHED_TRIES {
                return Err(fault.into());
            }
        }
        let files = cell.log_dir(room.no)?;
        let (note, checkpoint) = log::checkpoint_of(cell, room.no)?;
        let proof = inclusion(&files, begun, &checkpoint).map_err(|_| Fault::NotReady)?;
        packer.file("data/log/checkpoint", note.clone().into_bytes()).await?;
        for path in log_copy::paths(checkpoint.size) {
            if let Some(bytes) = log_copy::read(&files, &path)? {
                packer.file(&format!("data/log/{path}"), bytes).await?;
            }
        }
        Ok(TlogProof { index: begun, path: proof.path, checkpoint: note })
    }

    /// Entry `export.ready`, the row and the operation's end, in one commit.
    async fn ready(
        &self,
        leaf: u32,
        object: ObjectName,
        written: Written,
        leads: u64,
    ) -> Result<(), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let on = ResourceType::Export;
        let permit = self.permit().await?;
        let Written { sha256, bytes, .. } = written;
        let entry = permit.entry_as(self.call, LogOperation::ExportReady, on);
        let entry = self.entry(entry).sha256(sha256).bytes(bytes).n(leads);
        let answer = serde_json::json!({
            "id": row.id, "sha256": hex::encode(sha256), "bytes": bytes, "leads": leads,
        });
        let answer = serde_json::to_vec(&answer).map_err(|_| Fault::Internal("result"))?;
        let result = system::seal_new(cell, room.keys()?, row.operation.bytes(), &answer).await?;
        let file = ExportFile { object, sha256, bytes, leads, index: None };
        let expires_at = cell.clock().now().plus_seconds(LIFE_SECONDS);
        let writes: Vec<Write> = vec![
            UpdateExport { id: row.id, step: ExportStep::Ready { leaf, file, expires_at } }.into(),
            FinishOperation { id: row.operation, node: None, error: None, result: Some(result) }
                .into(),
        ];
        let otherwise = entry.clone().outcome(EntryOutcome::Error);
        let asserted = Some(permit.read_generations());
        let (_, outcome) =
            cell.commit_write(room, entry, Some(otherwise), asserted, Write::from(writes)).await?;
        match outcome {
            StoreOutcome::Conflict(_) => Err(Fault::ExportStale.into()),
            _ => Ok(()),
        }
    }
}

/// Instructions as JSON Lines.
fn lines(instructions: &[Instruction]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut text = Zeroizing::new(Vec::new());
    for instruction in instructions {
        serde_json::to_writer(&mut *text, instruction)
            .map_err(|_| Fault::Internal("instructions"))?;
        text.push(b'\n');
    }
    Ok(text)
}
