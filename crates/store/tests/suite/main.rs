//! The store from outside: the contract of its engines, a model, crashes, full disks.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test, as tests themselves do"
)]

mod contract;
mod control;
mod crash;
mod creation;
mod export;
mod file;
mod full_disk;
mod journal;
mod keys;
mod kit;
mod lead;
mod lead_model;
mod plans;
mod row_security;
mod slice;
mod stage;
mod two_nodes;
mod work;
