//! What a cell holds at one moment: queues, key rings, connections. For telemetry, which looks now and then.

use leadvault_domain::Lane;
use leadvault_store::PoolGauge;

use crate::cell::Cell;

/// A look at a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellGauges {
    /// Operations that wait for each lane of the journal.
    pub queued: Vec<(Lane, u64)>,
    /// Whether the last commit worked.
    pub journal_is_writable: bool,
    /// Logs with entries that are durable and not published yet.
    pub unpublished_logs: u64,
    /// Tenants whose keys are in memory.
    pub open_keyrings: u64,
    /// Tenants whose keys are suspended, destroyed or not to be had.
    pub closed_keyrings: u64,
    /// Connections, by store (`data`, `keys`).
    pub pools: Vec<(&'static str, PoolGauge)>,
}

impl Cell {
    /// Looks, without waiting for anything.
    pub fn gauges(&self) -> CellGauges {
        let queued = |lane: &Lane| (*lane, self.journal().queued(*lane) as u64);
        let rooms = self.rooms();
        let open = rooms.iter().filter(|room| room.ring().is_ok()).count() as u64;
        let of = |store, pools: Vec<PoolGauge>| pools.into_iter().map(move |pool| (store, pool));
        CellGauges {
            queued: Lane::ALL.iter().map(queued).collect(),
            journal_is_writable: self.journal().is_writable(),
            unpublished_logs: self.journal().dirty().open() as u64,
            open_keyrings: open,
            closed_keyrings: (rooms.len() as u64).saturating_sub(open),
            pools: of("data", self.data().pools())
                .chain(of("keys", self.parts().key_store.pools()))
                .collect(),
        }
    }
}
