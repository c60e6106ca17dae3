//! The job that renders an export.
//!
//! A restart begins it again from the first lead, under a new export id where the former one became stale.

use std::sync::Arc;
use std::time::Duration;

use leadvault_crypto::age::Recipient;
use leadvault_domain::{ExportId, LeafRange, OperationId};
use leadvault_ledger::proof::{TlogProof, inclusion};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{
    ExportFile, ExportRow, ExportState, ExportStep, FinishOperation, ObjectName, OperationState,
    Outcome as StoreOutcome, TenantScope, UpdateExport, Write,
};
use zeroize::Zeroizing;

use super::artifact::{Place, Writer, Written};
use super::asked::{Asked, ask_of};
use super::bag::BagInfo;
use super::batches::Batches;
use super::columns::{Columns, Layout};
use super::datapackage::{About, describe, schema};
use super::package::Packer;
use super::render::Render;
use super::{KIND, LIFE_SECONDS, csv, log_copy, tags};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::log;
use crate::room::Room;
use crate::system;

/// Times a job begins again: a lead in the package was erased, or something below was not ready.
const ATTEMPTS_MAX: u32 = 8;
/// How long it waits before it does.
const PAUSE: Duration = Duration::from_millis(500);
/// Times it waits for the log to be published before it gives up.
const PUBLISHED_TRIES: u32 = 12;
/// Room for the text of a page that is not unusual, in bytes.
const PAGE_BYTES: usize = 512 * 1024;

/// Starts the job of an operation.
pub(crate) fn spawn(cell: &Arc<Cell>, room: &Arc<Room>, operation: OperationId) {
    let (cell, room) = (Arc::clone(cell), Arc::clone(room));
    tokio::spawn(async move {
        if let Err(refusal) = run(&cell, &room, operation).await {
            tracing::error!(operation = %operation, fault = %refusal.fault, "an export failed");
            fail(&cell, &room, operation, &refusal.fault).await;
        }
    });
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
        super::stale::expire(cell, &room).await?;
        for row in cell.data().list_open_operations(TenantScope(room.no)).await? {
            if row.kind == KIND && row.state == OperationState::Running {
                spawn(cell, &room, row.id);
            }
        }
    }
    Ok(())
}

async fn fail(cell: &Cell, room: &Room, operation: OperationId, fault: &Fault) {
    let error = Some(match fault {
        Fault::Denied(code) => code.as_str(),
        Fault::KeyDestroyed => "key_destroyed",
        Fault::NotFound => "not_found",
        Fault::JournalUnwritable => "journal_unwritable",
        Fault::NotReady => "not_ready",
        Fault::ExportStale => "export_stale",
        _ => "internal",
    });
    let finish = FinishOperation { id: operation, node: None, error, result: None };
    if cell.data().apply(TenantScope(room.no), finish).await.is_err() {
        tracing::error!(operation = %operation, "the failure of an export was not recorded");
    }
}

async fn run(cell: &Arc<Cell>, room: &Arc<Room>, operation: OperationId) -> Result<(), Refusal> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let outcome = attempt_once(cell, room, operation).await;
        let Err(refusal) = outcome else { return Ok(()) };
        let again = matches!(
            refusal.fault,
            Fault::ExportStale | Fault::Overloaded | Fault::NotReady | Fault::JournalUnwritable
        );
        if !again || attempt >= ATTEMPTS_MAX {
            return Err(refusal);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The export an operation is at: its newest.
async fn newest(cell: &Cell, room: &Room, operation: OperationId) -> Result<ExportRow, Refusal> {
    let rows = cell.data().list_exports(TenantScope(room.no)).await?;
    let mine = rows.into_iter().rfind(|row| row.operation == operation);
    Ok(mine.ok_or(Fault::NotFound)?)
}

/// What it was asked for, as its operation carries it: the leaf of a stale export is gone.
async fn asked_of(cell: &Cell, room: &Room, operation: OperationId) -> Result<Asked, Refusal> {
    let row = cell.data().find_operation(TenantScope(room.no), operation).await?;
    let sealed = row.and_then(|row| row.payload).ok_or(Fault::NotFound)?;
    Ok(Asked::read(room, operation.bytes(), &sealed)?)
}

/// Renders the package once, from the first lead.
async fn attempt_once(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    operation: OperationId,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let asked = asked_of(cell, room, operation).await?;
    let mut row = newest(cell, room, operation).await?;
    if row.state != ExportState::Running {
        // The former one became stale: another takes its place.
        let export = ExportId::make(cell.clock(), cell.entropy())?;
        let writes = super::start::writes_of(cell, room, export, operation, &asked).await?;
        cell.data().apply(scope, Write::from(writes)).await?;
        row = newest(cell, room, operation).await?;
    }
    // What was stored until now is in it; a lead that comes later is not.
    let parts = super::start::parts_of(cell, room, row.id, &asked).await?;
    cell.data().apply(scope, Write::from(parts)).await?;
    let name = ObjectName::make(cell.entropy())?;
    let job = Job { cell, room, row: &row, asked: &asked, name };
    let committed = match job.render().await {
        Ok((written, leads)) => job.ready(written, leads).await,
        Err(refusal) => Err(refusal),
    };
    let Err(refusal) = committed else { return Ok(()) };
    cell.data().objects().delete(room.id, name).await?;
    let state = cell.data().find_export(scope, row.id).await?.map(|row| row.state);
    // A lead in it was erased while it was rendered, whatever that made fail.
    Err(if state == Some(ExportState::Stale) { Fault::ExportStale.into() } else { refusal })
}

/// One rendering.
struct Job<'a> {
    cell: &'a Arc<Cell>,
    room: &'a Arc<Room>,
    row: &'a ExportRow,
    asked: &'a Asked,
    name: ObjectName,
}

impl Job<'_> {
    /// Writes the whole package; returns it and how many leads are in it.
    async fn render(&self) -> Result<(Written, u64), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let scope = TenantScope(room.no);
        let call = self.asked.call(room.id);
        let expected = cell.data().count_leads(scope, row.dataset).await?;
        let ask = ask_of(&call, self.asked.dataset, expected);
        let permit = cell.permit(room, &call, &ask, ResourceType::Export).await?;
        let begun = permit
            .entry(&call, ResourceType::Export)
            .resource_id(row.id)
            .job(row.operation)
            .n(expected);
        let begun = if self.asked.recipient.is_none() { begun.plain() } else { begun };
        let receipt = cell.commit(room, begun, Some(permit.read_generations())).await?;
        let index = receipt.index();
        let mut packer = self.packer()?;
        let mut leads = Render {
            cell,
            room,
            call: &call,
            ask: &ask,
            export: row.id,
            operation: row.operation,
            leaf: row.leaf,
            permit,
            batches: Batches::default(),
            withheld: 0,
            last_index: index,
        };
        let count = self.files(&mut packer, &mut leads).await?;
        let proof = self.log_files(&mut packer, index, leads.last_index).await?;
        let named = self.asked.named();
        let info = BagInfo {
            export: row.id.to_string(),
            tenant: room.id.to_string(),
            instruction: format!("{};v={}", named.id, self.asked.version),
            log_index: index,
            recipient: self.asked.recipient.clone(),
            date: cell.clock().now().date().to_string(),
            leads: count,
        };
        let origin = cell.origin(room.no)?;
        let vkey = cell.parts().log_keys.vkey_file(&origin, cell.clock().now());
        tags::write(cell, &mut packer, &info, &proof, vkey).await?;
        Ok((packer.finish().await?, count))
    }

    fn packer(&self) -> Result<Packer, Refusal> {
        let (cell, room) = (self.cell, self.room);
        let recipient = self.asked.recipient.as_deref().map(str::parse::<Recipient>).transpose();
        let recipient = recipient.map_err(|_| Fault::NoRecipient)?;
        let place = Place {
            objects: cell.data().objects(),
            tenant: room.id,
            name: self.name,
            record: self.row.id.bytes(),
        };
        let system = room.ring()?.system(self.row.leaf)?;
        let entropy = Arc::clone(&cell.parts().entropy);
        let writer = Writer::new(place, system, entropy, tokio::runtime::Handle::current());
        let root = self.row.id.to_string();
        Ok(Packer::start(root, writer, recipient.as_ref(), cell.entropy())?)
    }

    /// The payload but for the log.
    async fn files(&self, packer: &mut Packer, leads: &mut Render<'_>) -> Result<u64, Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let mut columns = Columns::default();
        packer.begin("data/leads-0001.jsonl").await?;
        let count = self.lines(packer, leads, &mut columns).await?;
        let withheld = leads.withheld;
        packer.end();
        let layout = columns.layout();
        packer.begin("data/leads-0001.csv").await?;
        if self.rows(packer, leads, &layout).await? != count {
            // A lead came, went or was hidden between the passes: the two must say the same.
            return Err(Fault::NotReady.into());
        }
        packer.end();
        let mut register = Vec::new();
        for instruction in room.control().instructions.iter() {
            let done = serde_json::to_writer(&mut register, instruction);
            done.map_err(|_| Fault::Internal("instructions"))?;
            register.push(b'\n');
        }
        packer.file("data/instructions.jsonl", register).await?;
        let schema = serde_json::to_vec_pretty(&schema()).map_err(|_| Fault::Internal("schema"))?;
        packer.file("data/schema.json", schema).await?;
        let about = About {
            export: row.id.to_string(),
            tenant: room.id.to_string(),
            dataset: self.asked.dataset.map(|id| id.to_string()),
            created: cell.clock().now(),
            leads: count,
            withheld,
        };
        let text = serde_json::to_vec_pretty(&describe(&about, packer.members(), &layout));
        let text = text.map_err(|_| Fault::Internal("description"))?;
        packer.file("data/datapackage.json", text).await?;
        Ok(count)
    }

    /// Pass 1: JSON lines; finds the columns of the CSV.
    async fn lines(
        &self,
        packer: &mut Packer,
        leads: &mut Render<'_>,
        columns: &mut Columns,
    ) -> Result<u64, Refusal> {
        let mut count = 0_u64;
        for range in self.ranges().await? {
            let mut rest = range;
            while let Some((page, left)) = leads.page(rest).await? {
                let mut out = Zeroizing::new(Vec::with_capacity(PAGE_BYTES));
                for lead in &page {
                    lead.see(columns);
                    lead.push_json(&mut out).map_err(|_| Fault::Internal("line"))?;
                }
                count = count.saturating_add(page.len() as u64);
                packer.write(out).await?;
                self.still_running().await?;
                rest = left;
            }
        }
        Ok(count)
    }

    /// Pass 2: the CSV.
    async fn rows(
        &self,
        packer: &mut Packer,
        leads: &mut Render<'_>,
        layout: &Layout,
    ) -> Result<u64, Refusal> {
        let mut head = Zeroizing::new(Vec::new());
        let names = layout.names();
        csv::push_row(&mut head, names.iter().map(|name| name.expose().as_str()));
        packer.write(head).await?;
        let mut count = 0_u64;
        for range in self.ranges().await? {
            let mut rest = range;
            while let Some((page, left)) = leads.page(rest).await? {
                let mut out = Zeroizing::new(Vec::with_capacity(PAGE_BYTES));
                for lead in &page {
                    lead.push_csv(layout, &mut out).map_err(|_| Fault::Internal("row"))?;
                }
                count = count.saturating_add(page.len() as u64);
                packer.write(out).await?;
                self.still_running().await?;
                rest = left;
            }
        }
        Ok(count)
    }

    /// The leaves whose live leads go into the package.
    async fn ranges(&self) -> Result<Vec<LeafRange>, Refusal> {
        let parts =
            self.cell.data().list_export_parts(TenantScope(self.room.no), self.row.id).await?;
        Ok(parts.into_iter().map(|part| part.range).collect())
    }

    /// # Errors
    /// [`Fault::ExportStale`] once a lead in the package was erased: it is begun again at once.
    async fn still_running(&self) -> Result<(), Refusal> {
        let row = self.cell.data().find_export(TenantScope(self.room.no), self.row.id).await?;
        match row.map(|row| row.state) {
            Some(ExportState::Running) => Ok(()),
            _ => Err(Fault::ExportStale.into()),
        }
    }

    /// The log up to a checkpoint that covers every lead in the package; the proof is of its first entry.
    async fn log_files(
        &self,
        packer: &mut Packer,
        begun: u64,
        last: u64,
    ) -> Result<TlogProof, Refusal> {
        let (cell, room) = (self.cell, self.room);
        let mut tries = 0;
        while let Err(fault) = cell.publisher().covers(room.no, last).await {
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
    async fn ready(&self, written: Written, leads: u64) -> Result<(), Refusal> {
        let (cell, room, row) = (self.cell, self.room, self.row);
        let call = self.asked.call(room.id);
        let on = ResourceType::Export;
        let permit =
            cell.permit(room, &call, &ask_of(&call, self.asked.dataset, leads), on).await?;
        let entry = permit
            .entry_as(&call, LogOperation::ExportReady, on)
            .resource_id(row.id)
            .job(row.operation)
            .sha256(written.sha256)
            .bytes(written.bytes)
            .n(leads);
        let entry = if self.asked.recipient.is_none() { entry.plain() } else { entry };
        let answer = serde_json::json!({
            "id": row.id, "sha256": hex::encode(written.sha256),
            "bytes": written.bytes, "leads": leads,
        });
        let answer = serde_json::to_vec(&answer).map_err(|_| Fault::Internal("result"))?;
        let result = system::seal_new(cell, room.keys()?, row.operation.bytes(), &answer).await?;
        let Written { sha256, bytes, .. } = written;
        let file = ExportFile { object: self.name, sha256, bytes, leads, index: None };
        let expires_at = cell.clock().now().plus_seconds(LIFE_SECONDS);
        let writes: Vec<Write> = vec![
            UpdateExport { id: row.id, step: ExportStep::Ready { file, expires_at } }.into(),
            FinishOperation { id: row.operation, node: None, error: None, result: Some(result) }
                .into(),
        ];
        let otherwise = entry.clone().outcome(leadvault_ledger::EntryOutcome::Error);
        let asserted = Some(permit.read_generations());
        let (_, outcome) =
            cell.commit_write(room, entry, Some(otherwise), asserted, Write::from(writes)).await?;
        match outcome {
            StoreOutcome::Conflict(_) => Err(Fault::ExportStale.into()),
            _ => Ok(()),
        }
    }
}
