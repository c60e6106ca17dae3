//! docs/ERRORS.md lists every code that leaves the house, says what to do, and lists no other.
//!
//! The codes are read from the places that define them ([`registry`]). In the document a code has a row
//! ``| <a id="…"></a>`code` | … |`` whose cells all say something; a section with a paragraph that begins
//! "Not built yet" announces codes that must not be in the sources yet.

use std::collections::BTreeSet;

use super::Report;
use crate::repo::Repo;

const DOCUMENTS: [&str; 2] = ["docs/ERRORS.md", "crates/api/assets/errors.md"];
const PROBLEMS: &str = "crates/api/src/problem.rs";
const VOCABULARY: &str = "crates/domain/src/vocabulary.rs";
const ROWS: &str = "crates/vault/src/import/code.rs";
/// Functions of the mapping that take a code, with the arguments before it.
const SHAPES: [(&str, usize); 6] = [
    ("bad(", 0),
    ("conflict(", 0),
    ("gone(", 0),
    ("invalid(", 0),
    ("unavailable(", 0),
    ("shape_of(", 1),
];
/// Constructors that take a place and the code of what is wrong there.
const PLACES: [&str; 3] = ["Pointed::new(", "Fault::invalid(", "Fault::bad("];

pub(super) fn run(repo: &Repo) -> Report {
    let codes = registry(repo);
    let (listed, announced, mut faults) = listed(repo);
    for code in codes.difference(&listed) {
        faults.push(format!(
            "{}: `{code}` has no row: say when it comes and what to do, below the heading it belongs to",
            DOCUMENTS[0]
        ));
    }
    for code in listed.difference(&codes) {
        faults.push(format!("{}: no source has `{code}`: remove its row", DOCUMENTS[0]));
    }
    for code in announced.intersection(&codes) {
        faults.push(format!("{}: `{code}` is built: move its row", DOCUMENTS[0]));
    }
    Report { faults, notes: vec![format!("{} codes, {} announced", codes.len(), announced.len())] }
}

/// Every code of the sources.
fn registry(repo: &Repo) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    if let Some(text) = product(repo, PROBLEMS) {
        for (function, before) in SHAPES {
            codes.extend(
                arguments(text, function).into_iter().filter_map(|a| literal(a.get(before)?)),
            );
        }
    }
    if let Some(text) = block(product(repo, VOCABULARY), "DecisionCode {", "\n    }") {
        codes.extend(literals(text).filter(|code| *code != "ALLOW").map(str::to_owned));
    }
    if let Some(text) = block(product(repo, ROWS), "impl RowCode {", "\n}") {
        codes.extend(literals(text).map(str::to_owned));
    }
    for file in repo.rust_under(&["crates/vault/src/", "crates/api/src/", "crates/leadvault/src/"])
    {
        let text = file.product_text();
        for function in PLACES {
            codes.extend(arguments(text, function).into_iter().filter_map(|a| literal(a.get(1)?)));
        }
        for (at, _) in text.match_indices("Refused {") {
            let rest = text.get(at..).unwrap_or_default();
            let inside = rest.split('}').next().unwrap_or_default();
            codes.extend(inside.split_once("code: ").and_then(|(_, value)| literal(value)));
        }
    }
    for file in repo.rust_under(&["crates/policy/src/"]) {
        let warnings = literals(file.product_text()).filter(|text| text.starts_with("W_"));
        codes.extend(warnings.map(str::to_owned));
    }
    codes
}

fn product<'a>(repo: &'a Repo, path: &str) -> Option<&'a str> {
    repo.files.iter().find(|file| file.path == path).map(super::super::repo::TextFile::product_text)
}

/// What stands between the first `from` and the next `to`.
fn block<'a>(text: Option<&'a str>, from: &str, to: &str) -> Option<&'a str> {
    text?.split_once(from)?.1.split(to).next()
}

/// The arguments of each call of a function.
fn arguments<'a>(text: &'a str, function: &str) -> Vec<Vec<&'a str>> {
    let of = |at: usize| {
        let rest = text.get(at + function.len()..).unwrap_or_default();
        let (mut depth, mut from, mut parts) = (0_u32, 0, Vec::new());
        for (at, c) in rest.char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => {
                    parts.push(rest.get(from..at).unwrap_or_default());
                    break;
                }
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(rest.get(from..at).unwrap_or_default());
                    from = at + 1;
                }
                _ => {}
            }
        }
        parts
    };
    let whole = |at: &usize| {
        let before = text.get(..*at).and_then(|text| text.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
    };
    text.match_indices(function).map(|(at, _)| at).filter(whole).map(of).collect()
}

/// The text of an argument that is a string literal in the form of a code.
fn literal(argument: &str) -> Option<String> {
    let text = argument.trim().strip_prefix('"')?.split('"').next()?;
    is_code(text).then(|| text.to_owned())
}

fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2).filter(|text| is_code(text))
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The codes of the documents: those in use, those announced, and rows that say too little.
fn listed(repo: &Repo) -> (BTreeSet<String>, BTreeSet<String>, Vec<String>) {
    let (mut listed, mut announced, mut faults) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for path in DOCUMENTS {
        let mut later = false;
        for (at, line) in repo.text(path).unwrap_or_default().lines().enumerate() {
            later = !line.starts_with('#') && (later || line.starts_with("Not built yet"));
            let Some(code) = code_of(line) else { continue };
            let cells: Vec<&str> =
                line.trim().trim_matches('|').split('|').map(str::trim).collect();
            if cells.iter().any(|cell| cell.is_empty()) {
                faults.push(format!("{path}:{}: `{code}`: a cell says nothing", at + 1));
            }
            let to = if later { &mut announced } else { &mut listed };
            to.insert(code.to_owned());
        }
    }
    (listed, announced, faults)
}

fn code_of(line: &str) -> Option<&str> {
    let after = line.strip_prefix("| <a id=\"")?.split_once("</a>`")?.1;
    after.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = "match f { F::A(_) => bad(\"bad_request\", \"Text\"),\n\
        F::B => shape_of(403, \"role_insufficient\", \"Text\"), F::C => invalid(\n    \"invalid\", \"T\") }\n\
        const fn bad(code: &'static str, title: &'static str) -> Shape {}\n\
        \n#[cfg(test)]\nmod tests { fn x() { bad(\"not_this\", \"x\") } }\n";
    const WORDS: &str = "vocabulary! {\n    DecisionCode {\n        Allow = \"ALLOW\", A = \"DENY_A\",\n    }\n\
        Other { X = \"x\" }\n}\n";
    const ROW_CODES: &str = "impl RowCode {\n    fn a() { \"minor\" }\n}\nimpl X { \"other\" }\n";
    const USES: &str = "fn a() { Fault::invalid(format!(\"#/{x}, {y}\"), \"length\"); Pointed::new(p, code); \n\
        StartError::Refused {\n  code: \"old_slot\", detail: d } }\n";
    const GOOD: &str = "# Errors\n## A\n\
        | <a id=\"bad_request\"></a>`bad_request` | 400 | x |\n| <a id=\"r\"></a>`role_insufficient` | 4 | x |\n\
        | <a id=\"i\"></a>`invalid` | 4 | x |\n| <a id=\"d\"></a>`DENY_A` | 4 | x |\n\
        | <a id=\"m\"></a>`minor` | 4 | x |\n| <a id=\"l\"></a>`length` | 4 | x |\n\
        | <a id=\"o\"></a>`old_slot` | 4 | x |\n| <a id=\"w\"></a>`W_DUE` | 4 | x |\n\
        ## B\n\nNot built yet: the engine.\n\n| <a id=\"z\"></a>`DENY_Z` | x | x |\n";

    fn faults(document: &str) -> Vec<String> {
        run(&Repo::of(&[
            (PROBLEMS, PROBLEM),
            (VOCABULARY, WORDS),
            (ROWS, ROW_CODES),
            ("crates/vault/src/a.rs", USES),
            ("crates/policy/src/verdict.rs", "fn w() { \"W_DUE\" }\n"),
            (DOCUMENTS[0], document),
        ]))
        .faults
    }

    #[test]
    fn a_page_with_every_code_and_no_other_passes() {
        assert_eq!(faults(GOOD), [""; 0]);
    }

    #[test]
    fn a_missing_an_invented_an_empty_and_a_built_code_are_found() {
        for code in [
            "bad_request",
            "role_insufficient",
            "invalid",
            "DENY_A",
            "minor",
            "length",
            "old_slot",
            "W_DUE",
        ] {
            let without: String = GOOD
                .lines()
                .filter(|l| !l.contains(&format!("`{code}`")))
                .flat_map(|l| [l, "\n"])
                .collect();
            assert_eq!(faults(&without).len(), 1, "{code}");
        }
        let invented = GOOD.replace("## B\n", "| <a id=\"q\"></a>`no_such` | 4 | x |\n## B\n");
        assert!(faults(&invented)[0].contains("no source has `no_such`"));
        assert!(
            faults(&GOOD.replace("`minor` | 4 | x |", "`minor` | 4 | |"))[0]
                .contains("says nothing")
        );
        let built = GOOD.replace("`DENY_Z`", "`DENY_A`");
        assert!(faults(&built).iter().any(|f| f.contains("`DENY_A` is built")));
    }
}
