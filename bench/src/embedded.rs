//! The run: what is measured in which order, on one vault.
//!
//! Small before large, because a database grows: starts and memory, a small import, throughput, the large
//! import, what happens beside it and after it, and at the end the baselines from the rows it left.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::arguments::Options;
use crate::machine;
use crate::measure::import::Imported;
use crate::measure::{baseline, erase, export, import, neighbour, throughput};
use crate::process::{Program, Server, Vault};
use crate::report::{Goal, Report};
use crate::stopwatch::Stopwatch;
use crate::tenant::Tenant;

/// Leads of the dataset that small imports and searches are measured on.
pub(crate) const SMALL_LEADS: u64 = 10_000;
/// Leads of the dataset that small erasures are measured on.
pub(crate) const TINY_LEADS: u64 = 1_000;
/// People of each dataset.
pub(crate) const SMALL_SEED: u64 = 0x0010_0000;
pub(crate) const LARGE_SEED: u64 = 0x0020_0000;
pub(crate) const NEIGHBOUR_SEED: u64 = 0x0030_0000;
pub(crate) const TINY_SEED: u64 = 0x0040_0000;
/// Leads that reads are scattered over.
const READ_IDS: usize = 2_000;
const MIB: f64 = 1_048_576.0;

/// The vault under measurement.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) vault: Vault,
    pub(crate) tenant: Tenant,
    pub(crate) tiny: String,
    pub(crate) small: String,
    pub(crate) large: String,
    /// Where single writes go.
    pub(crate) written: String,
    /// Leads of `small` that are read.
    pub(crate) read_ids: Vec<String>,
}

/// Measures, prints the table, and removes what it made.
///
/// # Errors
/// Too little space, or a server that does not do what it is asked.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let free = machine::require_space(&options.dir, options.leads)?;
    // Removed when it is dropped, on errors too.
    let dir = tempfile::Builder::new().prefix("leadvault-bench-").tempdir_in(&options.dir)?;
    let mut about = json!({
        "commit": commit(), "leads": options.leads, "turns": options.turns,
        "seconds_per_turn": options.seconds, "free_bytes": free,
        "machine": machine::describe(dir.path())?,
    });
    eprintln!("{about}");
    let mut report = Report::default();
    measure(dir.path(), options, &mut report).await?;
    if let Some(about) = about.as_object_mut() {
        about.insert("load_average_at_the_end".to_owned(), machine::load_average().into());
        about.insert("seconds".to_owned(), watch.seconds().round().into());
    }
    println!("{}", heading(&about));
    println!("{}", report.table());
    if let Some(path) = &options.json {
        report.write(path, &about)?;
    }
    Ok(())
}

pub(crate) fn heading(about: &Value) -> String {
    let machine = &about["machine"];
    format!(
        "commit {}; {} cores, {}; load before {}, after {}; fdatasync {} µs; {} leads; {} s in all\n",
        about["commit"].as_str().unwrap_or("unknown"),
        machine["cores"],
        machine["processor"].as_str().unwrap_or("unknown processor"),
        machine["load_average"].as_str().unwrap_or("?"),
        about["load_average_at_the_end"].as_str().unwrap_or("?"),
        machine["fdatasync_microseconds_median"],
        about["leads"],
        about["seconds"],
    )
}

/// The commit, and whether the tree differs from it.
pub(crate) fn commit() -> Option<String> {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    Some(text.trim().to_owned())
}

async fn measure(dir: &Path, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let vault = Vault::init(dir.join("vault"))?;
    idle(&vault, options, report)?;
    let (mut world, small) = prepare(vault).await?;
    throughput::run(&world, options, report).await?;

    let before = used_bytes(&world.vault).await?;
    let server = world.vault.start(Program::Product)?;
    world.large = world.tenant.dataset(&server, "large").await?;
    let large =
        import::run(&server, &world.tenant, &world.large, LARGE_SEED, options.leads).await?;
    report_import(report, options, &small, &large);
    server.stop()?;
    storage(&world.vault, options, before, dir, report).await?;
    let naive = baseline::naive(&world.vault.file("data.db"), dir).await?;
    std::fs::remove_file(dir.join("naive.db"))?;
    report.add("naive loop, the same rows", "rows/s", vec![naive]).note(
        "1,000 single inserts a transaction, three ordinary indexes, the same durability; no \
               HTTP, no CSV, no cryptography, no journal",
    );
    report.add("import ÷ naive loop", "×", vec![large.rate / naive]).goal(Goal::AtLeast(2.0));

    let server = world.vault.start(Program::Product)?;
    erase::search(&world, &server, options, report).await?;
    neighbour::run(&world, &server, options, report).await?;
    erase::erase(&world, &server, options, report).await?;
    drop(server);
    let server = world.vault.start(Program::Product)?;
    let _rate = export::run(&world, &server, report).await?;
    shred(&world, &server, options, report).await
}

/// Starts and memory of a server that has nothing to do.
fn idle(vault: &Vault, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    // The first start makes databases and keys; an operator sees it once.
    vault.start(Program::Product)?.stop()?;
    let (mut ready, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..options.turns {
        let server = vault.start(Program::Product)?;
        ready.push(server.ready_ms);
        memory.push(mib(server.memory()?.0));
    }
    report.add("start to ready", "ms", ready).goal(Goal::AtMost(300.0));
    report.add("idle memory", "MiB", memory).goal(Goal::AtMost(40.0));
    Ok(())
}

/// A tenant, its small datasets, and the memory their import took.
async fn prepare(vault: Vault) -> anyhow::Result<(World, Imported)> {
    let server = vault.start(Program::Product)?;
    let tenant = Tenant::make(&vault, &server).await?;
    let small = tenant.dataset(&server, "small").await?;
    let imported = import::run(&server, &tenant, &small, SMALL_SEED, SMALL_LEADS).await?;
    let tiny = tenant.dataset(&server, "tiny").await?;
    import::run(&server, &tenant, &tiny, TINY_SEED, TINY_LEADS).await?;
    let written = tenant.dataset(&server, "written").await?;
    let read_ids = tenant.leads(&server, &small, READ_IDS).await?;
    server.stop()?;
    let large = String::new();
    Ok((World { vault, tenant, tiny, small, large, written, read_ids }, imported))
}

fn report_import(report: &mut Report, options: &Options, small: &Imported, large: &Imported) {
    report.add(&format!("import of {} leads", options.leads), "rows/s", vec![large.rate]).note(
        format!(
            "quarters {}; load generator {:.0} %, server {:.0} % of the cores",
            large.quarters.map(|rate| format!("{rate:.0}")).join(", "),
            large.own_share * 100.0,
            large.server_share * 100.0
        ),
    );
    let [first, .., last] = large.quarters;
    report.add("import, last ÷ first quarter", "×", vec![last / first]).goal(Goal::AtLeast(0.8));
    report.add(&format!("import of {SMALL_LEADS} leads"), "rows/s", vec![small.rate]);
    let (low, high) = (mib(small.peak_bytes), mib(large.peak_bytes));
    report.add(&format!("peak memory, import of {SMALL_LEADS}"), "MiB", vec![low]);
    report
        .add(&format!("peak memory, import of {}", options.leads), "MiB", vec![high])
        .goal(Goal::AtMost(256.0));
    report.add("peak memory, large − small", "MiB", vec![high - low]).goal(Goal::AtMost(64.0));
}

/// Bytes a lead takes, against the plaintext row with its indexes. The server is stopped.
async fn storage(
    vault: &Vault,
    options: &Options,
    before: u64,
    dir: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let grown = used_bytes(vault).await?.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "bytes and rows")]
    let sealed = grown as f64 / options.leads as f64;
    let plain = baseline::plaintext_bytes_per_row(dir).await?;
    std::fs::remove_file(dir.join("plaintext.db"))?;
    report.add("bytes a lead, both databases", "B", vec![sealed]);
    report.add("bytes a plaintext row with three indexes", "B", vec![plain]);
    report.add("bytes, sealed ÷ plaintext", "×", vec![sealed / plain]).goal(Goal::AtMost(2.5));
    Ok(())
}

async fn used_bytes(vault: &Vault) -> anyhow::Result<u64> {
    let data = baseline::used_bytes(&vault.file("data.db")).await?;
    Ok(data + baseline::used_bytes(&vault.file("keys.db")).await?)
}

async fn shred(
    world: &World,
    server: &Server,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (dataset, leads) in [(&world.tiny, TINY_LEADS), (&world.large, options.leads)] {
        let ms = erase::shred(&world.tenant, server, dataset).await?;
        report
            .add(&format!("shred of a dataset of {leads} leads"), "ms", vec![ms])
            .goal(Goal::AtMost(1_000.0))
            .note("until the answer");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
