//! The package of an export, made of its parts: no lead is opened for it, only the parts, under an entry of
//! their own.
//!
//! ```text
//! leads-0001.jsonl …   the lines of the parts as they are, at most 64 MiB to a file
//! leads-0001.csv …     the same lines once more: all parts together tell the columns
//! ```
//! What follows is in [`super::job`]: register, schema, description, log, tag files.

use leadvault_domain::DatasetNo;
use leadvault_keys::ObjectOpener;
use leadvault_ledger::CommittedReceipt;
use leadvault_store::{ExportPartRow, ExportStep, ObjectName, UpdateExport};
use zeroize::Zeroizing;

use super::artifact::Reader;
use super::columns::{Columns, Layout};
use super::csv;
use super::job::Job;
use super::line_in::{self, Lines};
use super::package::Packer;
use crate::error::{Fault, Refusal};
use crate::system;

/// JSON lines of one file of the package, unless a single part is larger.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A part and the openers of its two readings.
struct Opened {
    part: ExportPartRow,
    lines: ObjectOpener,
    rows: ObjectOpener,
}

/// What the lead files came to.
#[derive(Debug)]
pub(crate) struct LeadFiles {
    /// Leads in all of them.
    pub(crate) leads: u64,
    /// Live leads that stay out.
    pub(crate) withheld: u64,
    /// Columns of the CSV.
    pub(crate) layout: Layout,
    /// Leads in the files of each number, from 1.
    pub(crate) rows: Vec<u64>,
}

/// Records that the file of an export is begun, under a new leaf; removes what an earlier try left.
///
/// # Errors
/// What keys and store say; [`Fault::ExportStale`] once the export is over.
pub(crate) async fn begin(job: &Job<'_>) -> Result<(u32, ObjectName), Refusal> {
    let (cell, room, id) = (job.cell, job.room, job.row.id);
    let before = cell.data().find_export(job.scope(), id).await?.ok_or(Fault::NotFound)?;
    if let Some(leaf) = before.file_leaf
        && room.ring()?.is_live(system::leaf(leaf))
    {
        system::erase(room, &[leaf]).await?;
    }
    if let Some(object) = before.object {
        cell.data().objects().delete(room.id, object).await?;
    }
    let leaf = room.keys()?.allocate(DatasetNo::SYSTEM, system::SYSTEM_TREE, 1).await?;
    let object = ObjectName::make(cell.entropy())?;
    let step = ExportStep::Assemble { leaf, object };
    if cell.data().apply(job.scope(), UpdateExport { id, step }).await?.is_conflict() {
        return Err(Fault::ExportStale.into());
    }
    Ok((leaf, object))
}

/// Writes the lead files from the parts, opened under `receipt`.
///
/// # Errors
/// [`Fault::ExportStale`] where a part was erased meanwhile; what keys and files say.
pub(crate) async fn lead_files(
    job: &Job<'_>,
    packer: &mut Packer,
    receipt: &CommittedReceipt,
) -> Result<LeadFiles, Refusal> {
    let parts = opened(job, receipt).await?;
    let withheld = parts.iter().map(|p| p.part.holds.withheld).sum();
    let groups = grouped(parts);
    let mut columns = Columns::default();
    let mut rows = Vec::with_capacity(groups.len());
    let mut second = Vec::with_capacity(groups.len());
    for (n, group) in groups.into_iter().enumerate() {
        packer.begin(&path(n, "jsonl")).await?;
        let mut count = 0;
        let mut openers = Vec::with_capacity(group.len());
        for Opened { part, lines, rows } in group {
            let mut reading = Reading::new(job, &part, lines);
            while let Some(lines) = reading.next().await? {
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    line_in::parse(line).ok_or(PART)?.see(&mut columns);
                }
                packer.write(lines).await?;
            }
            count += part.holds.leads;
            openers.push((part, rows));
        }
        packer.end();
        rows.push(count);
        second.push(openers);
    }
    let layout = columns.layout();
    for (n, group) in second.into_iter().enumerate() {
        packer.begin(&path(n, "csv")).await?;
        packer.write(head(&layout)).await?;
        for (part, opener) in group {
            let mut reading = Reading::new(job, &part, opener);
            while let Some(lines) = reading.next().await? {
                let mut out = Zeroizing::new(Vec::with_capacity(lines.len()));
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    let lead = line_in::parse(line).ok_or(PART)?;
                    lead.push_csv(&layout, &mut out).map_err(|_| Fault::Internal("row"))?;
                }
                packer.write(out).await?;
            }
        }
        packer.end();
    }
    Ok(LeadFiles { leads: rows.iter().sum(), withheld, layout, rows })
}

/// A part that is not what was written.
const PART: Fault = Fault::Internal("part");

/// Path of a lead file in the package.
fn path(n: usize, ending: &str) -> String {
    format!("data/leads-{:04}.{ending}", n + 1)
}

fn head(layout: &Layout) -> Zeroizing<Vec<u8>> {
    let mut head = Zeroizing::new(Vec::new());
    let names = layout.names();
    csv::push_row(&mut head, names.iter().map(|name| name.expose().as_str()));
    head
}

/// All openers at once, while the receipt is young.
async fn opened(job: &Job<'_>, receipt: &CommittedReceipt) -> Result<Vec<Opened>, Refusal> {
    let parts = job.cell.data().list_export_parts(job.scope(), job.row.id).await?;
    let mut opened = Vec::with_capacity(parts.len());
    for part in parts {
        let leaf = part.leaf.ok_or(Fault::ExportStale)?;
        let lines = system::release(job.cell, job.room, leaf, receipt).await?;
        let rows = system::release(job.cell, job.room, leaf, receipt).await?;
        opened.push(Opened { part, lines, rows });
    }
    Ok(opened)
}

/// Consecutive parts, as many as fit into a file; one empty group where there are none.
fn grouped(parts: Vec<Opened>) -> Vec<Vec<Opened>> {
    let mut groups = vec![Vec::new()];
    let mut bytes = 0_u64;
    for part in parts {
        let more = part.part.holds.bytes;
        if bytes > 0 && bytes.saturating_add(more) > FILE_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(more);
        if let Some(group) = groups.last_mut() {
            group.push(part);
        }
    }
    groups
}

/// One reading of a part, whole lines at a time.
struct Reading {
    reader: Reader,
    lines: Lines,
    left: u64,
}

impl Reading {
    fn new(job: &Job<'_>, part: &ExportPartRow, opener: ObjectOpener) -> Self {
        let bytes = part.holds.bytes;
        let reader = Reader::new(job.place(part.object), opener, bytes, 0, bytes);
        Self { reader, lines: Lines::default(), left: part.holds.leads }
    }

    /// The next lines; `None` at the end, where there must have been as many as the part holds leads.
    async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        while let Some(piece) = self.reader.next().await? {
            if let Some(lines) = self.lines.push(&piece) {
                let count = lines.split(|byte| *byte == b'\n').count() as u64 - 1;
                self.left = self.left.checked_sub(count).ok_or(PART)?;
                return Ok(Some(lines));
            }
        }
        if self.left == 0 && self.lines.is_empty() { Ok(None) } else { Err(PART) }
    }
}
