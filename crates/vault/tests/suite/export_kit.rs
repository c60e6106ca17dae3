//! What tests of exports do with a [`World`], and with the package that comes out.

use std::io::{Cursor, Read as _};

use futures::StreamExt as _;
use leadvault_crypto::age::Identity;
use leadvault_crypto::sha256;
use leadvault_domain::{DatasetId, ExportId, LeadId, OperationId};
use leadvault_vault::leads::{self, LeadDoc};
use leadvault_vault::{Call, Fault, Span, export, operations};
use serde_json::{Value, json};

use crate::world::World;

impl World {
    pub(crate) async fn lead(&self, email: &str, company: &str) -> LeadId {
        self.lead_in(self.dataset, email, company).await
    }

    pub(crate) async fn lead_in(&self, dataset: DatasetId, email: &str, company: &str) -> LeadId {
        let doc = json!({
            "dataset": dataset, "external_id": "A1", "tags": ["vip"],
            "fields": { "email": email, "company": company },
        });
        let doc: LeadDoc = serde_json::from_slice(doc.to_string().as_bytes()).unwrap();
        leads::create::create(&self.cell, &self.call, &doc).await.unwrap().value.id
    }

    /// The controller's call that names no instruction: an exit.
    pub(crate) fn exit(&self, key: &str) -> Call {
        let mut call = self.call.clone();
        (call.instruction, call.purpose) = (None, None);
        call.idempotency_key = Some(key.to_owned().into());
        call.fingerprint = sha256(&[key.as_bytes()]);
        call
    }

    pub(crate) async fn erase(&self, lead: LeadId) -> Value {
        let call = self.exit(&format!("erase-{lead}"));
        match leads::erase::erase(&self.cell, &call, lead).await.unwrap().value {
            leads::erase::Erased::Receipt(receipt) => *receipt,
            leads::erase::Erased::PendingKey => panic!("the key is there"),
        }
    }

    pub(crate) async fn start(&self, key: &str, plain: bool) -> OperationId {
        export::start(&self.cell, &self.exit(key), None, plain).await.unwrap().value
    }

    pub(crate) async fn export(&self, key: &str, plain: bool) -> ExportId {
        let started = self.start(key, plain).await;
        self.ended(started).await
    }

    /// Waits until an export is made.
    pub(crate) async fn ended(&self, operation: OperationId) -> ExportId {
        for _ in 0..600 {
            let found = operations::find(&self.cell, &self.call, operation).await.unwrap().value;
            match found.state {
                "done" => {
                    let result = found.result.unwrap();
                    return result["id"].as_str().unwrap().parse().unwrap();
                }
                "failed" => panic!("{:?}", found.error),
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
        panic!("the export does not end")
    }

    /// The lines of a plain package.
    pub(crate) async fn lines(&self, id: ExportId) -> Vec<Value> {
        let zip = self.download(id, Span::Whole).await.unwrap();
        let lines = String::from_utf8(member(&zip, "data/leads-0001.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) async fn download(&self, id: ExportId, span: Span) -> Result<Vec<u8>, Fault> {
        let answer = export::content(&self.cell, &self.exit("d"), id, span).await;
        let mut body = answer.map_err(|refusal| refusal.fault)?.value.body;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        Ok(bytes)
    }
}

pub(crate) fn decrypt(bytes: &[u8], identity: &Identity) -> Vec<u8> {
    let identity: age::x25519::Identity = identity.expose().parse().unwrap();
    age::decrypt(&identity, bytes).unwrap()
}

pub(crate) fn member(zip: &[u8], path: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let names: Vec<String> = zip.file_names().map(|n| n.unwrap().into_owned()).collect();
    let name = names.iter().find(|n| n.ends_with(path)).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
