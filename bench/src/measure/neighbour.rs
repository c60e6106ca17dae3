//! What one tenant's reads and writes feel of another tenant's import.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::arguments::Options;
use crate::embedded::{NEIGHBOUR_SEED, World};
use crate::load::{self, Calls};
use crate::measure::import;
use crate::process::Server;
use crate::report::{Goal, Report};
use crate::tenant::Tenant;

/// Leads of the neighbour.
const NEIGHBOUR_LEADS: u64 = 1_000;
/// One connection that reads and one that writes: what is measured is the wait, not the throughput.
const CONNECTIONS: usize = 1;

/// Measures a neighbour alone, and again while the large tenant imports.
///
/// # Errors
/// What the server says.
pub(crate) async fn run(
    world: &World,
    server: &Server,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let neighbour = Tenant::make(&world.vault, server).await?;
    let dataset = neighbour.dataset(server, "neighbour").await?;
    import::run(server, &neighbour, &dataset, NEIGHBOUR_SEED, NEIGHBOUR_LEADS).await?;
    let ids = neighbour.leads(server, &dataset, 1_000).await?;
    let caller = neighbour.acting(server.address);
    let write = |seed| Calls::Write { dataset: dataset.clone(), seed };

    let length = Duration::from_secs(options.seconds);
    let idle = load::run(server, &caller, Calls::Read(ids.clone()), CONNECTIONS, length).await?;
    let idle_writes =
        load::run(server, &caller, write(NEIGHBOUR_SEED + 1), CONNECTIONS, length).await?;

    let other = world.tenant.dataset(server, "beside a neighbour").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let reading = load::start(&caller, Calls::Read(ids), CONNECTIONS, &stop).await?;
    let writing = load::start(&caller, write(NEIGHBOUR_SEED + 2), CONNECTIONS, &stop).await?;
    let imported =
        import::run(server, &world.tenant, &other, NEIGHBOUR_SEED, options.leads).await?;
    stop.store(true, Ordering::Release);
    let (reads, writes) = (reading.finish().await?, writing.finish().await?);

    for (name, latencies) in [
        ("read of a neighbour, alone", &idle.latencies),
        ("read of a neighbour, during an import", &reads),
        ("write of a neighbour, alone", &idle_writes.latencies),
        ("write of a neighbour, during an import", &writes),
    ] {
        let values = [0.5, 0.99, 1.0].map(|part| latencies.quantile(part));
        report.add(&format!("{name}: p99"), "ms", vec![values[1]]).note(format!(
            "1 connection, {} calls, p50 {:.1} ms, longest {:.1} ms",
            latencies.len(),
            values[0],
            values[2]
        ));
    }
    report
        .add("import beside a reading and a writing neighbour", "rows/s", vec![imported.rate])
        .note(format!("{} rows", options.leads));
    let felt = reads.quantile(0.99) / idle.latencies.quantile(0.99);
    report
        .add("read of a neighbour, during an import ÷ alone: p99", "×", vec![felt])
        .goal(Goal::AtMost(3.0));
    Ok(())
}
