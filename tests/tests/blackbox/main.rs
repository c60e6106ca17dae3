//! The black-box suite: one binary, against the server as another process.
#![expect(clippy::expect_used, reason = "tests")]

mod backup;
mod canary;
mod crash;
mod demo;
mod isolation;
mod lead_life;
mod log_verify;
