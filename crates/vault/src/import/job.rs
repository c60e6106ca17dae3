//! The import: opened, fed with bytes, stored slice by slice, resumed where it was cut off.
//!
//! ```text
//! bytes → Reader → RowParser → seal (off the async threads) → one commit per slice:
//!         rows + progress + log entry
//! ```
//! A slice that is acknowledged is stored exactly once: its progress row moves in the same commit. Nothing
//! is spooled; bytes that came twice are recognised by the digest of everything before them.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use leadvault_crypto::Kind as LvKind;
use leadvault_domain::{
    DatasetId, FieldNo, ImportId, LabelFlag, LeadId, LeafAddress, LeafRange, Operation, Personal,
    Role, TagKind, Timestamp,
};
use leadvault_keys::Keyring;
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{
    ImportFailure, ImportRow, ImportRows, ImportState, InsertImport, InsertImportFailures,
    LeadSlice, LeadTags, LostAs, NewLead, Outcome as Written, Part, StepImport, TenantScope,
    UpdateImport, Write,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::digest::Prefix;
use super::{
    Event, FileFault, Options, ParsedRow, Place, Plan, Reader, RefusedRow, RowParser, Rules,
    Wanted, WantedFormat,
};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Pointed, Question, Refusal};
use crate::gate::Permit;
use crate::idempotency::{self, Made};
use crate::lead_codec::{SCHEMA, encode};
use crate::notices::{self, NoticeKind};
use crate::room::{DatasetControl, Room};
use crate::system;

/// Rows of one commit: about ten milliseconds of the one writer, so that other tenants' entries go between.
const SLICE_ROWS: usize = 512;
/// Leaves taken at a time: one key-store write for as many rows.
const LEAF_BLOCK: u32 = 8_192;
/// Days an import without attestation waits (R-006).
const QUARANTINE_DAYS: i64 = 14;
/// Failures of one answer.
const FAILURES_MAX: usize = 100_000;

/// What to do with a lead that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateAction {
    /// Leave what is there.
    #[default]
    Skip,
    /// Merge into what is there.
    Update,
    /// List the row as a failure.
    Reject,
}

/// How duplicates are recognised and treated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// `email`; the only one in this version.
    pub by: Vec<String>,
    /// What to do.
    pub action: DuplicateAction,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { by: vec!["email".to_owned()], action: DuplicateAction::Skip }
    }
}

/// An import to be opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Where the leads go.
    pub dataset: DatasetId,
    /// `auto`, `csv`, `jsonl`.
    #[serde(default = "auto")]
    pub format: String,
    /// Header or column index → field.
    #[serde(default)]
    pub mapping: Option<serde_json::Map<String, Json>>,
    /// Duplicates.
    #[serde(default)]
    pub duplicates: Option<Duplicates>,
    /// Region for phones; the dataset's where absent.
    #[serde(default)]
    pub default_region: Option<leadvault_domain::Country>,
    /// R-006; without it the import is quarantined.
    #[serde(default)]
    pub attestation: Option<Attestation>,
}

fn auto() -> String {
    "auto".to_owned()
}

/// What the controller attests of a file (R-006).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Where the data comes from.
    pub source: String,
    /// On which basis.
    pub legal_basis: String,
    /// Whether the people were told.
    pub notice: Json,
    /// Where they are.
    pub jurisdictions: Vec<String>,
    /// No person under 18.
    pub no_minors: bool,
    /// No special category.
    pub no_special_category: bool,
}

/// What is sealed of an import.
#[derive(Serialize, Deserialize)]
struct Meta {
    new: NewImport,
    plan: Option<String>,
    charset: Option<String>,
}

/// A column as the import took it.
#[derive(Debug, Clone)]
pub struct ColumnView {
    /// Its index, from 0.
    pub index: usize,
    /// The header's text.
    pub column: String,
    /// The field it went to.
    pub field: Option<String>,
    /// Its category.
    pub category: leadvault_domain::Category,
    /// `dictionary`, `caller`, `none`.
    pub by: &'static str,
}

/// An import.
#[derive(Debug)]
pub struct ImportView {
    /// Its id.
    pub id: ImportId,
    /// Its state.
    pub state: &'static str,
    /// Where the client goes on.
    pub next_byte: u64,
    /// What became of the rows.
    pub rows: ImportRows,
    /// Rows a second since it was opened, while it runs.
    pub rate_per_second: Option<f64>,
    /// What was detected: encoding, delimiter, quote, header.
    pub detected: Option<Json>,
    /// The mapping.
    pub mapping: Vec<ColumnView>,
}

/// Opens an import.
///
/// # Errors
/// [`Fault::Invalid`]; [`Fault::NotFound`] for an unknown dataset; denials as decided.
pub async fn open(cell: &Cell, call: &Call, new: NewImport) -> Outcome<ImportView> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::Import);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Import { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: just_opened(id), stamp });
    }
    wanted(&new)?;
    if !matches!(new.format.as_str(), "auto" | "csv" | "jsonl") {
        return Err(Fault::invalid("#/format", "format_unknown").into());
    }
    if new.duplicates.as_ref().is_some_and(|d| d.by != ["email"]) {
        return Err(Fault::invalid("#/duplicates/by", "by_unknown").into());
    }
    cell.settled(&room, || open_once(cell, call, &room, &new)).await
}

async fn open_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    new: &NewImport,
) -> Outcome<ImportView> {
    let on = ResourceType::Import;
    let Ok(dataset) = datasets::visible(room, call, new.dataset) else {
        return Err(cell.not_found(room, call, Operation::Store, on).await);
    };
    let permit = cell.permit(room, call, &ask_of(call, new, None), on).await?;
    let id = ImportId::make(cell.clock(), cell.entropy())?;
    let meta = Meta { new: new.clone(), plan: None, charset: None };
    let plain = serde_json::to_vec(&meta).map_err(|_| Fault::Internal("import meta"))?;
    let sealed = system::seal_new(cell, room.keys()?, id.bytes(), &plain).await?;
    let quarantined = new.attestation.is_none();
    let expires = permit.at.plus_seconds(QUARANTINE_DAYS * 24 * 3600);
    let insert = InsertImport {
        id,
        dataset: dataset.no,
        created_at: permit.at,
        expires_at: quarantined.then_some(expires),
        meta: Some(sealed),
    };
    let mut writes: Vec<Write> = vec![insert.into()];
    if quarantined {
        writes.push(notices::write(cell, NoticeKind::ImportQuarantined)?);
    }
    let write = idempotency::beside(cell, call, room, writes, Made::Import { id }).await?;
    let entry = permit.entry(call, on).resource_id(id).dataset(dataset.id);
    let asserted = Some(permit.write_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    Ok(Answer::stamped(just_opened(id), &receipt))
}

/// An import nothing of which has come yet.
fn just_opened(id: ImportId) -> ImportView {
    ImportView {
        id,
        state: ImportState::Open.as_str(),
        next_byte: 0,
        rows: ImportRows::default(),
        rate_per_second: None,
        detected: None,
        mapping: Vec::new(),
    }
}

fn ask_of(call: &Call, new: &NewImport, plan: Option<&Plan>) -> Ask {
    let action = new.duplicates.as_ref().map(|d| d.action).unwrap_or_default();
    let update = action == DuplicateAction::Update;
    let mut ask = Ask::new(operations_of(Kind::Import { update }));
    ask.dataset = Some(new.dataset);
    if let Some(plan) = plan {
        ask.categories = plan.columns.iter().map(super::Column::category).collect();
    }
    Cell::ask(call, ask)
}

fn wanted(new: &NewImport) -> Result<Wanted, Fault> {
    let Some(mapping) = &new.mapping else { return Ok(Wanted::Nothing) };
    let pairs: Vec<_> =
        mapping.iter().map(|(column, field)| (column.as_str(), field.as_str())).collect();
    Wanted::parse(pairs, FieldNo::by_name).map_err(|_| Fault::invalid("#/mapping", "field_unknown"))
}

fn options(new: &NewImport) -> Result<Options, Fault> {
    let format = match new.format.as_str() {
        "csv" => WantedFormat::Csv,
        "jsonl" => WantedFormat::Jsonl,
        _ => WantedFormat::Auto,
    };
    Ok(Options { format, charset: None, wanted: wanted(new)? })
}

/// The state of one upload.
struct Upload<'a> {
    cell: &'a Cell,
    call: &'a Call,
    room: Arc<Room>,
    dataset: Arc<DatasetControl>,
    id: ImportId,
    new: NewImport,
    meta: leadvault_store::Sealed,
    row: ImportRow,
    reader: Reader,
    parser: Option<RowParser>,
    permit: Option<Permit>,
    prefix: Prefix,
    /// Bytes that came and are not behind a stored row yet.
    unstored: std::collections::VecDeque<u8>,
    /// Rows and refusals that wait for their slice.
    waiting: Vec<Parsed>,
    leaves: std::ops::Range<u32>,
}

enum Parsed {
    Row(Box<ParsedRow>),
    Refused(RefusedRow),
}

impl Parsed {
    fn number(&self) -> u64 {
        match self {
            Self::Row(row) => row.number,
            Self::Refused(row) => row.number,
        }
    }

    fn end_byte(&self) -> u64 {
        match self {
            Self::Row(row) => row.end_byte,
            Self::Refused(row) => row.end_byte,
        }
    }
}

/// Takes the bytes of a file, from byte `from` on, or from the beginning again.
///
/// # Errors
/// [`Fault::MappingNeeded`], [`Fault::NoHeaderRow`]: nothing is kept. [`Fault::ContentDiffers`] where the
/// bytes are not those of before. [`Fault::StateConflict`] for an import that is over.
pub async fn content<S, E>(
    cell: &Cell,
    call: &Call,
    id: ImportId,
    from: u64,
    mut body: S,
) -> Outcome<ImportView>
where
    S: Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin,
    E: Send,
{
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::Import);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let Some(row) = cell.data().find_import(TenantScope(room.no), id).await? else {
        return Err(cell.not_found(&room, call, Operation::Store, on).await);
    };
    if !matches!(row.state, ImportState::Open | ImportState::Running) {
        return Err(Fault::StateConflict.into());
    }
    let mut upload = Upload::begin(cell, call, room, row, from)?;
    let mut skip = upload.row.next_byte.saturating_sub(from);
    let mut before = Prefix::default();
    while let Some(chunk) = body.next().await {
        // Cut off: what is stored stays, the client goes on from `next_byte`.
        let Ok(chunk) = chunk else { return Err(Fault::bad("#", "cut_off").into()) };
        let mut bytes: &[u8] = &chunk;
        if skip > 0 {
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            let (again, fresh) = bytes.split_at(known);
            before.push(again);
            skip = skip.saturating_sub(again.len() as u64);
            bytes = fresh;
            if skip == 0 && from == 0 && before != upload.prefix {
                return Err(Fault::ContentDiffers.into());
            }
        }
        upload.push(bytes).await?;
    }
    if skip > 0 {
        return Err(Fault::ContentDiffers.into());
    }
    upload.finish().await
}

impl<'a> Upload<'a> {
    fn begin(
        cell: &'a Cell,
        call: &'a Call,
        room: Arc<Room>,
        row: ImportRow,
        from: u64,
    ) -> Result<Self, Refusal> {
        if from != 0 && from != row.next_byte {
            return Err(Fault::ContentDiffers.into());
        }
        let sealed = row.meta.clone().ok_or(Fault::Erased)?;
        let plain = system::open(&room, LvKind::Small, row.id.bytes(), &sealed)?;
        let meta: Meta =
            serde_json::from_slice(&plain).map_err(|_| Fault::Internal("import meta"))?;
        let dataset = datasets::visible(&room, call, meta.new.dataset)?;
        let prefix = match &row.cursor {
            Some(cursor) => {
                let plain = system::open(&room, LvKind::Small, row.id.bytes(), cursor)?;
                Prefix::from_bytes(&plain).ok_or(Fault::Internal("import cursor"))?
            }
            None => Prefix::default(),
        };
        let reader = match &meta.plan {
            Some(plan) if row.next_byte > 0 => {
                let bytes = hex::decode(plan).map_err(|_| Fault::Internal("plan"))?;
                let plan = Plan::from_bytes(&bytes).map_err(|_| Fault::Internal("plan"))?;
                Reader::resume(options(&meta.new)?, plan, row.next_byte, row.next_row)
            }
            _ => Reader::new(options(&meta.new)?),
        };
        let mut upload = Self {
            cell,
            call,
            room,
            dataset,
            id: row.id,
            new: meta.new,
            meta: sealed,
            row,
            reader,
            parser: None,
            permit: None,
            prefix,
            unstored: std::collections::VecDeque::new(),
            waiting: Vec::new(),
            leaves: 0..0,
        };
        if let Some(plan) = upload.reader.plan().cloned() {
            upload.parser = Some(upload.parser_of(plan));
        }
        Ok(upload)
    }

    fn parser_of(&self, plan: Arc<Plan>) -> RowParser {
        let region = self.new.default_region.map(|c| c.as_str().to_owned());
        let region = region.or_else(|| self.dataset.default_region.clone());
        let rules = Rules::strict(self.cell.clock().now().date());
        RowParser::new(plan, rules, region.as_deref())
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.unstored.extend(bytes);
        let mut events = Vec::new();
        self.reader.push(bytes, &mut |event| events.push(event)).map_err(|f| fault_of(&f))?;
        self.take(events).await
    }

    async fn finish(mut self) -> Outcome<ImportView> {
        let mut events = Vec::new();
        self.reader.finish(&mut |event| events.push(event)).map_err(|f| fault_of(&f))?;
        self.take(events).await?;
        while !self.waiting.is_empty() {
            self.store_slice().await?;
        }
        let scope = TenantScope(self.room.no);
        let quarantined = self.new.attestation.is_none();
        let to = if quarantined { ImportState::Quarantined } else { ImportState::Done };
        let row = cell_import(self.cell, scope, self.id).await?;
        let update = UpdateImport {
            id: self.id,
            from: row.state,
            to,
            expires_at: row.expires_at,
            meta: None,
        };
        let permit = self.permit().await?;
        let entry = permit
            .entry(self.call, ResourceType::Import)
            .resource_id(self.id)
            .dataset(self.dataset.id)
            .n(row.rows.stored);
        let (receipt, _) = self.cell.commit_write(&self.room, entry, None, None, update).await?;
        let row = cell_import(self.cell, scope, self.id).await?;
        Ok(Answer::stamped(view(self.cell, &self.room, &row)?, &receipt))
    }

    async fn take(&mut self, events: Vec<Event>) -> Result<(), Refusal> {
        for event in events {
            match event {
                Event::Plan(plan) => self.begin_plan(plan).await?,
                Event::Row(row) => {
                    let parser = self.parser.as_mut().ok_or(Fault::Internal("no plan"))?;
                    let parsed = match parser.parse(row) {
                        Ok(row) => Parsed::Row(Box::new(row)),
                        Err(refused) => Parsed::Refused(refused),
                    };
                    self.waiting.push(parsed);
                }
                Event::Refused(refused) => self.waiting.push(Parsed::Refused(refused)),
            }
            if self.waiting.len() >= SLICE_ROWS {
                self.store_slice().await?;
            }
        }
        Ok(())
    }

    /// The columns are known: decide on their categories, keep the plan and the headers, sealed.
    async fn begin_plan(&mut self, plan: Arc<Plan>) -> Result<(), Refusal> {
        self.parser = Some(self.parser_of(Arc::clone(&plan)));
        let permit = self.permit().await?;
        drop(permit);
        let meta = Meta {
            new: self.new.clone(),
            plan: Some(hex::encode(plan.to_bytes().as_slice())),
            charset: Some(plan.charset.name()),
        };
        let plain = serde_json::to_vec(&meta).map_err(|_| Fault::Internal("import meta"))?;
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
        self.cell.data().apply(TenantScope(self.room.no), update).await?;
        self.row.state = ImportState::Running;
        Ok(())
    }

    /// The permit of this upload; decided again whenever the control state moved.
    async fn permit(&mut self) -> Result<Permit, Refusal> {
        let plan = self.reader.plan().cloned();
        let ask = ask_of(self.call, &self.new, plan.as_deref());
        self.cell.permit(&self.room, self.call, &ask, ResourceType::Import).await
    }

    /// Stores the next slice: rows, progress and entry in one commit.
    async fn store_slice(&mut self) -> Result<(), Refusal> {
        let count = self.waiting.len().min(SLICE_ROWS);
        let slice: Vec<Parsed> = self.waiting.drain(..count).collect();
        let Some(last) = slice.last() else { return Ok(()) };
        let (next_byte, next_row) = (last.end_byte(), last.number() + 1);
        let taken = next_byte.saturating_sub(self.row.next_byte);
        let taken = usize::try_from(taken).unwrap_or(usize::MAX).min(self.unstored.len());
        let behind: Vec<u8> = self.unstored.drain(..taken).collect();
        self.prefix.push(&behind);
        let leaves = self.leaves_for(&slice).await?;
        let prepared = self.prepare(slice, leaves)?;
        loop {
            match self.commit(&prepared, next_byte, next_row).await {
                Err(refusal) if refusal.fault == Fault::Stale => {
                    self.permit = None;
                    self.cell.reload(&self.room).await?;
                }
                other => {
                    other?;
                    break;
                }
            }
        }
        self.row = cell_import(self.cell, TenantScope(self.room.no), self.id).await?;
        Ok(())
    }

    /// Leaves for the rows of a slice, from a block that is taken ahead.
    async fn leaves_for(&mut self, slice: &[Parsed]) -> Result<Vec<u32>, Refusal> {
        let rows = slice.iter().filter(|p| matches!(p, Parsed::Row(_))).count();
        let mut leaves = Vec::with_capacity(rows);
        while leaves.len() < rows {
            if self.leaves.is_empty() {
                let keys = self.room.keys()?;
                let first = keys.allocate(self.dataset.no, self.dataset.tree, LEAF_BLOCK).await?;
                self.leaves = first..first.saturating_add(LEAF_BLOCK);
            }
            leaves.extend(self.leaves.next());
        }
        Ok(leaves)
    }

    /// Seals the rows of a slice.
    fn prepare(&self, slice: Vec<Parsed>, leaves: Vec<u32>) -> Result<Prepared, Refusal> {
        let ring = self.room.ring()?;
        let created = self.cell.clock().now();
        let mut prepared = Prepared::default();
        let mut leaves = leaves.into_iter();
        for parsed in slice {
            prepared.rows.read += 1;
            match parsed {
                Parsed::Refused(refused) => prepared.refuse(&refused),
                Parsed::Row(row) => {
                    let leaf = leaves.next().ok_or(Fault::Internal("leaf"))?;
                    let at =
                        LeafAddress { dataset: self.dataset.no, tree: self.dataset.tree, leaf };
                    let number = row.number;
                    let lead = self.seal(&ring, at, &row, created)?;
                    prepared.numbers.push(number);
                    prepared.leads.push(lead);
                    prepared.parsed.push(*row);
                }
            }
        }
        prepared.rows.stored = prepared.leads.len() as u64;
        prepared.ranges = ranges_of(&prepared.leads);
        Ok(prepared)
    }

    fn seal(
        &self,
        ring: &Keyring,
        at: LeafAddress,
        row: &ParsedRow,
        created: Timestamp,
    ) -> Result<NewLead, Refusal> {
        let id = LeadId::make(self.cell.clock(), self.cell.entropy())?;
        let located = ring.locate(at)?;
        let sealer = located.sealer();
        let mut parts = Vec::with_capacity(2);
        let encoded = encode(&row.fields, FieldNo::compartment).map_err(|_| Fault::TooLarge)?;
        for (compartment, plain) in encoded {
            let blob = sealer.seal(id, SCHEMA, compartment, 1, &plain, self.cell.entropy())?;
            parts.push(Part { compartment, schema: SCHEMA, revision: 1, blob });
        }
        let regimes = self.dataset.origin.iter().copied();
        let labels = row
            .labels
            .with_regimes(regimes)
            .with(LabelFlag::Quarantined, self.new.attestation.is_none());
        Ok(NewLead {
            id,
            at,
            labels,
            tags: tags_of(ring, at, row)?,
            batch: Some(self.row.no),
            row_no: Some(row.number),
            created,
            parts,
        })
    }

    async fn commit(
        &mut self,
        prepared: &Prepared,
        next_byte: u64,
        next_row: u64,
    ) -> Result<(), Refusal> {
        if self.permit.is_none() {
            self.permit = Some(self.permit().await?);
        }
        let permit = self.permit.as_ref().ok_or(Fault::Internal("permit"))?;
        let cursor = match &self.row.cursor {
            Some(before) => {
                let plain = self.prefix.to_bytes();
                system::seal_again(self.cell, &self.room, before, self.id.bytes(), &plain)?
            }
            None => {
                let plain = self.prefix.to_bytes();
                system::seal_new(self.cell, self.room.keys()?, self.id.bytes(), &plain).await?
            }
        };
        let action = self.new.duplicates.as_ref().map(|d| d.action).unwrap_or_default();
        let lost_as = match action {
            DuplicateAction::Skip => LostAs::Skipped,
            DuplicateAction::Reject => LostAs::Rejected,
            DuplicateAction::Update => LostAs::Matched,
        };
        let step = StepImport {
            id: self.id,
            from_row: self.row.next_row,
            next_byte,
            next_row,
            rows: prepared.rows,
            ranges: prepared.ranges.clone(),
            cursor: Some(cursor),
        };
        let slice = LeadSlice { rows: prepared.leads.clone(), step: Some(step), lost_as };
        let failures = InsertImportFailures { id: self.id, failures: prepared.failures.clone() };
        let write: Write = if prepared.failures.is_empty() {
            slice.into()
        } else {
            vec![slice.into(), failures.into()].into()
        };
        let mut entry = permit
            .entry(self.call, ResourceType::Import)
            .resource_id(self.id)
            .dataset(self.dataset.id)
            .n(prepared.leads.len() as u64);
        if !prepared.ranges.is_empty() {
            entry = entry
                .refs_sha256(self.digest_of(&prepared.ranges)?)
                .covering_ranges(prepared.ranges.clone());
        }
        let asserted = Some(permit.write_generations());
        let (_, outcome) = self.cell.commit_write(&self.room, entry, None, asserted, write).await?;
        self.after(prepared, outcome, action).await
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

    /// Rows that met a lead that is there: listed, or merged into it.
    async fn after(
        &mut self,
        prepared: &Prepared,
        outcome: Written,
        action: DuplicateAction,
    ) -> Result<(), Refusal> {
        let lost = match outcome {
            Written::Slice(slice) => slice.lost,
            Written::Several(parts) => parts
                .into_iter()
                .find_map(|p| match p {
                    Written::Slice(slice) => Some(slice.lost),
                    _ => None,
                })
                .unwrap_or_default(),
            Written::Conflict(_) => return Err(Fault::InProgress.into()),
            _ => Vec::new(),
        };
        let scope = TenantScope(self.room.no);
        if action == DuplicateAction::Reject && !lost.is_empty() {
            let failures = lost
                .iter()
                .filter_map(|l| prepared.numbers.get(l.place))
                .map(|row| ImportFailure { row: *row, column: None, code: "duplicate" })
                .collect();
            let write = InsertImportFailures { id: self.id, failures };
            self.cell.data().apply(scope, write).await?;
        }
        if action == DuplicateAction::Update {
            for lost in lost {
                let (Some(row), Some(holder)) = (prepared.parsed.get(lost.place), lost.holder)
                else {
                    continue;
                };
                let changed = crate::leads::change::merge_row(
                    self.cell,
                    self.call,
                    &self.room,
                    holder,
                    &row.fields,
                )
                .await?;
                let rows = ImportRows {
                    updated: u64::from(changed),
                    skipped: u64::from(!changed),
                    ..ImportRows::default()
                };
                let now = cell_import(self.cell, scope, self.id).await?;
                let step = StepImport {
                    id: self.id,
                    from_row: now.next_row,
                    next_byte: now.next_byte,
                    next_row: now.next_row,
                    rows,
                    ranges: Vec::new(),
                    cursor: None,
                };
                self.cell.data().apply(scope, step).await?;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Prepared {
    leads: Vec<NewLead>,
    parsed: Vec<ParsedRow>,
    numbers: Vec<u64>,
    failures: Vec<ImportFailure>,
    ranges: Vec<LeafRange>,
    rows: ImportRows,
}

impl Prepared {
    fn refuse(&mut self, refused: &RefusedRow) {
        self.rows.rejected += 1;
        self.failures.push(ImportFailure {
            row: refused.number,
            column: refused.column.and_then(|c| u32::try_from(c).ok()),
            code: refused.code.as_str(),
        });
    }
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

fn tags_of(ring: &Keyring, at: LeafAddress, row: &ParsedRow) -> Result<LeadTags, Refusal> {
    let mut tags = LeadTags { index_epoch: ring.index_epoch(at.dataset), ..LeadTags::default() };
    for term in &row.terms {
        let tag = ring.tag(at.dataset, term.kind, term.normalised.expose().as_bytes())?.0;
        let home = match (term.place, term.kind) {
            (Place::Row, TagKind::EMAIL) => &mut tags.email,
            (Place::Row, TagKind::PHONE) => &mut tags.phone,
            (Place::Row, TagKind::DOMAIN) => &mut tags.domain,
            _ => {
                tags.more.push((term.kind, tag));
                continue;
            }
        };
        *home = Some(tag);
    }
    Ok(tags)
}

fn fault_of(fault: &FileFault) -> Fault {
    match fault {
        FileFault::NoHeaderRow => Fault::NoHeaderRow,
        FileFault::MappingNeeded(asks) => Fault::MappingNeeded(
            asks.iter()
                .map(|ask| Question {
                    column: ask.column,
                    choices: ask.choices.iter().map(|f| f.name()).collect(),
                })
                .collect(),
        ),
        FileFault::BadMapping => Fault::Invalid(vec![Pointed::new("#/mapping", "bad_mapping")]),
        FileFault::TooManyColumns => Fault::TooLarge,
    }
}

async fn cell_import(cell: &Cell, scope: TenantScope, id: ImportId) -> Result<ImportRow, Refusal> {
    Ok(cell.data().find_import(scope, id).await?.ok_or(Fault::NotFound)?)
}

/// An import of the tenant.
///
/// # Errors
/// [`Fault::NotFound`].
pub async fn find(cell: &Cell, call: &Call, id: ImportId) -> Outcome<ImportView> {
    let room = cell.room_of(call.caller.tenant)?;
    let row = cell_import(cell, TenantScope(room.no), id).await?;
    Ok(Answer::plain(view(cell, &room, &row)?))
}

/// Failures of an import: row, column, code; never a value.
///
/// # Errors
/// [`Fault::NotFound`].
pub async fn failures(
    cell: &Cell,
    call: &Call,
    id: ImportId,
) -> Outcome<Vec<leadvault_store::FailureRow>> {
    let room = cell.room_of(call.caller.tenant)?;
    let scope = TenantScope(room.no);
    let import = cell_import(cell, scope, id).await?;
    let mut rows: Vec<leadvault_store::FailureRow> = Vec::new();
    loop {
        let last = rows.last().cloned();
        let page = cell.data().list_import_failures(scope, import.no, last.as_ref()).await?;
        if page.is_empty() || rows.len() >= FAILURES_MAX {
            return Ok(Answer::plain(rows));
        }
        rows.extend(page);
    }
}

fn view(cell: &Cell, room: &Room, row: &ImportRow) -> Result<ImportView, Refusal> {
    let plan = plan_of_row(room, row)?;
    let elapsed = cell.clock().now().seconds_since(row.created_at);
    let running = row.state == ImportState::Running && elapsed > 0;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = running.then(|| row.rows.read as f64 / elapsed as f64);
    Ok(ImportView {
        id: row.id,
        state: row.state.as_str(),
        next_byte: row.next_byte,
        rows: row.rows,
        rate_per_second: rate,
        detected: plan.as_ref().map(detected),
        mapping: plan.as_ref().map(columns_of).unwrap_or_default(),
    })
}

/// What was detected of a file.
fn detected(plan: &Plan) -> Json {
    let csv = plan.format == super::Format::Csv;
    serde_json::json!({
        "encoding": plan.charset.name(),
        "delimiter": csv.then(|| char::from(plan.dialect.delimiter).to_string()),
        "quote": csv.then_some("\""),
        "header": plan.header,
    })
}

fn columns_of(plan: &Plan) -> Vec<ColumnView> {
    plan.columns
        .iter()
        .enumerate()
        .map(|(index, column)| ColumnView {
            index,
            column: column.header.expose().clone(),
            field: column.mapped().map(FieldNo::name),
            category: column.category(),
            by: column.by.as_str(),
        })
        .collect()
}

/// The plan an import was read under; `None` before its header was seen or without a key.
pub(crate) fn plan_of_row(room: &Room, row: &ImportRow) -> Result<Option<Plan>, Refusal> {
    let Some(sealed) = &row.meta else { return Ok(None) };
    let plain = system::open(room, LvKind::Small, row.id.bytes(), sealed)?;
    let meta: Meta = serde_json::from_slice(&plain).map_err(|_| Fault::Internal("import meta"))?;
    let Some(plan) = meta.plan else { return Ok(None) };
    let bytes = hex::decode(plan).map_err(|_| Fault::Internal("plan"))?;
    Ok(Some(Plan::from_bytes(&bytes).map_err(|_| Fault::Internal("plan"))?))
}

/// The plan of an import by its number.
///
/// # Errors
/// What store and keys say.
pub(crate) async fn plan_of(cell: &Cell, room: &Room, no: u32) -> Result<Option<Plan>, Refusal> {
    let row = cell.data().find_import_by_no(TenantScope(room.no), no).await?;
    Ok(row.map(|row| plan_of_row(room, &row)).transpose()?.flatten())
}

/// The import a lead came with.
///
/// # Errors
/// What the store says.
pub(crate) async fn id_of(
    cell: &Cell,
    room: &Room,
    batch: Option<u32>,
) -> Result<Option<ImportId>, Refusal> {
    let Some(batch) = batch else { return Ok(None) };
    if let Some(id) = room.known_import(batch) {
        return Ok(Some(id));
    }
    let row = cell.data().find_import_by_no(TenantScope(room.no), batch).await?;
    if let Some(row) = &row {
        room.remember_import(batch, row.id);
    }
    Ok(row.map(|row| row.id))
}

/// The cells of a lead as they came, header by header.
///
/// # Errors
/// What store and keys say.
pub(crate) async fn cells_of(
    cell: &Cell,
    room: &Room,
    batch: Option<u32>,
    fields: &leadvault_domain::Fields,
) -> Result<Option<Vec<(String, String)>>, Refusal> {
    let Some(batch) = batch else { return Ok(None) };
    let Some(plan) = plan_of(cell, room, batch).await? else {
        return Ok(None);
    };
    let cells = super::rebuild_cells(&plan, fields);
    let text = |p: &Personal| p.expose().clone();
    Ok(Some(cells.iter().map(|(h, c)| (text(h), text(c))).collect()))
}

/// Imports by their numbers, as rooms remember them.
pub(crate) type KnownImports = HashMap<u32, ImportId>;
