//! The dependency graph, reduced from `cargo metadata` to what the checks ask about.

use std::collections::BTreeSet;

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The platform whose graph is judged: the one the image is built for. Fixed, so that every
/// machine gets the same answer.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// One package of the graph.
#[derive(Debug)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// `None` for a package of this workspace or another path.
    pub(crate) source: Option<String>,
    pub(crate) is_member: bool,
    /// Names of declared dependencies, normal and build, optional ones included.
    pub(crate) declared: BTreeSet<String>,
    /// Ids of resolved dependencies, normal and build.
    resolved: BTreeSet<String>,
}

/// All packages.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
}

impl Graph {
    /// Asks cargo.
    ///
    /// # Errors
    /// cargo fails, for example because Cargo.lock is not up to date.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut command = MetadataCommand::new();
        command.manifest_path(crate::repo::root().join("Cargo.toml"));
        command.other_options(["--locked", "--filter-platform", TARGET].map(String::from));
        Ok(Self::from_metadata(&command.exec().context("cargo metadata")?))
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        let nodes = metadata.resolve.as_ref().map_or(&[][..], |resolve| &resolve.nodes);
        let packages = metadata.packages.iter().map(|package| {
            let resolved = nodes.iter().filter(|node| node.id == package.id).flat_map(|node| {
                node.deps.iter().filter_map(|dependency| {
                    let counts = dependency.dep_kinds.iter().any(|kind| ships(kind.kind));
                    counts.then(|| dependency.pkg.repr.clone())
                })
            });
            Package {
                id: package.id.repr.clone(),
                name: package.name.to_string(),
                version: package.version.to_string(),
                licence: package.license.clone(),
                source: package.source.as_ref().map(|source| source.repr.clone()),
                is_member: metadata.workspace_members.contains(&package.id),
                declared: package
                    .dependencies
                    .iter()
                    .filter(|dependency| ships(dependency.kind))
                    .map(|dependency| dependency.name.clone())
                    .collect(),
                resolved: resolved.collect(),
            }
        });
        Self { packages: packages.collect() }
    }

    /// Everything that is linked into, or runs to build, the package `root`: itself included,
    /// development dependencies not.
    pub(crate) fn shipped_with(&self, root: &str) -> Vec<&Package> {
        let mut found: Vec<&Package> =
            self.packages.iter().filter(|p| p.is_member && p.name == root).collect();
        let mut seen: BTreeSet<&str> = found.iter().map(|p| p.id.as_str()).collect();
        let mut next = 0;
        while let Some(package) = found.get(next).copied() {
            next += 1;
            for id in &package.resolved {
                if seen.insert(id) {
                    found.extend(self.packages.iter().find(|p| &p.id == id));
                }
            }
        }
        found
    }
}

fn ships(kind: DependencyKind) -> bool {
    matches!(kind, DependencyKind::Normal | DependencyKind::Build)
}

/// A graph written by a test, through the same JSON that cargo prints.
#[cfg(test)]
pub(crate) mod fake {
    use serde_json::{Value, json};

    use super::Graph;

    /// A package of a fake graph: name, version, licence, from the registry or not, dependencies
    /// as (name, kind) where the kind is `null`, `"build"` or `"dev"`.
    pub(crate) struct Fake {
        pub(crate) name: &'static str,
        pub(crate) version: &'static str,
        pub(crate) licence: Option<&'static str>,
        pub(crate) source: Option<&'static str>,
        pub(crate) dependencies: Vec<(&'static str, Value)>,
    }

    pub(crate) const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    /// A package of the workspace with normal dependencies.
    pub(crate) fn member(name: &'static str, dependencies: &[&'static str]) -> Fake {
        let dependencies = dependencies.iter().map(|name| (*name, Value::Null)).collect();
        Fake { name, version: "0.1.0", licence: Some("Apache-2.0"), source: None, dependencies }
    }

    /// A package of the registry.
    pub(crate) fn outside(
        name: &'static str,
        version: &'static str,
        licence: &'static str,
    ) -> Fake {
        let source = Some(REGISTRY);
        Fake { name, version, licence: Some(licence), source, dependencies: Vec::new() }
    }

    pub(crate) fn graph(fakes: &[Fake]) -> Graph {
        let id = |fake: &Fake| format!("{}@{}", fake.name, fake.version);
        let packages: Vec<Value> = fakes.iter().map(|fake| package(fake, &id(fake))).collect();
        let nodes: Vec<Value> = fakes
            .iter()
            .map(|fake| {
                let deps: Vec<Value> = fake
                    .dependencies
                    .iter()
                    .flat_map(|(name, kind)| {
                        fakes.iter().filter(|other| other.name == *name).map(move |other| {
                            json!({"name": name, "pkg": id(other),
                                   "dep_kinds": [{"kind": kind, "target": null}]})
                        })
                    })
                    .collect();
                json!({"id": id(fake), "dependencies": [], "deps": deps, "features": []})
            })
            .collect();
        let members: Vec<String> =
            fakes.iter().filter(|fake| fake.source.is_none()).map(id).collect();
        let metadata = json!({
            "packages": packages, "workspace_members": members, "version": 1,
            "workspace_default_members": [], "resolve": {"nodes": nodes, "root": null},
            "workspace_root": "/", "target_directory": "/target",
        });
        let metadata = serde_json::from_value(metadata).expect("the shape cargo prints");
        Graph::from_metadata(&metadata)
    }

    fn package(fake: &Fake, id: &str) -> Value {
        let dependencies: Vec<Value> = fake
            .dependencies
            .iter()
            .map(|(name, kind)| {
                json!({"name": name, "req": "*", "kind": kind, "optional": false,
                       "uses_default_features": true, "features": [], "target": null,
                       "source": null, "rename": null, "registry": null})
            })
            .collect();
        json!({
            "name": fake.name, "version": fake.version, "id": id, "source": fake.source,
            "license": fake.licence, "dependencies": dependencies, "targets": [],
            "features": {}, "manifest_path": "/Cargo.toml", "edition": "2024",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{graph, member, outside};

    #[test]
    fn development_dependencies_do_not_ship_and_build_dependencies_do() {
        let mut root = member("leadvault", &["a"]);
        root.dependencies.push(("referee", "dev".into()));
        root.dependencies.push(("generator", "build".into()));
        let graph = graph(&[
            root,
            outside("a", "1.0.0", "MIT"),
            outside("referee", "1.0.0", "MIT"),
            outside("generator", "1.0.0", "MIT"),
        ]);
        let mut names: Vec<_> =
            graph.shipped_with("leadvault").iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "generator", "leadvault"]);
    }
}
