//! Relative links in documents resolve: the file exists, and where a heading is named, it has it.

use super::Report;
use crate::repo::{Repo, TextFile, has_extension};

pub(super) fn run(repo: &Repo) -> Report {
    Report::of(judge(repo))
}

fn judge(repo: &Repo) -> Vec<String> {
    let mut faults = Vec::new();
    for file in repo.with_extension("md") {
        for (number, line) in prose_lines(file) {
            for target in targets(line) {
                if let Some(reason) = broken(repo, file, target) {
                    faults.push(format!("{}:{number}: {target}: {reason}", file.path));
                }
            }
        }
    }
    faults
}

/// Why a target does not resolve; `None` if it does, or if it is not relative.
fn broken(repo: &Repo, file: &TextFile, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let resolved = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
    if !resolved.is_empty() && !repo.exists(&resolved) {
        return Some("no such file");
    }
    if heading.is_empty() || !has_extension(&resolved, "md") {
        return None;
    }
    let wanted = repo.files.iter().find(|other| other.path == resolved)?;
    let mut headings = prose_lines(wanted).filter(|(_, line)| line.starts_with('#'));
    let found = headings.any(|(_, line)| anchor(line) == heading)
        || wanted.text.contains(&format!("id=\"{heading}\""));
    (!found).then_some("no such heading")
}

/// The path of `link` as seen from the document at `from`; a leading `/` is the root of the tree.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The targets of inline links and images in one line, titles cut off.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let inside = rest.split(')').next()?;
        inside.split_whitespace().next()
    })
}

/// The anchor a heading gets: lower case, spaces to dashes, other punctuation dropped.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Lines outside fenced code, with their numbers from 1.
fn prose_lines(file: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_broken_links_are_found_with_their_line() {
        let repo = Repo::of(&[
            ("README.md", "# A\n[ok](docs/B.md) [no](docs/C.md)\n[no](docs/B.md#gone)\n"),
            ("docs/B.md", "# The second: part\n[up](../README.md#a \"title\") [no](README.md)\n"),
        ]);
        assert_eq!(
            judge(&repo),
            [
                "README.md:2: docs/C.md: no such file",
                "README.md:3: docs/B.md#gone: no such heading",
                "docs/B.md:2: README.md: no such file",
            ]
        );
    }

    #[test]
    fn resolving_links_folders_headings_and_the_outside_pass() {
        let repo = Repo::of(&[
            (
                "README.md",
                "[a](docs/B.md#the-second-part) [b](docs/) [c](#own) [d](https://x.y/z)\n# Own\n",
            ),
            (
                "docs/B.md",
                "# The second: part\n```\n[code](is/not/a/link)\n```\n[root](/README.md)\n",
            ),
        ]);
        assert_eq!(judge(&repo), [""; 0]);
    }
}
