//! Requests of one tenant in a minute, and the header fields that tell of them
//! (draft-ietf-httpapi-ratelimit-headers-10): `RateLimit-Policy: "tenant";q=600;w=60` and
//! `RateLimit: "tenant";r=420;t=17`.
//!
//! A window is a minute of the clock. The count is this node's: several nodes let through as many times the
//! limit as there are nodes. The operator's key is not counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use leadvault_domain::{TenantId, Timestamp};

/// What is left of a window.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What a window holds.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Length of a window.
const WINDOW_SECONDS: u32 = 60;

/// Counts requests by tenant.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    limit: u32,
    windows: Arc<Mutex<HashMap<TenantId, Window>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    number: i64,
    requests: u32,
}

/// Where a tenant stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: u32,
    /// Requests left in the window.
    left: u32,
    /// Seconds until the next one.
    pub(crate) seconds: u32,
    /// Whether this request was one too many.
    pub(crate) exceeded: bool,
}

impl Rate {
    /// At most `limit` requests a minute.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, windows: Arc::default() }
    }

    /// Counts a request.
    pub(crate) fn count(&self, tenant: TenantId, now: Timestamp) -> Standing {
        let seconds = now.micros().div_euclid(1_000_000);
        let window = i64::from(WINDOW_SECONDS);
        let number = seconds.div_euclid(window);
        let gone = u32::try_from(seconds.rem_euclid(window)).unwrap_or(0);
        let mut windows = self.windows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let counted = windows.entry(tenant).or_default();
        if counted.number != number {
            *counted = Window { number, requests: 0 };
        }
        counted.requests = counted.requests.saturating_add(1);
        Standing {
            limit: self.limit,
            left: self.limit.saturating_sub(counted.requests),
            seconds: WINDOW_SECONDS.saturating_sub(gone),
            exceeded: counted.requests > self.limit,
        }
    }
}

impl Standing {
    /// Puts the two header fields.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        let policy = format!("\"tenant\";q={};w={WINDOW_SECONDS}", self.limit);
        let standing = format!("\"tenant\";r={};t={}", self.left, self.seconds);
        for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
            // A quoted word and digits are always a header value.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_tenant_has_its_own_window_and_a_new_one_every_minute() {
        let rate = Rate::new(2);
        let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let first = rate.count(one, at(600));
        assert_eq!((first.left, first.seconds, first.exceeded), (1, 60, false));
        assert!(!rate.count(one, at(617)).exceeded);
        let third = rate.count(one, at(617));
        assert_eq!((third.left, third.seconds, third.exceeded), (0, 43, true));
        assert!(!rate.count(other, at(617)).exceeded);
        assert!(!rate.count(one, at(660)).exceeded);
    }

    #[test]
    fn the_fields_say_what_is_allowed_and_what_is_left() {
        let mut headers = HeaderMap::new();
        Rate::new(600).count(TenantId::from_bytes([1; 16]), at(643)).put(&mut headers);
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"tenant\";q=600;w=60");
        assert_eq!(headers[RATE_LIMIT], "\"tenant\";r=599;t=17");
    }
}
