//! What the command line asks for.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// Printed by `--help` and after a wrong argument.
pub(crate) const HELP: &str = "\
cargo xtask bench embedded [OPTIONS]
cargo xtask bench postgres [OPTIONS]

Measures the release server over HTTP on the embedded store, or on a private PostgreSQL cluster, against baselines
of the same run.

  --quick        50,000 leads instead of 1,000,000, and fewer turns: to try the bench itself
  --leads N      leads of the large import
  --turns N      turns of what is repeated (default 5): minimum, median and maximum are printed
  --seconds N    length of a turn (default 3)
  --dir DIR      where the vault and the baselines lie (default: the temporary directory); needs about
                 5,000 bytes a lead, asked for first, given back at the end
  --json FILE    also writes the table as JSON
  --help         this text";

/// Leads of the large import.
const LEADS: u64 = 1_000_000;
const LEADS_QUICK: u64 = 50_000;

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Print the help.
    Help,
    /// Measure.
    Embedded(Options),
    /// Measure on PostgreSQL.
    Postgres(Options),
    /// Be the plaintext service that single reads and writes are compared with.
    Plain {
        /// URL of its database.
        url: String,
    },
    /// Be a server; the bench starts itself so.
    Serve {
        /// The data directory.
        data: PathBuf,
        /// Its journal.
        journal: JournalKind,
    },
}

/// The journal of a server that the bench composes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JournalKind {
    /// The store's, as in the product.
    Store,
    /// One that acknowledges reads without writing.
    Stub,
}

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Leads of the large import.
    pub(crate) leads: u64,
    /// Turns of what is repeated.
    pub(crate) turns: usize,
    /// Length of a turn.
    pub(crate) seconds: u64,
    /// Where everything lies.
    pub(crate) dir: PathBuf,
    /// Where the JSON goes.
    pub(crate) json: Option<PathBuf>,
}

/// Reads the command line.
///
/// # Errors
/// An unknown option or a number that is none.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Task> {
    let mut arguments = arguments.peekable();
    let bench = arguments.next();
    match bench.as_deref() {
        Some("embedded" | "postgres") => {}
        Some("plain") => {
            return Ok(Task::Plain { url: arguments.next().context("plain needs a URL")? });
        }
        Some("serve") => return parse_serve(arguments),
        Some("--help") | None => return Ok(Task::Help),
        Some(_) => bail!("there are two benches: embedded and postgres"),
    }
    let mut options =
        Options { leads: LEADS, turns: 5, seconds: 3, dir: std::env::temp_dir(), json: None };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => {
                options.leads = LEADS_QUICK;
                options.turns = 2;
                options.seconds = 2;
            }
            "--leads" => options.leads = value()?.parse().context("--leads: not a number")?,
            "--turns" => options.turns = value()?.parse().context("--turns: not a number")?,
            "--seconds" => options.seconds = value()?.parse().context("--seconds: not a number")?,
            "--dir" => options.dir = value()?.into(),
            "--json" => options.json = Some(value()?.into()),
            "--help" => return Ok(Task::Help),
            _ => bail!("unknown option {argument}"),
        }
    }
    if options.leads < 20_000 || options.turns == 0 || options.seconds == 0 {
        bail!("at least 20,000 leads, one turn, one second");
    }
    match bench.as_deref() {
        Some("postgres") => Ok(Task::Postgres(options)),
        _ => Ok(Task::Embedded(options)),
    }
}

fn parse_serve(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Task> {
    let data = arguments.next().context("serve needs the data directory")?.into();
    let journal = match arguments.next().as_deref() {
        Some("store") => JournalKind::Store,
        Some("stub") => JournalKind::Stub,
        _ => bail!("serve needs `store` or `stub`"),
    };
    Ok(Task::Serve { data, journal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Task> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn later_options_override_what_quick_sets() {
        let Ok(Task::Embedded(options)) = parsed("embedded --quick --turns 3 --json out.json")
        else {
            panic!("not parsed");
        };
        assert_eq!((options.leads, options.turns, options.seconds), (LEADS_QUICK, 3, 2));
        assert_eq!(options.json, Some("out.json".into()));
    }

    #[test]
    fn what_it_does_not_know_it_refuses() {
        for line in ["mysql", "embedded --fast", "embedded --leads many", "embedded --leads 5"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
