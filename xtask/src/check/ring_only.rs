//! One cryptographic library ships: ring. `cargo tree` is asked for each other one by name, because
//! it resolves the features of the binary alone, without those that tests switch on.

use anyhow::Context as _;

use super::Report;
use crate::process;
use crate::repo::{Repo, root};

/// Libraries that other parts of the ecosystem pull in by default.
const OTHERS: &[&str] =
    &["aws-lc-sys", "aws-lc-rs", "aws-lc-fips-sys", "openssl-sys", "native-tls"];

pub(super) fn run(_: &Repo) -> anyhow::Result<Report> {
    let mut faults = Vec::new();
    for other in OTHERS {
        let arguments = [
            "tree",
            "--locked",
            "--package",
            "leadvault",
            "--edges",
            "normal,build",
            "--invert",
            other,
        ];
        let output =
            process::cargo(&arguments).current_dir(root()).output().context("cargo tree")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        faults.extend(judge(other, output.status.success(), &stdout, &stderr));
    }
    Ok(Report::of(faults))
}

/// Absent means: cargo does not know the package, or knows it and finds no way from the binary.
fn judge(other: &str, success: bool, stdout: &str, stderr: &str) -> Option<String> {
    let unknown = !success && stderr.contains("did not match any packages");
    let unused = success && stdout.trim().is_empty();
    if unknown || unused {
        return None;
    }
    let detail = if success { stdout } else { stderr };
    Some(format!("{other} ships: {}", detail.lines().take(3).collect::<Vec<_>>().join(" / ")))
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn a_library_that_cargo_does_not_know_or_does_not_reach_is_absent() {
        let unknown = "error: package ID specification `x` did not match any packages";
        assert_eq!(judge("x", false, "", unknown), None);
        assert_eq!(judge("x", true, "", "warning: nothing to print."), None);
    }

    #[test]
    fn a_planted_path_to_the_library_fails_and_so_does_an_answer_that_is_none() {
        let tree = "aws-lc-sys v0.1.0\n└── rustls v0.23.0\n    └── leadvault v0.1.0\n";
        assert!(judge("aws-lc-sys", true, tree, "").is_some_and(|f| f.contains("rustls")));
        assert!(judge("x", false, "", "error: the lock file needs to be updated").is_some());
    }
}
