//! Authentication: the bearer token becomes a credential, before anything else of a request is looked at.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use leadvault_vault::{Credential, Fault, Proof};

use crate::problem::Problem;
use crate::rate::Standing;
use crate::request_line::Whose;
use crate::state::ApiState;

/// The credential of a request, as handlers see it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Who shows it.
    pub(crate) credential: Arc<Credential>,
    /// Whether that is yet to be confirmed by the commit of the call.
    pub(crate) open: bool,
}

/// Calls that release nothing without a commit, which proves their key as well: the many small ones.
const PROVEN_AT_COMMIT: [(Method, &str); 3] = [
    (Method::GET, "/v1/leads/{id}"),
    (Method::POST, "/v1/leads"),
    (Method::POST, "/v1/leads/search"),
];

/// When the key of a request must be proven. One that names an `Idempotency-Key` may be answered from its record.
fn proof_of(request: &Request) -> Proof {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let named = |(method, route): &(Method, &str)| request.method() == *method && path == *route;
    let repeats = request.headers().contains_key("idempotency-key");
    if PROVEN_AT_COMMIT.iter().any(named) && !repeats { Proof::AtCommit } else { Proof::Now }
}

/// Lets a request with a genuine key pass, as long as its tenant has requests left; 401, 421 or 429 otherwise.
pub(crate) async fn authenticate(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let shown = match bearer(request.headers()) {
        Ok(token) => state.cell.authenticate(token, proof_of(&request)).await,
        Err(fault) => Err(fault),
    };
    let (credential, open) = match shown {
        Ok(credential) => credential,
        Err(fault) => return Problem::from(fault).into_response(),
    };
    let standing = match &credential {
        Credential::Tenant(caller) => {
            if let Some(whose) = request.extensions().get::<Whose>() {
                whose.note(caller.tenant);
            }
            Some(state.rate.count(caller.tenant, state.cell.clock().now()))
        }
        Credential::Operator => None,
    };
    let mut response = match standing {
        Some(Standing { exceeded: true, seconds, .. }) => {
            Problem::from(Fault::RateLimited { retry_after_seconds: seconds }).into_response()
        }
        _ => {
            let credential = Arc::new(credential);
            request.extensions_mut().insert(Shown { credential, open });
            next.run(request).await
        }
    };
    if let Some(standing) = standing {
        standing.put(response.headers_mut());
    }
    response
}

/// The token of `Authorization: Bearer …`. Two such headers are as good as none.
fn bearer(headers: &HeaderMap) -> Result<&str, Fault> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Fault::Unauthenticated);
    };
    let text = value.to_str().map_err(|_| Fault::Unauthenticated)?;
    let (scheme, token) = text.split_once(' ').ok_or(Fault::Unauthenticated)?;
    let token = token.trim_matches(' ');
    let ok = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.bytes().all(|b| b.is_ascii_graphic());
    if ok { Ok(token) } else { Err(Fault::Unauthenticated) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn one_bearer_token_is_read() {
        assert_eq!(bearer(&headers(&["Bearer lv_live_x"])), Ok("lv_live_x"));
        assert_eq!(bearer(&headers(&["bearer  lv_live_x "])), Ok("lv_live_x"));
    }

    #[test]
    fn anything_else_is_unauthenticated() {
        for bad in [
            &[][..],
            &["Basic eDp5"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["lv_live_x"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(bearer(&headers(bad)), Err(Fault::Unauthenticated), "{bad:?}");
        }
    }
}
