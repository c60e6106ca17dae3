//! JSON bodies: the type, the size and the shape are checked, and a refusal says where, never what.
//!
//! Request types carry `#[serde(deny_unknown_fields)]`, so that a typo does not store personal data in
//! the wrong place. They use neither `flatten` nor `untagged`, which hide the place of an error.

mod objects;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use leadvault_vault::{Act, Call, Fault};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::objects::Objects;
use super::call::{Author, author, caller, operator, operator_call, tenant_call};
use super::members;
use crate::problem::Problem;

/// A tenant's call with an `application/json` body.
#[derive(Debug)]
pub(crate) struct TenantJson<T> {
    /// The call.
    pub(crate) call: Call,
    /// The body.
    pub(crate) body: T,
}

/// A tenant's call with an `application/merge-patch+json` body (RFC 7386). A member that may be cleared
/// is an `Option<Option<_>>`.
#[derive(Debug)]
pub(crate) struct TenantPatch<T> {
    /// The call.
    pub(crate) call: Call,
    /// The body.
    pub(crate) body: T,
}

/// The operator's call with an `application/json` body.
#[derive(Debug)]
pub(crate) struct OperatorJson<T> {
    /// The call.
    pub(crate) act: Act,
    /// The body.
    pub(crate) body: T,
}

/// The draft of an instruction with an `application/json` body, by the controller or the operator.
#[derive(Debug)]
pub(crate) struct AuthorJson<T> {
    /// Who drafts.
    pub(crate) author: Author,
    /// The body.
    pub(crate) body: T,
}

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for TenantJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (call, body) = tenant(request, state, JSON).await?;
        Ok(Self { call, body })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for TenantPatch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (call, body) = tenant(request, state, MERGE_PATCH).await?;
        Ok(Self { call, body })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OperatorJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        operator(&parts)?;
        media_type(&parts.headers, JSON)?;
        let head = parts.clone();
        let bytes = read(Request::from_parts(parts, body), state).await?;
        Ok(Self { act: operator_call(&head, &bytes)?, body: parse(&bytes)? })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for AuthorJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        media_type(&parts.headers, JSON)?;
        let head = parts.clone();
        let bytes = read(Request::from_parts(parts, body), state).await?;
        Ok(Self { author: author(&head, &bytes)?, body: parse(&bytes)? })
    }
}

/// The caller is known before a byte of the body is read.
async fn tenant<S: Send + Sync, T: DeserializeOwned>(
    request: Request,
    state: &S,
    wanted: &str,
) -> Result<(Call, T), Fault> {
    let (parts, body) = request.into_parts();
    caller(&parts)?;
    media_type(&parts.headers, wanted)?;
    let head = parts.clone();
    let bytes = read(Request::from_parts(parts, body), state).await?;
    Ok((tenant_call(&head, &bytes)?, parse(&bytes)?))
}

fn media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Fault> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) { Ok(()) } else { Err(Fault::MediaType) }
}

/// The whole body, up to the limit of the route.
async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Fault> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Fault::TooLarge
        }
        _ => Fault::bad("#", "incomplete"),
    })
}

/// Parses a body. The parser's own message holds submitted text and goes no further than this function.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let objects = Objects(&mut deserializer);
    let value = serde_path_to_error::deserialize(objects).map_err(|error| {
        match error.inner().classify() {
            serde_json::error::Category::Data => {
                members::fault_at(members::pointer(error.path()), &error.inner().to_string())
            }
            _ => Fault::bad("#", "not_json"),
        }
    })?;
    deserializer.end().map_err(|_| Fault::bad("#", "not_json"))?;
    Ok(value)
}

/// For a member of a merge patch: absent = `None`, null = `Some(None)`. With `#[serde(default)]`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A map whose members are the caller's, each at most once: of two, the second would silently win. With
/// `#[serde(default)]`; null is an empty map.
///
/// # Errors
/// As serde's for a member that a type has twice.
pub(crate) fn distinct<'de, D>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    struct Distinct;

    impl<'de> serde::de::Visitor<'de> for Distinct {
        type Value = Option<Map<String, Value>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object or null")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut access: A,
        ) -> Result<Self::Value, A::Error> {
            let mut map = Map::new();
            while let Some((name, value)) = access.next_entry::<String, Value>()? {
                if map.insert(name, value).is_some() {
                    return Err(serde::de::Error::custom("duplicate field"));
                }
            }
            Ok(Some(map))
        }
    }

    deserializer.deserialize_any(Distinct)
}

#[cfg(test)]
mod tests;
