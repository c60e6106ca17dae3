//! Search. What is looked for travels in a body, never in a query string, which proxies write down.

use axum::extract::State;
use leadvault_domain::{DatasetId, FieldNo, Personal};
use leadvault_vault::Fault;
use leadvault_vault::leads::search::{self, Search};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Lead};
use crate::answer::{Handled, Page, Reply};
use crate::extract::{TenantJson, page_limit};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(search_leads))
}

/// What is looked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchBody {
    /// One dataset; without it, all the key may see.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ds_01kb0000000000000000000000")]
    dataset: Option<DatasetId>,
    /// One field and its value, compared after normalisation.
    #[serde(default, rename = "match")]
    #[schema(value_type = Option<Object>, example = json!({"email": "ada@example.com"}))]
    exact: Option<Map<String, Value>>,
    /// Names of the fields to answer with; without it, masked values.
    #[serde(default)]
    #[schema(example = json!(["email"]))]
    fields: Option<Vec<String>>,
    /// 1 to 200; 50 without it.
    #[serde(default)]
    limit: Option<u64>,
    /// Where to go on.
    #[serde(default)]
    cursor: Option<String>,
}

/// Searches leads by an exact value.
#[utoipa::path(post, path = "/v1/leads/search", tag = "leads", request_body = SearchBody,
    responses((status = 200, body = Page<Lead>), (status = 404, response = Refused),
        (status = 423, response = Refused)))]
async fn search_leads(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<SearchBody>,
) -> Handled {
    let search = asked(body)?;
    Reply::ok(search::search(&state.cell, &call, &search).await?, body::page)
}

fn asked(body: SearchBody) -> Result<Search, Fault> {
    let mut exact = body.exact.unwrap_or_default().into_iter();
    let (Some((name, value)), None) = (exact.next(), exact.next()) else {
        return Err(Fault::bad("#/match", "one_field"));
    };
    let Value::String(value) = value else { return Err(Fault::bad("#/match", "wrong_type")) };
    let fields = body.fields.map(|names| {
        names.iter().map(|name| field(name, "#/fields")).collect::<Result<Vec<_>, _>>()
    });
    Ok(Search {
        dataset: body.dataset,
        field: field(&name, "#/match")?,
        value: Personal::new(value),
        fields: fields.transpose()?,
        limit: page_limit(body.limit)?,
        cursor: body.cursor,
    })
}

fn field(name: &str, place: &'static str) -> Result<FieldNo, Fault> {
    FieldNo::by_name(name).ok_or_else(|| Fault::UnknownField(place.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Search, Fault> {
        asked(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn one_field_is_looked_for() {
        let search = read(json!({"match": {"email": "ada@example.com"}, "fields": ["phone"]}));
        let search = search.unwrap();
        assert_eq!((search.field, search.limit), (FieldNo::EMAIL, 50));
        assert_eq!(search.fields, Some(vec![FieldNo::PHONE]));
        for bad in [
            json!({}),
            json!({"match": null}),
            json!({"match": {}}),
            json!({"match": {"email": "a", "phone": "b"}}),
            json!({"match": {"email": 1}}),
            json!({"match": {"canary": "a"}}),
            json!({"match": {"email": "a"}, "fields": ["canary"]}),
        ] {
            let shown = format!("{:?}", read(bad).unwrap_err());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
