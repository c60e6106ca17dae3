//! What is looked at whenever metrics are wanted: queues, key rings, connections.

use std::sync::{Arc, Weak};

use leadvault_domain::Lane;
use leadvault_vault::{Cell, PoolGauge};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// What one look says: values with their attributes.
type Look = fn(&Cell) -> Vec<(u64, Vec<KeyValue>)>;

/// Each gauge: its name, its unit, what it says, and where it looks.
const GAUGES: &[(&str, &str, &str, Look)] = &[
    (
        "leadvault.journal.queue.depth",
        "{operation}",
        "Operations that wait for a lane of the journal.",
        |cell| {
            let name = |lane: Lane| vec![KeyValue::new("leadvault.lane", lane.as_str())];
            Lane::ALL.iter().map(|lane| (cell.queued(*lane), name(*lane))).collect()
        },
    ),
    (
        "leadvault.journal.writable",
        "",
        "1 where the last commit worked, 0 where it did not.",
        |cell| vec![(u64::from(cell.journal_is_writable()), Vec::new())],
    ),
    (
        "leadvault.log.unpublished",
        "{log}",
        "Logs with entries that are durable and not published yet.",
        |cell| vec![(cell.unpublished_logs(), Vec::new())],
    ),
    ("leadvault.keys.rings", "{tenant}", "Tenants, by whether their keys are in memory.", |cell| {
        let state = |state| vec![KeyValue::new("leadvault.state", state)];
        let (open, closed) = cell.keyrings();
        vec![(open, state("open")), (closed, state("closed"))]
    }),
    (
        "db.client.connection.count",
        "{connection}",
        "Open connections, by pool and state.",
        |cell| {
            let by_state = |(store, pool): (&str, PoolGauge)| {
                let state = |state| {
                    let state = KeyValue::new("db.client.connection.state", state);
                    vec![pool_name(store, pool.name), state]
                };
                [(pool.used, state("used")), (pool.idle, state("idle"))]
            };
            cell.pools().flat_map(by_state).collect()
        },
    ),
    ("db.client.connection.max", "{connection}", "Connections a pool may have.", |cell| {
        cell.pools().map(|(store, pool)| (pool.max, vec![pool_name(store, pool.name)])).collect()
    }),
];

fn pool_name(store: &str, pool: &str) -> KeyValue {
    KeyValue::new("db.client.connection.pool.name", format!("{store}.{pool}"))
}

/// Looks at a cell for as long as it lives.
pub(super) fn watch(meter: &Meter, cell: &Arc<Cell>) {
    for (name, unit, says, look) in GAUGES {
        let cell: Weak<Cell> = Arc::downgrade(cell);
        let gauge = meter.u64_observable_gauge(*name).with_unit(*unit).with_description(*says);
        gauge
            .with_callback(move |told| {
                let Some(cell) = cell.upgrade() else { return };
                for (value, attributes) in look(&cell) {
                    told.observe(value, &attributes);
                }
            })
            .build();
    }
}
