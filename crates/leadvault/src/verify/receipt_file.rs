//! `leadvault verify receipt`: an erasure receipt or deletion certificate (JSON, signed over its RFC 8785
//! form without `sig`), or the text of a `Ledger-Receipt` header.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_ledger::{Checkpoint, Hash, LedgerReceipt, Vkey, tree};
use serde_json::Value;

use crate::exit::{Done, Stop};
use crate::input;
use crate::verify::Found;

/// Runs the command.
///
/// # Errors
/// 1 when it does not hold, 2 for unreadable input.
pub(crate) fn run(file: &Path, vkey: &Path) -> Done {
    let vkey = input::text(vkey, input::SMALL_BYTES_MAX)?;
    let keys = Vkey::parse_all(&vkey).context("the verifier key").map_err(Stop::Usage)?;
    let text = input::text(file, input::DOCUMENT_BYTES_MAX)?;
    if text.starts_with("v=") {
        return ledger_receipt(text.trim(), &keys).finish();
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(document) => signed_document(&document, &keys).finish(),
        Err(_) => Found::bad("malformed", "receipt").finish(),
    }
}

/// A `Ledger-Receipt` alone: that the log's key signed the chunk it names.
fn ledger_receipt(text: &str, keys: &[Vkey]) -> Found {
    let Ok(receipt) = LedgerReceipt::parse(text) else {
        return Found::bad("malformed", "receipt");
    };
    let verifying: Vec<_> = keys.iter().map(|k| *k.key()).collect();
    let origin = keys.first().map(Vkey::name).unwrap_or_default();
    match receipt.verify_chunk(origin, &verifying) {
        Ok(()) => Found::good(),
        Err(_) => Found::bad("bad_signature", "receipt"),
    }
}

/// A signed document: its signature, and its completing entry in the checkpoint it carries.
pub(super) fn signed_document(document: &Value, keys: &[Vkey]) -> Found {
    let Some(signature) = document["sig"].as_str().and_then(|s| STANDARD.decode(s).ok()) else {
        return Found::bad("malformed", "sig");
    };
    let mut unsigned = document.clone();
    if let Some(object) = unsigned.as_object_mut() {
        object.remove("sig");
    }
    let Ok(bytes) = serde_json_canonicalizer::to_vec(&unsigned) else {
        return Found::bad("malformed", "receipt");
    };
    if !keys.iter().any(|k| k.key().verify(&bytes, &signature)) {
        return Found::bad("bad_signature", "sig");
    }
    let (completed, checkpoint, inclusion) = if document["type"] == "DeletionCertificate" {
        let log = &document["log"];
        (&log["completed"], &log["checkpoint"], &log["inclusion"])
    } else {
        (&document["completed"], &document["checkpoint"], &document["inclusion"])
    };
    entry_in_checkpoint(completed, checkpoint, inclusion, keys)
}

fn entry_in_checkpoint(completed: &Value, note: &Value, path: &Value, keys: &[Vkey]) -> Found {
    let Ok(checkpoint) = Checkpoint::open(note.as_str().unwrap_or_default().as_bytes(), keys)
    else {
        return Found::bad("bad_signature", "checkpoint");
    };
    let leaf = completed["leaf"].as_str().and_then(hash);
    let path: Option<Vec<Hash>> =
        path.as_array().and_then(|p| p.iter().map(|h| h.as_str().and_then(hash)).collect());
    let (Some(index), Some(leaf), Some(path)) = (completed["index"].as_u64(), leaf, path) else {
        return Found::bad("malformed", "completed");
    };
    if tree::verify_inclusion(index, checkpoint.size, &leaf, &path, &checkpoint.root) {
        Found::good()
    } else {
        Found::bad("not_in_log", "inclusion")
    }
}

fn hash(text: &str) -> Option<Hash> {
    hex::decode(text).ok()?.try_into().ok()
}
