//! The server of the demo: another process of this binary.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

/// A running `leadvault serve`, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts a server and waits for its ready line.
    ///
    /// # Errors
    /// When it does not become ready; the message has its exit code.
    pub(super) fn start(config: &Path) -> anyhow::Result<Self> {
        let mut child = this_binary()?
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().context("the server's output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the server's ready line")?;
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        let Some(address) = ready["address"].as_str().filter(|_| ready["ready"] == true) else {
            let status = child.wait().context("the server")?;
            anyhow::bail!("the server did not become ready: {status}");
        };
        Ok(Self { address: address.to_owned(), child })
    }

    /// Base URL.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This binary, with nothing of our environment but what it needs to find its libraries.
///
/// # Errors
/// When the system does not say where the binary is.
pub(super) fn this_binary() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("the path of this binary")?))
}
