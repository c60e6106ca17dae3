//! docs/API.md against the running server: the calls it shows work, the operations it lists are all there are.

use std::collections::BTreeSet;
use std::process::Command;

use leadvault_tests::kit::{Vault, run};

fn document() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/API.md");
    std::fs::read_to_string(file).expect("docs/API.md")
}

/// The blocks of shell commands, one after the other.
fn script(document: &str) -> String {
    let blocks = document.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

fn missing_tools() -> Vec<&'static str> {
    let found = |tool: &&str| Command::new(tool).arg("--version").output().is_ok();
    ["bash", "curl", "jq", "seq"].into_iter().filter(|tool| !found(tool)).collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "one line says what is missing")]
fn the_calls_of_the_document_work_as_they_stand_there() {
    let missing = missing_tools();
    if !missing.is_empty() {
        eprintln!("not found: {missing:?}: the calls of docs/API.md were not run");
        return;
    }
    let vault = Vault::start();
    let operator = std::fs::read_to_string(vault.data().join("operator.key")).expect("the key");
    let play = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]);
        bash.env("URL", vault.url()).env("OPERATOR", operator.trim());
        bash.output().expect("bash")
    };
    let script = script(&document());
    assert!(script.matches("$URL/v1/").count() > 15, "{script}");
    let output = play(&script);
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for shown in
        ["\"masked\":true", "\"ada@example.com\"", "DENY_", "lead.created", "ErasureReceipt"]
    {
        assert!(stdout.contains(shown), "no {shown} in {stdout}");
    }
    // The control: a call that is refused ends the script.
    assert!(!play(&script.replace("/v1/datasets", "/v1/nowhere")).status.success());
}

#[test]
fn every_operation_has_its_line() {
    let (_, openapi, _) = run(&["openapi"]);
    let mut operations = BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let document = document();
    let (_, list) = document.split_once("## Every operation").expect("the list");
    let listed: BTreeSet<String> = list
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    assert_eq!(operations, listed);
}
