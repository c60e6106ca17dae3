//! A vault in a temporary directory, and its server as another process. A stop is SIGKILL; a start opens the files
//! from disk.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::bucket::Bucket;
use super::stores::Stores;
use super::{Caller, Tenant, binary, run, until};

/// A vault.
#[derive(Debug)]
pub struct Vault {
    dir: tempfile::TempDir,
    data: PathBuf,
    stores: Stores,
    /// Where its sealed objects lie, where this run has buckets.
    bucket: Option<Bucket>,
    server: Option<(Child, String)>,
    /// Environment variables of the server.
    env: Vec<(String, String)>,
}

impl Vault {
    /// Makes a vault that is not started.
    pub fn init() -> Self {
        Self::init_in(tempfile::tempdir().expect("a temporary directory"), "accept-total-loss")
    }

    /// Makes a vault whose key store is mirrored, and starts it.
    pub fn mirrored() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let durability = format!("mirror={}", dir.path().join("mirror").display());
        let mut vault = Self::init_in(dir, &durability);
        vault.up();
        vault
    }

    /// Makes an embedded vault that is not started, whatever the engine of this run.
    pub fn init_on_files() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::init_with(dir, "accept-total-loss", Stores::Files)
    }

    fn init_in(dir: tempfile::TempDir, durability: &str) -> Self {
        Self::init_with(dir, durability, Stores::fresh())
    }

    fn init_with(dir: tempfile::TempDir, durability: &str, stores: Stores) -> Self {
        let place = dir.path().join("vault");
        let data = place.to_str().expect("utf-8");
        let mut args: Vec<String> =
            ["init", "--data", data, "--durability", durability, "--listen", "127.0.0.1:0"]
                .map(ToOwned::to_owned)
                .into();
        args.extend(stores.init_arguments(dir.path()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, _, err) = run(&args);
        assert_eq!(code, Some(0), "{err}");
        let bucket = Bucket::start(dir.path().join("bucket"));
        let vault = Self { dir, data: place, stores, bucket, server: None, env: Vec::new() };
        // The suite also runs where the temporary directory is on a filesystem that a slot refuses.
        let text = std::fs::read_to_string(vault.config()).expect("configuration");
        let mut text = text.replace("allow_copy_on_write = false", "allow_copy_on_write = true");
        if let Some(bucket) = &vault.bucket {
            text.push_str(&bucket.section(&vault.data));
        }
        std::fs::write(vault.config(), text).expect("configuration");
        vault
    }

    /// A vault that lies there already, not started.
    pub(super) fn lying_in(dir: tempfile::TempDir, data: PathBuf, stores: Stores) -> Self {
        Self { dir, data, stores, bucket: None, server: None, env: Vec::new() }
    }

    /// The directory of its sealed objects: its own, or that of its bucket.
    pub fn objects_dir(&self) -> PathBuf {
        self.bucket.as_ref().map_or_else(|| self.data.join("files"), Bucket::dir)
    }

    /// Changes the configuration of a vault that is not started: `from` stands in it as it is.
    pub fn configure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).expect("configuration");
        assert!(text.contains(from), "no {from} in the configuration");
        std::fs::write(self.config(), text.replace(from, to)).expect("configuration");
    }

    /// Adds to the configuration of a vault that is not started.
    pub fn configure_more(&self, section: &str) {
        let text = std::fs::read_to_string(self.config()).expect("configuration");
        std::fs::write(self.config(), format!("{text}\n{section}\n")).expect("configuration");
    }

    /// Where its metrics are fetched, once it offers some.
    pub fn metrics_url(&self) -> String {
        until("metrics are offered", || {
            let said = self.stderr();
            let line = said.lines().rfind(|line| line.contains("metrics are offered"))?.to_owned();
            let line: Value = serde_json::from_str(&line).ok()?;
            Some(format!("http://{}/metrics", line["fields"]["address"].as_str()?))
        })
    }

    /// Makes a vault and starts it.
    pub fn start() -> Self {
        let mut vault = Self::init();
        vault.up();
        vault
    }

    /// With environment variables for its server.
    #[must_use]
    pub fn with_env(mut self, env: &[(&str, &str)]) -> Self {
        self.env.extend(env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        self
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// From now on the data directory is seen there.
    pub fn lies_at(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// Where its rows lie.
    pub const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// A place beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.data().join("leadvault.toml")
    }

    /// Starts the server and waits until it is ready.
    pub fn up(&mut self) {
        self.up_with(None).expect("the server becomes ready");
    }

    /// Starts the server with a fail point; the exit code where it does not become ready.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_with(&mut self, fail_point: Option<&str>) -> Result<(), (Option<i32>, String)> {
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(self.config());
        if let Some(name) = fail_point {
            command.env("LEADVAULT_FAILPOINT", name);
        }
        self.up_by(command)
    }

    /// Starts the server behind a program that becomes it, with a configuration of its own.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_inside(
        &mut self,
        wrapper: &[&str],
        config: &Path,
    ) -> Result<(), (Option<i32>, String)> {
        let (program, args) = wrapper.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(args).arg(binary()).arg("serve").arg("--config").arg(config);
        self.up_by(command)
    }

    /// Starts another node of the vault, beside the server.
    pub fn node(&self) -> Node {
        self.node_with(&[])
    }

    /// Starts another node with environment variables of its own.
    pub fn node_with(&self, env: &[(&str, &str)]) -> Node {
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(self.config());
        let err = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("stderr.log"))
            .expect("stderr file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err);
        command.envs(self.env.iter().map(|(name, value)| (name, value))).envs(env.iter().copied());
        let mut child = command.spawn().expect("the node starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        let url = ready["address"].as_str().map(ToOwned::to_owned);
        Node { child, url: url.expect("the node becomes ready") }
    }

    /// Starts the server by a command.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_by(&mut self, mut command: Command) -> Result<(), (Option<i32>, String)> {
        let err = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("stderr.log"))
            .expect("stderr file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its first line");
        let mut rest = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("stdout.log"))
            .expect("stdout file");
        let first = line.clone();
        // Ends with the server.
        std::thread::spawn(move || {
            let _ = rest.write_all(first.as_bytes());
            let _ = std::io::copy(&mut stdout, &mut rest);
        });
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        match ready["address"].as_str() {
            Some(address) => {
                self.server = Some((child, address.to_owned()));
                Ok(())
            }
            None => {
                let code = child.wait().expect("it ends").code();
                Err((code, self.stderr()))
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits for a server that kills itself.
    pub fn wait_dead(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.wait();
        }
    }

    /// The checkpoint of a tenant's log, once it covers `size` entries.
    pub fn published(&self, tenant: &Tenant, size: u64) -> String {
        let path = self.data().join("log").join(&tenant.uuid).join("checkpoint");
        until("the checkpoint covers the entries", || {
            let text = std::fs::read_to_string(&path).ok()?;
            let covers: u64 = text.lines().nth(1)?.parse().ok()?;
            (covers >= size).then_some(text)
        })
    }

    /// The server's process.
    pub fn pid(&self) -> rustix::process::Pid {
        let (child, _) = self.server.as_ref().expect("the server runs");
        rustix::process::Pid::from_child(child)
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("a signal");
    }

    /// Waits for the end of the server; its exit code, `None` after a signal.
    pub fn ended(&mut self) -> Option<i32> {
        let (mut child, _) = self.server.take().expect("the server runs");
        child.wait().expect("it ends").code()
    }

    /// Whether the server has ended.
    pub fn is_dead(&mut self) -> bool {
        self.server.as_mut().is_none_or(|(child, _)| !matches!(child.try_wait(), Ok(None)))
    }

    /// What the server wrote on stderr so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.beside("stderr.log")).unwrap_or_default()
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.beside("stdout.log")).unwrap_or_default()
    }

    /// Base URL.
    pub fn url(&self) -> String {
        self.server.as_ref().map(|(_, url)| url.clone()).expect("the server runs")
    }

    /// A caller with the operator's key.
    pub fn operator(&self) -> Caller {
        let key = std::fs::read_to_string(self.data().join("operator.key")).expect("operator key");
        Caller::new(&self.url(), key.trim())
    }
}

/// One more process that serves a vault. It ends with SIGKILL.
#[derive(Debug)]
pub struct Node {
    child: Child,
    url: String,
}

impl Node {
    /// Base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it has ended.
    pub fn is_dead(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// A caller with a tenant's key that acts under its instruction.
    pub fn acting(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url, &tenant.key).under(&tenant.instruction, "crm_operations")
    }

    /// A caller with a tenant's key alone.
    pub fn plain(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url, &tenant.key)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.kill();
    }
}
