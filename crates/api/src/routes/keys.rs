//! API keys of a tenant: its controller makes and revokes them.

use axum::extract::State;
use leadvault_domain::{
    ApiKeyId, Country, DatasetId, InstructionId, Purpose, Role, Sensitive, Timestamp,
};
use leadvault_vault::api_keys::{self, KeyView, MadeKey, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tenants::show_once;
use crate::answer::{Handled, Page, Reply};
use crate::extract::{Path, TenantCall, TenantJson};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_key, list_keys)).routes(routes!(revoke_key))
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyDraft {
    /// Its name, sealed at rest.
    #[schema(example = "CRM sync", max_length = 200)]
    name: String,
    /// `controller`, `editor`, `reader` or `auditor`.
    #[schema(value_type = String, example = "reader")]
    role: Role,
    /// Who uses it, in the tenant's own words; two people are two principals. Sealed at rest.
    #[schema(example = "p1", max_length = 200)]
    principal: String,
    /// `tenant`.
    #[serde(default)]
    #[schema(example = "tenant")]
    employer: Option<String>,
    /// Where that person works: ISO 3166-1 alpha-2.
    #[schema(value_type = String, example = "DE")]
    country: Country,
    /// Instruction used when a call names none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ins_01kb0000000000000000000000")]
    default_instruction: Option<InstructionId>,
    /// Purpose used when a call names none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "crm_operations")]
    default_purpose: Option<Purpose>,
    /// Datasets it is limited to; null = all of the tenant.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(null))]
    datasets: Option<Vec<DatasetId>>,
    /// When it ends; null = when it is revoked.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = json!(null))]
    expires_at: Option<Timestamp>,
}

impl From<KeyDraft> for NewKey {
    fn from(draft: KeyDraft) -> Self {
        Self {
            name: draft.name,
            role: draft.role,
            principal: draft.principal,
            employer: draft.employer,
            country: draft.country,
            default_instruction: draft.default_instruction,
            default_purpose: draft.default_purpose,
            datasets: draft.datasets,
            expires_at: draft.expires_at,
        }
    }
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
struct Key {
    /// Its id.
    #[schema(value_type = String, example = "key_01kb0000000000000000000000")]
    id: ApiKeyId,
    /// Its name; empty while the tenant's keys are suspended.
    #[schema(example = "CRM sync")]
    name: String,
    /// What it may do at most.
    #[schema(value_type = String, example = "reader")]
    role: Role,
    /// Who uses it; empty while the tenant's keys are suspended.
    #[schema(example = "p1")]
    principal: String,
    /// Where that person works.
    #[schema(value_type = String, example = "DE")]
    country: Country,
    /// Instruction used when a call names none.
    #[schema(value_type = Option<String>, required = true)]
    default_instruction: Option<InstructionId>,
    /// Purpose used when a call names none.
    #[schema(value_type = Option<String>, required = true)]
    default_purpose: Option<Purpose>,
    /// Datasets it is limited to.
    #[schema(value_type = Option<Vec<String>>, required = true)]
    datasets: Option<Vec<DatasetId>>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
}

impl From<KeyView> for Key {
    fn from(view: KeyView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            role: view.role,
            principal: view.principal,
            country: view.country,
            default_instruction: view.default_instruction,
            default_purpose: view.default_purpose,
            datasets: view.datasets,
            created_at: view.created_at,
            expires_at: view.expires_at,
        }
    }
}

/// A key whose secret is shown this once.
#[derive(Serialize, ToSchema)]
struct KeyMade {
    /// The bearer token. It is not stored and not shown again: null where a repeated request is answered.
    #[serde(serialize_with = "show_once")]
    #[schema(value_type = Option<String>, required = true, example = "lv_live_…")]
    secret: Option<Sensitive<String>>,
    /// The key.
    #[serde(flatten)]
    key: Key,
}

impl From<MadeKey> for KeyMade {
    fn from(made: MadeKey) -> Self {
        Self { secret: made.secret, key: made.view.into() }
    }
}

/// Makes a key and shows its secret once.
#[utoipa::path(post, path = "/v1/keys", tag = "tenants", request_body = KeyDraft,
    responses((status = 201, body = KeyMade)))]
async fn create_key(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<KeyDraft>,
) -> Handled {
    Reply::created(api_keys::create(&state.cell, &call, body.into()).await?, KeyMade::from)
}

/// Lists the keys that are in force, without their secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "tenants",
    responses((status = 200, body = Page<Key>)))]
async fn list_keys(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    Reply::ok(api_keys::list(&state.cell, &call).await?, |views| {
        Page::new(views.into_iter().map(Key::from).collect(), None)
    })
}

/// Revokes a key: the next call with it is refused.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "tenants",
    params(("id" = String, Path, description = "The key", example = "key_01kb0000000000000000000000")),
    responses((status = 204)))]
async fn revoke_key(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ApiKeyId>,
) -> Handled {
    Ok(Reply::no_content(&api_keys::revoke(&state.cell, &call, id).await?))
}
