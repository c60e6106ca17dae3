//! Repository tasks: what a contributor and the CI run, and nothing the product needs.
//!
//! Each command is one file; `check/` holds one file per check. A command is listed in [`COMMANDS`]
//! and nowhere else. Exit codes follow the binary's: 0 holds, 1 does not hold, 2 could not be asked.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool: its output is its product"
)]

mod bench;
mod check;
mod graph;
mod migrations;
mod postgres;
mod process;
mod repo;
mod test;
mod vectors;

use std::process::ExitCode;

/// A command: its name, what stands after it, what it does, and the function that does it.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "[--full] [FILTER]",
        about: "build everything and run the whole suite; --full adds the long tests",
        run: test::run,
    },
    Command {
        name: "check",
        arguments: "[--list] [NAME…]",
        about: "all checks, or those named: format, lints, edges, licences, …",
        run: check::run,
    },
    Command {
        name: "bench",
        arguments: "embedded|postgres [--quick] [--json FILE]",
        about: "measure the release server against its baselines; --help for the rest",
        run: bench::run,
    },
    Command {
        name: "postgres",
        arguments: "[--synced]",
        about: "start the PostgreSQL cluster of the suite, until Ctrl-C, and print where it is",
        run: postgres::run,
    },
    Command {
        name: "vectors",
        arguments: "--check FILE",
        about: "compare every known answer in FILE with the code; one JSON line",
        run: vectors::run,
    },
    Command {
        name: "migrations",
        arguments: "--freeze",
        about: "write the checksums of new migrations; a frozen one never changes again",
        run: migrations::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("no such command: {name}\n{}", usage());
        return ExitCode::from(process::EXIT_USAGE);
    };
    match (command.run)(rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::from(process::EXIT_USAGE)
        }
    }
}

fn usage() -> String {
    let mut text = String::from("cargo xtask COMMAND\n");
    for command in COMMANDS {
        let call = format!("{} {}", command.name, command.arguments);
        text.push_str(&format_line(&call, command.about));
    }
    text
}

fn format_line(call: &str, about: &str) -> String {
    format!("  {call:<28} {about}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_lists_every_command() {
        let text = usage();
        for command in COMMANDS {
            assert!(text.contains(command.name) && text.contains(command.about));
        }
    }
}
