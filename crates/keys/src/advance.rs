//! Moving the epoch: steps 1 to 3 of protocols.md 1.1, and the queue in front of them.
//!
//! *Natural batching*: changes wait in a queue while an advance is under way; the next one takes them all
//! and moves the epoch once. There is no timer. The queue belongs to the keys and not to the caller: one
//! who hangs up cancels nothing. Between nodes the compare-and-set decides; the loser applies its changes
//! to the winner's directory.

use std::sync::{Arc, PoisonError};

use leadvault_crypto::{SecretKey, sha256};
use leadvault_domain::{DirectoryId, Measured, SPANS, Timestamp};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::change::Draft;
use crate::directory::DIRECTORY_BYTES_WARN;
use crate::envelope::{make_id, seal_directory, seal_epoch_key, seal_hop};
use crate::kek::Keks;
use crate::keyring::Keyring;
use crate::settle::Settled;
use crate::tenant_keys::Inner;
use crate::view::{View, look};
use crate::{
    Change, Decided, Decision, DirectoryRow, HeadRow, HopRow, KekRow, KeyError, PageRow, SlotRecord,
};

/// Lost compare-and-sets in a row before the callers are told; each one means another node advanced.
const ATTEMPTS_MAX: usize = 16;
/// Pages beyond this many bytes are inserted before the deciding transaction, in slices of this size.
const SLICE_BYTES: usize = 1 << 20;

/// An epoch was reached, forgotten by the slot and confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// The epoch.
    pub epoch: u32,
    /// SHA-256 of its directory's blob: what the log calls the state.
    pub state: [u8; 32],
    /// When this node saw it forgotten and confirmed.
    pub confirmed_at: Timestamp,
    /// Whether every live node confirmed within a second. If not, the erasure is forgotten but a node may
    /// still hold the old keys in memory for at most three seconds.
    pub all_nodes: bool,
    /// Whether a dataset, tree or tag key came or went: writers reload their keyring (`dir_gen`).
    pub structural: bool,
}

/// Changes of one caller, waiting.
pub(crate) struct Request {
    changes: Vec<Change>,
    answer: oneshot::Sender<Result<Advanced, KeyError>>,
}

/// The same epoch for each caller whose changes were not refused.
fn answers(
    applied: Vec<Result<(), KeyError>>,
    ring: &Keyring,
    structural: bool,
    settled: Settled,
) -> Vec<Result<Advanced, KeyError>> {
    let Settled { confirmed_at, all_nodes } = settled;
    let (epoch, state) = (ring.epoch(), ring.state());
    let advanced = Advanced { epoch, state, confirmed_at, all_nodes, structural };
    applied.into_iter().map(|result| result.map(|()| advanced)).collect()
}

enum Attempt {
    Done(Vec<Result<Advanced, KeyError>>),
    Lost,
}

impl Inner {
    /// Queues the changes and waits for the epoch that holds them.
    pub(crate) async fn enqueue(
        self: &Arc<Self>,
        changes: Vec<Change>,
    ) -> Result<Advanced, KeyError> {
        let (answer, receiver) = oneshot::channel();
        let began = self.services.clock.now();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(Request { changes, answer });
        // A task of its own: dropping the caller's future must not drop other callers' changes.
        drop(tokio::spawn(Arc::clone(self).drain()));
        let span = tracing::info_span!(target: SPANS, "keys.advance");
        let advanced = receiver.instrument(span).await.unwrap_or(Err(KeyError::Interrupted));
        let (done, took) = (advanced.is_ok(), self.services.clock.now().since(began));
        self.services.observer.observe(&Measured::KeysAdvanced { done, took });
        advanced
    }

    async fn drain(self: Arc<Self>) {
        let _turn = self.turn.lock().await;
        let batch = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.is_empty() {
            return;
        }
        let changes: Vec<&[Change]> = batch.iter().map(|request| &request.changes[..]).collect();
        let results = match self.run(&changes).await {
            Ok(results) => results,
            Err(error) => vec![Err(error); batch.len()],
        };
        for (request, result) in batch.into_iter().zip(results) {
            // A caller that hung up does not read its answer.
            let _unread = request.answer.send(result);
        }
    }

    async fn run(&self, batch: &[&[Change]]) -> Result<Vec<Result<Advanced, KeyError>>, KeyError> {
        for _ in 0..ATTEMPTS_MAX {
            if let Attempt::Done(results) = self.attempt(batch).await? {
                return Ok(results);
            }
        }
        Err(KeyError::Contended)
    }

    /// One round: look, apply, decide, settle.
    async fn attempt(&self, batch: &[&[Change]]) -> Result<Attempt, KeyError> {
        let present = self.ring()?;
        let mut keks = Keks::new(&self.services, self.tenant);
        let who = (self.tenant, self.no);
        let view = look(&mut keks, &self.services, who, 0, Some(Arc::clone(&present))).await?;
        let mut settled = None;
        if !view.path.is_empty() || view.head.forgotten_epoch < view.head.epoch {
            settled = Some(self.settle(&view, None).await?);
        }
        self.services.reached("advance.1.read");

        let entropy = self.services.entropy.as_ref();
        let mut draft = Draft::new(&view.ring.book);
        let applied: Vec<Result<(), KeyError>> =
            batch.iter().map(|changes| draft.apply_all(changes, entropy)).collect();
        if !draft.is_changed() {
            // Everything was there or gone already, and the slot has forgotten: nothing to decide.
            self.install(&view.ring);
            let settled = match settled {
                Some(settled) => settled,
                None => self.confirm(view.head.epoch).await?,
            };
            return Ok(Attempt::Done(answers(applied, &view.ring, false, settled)));
        }
        let structural = draft.structural;
        let Some((next, pages)) = self.decide(&mut keks, &view, draft).await? else {
            return Ok(Attempt::Lost);
        };
        self.services.reached("advance.3.decided");
        let settled = self.settle(&next, Some(pages)).await?;
        Ok(Attempt::Done(answers(applied, &next.ring, structural, settled)))
    }

    /// Steps 2 and 3. `None` if another node decided first. The new epoch key is in no view but the next.
    async fn decide(
        &self,
        keks: &mut Keks<'_>,
        view: &View,
        mut draft: Draft,
    ) -> Result<Option<(View, Vec<PageRow>)>, KeyError> {
        let (services, tenant) = (&self.services, self.tenant);
        let entropy = services.entropy.as_ref();
        let epoch = view.head.epoch.checked_add(1).ok_or(KeyError::CounterExhausted)?;
        let pages = draft.seal_pages(tenant, services.clock.now(), entropy)?;
        draft.book.epoch = epoch;
        if draft.structural {
            draft.book.structural_epoch = epoch;
        }
        let id = DirectoryId::from_bytes(make_id(entropy)?);
        let (record, key, kek) =
            self.next_record(keks, view, (epoch, id), draft.rotates_kek).await?;
        let blob = seal_directory(&key, tenant, (epoch, id), &draft.book.to_bytes()?, entropy)?;
        if blob.len() > DIRECTORY_BYTES_WARN {
            tracing::warn!(keys.directory_bytes = blob.len(), "a key directory has grown large");
        }
        let hop = HopRow {
            tenant,
            epoch,
            directory: id,
            blob: seal_hop(&view.key, tenant, &record, entropy)?,
        };
        let directory = DirectoryRow { tenant, directory: id, epoch, blob };
        services.reached("advance.2.applied");

        let (inline, staged) = self.stage(&pages).await?;
        let decision = Decision {
            tenant,
            expected_epoch: view.head.epoch,
            expected_directory: view.head.directory,
            directory: directory.clone(),
            pages: inline,
            staged,
            hop: hop.clone(),
            kek,
        };
        if services.blobs.decide(decision).await? == Decided::Lost {
            return Ok(None);
        }
        let ring = Arc::new(Keyring {
            tenant,
            no: self.no,
            directory: id,
            state: sha256(&[&directory.blob]),
            book: draft.book,
        });
        let head = HeadRow { epoch, directory: id, ..view.head };
        let slot = view.record().clone();
        let next = View { head, slot, path: vec![record], hops: vec![hop], key, directory, ring };
        Ok(Some((next, pages)))
    }

    /// A fresh random epoch key, never derived, in the record the slot will hold.
    async fn next_record(
        &self,
        keks: &mut Keks<'_>,
        view: &View,
        (epoch, directory): (u32, DirectoryId),
        rotates: bool,
    ) -> Result<(SlotRecord, SecretKey, Option<KekRow>), KeyError> {
        let entropy = self.services.entropy.as_ref();
        let present = view.record();
        let (kek_gen, kek, row) = if rotates {
            let kek_gen = present.kek_gen.checked_add(1).ok_or(KeyError::CounterExhausted)?;
            let (kek, row) = keks.make(kek_gen).await?;
            (kek_gen, kek, Some(row))
        } else {
            (present.kek_gen, keks.find(present.kek_gen).await?, None)
        };
        let key = SecretKey::make(entropy)?;
        let sealed = seal_epoch_key(&kek, self.tenant, (epoch, directory), &key, entropy)?;
        let slot_id = present.slot_id;
        Ok((SlotRecord { slot_id, epoch, kek_gen, directory, sealed }, key, row))
    }

    /// Pages of a small advance go into the deciding transaction; those of a mass erasure go before it.
    async fn stage(
        &self,
        pages: &[PageRow],
    ) -> Result<(Vec<PageRow>, Vec<leadvault_domain::PageId>), KeyError> {
        if pages.iter().map(|page| page.blob.len()).sum::<usize>() <= SLICE_BYTES {
            return Ok((pages.to_vec(), Vec::new()));
        }
        let mut slice = Vec::new();
        let mut bytes = 0;
        for page in pages {
            bytes += page.blob.len();
            slice.push(page.clone());
            if bytes > SLICE_BYTES {
                self.services.blobs.insert_pages(std::mem::take(&mut slice)).await?;
                bytes = 0;
            }
        }
        if !slice.is_empty() {
            self.services.blobs.insert_pages(slice).await?;
        }
        Ok((Vec::new(), pages.iter().map(|page| page.page).collect()))
    }
}
