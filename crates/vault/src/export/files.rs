//! The files of leads in the package: `data/files/<id>`, byte for byte, and `data/files.jsonl`, which says what each is.
//!
//! A file goes out where every lead of it does, its category is covered and nothing is masked. Each page of them is an
//! entry before its first byte. One whose stored bytes were damaged keeps nobody from leaving: what came before the
//! damage is in, and its line says so.

use leadvault_domain::{Category, FileId, LeadId, Masking, Timestamp};
use leadvault_keys::ObjectOpener;
use leadvault_ledger::ResourceType;
use leadvault_store::{FileRow, LeadRow};
use serde::Serialize;
use zeroize::Zeroizing;

use super::job::Job;
use super::package::Packer;
use crate::error::{Fault, Refusal};
use crate::files::{FileMeta, FileReader};
use crate::gate::{Permit, hidden};
use crate::leads::list::policy_row;
use crate::system;

/// Files under one entry.
const PAGE: u32 = 50;

/// A line of `data/files.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    id: FileId,
    path: String,
    name: Option<&'a str>,
    size: Option<u64>,
    #[serde(rename = "type")]
    media_type: Option<&'a str>,
    sha256: Option<&'a str>,
    leads: Vec<LeadId>,
    created_at: Timestamp,
    /// Its stored bytes are not those that were written: the content is cut before them.
    damaged: bool,
}

/// A file that was written.
struct Packed {
    id: FileId,
    damaged: bool,
}

/// Writes the files of an export; the index of the last entry for them.
///
/// # Errors
/// What keys, store and journal say; a denial where the instruction was withdrawn meanwhile.
pub(super) async fn write(job: &Job<'_>, packer: &mut Packer) -> Result<Option<u64>, Refusal> {
    let (mut after, mut packed, mut last) = (None, Vec::new(), None);
    loop {
        let dataset = job.row.dataset;
        let page = job.cell.data().list_complete_files(job.scope(), dataset, after, PAGE).await?;
        let Some(end) = page.last().map(|row| row.id) else { break };
        let permit = job.permit().await?;
        let page = allowed(job, &permit, page).await?;
        if !page.is_empty() {
            last = Some(write_page(job, packer, &permit, page, &mut packed).await?);
        }
        after = Some(end);
    }
    if !packed.is_empty() {
        describe(job, packer, &packed).await?;
    }
    Ok(last)
}

fn path(id: FileId) -> String {
    format!("data/files/{id}")
}

/// What of a page goes out. A file of after the beginning of the export is not in it, as its leads' changes are not.
async fn allowed(
    job: &Job<'_>,
    permit: &Permit,
    page: Vec<FileRow>,
) -> Result<Vec<FileRow>, Refusal> {
    let covered = permit.masking == Masking::None && permit.fields.covers_category(Category::File);
    let mut allowed = Vec::new();
    for row in page {
        if covered && row.created_at < job.row.created_at && goes_out(job, permit, &row).await? {
            allowed.push(row);
        }
    }
    Ok(allowed)
}

async fn goes_out(job: &Job<'_>, permit: &Permit, row: &FileRow) -> Result<bool, Refusal> {
    let (data, scope) = (job.cell.data(), job.scope());
    let Some(home) = job.room.control().dataset_by_no(row.dataset) else { return Ok(false) };
    let links = data.list_file_links(scope, row.id).await?;
    // One without leads is erasing.
    if links.is_empty() {
        return Ok(false);
    }
    for link in links {
        let lead: Option<LeadRow> = data.find_lead(scope, link.lead).await?;
        let goes = lead.is_some_and(|lead| {
            !hidden(lead.labels) && permit.rows.denial(&policy_row(&lead, home.id)).is_none()
        });
        if !goes {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn write_page(
    job: &Job<'_>,
    packer: &mut Packer,
    permit: &Permit,
    page: Vec<FileRow>,
    packed: &mut Vec<Packed>,
) -> Result<u64, Refusal> {
    let (cell, room) = (job.cell, job.room);
    let entry = job
        .entry(permit.entry(job.call(), ResourceType::Export))
        .categories([Category::File])
        .n(page.len() as u64)
        .bytes(page.iter().map(|row| row.size).sum());
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    // All openers at once, while the receipt is young.
    let mut opened: Vec<(FileRow, FileMeta, ObjectOpener)> = Vec::with_capacity(page.len());
    for row in page {
        match system::release(cell, room, row.meta.leaf, &receipt).await {
            Ok(opener) => match FileMeta::open(room, &row) {
                Ok(meta) => opened.push((row, meta, opener)),
                Err(Fault::NotFound) => {}
                // Not even its name is left.
                Err(_) => packed.push(Packed { id: row.id, damaged: true }),
            },
            // It went meanwhile.
            Err(refusal) if refusal.fault == Fault::NotFound => {}
            Err(other) => return Err(other),
        }
    }
    for (row, meta, opener) in opened {
        let parts = cell.data().list_file_parts(job.scope(), row.id).await?;
        let span = (0, meta.size);
        let mut reader = FileReader::new(cell, room, (&row, meta.size), opener, parts, span);
        packer.begin(&path(row.id)).await?;
        let damaged = loop {
            match reader.next().await {
                Ok(Some(bytes)) => packer.write(Zeroizing::new(bytes.to_vec())).await?,
                Ok(None) => break false,
                Err(Fault::ContentDamaged) => break true,
                Err(Fault::NotFound) => return Err(Fault::ExportStale.into()),
                Err(other) => return Err(other.into()),
            }
        };
        packer.end();
        packed.push(Packed { id: row.id, damaged });
    }
    Ok(receipt.index())
}

async fn describe(job: &Job<'_>, packer: &mut Packer, packed: &[Packed]) -> Result<(), Refusal> {
    let (data, scope) = (job.cell.data(), job.scope());
    packer.begin("data/files.jsonl").await?;
    for Packed { id, damaged } in packed {
        // Gone meanwhile: the export is stale, and made again.
        let row = data.find_file(scope, *id).await?.ok_or(Fault::ExportStale)?;
        let meta = match FileMeta::open(job.room, &row) {
            Ok(meta) => Some(meta),
            Err(Fault::NotFound) => return Err(Fault::ExportStale.into()),
            Err(_) => None,
        };
        let meta = meta.as_ref();
        let links = data.list_file_links(scope, *id).await?;
        let line = Line {
            id: *id,
            path: path(*id),
            name: meta.map(|meta| meta.name.as_str()),
            size: meta.map(|meta| meta.size),
            media_type: meta.and_then(|meta| meta.media_type.as_deref()),
            sha256: meta.and_then(|meta| meta.sha256.as_deref()),
            leads: links.iter().map(|link| link.lead).collect(),
            created_at: row.created_at,
            damaged: *damaged,
        };
        let text = serde_json::to_vec(&line).map_err(|_| Fault::Internal("files"))?;
        let mut text = Zeroizing::new(text);
        text.push(b'\n');
        packer.write(text).await?;
    }
    packer.end();
    Ok(())
}
