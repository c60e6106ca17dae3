//! Operations: work that outlives its call.

use axum::extract::State;
use leadvault_domain::OperationId;
use leadvault_vault::operations::{self, OperationView};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Reply};
use crate::extract::{Path, TenantCall};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show_operation))
}

/// An operation.
#[derive(Serialize, ToSchema)]
struct Operation {
    /// Its id.
    #[schema(value_type = String, example = "op_01kb0000000000000000000000")]
    id: OperationId,
    /// What kind of work; an open set.
    #[schema(example = "dataset.shred")]
    kind: String,
    /// `running`, `done` or `failed`.
    #[schema(example = "running")]
    state: &'static str,
    /// How far it is.
    progress: Progress,
    /// What came of it: a certificate, the id of an export.
    #[schema(value_type = Option<Object>, required = true)]
    result: Option<Value>,
    /// Why it failed, a code.
    #[schema(required = true)]
    error: Option<String>,
}

/// How far an operation is.
#[derive(Serialize, ToSchema)]
struct Progress {
    /// Units done.
    done: u64,
    /// Units in all, where known.
    #[schema(required = true)]
    total: Option<u64>,
}

impl From<OperationView> for Operation {
    fn from(view: OperationView) -> Self {
        Self {
            id: view.id,
            kind: view.kind,
            state: view.state,
            progress: Progress { done: view.done, total: view.total },
            result: view.result,
            error: view.error,
        }
    }
}

/// An operation that has begun; its answer names it in `Location` too.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// The operation to follow.
    #[schema(value_type = String, example = "op_01kb0000000000000000000000")]
    operation: OperationId,
}

/// 202 with the operation to follow.
///
/// # Errors
/// As [`Reply::accepted`].
pub(super) fn begun(answer: leadvault_vault::Answer<OperationId>) -> Handled {
    let location = format!("/v1/operations/{}", answer.value);
    let reply = Reply::accepted(answer, |operation| Begun { operation })?;
    Ok(reply.location(&location))
}

/// Shows an operation.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations",
    params(("id" = String, Path, description = "The operation")),
    responses((status = 200, body = Operation)))]
async fn show_operation(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<OperationId>,
) -> Handled {
    Reply::ok(operations::find(&state.cell, &call, id).await?, Operation::from)
}
