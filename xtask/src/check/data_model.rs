//! docs/DATA_MODEL.md lists every table and column of the migrations, each classified, and no other.
//!
//! The schema is read from the statements that build tables; one that this reader does not follow is a
//! fault and not a guess. In the document a table is a heading ```### `name` ```, a row of the table
//! below it names one or more columns in its first cell and says in the second what they are.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use crate::repo::Repo;

const DOCUMENT: &str = "docs/DATA_MODEL.md";
const MIGRATIONS: &str = "migrations/sqlite/";
/// Its tables and columns are among those of SQLite, but for what only SQLite needs.
const OTHER_MIGRATIONS: &str = "migrations/postgres/";
/// What a column can be; the document explains the words.
const KINDS: [&str; 5] = ["sealed", "wrapped", "tag", "keyed", "clear"];
/// Words that begin a constraint and not a column.
const CONSTRAINTS: [&str; 5] = ["PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT"];

type Tables = BTreeMap<String, BTreeSet<String>>;

pub(super) fn run(repo: &Repo) -> Report {
    let mut faults = Vec::new();
    let other = schema(repo, OTHER_MIGRATIONS, &mut faults);
    let schema = schema(repo, MIGRATIONS, &mut faults);
    let Some(document) = repo.text(DOCUMENT) else {
        return Report::of(vec![format!("{DOCUMENT}: there is no such document")]);
    };
    let listed = listed(document, &mut faults);
    compare(&schema, &listed, &mut faults);
    faults.extend(differences(&other, &listed));
    let columns: usize = schema.values().map(BTreeSet::len).sum();
    Report { faults, notes: vec![format!("{} tables, {columns} columns", schema.len())] }
}

fn compare(schema: &Tables, listed: &Tables, faults: &mut Vec<String>) {
    for (table, columns) in schema {
        let Some(known) = listed.get(table) else {
            faults.push(format!(
                "{DOCUMENT}: table `{table}` is new: add a heading ### `{table}` with what it is for, how long \
                 its rows stay, and each column as {}",
                KINDS.join(", ")
            ));
            continue;
        };
        for column in columns.difference(known) {
            faults.push(format!(
                "{DOCUMENT}: `{table}.{column}` is new: add a row below ### `{table}` that says whether it is {}, \
                 and what it tells a thief",
                KINDS.join(", ")
            ));
        }
        for column in known.difference(columns) {
            faults.push(format!("{DOCUMENT}: `{table}.{column}` is in no migration: remove it"));
        }
    }
    for table in listed.keys().filter(|table| !schema.contains_key(*table)) {
        faults.push(format!("{DOCUMENT}: `{table}` is in no migration: remove its section"));
    }
}

/// What the other engine has and the document does not classify.
fn differences(other: &Tables, listed: &Tables) -> Vec<String> {
    let nothing = BTreeSet::new();
    let unlisted = other.iter().flat_map(|(table, columns)| {
        let known = listed.get(table).unwrap_or(&nothing);
        let place = format!("{OTHER_MIGRATIONS}: `{table}");
        columns
            .difference(known)
            .map(move |column| format!("{place}.{column}` is not in {DOCUMENT}"))
    });
    unlisted.collect()
}

/// The tables of all migrations of an engine, in the order of their names.
fn schema(repo: &Repo, migrations: &str, faults: &mut Vec<String>) -> Tables {
    let mut files: Vec<_> =
        repo.with_extension("sql").filter(|file| file.path.starts_with(migrations)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut tables = Tables::new();
    for file in files {
        let text: String = file.text.lines().map(without_comment).collect::<Vec<_>>().join(" ");
        for statement in text.split(';') {
            if apply(&mut tables, statement.trim()).is_none() {
                let begin: String = statement.trim().chars().take(50).collect();
                faults.push(format!("{}: cannot follow: {begin}", file.path));
            }
        }
    }
    tables
}

fn without_comment(line: &str) -> &str {
    line.split("--").next().unwrap_or_default()
}

/// Applies one statement; `None` if it changes a table in a way that is not known here.
fn apply(tables: &mut Tables, statement: &str) -> Option<()> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    match upper.as_slice() {
        ["CREATE", "TABLE", "IF", "NOT", "EXISTS", ..] => create(tables, words.get(5)?, statement),
        ["CREATE", "TABLE", ..] => create(tables, words.get(2)?, statement),
        ["DROP", "TABLE", _] => tables.remove(*words.get(2)?).map(drop),
        ["ALTER", "TABLE", _, "ADD", "COLUMN", ..] => {
            tables.get_mut(*words.get(2)?)?.insert(name(words.get(5)?));
            Some(())
        }
        ["ALTER", "TABLE", _, "RENAME", "TO", _] => {
            let columns = tables.remove(*words.get(2)?)?;
            tables.insert(name(words.get(5)?), columns);
            Some(())
        }
        ["ALTER", "TABLE", _, "ALTER", "COLUMN", _, "SET", "STORAGE", ..] => Some(()),
        ["ALTER", ..] | ["DROP", "TABLE", ..] => None,
        _ => Some(()),
    }
}

fn create(tables: &mut Tables, word: &str, statement: &str) -> Option<()> {
    let table = name(word.split('(').next()?);
    let body = statement.split_once('(')?.1.rsplit_once(')')?.0;
    let mut columns = BTreeSet::new();
    for part in parts(body) {
        let first = part.split_whitespace().next()?;
        let word = first.split('(').next()?.to_uppercase();
        if !CONSTRAINTS.contains(&word.as_str()) {
            columns.insert(name(first));
        }
    }
    tables.insert(table, columns);
    Some(())
}

fn name(word: &str) -> String {
    word.trim_matches(['"', '`', '(', ')', ',']).to_owned()
}

/// The parts of a list that lie between commas outside brackets.
fn parts(body: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in body.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(body.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(body.get(from..).unwrap_or_default());
    parts
}

/// The tables and columns that the document classifies.
fn listed(document: &str, faults: &mut Vec<String>) -> Tables {
    let mut tables = Tables::new();
    let mut table: Option<String> = None;
    for (at, line) in document.lines().enumerate() {
        if line.starts_with('#') {
            let named = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
            table = named.map(str::to_owned);
            if let Some(table) = &table
                && tables.insert(table.clone(), BTreeSet::new()).is_some()
            {
                faults.push(format!("{DOCUMENT}:{}: `{table}` stands twice", at + 1));
            }
            continue;
        }
        let Some(columns) = table.as_ref().and_then(|table| tables.get_mut(table)) else {
            continue;
        };
        let mut cells = line.trim().strip_prefix('|').unwrap_or_default().split('|');
        let (Some(first), Some(kind)) = (cells.next(), cells.next()) else { continue };
        let named: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
        if !named.is_empty() && !KINDS.contains(&kind.trim()) {
            faults.push(format!("{DOCUMENT}:{}: say one of: {}", at + 1, KINDS.join(", ")));
        }
        for column in named {
            if !columns.insert(column.to_owned()) {
                faults.push(format!("{DOCUMENT}:{}: `{column}` stands twice", at + 1));
            }
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- A table; with a comment.\nCREATE TABLE lead (\n  id BLOB NOT NULL CHECK (length(id) = 16), -- x\n\
        a INTEGER, b INTEGER,\n  PRIMARY KEY (id, a),\n  UNIQUE (a, b)\n) STRICT;\n\
        CREATE INDEX lead_by_a ON lead (a, b);\nINSERT INTO lead (a) VALUES (1);\n";
    const MORE: &str = "ALTER TABLE lead ADD COLUMN c BLOB;\n";
    const GOOD: &str = "# Model\n## data.db\n### `lead`\n\nStays.\n\n| column | is | why |\n|---|---|---|\n\
        | `id`, `a` | clear | x |\n| `b` | tag | `not_a_column` |\n| `c` | sealed | x |\n\
        ## Files\n| file | is |\n|---|---|\n| `lead` | clear |\n";

    fn faults(sql: &str, document: &str) -> Vec<String> {
        run(&Repo::of(&[
            ("migrations/sqlite/data/0001_lead.sql", sql),
            ("migrations/sqlite/data/0002_more.sql", MORE),
            (DOCUMENT, document),
        ]))
        .faults
    }

    #[test]
    fn a_document_that_lists_every_column_passes() {
        assert_eq!(faults(SQL, GOOD), [""; 0]);
        assert!(SQL.contains("UNIQUE (a, b)"), "control: a constraint is no column");
    }

    #[test]
    fn each_planted_difference_is_found_alone_and_says_what_to_do() {
        let second = format!("{SQL}CREATE TABLE note (id BLOB) STRICT;");
        for (sql, document, says) in [
            (SQL, GOOD.replace(", `a`", ""), "`lead.a` is new: add a row"),
            (SQL, GOOD.replace("| `c` | sealed | x |\n", ""), "`lead.c` is new"),
            (SQL, GOOD.replace("`a`", "`a`, `z`"), "`lead.z` is in no migration"),
            (SQL, GOOD.replace("| tag |", "| maybe |"), "say one of"),
            (SQL, GOOD.replace("| `b` |", "| `b`, `a` |"), "`a` stands twice"),
            (second.as_str(), GOOD.to_owned(), "table `note` is new: add a heading"),
            (SQL, format!("{GOOD}### `gone`\n"), "`gone` is in no migration"),
        ] {
            let found = faults(sql, &document);
            assert_eq!(found.len(), 1, "{says}: {found:?}");
            assert!(found[0].contains(says), "{found:?}");
        }
    }

    #[test]
    fn tables_may_be_dropped_and_renamed_and_what_is_not_known_is_a_fault() {
        let renamed = SQL.replace("TABLE lead (", "TABLE old (").replace("ON lead", "ON old")
            + "CREATE TABLE spare (x BLOB); DROP TABLE spare; ALTER TABLE old RENAME TO lead;";
        assert_eq!(faults(&renamed, GOOD), [""; 0]);
        let unknown = format!("{SQL}ALTER TABLE lead DROP COLUMN b;");
        assert!(faults(&unknown, GOOD)[0].contains("cannot follow: ALTER TABLE lead DROP"));
    }

    #[test]
    fn a_column_that_only_the_other_engine_has_is_found() {
        let with = |other: &str| {
            let files = [
                ("migrations/sqlite/data/0001_lead.sql", SQL),
                ("migrations/sqlite/data/0002_more.sql", MORE),
                ("migrations/postgres/data/0001_lead.sql", other),
                (DOCUMENT, GOOD),
            ];
            run(&Repo::of(&files)).faults
        };
        let stored = "CREATE TABLE lead (id bytea, a int); ALTER TABLE lead ALTER COLUMN id SET STORAGE EXTERNAL;";
        assert_eq!(with(stored), [""; 0], "fewer columns are no fault");
        let found = with("CREATE TABLE lead (id bytea, planted text);");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`lead.planted`"), "{found:?}");
    }

    #[test]
    fn without_the_document_nothing_passes() {
        assert_eq!(run(&Repo::of(&[("migrations/sqlite/data/0001_a.sql", SQL)])).faults.len(), 1);
    }
}
