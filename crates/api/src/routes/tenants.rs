//! Tenants: the operator makes and lists them, each sees itself.

use axum::extract::State;
use leadvault_domain::{Agreement, Country, Place, Region, Sensitive};
use leadvault_vault::Answer;
use leadvault_vault::tenants::{self, MadeTenant, NewTenant, TenantLocations, TenantView};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Page, Reply};
use crate::extract::{OperatorCall, OperatorJson, TenantCall};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_tenant, list_tenants)).routes(routes!(show_tenant))
}

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantDraft {
    /// Its name, sealed at rest.
    #[schema(example = "Ada Insurance GmbH", max_length = 200)]
    name: String,
    /// The region of the cell that is asked.
    #[schema(value_type = String, example = "local")]
    region: Region,
    /// Where the controller sits: ISO 3166-1 alpha-2.
    #[schema(value_type = String, example = "DE")]
    controller_country: Country,
    /// Where its data may lie, and from where it may be seen.
    locations: LocationsView,
    /// The agreement in force.
    agreement: AgreementView,
    /// age recipient (`age1…`) its exports are encrypted to.
    #[serde(default)]
    #[schema(example = json!(null))]
    export_recipient: Option<String>,
}

/// Places: `EEA`, countries, subdivisions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantLocations)]
struct LocationsView {
    /// Where data may lie.
    #[schema(value_type = Vec<String>, example = json!(["DE"]))]
    store: Vec<Place>,
    /// From where it may be seen.
    #[schema(value_type = Vec<String>, example = json!(["DE", "US"]))]
    access: Vec<Place>,
}

/// A version of a processing agreement.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Agreement)]
pub(super) struct AgreementView {
    /// The controller's name for it.
    #[schema(example = "dpa-1")]
    id: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// SHA-256 of its text, 64 hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    sha256: String,
    /// The clause that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clause: Option<String>,
}

impl From<AgreementView> for Agreement {
    fn from(view: AgreementView) -> Self {
        let AgreementView { id, version, sha256, clause } = view;
        Self { id, version, sha256, clause }
    }
}

impl From<Agreement> for AgreementView {
    fn from(agreement: Agreement) -> Self {
        let Agreement { id, version, sha256, clause } = agreement;
        Self { id, version, sha256, clause }
    }
}

impl From<TenantDraft> for NewTenant {
    fn from(draft: TenantDraft) -> Self {
        let LocationsView { store, access } = draft.locations;
        Self {
            name: draft.name,
            region: draft.region,
            controller_country: draft.controller_country,
            locations: TenantLocations { store, access },
            agreement: draft.agreement.into(),
            export_recipient: draft.export_recipient,
        }
    }
}

/// A new tenant with its first key.
#[derive(Serialize, ToSchema)]
struct TenantMade {
    /// Its id.
    #[schema(example = "tn_01kb0000000000000000000000")]
    id: String,
    /// Always `active`.
    #[schema(example = "active")]
    state: &'static str,
    /// Where it lives.
    #[schema(example = "local")]
    region: String,
    /// Its log.
    log: LogView,
    /// Its first key.
    key: FirstKey,
}

/// What verifies a tenant's log.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantLog)]
struct LogView {
    /// Origin of the log's checkpoints.
    #[schema(example = "vault.example/t/019a0000-0000-7000-8000-000000000000")]
    origin: String,
    /// Verifier key, in the form of a signed note.
    vkey: String,
}

/// A key whose secret is shown this once.
#[derive(Serialize, ToSchema)]
struct FirstKey {
    /// Its id.
    #[schema(example = "key_01kb0000000000000000000000")]
    id: String,
    /// The bearer token. It is not stored and not shown again: null where a repeated request is answered.
    #[serde(serialize_with = "show_once")]
    #[schema(value_type = Option<String>, required = true, example = "lv_live_…")]
    secret: Option<Sensitive<String>>,
    /// What it may do.
    #[schema(example = "controller")]
    role: &'static str,
}

/// Writes a new secret into the one answer that shows it.
#[expect(clippy::ref_option, reason = "serde hands over what the member is")]
pub(super) fn show_once<S: Serializer>(
    secret: &Option<Sensitive<String>>,
    s: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => s.serialize_some(secret.expose()),
        None => s.serialize_none(),
    }
}

impl From<MadeTenant> for TenantMade {
    fn from(made: MadeTenant) -> Self {
        Self {
            id: made.id.to_string(),
            state: "active",
            region: made.region.to_string(),
            log: LogView { origin: made.origin, vkey: made.vkey },
            key: FirstKey { id: made.key.to_string(), secret: made.secret, role: "controller" },
        }
    }
}

/// A tenant as its own keys see it.
#[derive(Serialize, ToSchema)]
struct Tenant {
    /// Its id.
    #[schema(example = "tn_01kb0000000000000000000000")]
    id: String,
    /// `active`, `restricted`, `closing` or `closed`.
    #[schema(example = "active")]
    state: &'static str,
    /// Where it lives.
    #[schema(example = "local")]
    region: String,
    /// The agreement in force, or the last one.
    agreement: AgreementView,
    /// Whether that agreement is in force.
    agreement_in_force: bool,
    /// age recipient of its exports.
    #[schema(required = true)]
    export_recipient: Option<String>,
    /// Its keys.
    keys: KeysView,
}

/// How a tenant's keys are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantKeys)]
struct KeysView {
    /// The root provider and how strongly erasure holds.
    root: RootView,
    /// The key epoch; null while the keys are suspended or gone.
    #[schema(required = true)]
    epoch: Option<u32>,
    /// `active`, `disabled`, `unreachable` or `destroyed`.
    #[schema(example = "active")]
    state: &'static str,
}

/// The root of a tenant's keys.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantRoot)]
struct RootView {
    /// The provider.
    #[schema(example = "file")]
    provider: &'static str,
    /// The level of erasure; `docs/` says what each means.
    #[schema(example = "E1-local")]
    level: &'static str,
}

impl From<TenantView> for Tenant {
    fn from(view: TenantView) -> Self {
        Self {
            id: view.id.to_string(),
            state: view.state.as_str(),
            region: view.region.to_string(),
            agreement: view.agreement.into(),
            agreement_in_force: view.agreement_in_force,
            export_recipient: view.export_recipient,
            keys: KeysView {
                root: RootView { provider: view.provider, level: view.level },
                epoch: view.epoch,
                state: view.key_state.as_str(),
            },
        }
    }
}

/// A tenant as the operator sees it: no name, no content.
#[derive(Serialize, ToSchema)]
struct TenantLine {
    /// Its id.
    #[schema(example = "tn_01kb0000000000000000000000")]
    id: String,
    /// `active`, `restricted`, `closing` or `closed`.
    #[schema(example = "active")]
    state: &'static str,
    /// Where it lives.
    #[schema(example = "local")]
    region: String,
}

/// Makes a tenant: its keys, its log and its first API key.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", security(("operator_key" = [])),
    request_body = TenantDraft, responses((status = 201, body = TenantMade)))]
async fn create_tenant(
    State(state): State<ApiState>,
    OperatorJson { act, body }: OperatorJson<TenantDraft>,
) -> Handled {
    let made = tenants::create(&state.cell, &act, body.into()).await?;
    Reply::created(Answer::plain(made), TenantMade::from)
}

/// Lists the tenants of this cell.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", security(("operator_key" = [])),
    responses((status = 200, body = Page<TenantLine>)))]
async fn list_tenants(State(state): State<ApiState>, _: OperatorCall) -> Handled {
    Reply::ok(Answer::plain(tenants::list(&state.cell)), |views| {
        let lines = views.into_iter().map(|view| TenantLine {
            id: view.id.to_string(),
            state: view.state.as_str(),
            region: view.region.to_string(),
        });
        Page::new(lines.collect(), None)
    })
}

/// Shows the tenant of the key.
#[utoipa::path(get, path = "/v1/tenant", tag = "tenants",
    responses((status = 200, body = Tenant)))]
async fn show_tenant(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    Reply::ok(tenants::view(&state.cell, &call).await?, Tenant::from)
}
