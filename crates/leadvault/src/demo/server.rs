//! The server of the demo: another process of this binary.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::demo::interrupt::{Shared, kill};
use crate::serve::PARENT_VARIABLE;

/// A longer ready line is none.
const READY_BYTES_MAX: u64 = 4_096;

/// A running `leadvault serve`, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    shared: Shared,
    address: String,
}

impl Server {
    /// Starts a server and waits for its ready line. What it says goes to `log`.
    ///
    /// # Errors
    /// When it does not become ready; the message has its exit code and the last it said.
    pub(super) fn start(config: &Path, log: &Path, shared: &Shared) -> anyhow::Result<Self> {
        let said = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let stdout = {
            let mut left = shared.left();
            let mut child = this_binary()?
                .arg("serve")
                .arg("--config")
                .arg(config)
                .env(PARENT_VARIABLE, std::process::id().to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(said.context("the server's log")?)
                .process_group(0)
                .spawn()
                .context("cannot start the server")?;
            let stdout = child.stdout.take();
            left.server = Some(child);
            stdout.context("the server's output")?
        };
        let mut line = String::new();
        let read = BufReader::new(stdout.take(READY_BYTES_MAX)).read_line(&mut line);
        read.context("the server's ready line")?;
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        let Some(address) = ready["address"].as_str().filter(|_| ready["ready"] == true) else {
            let status = shared.left().server.take().map(|mut child| child.wait());
            let status = status.transpose().context("the server")?;
            let status = status.map_or_else(|| "stopped".to_owned(), |s| s.to_string());
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let last = text.lines().last().unwrap_or_default().to_owned();
            anyhow::bail!("the server did not become ready: {status}: {last}");
        };
        Ok(Self { address: address.to_owned(), shared: shared.clone() })
    }

    /// Base URL.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(&mut self.shared.left().server);
    }
}

/// This binary.
///
/// # Errors
/// When the system does not say where the binary is.
pub(super) fn this_binary() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("the path of this binary")?))
}
