//! The benchmarks: `cargo xtask bench embedded` and `cargo xtask bench postgres`.
//!
//! It starts the release server as another process, loads it over HTTP from this one, and compares it with
//! baselines that it runs in turn, on the same disk, in the same run. It asserts nothing: a goal that is
//! not met stands in the table as not met.
//!
//! What it is not: a part of the product. Nothing depends on it, and it alone may compose a server whose
//! journal acknowledges without writing ([`stub`]).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool: its output is its product"
)]

mod arguments;
mod composed;
mod embedded;
mod http;
mod leads;
mod load;
mod machine;
mod measure;
mod plain;
mod postgres;
mod process;
mod report;
mod stopwatch;
mod stub;
mod tenant;

use std::process::ExitCode;

use crate::arguments::Task;

/// The product's allocator: the baselines are to have what it has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let task = match arguments::parse(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("{error:#}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::from(4);
        }
    };
    let done = runtime.block_on(async {
        match task {
            Task::Help => {
                println!("{}", arguments::HELP);
                Ok(())
            }
            Task::Embedded(options) => embedded::run(&options).await,
            Task::Postgres(options) => postgres::run(&options).await,
            Task::Plain { url } => plain::serve(&url).await,
            Task::Serve { data, journal } => composed::serve(&data, journal).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(4)
        }
    }
}
