//! The circumstances of a call: who, under what, which request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::Method;
use axum::http::request::Parts;
use leadvault_domain::{Caller, RequestId, Sensitive, TenantId};
use leadvault_vault::{Act, Call, Credential, Fault, fingerprint};

use super::credential::Shown;
use super::headers;
use crate::problem::Problem;

/// Every `METHOD /path` of the document, and the names its query may have. A call's route is one of these
/// texts, so an undescribed route cannot be called.
static ROUTES: LazyLock<BTreeMap<String, BTreeSet<&'static str>>> = LazyLock::new(|| {
    let routes = crate::document::routes();
    routes
        .map(|(method, path)| {
            let names = crate::document::query_names(&method, path).collect();
            (format!("{method} {path}"), names)
        })
        .collect()
});

/// A call by a tenant's key, without a JSON body.
#[derive(Debug)]
pub(crate) struct TenantCall(pub(crate) Call);

/// A call by the operator's key, without a JSON body.
#[derive(Debug)]
pub(crate) struct OperatorCall(pub(crate) Act);

impl<S: Send + Sync> FromRequestParts<S> for TenantCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(tenant_call(parts, &[])?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OperatorCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(operator_call(parts, &[])?))
    }
}

/// A tenant's call with these bytes as its body.
pub(super) fn tenant_call(parts: &Parts, body: &[u8]) -> Result<Call, Fault> {
    Ok(Call {
        caller: caller(parts)?,
        open: shown(parts)?.open,
        instruction: headers::instruction(&parts.headers)?,
        purpose: headers::purpose(&parts.headers)?,
        request: request_id(parts)?,
        idempotency_key: idempotency_key(parts)?,
        route: route(parts)?,
        fingerprint: fingerprint_of(parts, body),
    })
}

/// The operator's call with these bytes as its body.
pub(super) fn operator_call(parts: &Parts, body: &[u8]) -> Result<Act, Fault> {
    operator(parts)?;
    Ok(Act {
        idempotency_key: idempotency_key(parts)?,
        route: route(parts)?,
        fingerprint: fingerprint_of(parts, body),
    })
}

/// Lets the operator's key pass.
pub(super) fn operator(parts: &Parts) -> Result<(), Fault> {
    match credential(parts)?.as_ref() {
        Credential::Operator => Ok(()),
        Credential::Tenant(_) => Err(Fault::RoleInsufficient),
    }
}

/// What makes two requests the same one. Under another instruction or on another version it is another.
fn fingerprint_of(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let header = |name| parts.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let (method, path) = (parts.method.as_str().as_bytes(), parts.uri.path().as_bytes());
    let [instruction, purpose, version] = ["instruction", "purpose", "if-match"].map(header);
    let end = b"\n".as_slice();
    // No header value holds a line end.
    fingerprint(&[method, b" ", path, end, instruction, end, purpose, end, version, end, body])
}

/// The tenant's caller. The operator's key reads no tenant content, whatever the route.
pub(super) fn caller(parts: &Parts) -> Result<Caller, Fault> {
    match credential(parts)?.as_ref() {
        Credential::Tenant(caller) => confirmed(parts, Caller::clone(caller)),
        Credential::Operator => Err(Fault::RoleInsufficient),
    }
}

/// A header `Tenant` that names another tenant than the credential's is a mistake of the client's.
fn confirmed(parts: &Parts, caller: Caller) -> Result<Caller, Fault> {
    match headers::tenant(&parts.headers)? {
        Some(named) if named != caller.tenant => Err(Fault::NotFound),
        _ => Ok(caller),
    }
}

/// Who drafts an instruction: the controller, or the operator for it.
#[derive(Debug)]
pub(crate) enum Author {
    /// A call of the tenant.
    Tenant(Box<Call>),
    /// The operator, and the tenant it names.
    Operator(Option<TenantId>),
}

/// Who drafts, with these bytes as the body.
pub(super) fn author(parts: &Parts, body: &[u8]) -> Result<Author, Fault> {
    match credential(parts)?.as_ref() {
        Credential::Tenant(_) => Ok(Author::Tenant(Box::new(tenant_call(parts, body)?))),
        Credential::Operator => {
            route(parts)?;
            Ok(Author::Operator(headers::tenant(&parts.headers)?))
        }
    }
}

fn credential(parts: &Parts) -> Result<Arc<Credential>, Fault> {
    Ok(Arc::clone(&shown(parts)?.credential))
}

fn shown(parts: &Parts) -> Result<&Shown, Fault> {
    parts.extensions.get::<Shown>().ok_or(Fault::Unauthenticated)
}

fn request_id(parts: &Parts) -> Result<RequestId, Fault> {
    parts.extensions.get().copied().ok_or(Fault::Internal("request_without_id"))
}

/// Only POST and PATCH are repeated under a key; the other methods are idempotent as they are (RFC 9110).
fn idempotency_key(parts: &Parts) -> Result<Option<Sensitive<String>>, Fault> {
    if !matches!(parts.method, Method::POST | Method::PATCH) {
        return Ok(None);
    }
    headers::idempotency_key(&parts.headers)
}

/// The route of a call. A query may hold the names that the document gives it and no other: a typo is not
/// to be taken for the default.
fn route(parts: &Parts) -> Result<&'static str, Fault> {
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    // `HEAD` is answered by the handler of `GET`.
    let method = match parts.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    let text = format!("{method} {}", crate::document::described(path));
    let (route, names) = ROUTES.get_key_value(&text).ok_or(Fault::Internal("route_undescribed"))?;
    let query = parts.uri.query().unwrap_or_default();
    let named = query.split('&').filter(|pair| !pair.is_empty());
    let mut names_sent = named.map(|pair| pair.split('=').next().unwrap_or_default());
    if names_sent.all(|name| names.contains(name)) {
        Ok(route.as_str())
    } else {
        Err(Fault::UnknownField("query:*".to_owned()))
    }
}
