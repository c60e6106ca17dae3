//! Erasure of a lead, search for a lead, shred of a dataset: small and large, in turns.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::arguments::Options;
use crate::embedded::{LARGE_SEED, SMALL_LEADS, SMALL_SEED, World};
use crate::load::{self, Calls};
use crate::process::Server;
use crate::report::{Goal, Report};
use crate::stopwatch::{Latencies, Stopwatch};
use crate::tenant::Tenant;

/// Erasures of a turn in each dataset.
const ERASURES: usize = 3;

/// Exact search by e-mail in the small and in the large dataset.
///
/// # Errors
/// What the server says.
pub(crate) async fn search(
    world: &World,
    server: &Server,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let caller = world.tenant.acting(server.address);
    let length = Duration::from_secs(options.seconds) / 2;
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for _ in 0..options.turns {
        for (dataset, seed, count, into) in [
            (&world.small, SMALL_SEED, SMALL_LEADS, &mut small),
            (&world.large, LARGE_SEED, options.leads, &mut large),
        ] {
            let calls = Calls::Search { dataset: dataset.clone(), seed, count };
            let loaded = load::run(server, &caller, calls, 1, length).await?;
            into.push(loaded.latencies.quantile(0.5));
        }
    }
    let ratios = large.iter().zip(&small).map(|(large, small)| large / small).collect();
    report.add(&format!("exact search, {SMALL_LEADS} leads: p50"), "ms", small);
    report.add(&format!("exact search, {} leads: p50", options.leads), "ms", large);
    report.add("exact search, large ÷ small", "×", ratios).goal(Goal::AtMost(1.5));
    Ok(())
}

/// Erasure of one lead in the tiny and in the large dataset.
///
/// # Errors
/// What the server says.
pub(crate) async fn erase(
    world: &World,
    server: &Server,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let count = ERASURES * options.turns;
    let tiny = world.tenant.leads(server, &world.tiny, count).await?;
    let large = world.tenant.leads(server, &world.large, count).await?;
    let (mut tiny_ms, mut large_ms) = (Vec::new(), Vec::new());
    for (tiny, large) in tiny.chunks(ERASURES).zip(large.chunks(ERASURES)) {
        tiny_ms.push(erase_all(world, server, tiny).await?);
        large_ms.push(erase_all(world, server, large).await?);
    }
    let ratios = large_ms.iter().zip(&tiny_ms).map(|(large, tiny)| large / tiny).collect();
    let what = "answer with the signed receipt, which waits for the checkpoint that covers it";
    report.add("erase one lead of 1,000: p50", "ms", tiny_ms).note(what);
    report
        .add(&format!("erase one lead of {}: p50", options.leads), "ms", large_ms)
        .goal(Goal::AtMost(50.0))
        .note(what);
    report.add("erase, large ÷ 1,000", "×", ratios).goal(Goal::AtMost(1.5));
    Ok(())
}

async fn erase_all(world: &World, server: &Server, ids: &[String]) -> anyhow::Result<f64> {
    let mut http = world.tenant.plain(server.address).await?;
    let mut latencies = Latencies::default();
    for id in ids {
        let watch = Stopwatch::start();
        let path = format!("/v1/leads/{id}/erase");
        http.json(Method::POST, &path, Some(&json!({})), Some(&format!("bench-{id}")), 200).await?;
        latencies.push(watch.elapsed());
    }
    Ok(latencies.quantile(0.5))
}

/// Shreds a dataset; milliseconds until the answer, from which on nothing of it opens.
///
/// # Errors
/// What the server says.
pub(crate) async fn shred(tenant: &Tenant, server: &Server, dataset: &str) -> anyhow::Result<f64> {
    let mut http = tenant.plain(server.address).await?;
    let watch = Stopwatch::start();
    let path = format!("/v1/datasets/{dataset}/shred");
    let (body, key) = (json!({ "confirm": dataset }), format!("bench-{dataset}"));
    http.json(Method::POST, &path, Some(&body), Some(&key), 202).await?;
    Ok(watch.seconds() * 1e3)
}
