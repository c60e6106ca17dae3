//! The black-box suite: one binary, against the server as another process.
#![expect(clippy::expect_used, reason = "tests")]

mod import;

mod backup;
mod canary;
mod crash;
mod demo;
mod idempotency;
mod isolation;
mod lead_life;
mod log_key;
mod log_kit;
mod log_lines;
mod log_verify;
mod log_watch;
