//! Where a test stops the process: a name at each step of a commit and of a publication.
//!
//! Each is called *after* its step. Outside tests nothing listens.

use std::sync::Arc;

use leadvault_keys::FailPoint;

/// Every fail point of this crate, in the order of protocols.md 2.1 and 2.3.
pub const FAIL_POINTS: &[&str] = &[
    "commit.1.begun",
    "commit.2.written",
    "commit.3.chunk",
    "commit.4.committed",
    "publish.1.files",
    "publish.2.checkpoint",
];

/// Who is told of each step.
#[derive(Clone)]
pub(crate) struct Steps(FailPoint);

impl Steps {
    /// Tells `listener`.
    pub(crate) fn new(listener: FailPoint) -> Self {
        Self(listener)
    }

    /// A step was reached.
    pub(crate) fn reached(&self, step: &'static str) {
        (self.0)(step);
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self(Arc::new(|_| {}))
    }
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steps")
    }
}
