//! Parts of an export: JSON lines of a range of leaves, in a sealed file under a leaf of their own.
//!
//! A part is recorded as open before its first lead is read, so that an erasure finds it; it counts only once
//! its file is durable and no lead of it was erased meanwhile. A restart goes on behind the last part.

use std::sync::Arc;

use leadvault_domain::{DatasetNo, LeafRange};
use leadvault_keys::SystemBox;
use leadvault_store::{
    CloseExportPart, ExportPartRow, ObjectName, OpenExportPart, Outcome, PartHolds, PartState,
};
use zeroize::Zeroizing;

use super::artifact::{Place, Writer};
use super::job::Job;
use super::render::Render;
use crate::error::{Fault, Refusal};
use crate::system;

/// Where a part ends: what a restart loses at most, and what an erasure has rendered again. With a page on
/// top it stays below the 64 MiB of protocols.md 7.
const PART_BYTES: u64 = 16 * 1024 * 1024;
/// Room for the text of a page that is not unusual, in bytes.
const LINES_BYTES: usize = 512 * 1024;

/// Renders every part that cannot be used, and what no part covers yet.
///
/// # Errors
/// What store, journal and keys say; [`Fault::ExportStale`] once the export is over.
pub(crate) async fn render_all(job: &Job<'_>, leads: &mut Render<'_>) -> Result<(), Refusal> {
    let (data, scope) = (job.cell.data(), job.scope());
    let parts = data.list_export_parts(scope, job.row.id).await?;
    let extents = data.list_export_extents(scope, job.row.id).await?;
    let again = unusable(job, &parts)?;
    forget(job, &again).await?;
    for part in &again {
        let is_last = extents.iter().any(|extent| ends_with(extent, &part.range));
        render(job, leads, part.no, part.range, is_last).await?;
    }
    for extent in extents {
        while let Some((no, rest)) = uncovered(job, &extent).await? {
            render(job, leads, no, rest, true).await?;
        }
    }
    Ok(())
}

/// Parts that a crash left open, that lost a lead, or whose leaf is gone: an old database was put back.
fn unusable(job: &Job<'_>, parts: &[ExportPartRow]) -> Result<Vec<ExportPartRow>, Fault> {
    let ring = job.room.ring()?;
    let is_live = |part: &ExportPartRow| part.leaf.is_some_and(|l| ring.is_live(system::leaf(l)));
    let usable = |part: &ExportPartRow| part.state == PartState::Rendered && is_live(part);
    Ok(parts.iter().filter(|part| !usable(part)).copied().collect())
}

/// Punctures the leaves of parts and removes their files.
async fn forget(job: &Job<'_>, parts: &[ExportPartRow]) -> Result<(), Refusal> {
    let ring = job.room.ring()?;
    let live = |leaf: &u32| ring.is_live(system::leaf(*leaf));
    let leaves: Vec<u32> = parts.iter().filter_map(|part| part.leaf).filter(live).collect();
    system::erase(job.room, &leaves).await?;
    for part in parts {
        job.cell.data().objects().delete(job.room.id, part.object).await?;
    }
    Ok(())
}

fn ends_with(extent: &LeafRange, part: &LeafRange) -> bool {
    (extent.dataset, extent.tree, extent.end) == (part.dataset, part.tree, part.end)
}

/// Number and range of the next part of an extent; `None` where parts cover all of it.
async fn uncovered(job: &Job<'_>, extent: &LeafRange) -> Result<Option<(u32, LeafRange)>, Refusal> {
    let parts = job.cell.data().list_export_parts(job.scope(), job.row.id).await?;
    let of_extent = |part: &&ExportPartRow| {
        (part.range.dataset, part.range.tree) == (extent.dataset, extent.tree)
    };
    let covered = parts.iter().filter(of_extent).map(|part| part.range.end).max().unwrap_or(0);
    if covered >= extent.end {
        return Ok(None);
    }
    let no = parts.iter().map(|part| part.no + 1).max().unwrap_or(0);
    let first = u32::try_from(covered).map_err(|_| Fault::Internal("part"))?;
    Ok(Some((no, LeafRange { first, ..*extent })))
}

/// Renders a part of `range`: all of it, or to the page that fills the part where another may follow.
async fn render(
    job: &Job<'_>,
    leads: &mut Render<'_>,
    no: u32,
    range: LeafRange,
    may_end_early: bool,
) -> Result<(), Refusal> {
    let (cell, room, id) = (job.cell, job.room, job.row.id);
    let leaf = room.keys()?.allocate(DatasetNo::SYSTEM, system::SYSTEM_TREE, 1).await?;
    let object = ObjectName::make(cell.entropy())?;
    let open = OpenExportPart { id, no, range, leaf, object };
    if cell.data().apply(job.scope(), open).await?.is_conflict() {
        return Err(Fault::ExportStale.into());
    }
    let mut writer = job.writer(object, room.ring()?.system(leaf)?);
    let mut holds = PartHolds::default();
    let mut rest = range;
    let mut end = range.end;
    while let Some(page) = leads.page(rest).await? {
        let mut out = Zeroizing::new(Vec::with_capacity(LINES_BYTES));
        for lead in &page.leads {
            lead.push_json(&mut out).map_err(|_| Fault::Internal("line"))?;
        }
        holds.bytes += out.len() as u64;
        holds.leads += page.leads.len() as u64;
        holds.withheld += page.withheld;
        holds.seen.rows += page.seen.rows;
        holds.seen.versions += page.seen.versions;
        writer = on_thread(move || writer.push(&out).map(|()| writer)).await?;
        cell.fail_point("export.page");
        job.progress(page.leads.len() as u64).await?;
        rest = page.left;
        if may_end_early && holds.bytes >= PART_BYTES && u64::from(rest.first) < end {
            end = rest.first.into();
            break;
        }
    }
    holds.chunks = on_thread(move || writer.finish()).await?.chunks;
    let close = CloseExportPart { id, no, leaf, end, holds };
    match cell.data().apply(job.scope(), close).await? {
        // A lead of it was erased: it is found again among those that cannot be used.
        Outcome::Conflict(_) => {}
        _ => cell.fail_point("export.part"),
    }
    Ok(())
}

/// Runs what seals and writes on a thread that may block.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Internal("part"))?
}

impl Job<'_> {
    /// Where an object of this export lies.
    pub(crate) fn place(&self, name: ObjectName) -> Place {
        Place {
            objects: self.cell.data().objects().clone(),
            tenant: self.room.id,
            name,
            record: self.row.id.bytes(),
        }
    }

    /// A new object of this export, under a leaf of its own.
    pub(crate) fn writer(&self, name: ObjectName, system: SystemBox) -> Writer {
        let entropy = Arc::clone(&self.cell.parts().entropy);
        Writer::new(self.place(name), system, entropy, tokio::runtime::Handle::current())
    }
}
