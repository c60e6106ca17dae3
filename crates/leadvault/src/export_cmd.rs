//! `leadvault export`: starts an export, waits for it, downloads it; an interrupted download goes on.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::ExportArgs;
use crate::client::Client;
use crate::exit::{Done, Stop};
use crate::output::print_json;

/// How often the export's state is asked for.
const POLL: std::time::Duration = std::time::Duration::from_millis(200);
/// Tries of the download; each goes on behind the bytes already there.
const TRIES_MAX: u32 = 5;

/// Runs the command.
///
/// # Errors
/// 2 for bad input, 4 when it should be run again.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
pub(crate) fn run(args: &ExportArgs) -> Done {
    let client = Client::from_file(&args.server.url, &args.server.key_file)?
        .under(None, Some("provide_service".to_owned()));
    let body = json!({ "dataset": args.dataset, "plain": args.plain });
    let key = format!("export-{:x}-{}", std::process::id(), args.out.display());
    let made = client
        .post("/v1/exports", &body, Some(&key))?
        .map_err(|refused| refused.stop("the export was not started"))?;
    let operation = made.body["operation"].as_str().unwrap_or_default().to_owned();
    let export = wait(&client, &operation)?;
    let id = export["id"].as_str().unwrap_or_default().to_owned();
    eprintln!("export {id}: {} leads, {} bytes", export["leads"], export["bytes"]);
    let bytes = export["bytes"].as_u64().unwrap_or(0);
    download(&client, &id, args, bytes)?;
    if args.json {
        return print_json(&export);
    }
    eprintln!("written to {}", args.out.display());
    Ok(())
}

/// Waits until an export is ready; returns it.
pub(crate) fn wait(client: &Client, operation: &str) -> Result<Value, Stop> {
    loop {
        let state = client
            .get(&format!("/v1/operations/{operation}"))?
            .map_err(|refused| refused.stop("the operation cannot be read"))?;
        match state.body["state"].as_str() {
            Some("done") => {
                let id = state.body["result"]["id"].as_str().unwrap_or_default().to_owned();
                let export = client
                    .get(&format!("/v1/exports/{id}"))?
                    .map_err(|refused| refused.stop("the export cannot be read"))?;
                return Ok(export.body);
            }
            Some("failed") => {
                let code = state.body["error"].as_str().unwrap_or("unknown").to_owned();
                return Err(Stop::Again(anyhow::anyhow!("the export failed: {code}")));
            }
            _ => std::thread::sleep(POLL),
        }
    }
}

fn download(client: &Client, id: &str, args: &ExportArgs, bytes: u64) -> Done {
    let mut out = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    let mut have = 0_u64;
    let mut last = None;
    for _ in 0..TRIES_MAX {
        let mut body = match client.download(&format!("/v1/exports/{id}/content"), have) {
            Ok(body) => body,
            Err(stop) => {
                last = Some(stop);
                continue;
            }
        };
        let mut buffer = vec![0_u8; 1 << 16];
        while let Ok(n) = body.read(&mut buffer) {
            let Some(read) = buffer.get(..n).filter(|r| !r.is_empty()) else { break };
            out.write_all(read).context("cannot write the package")?;
            have = have.saturating_add(n as u64);
        }
        if have >= bytes {
            out.sync_all().context("cannot write the package")?;
            return Ok(());
        }
    }
    Err(last.unwrap_or_else(|| Stop::Again(anyhow::anyhow!("the download was cut off"))))
}
