//! Search. What is looked for travels in a body, never in a query string, which proxies write down.

use axum::extract::State;
use leadvault_domain::{DatasetId, FieldNo, Personal};
use leadvault_vault::Fault;
use leadvault_vault::leads::deep_search::{self, DeepSearch};
use leadvault_vault::leads::search::{self, Search};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Lead};
use crate::answer::{Handled, Page, Reply};
use crate::extract::{TenantJson, distinct, page_limit};
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
    #[serde(default, rename = "match", deserialize_with = "distinct")]
    #[schema(value_type = Option<Object>, example = json!({"email": "ada@example.com"}))]
    exact: Option<Map<String, Value>>,
    /// A text to be looked for inside fields, by opening every lead in turn.
    #[serde(default)]
    #[schema(required = false)]
    deep: Option<DeepBody>,
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

/// A text and the fields to look into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeepSearch)]
struct DeepBody {
    /// Names of fields.
    #[schema(example = json!(["notes"]), min_items = 1)]
    fields: Vec<String>,
    /// What one of them must contain; case does not matter.
    #[schema(example = "call back", max_length = 1000)]
    contains: String,
}

/// What is asked for: one of the two.
#[derive(Debug)]
enum Asked {
    Exact(Search),
    Deep(DeepSearch),
}

/// Searches leads by an exact value, or deep: by a text inside fields that have no index. A deep search
/// opens every lead it looks at; its pages may be short, even empty, while there is more.
#[utoipa::path(post, path = "/v1/leads/search", tag = "leads", request_body = SearchBody,
    responses((status = 200, body = Page<Lead>), (status = 404, response = Refused),
        (status = 423, response = Refused)))]
async fn search_leads(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<SearchBody>,
) -> Handled {
    let found = match asked(body)? {
        Asked::Exact(exact) => search::search(&state.cell, &call, &exact).await?,
        Asked::Deep(deep) => deep_search::search(&state.cell, &call, &deep).await?,
    };
    Reply::ok(found, body::page)
}

fn asked(body: SearchBody) -> Result<Asked, Fault> {
    let fields = body.fields.as_deref().map(|names| fields(names, "#/fields")).transpose()?;
    let limit = page_limit(body.limit, "#/limit")?;
    if let Some(deep) = body.deep {
        if body.exact.is_some() {
            return Err(Fault::bad("#/deep", "match_or_deep"));
        }
        return Ok(Asked::Deep(DeepSearch {
            dataset: body.dataset,
            inside: self::fields(&deep.fields, "#/deep/fields")?,
            contains: Personal::new(deep.contains),
            fields,
            limit,
            cursor: body.cursor,
        }));
    }
    let mut exact = body.exact.unwrap_or_default().into_iter();
    let (Some((name, value)), None) = (exact.next(), exact.next()) else {
        return Err(Fault::bad("#/match", "one_field"));
    };
    let Value::String(value) = value else { return Err(Fault::bad("#/match", "wrong_type")) };
    Ok(Asked::Exact(Search {
        dataset: body.dataset,
        field: field(&name, "#/match")?,
        value: Personal::new(value),
        fields,
        limit,
        cursor: body.cursor,
    }))
}

fn fields(names: &[String], place: &'static str) -> Result<Vec<FieldNo>, Fault> {
    names.iter().map(|name| field(name, place)).collect()
}

fn field(name: &str, place: &'static str) -> Result<FieldNo, Fault> {
    FieldNo::by_name(name).ok_or_else(|| Fault::UnknownField(place.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Asked, Fault> {
        asked(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn a_text_is_looked_for_inside_fields() {
        let deep = json!({"deep": {"fields": ["notes"], "contains": "x"}, "match": null});
        let Asked::Deep(deep) = read(deep).unwrap() else { panic!("not deep") };
        assert_eq!((deep.inside, deep.fields), (vec![FieldNo::NOTES], None));
        let both = json!({"deep": {"fields": ["notes"], "contains": "x"}, "match": {"email": "a"}});
        assert_eq!(read(both).unwrap_err(), Fault::bad("#/deep", "match_or_deep"));
    }

    #[test]
    fn one_field_is_looked_for() {
        let search = read(json!({"match": {"email": "ada@example.com"}, "fields": ["phone"]}));
        let Asked::Exact(search) = search.unwrap() else { panic!("not exact") };
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
            json!({"deep": {"fields": ["canary"], "contains": "a"}}),
        ] {
            let shown = format!("{:?}", read(bad).unwrap_err());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
