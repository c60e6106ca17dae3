//! What follows a decision, whoever made it: mirror, control, FORGET, confirm, hygiene
//! (protocols.md 1.1, steps 3 to 7).
//!
//! Every step is idempotent, and the same function serves the node that decided, a node that helps, and a
//! start after a crash. The mirror is durable before the slot is touched *in each of those cases*: a node
//! that only helps would otherwise forget the one key that opens the only mirrored set.

use std::time::Duration;

use leadvault_domain::{PageId, Timestamp};

use crate::tenant_keys::Inner;
use crate::view::View;
use crate::{KeyError, MirrorError, NodeEpochRow, PageRow, SlotError, TenantRows, Unreferenced};

/// Age at which a page that no head ever named is swept, in seconds.
const UNNAMED_SECONDS: i64 = 3_600;
/// A node not heard of for so long has dropped its keys by itself, in seconds.
const NODE_SILENT_SECONDS: i64 = 3;
/// How long an advance waits for the other nodes, in steps of [`CONFIRM_PAUSE`]: one second.
const CONFIRM_LOOKS: u32 = 50;
/// Pause between two looks at what the nodes confirm.
const CONFIRM_PAUSE: Duration = Duration::from_millis(20);

/// How an epoch was settled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    pub(crate) confirmed_at: Timestamp,
    pub(crate) all_nodes: bool,
}

impl Inner {
    /// Settles the head of `view`. `new_pages` are the pages this advance made; `None` = not known, so all
    /// pages are offered to the mirror.
    pub(crate) async fn settle(
        &self,
        view: &View,
        new_pages: Option<Vec<PageRow>>,
    ) -> Result<Settled, KeyError> {
        let services = &self.services;
        self.write_mirror(view, new_pages).await?;
        services.reached("advance.3.mirrored");
        if let Some(control) = &services.control {
            let structural = view.ring.book.structural_epoch;
            control.raise_key_epoch(self.no, view.head.epoch, structural).await?;
        }
        services.reached("advance.4.control");
        self.install(&view.ring);
        self.forget(view).await?;
        services.reached("advance.5.slot");
        services.blobs.raise_forgotten(self.tenant, view.head.epoch).await?;
        services.reached("advance.6.forgotten");
        let settled = self.confirm(view.head.epoch).await?;
        services.reached("advance.6.confirmed");
        self.sweep_blobs(view).await;
        services.reached("advance.7.swept");
        Ok(settled)
    }

    async fn write_mirror(
        &self,
        view: &View,
        new_pages: Option<Vec<PageRow>>,
    ) -> Result<(), KeyError> {
        let Some(mirror) = &self.services.mirror else { return Ok(()) };
        let live = view.ring.book.page_ids();
        let offered = match new_pages {
            Some(pages) => pages,
            None => self.all_pages(&live).await?,
        };
        let mut rows = self.tenant_rows(view, offered).await?;
        match mirror.store(&rows, &live).await {
            // The mirror is younger than some page: give it all of them.
            Err(MirrorError::Damaged) => {
                rows.pages = self.all_pages(&live).await?;
                Ok(mirror.store(&rows, &live).await?)
            }
            other => Ok(other?),
        }
    }

    async fn tenant_rows(&self, view: &View, pages: Vec<PageRow>) -> Result<TenantRows, KeyError> {
        let blobs = &self.services.blobs;
        Ok(TenantRows {
            head: view.head,
            directory: view.directory.clone(),
            pages,
            hops: view.hops.clone(),
            keks: blobs.list_keks(self.tenant).await?,
            hwm: blobs.list_leaves(self.tenant).await?,
        })
    }

    async fn all_pages(&self, live: &[PageId]) -> Result<Vec<PageRow>, KeyError> {
        let mut rows = Vec::with_capacity(live.len());
        for page in live {
            let row = self.services.blobs.find_page(self.tenant, *page).await?;
            rows.push(row.ok_or(KeyError::PageDamaged { tenant: self.tenant, page: *page })?);
        }
        Ok(rows)
    }

    /// Step 5. The head's record was seen opening the head's directory before it comes here (the view was
    /// opened with it), so nothing goes into the slot that does not open. A slot that is further on already
    /// has forgotten this epoch's predecessor too.
    async fn forget(&self, view: &View) -> Result<(), KeyError> {
        let own = [view.slot.clone()];
        let records = if view.path.is_empty() { &own[..] } else { &view.path[..] };
        for record in records {
            match self.services.slot.advance(self.tenant, record).await {
                Ok(()) => {}
                Err(SlotError::LowerEpoch { held, offered }) if held > offered => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// Confirms the epoch for this node and waits for the others, at most a second.
    pub(crate) async fn confirm(&self, epoch: u32) -> Result<Settled, KeyError> {
        let clock = &self.services.clock;
        let Some(node) = self.services.node else {
            return Ok(Settled { confirmed_at: clock.now(), all_nodes: true });
        };
        self.say_epoch(node, epoch).await?;
        let mut all_nodes = false;
        for _ in 0..CONFIRM_LOOKS {
            let since = clock.now().plus_seconds(-NODE_SILENT_SECONDS);
            let nodes = self.services.blobs.list_node_epochs(self.tenant, since).await?;
            all_nodes = nodes.iter().all(|row| row.epoch >= epoch);
            if all_nodes {
                break;
            }
            tokio::time::sleep(CONFIRM_PAUSE).await;
        }
        Ok(Settled { confirmed_at: clock.now(), all_nodes })
    }

    pub(crate) async fn say_epoch(&self, node: [u8; 16], epoch: u32) -> Result<(), KeyError> {
        let seen_at = self.services.clock.now();
        let row = NodeEpochRow { node, tenant: self.tenant, epoch, seen_at };
        Ok(self.services.blobs.upsert_node_epoch(row).await?)
    }

    /// Step 7. What stays behind opens under no key that is left, so a failure here is only untidy: it is
    /// said and done again by the next advance or start.
    pub(crate) async fn sweep_blobs(&self, view: &View) {
        let what = Unreferenced {
            tenant: self.tenant,
            head_epoch: view.head.epoch,
            head_directory: view.head.directory,
            live_pages: view.ring.book.page_ids(),
            unnamed_before: self.services.clock.now().plus_seconds(-UNNAMED_SECONDS),
            hops_through: view.head.epoch,
            keks_below: view.record().kek_gen,
        };
        if let Err(error) = self.services.blobs.delete_unreferenced(what).await {
            tracing::warn!(keys.epoch = view.head.epoch, %error, "old key blobs were not swept");
        }
        if let Some(mirror) = &self.services.mirror
            && let Err(error) = mirror.keep_only(self.tenant, view.head.epoch).await
        {
            tracing::warn!(keys.epoch = view.head.epoch, %error, "old mirror sets were not swept");
        }
    }
}
