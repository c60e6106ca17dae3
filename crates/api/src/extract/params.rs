//! Path and query parameters. Axum's own refusals quote the text that did not parse; these do not.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use leadvault_vault::Fault;
use serde::de::DeserializeOwned;

use super::members;
use crate::problem::Problem;

/// Parameters of the path: an id, or a tuple of ids in the order of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<T>(pub(crate) T);

/// Parameters of the query. Its type carries `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Fault::bad(format!("path:{}", only_name(parts)), "invalid").into()),
        }
    }
}

/// The name of the route's parameter; `*` where it has several, of which none is told apart.
fn only_name(parts: &Parts) -> &str {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let mut names = route.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    match (names.next(), names.next()) {
        (Some(name), None) => name,
        _ => "*",
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_fault(&rejection).into()),
        }
    }
}

type QueryError = serde_path_to_error::Error<serde::de::value::Error>;

fn query_fault(rejection: &QueryRejection) -> Fault {
    let mut source = std::error::Error::source(rejection);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<QueryError>() {
            let place = members::pointer(error.path());
            return in_query(members::fault_at(place, &error.inner().to_string()));
        }
        source = error.source();
    }
    Fault::bad("query:*", "invalid")
}

/// Says `query:limit` where a body's pointer would be `#/limit`.
fn in_query(fault: Fault) -> Fault {
    let rename = |pointer: &str| format!("query:{}", pointer.strip_prefix("#/").unwrap_or("*"));
    match fault {
        Fault::UnknownField(pointer) => Fault::UnknownField(rename(&pointer)),
        Fault::BadRequest(mut places) => {
            for place in &mut places {
                place.pointer = rename(&place.pointer);
            }
            Fault::BadRequest(places)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use leadvault_domain::LeadId;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its refusals are looked at")]
    struct List {
        limit: Option<u64>,
        lead: Option<LeadId>,
    }

    fn fault(query: &'static str) -> Fault {
        let uri = Uri::from_static(query);
        query_fault(&axum::extract::Query::<List>::try_from_uri(&uri).unwrap_err())
    }

    #[test]
    fn a_query_is_refused_by_place_and_code_alone() {
        assert!(
            matches!(fault("/x?emial=ada@example.com"), Fault::UnknownField(p) if p == "query:*")
        );
        for bad in ["/x?limit=ada", "/x?lead=ada", "/x?limit=1&limit=2"] {
            let text = format!("{:?}", fault(bad));
            assert!(text.contains("query:") && !text.contains("ada"), "{bad}: {text}");
        }
    }
}
