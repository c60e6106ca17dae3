//! Bounds of the HTTP surface. Each has a default with a reason; the configuration file may change it.

use std::time::Duration;

/// Bounds on what one caller, and all callers together, can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSettings {
    /// JSON calls worked on at once; one more is answered 503 `overloaded`. Default 512: each holds at
    /// most a body, a page of leads and a place in the journal's queue. One tenant holds a quarter of them
    /// at most, of uploads and of waits as well; one more of its own is answered 429 `rate_limited`.
    pub concurrent_requests: usize,
    /// Uploads and downloads begun at once, counted apart so that bulk work cannot starve reads.
    /// Default 32: each holds a slice of rows and a worker.
    pub concurrent_streams: usize,
    /// Calls that wait for a change at once, counted apart so that waiting costs nobody a place. Default
    /// 256: each holds a task and looks at the log five times a second.
    pub concurrent_waits: usize,
    /// Requests of one tenant in a minute; one more is answered 429 `rate_limited`. Default 1,200,000: what a
    /// node can serve at all, so that no tenant takes the turns of all others.
    pub requests_per_minute: u32,
    /// Bytes of a JSON body. Default 1 MiB, the most a sealed record can hold (crypto.md 1.3).
    pub body_bytes_max: usize,
    /// Time until a JSON call is answered 503. The work itself is not cut. Default 30 s.
    pub request_timeout: Duration,
    /// Time a stream may stand still before it is given up. Default 60 s.
    pub stream_idle_timeout: Duration,
    /// Whether callers reach this server over TLS; adds `Strict-Transport-Security`. Default false.
    pub https: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            concurrent_requests: 512,
            concurrent_streams: 32,
            concurrent_waits: 256,
            requests_per_minute: 1_200_000,
            body_bytes_max: 1 << 20,
            request_timeout: Duration::from_secs(30),
            stream_idle_timeout: Duration::from_mins(1),
            https: false,
        }
    }
}
