//! The Leadvault binary: composition root and command line.
//!
//! Each command is a file. stdout carries the result, stderr speaks to people, and the exit code is one
//! of surfaces.md 1.

#[macro_use]
mod output;

mod cli;
mod client;
mod clock;
mod config;
mod data_lock;
mod demo;
mod doctor;
mod exit;
mod export_cmd;
mod import_cmd;
mod init;
mod input;
mod log_keys;
mod log_watch;
mod move_store_cmd;
mod restore_cmd;
mod secret_file;
mod serve;
mod stores;
mod telemetry;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command, KeysCommand, LogCommand, VerifyCommand};
use crate::exit::{Done, Stop};

/// A call makes many short-lived allocations on whichever thread runs it, an eighth of its time with the C library's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // First, before anything opens a connection: TLS speaks through ring and nothing else. It fails only
    // where a provider is installed already, and nothing else installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::panic::set_hook(Box::new(|panic| {
        // The place only: a panic message may hold what it choked on.
        let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line()));
        let place = place.as_deref().unwrap_or("unknown");
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "bug");
        } else {
            say!("a bug, at {place}");
        }
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Help and version go where clap sends them; a closed pipe is no reason to fail.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            explain(&stop);
            ExitCode::from(stop.code())
        }
    }
}

fn run(command: &Command) -> Done {
    match command {
        Command::Init(args) => init::run(args),
        Command::Serve(args) => serve::run(&args.config),
        Command::Demo(args) => demo::run(args),
        Command::Import(args) => import_cmd::run(args),
        Command::Export(args) => export_cmd::run(args),
        Command::Verify(VerifyCommand::Log { source, vkey, since, key_file }) => {
            verify::log(source, vkey, since.as_deref(), key_file.as_deref())
        }
        Command::Verify(VerifyCommand::Export { file, vkey, identity }) => {
            verify::export(file, vkey, identity.as_deref())
        }
        Command::Verify(VerifyCommand::Receipt { file, vkey }) => verify::receipt(file, vkey),
        Command::Log(LogCommand::Watch { server, vkey, state, once, every_seconds }) => {
            log_watch::run(server, vkey, state, *once, *every_seconds)
        }
        Command::Log(LogCommand::RotateKey { config }) => log_keys::rotate(config),
        Command::Restore { config, from } => restore_cmd::run(config, from),
        Command::Migrate { data_url_file, keys_url_file } => {
            stores::migrate(data_url_file, keys_url_file)
        }
        Command::MoveStore { config, data_url_file, keys_url_file } => {
            move_store_cmd::run(config, data_url_file, keys_url_file)
        }
        Command::Doctor(args) => doctor::run(&args.config),
        Command::Openapi => output::print_json(&leadvault_api::openapi()),
        Command::Health { url } => doctor::health(url),
        Command::Keys(KeysCommand::Restore { mirror, config }) => {
            serve::restore_keys(mirror, config)
        }
    }
}

fn explain(stop: &Stop) {
    match stop {
        Stop::No => {}
        Stop::Usage(error) => say!("error: {error:#}"),
        Stop::Again(error) => say!("could not finish, run it again: {error:#}"),
        Stop::Refused { code, detail } => say!("refuses to start: {code}: {detail}"),
    }
}
