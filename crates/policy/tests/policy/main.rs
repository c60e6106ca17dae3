//! The rules of policy, as tables. One binary: each file is about one part of the rules.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot set up its world has failed"
)]

mod calls;
mod codes;
mod data;
mod docs;
mod draft;
mod exit;
mod filter;
mod kit;
mod minor;
mod prohibits;
mod properties;
mod rows;
mod secrets_in_cells;
mod selection;
mod session;
mod states;
mod subjects;
mod time_window;
mod version;
