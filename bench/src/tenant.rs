//! A tenant of the vault under measurement: made over HTTP, with datasets and an instruction in force.

use std::net::SocketAddr;

use anyhow::Context as _;
use hyper::Method;
use leadvault_crypto::{SystemEntropy, age};
use serde_json::{Value, json};

use crate::http::{Caller, Connection};
use crate::process::{Server, Vault};

/// CRM work on ordinary categories: the sample that ships.
const INSTRUCTION: &str = include_str!("../../crates/leadvault/sample/instruction.json");

/// A tenant.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    key: String,
    instruction: String,
}

impl Tenant {
    /// Makes one, with an instruction in force and a recipient of exports.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn make(vault: &Vault, server: &Server) -> anyhow::Result<Self> {
        let operator = Caller {
            address: server.address,
            key: vault.operator_key()?,
            instruction: None,
            purpose: None,
        };
        let recipient = age::Identity::make(&SystemEntropy)?.recipient().to_string();
        let body = json!({
            "name": "Bench", "region": "local", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE", "US"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
            "export_recipient": recipient,
        });
        let mut http = Connection::open(&operator).await?;
        let made = http.json(Method::POST, "/v1/tenants", Some(&body), None, 201).await?;
        let key = text(&made["key"], "secret")?;
        let mut tenant = Self { key, instruction: String::new() };
        let mut http = tenant.plain(server.address).await?;
        let drafted = http
            .json(
                Method::POST,
                "/v1/instructions",
                Some(&serde_json::from_str(INSTRUCTION)?),
                None,
                201,
            )
            .await?;
        tenant.instruction = text(&drafted, "id")?;
        let path = format!("/v1/instructions/{}/activate", tenant.instruction);
        http.json(Method::POST, &path, Some(&json!({ "version": 1 })), None, 200).await?;
        Ok(tenant)
    }

    /// Who acts under the tenant's instruction.
    pub(crate) fn acting(&self, address: SocketAddr) -> Caller {
        let instruction = Some(self.instruction.clone());
        Caller { address, key: self.key.clone(), instruction, purpose: Some("crm_operations") }
    }

    /// A connection that names no instruction: exports, erasures, settings.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn plain(&self, address: SocketAddr) -> anyhow::Result<Connection> {
        let key = self.key.clone();
        Connection::open(&Caller { address, key, instruction: None, purpose: None }).await
    }

    /// Makes a dataset.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn dataset(&self, server: &Server, name: &str) -> anyhow::Result<String> {
        let body = json!({ "name": name, "default_region": "US", "origin": ["US-CA"] });
        let mut http = self.plain(server.address).await?;
        text(&http.json(Method::POST, "/v1/datasets", Some(&body), None, 201).await?, "id")
    }

    /// Ids of the first leads of a dataset, at most `count`.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn leads(
        &self,
        server: &Server,
        dataset: &str,
        count: usize,
    ) -> anyhow::Result<Vec<String>> {
        let mut http = Connection::open(&self.acting(server.address)).await?;
        let mut ids: Vec<String> = Vec::new();
        let mut cursor = String::new();
        while ids.len() < count {
            let path = format!("/v1/leads?dataset={dataset}&limit=200{cursor}");
            let page = http.json(Method::GET, &path, None, None, 200).await?;
            let leads = page["data"].as_array().into_iter().flatten();
            ids.extend(leads.filter_map(|l| l["id"].as_str().map(str::to_owned)));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ids.truncate(count);
        Ok(ids)
    }
}

/// A member of an answer.
///
/// # Errors
/// It is not there.
pub(crate) fn text(body: &Value, member: &str) -> anyhow::Result<String> {
    let value = body.get(member).and_then(Value::as_str);
    value.map(str::to_owned).with_context(|| format!("the answer has no `{member}`"))
}
