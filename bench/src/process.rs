//! The server as another process: started, watched through `/proc`, stopped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::arguments::JournalKind;
use crate::stopwatch::Stopwatch;

/// Clock ticks of `/proc/*/stat` in a second: USER_HZ, 100 on every Linux this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A vault on disk: `init` made it, servers come and go.
#[derive(Debug)]
pub(crate) struct Vault {
    dir: PathBuf,
}

/// Which server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// The product's release binary.
    Product,
    /// This program's own composition of the same parts.
    Composed(JournalKind),
}

impl Vault {
    /// Makes one.
    ///
    /// # Errors
    /// `init` does not work.
    pub(crate) fn init(dir: PathBuf) -> anyhow::Result<Self> {
        Self::init_with(dir, &[])
    }

    /// Makes one with further arguments of `init`.
    ///
    /// # Errors
    /// `init` does not work.
    pub(crate) fn init_with(dir: PathBuf, arguments: &[String]) -> anyhow::Result<Self> {
        let output = Command::new(product()?)
            .args([
                "init",
                "--durability",
                "accept-total-loss",
                "--listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(&dir)
            .args(arguments)
            .output()
            .context("the release binary")?;
        ensure!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
        let vault = Self { dir };
        // The directory may be on a filesystem that a slot refuses; the figures are the same.
        let text = std::fs::read_to_string(vault.config())?;
        let text = text.replace("allow_copy_on_write = false", "allow_copy_on_write = true");
        std::fs::write(vault.config(), text)?;
        Ok(vault)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("leadvault.toml")
    }

    /// A file of the data directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The operator's key.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn operator_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("operator.key"))?.trim().to_owned())
    }

    /// Starts a server and waits for its ready line. The log it writes is kept beside the data: a
    /// discarded log would be cheaper than one in use.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(&self, program: Program) -> anyhow::Result<Server> {
        let command = match program {
            Program::Product => {
                let mut command = Command::new(product()?);
                command.arg("serve").arg("--config").arg(self.config());
                command
            }
            Program::Composed(journal) => {
                let mut command = Command::new(std::env::current_exe()?);
                let kind = if journal == JournalKind::Stub { "stub" } else { "store" };
                command.arg("serve").arg(&self.dir).arg(kind);
                command
            }
        };
        Server::start(command, &self.dir.join("server.log"))
    }
}

/// A running server; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From the start of the process to its ready line, in milliseconds.
    pub(crate) ready_ms: f64,
}

impl Server {
    /// Starts a server that says where it listens, and waits until it does.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let watch = Stopwatch::start();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("the server")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server's output")?;
        BufReader::new(stdout).read_line(&mut line).context("the server's ready line")?;
        let ready_ms = watch.seconds() * 1e3;
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        let address = ready["address"].as_str().and_then(|a| a.strip_prefix("http://"));
        let Some(address) = address.and_then(|a| a.parse().ok()) else {
            let status = child.wait().context("the server")?;
            anyhow::bail!("the server did not become ready: {status}");
        };
        Ok(Self { child, address, ready_ms })
    }

    /// Stops it as an operator would, so that its write-ahead log is moved into the database.
    ///
    /// # Errors
    /// It does not end well.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("the server's number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// Resident memory now and at its peak, in bytes.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let find = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("memory")?;
            let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
            Ok(kib << 10)
        };
        Ok((find("VmRSS:")?, find("VmHWM:")?))
    }

    /// Processor time so far, in seconds.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that was stopped needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this process so far, in seconds.
///
/// # Errors
/// The system does not say.
pub(crate) fn own_cpu_seconds() -> anyhow::Result<f64> {
    cpu_seconds("self")
}

fn cpu_seconds(process: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
    let (_, fields) = stat.rsplit_once(')').context("/proc/*/stat")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS_PER_SECOND)
}

/// The release binary, beside this one.
///
/// # Errors
/// It is not there.
pub(crate) fn product() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("the path of this program")?;
    let binary = here.parent().unwrap_or(Path::new(".")).join("leadvault");
    ensure!(binary.exists(), "no `leadvault` beside the bench: use `cargo xtask bench embedded`");
    Ok(binary)
}
