//! Commits: an entry alone, an entry with a write, and what is done again when the control state moved.

use std::future::Future;

use leadvault_domain::{Lane, SPANS};
use leadvault_ledger::{CommittedReceipt, EntryDraft, Generations, Op};
use leadvault_store::{Conflict, Outcome as Written, Write};
use tracing::{Instrument as _, Span};

use crate::cell::Cell;
use crate::changes;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// How often a call is decided when the control state moves under it, before it gives up.
const DECISIONS_MAX: usize = 16;

impl Cell {
    /// Commits an entry to a tenant's log.
    ///
    /// # Errors
    /// [`Fault::Stale`] where the control state moved; [`Fault::JournalUnwritable`], in which case
    /// nothing may be released.
    pub(crate) async fn commit(
        &self,
        room: &Room,
        entry: EntryDraft,
        asserted: Option<Generations>,
    ) -> Result<CommittedReceipt, Refusal> {
        let committed = self.journal().commit(room.no, entry.finish()?, asserted);
        Ok(committed.instrument(commit_span(Lane::Journal)).await?)
    }

    /// Commits a write with its entry.
    ///
    /// # Errors
    /// [`Fault::Stale`], [`Fault::JournalUnwritable`]; [`Fault::InProgress`] where another node did the same
    /// request meanwhile. Any other conflict is an outcome.
    pub(crate) async fn commit_write(
        &self,
        room: &Room,
        entry: EntryDraft,
        otherwise: Option<EntryDraft>,
        asserted: Option<Generations>,
        write: impl Into<Write>,
    ) -> Result<(CommittedReceipt, Written), Refusal> {
        let (write, told) = changes::told(self, room, write.into())?;
        let op = Op {
            log: room.no,
            entry: entry.finish()?,
            otherwise: otherwise.map(EntryDraft::finish).transpose()?,
            asserted,
            write: Some(write),
        };
        self.fail_point("write.committing");
        let committed = self.journal().commit_write(op).instrument(commit_span(Lane::Write));
        let (receipt, outcome, _) = committed.await?;
        self.fail_point("write.committed");
        match told.outcome(outcome.unwrap_or(Written::Done)) {
            Written::Conflict(Conflict::Replayed(_)) => Err(Fault::InProgress.into()),
            outcome => Ok((receipt, outcome)),
        }
    }

    /// Runs a use case; where the control state moved under it, reloads and runs it again. Calls that were
    /// overtaken go one after the other, so that a crowd of them (each exit writes its own instruction) does
    /// not keep overtaking itself.
    ///
    /// # Errors
    /// What the use case returned; [`Fault::Overloaded`] when it kept moving.
    pub(crate) async fn settled<T, F, Fut>(&self, room: &Room, mut attempt: F) -> Result<T, Refusal>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Refusal>>,
    {
        match attempt().await {
            Err(refusal) if refusal.fault == Fault::Stale => {}
            other => return other,
        }
        let _alone = room.overtaken.lock().await;
        for _ in 1..DECISIONS_MAX {
            self.reload(room).await?;
            match attempt().await {
                Err(refusal) if refusal.fault == Fault::Stale => {}
                other => return other,
            }
        }
        Err(Fault::Overloaded.into())
    }
}

/// From the queue of a lane to the receipt.
fn commit_span(lane: Lane) -> Span {
    tracing::info_span!(target: SPANS, "journal.commit", leadvault.lane = lane.as_str())
}
