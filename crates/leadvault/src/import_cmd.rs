//! `leadvault import`: uploads a file or an export package, shows progress, goes on where it was cut off.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use leadvault_vault::import::{MAGIC_BYTES, binary_kind};
use serde_json::{Value, json};

use crate::cli::ImportArgs;
use crate::client::{Answered, Client, Refused};
use crate::exit::{Done, Stop};
use crate::input;
use crate::output::{print_json, print_line};
use crate::verify;

/// Tries of one upload before the command gives up; each goes on from the server's `next_byte`.
const TRIES_MAX: u32 = 5;
/// How often the bar is drawn while the server works and no byte moves.
const TICK: Duration = Duration::from_millis(250);

/// Runs the command.
///
/// # Errors
/// 1 when rows were rejected, 2 for bad input, 4 when it should be run again.
pub(crate) fn run(args: &ImportArgs) -> Done {
    let client = Client::from_file(&args.server.url, &args.server.key_file)?
        .under(args.instruction.as_deref(), args.purpose.as_deref())?;
    let file = verify::leads_or_file(&args.file, args.identity.as_deref(), args.vkey.as_deref())?;
    refuse_binary(&file)?;
    let len = file.metadata().context("cannot read the file")?.len();
    let id = match &args.resume {
        Some(id) => {
            resumable(&client, id, args, len)?;
            id.clone()
        }
        None => open(&client, args)?,
    };
    say!("import {id}; where it is cut off, go on with: --resume {id}");
    let done = upload_from(&client, &id, &file, len).inspect_err(|stop| {
        if matches!(stop, Stop::Again(_)) {
            say!("go on with: --resume {id}");
        }
    })?;
    report(&done.body, args.json)?;
    if done.body["rows"]["rejected"].as_u64().unwrap_or(0) > 0 {
        say!("rejected rows: GET /v1/imports/{id}/failures lists row, column and code");
        return Err(Stop::No);
    }
    Ok(())
}

/// Says what a file is that holds no rows of text, before anything is sent.
fn refuse_binary(mut file: &File) -> Done {
    let mut start = Vec::new();
    file.take(MAGIC_BYTES).read_to_end(&mut start).context("cannot read the file")?;
    file.seek(SeekFrom::Start(0)).context("cannot read the file")?;
    match binary_kind(&start) {
        None => Ok(()),
        Some(kind) => {
            let what =
                anyhow::anyhow!("this is a file of the kind {kind}; save it as CSV or JSON Lines");
            Err(Stop::Usage(what))
        }
    }
}

/// Refuses to go on with an import of another dataset, or with a finished one of another file.
fn resumable(client: &Client, id: &str, args: &ImportArgs, len: u64) -> Done {
    let state = client
        .get(&format!("/v1/imports/{id}"))?
        .map_err(|refused| refused.stop("the import cannot be read"))?
        .body;
    let other = |what: String| Err(Stop::Usage(anyhow::anyhow!("--resume {id}: {what}")));
    if state["dataset"].as_str() != Some(args.dataset.as_str()) {
        return other("the import is of another dataset".to_owned());
    }
    let finished = matches!(state["state"].as_str(), Some("done" | "quarantined"));
    match state["bytes"].as_u64() {
        Some(bytes) if finished && bytes != len => {
            other(format!("finished, with a file of {bytes} bytes; this one has {len}"))
        }
        _ if finished => {
            say!("finished before; nothing is sent");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Opens an import; its id.
fn open(client: &Client, args: &ImportArgs) -> Result<String, Stop> {
    let attestation = args.attestation.as_deref().map(read_json).transpose()?;
    let mapping = args.mapping.as_deref().map(read_json).transpose()?;
    let body = json!({
        "dataset": args.dataset, "format": "auto", "mapping": mapping,
        "duplicates": { "by": args.duplicates_by, "action": args.duplicates },
        "default_region": null, "attestation": attestation,
    });
    let made = client
        .post("/v1/imports", &body, None)?
        .map_err(|refused| refused.stop("the import was not opened"))?;
    Ok(made.body["id"].as_str().unwrap_or_default().to_owned())
}

/// Uploads a file from wherever the server is, again and again until it has everything.
///
/// # Errors
/// 2 for a file the server refuses, 4 when the server is gone.
pub(crate) fn upload(client: &Client, id: &str, file: &Path, len: u64) -> Result<Answered, Stop> {
    let file = File::open(file).context("cannot open the file")?;
    upload_from(client, id, &file, len)
}

fn upload_from(client: &Client, id: &str, file: &File, len: u64) -> Result<Answered, Stop> {
    let mut last = None;
    for attempt in 0..TRIES_MAX {
        if attempt > 0 {
            say!("cut off; going on from where the server is");
            std::thread::sleep(Duration::from_secs(1 << (attempt - 1)));
        }
        match upload_rest(client, id, file, len) {
            Err(stop @ Stop::Again(_)) => last = Some(stop),
            done => return done,
        }
    }
    Err(last.unwrap_or_else(|| Stop::Again(anyhow::anyhow!("the upload did not finish"))))
}

/// One try: what the server does not have yet.
fn upload_rest(client: &Client, id: &str, file: &File, len: u64) -> Result<Answered, Stop> {
    let state = client
        .get(&format!("/v1/imports/{id}"))?
        .map_err(|refused| refused.stop("the import cannot be read"))?;
    // The answer to the last try may have been lost, not its bytes.
    if matches!(state.body["state"].as_str(), Some("done" | "quarantined")) {
        return Ok(state);
    }
    let from = state.body["next_byte"].as_u64().unwrap_or(0).min(len);
    // Everything came but the end of it was not heard of: the server compares all bytes again.
    let from = if from == len { 0 } else { from };
    let mut file = file.try_clone().context("cannot read the file")?;
    file.seek(SeekFrom::Start(from)).context("cannot read the file")?;
    let range = (from > 0).then(|| format!("bytes {from}-{}/{len}", len.saturating_sub(1)));
    let bar = progress(len, from);
    let body = bar.wrap_read(BufReader::new(file));
    let path = format!("/v1/imports/{id}/content");
    let said = client.put(&path, body, len.saturating_sub(from), range.as_deref());
    match said {
        Ok(Ok(answer)) => {
            bar.finish();
            Ok(answer)
        }
        Ok(Err(refused)) => {
            bar.abandon();
            Err(explain(&refused))
        }
        Err(stop) => {
            bar.abandon();
            Err(stop)
        }
    }
}

fn explain(refused: &Refused) -> Stop {
    if refused.code == "mapping_needed" {
        say!(
            "some columns must be named; give --mapping FILE.json, for example {{\"3\":\"company\"}}:"
        );
        for question in refused.body["questions"].as_array().into_iter().flatten() {
            say!("  column {}: one of {}", question["column"], question["choices"]);
        }
    }
    refused.stop("the import")
}

fn report(import: &Value, as_json: bool) -> Result<(), Stop> {
    if import["state"] == "quarantined" {
        say!(
            "no attestation was given: the leads are stored, not searchable, and go after 14 days"
        );
    }
    if as_json {
        return print_json(import);
    }
    let rows = &import["rows"];
    print_line(format_args!(
        "{}: {} read, {} stored, {} updated, {} skipped, {} rejected",
        import["state"].as_str().unwrap_or("?"),
        rows["read"],
        rows["stored"],
        rows["updated"],
        rows["skipped"],
        rows["rejected"]
    ))
}

fn read_json(path: &Path) -> Result<Value, Stop> {
    let text = input::text(path, input::DOCUMENT_BYTES_MAX)?;
    // Where it is wrong, not what stands there.
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let name = path.display();
        Stop::Usage(anyhow::anyhow!("{name} is not JSON: line {line}, column {column}"))
    })
}

/// A bar on stderr with rate and remaining time; nothing where that is no terminal.
fn progress(len: u64, from: u64) -> ProgressBar {
    let bar = ProgressBar::new(len);
    let style = ProgressStyle::with_template(
        "{bar:30} {percent}% {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_position(from);
    bar.reset_eta();
    bar.enable_steady_tick(TICK);
    bar
}
