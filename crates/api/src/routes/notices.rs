//! Notices: that something happened which the tenant must know of.

use axum::extract::State;
use leadvault_domain::{NoticeId, Timestamp};
use leadvault_vault::notices::{self, NoticeView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Page, Reply};
use crate::extract::{Path, Query, TenantCall};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_notices)).routes(routes!(acknowledge_notice))
}

/// Whether the tenant has acknowledged a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NoticeState {
    /// Not yet.
    New,
    /// It has.
    Acknowledged,
}

/// Which notices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NoticeQuery {
    /// Those in this state; without it, all.
    #[param(inline)]
    state: Option<NoticeState>,
}

/// A notice: ids and words only.
#[derive(Serialize, ToSchema)]
struct Notice {
    /// Its id.
    #[schema(value_type = String, example = "ntc_01kb0000000000000000000000")]
    id: NoticeId,
    /// What it is about; an open set.
    #[schema(example = "instruction_challenged")]
    kind: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Whether the tenant has acknowledged it.
    state: NoticeState,
    /// The entry it goes with.
    #[schema(required = true)]
    index: Option<u64>,
}

impl From<NoticeView> for Notice {
    fn from(view: NoticeView) -> Self {
        let state = if view.acknowledged { NoticeState::Acknowledged } else { NoticeState::New };
        Self { id: view.id, kind: view.kind, at: view.at, state, index: view.index }
    }
}

/// An acknowledged notice.
#[derive(Serialize, ToSchema)]
struct Acknowledged {
    /// Its id.
    #[schema(value_type = String, example = "ntc_01kb0000000000000000000000")]
    id: NoticeId,
    /// Its state from now on.
    state: NoticeState,
}

/// Lists the notices, newest first.
#[utoipa::path(get, path = "/v1/notices", tag = "operations", params(NoticeQuery),
    responses((status = 200, body = Page<Notice>)))]
async fn list_notices(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Query(query): Query<NoticeQuery>,
) -> Handled {
    let acknowledged = query.state.map(|state| state == NoticeState::Acknowledged);
    Reply::ok(notices::list(&state.cell, &call, acknowledged).await?, |views| {
        Page::new(views.into_iter().map(Notice::from).collect(), None)
    })
}

/// Acknowledges a notice.
#[utoipa::path(post, path = "/v1/notices/{id}/acknowledge", tag = "operations",
    params(("id" = String, Path, description = "The notice")),
    responses((status = 200, body = Acknowledged)))]
async fn acknowledge_notice(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<NoticeId>,
) -> Handled {
    let done = notices::acknowledge(&state.cell, &call, id).await?;
    Reply::ok(done, |()| Acknowledged { id, state: NoticeState::Acknowledged })
}
