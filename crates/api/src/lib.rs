//! The HTTP surface: takes a request apart, calls one use case of `vault`, shapes the answer.
//!
//! What it is not: a place of rules. Nothing here decides who may see what, names a key, or knows SQL;
//! a handler is *extract → one use case → shape*, at most 25 lines. Bodies, codes and headers are pinned
//! in surfaces.md; [`openapi`] describes every one of them.
//!
//! Invariants:
//! - the tenant comes from the credential, never from the request ([`extract::TenantCall`]);
//! - an error body holds codes and places of the schema, never a submitted value ([`problem`]);
//! - a caller that hangs up does not leave a use case half done ([`budget`]);
//! - one line per request, with the matched path and no URI ([`request_line`]).
//!
//! # How a request runs
//! ```text
//! request_line   request id, header bounds, renders problems, the one log line
//!  └ budget      a permit or 503, a deadline or 503, a task of its own
//!     └ authenticate   401, 421; the credential is known from here on
//!        └ share       a place among the tenant's own, or 429
//!           └ handler  TenantCall | TenantJson<T> | OperatorCall …, then one use case
//! ```
//!
//! # How to add an endpoint
//! 1. Write the use case in `vault/src/<verb>.rs`; it takes a [`leadvault_vault::Call`] and returns an
//!    [`leadvault_vault::Outcome`].
//! 2. Write the handler in `routes/<noun>.rs`, named `verb_noun`: that name is its `operationId`. Request
//!    and answer types are private to that file, derive `ToSchema`, and requests carry
//!    `#[serde(deny_unknown_fields)]`. `routes/tenants.rs` is the page to imitate.
//! 3. Describe it with `#[utoipa::path]`: method, path, `tag`, request body, the answers that are not
//!    errors, and the errors of its own (`response = Refused`). What every route can answer (400, 401,
//!    403, 404, 413, 415, 422, 429, 503), the credential and the common headers are added by
//!    [`document`]; an operator's route says `security(("operator_key" = []))`.
//! 4. Name it in the `routes()` of its file, or in `streams()` where the body is not JSON and may be
//!    long; a new file is named once in [`routes`].
//! 5. A new way to fail is a variant of [`leadvault_vault::Fault`]; the one match in [`problem`] then
//!    does not compile until it has a status and a code, and `docs/ERRORS.md` gets its row.
//! 6. `LEADVAULT_WRITE=1 cargo test -p leadvault-api openapi` writes `openapi.json`; commit it.

mod answer;
mod budget;
mod document;
mod extract;
mod linger;
mod metrics;
mod problem;
mod rate;
mod request_line;
mod routes;
mod settings;
mod share;
mod state;

use std::sync::Arc;

use leadvault_vault::Cell;

pub use metrics::metrics_router;
pub use settings::ApiSettings;

/// The whole HTTP surface over one cell.
pub fn router(cell: Arc<Cell>, settings: ApiSettings) -> axum::Router {
    let rate = rate::Rate::new(settings.requests_per_minute);
    routes::serve(state::ApiState { cell, settings, rate })
}

/// The OpenAPI 3.1 document of this build, as `/openapi.json` serves it.
pub fn openapi() -> serde_json::Value {
    document::json().clone()
}
