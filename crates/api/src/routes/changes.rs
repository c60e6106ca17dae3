//! The change feed, for clients that keep a copy.

use std::time::Duration;

use axum::extract::State;
use leadvault_domain::Timestamp;
use leadvault_vault::Fault;
use leadvault_vault::changes::{self, ChangeEvent, WAIT_SECONDS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Page, Reply};
use crate::extract::{Query, TenantCall, page_limit};
use crate::state::ApiState;

pub(super) fn waits() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_changes))
}

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// Where to go on; without it, from the beginning of the log.
    cursor: Option<String>,
    /// 1 to 200; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// Seconds to wait for a change where there is none yet: 0 to 30; 0 without it.
    #[param(minimum = 0, maximum = 30)]
    wait: Option<u64>,
}

/// A change: ids and names of fields, never values.
#[derive(Serialize, ToSchema)]
struct Change {
    /// Index of its entry in the log. An import's entry changes many leads: they share one.
    seq: u64,
    /// What happened; an open set.
    #[serde(rename = "type")]
    #[schema(example = "lead.changed")]
    kind: &'static str,
    /// The lead, dataset, import, export or tenant.
    #[schema(example = "ct_01kb0000000000000000000000")]
    id: String,
    /// Names of what was changed of it.
    #[schema(example = json!(["email"]))]
    changed: Vec<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
}

impl From<ChangeEvent> for Change {
    fn from(event: ChangeEvent) -> Self {
        let ChangeEvent { seq, kind, id, changed, occurred_at } = event;
        Self { seq, kind, id, changed, occurred_at }
    }
}

/// Lists what changed, in the order of the log. `next_cursor` is there always: it is where to ask again.
#[utoipa::path(get, path = "/v1/changes", tag = "operations", params(ChangesQuery),
    responses((status = 200, body = Page<Change>), (status = 423, response = crate::problem::Refused)))]
async fn list_changes(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Query(query): Query<ChangesQuery>,
) -> Handled {
    let limit = page_limit(query.limit, "query:limit")?;
    let wait = query.wait.unwrap_or_default();
    if wait > WAIT_SECONDS_MAX {
        return Err(Fault::bad("query:wait", "too_long").into());
    }
    let cursor = query.cursor.as_deref();
    let page = changes::list(&state.cell, &call, cursor, limit, Duration::from_secs(wait)).await?;
    let next = page.value.next_cursor.clone();
    let reply = Reply::ok(page, |page| Page {
        data: page.data.into_iter().map(Change::from).collect(),
        next_cursor: Some(page.next_cursor),
        has_more: page.has_more,
    })?;
    let asked = [
        ("limit", query.limit.map(|limit| limit.to_string())),
        ("wait", query.wait.map(|wait| wait.to_string())),
    ];
    Ok(reply.link_next("/v1/changes", &asked, &next))
}
