//! The image: two stages, the second without a toolchain and without root, the port the
//! configuration defaults to, a health check, and the one binary.

use super::Report;
use crate::repo::Repo;

const DOCKERFILE: &str = "Dockerfile";
const BINARY: &str = "leadvault";
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
    let port = find("EXPOSE").map_or("", |step| step.rest.trim_end_matches("/tcp"));
    fault(is_default_port(repo, port), "EXPOSE must be the port that `listen` defaults to");
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

    const GOOD: &str = "FROM rust:1 AS build\nRUN cargo build \\\n  --release\n\
        FROM debian:12\nCOPY --from=build --chmod=0755 /src/target/release/leadvault /usr/local/bin/\n\
        USER 10001:10001\nVOLUME [\"/var/lib/leadvault\"]\nEXPOSE 8620\n\
        HEALTHCHECK CMD [\"leadvault\", \"health\"]\nENTRYPOINT [\"leadvault\"]\n";

    fn faults(dockerfile: &str) -> Vec<String> {
        let config = "const PORT: u16 = 8_620;\n";
        judge(&Repo::of(&[("Dockerfile", dockerfile), ("crates/leadvault/src/config.rs", config)]))
    }

    #[test]
    fn the_good_one_passes() {
        assert_eq!(faults(GOOD), [""; 0]);
    }

    #[test]
    fn each_planted_fault_is_found_alone() {
        for (good, bad) in [
            ("FROM rust:1 AS build", "FROM rust:1 AS build\nFROM x AS y"),
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
