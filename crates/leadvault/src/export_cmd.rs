//! `leadvault export`: starts an export, waits until it is made, downloads it.
//!
//! The package goes to a file beside the wanted one, named after the export, and gets its name when it is whole
//! and its digest is right. A command that was cut off finds that file when it is run again and goes on behind
//! what is there; where the export can no longer be had, it starts another.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use leadvault_crypto::Sha256Stream;
use serde_json::{Value, json};

use crate::cli::ExportArgs;
use crate::client::{Client, Fetched};
use crate::exit::{Done, Stop};
use crate::output::{print_json, print_line};

/// How often the export's state is asked for.
const POLL: Duration = Duration::from_millis(200);
/// Tries without a single byte before the command gives up; each goes on behind the bytes already there.
const TRIES_MAX: u32 = 5;
/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 16;
/// Ending of a package that is not whole yet.
const PART: &str = "part";

/// Runs the command.
///
/// # Errors
/// 1 when the server says no, 2 for bad input or a file that is there, 4 when it should be run again.
pub(crate) fn run(args: &ExportArgs) -> Done {
    let export = fetch(args)?;
    if args.json {
        return print_json(&export);
    }
    print_line(format_args!("{}", args.out.display()))
}

/// Does all of it but for what stdout says; returns the export.
///
/// # Errors
/// As [`run`].
pub(crate) fn fetch(args: &ExportArgs) -> Result<Value, Stop> {
    let target = Target::new(args)?;
    let client = Client::from_file(&args.server.url, &args.server.key_file)?
        .under(None, Some("provide_service"))?;
    let export = match begun_before(&client, &target, args.plain)? {
        Some(export) => export,
        None => made(&client, args)?,
    };
    let id = export["id"].as_str().unwrap_or_default();
    say!("export {id}: {} leads, {} bytes", export["leads"], export["bytes"]);
    download(&client, &export, &target)?;
    Ok(export)
}

/// Where the package goes.
struct Target {
    out: PathBuf,
    dir: PathBuf,
    /// What the names of files begin with that are not whole yet: they are of the same wish.
    prefix: String,
    force: bool,
}

impl Target {
    fn new(args: &ExportArgs) -> Result<Self, Stop> {
        let (out, force) = (args.out.as_path(), args.force);
        let name = out.file_name().and_then(|name| name.to_str()).context("--out: not a file")?;
        let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !force && out.symlink_metadata().is_ok() {
            let there = anyhow::anyhow!("{} is there; --force replaces it", out.display());
            return Err(Stop::Usage(there));
        }
        if !dir.is_dir() {
            return Err(Stop::Usage(anyhow::anyhow!("{}: not a directory", dir.display())));
        }
        let prefix = format!(".{name}.{}.", args.dataset.as_deref().unwrap_or("all"));
        Ok(Self { out: out.to_owned(), dir: dir.to_owned(), prefix, force })
    }

    /// The file an export is downloaded into until it is whole.
    fn part(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{}{id}.{PART}", self.prefix))
    }

    /// Ids of exports an earlier command had begun to download here.
    fn begun(&self) -> anyhow::Result<Vec<String>> {
        let names = fs::read_dir(&self.dir).with_context(|| self.dir.display().to_string())?;
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let id = |name: String| {
            let id = name.strip_prefix(&self.prefix)?.strip_suffix(PART)?.strip_suffix('.')?;
            id.starts_with("exp_").then(|| id.to_owned())
        };
        Ok(names.filter_map(id).collect())
    }

    /// Gives the whole package its name.
    fn place(&self, part: &Path) -> Result<(), Stop> {
        let there = |error: std::io::Error| {
            let what = format!("cannot name {}", self.out.display());
            Stop::Usage(anyhow::Error::new(error).context(what))
        };
        if self.force {
            fs::rename(part, &self.out).map_err(there)?;
        } else {
            // A link never replaces what came meanwhile, which a renaming would.
            fs::hard_link(part, &self.out).map_err(there)?;
            fs::remove_file(part).map_err(there)?;
        }
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.context("cannot write the package").map_err(Stop::Again)
    }
}

/// The export of an earlier command that was cut off, if it can still be had. What cannot is removed.
fn begun_before(client: &Client, target: &Target, plain: bool) -> Result<Option<Value>, Stop> {
    let mut found = None;
    for id in target.begun()? {
        match client.get(&format!("/v1/exports/{id}"))? {
            Ok(answer) if answer.body["encrypted"] == plain => {}
            Ok(answer) if answer.body["state"] == "ready" => {
                say!("going on with {id}");
                found = Some(answer.body);
            }
            Ok(_) => remove(&target.part(&id))?,
            Err(refused) if refused.status == 404 => remove(&target.part(&id))?,
            Err(refused) => return Err(refused.stop("the export cannot be read")),
        }
    }
    Ok(found)
}

fn remove(part: &Path) -> Result<(), Stop> {
    fs::remove_file(part).with_context(|| part.display().to_string()).map_err(Stop::Usage)
}

/// Starts an export and waits for it.
fn made(client: &Client, args: &ExportArgs) -> Result<Value, Stop> {
    let body = json!({ "dataset": args.dataset, "plain": args.plain });
    let mut key = [0_u8; 16];
    leadvault_domain::Entropy::fill(&leadvault_crypto::SystemEntropy, &mut key)
        .context("randomness")?;
    let made = client
        .post("/v1/exports", &body, Some(&hex::encode(key)))?
        .map_err(|refused| refused.stop("the export was not started"))?;
    wait(client, made.body["operation"].as_str().unwrap_or_default())
}

/// Waits until an export is ready; returns it.
///
/// # Errors
/// 1 where it failed for good, 4 where another try may do.
pub(crate) fn wait(client: &Client, operation: &str) -> Result<Value, Stop> {
    let bar = bar("{bar:30} {pos}/{len} leads {eta} left");
    loop {
        let state = client
            .get(&format!("/v1/operations/{operation}"))?
            .map_err(|refused| refused.stop("the operation cannot be read"))?;
        match state.body["state"].as_str() {
            Some("done") => {
                bar.finish_and_clear();
                let id = state.body["result"]["id"].as_str().unwrap_or_default().to_owned();
                let export = client
                    .get(&format!("/v1/exports/{id}"))?
                    .map_err(|refused| refused.stop("the export cannot be read"))?;
                return Ok(export.body);
            }
            Some("failed") => {
                bar.abandon();
                let code = state.body["error"].as_str().unwrap_or("unknown").to_owned();
                say!("the export failed: {code}");
                return Err(failed(&code));
            }
            _ => {
                let progress = &state.body["progress"];
                bar.set_length(progress["total"].as_u64().unwrap_or(0));
                bar.set_position(progress["done"].as_u64().unwrap_or(0));
                std::thread::sleep(POLL);
            }
        }
    }
}

/// What a failed export means for the command.
fn failed(code: &str) -> Stop {
    match code {
        "export_stale" | "not_ready" | "overloaded" | "journal_unwritable" | "internal" => {
            Stop::Again(anyhow::anyhow!("run it again"))
        }
        _ => Stop::No,
    }
}

/// Downloads an export behind what is there already, checks its digest and gives it its name.
fn download(client: &Client, export: &Value, target: &Target) -> Done {
    let id = export["id"].as_str().unwrap_or_default();
    let total = export["bytes"].as_u64().unwrap_or(0);
    let part = target.part(id);
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&part)
        .with_context(|| format!("cannot write {}", part.display()))?;
    let mut have = file.seek(SeekFrom::End(0)).context("cannot read what is there")?;
    if have > total {
        file.set_len(0).context("cannot write the package")?;
        have = file.seek(SeekFrom::Start(0)).context("cannot write the package")?;
    }
    let bar = bar("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
    bar.set_length(total);
    let path = format!("/v1/exports/{id}/content");
    let (mut tries, mut last) = (0, None);
    while have < total {
        let before = have;
        match client.download(&path, have, id) {
            Ok(Fetched { mut body, from }) => {
                have = file.seek(SeekFrom::Start(from)).context("cannot write the package")?;
                have = receive(&mut body, &mut file, have, total, &bar)?;
            }
            Err(Stop::Again(error)) => last = Some(error),
            Err(other) => return Err(other),
        }
        tries = if have > before { 0 } else { tries + 1 };
        if tries >= TRIES_MAX {
            bar.abandon();
            let error = last.unwrap_or_else(|| anyhow::anyhow!("the download was cut off"));
            return Err(Stop::Again(error.context("run it again: it goes on where it was")));
        }
        if have < total {
            std::thread::sleep(Duration::from_secs(1 << tries.min(4)) / 2);
        }
    }
    bar.finish_and_clear();
    file.sync_all().context("cannot write the package").map_err(Stop::Again)?;
    if Some(digest(&mut file)?.as_str()) != export["sha256"].as_str() {
        remove(&part)?;
        return Err(Stop::Again(anyhow::anyhow!("the digest of the package is not the server's")));
    }
    target.place(&part)
}

/// Writes what comes, up to the end of the package or of the connection; returns how much is there.
fn receive(
    body: &mut reqwest::blocking::Response,
    file: &mut File,
    mut have: u64,
    total: u64,
    bar: &ProgressBar,
) -> Result<u64, Stop> {
    let mut piece = vec![0_u8; PIECE_BYTES];
    // A connection that breaks ends the answer early; the caller asks for the rest.
    while let Ok(n) = body.read(&mut piece) {
        let Some(read) = piece.get(..n).filter(|read| !read.is_empty()) else { break };
        file.write_all(read).context("cannot write the package").map_err(Stop::Again)?;
        have = have.saturating_add(n as u64);
        bar.set_position(have);
        if have >= total {
            break;
        }
    }
    Ok(have)
}

fn digest(file: &mut File) -> Result<String, Stop> {
    let again = |error: std::io::Error| Stop::Again(error.into());
    file.seek(SeekFrom::Start(0)).map_err(again)?;
    let mut digest = Sha256Stream::new();
    let mut piece = vec![0_u8; PIECE_BYTES];
    loop {
        let n = file.read(&mut piece).map_err(again)?;
        let Some(read) = piece.get(..n).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
    }
    Ok(hex::encode(digest.finish()))
}

/// A bar on stderr; nothing where stderr is no terminal.
fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
