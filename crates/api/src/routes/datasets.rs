//! Datasets of a tenant.

use axum::extract::State;
use leadvault_domain::{Category, Country, DatasetId, FieldNo, Regime, Timestamp};
use leadvault_vault::datasets::{self, ClassifiedColumn, DatasetView, NewDataset};
use leadvault_vault::{Fault, shred};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations::{Begun, begun};
use super::tenant_settings::Confirmation;
use crate::answer::{Handled, Page, Reply};
use crate::extract::{Path, TenantCall, TenantJson};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_dataset, list_datasets))
        .routes(routes!(classify_column))
        .routes(routes!(shred_dataset))
}

/// A dataset to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DatasetDraft {
    /// Its name, sealed at rest.
    #[schema(example = "Spring fair", max_length = 200)]
    name: String,
    /// Country for phone numbers that bring none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "US")]
    default_region: Option<Country>,
    /// Origin regimes of leads that bring none.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["US-CA"]))]
    origin: Vec<Regime>,
}

impl From<DatasetDraft> for NewDataset {
    fn from(draft: DatasetDraft) -> Self {
        let DatasetDraft { name, default_region, origin } = draft;
        Self { name, default_region, origin }
    }
}

/// A dataset.
#[derive(Serialize, ToSchema)]
struct Dataset {
    /// Its id.
    #[schema(value_type = String, example = "ds_01kb0000000000000000000000")]
    id: DatasetId,
    /// Its name.
    #[schema(example = "Spring fair")]
    name: String,
    /// Country for phone numbers that bring none.
    #[schema(example = "US", required = true)]
    default_region: Option<String>,
    /// Origin regimes of leads that bring none.
    #[schema(value_type = Vec<String>, example = json!(["US-CA"]))]
    origin: Vec<Regime>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Unmapped columns that were classified.
    columns: Vec<Column>,
}

/// An unmapped column that was classified.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetColumn)]
struct Column {
    /// Its index in the file, from 0; its values are the field `x_<column>`.
    column: u16,
    /// Its category, which decides what may be done with it.
    #[schema(value_type = String, example = "company_role")]
    category: Category,
    /// The field whose values it holds.
    #[schema(required = true, example = "job_title")]
    field: Option<String>,
}

impl From<ClassifiedColumn> for Column {
    fn from(column: ClassifiedColumn) -> Self {
        let ClassifiedColumn { column, category, field } = column;
        Self { column, category, field: field.map(FieldNo::name) }
    }
}

/// What an unmapped column is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ColumnClass {
    /// Its category.
    #[schema(value_type = String, example = "company_role")]
    category: Category,
    /// Name of the field whose values it holds, which has this category; null = none.
    #[serde(default)]
    #[schema(example = "job_title")]
    field: Option<String>,
}

impl From<DatasetView> for Dataset {
    fn from(view: DatasetView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            default_region: view.default_region,
            origin: view.origin,
            created_at: view.created_at,
            columns: view.columns.into_iter().map(Column::from).collect(),
        }
    }
}

/// Makes a dataset.
#[utoipa::path(post, path = "/v1/datasets", tag = "datasets", request_body = DatasetDraft,
    responses((status = 201, body = Dataset), (status = 409, response = Refused),
        (status = 423, response = Refused)))]
async fn create_dataset(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<DatasetDraft>,
) -> Handled {
    Reply::created(datasets::create(&state.cell, &call, body.into()).await?, Dataset::from)
}

/// Lists the datasets the key may see.
#[utoipa::path(get, path = "/v1/datasets", tag = "datasets",
    responses((status = 200, body = Page<Dataset>)))]
async fn list_datasets(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    Reply::ok(datasets::list(&state.cell, &call).await?, |views| {
        Page::new(views.into_iter().map(Dataset::from).collect(), None)
    })
}

/// Classifies an unmapped column: from now on its category decides what may be done with it.
#[utoipa::path(put, path = "/v1/datasets/{id}/columns/{n}", tag = "datasets",
    params(("id" = String, Path, description = "The dataset"),
        ("n" = u16, Path, description = "Index of the column in the file, from 0")),
    request_body = ColumnClass,
    responses((status = 200, body = Dataset), (status = 423, response = Refused)))]
async fn classify_column(
    State(state): State<ApiState>,
    Path((id, n)): Path<(DatasetId, u16)>,
    TenantJson { call, body }: TenantJson<ColumnClass>,
) -> Handled {
    let unknown = || Fault::UnknownField("#/field".to_owned());
    let field = body.field.map(|name| FieldNo::by_name(&name).ok_or_else(unknown)).transpose()?;
    let column = usize::from(n);
    let done = datasets::classify(&state.cell, &call, id, column, body.category, field).await?;
    Reply::ok(done, Dataset::from)
}

/// Shreds a dataset: every lead in it, its index and its name.
#[utoipa::path(post, path = "/v1/datasets/{id}/shred", tag = "datasets",
    params(("id" = String, Path, description = "The dataset")), request_body = Confirmation,
    responses((status = 202, body = Begun), (status = 409, response = Refused)))]
async fn shred_dataset(
    State(state): State<ApiState>,
    Path(id): Path<DatasetId>,
    TenantJson { call, body }: TenantJson<Confirmation>,
) -> Handled {
    begun(shred::dataset(&state.cell, &call, id, &body.confirm).await?)
}
