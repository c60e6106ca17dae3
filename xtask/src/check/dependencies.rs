//! What ships, judged by `deny.toml`: licences, banned crates, sources, duplicates.
//!
//! `cargo deny check bans licenses sources` reads the same file and adds advisories; this needs no
//! tool that has to be installed. Only what is linked into the binary, or runs to build it, counts.

use std::collections::BTreeMap;

use anyhow::Context as _;
use toml::{Table, Value};

use super::Report;
use super::licence_expression::is_permitted;
use crate::graph::Graph;
use crate::repo::Repo;

const RULES: &str = "deny.toml";
const PRODUCT: &str = "leadvault";

pub(super) fn run(repo: &Repo) -> anyhow::Result<Report> {
    let rules: Table = repo.text(RULES).context(RULES)?.parse().context(RULES)?;
    let graph = Graph::load()?;
    let faults = judge(&graph, &rules)?;
    Ok(Report {
        faults,
        notes: vec![format!("{} packages ship", graph.shipped_with(PRODUCT).len())],
    })
}

fn judge(graph: &Graph, rules: &Table) -> anyhow::Result<Vec<String>> {
    let allowed = list(rules, "licenses", "allow")?;
    let banned = list(rules, "bans", "deny")?;
    let skipped = list(rules, "bans", "skip")?;
    let registries = list(rules, "sources", "allow-registry")?;
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in graph.shipped_with(PRODUCT) {
        let (name, version) = (package.name.as_str(), package.version.as_str());
        let licence = package.licence.as_deref().unwrap_or("(none)");
        if !is_permitted(licence, &allowed) {
            faults.push(format!("{name} {version}: licence {licence} is not on the list"));
        }
        if banned.contains(&name) {
            faults.push(format!("{name} {version}: banned"));
        }
        let registry = package.source.as_deref().map(|s| s.strip_prefix("registry+").unwrap_or(s));
        if !(package.is_member || registry.is_some_and(|r| registries.contains(&r))) {
            faults.push(format!("{name} {version}: comes from {}", registry.unwrap_or("a path")));
        }
        if !skipped.iter().any(|skip| is_version(skip, name, version)) {
            versions.entry(name).or_default().push(version);
        }
    }
    for (name, several) in versions.iter().filter(|(_, several)| several.len() > 1) {
        let several = several.join(", ");
        faults
            .push(format!("{name}: {several} both ship; if it must be, skip one with its reason"));
    }
    Ok(faults)
}

/// Whether `skip` (`name@1.2` or `name@1.2.3`) means this version.
fn is_version(skip: &str, name: &str, version: &str) -> bool {
    skip.split_once('@').is_some_and(|(skipped, prefix)| {
        let rest = version.strip_prefix(prefix);
        skipped == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// A list of the rules: plain strings, or tables whose `crate` is meant.
fn list<'a>(rules: &'a Table, section: &str, key: &str) -> anyhow::Result<Vec<&'a str>> {
    let values = rules.get(section).and_then(|s| s.get(key)).and_then(Value::as_array);
    let values = values.with_context(|| format!("{RULES}: [{section}] {key}"))?;
    let name = |value: &'a Value| value.as_str().or_else(|| value.get("crate")?.as_str());
    values.iter().map(|v| name(v).with_context(|| format!("{RULES}: [{section}] {key}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::fake::{Fake, graph, member, outside};

    const LIST: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "r" }]
        skip = [{ crate = "sha2@0.10", reason = "r" }]
        [sources]
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
    "#;

    fn faults(mut others: Vec<Fake>) -> Vec<String> {
        let names: Vec<&'static str> = others.iter().map(|fake| fake.name).collect();
        others.push(member("leadvault", &names));
        judge(&graph(&others), &LIST.parse().expect("rules")).expect("complete rules")
    }

    #[test]
    fn allowed_packages_pass_and_a_skipped_duplicate_too() {
        let others = vec![outside("sha2", "0.10.9", "MIT"), outside("sha2", "0.11.1", "MIT")];
        assert_eq!(faults(others), [""; 0]);
    }

    #[test]
    fn each_planted_fault_is_found() {
        let git = Fake { source: Some("git+https://host/x"), ..outside("x", "1.0.0", "MIT") };
        let unlicensed = Fake { licence: None, ..outside("y", "1.0.0", "") };
        for (planted, sentence) in [
            (vec![outside("a", "1.0.0", "GPL-3.0-only")], "a 1.0.0: licence GPL-3.0-only"),
            (vec![unlicensed], "y 1.0.0: licence (none)"),
            (vec![outside("openssl-sys", "0.9.0", "MIT")], "openssl-sys 0.9.0: banned"),
            (vec![git], "x 1.0.0: comes from git+https://host/x"),
            (vec![outside("b", "1.0.0", "MIT"), outside("b", "2.0.0", "MIT")], "b: 1.0.0, 2.0.0"),
        ] {
            let found = faults(planted);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(sentence), "{found:?}");
        }
    }

    #[test]
    fn a_version_prefix_ends_at_a_dot() {
        assert!(is_version("sha2@0.10", "sha2", "0.10.9") && is_version("a@1.0.0", "a", "1.0.0"));
        assert!(
            !is_version("sha2@0.1", "sha2", "0.10.9") && !is_version("sha@0.10", "sha2", "0.10.9")
        );
    }
}
