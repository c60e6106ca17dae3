//! What a controller changes of its own tenant, and the state the operator gives it.

use axum::extract::State;
use leadvault_domain::{Agreement, KeyState, TenantId, TenantState};
use leadvault_vault::{Act, shred, tenant_settings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{Begun, begun};
use super::tenants::AgreementView;
use crate::answer::{Handled, Reply};
use crate::extract::{OperatorCall, Path, TenantCall, TenantJson};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(set_agreement, end_agreement))
        .routes(routes!(set_export_recipient))
        .routes(routes!(suspend_keys))
        .routes(routes!(resume_keys))
        .routes(routes!(close_tenant))
        .routes(routes!(shred_tenant))
        .routes(routes!(restrict_tenant))
        .routes(routes!(reactivate_tenant))
}

/// To whom exports are encrypted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportRecipient {
    /// age recipient; null = none.
    #[schema(example = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")]
    recipient: Option<String>,
}

/// The state of the tenant's keys.
#[derive(Serialize, ToSchema)]
struct KeysState {
    /// `active` or `disabled`.
    #[schema(value_type = String, example = "disabled")]
    state: KeyState,
}

/// The state of the tenant.
#[derive(Serialize, ToSchema)]
struct TenantStateView {
    /// The tenant.
    #[schema(value_type = String, example = "tn_01kb0000000000000000000000")]
    id: TenantId,
    /// Its state.
    #[schema(value_type = String, example = "closing")]
    state: TenantState,
}

/// Says what is meant, so that no slip destroys anything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// The id of what is to be shredded.
    #[schema(example = "tn_01kb0000000000000000000000")]
    pub(super) confirm: String,
}

/// Puts another agreement in force.
#[utoipa::path(put, path = "/v1/tenant/agreement", tag = "tenants", request_body = AgreementView,
    responses((status = 200, body = AgreementView)))]
async fn set_agreement(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<AgreementView>,
) -> Handled {
    let agreement = Agreement::from(body);
    let done = tenant_settings::set_agreement(&state.cell, &call, agreement.clone()).await?;
    Reply::ok(done, |()| AgreementView::from(agreement))
}

/// Ends the agreement: from now on only exit, rights, holds and deletion work.
#[utoipa::path(delete, path = "/v1/tenant/agreement", tag = "tenants",
    responses((status = 204)))]
async fn end_agreement(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    Ok(Reply::no_content(&tenant_settings::end_agreement(&state.cell, &call).await?))
}

/// Registers to whom exports are encrypted.
#[utoipa::path(put, path = "/v1/tenant/export-recipient", tag = "tenants",
    request_body = ExportRecipient, responses((status = 200, body = ExportRecipient)))]
async fn set_export_recipient(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<ExportRecipient>,
) -> Handled {
    let recipient = body.recipient.clone();
    let done = tenant_settings::set_export_recipient(&state.cell, &call, recipient).await?;
    Reply::ok(done, |()| body)
}

/// Suspends the tenant's keys: nothing opens, seals, locates or tags until they are resumed.
#[utoipa::path(post, path = "/v1/tenant/keys/suspend", tag = "tenants",
    responses((status = 200, body = KeysState), (status = 409, response = Refused)))]
async fn suspend_keys(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let done = tenant_settings::suspend_keys(&state.cell, &call).await?;
    Reply::ok(done, |state| KeysState { state })
}

/// Resumes the tenant's keys and completes the erasures that waited.
#[utoipa::path(post, path = "/v1/tenant/keys/resume", tag = "tenants",
    responses((status = 200, body = KeysState), (status = 409, response = Refused)))]
async fn resume_keys(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let done = tenant_settings::resume_keys(&state.cell, &call).await?;
    Reply::ok(done, |state| KeysState { state })
}

/// Gives notice: retrieval runs, writes are off.
#[utoipa::path(post, path = "/v1/tenant/close", tag = "tenants",
    responses((status = 202, body = TenantStateView), (status = 409, response = Refused)))]
async fn close_tenant(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let done = tenant_settings::close(&state.cell, &call).await?;
    Reply::accepted(done, |state| TenantStateView { id: call.caller.tenant, state })
}

/// Shreds the whole tenant: its keys at once, its rows behind the call. The certificate is the result of the
/// operation. Only the log, the certificates and the receipts remain.
#[utoipa::path(post, path = "/v1/tenant/shred", tag = "tenants", request_body = Confirmation,
    responses((status = 202, body = Begun), (status = 409, response = Refused)))]
async fn shred_tenant(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<Confirmation>,
) -> Handled {
    begun(shred::tenant(&state.cell, &call, &body.confirm).await?)
}

/// Restricts a tenant: it reads, exports and erases, and writes nothing.
#[utoipa::path(post, path = "/v1/tenants/{id}/restrict", tag = "tenants",
    security(("operator_key" = [])), params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, body = TenantStateView), (status = 409, response = Refused)))]
async fn restrict_tenant(
    State(state): State<ApiState>,
    OperatorCall(act): OperatorCall,
    Path(id): Path<TenantId>,
) -> Handled {
    give_state(&state, &act, id, TenantState::Restricted).await
}

/// Lifts the restriction of a tenant.
#[utoipa::path(post, path = "/v1/tenants/{id}/reactivate", tag = "tenants",
    security(("operator_key" = [])), params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, body = TenantStateView), (status = 409, response = Refused)))]
async fn reactivate_tenant(
    State(state): State<ApiState>,
    OperatorCall(act): OperatorCall,
    Path(id): Path<TenantId>,
) -> Handled {
    give_state(&state, &act, id, TenantState::Active).await
}

async fn give_state(state: &ApiState, act: &Act, id: TenantId, given: TenantState) -> Handled {
    let done = tenant_settings::set_state_by_operator(&state.cell, act, id, given).await?;
    Reply::ok(done, |state| TenantStateView { id, state })
}
