//! The edges of the house: which crate may depend on which, and who may use which library.
//!
//! The list is explicit. An edge that is not in it fails even if it compiles; a new crate fails until
//! it has a line here. Development dependencies are not edges: a test may ask any referee.

use super::Report;
use crate::graph::Graph;
use crate::repo::Repo;

/// Each crate of the workspace and the crates of the workspace it may name.
const HOUSE: &[(&str, &[&str])] = &[
    ("leadvault-domain", &[]),
    ("leadvault-policy", &["leadvault-domain"]),
    ("leadvault-crypto", &["leadvault-domain"]),
    ("leadvault-ledger", &["leadvault-crypto", "leadvault-domain"]),
    ("leadvault-keys", &["leadvault-crypto", "leadvault-ledger", "leadvault-domain"]),
    ("leadvault-kms", &["leadvault-keys", "leadvault-crypto", "leadvault-domain"]),
    ("leadvault-store", &["leadvault-ledger", "leadvault-keys", "leadvault-domain"]),
    (
        "leadvault-vault",
        &[
            "leadvault-policy",
            "leadvault-ledger",
            "leadvault-keys",
            "leadvault-kms",
            "leadvault-store",
            "leadvault-crypto",
            "leadvault-domain",
        ],
    ),
    ("leadvault-api", &["leadvault-vault", "leadvault-policy", "leadvault-domain"]),
    (
        "leadvault",
        &[
            "leadvault-api",
            "leadvault-vault",
            "leadvault-store",
            "leadvault-kms",
            "leadvault-keys",
            "leadvault-ledger",
            "leadvault-crypto",
            "leadvault-policy",
            "leadvault-domain",
        ],
    ),
    // The black-box tests see the outside, and what an outsider may link to verify it.
    (
        "leadvault-tests",
        &["leadvault-crypto", "leadvault-ledger", "leadvault-domain", "leadvault-test-postgres"],
    ),
    ("leadvault-test-postgres", &[]),
    ("xtask", &["leadvault-crypto", "leadvault-ledger", "leadvault-domain"]),
    // The benchmark composes a server beside the product's and compares it with plain SQL. Nothing may
    // depend on it.
    (
        "leadvault-bench",
        &[
            "leadvault-api",
            "leadvault-vault",
            "leadvault-store",
            "leadvault-kms",
            "leadvault-keys",
            "leadvault-ledger",
            "leadvault-crypto",
            "leadvault-domain",
            "leadvault-test-postgres",
        ],
    ),
];

/// Libraries that only some crates may use, because a rule of the house rests on it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("ring", &["leadvault-crypto"]),
    ("sqlx", &["leadvault-store", "leadvault-bench"]),
    ("axum", &["leadvault-api", "leadvault-bench"]),
    ("axum-server", &["leadvault"]),
    ("clap", &["leadvault"]),
    ("object_store", &["leadvault-store"]),
    // What is measured is said in words of the house; one room passes it on.
    ("opentelemetry", &["leadvault"]),
    ("opentelemetry-appender-tracing", &["leadvault"]),
    ("opentelemetry-http", &["leadvault"]),
    ("opentelemetry_sdk", &["leadvault"]),
    ("opentelemetry-otlp", &["leadvault"]),
    ("opentelemetry-prometheus", &["leadvault"]),
    ("prometheus", &["leadvault"]),
    ("tracing-opentelemetry", &["leadvault"]),
    // The store for the TLS of object_store alone: `names` holds that its code never says so.
    ("reqwest", &["leadvault", "leadvault-store", "leadvault-tests"]),
];

pub(super) fn run(_: &Repo) -> anyhow::Result<Report> {
    Ok(Report::of(judge(&Graph::load()?)))
}

fn judge(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    let members: Vec<_> = graph.packages.iter().filter(|package| package.is_member).collect();
    for package in &members {
        let Some((_, allowed)) = HOUSE.iter().find(|(name, _)| *name == package.name) else {
            faults.push(format!("{}: a crate without a line in the list of edges", package.name));
            continue;
        };
        for dependency in &package.declared {
            let inside = members.iter().any(|member| member.name == *dependency);
            if inside && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{} -> {dependency}: not an edge of the house", package.name));
            }
            let library = LIBRARIES.iter().find(|(name, _)| name == dependency);
            if let Some((name, users)) = library
                && !users.contains(&package.name.as_str())
            {
                faults.push(format!("{} -> {name}: only {}", package.name, users.join(", ")));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::graph::fake::{graph, member, outside};

    #[test]
    fn allowed_edges_pass() {
        let graph = graph(&[
            member("leadvault-domain", &[]),
            member("leadvault-crypto", &["leadvault-domain", "ring"]),
            outside("ring", "0.17.14", "Apache-2.0"),
        ]);
        assert!(judge(&graph).is_empty());
    }

    #[test]
    fn a_planted_upward_edge_fails() {
        let graph = graph(&[
            member("leadvault-domain", &["leadvault-store"]),
            member("leadvault-store", &[]),
        ]);
        assert_eq!(
            judge(&graph),
            ["leadvault-domain -> leadvault-store: not an edge of the house"]
        );
    }

    #[test]
    fn a_planted_library_outside_its_crate_fails_and_as_a_referee_of_tests_does_not() {
        let mut tests = member("leadvault-policy", &["sqlx"]);
        tests.dependencies.push(("axum", "dev".into()));
        let graph =
            graph(&[tests, outside("sqlx", "0.9.0", "MIT"), outside("axum", "0.8.9", "MIT")]);
        assert_eq!(
            judge(&graph),
            ["leadvault-policy -> sqlx: only leadvault-store, leadvault-bench"]
        );
    }

    #[test]
    fn a_crate_that_is_not_listed_fails() {
        let faults = judge(&graph(&[member("leadvault-helpers", &[])]));
        assert!(faults[0].contains("leadvault-helpers"), "{faults:?}");
    }
}
