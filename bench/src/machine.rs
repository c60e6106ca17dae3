//! The machine, as the table states it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::stopwatch::{Stopwatch, quantile};

/// Free space asked for, in bytes a lead: vault, baselines and export one after another, with room.
const BYTES_PER_LEAD: u64 = 5_000;
/// Writes of the probe of the disk.
const PROBE_WRITES: usize = 100;

/// Cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Refuses to start where the disk is too small.
///
/// # Errors
/// Says how much is missing.
pub(crate) fn require_space(dir: &Path, leads: u64) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(dir).with_context(|| format!("{}", dir.display()))?;
    let (free, needed) = (stat.f_bavail * stat.f_frsize, leads * BYTES_PER_LEAD);
    ensure!(
        free >= needed,
        "{}: {} MB free, {} MB needed for {leads} leads; see --dir and --leads",
        dir.display(),
        free / 1_000_000,
        needed / 1_000_000
    );
    Ok(free)
}

/// What it is, and how busy it is now.
///
/// # Errors
/// The probe of the disk does not work.
pub(crate) fn describe(dir: &Path) -> anyhow::Result<Value> {
    let line = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(name));
        found.and_then(|l| l.split_once(':')).map(|(_, v)| v.trim().to_owned())
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(json!({
        "cores": cores(),
        "processor": line("/proc/cpuinfo", "model name"),
        "memory": line("/proc/meminfo", "MemTotal"),
        "kernel": kernel.trim(),
        "load_average": load_average(),
        "fdatasync_microseconds_median": fdatasync_microseconds(dir)?,
    }))
}

/// Processes that want to run, as the system averages them over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The median time of an append of 4 KiB with `fdatasync`.
fn fdatasync_microseconds(dir: &Path) -> anyhow::Result<f64> {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(dir).context("the probe of the disk")?;
    let mut times = Vec::with_capacity(PROBE_WRITES);
    for _ in 0..PROBE_WRITES {
        let watch = Stopwatch::start();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        times.push(watch.seconds() * 1e6);
    }
    Ok(quantile(&times, 0.5).round())
}
