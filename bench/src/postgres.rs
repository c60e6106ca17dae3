//! The run on PostgreSQL: imports against `psql COPY` of the same plaintext, single calls against a plaintext service,
//! both on the same cluster with the same durability, in turn.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use leadvault_test_postgres::{APP, Databases, OWNER, psql};
use serde_json::json;

use crate::arguments::Options;
use crate::embedded::{
    self, LARGE_SEED, SMALL_LEADS, SMALL_SEED, TINY_LEADS, TINY_SEED, commit, heading,
};
use crate::http::Caller;
use crate::leads;
use crate::load::{self, Calls};
use crate::machine;
use crate::measure::{erase, export, import, neighbour};
use crate::plain::SCHEMA;
use crate::process::{Program, Server, Vault, product};
use crate::report::{Goal, Report};
use crate::stopwatch::Stopwatch;
use crate::tenant::Tenant;

/// Connections of the loads that have a goal, and the others that are printed beside it.
const CONNECTIONS: [usize; 2] = [64, 16];
/// Tenants that write at once, beside one alone.
const TENANTS: usize = 16;
/// Leads that reads are scattered over.
const READ_IDS: usize = 2_000;
/// Time before a turn in which caches fill.
const WARM_UP: Duration = Duration::from_millis(500);
const COPY: &str = "\\copy lead (id, first, last, email, phone, company, website, title, city, country, source, \
                    owner, notes) FROM pstdin WITH (FORMAT csv)";
const COPY_OUT: &str = "\\copy lead TO pstdout WITH (FORMAT csv)";
const BYTES: &str = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' \
                     AND relnamespace = 'public'::regnamespace";

/// Measures, prints the table, and removes what it made.
///
/// # Errors
/// Too little space, no cluster, or a server that does not do what it is asked.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let free = machine::require_space(&options.dir, options.leads)?;
    let dir = tempfile::Builder::new().prefix("leadvault-bench-").tempdir_in(&options.dir)?;
    let mut about = json!({
        "bench": "postgres", "commit": commit(), "leads": options.leads, "turns": options.turns,
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

/// A vault in databases of its own.
struct World {
    databases: Databases,
    vault: Vault,
}

impl World {
    fn make(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let databases = Databases::empty();
        let place = |name: &str, url: String| secret(&dir.join(name), &url);
        let owner = [
            place("owner-data.url", databases.data_url(OWNER))?,
            place("owner-keys.url", databases.keys_url(OWNER))?,
        ];
        let migrate = Command::new(product()?)
            .args(["migrate", "--data-url-file", &owner[0], "--keys-url-file", &owner[1]])
            .output()?;
        ensure!(migrate.status.success(), "migrate: {}", String::from_utf8_lossy(&migrate.stderr));
        databases.make_login();
        let data = secret(&dir.join(format!("{name}-data.url")), &databases.data_url(APP))?;
        let keys = secret(&dir.join(format!("{name}-keys.url")), &databases.keys_url(APP))?;
        let arguments = ["--data-url-file".to_owned(), data, "--keys-url-file".to_owned(), keys];
        let vault = Vault::init_with(dir.join(name), &arguments)?;
        Ok(Self { databases, vault })
    }
}

fn secret(path: &Path, text: &str) -> anyhow::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path.to_str().context("utf-8")?.to_owned())
}

async fn measure(dir: &Path, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let file = dir.join("plain.csv");
    write_plain(&file, options.leads)?;
    let (mut copies, mut copies_two, mut imports) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peaks, mut shares) = (Vec::new(), Vec::new());
    let mut kept = None;
    for turn in 0..options.turns {
        copies.push(copy_in(&file, options.leads, 1)?);
        copies_two.push(copy_in(&file, options.leads, 2)?);
        // Gone before the next one is made, so that each finds the same cluster.
        drop(kept.take());
        let world = World::make(dir, &format!("vault-{turn}"))?;
        let server = world.vault.start(Program::Product)?;
        let tenant = Tenant::make(&world.vault, &server).await?;
        let dataset = tenant.dataset(&server, "large").await?;
        let done = import::run(&server, &tenant, &dataset, LARGE_SEED, options.leads).await?;
        imports.push(done.rate);
        peaks.push(mib(done.peak_bytes));
        shares.push(done.server_share * 100.0);
        drop(server);
        kept = Some((world, tenant, dataset));
    }
    let (world, tenant, large) = kept.context("a turn")?;
    let ratios = ratios(&imports, &copies);
    report.add("psql COPY, one stream", "rows/s", copies);
    report.add("psql COPY, two streams", "rows/s", copies_two);
    report.add(&format!("import of {} leads over HTTP", options.leads), "rows/s", imports);
    report.add("import ÷ COPY of one stream", "×", ratios).goal(Goal::AtLeast(0.75));
    report.add("server's share of the cores during the import", "%", shares);
    report.add("peak memory of the importing server", "MiB", peaks).goal(Goal::AtMost(256.0));

    let plain = plain_table(&file, options.leads)?;
    storage(&world, &plain, options, report);
    singles(dir, &world, &tenant, &plain, options, report).await?;
    let server = world.vault.start(Program::Product)?;
    search(&server, &tenant, &large, options, report).await?;
    drop(server);
    // Its databases go when this ends.
    let World { databases: _databases, vault } = world;
    others(vault, tenant, large, &plain, options, report).await
}

/// What a neighbour feels of an import, erasures, and an export against a plaintext one.
async fn others(
    vault: Vault,
    tenant: Tenant,
    large: String,
    plain: &Databases,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = vault.start(Program::Product)?;
    let tiny = tenant.dataset(&server, "tiny").await?;
    import::run(&server, &tenant, &tiny, TINY_SEED, TINY_LEADS).await?;
    let (small, written, read_ids) = (String::new(), String::new(), Vec::new());
    let world = embedded::World { vault, tenant, tiny, small, large, written, read_ids };
    erase::erase(&world, &server, options, report).await?;
    drop(server);
    let server = world.vault.start(Program::Product)?;
    let rate = export::run(&world, &server, report).await?;
    drop(server);
    let copied = copy_out(&plain.data_url(OWNER), options.leads)?;
    report.add("psql COPY out, one stream", "rows/s", vec![copied]);
    let compared = vec![rate / copied];
    report.add("export ÷ COPY out", "×", compared).goal(Goal::AtLeast(0.25));
    let server = world.vault.start(Program::Product)?;
    neighbour::run(&world, &server, options, report).await
}

/// Rows a second of `psql COPY` of the plaintext table to nowhere.
fn copy_out(url: &str, leads: u64) -> anyhow::Result<f64> {
    let watch = Stopwatch::start();
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", COPY_OUT]);
    let copied = command.stdout(Stdio::null()).status().context("psql")?;
    ensure!(copied.success(), "psql: COPY out failed");
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    Ok(leads as f64 / watch.seconds())
}

/// Single reads and writes, ours and the plaintext service's in turn.
async fn singles(
    dir: &Path,
    world: &World,
    tenant: &Tenant,
    plain: &Databases,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = world.vault.start(Program::Product)?;
    let small = tenant.dataset(&server, "small").await?;
    import::run(&server, tenant, &small, SMALL_SEED, SMALL_LEADS).await?;
    let ids = tenant.leads(&server, &small, READ_IDS).await?;
    let written = tenant.dataset(&server, "written").await?;
    let mut others = Vec::new();
    for _ in 0..TENANTS {
        let other = Tenant::make(&world.vault, &server).await?;
        let dataset = other.dataset(&server, "written").await?;
        others.push((other.acting(server.address).key, other, dataset));
    }
    drop(server);
    let plain_ids = psql(&plain.data_url(OWNER), &format!("SELECT id FROM lead LIMIT {READ_IDS}"));
    let plain_ids: Vec<String> = plain_ids.lines().map(str::to_owned).collect();
    let length = Duration::from_secs(options.seconds);
    for connections in CONNECTIONS {
        let mut of: [Vec<f64>; 7] = Default::default();
        for turn in 0..options.turns {
            let server = start_plain(dir, plain)?;
            let caller = Caller {
                address: server.address,
                key: String::new(),
                instruction: None,
                purpose: None,
            };
            let reads = || Calls::Read(plain_ids.clone());
            load::run(&server, &caller, reads(), connections, WARM_UP).await?;
            let read = load::run(&server, &caller, reads(), connections, length).await?;
            let seed = 0x50_0000 + u64::try_from(turn)?;
            let writes = Calls::Write { dataset: String::new(), seed };
            let write = load::run(&server, &caller, writes, connections, length).await?;
            drop(server);
            of[0].push(read.rate);
            of[1].push(write.rate);
            of[5].push(read.latencies.quantile(0.99));

            let server = world.vault.start(Program::Product)?;
            let caller = tenant.acting(server.address);
            let reads = || Calls::Read(ids.clone());
            load::run(&server, &caller, reads(), connections, WARM_UP).await?;
            let read = load::run(&server, &caller, reads(), connections, length).await?;
            let seed = 0x60_0000 + u64::try_from(turn * 100 + connections)?;
            let writes = Calls::Write { dataset: written.clone(), seed };
            let write = load::run(&server, &caller, writes, connections, length).await?;
            of[2].push(read.rate);
            of[3].push(write.rate);
            of[6].push(read.latencies.quantile(0.99));
            of[4].push(many(&server, &others, connections, turn, length).await?);
        }
        print(report, connections, of);
    }
    Ok(())
}

/// Writes of many tenants at once.
async fn many(
    server: &Server,
    others: &[(String, Tenant, String)],
    connections: usize,
    turn: usize,
    length: Duration,
) -> anyhow::Result<f64> {
    let loads = others.iter().enumerate().map(|(at, (_, tenant, dataset))| {
        let caller = tenant.acting(server.address);
        let seed = 0x70_0000 + u64::try_from(turn * 10_000 + connections * 100 + at).unwrap_or(0);
        let calls = Calls::Write { dataset: dataset.clone(), seed };
        async move { load::run(server, &caller, calls, connections / TENANTS, length).await }
    });
    let done = futures::future::join_all(loads).await;
    done.into_iter().map(|loaded| loaded.map(|l| l.rate)).sum()
}

fn print(report: &mut Report, connections: usize, of: [Vec<f64>; 7]) {
    let [plain_reads, plain_writes, reads, writes, writes_many, plain_p99, p99] = of;
    let goal = |report: &mut Report, least| {
        if connections == CONNECTIONS[0] {
            report.goal(Goal::AtLeast(least));
        }
    };
    let at = format!("{connections} connections");
    report.add(&format!("reads/s of the plaintext service, {at}"), "1/s", plain_reads.clone());
    report.add(&format!("reads/s, journalled, {at}"), "1/s", reads.clone());
    report.add(&format!("reads ÷ plaintext, {at}"), "×", ratios(&reads, &plain_reads));
    goal(report, 0.8);
    report.add(&format!("read p99 ÷ plaintext, {at}"), "×", ratios(&p99, &plain_p99));
    report.add(&format!("writes/s of the plaintext service, {at}"), "1/s", plain_writes.clone());
    report.add(&format!("writes/s, journalled, 1 tenant, {at}"), "1/s", writes.clone());
    report.add(&format!("writes ÷ plaintext, 1 tenant, {at}"), "×", ratios(&writes, &plain_writes));
    goal(report, 0.8);
    report.add(
        &format!("writes/s, journalled, {TENANTS} tenants, {at}"),
        "1/s",
        writes_many.clone(),
    );
    let many = ratios(&writes_many, &plain_writes);
    report.add(&format!("writes ÷ plaintext, {TENANTS} tenants, {at}"), "×", many);
    goal(report, 0.8);
}

async fn search(
    server: &Server,
    tenant: &Tenant,
    large: &str,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let small = tenant.dataset(server, "searched").await?;
    import::run(server, tenant, &small, SMALL_SEED + 1, SMALL_LEADS).await?;
    let (caller, length) =
        (tenant.acting(server.address), Duration::from_secs(options.seconds) / 2);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..options.turns {
        for (dataset, seed, count, into) in [
            (small.as_str(), SMALL_SEED + 1, SMALL_LEADS, &mut few),
            (large, LARGE_SEED, options.leads, &mut many),
        ] {
            let calls = Calls::Search { dataset: dataset.to_owned(), seed, count };
            let loaded = load::run(server, &caller, calls, 1, length).await?;
            into.push(loaded.latencies.quantile(0.5));
        }
    }
    let compared = ratios(&many, &few);
    report.add(&format!("exact search, {SMALL_LEADS} leads: p50"), "ms", few);
    report.add(&format!("exact search, {} leads: p50", options.leads), "ms", many);
    report.add("exact search, large ÷ small", "×", compared).goal(Goal::AtMost(1.5));
    Ok(())
}

fn storage(world: &World, plain: &Databases, options: &Options, report: &mut Report) {
    let bytes = |url: &str| psql(url, BYTES).trim().parse::<f64>().unwrap_or(f64::NAN);
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let a_row = |bytes: f64| bytes / options.leads as f64;
    let both = bytes(&world.databases.data_url(OWNER)) + bytes(&world.databases.keys_url(OWNER));
    let (sealed, plain) = (a_row(both), a_row(bytes(&plain.data_url(OWNER))));
    report.add("bytes a lead, both databases", "B", vec![sealed]);
    report.add("bytes a plaintext row with its indexes", "B", vec![plain]);
    report.add("bytes, sealed ÷ plaintext", "×", vec![sealed / plain]).goal(Goal::AtMost(2.5));
}

/// The people of the import as a file of plaintext rows.
fn write_plain(file: &Path, leads: u64) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for n in 0..leads {
        let id = u128::from(leads::mix(n)) << 64 | u128::from(n);
        writeln!(out, "{id:032x},{}", leads::lead(LARGE_SEED, n).cells.join(","))?;
    }
    Ok(out.flush()?)
}

/// Rows a second of `psql COPY` into an empty table with its indexes, by one stream or several at once.
fn copy_in(file: &Path, leads: u64, streams: u64) -> anyhow::Result<f64> {
    let plain = Databases::empty();
    let url = plain.data_url(OWNER);
    psql(&url, SCHEMA);
    let parts = split(file, leads, streams)?;
    let watch = Stopwatch::start();
    copy_parts(&url, &parts)?;
    let seconds = watch.seconds();
    if streams > 1 {
        parts.iter().try_for_each(std::fs::remove_file)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    Ok(leads as f64 / seconds)
}

/// The plaintext table, kept.
fn plain_table(file: &Path, leads: u64) -> anyhow::Result<Databases> {
    let plain = Databases::empty();
    let url = plain.data_url(OWNER);
    psql(&url, SCHEMA);
    copy_parts(&url, &split(file, leads, 1)?)?;
    psql(&url, "VACUUM ANALYZE lead");
    Ok(plain)
}

fn copy_parts(url: &str, parts: &[PathBuf]) -> anyhow::Result<()> {
    let mut running = Vec::new();
    for part in parts {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", COPY]);
        command.stdin(std::fs::File::open(part)?).stdout(Stdio::null());
        running.push(command.spawn().context("psql")?);
    }
    for mut copy in running {
        ensure!(copy.wait()?.success(), "psql COPY failed");
    }
    Ok(())
}

/// The file itself, or parts of it beside it.
fn split(file: &Path, leads: u64, parts: u64) -> anyhow::Result<Vec<PathBuf>> {
    if parts == 1 {
        return Ok(vec![file.to_owned()]);
    }
    let text = std::fs::read_to_string(file)?;
    let lines = usize::try_from(leads.div_ceil(parts))?;
    let mut paths = Vec::new();
    let mut rest = text.lines();
    for part in 0..parts {
        let path = file.with_extension(format!("{part}"));
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for line in rest.by_ref().take(lines) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        paths.push(path);
    }
    Ok(paths)
}

fn start_plain(dir: &Path, plain: &Databases) -> anyhow::Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("plain").arg(plain.data_url(OWNER));
    Server::start(command, &dir.join("plain.log"))
}

fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
