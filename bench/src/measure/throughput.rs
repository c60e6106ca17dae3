//! Reads and writes a second, with the journal on and stubbed, in turns.

use std::time::Duration;

use crate::arguments::{JournalKind, Options};
use crate::embedded::World;
use crate::load::{self, Calls, Loaded};
use crate::process::Program;
use crate::report::{Goal, Report};

/// Connections of the loads that have a goal, and the others that are printed beside it.
const CONNECTIONS: usize = 64;
const CONNECTIONS_FEW: usize = 16;
/// Time before a turn in which caches fill.
const WARM_UP: Duration = Duration::from_millis(500);
/// Seeds of the people that writes make, apart from every import's.
const WRITE_SEED: u64 = 0x0057_0000;

/// Rates of one program, a value a turn.
#[derive(Debug, Default)]
struct Rates {
    reads: Vec<f64>,
    reads_few: Vec<f64>,
    read_p99_ms: Vec<f64>,
    writes: Vec<f64>,
    write_p99_ms: Vec<f64>,
    own_share: Vec<f64>,
    server_share: Vec<f64>,
}

/// Measures the three programs in turn.
///
/// # Errors
/// What a server says.
pub(crate) async fn run(
    world: &World,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let programs = [
        Program::Product,
        Program::Composed(JournalKind::Store),
        Program::Composed(JournalKind::Stub),
    ];
    let mut rates = [Rates::default(), Rates::default(), Rates::default()];
    for turn in 0..options.turns {
        for (at, (program, rates)) in programs.iter().zip(&mut rates).enumerate() {
            let seed = WRITE_SEED + u64::try_from(turn * programs.len() + at)?;
            measure(world, options, *program, seed, rates).await?;
        }
    }
    let [product, on, stubbed] = rates;
    print(report, product);
    let why = "the same parts composed by the bench, once with the store's journal, once with one \
               that acknowledges without writing; turn by turn";
    report
        .add(
            "reads/s, journal on ÷ stubbed, 64 connections",
            "×",
            ratios(&on.reads, &stubbed.reads),
        )
        .goal(Goal::AtLeast(0.9))
        .note(why);
    report.add(
        "reads/s, journal on ÷ stubbed, 16 connections",
        "×",
        ratios(&on.reads_few, &stubbed.reads_few),
    );
    report
        .add(
            "writes/s, journal on ÷ stubbed, 64 connections",
            "×",
            ratios(&on.writes, &stubbed.writes),
        )
        .note(
            "stubbed: the same rows without their entry, each in a transaction of its own; the \
               journal gathers those that arrive during a commit",
        );
    Ok(())
}

fn print(report: &mut Report, rates: Rates) {
    report.add("reads/s, journalled, 64 connections", "1/s", rates.reads).note(format!(
        "load generator {:.0} %, server {:.0} % of the cores",
        mean(&rates.own_share) * 100.0,
        mean(&rates.server_share) * 100.0
    ));
    report.add("reads/s, journalled, 16 connections", "1/s", rates.reads_few);
    report.add("read p99, 64 connections", "ms", rates.read_p99_ms);
    report.add("writes/s, journalled, 64 connections, 1 tenant", "1/s", rates.writes);
    report.add("write p99, 64 connections", "ms", rates.write_p99_ms);
}

async fn measure(
    world: &World,
    options: &Options,
    program: Program,
    seed: u64,
    rates: &mut Rates,
) -> anyhow::Result<()> {
    let server = world.vault.start(program)?;
    let caller = world.tenant.acting(server.address);
    let length = Duration::from_secs(options.seconds);
    let reads = || Calls::Read(world.read_ids.clone());
    load::run(&server, &caller, reads(), CONNECTIONS, WARM_UP).await?;
    let loaded = load::run(&server, &caller, reads(), CONNECTIONS, length).await?;
    let few = load::run(&server, &caller, reads(), CONNECTIONS_FEW, length).await?;
    let Loaded { rate, latencies, own_share, server_share } = loaded;
    rates.reads.push(rate);
    rates.reads_few.push(few.rate);
    rates.read_p99_ms.push(latencies.quantile(0.99));
    rates.own_share.push(own_share);
    rates.server_share.push(server_share);
    let writes = Calls::Write { dataset: world.written.clone(), seed };
    let loaded = load::run(&server, &caller, writes, CONNECTIONS, length).await?;
    rates.writes.push(loaded.rate);
    rates.write_p99_ms.push(loaded.latencies.quantile(0.99));
    Ok(())
}

fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a count of turns")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
