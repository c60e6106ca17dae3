//! The name of the policy bundle, for the log.

/// First 8 hex digits of the SHA-256 over the sources of this crate: for each `src/*.rs` but this
/// one, by name, `name NUL bytes NUL`. A test computes it again, so that no rule changes unnamed.
const VERSION: &str = "625c79a2";

/// The policy bundle's name: 8 hex digits, other whenever a rule changes.
pub fn policy_version() -> &'static str {
    VERSION
}
