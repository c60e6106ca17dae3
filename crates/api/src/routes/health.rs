//! Health: whether the process runs, and whether it can serve.

use axum::extract::State;
use axum::http::StatusCode;
use leadvault_vault::Answer;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Reply};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(check_health)).routes(routes!(check_readiness))
}

/// The process runs.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always true.
    ok: bool,
}

/// Whether calls can be served, and how strongly keys are kept.
#[derive(Serialize, ToSchema)]
struct ReadinessView {
    /// Whether calls can be served.
    ready: bool,
    /// Why not.
    #[schema(example = json!(["journal_unwritable"]))]
    reasons: Vec<&'static str>,
    /// What keeps the key store from being lost.
    #[schema(example = json!(["mirror"]))]
    durability: Vec<String>,
    /// How strongly erasure holds: the level of the slots in use.
    #[schema(example = "E1-local")]
    level: &'static str,
}

/// Says that the process runs.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = Health)))]
async fn check_health() -> Handled {
    Reply::ok(Answer::plain(()), |()| Health { ok: true })
}

/// Says whether calls can be served.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, body = ReadinessView),
    (status = 503, description = "Not ready; the reasons say why", body = ReadinessView),
))]
async fn check_readiness(State(state): State<ApiState>) -> Handled {
    let readiness = state.cell.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, Answer::plain(readiness), |r| ReadinessView {
        ready: r.ready,
        reasons: r.reasons,
        durability: r.durability,
        level: r.level,
    })
}
