//! Instructions: drafted, activated by the controller, and changed only by a new version or status.

use axum::extract::State;
use axum::http::StatusCode;
use leadvault_domain::{Instruction, InstructionId, InstructionStatus};
use leadvault_vault::instructions::{self, Activation, Change};
use leadvault_vault::{Answer, Call, Fault, InstructionBody};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Page, Reply};
use crate::extract::{Author, AuthorJson, OperatorJson, Path, Query, TenantCall, TenantJson};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(draft_instruction, list_instructions))
        .routes(routes!(draft_instruction_version, show_instruction))
        .routes(routes!(activate_instruction))
        .routes(routes!(suspend_instruction))
        .routes(routes!(resume_instruction))
        .routes(routes!(revoke_instruction))
        .routes(routes!(challenge_instruction))
        .routes(routes!(confirm_instruction))
        .routes(routes!(withdraw_instruction))
}

/// The whole of a version, as instruction.schema.json says.
#[derive(ToSchema)]
#[schema(as = Instruction, value_type = Object)]
#[expect(dead_code, reason = "stands for the published schema in the document")]
struct InstructionView(serde_json::Value);

/// A version without what the server sets.
#[derive(ToSchema)]
#[schema(as = InstructionDraft, value_type = Object)]
#[expect(dead_code, reason = "stands for the published schema in the document")]
struct InstructionDraft(serde_json::Value);

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionQuery {
    /// The version; without it, the newest.
    version: Option<u32>,
}

/// Which version to put in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivationBody {
    /// The version.
    #[schema(example = 1)]
    version: u32,
}

/// A version that a second person must activate too.
#[derive(Serialize, ToSchema)]
struct AwaitingSecond {
    /// The instruction.
    #[schema(value_type = String, example = "ins_01kb0000000000000000000000")]
    id: InstructionId,
    /// The version.
    version: u32,
    /// Always `awaiting_second`.
    #[schema(example = "awaiting_second")]
    status: &'static str,
}

/// Why the operator holds an instruction to infringe the law.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChallengeBody {
    /// The provision of the law.
    #[schema(example = "GDPR Art. 9(1)", max_length = 1000)]
    provision: String,
}

/// A challenged version, as the operator is told of it: no text of the tenant's.
#[derive(Serialize, ToSchema)]
struct Challenged {
    /// The instruction.
    #[schema(value_type = String, example = "ins_01kb0000000000000000000000")]
    id: InstructionId,
    /// The version that stopped.
    version: u32,
    /// Always `challenged`.
    #[schema(value_type = String, example = "challenged")]
    status: InstructionStatus,
    /// The provision of the law.
    #[schema(example = "GDPR Art. 9(1)")]
    provision: String,
}

/// Drafts an instruction, version 1. The operator drafts for the tenant that the header names; only the
/// controller can put a draft in force.
#[utoipa::path(post, path = "/v1/instructions", tag = "instructions",
    security(("tenant_key" = []), ("operator_key" = [])),
    params(("Tenant" = Option<String>, Header,
        description = "With the operator's key: for whom it drafts. With a tenant's key it may only confirm it")),
    request_body = InstructionDraft, responses((status = 201, body = InstructionView),
        (status = 404, response = Refused), (status = 409, response = Refused)))]
async fn draft_instruction(
    State(state): State<ApiState>,
    AuthorJson { author, body }: AuthorJson<InstructionBody>,
) -> Handled {
    let drafted = match author {
        Author::Tenant(call) => instructions::draft(&state.cell, &call, None, body).await?,
        Author::Operator(tenant) => {
            let tenant = tenant.ok_or_else(|| Fault::bad("header:Tenant", "required"))?;
            instructions::draft_by_operator(&state.cell, tenant, None, body).await?
        }
    };
    let location = format!("/v1/instructions/{}", drafted.value.id);
    Ok(Reply::created(drafted, itself)?.location(&location))
}

/// Drafts the next version. The one before stays as it is until the new one is activated.
#[utoipa::path(post, path = "/v1/instructions/{id}", tag = "instructions",
    security(("tenant_key" = []), ("operator_key" = [])),
    params(("id" = String, Path, description = "The instruction")),
    request_body = InstructionDraft, responses((status = 201, body = InstructionView),
        (status = 409, response = Refused)))]
async fn draft_instruction_version(
    State(state): State<ApiState>,
    Path(id): Path<InstructionId>,
    AuthorJson { author, body }: AuthorJson<InstructionBody>,
) -> Handled {
    let drafted = match author {
        Author::Tenant(call) => instructions::draft(&state.cell, &call, Some(id), body).await?,
        Author::Operator(_) => {
            let tenant = instructions::owner(&state.cell, id)?;
            instructions::draft_by_operator(&state.cell, tenant, Some(id), body).await?
        }
    };
    Reply::created(drafted, itself)
}

/// Lists the newest version of each instruction, then the permits of the tenant's last 200 exits.
#[utoipa::path(get, path = "/v1/instructions", tag = "instructions",
    responses((status = 200, body = Page<InstructionView>)))]
async fn list_instructions(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let listed = instructions::list(&state.cell, &call).await?;
    Reply::ok(listed, |instructions| Page::new(instructions, None))
}

/// Shows a version of an instruction.
#[utoipa::path(get, path = "/v1/instructions/{id}", tag = "instructions",
    params(("id" = String, Path, description = "The instruction"), VersionQuery),
    responses((status = 200, body = InstructionView)))]
async fn show_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
    Query(query): Query<VersionQuery>,
) -> Handled {
    Reply::ok(instructions::find(&state.cell, &call, id, query.version).await?, itself)
}

/// Puts a draft in force. Where the risk is high, two persons of the controller must do so.
#[utoipa::path(post, path = "/v1/instructions/{id}/activate", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")), request_body = ActivationBody,
    responses((status = 200, body = InstructionView), (status = 202, body = AwaitingSecond),
        (status = 409, response = Refused)))]
async fn activate_instruction(
    State(state): State<ApiState>,
    Path(id): Path<InstructionId>,
    TenantJson { call, body }: TenantJson<ActivationBody>,
) -> Handled {
    let Answer { value, stamp } =
        instructions::activate(&state.cell, &call, id, body.version).await?;
    match value {
        Activation::Active(active) => Reply::ok(Answer { value: *active, stamp }, itself),
        Activation::AwaitingSecond(first) => {
            let value = AwaitingSecond { id, version: first.version, status: "awaiting_second" };
            Reply::json(StatusCode::ACCEPTED, Answer { value, stamp }, |waiting| waiting)
        }
    }
}

/// Suspends the version in force.
#[utoipa::path(post, path = "/v1/instructions/{id}/suspend", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")),
    responses((status = 200, body = InstructionView), (status = 409, response = Refused)))]
async fn suspend_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
) -> Handled {
    change(&state, &call, id, Change::Suspend).await
}

/// Puts a suspended version in force again.
#[utoipa::path(post, path = "/v1/instructions/{id}/resume", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")),
    responses((status = 200, body = InstructionView), (status = 409, response = Refused)))]
async fn resume_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
) -> Handled {
    change(&state, &call, id, Change::Resume).await
}

/// Revokes the instruction for good.
#[utoipa::path(post, path = "/v1/instructions/{id}/revoke", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")),
    responses((status = 200, body = InstructionView), (status = 409, response = Refused)))]
async fn revoke_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
) -> Handled {
    change(&state, &call, id, Change::Revoke).await
}

/// Challenges an instruction that the operator holds to infringe the law: it stops at once, and the tenant
/// is told. Only the controller ends a challenge, by confirming or withdrawing the instruction.
#[utoipa::path(post, path = "/v1/instructions/{id}/challenge", tag = "instructions",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "The instruction")), request_body = ChallengeBody,
    responses((status = 200, body = Challenged), (status = 409, response = Refused),
        (status = 423, response = Refused)))]
async fn challenge_instruction(
    State(state): State<ApiState>,
    Path(id): Path<InstructionId>,
    OperatorJson { body, .. }: OperatorJson<ChallengeBody>,
) -> Handled {
    let tenant = instructions::owner(&state.cell, id)?;
    let done = instructions::challenge(&state.cell, tenant, id, &body.provision).await?;
    Reply::ok(done, |challenged| Challenged {
        id,
        version: challenged.version,
        status: challenged.status,
        provision: body.provision,
    })
}

/// Confirms a challenged instruction: it is in force again.
#[utoipa::path(post, path = "/v1/instructions/{id}/confirm", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")),
    responses((status = 200, body = InstructionView), (status = 409, response = Refused)))]
async fn confirm_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
) -> Handled {
    change(&state, &call, id, Change::Confirm).await
}

/// Withdraws a challenged instruction.
#[utoipa::path(post, path = "/v1/instructions/{id}/withdraw", tag = "instructions",
    params(("id" = String, Path, description = "The instruction")),
    responses((status = 200, body = InstructionView), (status = 409, response = Refused)))]
async fn withdraw_instruction(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<InstructionId>,
) -> Handled {
    change(&state, &call, id, Change::Withdraw).await
}

async fn change(state: &ApiState, call: &Call, id: InstructionId, change: Change) -> Handled {
    Reply::ok(instructions::change(&state.cell, call, id, change).await?, itself)
}

/// An instruction is answered as it is registered: ids, words and texts of the controller's own.
fn itself(instruction: Instruction) -> Instruction {
    instruction
}
