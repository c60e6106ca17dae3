//! The end of the rendering: parts that hold a lead erased or changed meanwhile are rendered again, then one
//! instant is found at which the log and the parts agree (protocols.md 7).
//!
//! Erasures are followed to the last: a file is not ready while one of its parts holds an erased lead. Changes
//! are followed for a bounded number of rounds, or an export of a busy tenant would never end: a lead that
//! changes after that is in it as it was.

use std::time::Duration;

use leadvault_store::{ExportMoment, SpoilExportParts};

use super::job::Job;
use super::part;
use super::render::Render;
use crate::error::{Fault, Refusal};

/// Rounds in which changed leads are rendered again.
const CHANGED_ROUNDS: u32 = 2;
/// Rounds in all; an erasure between two of them asks for another.
const ROUNDS_MAX: u32 = 64;
/// How long an erasure that was just requested is given to say which exports hold its lead.
const PAUSE: Duration = Duration::from_millis(50);

/// Renders until everything holds; returns the instant at which it did.
///
/// # Errors
/// What store, journal and keys say; [`Fault::NotReady`] when erasures keep coming.
pub(crate) async fn settle(job: &Job<'_>, leads: &mut Render<'_>) -> Result<ExportMoment, Refusal> {
    for round in 0..ROUNDS_MAX {
        part::render_all(job, leads).await?;
        if round < CHANGED_ROUNDS && spoil_changed(job).await? {
            continue;
        }
        let moment = job.cell.data().find_export_moment(job.scope(), job.row.id).await?;
        if moment.unrendered == 0 && moment.erasing == 0 {
            return Ok(moment);
        }
        if moment.unrendered == 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(Fault::NotReady.into())
}

/// Marks parts whose range is not as it was when they were rendered; whether there were any.
async fn spoil_changed(job: &Job<'_>) -> Result<bool, Refusal> {
    let (data, scope, id) = (job.cell.data(), job.scope(), job.row.id);
    let mut changed = Vec::new();
    for part in data.list_export_parts(scope, id).await? {
        if data.count_rows_seen(scope, part.range).await? != part.holds.seen {
            changed.push(part.no);
        }
    }
    if changed.is_empty() {
        return Ok(false);
    }
    let row = data.find_export(scope, id).await?.ok_or(Fault::NotFound)?;
    let spoil = SpoilExportParts { id, parts: changed, file_leaf: row.file_leaf };
    // A conflict: an erasure came first. The next round sees what it left.
    data.apply(scope, spoil).await?;
    Ok(true)
}
