//! The certificate of deletion (deletion.md 5.3): what was destroyed, how strongly, and what is not covered.
//!
//! Signed by the log's key over its JCS form (RFC 8785). It holds no personal data, and it is issued once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_domain::{CertificateId, OperationId};
use leadvault_store::{CertificateRow, FinishOperation, IssueCertificate, TenantScope, Write};
use serde_json::{Value as Json, json};

use crate::canonical::canonical;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::log;
use crate::publisher;
use crate::room::Room;

/// What was shredded.
pub(super) struct Shredded {
    /// Why, a word of deletion.md 5.3.
    pub(super) trigger: &'static str,
    /// The datasets, by their ids; none = all.
    pub(super) datasets: Vec<String>,
    /// What the destroyed keys belonged to.
    pub(super) scope: &'static str,
    /// The epoch since which they are gone; the last one for a tenant.
    pub(super) epoch: u32,
    /// Leads a scan of the store found afterwards.
    pub(super) left: u64,
}

/// Signs and keeps the certificate once the completing entry is published, and ends the operation.
///
/// # Errors
/// What log and store say; [`Fault::Internal`] where nothing says that the shred is done.
pub(super) async fn issue(
    cell: &Cell,
    room: &Room,
    operation: OperationId,
    what: &Shredded,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let finish = FinishOperation { id: operation, node: None, error: None, result: None };
    let record = cell.data().find_certificate(scope, operation).await?.ok_or(Fault::NotFound)?;
    if record.body.is_some() {
        cell.data().apply(scope, finish).await?;
        return Ok(());
    }
    let completed = record.completed_index.ok_or(Fault::Internal("certificate"))?;
    publisher::cover(cell, room.no, completed).await?;
    let certificate = certificate(cell, room, what, &record, completed)?;
    let body = certificate.to_string();
    let write: Write = vec![IssueCertificate { operation, body }.into(), finish.into()].into();
    cell.data().apply(scope, write).await?;
    Ok(())
}

fn certificate(
    cell: &Cell,
    room: &Room,
    what: &Shredded,
    record: &CertificateRow,
    completed: u64,
) -> Result<Json, Refusal> {
    let id = CertificateId::make(cell.clock(), cell.entropy())?;
    let control = room.control();
    let level = cell.level();
    let now = cell.clock().now();
    let proof = log::proof_of(cell, room.no, completed, None)?;
    let origin = cell.origin(room.no)?;
    let mut certificate = json!({
        "type": "DeletionCertificate", "v": 1, "id": id, "tenant_ref": room.id,
        "agreement": { "id": control.agreement.id, "sha256": control.agreement.sha256 },
        "trigger": { "kind": what.trigger, "requested_at": record.begun_at },
        "scope": { "datasets": what.datasets, "categories": [], "regimes": [], "subject_ref": null },
        "returned": null,
        "stores": [{
            "store": "primary-db", "region": cell.region(), "provider": "self",
            "technique": "cryptographic_erase", "nist_method_claimed": "none",
            "keys": [{
                "scope": what.scope, "epoch": what.epoch, "level": level.as_str(),
                "level_means": level.sentence(), "durability": cell.parts().durability,
                "slot": format!("forgotten {now}"), "escrow": "none", "tag_keys": "destroyed",
                "index_horizon": null,
                "volatile_copies": format!("all live nodes confirmed epoch {} at {now}", what.epoch),
            }],
            "rows": record.rows, "objects": 0, "started_at": record.begun_at, "finished_at": now,
            "errors": 0,
            "verification": {
                "method": "row count after the deletion",
                "result": if what.left == 0 { "zero" } else { "not zero" },
                "probe_count": what.left,
            },
        }],
        "backups": { "status": "pending", "policy_max_age_days": null,
            "restore_replay": "log brought up from bundles, erasures applied again" },
        "subprocessors": [],
        "exceptions": [],
        "not_covered": ["tenant exports already downloaded"],
        "log": {
            "origin": &*origin,
            "requested": { "index": record.requested_index },
            "completed": { "index": completed, "leaf": hex::encode(proof.leaf_hash) },
            "checkpoint": proof.checkpoint,
            "inclusion": proof.path.iter().map(hex::encode).collect::<Vec<_>>(),
            "log_key": "n/a: references die with their leaf keys",
        },
        "statement": "rendered unintelligible by destruction of all known key copies",
        "status": "interim", "issued_at": now,
    });
    let signature = cell.parts().log_keys.sign(&canonical(&certificate)?);
    if let Some(object) = certificate.as_object_mut() {
        object.insert("sig".to_owned(), STANDARD.encode(signature).into());
    }
    Ok(certificate)
}
