//! `leadvault import`: uploads a file, shows progress, resumes where an earlier try stopped.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command speaks to people")]

use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::ImportArgs;
use crate::client::{Answered, Client, Refused};
use crate::exit::{Done, Stop};
use crate::output::print_json;

/// Tries of one upload before the command gives up; each goes on from the server's `next_byte`.
const TRIES_MAX: u32 = 5;

/// Runs the command.
///
/// # Errors
/// 1 when rows were rejected, 2 for bad input, 4 when it should be run again.
pub(crate) fn run(args: &ImportArgs) -> Done {
    let client = Client::from_file(&args.server.url, &args.server.key_file)?
        .under(args.instruction.clone(), args.purpose.clone());
    let len = std::fs::metadata(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?
        .len();
    let attestation = args.attestation.as_deref().map(read_json).transpose()?;
    let mapping = args.mapping.as_deref().map(read_json).transpose()?;
    let body = json!({
        "dataset": args.dataset, "format": "auto", "mapping": mapping,
        "duplicates": { "by": ["email"], "action": args.duplicates },
        "default_region": null, "attestation": attestation,
    });
    let made = client
        .post("/v1/imports", &body, None)?
        .map_err(|refused| refused.stop("the import was not opened"))?;
    let id = made.body["id"].as_str().unwrap_or_default().to_owned();
    eprintln!("import {id}");
    let done = upload(&client, &id, &args.file, len)?;
    report(&done.body, args.json)?;
    if done.body["rows"]["rejected"].as_u64().unwrap_or(0) > 0 {
        eprintln!("rejected rows: GET /v1/imports/{id}/failures lists row, column and code");
        return Err(Stop::No);
    }
    Ok(())
}

/// Uploads from wherever the server is, again and again until it has everything.
pub(crate) fn upload(client: &Client, id: &str, file: &Path, len: u64) -> Result<Answered, Stop> {
    let path = format!("/v1/imports/{id}/content");
    let mut last = None;
    for attempt in 0..TRIES_MAX {
        let from = if attempt == 0 { 0 } else { next_byte(client, id)? };
        let bar = progress(len, from);
        let mut open = File::open(file).context("cannot open the file")?;
        open.seek(SeekFrom::Start(from)).context("cannot read the file")?;
        let range = (from > 0).then(|| format!("bytes {from}-{}/{len}", len.saturating_sub(1)));
        let body = bar.wrap_read(BufReader::new(open));
        match client.put(&path, body, len.saturating_sub(from), range.as_deref()) {
            Ok(Ok(answer)) => {
                bar.finish();
                return Ok(answer);
            }
            Ok(Err(refused)) if refused.status < 500 => {
                bar.abandon();
                return Err(explain(&refused));
            }
            Ok(Err(refused)) => last = Some(refused.stop("the upload")),
            Err(stop) => last = Some(stop),
        }
        bar.abandon();
        eprintln!("cut off; going on from where the server is");
        std::thread::sleep(std::time::Duration::from_secs(1 << attempt.min(4)));
    }
    Err(last.unwrap_or_else(|| Stop::Again(anyhow::anyhow!("the upload did not finish"))))
}

fn next_byte(client: &Client, id: &str) -> Result<u64, Stop> {
    let state = client
        .get(&format!("/v1/imports/{id}"))?
        .map_err(|refused| refused.stop("the import cannot be read"))?;
    Ok(state.body["next_byte"].as_u64().unwrap_or(0))
}

fn explain(refused: &Refused) -> Stop {
    if refused.code == "mapping_needed" {
        eprintln!(
            "some columns must be named; give --mapping FILE.json, for example {{\"3\":\"company\"}}:"
        );
        for question in refused.body["questions"].as_array().into_iter().flatten() {
            eprintln!("  column {}: one of {}", question["column"], question["choices"]);
        }
    }
    refused.stop("the import")
}

fn report(import: &Value, as_json: bool) -> Result<(), Stop> {
    if as_json {
        return print_json(import);
    }
    let rows = &import["rows"];
    let seconds = import["seconds"].as_f64();
    println!(
        "{}: {} read, {} stored, {} updated, {} skipped, {} rejected",
        import["state"].as_str().unwrap_or("?"),
        rows["read"],
        rows["stored"],
        rows["updated"],
        rows["skipped"],
        rows["rejected"]
    );
    if let Some(seconds) = seconds {
        eprintln!("{seconds:.1} s");
    }
    Ok(())
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn progress(len: u64, from: u64) -> ProgressBar {
    let bar = ProgressBar::new(len);
    let style =
        ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_position(from);
    bar
}
