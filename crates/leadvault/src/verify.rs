//! `leadvault verify`: a log, an export or a receipt, with nothing of the store.

pub(crate) mod beside;
mod export_package;
mod package;
mod receipt_file;

use std::path::Path;

use anyhow::Context as _;
use leadvault_domain::Sensitive;
use leadvault_ledger::{DirSource, LogSource, Since, SourceError, verify_log};
use reqwest::StatusCode;
use reqwest::blocking::Client as Http;
use serde::Serialize;

use crate::client::{base_url, read_key};
use crate::exit::{Done, Stop};
use crate::input::{self, SMALL_BYTES_MAX};
use crate::output::print_json;

pub(crate) use export_package::run as export;
pub(crate) use package::leads_or_file;
pub(crate) use receipt_file::run as receipt;

/// What `verify export` and `verify receipt` print (surfaces.md 1).
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// Whether everything holds.
    pub(crate) ok: bool,
    /// Why not; a stable word.
    pub(crate) failure: Option<&'static str>,
    /// The file or member at fault.
    pub(crate) at: Option<String>,
}

impl Found {
    pub(crate) const fn good() -> Self {
        Self { ok: true, failure: None, at: None }
    }

    pub(crate) fn bad(failure: &'static str, at: impl Into<String>) -> Self {
        Self { ok: false, failure: Some(failure), at: Some(at.into()) }
    }

    /// Prints it; the exit code says the same.
    pub(crate) fn finish(self) -> Done {
        print_json(&self)?;
        if self.ok { Ok(()) } else { Err(Stop::No) }
    }
}

/// Runs `verify log`.
///
/// # Errors
/// 1 when it does not hold, 2 for unreadable input, 4 when the server is gone.
pub(crate) fn log(
    source: &str,
    vkey: &Path,
    since: Option<&Path>,
    key_file: Option<&Path>,
) -> Done {
    log_at(source, vkey, since, key_file).map(|_| ())
}

/// Verifies a log, prints the verdict, and returns the checkpoint it was verified against.
///
/// # Errors
/// As [`log`].
pub(crate) fn log_at(
    source: &str,
    vkey: &Path,
    since: Option<&Path>,
    key_file: Option<&Path>,
) -> Result<String, Stop> {
    let vkey = input::text(vkey, SMALL_BYTES_MAX)?;
    let since = since.map(|path| input::text(path, SMALL_BYTES_MAX)).transpose()?;
    let since = since.map(|text| Since::from_text(&text));
    let files: Box<dyn LogSource> =
        if source.starts_with("http://") || source.starts_with("https://") {
            let log = HttpLog::new(source, key_file)?;
            log.admits()?;
            Box::new(log)
        } else {
            let exists = Path::new(source).is_dir();
            anyhow_ensure(exists, || format!("{source} is not a directory"))?;
            Box::new(DirSource::new(source))
        };
    let unreadable =
        |_: SourceError| Stop::Again(anyhow::anyhow!("a file of the log cannot be read"));
    let files = AtOneMoment::of(files).map_err(unreadable)?;
    let mut verdict = verify_log(&files, &vkey, since).map_err(unreadable)?;
    if verdict.ok && Path::new(source).is_dir() {
        beside::check(Path::new(source), &vkey, &mut verdict);
    }
    print_json(&verdict)?;
    if !verdict.ok {
        return Err(Stop::No);
    }
    let checkpoint = files.checkpoint.unwrap_or_default();
    String::from_utf8(checkpoint).context("the checkpoint").map_err(Stop::Usage)
}

/// A log whose checkpoint is read once: a log that grows meanwhile is verified, and kept, at one size.
struct AtOneMoment {
    files: Box<dyn LogSource>,
    checkpoint: Option<Vec<u8>>,
}

impl AtOneMoment {
    fn of(files: Box<dyn LogSource>) -> Result<Self, SourceError> {
        let checkpoint = files.read("checkpoint")?;
        Ok(Self { files, checkpoint })
    }
}

impl LogSource for AtOneMoment {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        if path == "checkpoint" { Ok(self.checkpoint.clone()) } else { self.files.read(path) }
    }
}

fn anyhow_ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Usage(anyhow::anyhow!(message()))) }
}

/// The files of a log behind `/v1/log`.
struct HttpLog {
    http: Http,
    base: String,
    key: Option<Sensitive<String>>,
}

impl HttpLog {
    fn new(base: &str, key_file: Option<&Path>) -> Result<Self, Stop> {
        let http = Http::builder()
            .timeout(std::time::Duration::from_secs(60))
            .build()
            .context("HTTP client")?;
        let key = key_file.map(read_key).transpose()?;
        Ok(Self { http, base: base_url(base)?, key })
    }

    fn ask(&self, path: &str) -> reqwest::Result<reqwest::blocking::Response> {
        let mut request = self.http.get(format!("{}/{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        request.send()
    }

    /// Asks once before anything is verified, so that a wrong key is not taken for a missing file.
    fn admits(&self) -> Result<(), Stop> {
        let asked = self.ask("checkpoint").map_err(reqwest::Error::without_url);
        let response = asked.context("the server").map_err(Stop::Again)?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Stop::Usage(anyhow::anyhow!("the server refuses the key; see --key-file")))
            }
            // A log has a checkpoint from its first entry on; what has none is something else.
            StatusCode::NOT_FOUND => Err(Stop::Usage(anyhow::anyhow!(
                "there is no log; the URL is the prefix, for example https://host/v1/log"
            ))),
            _ => Ok(()),
        }
    }
}

impl LogSource for HttpLog {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let response = self.ask(path).map_err(|_| SourceError)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                response.bytes().map(|b| Some(b.to_vec())).map_err(|_| SourceError)
            }
            _ => Err(SourceError),
        }
    }
}
