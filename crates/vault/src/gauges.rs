//! What a cell holds at one moment: queues, key rings, connections. For telemetry, which looks now and then; no look
//! waits for anything.

use leadvault_domain::Lane;
use leadvault_store::PoolGauge;

use crate::cell::Cell;

impl Cell {
    /// Operations that wait for a lane of the journal.
    pub fn queued(&self, lane: Lane) -> u64 {
        self.journal().queued(lane) as u64
    }

    /// Whether the last commit of the journal worked.
    pub fn journal_is_writable(&self) -> bool {
        self.journal().is_writable()
    }

    /// Logs with entries that are durable and not published yet.
    pub fn unpublished_logs(&self) -> u64 {
        self.journal().dirty().open() as u64
    }

    /// Tenants whose keys are in memory; and those whose keys are suspended, destroyed or not to be had.
    pub fn keyrings(&self) -> (u64, u64) {
        let (open, closed): (Vec<_>, Vec<_>) =
            self.rooms().into_iter().partition(|room| room.ring().is_ok());
        (open.len() as u64, closed.len() as u64)
    }

    /// Connections, by store (`data`, `keys`).
    pub fn pools(&self) -> impl Iterator<Item = (&'static str, PoolGauge)> {
        let of = |store, pools: Vec<PoolGauge>| pools.into_iter().map(move |pool| (store, pool));
        of("data", self.data().pools()).chain(of("keys", self.parts().key_store.pools()))
    }
}
