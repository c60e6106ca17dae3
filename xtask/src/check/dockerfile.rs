//! The image: two stages on one release, the second without a toolchain and without root, the port the
//! configuration defaults to, a health check, and the one binary; and that what the build reads reaches it.

use super::Report;
use crate::repo::Repo;

const DOCKERFILE: &str = "Dockerfile";
const BINARY: &str = "leadvault";
const IGNORE: &str = ".dockerignore";
const OPERATIONS: &str = "docs/OPERATIONS.md";
/// Folders and files without which the workspace does not build.
const BUILT_FROM: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", ".cargo", "crates", "migrations", "tests", "xtask", "docs"];
/// Where the default of `listen` is written.
const BINARY_SOURCES: &str = "crates/leadvault/src/";
const DATA: &str = "/var/lib/leadvault";

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

/// One instruction, continuation lines joined: its word in upper case and the rest.
struct Step {
    word: String,
    rest: String,
}

fn judge(repo: &Repo) -> Vec<String> {
    let Some(text) = repo.text(DOCKERFILE) else { return vec!["there is no Dockerfile".into()] };
    let steps = parse(text);
    let mut faults = Vec::new();
    let mut fault = |holds: bool, sentence: &str| {
        if !holds {
            faults.push(format!("{DOCKERFILE}: {sentence}"));
        }
    };
    let stages: Vec<&Step> = steps.iter().filter(|step| step.word == "FROM").collect();
    fault(stages.len() == 2, "must have exactly two stages");
    let last_from = steps.iter().rposition(|step| step.word == "FROM").unwrap_or(0);
    let last: &[Step] = steps.get(last_from..).unwrap_or_default();
    let first_name = stages.first().and_then(|step| step.rest.split_whitespace().nth(2));
    let find = |word: &str| last.iter().rev().find(|step| step.word == word);

    let user = find("USER").map_or("", |step| step.rest.split(':').next().unwrap_or_default());
    fault(!user.is_empty() && user != "root" && user != "0", "must end as a user who is not root");
    fault(find("HEALTHCHECK").is_some_and(|step| step.rest != "NONE"), "needs a HEALTHCHECK");
    fault(find("VOLUME").is_some_and(|step| step.rest.contains(DATA)), "needs the data VOLUME");
    let runs = |step: &Step| {
        step.rest.contains(&format!("\"{BINARY}\"")) || step.rest.contains(&format!("/{BINARY}\""))
    };
    fault(find("ENTRYPOINT").is_some_and(runs), "ENTRYPOINT must be the binary");
    let copies = last.iter().any(|step| {
        let from = first_name.is_some_and(|name| step.rest.contains(&format!("--from={name} ")));
        let source = step.rest.split_whitespace().rev().nth(1).unwrap_or_default();
        step.word == "COPY" && from && source.ends_with(&format!("/release/{BINARY}"))
    });
    fault(copies, "must copy the release binary from the first stage");
    let certificates = |step: &Step| step.word == "COPY" && step.rest.contains("/etc/ssl/certs/");
    fault(last.iter().any(certificates), "must copy the certificates that clients check by");
    fault(is_toolchain(repo, stages.first()), "must build with `rust-version` of Cargo.toml");
    let release = |step: Option<&&Step>| step.map(|s| s.rest.contains("${DEBIAN}"));
    let one = release(stages.first()) == Some(true) && release(stages.get(1)) == Some(true);
    fault(one, "both stages must stand on the release that ARG DEBIAN names");
    let installs = steps.iter().any(|step| step.word == "RUN" && step.rest.contains("apt-get"));
    fault(!installs, "installs packages: name versions, or copy what is needed from the build");
    let port = find("EXPOSE").map_or("", |step| step.rest.trim_end_matches("/tcp"));
    fault(is_default_port(repo, port), "EXPOSE must be the port that `listen` defaults to");
    faults.extend(context_faults(repo));
    faults
}

/// Whether the first stage is the official image of the toolchain the workspace asks for.
fn is_toolchain(repo: &Repo, stage: Option<&&Step>) -> bool {
    let manifest = repo.text("Cargo.toml").unwrap_or_default();
    let asked = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let asked = asked.map(|version| format!("rust:{}-", version.trim_matches('"')));
    asked.is_some_and(|image| stage.is_some_and(|step| step.rest.starts_with(&image)))
}

/// What keeps the build from its sources, or the operator from the flags the image is made for.
fn context_faults(repo: &Repo) -> Vec<String> {
    let ignore = repo.text(IGNORE).unwrap_or_default();
    let missing = |path: &&&str| !ignore.lines().any(|line| line.trim() == format!("!{path}"));
    let mut faults: Vec<String> = BUILT_FROM
        .iter()
        .filter(missing)
        .map(|path| format!("{IGNORE}: `!{path}` is missing: the build reads it"))
        .collect();
    let operations = repo.text(OPERATIONS).unwrap_or_default();
    for flag in ["--read-only", "--cap-drop ALL"] {
        if !operations.contains(flag) {
            faults.push(format!(
                "{OPERATIONS}: the image is run with {flag}, and it does not say so"
            ));
        }
    }
    faults
}

/// Whether the binary's sources name this port as a number of its own.
fn is_default_port(repo: &Repo, port: &str) -> bool {
    let ends = |side: Option<char>| side.is_none_or(|c| !c.is_alphanumeric());
    !port.is_empty()
        && repo.rust_under(&[BINARY_SOURCES]).any(|file| {
            let plain = file.text.replace('_', "");
            plain.match_indices(port).any(|(at, _)| {
                let before = plain.get(..at).and_then(|text| text.chars().next_back());
                let after = plain.get(at + port.len()..).and_then(|text| text.chars().next());
                ends(before) && ends(after)
            })
        })
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pending = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            pending.push_str(part);
            continue;
        }
        pending.push_str(line);
        let whole = std::mem::take(&mut pending);
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        steps.push(Step { word: word.to_uppercase(), rest: rest.trim().to_owned() });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "ARG DEBIAN=x\nFROM rust:1.9-${DEBIAN} AS build\nRUN cargo build \\\n  --release\n\
        FROM debian:${DEBIAN}-slim\nCOPY --from=build /etc/ssl/certs/c /etc/ssl/certs/c\nCOPY --from=build --chmod=0755 /src/target/release/leadvault /usr/local/bin/\n\
        USER 10001:10001\nVOLUME [\"/var/lib/leadvault\"]\nEXPOSE 8620\n\
        HEALTHCHECK CMD [\"leadvault\", \"health\"]\nENTRYPOINT [\"leadvault\"]\n";

    fn faults(dockerfile: &str) -> Vec<String> {
        let config = "const PORT: u16 = 8_620;\n";
        let ignore = BUILT_FROM.map(|path| format!("!{path}\n")).concat();
        judge(&Repo::of(&[
            ("Dockerfile", dockerfile),
            ("crates/leadvault/src/config.rs", config),
            ("Cargo.toml", "rust-version = \"1.9\"\n"),
            (IGNORE, &ignore),
            (OPERATIONS, "docker run --read-only --cap-drop ALL"),
        ]))
    }

    #[test]
    fn what_the_build_reads_and_how_the_image_is_run_is_looked_at() {
        let repo = Repo::of(&[(IGNORE, "**\n!crates\n"), (OPERATIONS, "docker run --read-only")]);
        // All folders but one, and one flag.
        assert_eq!(context_faults(&repo).len(), BUILT_FROM.len());
    }

    #[test]
    fn the_good_one_passes() {
        assert_eq!(faults(GOOD), [""; 0]);
    }

    #[test]
    fn each_planted_fault_is_found_alone() {
        for (good, bad) in [
            ("--release\n", "--release\nFROM x-${DEBIAN} AS y\n"),
            ("rust:1.9-", "rust:1.8-"),
            ("debian:${DEBIAN}-slim", "debian:latest"),
            ("COPY --from=build /etc/ssl/certs/c /etc/ssl/certs/c\n", ""),
            ("--release\n", "--release && apt-get install x\n"),
            ("USER 10001:10001", "USER root"),
            ("USER 10001:10001", "USER 0:0"),
            ("USER 10001:10001", ""),
            ("EXPOSE 8620", "EXPOSE 862"),
            ("HEALTHCHECK CMD [\"leadvault\", \"health\"]", "HEALTHCHECK NONE"),
            ("VOLUME [\"/var/lib/leadvault\"]", ""),
            ("release/leadvault ", "release/xtask "),
            ("--from=build ", ""),
            ("ENTRYPOINT [\"leadvault\"]", "ENTRYPOINT [\"sh\"]"),
        ] {
            assert!(GOOD.contains(good));
            assert_eq!(faults(&GOOD.replace(good, bad)).len(), 1, "{bad}");
        }
    }
}
