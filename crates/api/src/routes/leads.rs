//! Leads: create, read, list, change, erase, restrict; search is beside.
//!
//! Values go out only through [`body::Lead`], which repeats what the use case let out.

mod body;
mod search;

use axum::extract::State;
use axum::http::StatusCode;
use leadvault_domain::{DatasetId, FieldNo, LeadId};
use leadvault_vault::leads::erase::{self, Erased};
use leadvault_vault::leads::{change, create, flags, list, reveal};
use leadvault_vault::{Answer, Fault};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::body::{Lead, LeadChange, LeadDraft};
use crate::answer::{Handled, Page, Reply};
use crate::extract::{IfMatch, Path, Query, TenantCall, TenantJson, TenantPatch, page_limit};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_lead, list_leads))
        .routes(routes!(show_lead, change_lead))
        .routes(routes!(erase_lead))
        .routes(routes!(restrict_lead))
        .routes(routes!(unrestrict_lead))
        .merge(search::routes())
}

/// What of a lead is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeadQuery {
    /// Names of fields, separated by commas; without it, masked values. `original` gives the cells as
    /// they came.
    #[param(example = "email,phone")]
    fields: Option<String>,
}

/// Which leads.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Leads of one dataset; without it, of all the key may see.
    #[param(value_type = Option<String>)]
    dataset: Option<DatasetId>,
    /// 1 to 200; 50 without it.
    limit: Option<u64>,
    /// Where to go on.
    cursor: Option<String>,
}

/// A lead that was made or changed.
#[derive(Serialize, ToSchema)]
struct LeadMade {
    /// Its id.
    #[schema(value_type = String, example = "ct_01kb0000000000000000000000")]
    id: LeadId,
    /// Its version, the `ETag`.
    version: u32,
}

/// A lead whose processing is restricted, or not any more.
#[derive(Serialize, ToSchema)]
struct Restriction {
    /// Its id.
    #[schema(value_type = String, example = "ct_01kb0000000000000000000000")]
    id: LeadId,
    /// Whether it is store only.
    restricted: bool,
}

/// An erasure that completes when the tenant's key is back.
#[derive(Serialize, ToSchema)]
struct PendingErasure {
    /// The lead. It is not found from now on.
    #[schema(value_type = String, example = "ct_01kb0000000000000000000000")]
    lead: LeadId,
    /// Always `pending_key`.
    #[schema(example = "pending_key")]
    state: &'static str,
}

/// Makes a lead.
#[utoipa::path(post, path = "/v1/leads", tag = "leads", request_body = LeadDraft,
    responses((status = 201, body = LeadMade), (status = 404, response = Refused),
        (status = 409, response = Refused), (status = 423, response = Refused)))]
async fn create_lead(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<LeadDraft>,
) -> Handled {
    let made = create::create(&state.cell, &call, &body.into()).await?;
    let (id, version) = (made.value.id, made.value.version);
    let reply = Reply::created(made, |_| LeadMade { id, version })?;
    Ok(reply.etag(version).location(&format!("/v1/leads/{id}")))
}

/// Shows a lead: masked without `fields`, the fields as they are with it.
#[utoipa::path(get, path = "/v1/leads/{id}", tag = "leads",
    params(("id" = String, Path, description = "The lead"), LeadQuery),
    responses((status = 200, body = Lead), (status = 423, response = Refused)))]
async fn show_lead(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<LeadId>,
    Query(query): Query<LeadQuery>,
) -> Handled {
    let fields = query.fields.as_deref().map(named_fields).transpose()?;
    let lead = reveal::reveal(&state.cell, &call, id, fields.as_deref()).await?;
    let version = lead.value.version;
    Ok(Reply::ok(lead, Lead::from)?.etag(version))
}

/// Lists leads, masked.
#[utoipa::path(get, path = "/v1/leads", tag = "leads", params(ListQuery),
    responses((status = 200, body = Page<Lead>), (status = 404, response = Refused),
        (status = 423, response = Refused)))]
async fn list_leads(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Query(query): Query<ListQuery>,
) -> Handled {
    let limit = page_limit(query.limit, "query:limit")?;
    let cursor = query.cursor.as_deref();
    let page = list::list(&state.cell, &call, query.dataset, limit, cursor).await?;
    let next = page.value.next_cursor.clone();
    let reply = Reply::ok(page, body::page)?;
    let asked = [
        ("dataset", query.dataset.map(|id| id.to_string())),
        ("limit", query.limit.map(|limit| limit.to_string())),
    ];
    Ok(match next {
        Some(at) => reply.link_next("/v1/leads", &asked, &at),
        None => reply,
    })
}

/// Changes a lead by a merge patch.
#[utoipa::path(patch, path = "/v1/leads/{id}", tag = "leads",
    params(("id" = String, Path, description = "The lead"),
        ("If-Match" = String, Header, description = "The version that is changed", example = "\"v3\"")),
    request_body(content = LeadChange, content_type = "application/merge-patch+json"),
    responses((status = 200, body = LeadMade), (status = 409, response = Refused),
        (status = 423, response = Refused)))]
async fn change_lead(
    State(state): State<ApiState>,
    Path(id): Path<LeadId>,
    IfMatch(base): IfMatch,
    TenantPatch { call, body }: TenantPatch<LeadChange>,
) -> Handled {
    let changed = change::change(&state.cell, &call, id, base, &body.into()).await?;
    let version = changed.value;
    Ok(Reply::ok(changed, |version| LeadMade { id, version })?.etag(version))
}

/// Erases a lead by destroying its key, and answers with the receipt.
#[utoipa::path(post, path = "/v1/leads/{id}/erase", tag = "leads",
    params(("id" = String, Path, description = "The lead")),
    responses((status = 200, description = "The erasure receipt", body = serde_json::Value),
        (status = 202, body = PendingErasure), (status = 409, response = Refused),
        (status = 410, response = Refused)))]
async fn erase_lead(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<LeadId>,
) -> Handled {
    let Answer { value, stamp } = erase::erase(&state.cell, &call, id).await?;
    match value {
        Erased::Receipt(receipt) => Reply::ok(Answer { value: *receipt, stamp }, |receipt| receipt),
        Erased::PendingKey => {
            let value = PendingErasure { lead: id, state: "pending_key" };
            Reply::json(StatusCode::ACCEPTED, Answer { value, stamp }, |pending| pending)
        }
    }
}

/// Restricts a lead: store only, until it is lifted.
#[utoipa::path(post, path = "/v1/leads/{id}/restrict", tag = "leads",
    params(("id" = String, Path, description = "The lead")),
    responses((status = 200, body = Restriction), (status = 423, response = Refused)))]
async fn restrict_lead(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<LeadId>,
) -> Handled {
    let done = flags::restrict(&state.cell, &call, id, true).await?;
    Reply::ok(done, |()| Restriction { id, restricted: true })
}

/// Lifts the restriction of a lead.
#[utoipa::path(post, path = "/v1/leads/{id}/unrestrict", tag = "leads",
    params(("id" = String, Path, description = "The lead")),
    responses((status = 200, body = Restriction), (status = 423, response = Refused)))]
async fn unrestrict_lead(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<LeadId>,
) -> Handled {
    let done = flags::restrict(&state.cell, &call, id, false).await?;
    Reply::ok(done, |()| Restriction { id, restricted: false })
}

/// Fields by name, from `?fields=email,phone`.
fn named_fields(names: &str) -> Result<Vec<FieldNo>, Fault> {
    let field = |name: &str| {
        FieldNo::by_name(name.trim()).ok_or_else(|| Fault::UnknownField("query:fields".to_owned()))
    };
    names.split(',').map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_and_an_unknown_name_is_not_repeated() {
        let fields = named_fields("email, phone,original,x_3").unwrap();
        assert_eq!(fields.len(), 4);
        for bad in ["", "email,", "canary", "email,canary"] {
            assert_eq!(named_fields(bad), Err(Fault::UnknownField("query:fields".to_owned())));
        }
    }
}
