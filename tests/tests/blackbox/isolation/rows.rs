//! Every operation of openapi.json: who may call it, and how it is called on things of one tenant.
//!
//! An operation without a row here fails the suite, as does a row without an operation. There is no list of
//! exceptions: an operation that holds nothing of a tenant has a row that says so.

use leadvault_tests::kit::{Tenant, Vault, instruction};
use reqwest::Method;
use serde_json::json;

use super::shot::Shot;
use super::things as th;

/// Whose key an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody's and none: it holds nothing of a tenant.
    Anybody,
    /// The operator's.
    Operator,
    /// A tenant's, of one of these roles; the first is used.
    Tenant(&'static [&'static str]),
    /// A controller's, or the operator's, who drafts for a tenant and activates nothing.
    Author,
}

/// What another tenant's key gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// 404 with an entry in the caller's own log.
    NotFound,
    /// 404 of a call that makes no entry: log, instructions, operations, imports and exports as they stand.
    NotFoundUnlogged,
    /// The call names nothing: the caller gets what is its own.
    Own,
}

/// What a key gets that is limited to another dataset of the same tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    /// 404, as for things of another tenant.
    NotFound,
    /// 403 `DENY_DATASET`: the call is about the tenant as a whole.
    Refused,
    /// What lies within the key.
    Within,
}

/// One operation.
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) who: Who,
    pub(super) foreign: Foreign,
    pub(super) limited: Limited,
    /// Status for the right key.
    pub(super) ok: u16,
    /// Changes the tenant as a whole: called on a tenant of its own.
    pub(super) ends: bool,
    /// Makes what is needed and the call on it.
    pub(super) make: fn(&Vault, &Tenant) -> Shot,
}

const ALL: Who = Who::Tenant(&["controller", "editor", "reader", "auditor"]);
const CONTROLLER: Who = Who::Tenant(&["controller"]);
const EDITORS: Who = Who::Tenant(&["controller", "editor"]);
const READERS: Who = Who::Tenant(&["reader", "controller", "editor"]);
const AUDITORS: Who = Who::Tenant(&["auditor", "controller"]);
const WORKERS: Who = Who::Tenant(&["auditor", "controller", "editor"]);

type Make = fn(&Vault, &Tenant) -> Shot;

impl Row {
    const fn new(method: &'static str, path: &'static str, who: Who, ok: u16, make: Make) -> Self {
        let (foreign, limited) = (Foreign::NotFound, Limited::NotFound);
        Self { method, path, who, foreign, limited, ok, ends: false, make }
    }

    /// Names nothing.
    const fn own(self, limited: Limited) -> Self {
        Self { foreign: Foreign::Own, limited, ..self }
    }

    const fn unlogged(self) -> Self {
        Self { foreign: Foreign::NotFoundUnlogged, ..self }
    }

    const fn whole_tenant(self) -> Self {
        Self { limited: Limited::Refused, ..self }
    }

    const fn ends(self) -> Self {
        Self { ends: true, ..self }
    }
}

fn anybody(path: &'static str, make: Make) -> Row {
    Row::new("GET", path, Who::Anybody, 200, make).own(Limited::Within)
}

fn get(path: &'static str, who: Who, make: Make) -> Row {
    Row::new("GET", path, who, 200, make)
}

fn post(path: &'static str, who: Who, ok: u16, make: Make) -> Row {
    Row::new("POST", path, who, ok, make)
}

/// The whole surface.
pub(super) fn rows() -> Vec<Row> {
    let groups = [
        open(),
        operator(),
        tenant(),
        keys(),
        datasets(),
        instructions(),
        leads(),
        files(),
        bulk(),
        log(),
    ];
    groups.into_iter().flatten().collect()
}

fn open() -> Vec<Row> {
    vec![
        anybody("/docs", |_, _| Shot::get("/docs")),
        anybody("/docs/errors", |_, _| Shot::get("/docs/errors")),
        anybody("/healthz", |_, _| Shot::get("/healthz")),
        anybody("/openapi.json", |_, _| Shot::get("/openapi.json")),
        anybody("/readyz", |_, _| Shot::get("/readyz")),
    ]
}

fn operator() -> Vec<Row> {
    vec![
        get("/v1/tenants", Who::Operator, |_, _| Shot::get("/v1/tenants")).own(Limited::Within),
        post("/v1/tenants", Who::Operator, 201, |_, _| {
            Shot::post("/v1/tenants").json(&th::tenant())
        })
        .own(Limited::Within),
        post("/v1/tenants/{id}/restrict", Who::Operator, 200, |_, t| {
            Shot::post(format!("/v1/tenants/{}/restrict", t.id))
        })
        .ends(),
        post("/v1/tenants/{id}/reactivate", Who::Operator, 200, |v, t| {
            v.operator().post(&format!("/v1/tenants/{}/restrict", t.id), &json!({})).expect(200);
            Shot::post(format!("/v1/tenants/{}/reactivate", t.id))
        })
        .ends(),
    ]
}

fn tenant() -> Vec<Row> {
    vec![
        get("/v1/tenant", ALL, |_, _| Shot::get("/v1/tenant")).own(Limited::Within),
        Row::new("PUT", "/v1/tenant/agreement", CONTROLLER, 200, |_, _| {
            Shot::new(Method::PUT, "/v1/tenant/agreement").json(&th::agreement())
        })
        .own(Limited::Refused)
        .ends(),
        Row::new("DELETE", "/v1/tenant/agreement", CONTROLLER, 204, |_, _| {
            Shot::new(Method::DELETE, "/v1/tenant/agreement")
        })
        .own(Limited::Refused)
        .ends(),
        Row::new("PUT", "/v1/tenant/export-recipient", CONTROLLER, 200, |_, _| {
            let path = "/v1/tenant/export-recipient";
            Shot::new(Method::PUT, path).json(&json!({ "recipient": null }))
        })
        .own(Limited::Refused),
        post("/v1/tenant/keys/suspend", CONTROLLER, 200, |_, _| {
            Shot::post("/v1/tenant/keys/suspend")
        })
        .own(Limited::Refused)
        .ends(),
        post("/v1/tenant/keys/resume", CONTROLLER, 200, |v, t| {
            v.plain(t).post("/v1/tenant/keys/suspend", &json!({})).expect(200);
            Shot::post("/v1/tenant/keys/resume")
        })
        .own(Limited::Refused)
        .ends(),
        post("/v1/tenant/close", CONTROLLER, 202, |_, _| Shot::post("/v1/tenant/close"))
            .own(Limited::Refused)
            .ends(),
        post("/v1/tenant/shred", CONTROLLER, 202, |_, t| {
            Shot::post("/v1/tenant/shred").once().json(&json!({ "confirm": t.id }))
        })
        .own(Limited::Refused)
        .ends(),
        get("/v1/notices", AUDITORS, |_, _| Shot::get("/v1/notices")).own(Limited::Refused),
        post("/v1/notices/{id}/acknowledge", CONTROLLER, 200, |v, t| {
            Shot::post(format!("/v1/notices/{}/acknowledge", th::notice(v, t)))
        })
        .unlogged()
        .whole_tenant(),
    ]
}

fn keys() -> Vec<Row> {
    vec![
        get("/v1/keys", AUDITORS, |_, _| Shot::get("/v1/keys")).own(Limited::Refused),
        post("/v1/keys", CONTROLLER, 201, |_, t| {
            let body = json!({ "name": "n", "role": "reader", "principal": "p", "country": "DE",
                "datasets": [t.dataset], "default_instruction": t.instruction });
            Shot::post("/v1/keys").json(&body)
        })
        .whole_tenant(),
        Row::new("DELETE", "/v1/keys/{id}", CONTROLLER, 204, |v, t| {
            let key = v.key(t, "reader", &json!({})).text_of("id");
            Shot::new(Method::DELETE, format!("/v1/keys/{key}"))
        })
        .whole_tenant(),
    ]
}

fn datasets() -> Vec<Row> {
    vec![
        get("/v1/datasets", READERS, |_, _| Shot::get("/v1/datasets")).own(Limited::Within),
        post("/v1/datasets", EDITORS, 201, |_, _| {
            Shot::post("/v1/datasets").json(&json!({ "name": "second" }))
        })
        .own(Limited::Refused),
        Row::new("PUT", "/v1/datasets/{id}/columns/{n}", EDITORS, 200, |v, t| {
            let id = th::dataset(v, t);
            Shot::new(Method::PUT, format!("/v1/datasets/{id}/columns/1"))
                .json(&json!({ "category": "company_role", "field": null }))
        }),
        post("/v1/datasets/{id}/shred", CONTROLLER, 202, |v, t| {
            let id = th::dataset(v, t);
            Shot::post(format!("/v1/datasets/{id}/shred")).once().json(&json!({ "confirm": id }))
        }),
    ]
}

fn instructions() -> Vec<Row> {
    fn on(verb: &str, id: &str) -> Shot {
        Shot::post(format!("/v1/instructions/{id}/{verb}"))
    }
    vec![
        get("/v1/instructions", AUDITORS, |_, _| Shot::get("/v1/instructions"))
            .own(Limited::Refused),
        post("/v1/instructions", Who::Author, 201, |_, _| {
            Shot::post("/v1/instructions").json(&instruction())
        })
        .own(Limited::Refused),
        get("/v1/instructions/{id}", AUDITORS, |_, t| {
            Shot::get(format!("/v1/instructions/{}", t.instruction))
        })
        .unlogged()
        .whole_tenant(),
        post("/v1/instructions/{id}", Who::Author, 201, |v, t| {
            let id = th::draft(v, t);
            Shot::post(format!("/v1/instructions/{id}")).json(&instruction())
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/activate", CONTROLLER, 200, |v, t| {
            on("activate", &th::draft(v, t)).json(&json!({ "version": 1 }))
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/suspend", CONTROLLER, 200, |v, t| {
            on("suspend", &th::active(v, t))
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/resume", CONTROLLER, 200, |v, t| {
            let id = th::active(v, t);
            v.plain(t).post(&format!("/v1/instructions/{id}/suspend"), &json!({})).expect(200);
            on("resume", &id)
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/revoke", CONTROLLER, 200, |v, t| {
            on("revoke", &th::active(v, t))
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/challenge", Who::Operator, 200, |v, t| {
            on("challenge", &th::active(v, t)).json(&json!({ "provision": "Art. 28(3)" }))
        }),
        post("/v1/instructions/{id}/confirm", CONTROLLER, 409, |v, t| {
            on("confirm", &th::active(v, t))
        })
        .whole_tenant(),
        post("/v1/instructions/{id}/withdraw", CONTROLLER, 409, |v, t| {
            on("withdraw", &th::active(v, t))
        })
        .whole_tenant(),
    ]
}

fn leads() -> Vec<Row> {
    vec![
        get("/v1/leads", READERS, |_, t| {
            Shot::get(format!("/v1/leads?dataset={}&limit=5", t.dataset)).under()
        }),
        post("/v1/leads", EDITORS, 201, |_, t| {
            let body = json!({ "dataset": t.dataset, "fields": { "company": "Babbage" } });
            Shot::post("/v1/leads").json(&body).under()
        }),
        post("/v1/leads/search", READERS, 200, |_, t| {
            let body = json!({ "dataset": t.dataset, "match": { "email": th::EMAIL },
                "fields": ["email"], "limit": 5 });
            Shot::post("/v1/leads/search").json(&body).under()
        }),
        get("/v1/leads/{id}", READERS, |v, t| {
            Shot::get(format!("/v1/leads/{}?fields=email", th::lead(v, t))).under()
        }),
        Row::new("PATCH", "/v1/leads/{id}", EDITORS, 200, |v, t| {
            let body = json!({ "fields": { "company": "Other" } }).to_string().into_bytes();
            Shot::new(Method::PATCH, format!("/v1/leads/{}", th::lead(v, t)))
                .header("content-type", "application/merge-patch+json")
                .header("if-match", "\"v1\"")
                .body(body)
                .under()
        }),
        post("/v1/leads/{id}/erase", EDITORS, 200, |v, t| {
            Shot::post(format!("/v1/leads/{}/erase", th::lead(v, t))).once()
        }),
        post("/v1/leads/{id}/restrict", EDITORS, 200, |v, t| {
            Shot::post(format!("/v1/leads/{}/restrict", th::lead(v, t))).under()
        }),
        post("/v1/leads/{id}/unrestrict", EDITORS, 200, |v, t| {
            Shot::post(format!("/v1/leads/{}/unrestrict", th::lead(v, t))).under()
        }),
    ]
}

fn files() -> Vec<Row> {
    fn content(id: &str) -> String {
        format!("/v1/files/{id}/content")
    }
    vec![
        get("/v1/leads/{id}/files", READERS, |v, t| {
            Shot::get(format!("/v1/leads/{}/files", th::lead(v, t))).under()
        }),
        post("/v1/leads/{id}/files", EDITORS, 201, |v, t| {
            let body = json!({ "name": "castle.txt", "size": th::FILE.len() });
            Shot::post(format!("/v1/leads/{}/files", th::lead(v, t))).json(&body).under()
        }),
        Row::new("PUT", "/v1/files/{id}/content", EDITORS, 200, |v, t| {
            Shot::new(Method::PUT, content(&th::file(v, t))).body(th::FILE.to_vec()).under()
        }),
        Row::new("HEAD", "/v1/files/{id}/content", EDITORS, 200, |v, t| {
            Shot::new(Method::HEAD, content(&th::file(v, t)))
        }),
        get("/v1/files/{id}/content", READERS, |v, t| {
            Shot::get(content(&th::file_stored(v, t))).under()
        }),
        Row::new("DELETE", "/v1/files/{id}", EDITORS, 204, |v, t| {
            Shot::new(Method::DELETE, format!("/v1/files/{}", th::file_stored(v, t)))
        }),
        Row::new("DELETE", "/v1/files/{id}/content", EDITORS, 204, |v, t| {
            Shot::new(Method::DELETE, content(&th::file_stored(v, t)))
        }),
    ]
}

fn bulk() -> Vec<Row> {
    vec![
        post("/v1/imports", EDITORS, 201, |_, t| {
            Shot::post("/v1/imports").json(&json!({ "dataset": t.dataset })).under()
        }),
        get("/v1/imports/{id}", ALL, |v, t| {
            Shot::get(format!("/v1/imports/{}", th::import_done(v, t)))
        })
        .unlogged(),
        get("/v1/imports/{id}/failures", WORKERS, |v, t| {
            Shot::get(format!("/v1/imports/{}/failures", th::import_done(v, t)))
        })
        .unlogged(),
        Row::new("PUT", "/v1/imports/{id}/content", EDITORS, 200, |v, t| {
            let path = format!("/v1/imports/{}/content", th::import(v, t));
            Shot::new(Method::PUT, path).body(th::CSV.to_vec()).under()
        }),
        post("/v1/imports/{id}/undo", EDITORS, 202, |v, t| {
            Shot::post(format!("/v1/imports/{}/undo", th::import_done(v, t))).once()
        }),
        post("/v1/exports", CONTROLLER, 202, |_, t| {
            Shot::post("/v1/exports").once().json(&json!({ "dataset": t.dataset, "plain": true }))
        }),
        get("/v1/exports/{id}", AUDITORS, |v, t| {
            Shot::get(format!("/v1/exports/{}", th::export(v, t)))
        })
        .unlogged(),
        get("/v1/exports/{id}/content", CONTROLLER, |v, t| {
            Shot::get(format!("/v1/exports/{}/content", th::export(v, t)))
        }),
        get("/v1/operations/{id}", WORKERS, |v, t| {
            Shot::get(format!("/v1/operations/{}", th::operation(v, t)))
        })
        .unlogged(),
    ]
}

fn log() -> Vec<Row> {
    fn read(path: &'static str, make: Make) -> Row {
        get(path, AUDITORS, make).own(Limited::Refused)
    }
    vec![
        get("/v1/changes", READERS, |_, _| Shot::get("/v1/changes")).own(Limited::Within),
        post("/v1/explain", ALL, 200, |v, t| {
            let lead = v.lead(t, "explained@example.com");
            Shot::post("/v1/explain").json(&json!({
                "operation": "read", "purpose": "crm_operations", "lead": lead,
            }))
        }),
        read("/v1/log/vkey", |_, _| Shot::get("/v1/log/vkey")),
        read("/v1/log/checkpoint", |v, t| {
            th::published(v, t);
            Shot::get("/v1/log/checkpoint")
        }),
        read("/v1/log/entries", |_, _| Shot::get("/v1/log/entries?from=0")),
        read("/v1/log/proof/{index}", |v, t| {
            th::published(v, t);
            Shot::get("/v1/log/proof/0")
        }),
        read("/v1/log/tile/{path}", |v, t| {
            // A full tile stays; a partial one goes when two wider ones are published, which calls of this row may do.
            let mut size = th::published(v, t);
            while size < 256 {
                v.plain(t).get("/v1/leads?limit=1");
                size = th::published(v, t);
            }
            Shot::get("/v1/log/tile/0/000")
        }),
    ]
}
