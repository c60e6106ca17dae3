//! Errors as `application/problem+json` (RFC 9457, surfaces.md 2).
//!
//! One exhaustive match gives every [`Fault`] its status, code and title; nothing else in this crate
//! chooses them. A body holds static text, ids and places, never a submitted value and never a source
//! chain. A `pointer` is a JSON pointer (RFC 6901, `#/fields/email`) into the body, ending at the last
//! member the schema knows; `header:NAME`, `query:NAME` and `path:NAME` name the other places by their schema's name.
//!
//! Handlers return a [`Problem`]; its body is rendered at the edge, which knows the id of the request
//! ([`crate::request_line`]).

mod body;
mod titles;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leadvault_domain::{DecisionCode, RequestId};
use leadvault_vault::{Fault, Refusal};

pub(crate) use body::{PROBLEM_JSON, ProblemBody, Refused};

/// Seconds after which a full queue is likely to have moved: one batch of the journal is far shorter.
const QUEUE_SECONDS: u32 = 1;
/// Seconds after which a start, a disk or a journal may have recovered.
const RECOVERY_SECONDS: u32 = 5;

/// A call that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// What a use case or an extractor refused.
    Refused(Box<Refusal>),
    /// The path exists, the method does not: a matter of HTTP alone.
    MethodNotAllowed,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Refusal::from(fault).into()
    }
}

/// Carries the problem to the edge; the status is already the final one.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.shape().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// How a fault looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// HTTP status.
    pub(crate) status: u16,
    /// Stable code, the anchor in `/docs/errors`.
    pub(crate) code: &'static str,
    /// The same for every occurrence of the code.
    pub(crate) title: &'static str,
    /// `Retry-After`.
    pub(crate) retry_after_seconds: Option<u32>,
}

impl Shape {
    /// The status as HTTP's type.
    fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    const fn retry(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl Problem {
    /// Status, code and title.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Refused(refusal) => shape(&refusal.fault),
            Self::MethodNotAllowed => {
                shape_of(405, "method_not_allowed", "This path does not take this method")
            }
        }
    }

    /// Where a fault of ours lies, for the log alone.
    pub(crate) fn internal_place(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => match refusal.fault {
                Fault::Internal(place) => Some(place),
                Fault::Stale => Some("stale_decision_left_vault"),
                _ => None,
            },
            Self::MethodNotAllowed => None,
        }
    }

    /// The answer, under the id of the request.
    pub(crate) fn render(&self, request: RequestId) -> Response {
        let shape = self.shape();
        let body = ProblemBody::new(self, shape, request).to_json();
        let mut response =
            (shape.status(), [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = shape.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if shape.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::Refused(refusal) = self
            && let Fault::RangeNotSatisfiable { total } = refusal.fault
            && let Ok(span) = HeaderValue::from_str(&format!("bytes */{total}"))
        {
            headers.insert(header::CONTENT_RANGE, span);
        }
        if let Self::Refused(refusal) = self
            && let Some(stamp) = &refusal.stamp
        {
            crate::answer::put_stamp(headers, stamp);
        }
        response
    }
}

/// The one mapping of faults to HTTP.
fn shape(fault: &Fault) -> Shape {
    match fault {
        Fault::BadRequest(_) => bad("bad_request", "The request is malformed"),
        Fault::LimitTooLarge => bad("limit_too_large", "`limit` is at most 200"),
        Fault::PurposeRequired => {
            bad("purpose_required", "No purpose is named and none is default")
        }
        Fault::PurposeUnknown => bad("purpose_unknown", "The vocabulary has no such purpose"),
        Fault::IdempotencyKeyRequired => {
            bad("idempotency_key_required", "Idempotency-Key is needed")
        }
        Fault::UnknownField(_) => bad("unknown_field", "A member or field is not known"),
        Fault::Unauthenticated => shape_of(401, "unauthenticated", "No API key that is in force"),
        Fault::RoleInsufficient => shape_of(403, "role_insufficient", "The key's role is too weak"),
        Fault::Denied(code) => denied(*code),
        Fault::NotFound => shape_of(404, "not_found", "There is no such thing here"),
        Fault::InProgress => conflict("in_progress", "This Idempotency-Key is being worked on"),
        Fault::Duplicate => conflict("duplicate", "The dataset already has this lead"),
        Fault::ContentDiffers => conflict("content_differs", "The bytes differ from earlier ones"),
        Fault::StateConflict => conflict("state_conflict", "The present state does not allow this"),
        Fault::KeyDestroyed => conflict("key_destroyed", "The keys are destroyed for good"),
        Fault::NoRecipient => {
            conflict("no_recipient", "No export recipient, and `plain` is not true")
        }
        Fault::ExportStale => gone("export_stale", "A lead of this export was erased since"),
        Fault::ExportExpired => gone("export_expired", "The export has expired"),
        Fault::Erased => gone("erased", "The lead of the replayed call was erased"),
        Fault::VersionConflict => {
            shape_of(412, "version_conflict", "If-Match names another version")
        }
        Fault::IfMatchRequired => shape_of(428, "if_match_required", "If-Match is needed"),
        Fault::TooLarge => shape_of(413, "too_large", "The request is above its size limit"),
        Fault::MediaType => shape_of(415, "media_type", "The body needs another media type"),
        Fault::RangeNotSatisfiable { .. } => {
            shape_of(416, "range_not_satisfiable", "Range begins behind the end")
        }
        Fault::WrongRegion { .. } => shape_of(421, "wrong_region", "The tenant lives elsewhere"),
        Fault::MappingNeeded(_) => invalid("mapping_needed", "Columns are ambiguous"),
        Fault::NoHeaderRow => invalid("no_header_row", "The file has no header row"),
        Fault::Invalid(_) => invalid("invalid", "The request is well-formed but not acceptable"),
        Fault::FilterLabelUnknown => {
            invalid("filter_label_unknown", "The filter's label is sealed")
        }
        Fault::IdempotencyMismatch => {
            invalid("idempotency_mismatch", "The key had another request")
        }
        Fault::RateLimited { retry_after_seconds } => {
            shape_of(429, "rate_limited", "Too many requests").retry(*retry_after_seconds)
        }
        Fault::JournalUnwritable => {
            unavailable("journal_unwritable", "The journal cannot be written")
                .retry(RECOVERY_SECONDS)
        }
        Fault::Overloaded => {
            unavailable("overloaded", "Too much work at once").retry(QUEUE_SECONDS)
        }
        Fault::NotReady => {
            unavailable("not_ready", "The service is not ready").retry(RECOVERY_SECONDS)
        }
        Fault::ContentDamaged => {
            shape_of(500, "content_damaged", "Stored bytes are not those that were written")
        }
        Fault::Internal(_) | Fault::Stale => shape_of(500, "internal", "A fault of ours"),
    }
}

const fn bad(code: &'static str, title: &'static str) -> Shape {
    shape_of(400, code, title)
}

const fn conflict(code: &'static str, title: &'static str) -> Shape {
    shape_of(409, code, title)
}

const fn gone(code: &'static str, title: &'static str) -> Shape {
    shape_of(410, code, title)
}

const fn invalid(code: &'static str, title: &'static str) -> Shape {
    shape_of(422, code, title)
}

const fn unavailable(code: &'static str, title: &'static str) -> Shape {
    shape_of(503, code, title)
}

const fn shape_of(status: u16, code: &'static str, title: &'static str) -> Shape {
    Shape { status, code, title, retry_after_seconds: None }
}

/// A decision's code. Two codes of the log have words of their own outside.
fn denied(code: DecisionCode) -> Shape {
    use DecisionCode as C;
    let status = match code {
        C::NotFound => return shape(&Fault::NotFound),
        C::RoleInsufficient => return shape(&Fault::RoleInsufficient),
        C::Allow => return shape(&Fault::Internal("allowance_as_denial")),
        C::KeyDestroyed | C::KeyDisabled | C::KeyUnreachable => 423,
        _ => 403,
    };
    shape_of(status, code.as_str(), titles::of(code))
}

#[cfg(test)]
pub(crate) use tests::every_code;

#[cfg(test)]
mod tests;
