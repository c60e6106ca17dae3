//! The binary under test, run to its end; and waiting for what a server does behind its answers.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a kit of tests: what is unexpected fails the test"
)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The binary under test, beside the test binary's own directory. `cargo xtask test` builds it first.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("the test binary has a path");
    let profile = here.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let binary = profile.join("leadvault");
    assert!(binary.exists(), "build it first: cargo build -p leadvault");
    binary
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(binary()).args(args).output().expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = stdout.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last).unwrap_or(Value::Null);
    (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until `look` finds something. Fails the test after a time in which nothing honest takes so long.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("still not so: {what}");
}
