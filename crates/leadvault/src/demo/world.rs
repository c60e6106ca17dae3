//! What the steps of the demo share: places on disk, the running server, what was learnt on the way.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leadvault_domain::Sensitive;

use crate::client::Client;
use crate::demo::interrupt::Shared;
use crate::demo::server::Server;
use crate::exit::Stop;

/// Time between two looks at something another process does.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A checkpoint comes about every second; a log that is not published after this is broken.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(20);

/// The state of a demo.
#[derive(Debug)]
pub(super) struct World {
    dir: PathBuf,
    pub(super) file: PathBuf,
    begun: Instant,
    server: Option<Server>,
    shared: Shared,
    pub(super) tenant: String,
    pub(super) tenant_uuid: String,
    pub(super) dataset: String,
    pub(super) instruction: String,
    pub(super) leads: Vec<String>,
    pub(super) rows: u64,
    /// Index of the last entry this demo was told of.
    pub(super) last_index: u64,
    pub(super) erased: String,
    pub(super) identity: Sensitive<String>,
}

impl World {
    /// A world in an empty directory, about one lead file.
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo measures itself; nothing depends on it"
    )]
    pub(super) fn new(dir: &Path, file: PathBuf, shared: Shared) -> Self {
        Self {
            dir: dir.to_owned(),
            file,
            begun: Instant::now(),
            server: None,
            shared,
            tenant: String::new(),
            tenant_uuid: String::new(),
            dataset: String::new(),
            instruction: String::new(),
            leads: Vec::new(),
            rows: 0,
            last_index: 0,
            erased: String::new(),
            identity: Sensitive::default(),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("vault")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.data().join("leadvault.toml")
    }

    pub(super) fn log_dir(&self) -> PathBuf {
        self.data().join("log").join(&self.tenant_uuid)
    }

    pub(super) fn vkey_file(&self) -> PathBuf {
        self.dir.join("log.vkey")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.dir.join("controller.key")
    }

    pub(super) fn reader_key_file(&self) -> PathBuf {
        self.dir.join("reader.key")
    }

    pub(super) fn identity_file(&self) -> PathBuf {
        self.dir.join("export.identity")
    }

    pub(super) fn export_file(&self) -> PathBuf {
        self.dir.join("export.zip.age")
    }

    pub(super) fn checkpoint_file(&self) -> PathBuf {
        self.dir.join("checkpoint.before")
    }

    pub(super) fn dataset(&self) -> &str {
        &self.dataset
    }

    pub(super) fn instruction(&self) -> &str {
        &self.instruction
    }

    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let log = self.dir.join("server.log");
        self.server = Some(Server::start(&self.config(), &log, &self.shared)?);
        Ok(())
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub(super) fn stop(&mut self) {
        self.server = None;
    }

    /// Lets the server end by itself.
    pub(super) fn end(&mut self) {
        super::interrupt::stop(&mut self.shared.left().server);
        self.stop();
    }

    /// Waits for the signal that ends the process; ends by itself if the server does.
    pub(super) fn linger(&self) {
        self.shared.left().lingers = true;
        loop {
            std::thread::sleep(LOOK_AGAIN);
            let mut left = self.shared.left();
            let ended = left.server.as_mut().is_none_or(|s| !matches!(s.try_wait(), Ok(None)));
            if ended {
                return;
            }
        }
    }

    /// Waits until the published checkpoint covers every entry up to `index`; its size.
    pub(super) fn published(&self, index: u64) -> anyhow::Result<u64> {
        let begun = self.elapsed();
        loop {
            let text = std::fs::read_to_string(self.log_dir().join("checkpoint"));
            let size = text.ok().and_then(|t| t.lines().nth(1)?.parse::<u64>().ok());
            match size {
                Some(size) if size > index => return Ok(size),
                _ => std::thread::sleep(LOOK_AGAIN),
            }
            let waited = self.elapsed().saturating_sub(begun);
            anyhow::ensure!(waited < PUBLISHED_WITHIN, "entry {index} is still not published");
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.as_ref().map(|s| s.address().to_owned()).unwrap_or_default()
    }

    /// A client with the operator's key.
    pub(super) fn operator(&self) -> anyhow::Result<Client> {
        Client::from_file(&self.url(), &self.data().join("operator.key")).map_err(Stop::into_error)
    }

    /// A client with the controller's key, acting under nothing.
    pub(super) fn controller(&self) -> anyhow::Result<Client> {
        Client::from_file(&self.url(), &self.key_file()).map_err(Stop::into_error)
    }

    /// A client with the controller's key, acting under the demo's instruction.
    pub(super) fn instructed(&self) -> anyhow::Result<Client> {
        let acting = self.controller()?.under(Some(&self.instruction), Some("crm_operations"));
        acting.map_err(Stop::into_error)
    }

    /// A client with a reader's key, acting under nothing.
    pub(super) fn reader(&self) -> anyhow::Result<Client> {
        let client =
            Client::from_file(&self.url(), &self.reader_key_file()).map_err(Stop::into_error)?;
        client.under(None, Some("crm_operations")).map_err(Stop::into_error)
    }

    /// Writes a file only this user can read.
    pub(super) fn write_secret(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}
