//! `cargo xtask test`: the whole suite in one profile and one feature set.
//!
//! Needs the toolchain and PostgreSQL, and works for root and for an ordinary user. It starts a private
//! cluster for the suite and stops it; every program a test starts, the test stops. Outside referees are asked where they are installed; where one is
//! missing, one line says so. The last lines printed are cargo's own.

use std::process::ExitCode;

use anyhow::bail;

use crate::postgres::{self, Cluster, Disk};
use crate::process;
use crate::repo;

/// Read by tests that take minutes rather than seconds.
const FULL_VARIABLE: &str = "LEADVAULT_FULL";

/// Which engine the vaults of the black-box suite have.
const ENGINE_VARIABLE: &str = "LEADVAULT_TEST_ENGINE";

/// Names the S3 server for vaults whose objects lie in a bucket.
const S3_VARIABLE: &str = "LEADVAULT_TEST_S3";
/// Its version: the newest for the toolchain of this project.
const S3_SERVER: &str = "0.14.1";

/// A program somebody else wrote that some tests ask for a second opinion.
struct Referee {
    program: &'static str,
    probe: &'static [&'static str],
    judges: &'static str,
    get: &'static str,
}

const REFEREES: &[Referee] = &[
    Referee {
        program: "age",
        probe: &["--version"],
        judges: "decrypts export packages",
        get: "apt-get install age",
    },
    Referee {
        program: "minisign",
        probe: &["-v"],
        judges: "verifies the signature in an export package",
        get: "apt-get install minisign",
    },
    Referee {
        program: "python3",
        probe: &["-c", "import cryptography"],
        judges: "runs the reference implementation of the formats, with its `cryptography` package",
        get: "apt-get install python3-cryptography",
    },
    Referee {
        program: "jq",
        probe: &["--version"],
        judges: "takes part, with curl, in the walk of the README",
        get: "apt-get install jq curl",
    },
];

/// Builds, then tests.
///
/// # Errors
/// An unknown option, or cargo cannot be started.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut full = false;
    let mut filters: Vec<&str> = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--full" => full = true,
            option if option.starts_with('-') => bail!("unknown option {option}"),
            filter => filters.push(filter),
        }
    }
    if !process::is_present("cc", &["--version"]) {
        bail!(
            "a C compiler is missing (ring and SQLite are built from source): apt-get install build-essential"
        );
    }
    for line in missing_referees(|referee| process::is_present(referee.program, referee.probe)) {
        eprintln!("{line}");
    }
    let cluster = Cluster::start(Disk::Unsynced)?;
    eprintln!("PostgreSQL runs as {}", cluster.runs_as);
    // `--all-targets` resolves features as `cargo test` does, so that nothing is built twice and the
    // binary that the black-box tests start is the one just built.
    // The black-box suite runs a second time, with vaults in PostgreSQL; the store's own runs on both at once.
    let steps: [(&[&str], &str); 3] = [
        (&["build", "--workspace", "--all-targets", "--locked"], ""),
        (&["test", "--workspace", "--locked", "--no-fail-fast"], "sqlite"),
        (&["test", "--workspace", "--locked", "--no-fail-fast", "--test", "blackbox"], "postgres"),
    ];
    for (step, engine) in steps {
        let mut cargo = process::cargo(step);
        cargo.current_dir(repo::root());
        if !engine.is_empty() {
            eprintln!("vaults in {engine}");
            cargo.args(&filters).env(ENGINE_VARIABLE, engine);
        }
        cargo.env(postgres::VARIABLE, cluster.socket());
        // Most tests wait for a server, and it for a disk: one more than there are cores keeps these busy.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cargo.env("RUST_TEST_THREADS", (cores + 1).to_string());
        if full {
            cargo.env(FULL_VARIABLE, "1");
        }
        if !process::succeeds(&mut cargo)? {
            return Ok(ExitCode::from(process::EXIT_NO));
        }
    }
    if full { in_buckets(&cluster) } else { Ok(ExitCode::SUCCESS) }
}

/// What touches sealed objects once more, with these in a bucket of a server that somebody else wrote.
fn in_buckets(cluster: &Cluster) -> anyhow::Result<ExitCode> {
    let tools = repo::root().join("target/tools");
    let mut install = process::cargo(&["install", "s3s-fs", "--version", S3_SERVER, "--locked"]);
    install.args(["--features", "binary", "--root"]).arg(&tools);
    if !process::succeeds(&mut install)? {
        return Ok(ExitCode::from(process::EXIT_NO));
    }
    eprintln!("objects in a bucket");
    let mut cargo = process::cargo(&["test", "--workspace", "--locked", "--test", "blackbox"]);
    cargo.current_dir(repo::root()).args(["--", "files", "export"]);
    cargo.env(postgres::VARIABLE, cluster.socket()).env(S3_VARIABLE, tools.join("bin/s3s-fs"));
    let passed = process::succeeds(&mut cargo)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(process::EXIT_NO) })
}

fn missing_referees(is_present: impl Fn(&Referee) -> bool) -> Vec<String> {
    let missing = REFEREES.iter().filter(|referee| !is_present(referee));
    missing
        .map(|r| {
            format!("optional, not installed: {} ({}); to get it: {}", r.program, r.judges, r.get)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_referee_is_one_line_that_says_how_to_get_it() {
        let lines = missing_referees(|referee| referee.program != "minisign");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("minisign") && lines[0].contains("apt-get install minisign"));
        assert!(missing_referees(|_| true).is_empty());
    }

    #[test]
    fn an_unknown_option_is_refused_before_anything_is_built() {
        assert!(run(&["--fast".to_owned()]).is_err());
    }
}
