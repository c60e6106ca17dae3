//! A tenant of a vault, made over HTTP with what it needs to work.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use serde_json::{Value, json};

use super::{Answer, Caller, Vault};

/// A tenant of a vault.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its UUID, as its files are named.
    pub uuid: String,
    /// Its controller's key.
    pub key: String,
    /// Its log's verifier key.
    pub vkey: String,
    /// A dataset.
    pub dataset: String,
    /// An instruction in force.
    pub instruction: String,
}

/// An instruction that permits CRM work on leads: the sample that ships.
pub fn instruction() -> Value {
    let text = include_str!("../../../crates/leadvault/sample/instruction.json");
    serde_json::from_str(text).expect("the sample")
}

impl Vault {
    /// Makes a tenant with a dataset and an instruction in force.
    pub fn tenant(&self) -> Tenant {
        let body = json!({
            "name": "Example Leads", "region": "local", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE", "US"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
            "export_recipient": null,
        });
        let made = self.operator().post("/v1/tenants", &body).expect(201);
        let key = made.body["key"]["secret"].as_str().expect("a key").to_owned();
        let vkey = made.body["log"]["vkey"].as_str().expect("a vkey").to_owned();
        let origin = made.body["log"]["origin"].as_str().expect("an origin").to_owned();
        let caller = Caller::new(&self.url(), &key);
        let dataset = json!({ "name": "fair", "default_region": "US", "origin": ["US-CA"] });
        let dataset = caller.post("/v1/datasets", &dataset).expect(201).text_of("id");
        let drafted = caller.post("/v1/instructions", &instruction()).expect(201);
        let instruction = drafted.text_of("id");
        let activate = format!("/v1/instructions/{instruction}/activate");
        caller.post(&activate, &json!({ "version": 1 })).expect(200);
        Tenant {
            id: made.text_of("id"),
            uuid: origin.rsplit('/').next().expect("a uuid").to_owned(),
            key,
            vkey,
            dataset,
            instruction,
        }
    }

    /// A caller of a tenant that acts under its instruction.
    pub fn acting(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url(), &tenant.key).under(&tenant.instruction, "crm_operations")
    }

    /// A caller of a tenant that names nothing.
    pub fn plain(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url(), &tenant.key)
    }

    /// Makes a key of a tenant, with the members of `with` in the place of the usual ones.
    pub fn key(&self, tenant: &Tenant, role: &str, with: &Value) -> Answer {
        let mut body = json!({ "name": role, "role": role, "principal": role, "employer": "tenant",
            "country": "DE", "default_instruction": null, "default_purpose": null, "datasets": null,
            "expires_at": null });
        for (member, value) in with.as_object().into_iter().flatten() {
            body[member] = value.clone();
        }
        self.plain(tenant).post("/v1/keys", &body).expect(201)
    }

    /// Makes a lead; its id.
    pub fn lead(&self, tenant: &Tenant, email: &str) -> String {
        let body = json!({
            "dataset": tenant.dataset,
            "fields": { "email": email, "first_name": "Canary", "last_name": "Quetzalcoatl",
                        "phone": "+14155552671", "company": "Analytical Engines" },
            "notes": [{ "text": "a note nobody else may read" }],
        });
        self.acting(tenant).post("/v1/leads", &body).expect(201).text_of("id")
    }
}

/// What a controller attests of a file: the sample that ships.
pub fn attestation() -> Value {
    let text = include_str!("../../../crates/leadvault/sample/attestation.json");
    serde_json::from_str(text).expect("the sample")
}
