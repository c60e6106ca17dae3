//! The black-box suite: one binary, against the server as another process.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests; one says on stderr by which way it went, or that it cannot run here"
)]

// What is done to a server, its files and its callers on purpose.
mod batching;
mod configuration;
mod doctor;
mod files;
mod files_erased;
mod files_exported;
mod files_large;
mod fixtures;
mod full_disk;
mod hostile;
mod stop;
mod tamper;

mod api_document;
mod backup;
mod canary;
mod conventions;
mod crash;
mod decisions;
mod demo;
mod export_cells;
mod export_crash;
mod export_download;
mod export_package;
mod export_referees;
mod export_tamper;
mod export_writers;
mod hostile_tenant;
mod idempotency;
mod import;
mod isolation;
mod lead_life;
mod leaf_numbers;
mod log_key;
mod log_kit;
mod log_lines;
mod log_verify;
mod log_watch;
mod masking;
mod move_store;
mod nodes;
mod postgres;
mod races;
mod readme;
mod share;
mod shred;
mod states;
mod surfaces;
mod telemetry;
mod tls;
