//! A closed loop over several connections: each sends its next call when its last is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use hyper::Method;
use serde_json::{Value, json};

use crate::http::{Caller, Connection};
use crate::leads;
use crate::machine;
use crate::process::{Server, own_cpu_seconds};
use crate::stopwatch::{Latencies, Stopwatch};

/// What a loop calls.
#[derive(Debug)]
pub(crate) enum Calls {
    /// Reads of these leads, two fields each, in a scattered order.
    Read(Vec<String>),
    /// New leads in a dataset, of a seed of their own.
    Write {
        /// The dataset.
        dataset: String,
        /// Which people.
        seed: u64,
    },
    /// Exact search by e-mail among the first `count` leads of a seed.
    Search {
        /// The dataset.
        dataset: String,
        /// Which people.
        seed: u64,
        /// How many there are.
        count: u64,
    },
}

/// What came of a loop.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Latencies.
    pub(crate) latencies: Latencies,
    /// The load generator's part of all cores, 0 to 1.
    pub(crate) own_share: f64,
    /// The server's part of all cores, 0 to 1.
    pub(crate) server_share: f64,
}

/// Runs a loop for a time.
///
/// # Errors
/// An answer that is not the expected one.
pub(crate) async fn run(
    server: &Server,
    caller: &Caller,
    calls: Calls,
    connections: usize,
    length: Duration,
) -> anyhow::Result<Loaded> {
    let stop = Arc::new(AtomicBool::new(false));
    let task = start(caller, calls, connections, &stop).await?;
    let (watch, own, served) = (Stopwatch::start(), own_cpu_seconds()?, server.cpu_seconds()?);
    tokio::time::sleep(length).await;
    let seconds = watch.seconds();
    let (own, served) = (own_cpu_seconds()? - own, server.cpu_seconds()? - served);
    stop.store(true, Ordering::Release);
    let latencies = task.finish().await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of answers")]
    let (rate, cores) = (latencies.len() as f64 / seconds, machine::cores() as f64 * seconds);
    Ok(Loaded { rate, latencies, own_share: own / cores, server_share: served / cores })
}

/// A loop that runs until its flag is set.
#[derive(Debug)]
pub(crate) struct Running(Vec<tokio::task::JoinHandle<anyhow::Result<Latencies>>>);

impl Running {
    /// Waits for the last answers.
    ///
    /// # Errors
    /// An answer that was not the expected one.
    pub(crate) async fn finish(self) -> anyhow::Result<Latencies> {
        let mut all = Latencies::default();
        for task in self.0 {
            all.extend(&task.await??);
        }
        Ok(all)
    }
}

/// Starts a loop.
///
/// # Errors
/// When nobody listens.
pub(crate) async fn start(
    caller: &Caller,
    calls: Calls,
    connections: usize,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Running> {
    let (calls, next) = (Arc::new(calls), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut http = Connection::open(caller).await?;
        let (calls, next, stop) = (Arc::clone(&calls), Arc::clone(&next), Arc::clone(stop));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Latencies::default();
            while !stop.load(Ordering::Acquire) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let watch = Stopwatch::start();
                call(&mut http, &calls, n).await?;
                latencies.push(watch.elapsed());
            }
            Ok(latencies)
        }));
    }
    Ok(Running(tasks))
}

async fn call(http: &mut Connection, calls: &Calls, n: u64) -> anyhow::Result<()> {
    match calls {
        Calls::Read(ids) => {
            let at = usize::try_from(leads::mix(n) % ids.len().max(1) as u64)?;
            let id = ids.get(at).map(String::as_str).unwrap_or_default();
            let path = format!("/v1/leads/{id}?fields=email,phone");
            let (status, _) = http.call(Method::GET, &path, None, None).await?;
            ensure!(status == 200, "a read was answered {status}");
        }
        Calls::Write { dataset, seed } => {
            let body = new_lead(dataset, *seed, n);
            http.json(Method::POST, "/v1/leads", Some(&body), None, 201).await?;
        }
        Calls::Search { dataset, seed, count } => {
            let [_, _, email, ..] = leads::lead(*seed, leads::mix(n) % count).cells;
            let body = json!({ "dataset": dataset, "match": { "email": email },
                               "fields": ["email"] });
            let found = http.json(Method::POST, "/v1/leads/search", Some(&body), None, 200).await?;
            let hits = found["data"].as_array().map_or(0, Vec::len);
            ensure!(hits == 1, "a search found {hits} leads");
        }
    }
    Ok(())
}

/// The body of a new lead.
fn new_lead(dataset: &str, seed: u64, n: u64) -> Value {
    let [first, last, email, phone, company, website, job, city, country, source, owner, notes] =
        leads::lead(seed, n).cells;
    json!({
        "dataset": dataset,
        "fields": {
            "first_name": first, "last_name": last, "email": email, "phone": phone,
            "company": company, "website": website, "job_title": job, "city": city,
            "country": country, "source": source, "owner": owner,
        },
        "notes": [{ "text": notes }],
    })
}
