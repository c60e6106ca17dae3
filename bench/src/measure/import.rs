//! An import over HTTP: its rate, quarter by quarter, and the memory it takes.

use std::time::Duration;

use anyhow::ensure;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::http::Connection;
use crate::leads;
use crate::machine;
use crate::process::{Server, own_cpu_seconds};
use crate::stopwatch::Stopwatch;
use crate::tenant::{Tenant, text};

/// How often the import is asked how far it is. It commits some fifty slices a second.
const POLL: Duration = Duration::from_millis(50);

/// What came of an import.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Rows a second, over all.
    pub(crate) rate: f64,
    /// Rows a second of each quarter of the rows.
    pub(crate) quarters: [f64; 4],
    /// Peak resident memory of the server since it was started, in bytes.
    pub(crate) peak_bytes: u64,
    /// The load generator's part of all cores, 0 to 1.
    pub(crate) own_share: f64,
    /// The server's part of all cores, 0 to 1.
    pub(crate) server_share: f64,
}

/// What the controller attests of them: the sample that ships.
const ATTESTATION: &str = include_str!("../../../crates/leadvault/sample/attestation.json");

/// Imports generated leads into a dataset.
///
/// # Errors
/// A row that was not stored, or what the server says.
pub(crate) async fn run(
    server: &Server,
    tenant: &Tenant,
    dataset: &str,
    seed: u64,
    count: u64,
) -> anyhow::Result<Imported> {
    let caller = tenant.acting(server.address);
    let mut http = Connection::open(&caller).await?;
    let body = json!({
        "dataset": dataset, "format": "csv",
        "duplicates": { "by": ["email"], "action": "skip" },
        "attestation": serde_json::from_str::<Value>(ATTESTATION)?,
    });
    let opened = http.json(Method::POST, "/v1/imports", Some(&body), None, 201).await?;
    let path = format!("/v1/imports/{}", text(&opened, "id")?);
    let (over, ended) = oneshot::channel();
    let watch = Stopwatch::start();
    let (own, served) = (own_cpu_seconds()?, server.cpu_seconds()?);
    let followed =
        tokio::spawn(follow(Connection::open(&caller).await?, path.clone(), watch, ended));
    let done = http.put(&format!("{path}/content"), leads::csv(seed, count)).await?;
    let seconds = watch.seconds();
    let (own, served) = (own_cpu_seconds()? - own, server.cpu_seconds()? - served);
    // The follower may have ended with an error of its own, which is told below.
    let _ = over.send(());
    let mut steps = followed.await??;
    steps.push((seconds, count));
    let stored = done["rows"]["stored"].as_u64().unwrap_or(0);
    ensure!(stored == count, "{stored} of {count} rows were stored: {}", done["rows"]);
    let (_, peak_bytes) = server.memory()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of rows and cores")]
    let (rate, cores) = (count as f64 / seconds, machine::cores() as f64 * seconds);
    Ok(Imported {
        rate,
        quarters: quarters(&steps, count),
        peak_bytes,
        own_share: own / cores,
        server_share: served / cores,
    })
}

/// Seconds and rows read, until it is over.
async fn follow(
    mut http: Connection,
    path: String,
    watch: Stopwatch,
    mut ended: oneshot::Receiver<()>,
) -> anyhow::Result<Vec<(f64, u64)>> {
    let mut steps = vec![(0.0, 0)];
    loop {
        tokio::select! {
            _ = &mut ended => return Ok(steps),
            () = tokio::time::sleep(POLL) => {}
        }
        let state = http.json(Method::GET, &path, None, None, 200).await?;
        steps.push((watch.seconds(), state["rows"]["read"].as_u64().unwrap_or(0)));
    }
}

/// Rows a second of each quarter; between two answers the rows came evenly.
fn quarters(steps: &[(f64, u64)], count: u64) -> [f64; 4] {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let time_of = |rows: u64| {
        let after = steps.iter().position(|(_, n)| *n >= rows).unwrap_or(steps.len());
        let at = |i: usize| steps.get(i).copied().unwrap_or_default();
        let (before, after) = (at(after.saturating_sub(1)), at(after));
        let part = (rows - before.1) as f64 / (after.1.saturating_sub(before.1)).max(1) as f64;
        before.0 + (after.0 - before.0) * part
    };
    let mut rates = [0.0; 4];
    for (quarter, rate) in (1..=4).zip(&mut rates) {
        let (from, to) = (count * (quarter - 1) / 4, count * quarter / 4);
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let rows = (to - from) as f64;
        *rate = rows / (time_of(to) - if from == 0 { 0.0 } else { time_of(from) });
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::quarters;

    #[test]
    fn a_quarter_ends_where_its_last_row_was_read() {
        // 100 rows: the first half in one second, the rest in two.
        let steps = [(0.0, 0), (1.0, 50), (3.0, 100)];
        let off = quarters(&steps, 100).into_iter().zip([50.0, 50.0, 25.0, 25.0]);
        assert!(off.into_iter().all(|(rate, wanted)| (rate - wanted).abs() < 1e-9));
    }
}
