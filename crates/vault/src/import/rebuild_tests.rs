//! Rows come back from their fields exactly, whatever the mapping, also after the fields have changed.

use leadvault_crypto::normalise::PhoneParser;
use leadvault_domain::{FieldNo, Fields, Personal, Value};
use proptest::prelude::*;

use super::cells::Cells;
use super::fill::fill_cells;
use super::plan::{By, Column, Format, Plan};
use super::rebuild::{Rebuild, rebuild_cells};
use super::{Charset, Dialect};

fn plan(format: Format, columns: &[(&str, FieldNo)]) -> Plan {
    let column = |(header, field): &(&str, FieldNo)| Column {
        header: Personal::from(*header),
        field: *field,
        by: By::Caller,
        tag: None,
    };
    Plan {
        format,
        charset: Charset::Utf8,
        dialect: Dialect::RFC_4180,
        header: true,
        columns: columns.iter().map(column).collect(),
    }
}

fn cells(row: &[Option<&str>]) -> Cells {
    let mut cells = Cells::default();
    for (column, cell) in row.iter().enumerate() {
        if let Some(cell) = cell {
            cells.put(column, cell);
        }
    }
    cells
}

fn stored(plan: &Plan, row: &Cells, phones: &mut PhoneParser) -> Fields {
    let mut fields = fill_cells(plan, row, phones).fields;
    Rebuild::new(plan).keep(&mut fields, row);
    fields
}

fn original(fields: &Fields) -> Vec<(String, String)> {
    match fields.get(&FieldNo::ORIGINAL) {
        Some(Value::Pairs(pairs)) => {
            let shown = |text: &Personal| text.expose().clone();
            pairs.iter().map(|(header, cell)| (shown(header), shown(cell))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn only_what_the_fields_do_not_give_back_is_kept() {
    let columns = [
        ("Index", FieldNo(1000)),
        ("Email", FieldNo::EMAIL),
        ("Phone", FieldNo::PHONE),
        ("Mobile", FieldNo::MOBILE),
        ("Tags", FieldNo::TAGS),
        ("Notes", FieldNo::NOTES),
    ];
    let plan = plan(Format::Csv, &columns);
    let row = ["1", "Ada@Example.COM", "(415) 555-2671", "+14155552671", "a; b", "hello"];
    let fields = stored(&plan, &cells(&row.map(Some)), &mut PhoneParser::new(Some("US")));
    assert_eq!(
        original(&fields),
        [("Phone".into(), "(415) 555-2671".into()), ("Tags".into(), "a; b".into())]
    );
    let back: Vec<_> = rebuild_cells(&plan, &fields);
    assert!(back.iter().zip(row).all(|((_, cell), came)| cell.expose() == came));
}

#[test]
fn a_cell_that_was_not_there_stays_away_and_is_told_from_an_empty_one() {
    let columns = [("email", FieldNo::EMAIL), ("n1", FieldNo::NOTES), ("n2", FieldNo::NOTES)];
    let plan = plan(Format::Jsonl, &columns);
    let mut phones = PhoneParser::new(None);
    for row in [
        [Some(""), None, Some("late")],
        [None, None, Some("")],
        [Some("a@b.example"), Some("one"), None],
        [None, Some(""), Some("two")],
    ] {
        let fields = stored(&plan, &cells(&row), &mut phones);
        let back = Rebuild::new(&plan).cells(&fields);
        assert!((0..3).all(|column| back.cell(column) == row[column]), "{row:?}");
    }
}

const HEADERS: [&str; 5] = ["Email", "Phone", "Notes", "", "Tags"];
const FIELDS: [FieldNo; 9] = [
    FieldNo::EMAIL,
    FieldNo::PHONE,
    FieldNo::MOBILE,
    FieldNo::COMPANY,
    FieldNo::NOTES,
    FieldNo::NOTES,
    FieldNo::NOTES,
    FieldNo::TAGS,
    FieldNo::TAGS,
];
const CELLS: [&str; 9] =
    ["", "a", "a, b", " a", "415-555-2671", "+14155552671", "12", "x;y", "\u{fffd}\n"];

/// Columns with headers that repeat; each text field has one column at most.
fn any_columns() -> impl Strategy<Value = Vec<(&'static str, FieldNo)>> {
    let header = prop::sample::select(&HEADERS[..]);
    let fields = prop::sample::subsequence(&FIELDS[..], 0..=FIELDS.len()).prop_shuffle();
    (fields, prop::collection::vec(header, FIELDS.len() + 2)).prop_map(|(fields, headers)| {
        let unmapped = [FieldNo(1000), FieldNo(1001)];
        headers.into_iter().zip(fields.into_iter().chain(unmapped)).collect()
    })
}

fn any_row() -> impl Strategy<Value = Vec<Option<&'static str>>> {
    let cell = prop::option::weighted(0.8, prop::sample::select(&CELLS[..]));
    prop::collection::vec(cell, FIELDS.len() + 2)
}

proptest! {
    #[test]
    fn every_cell_comes_back_also_after_a_change(
        columns in any_columns(),
        row in any_row(),
        changed in any::<prop::sample::Index>(),
        csv in any::<bool>(),
    ) {
        let plan = plan(if csv { Format::Csv } else { Format::Jsonl }, &columns);
        let row: Vec<Option<&str>> = row
            .iter()
            .take(columns.len())
            .map(|cell| if csv { Some(cell.unwrap_or("")) } else { *cell })
            .collect();
        let row = cells(&row);
        let came = |back: &Cells| (0..columns.len()).all(|i| back.cell(i) == row.cell(i));
        let mut fields = stored(&plan, &row, &mut PhoneParser::new(Some("US")));
        let rebuild = Rebuild::new(&plan);
        prop_assert!(came(&rebuild.cells(&fields)));
        prop_assert_eq!(
            rebuild.pairs(&fields).len(),
            (0..columns.len()).filter(|i| row.cell(*i).is_some()).count()
        );
        // Somebody edits a field: the row as it came is kept beside it.
        let field = changed.get(&columns).1;
        let before = rebuild.cells(&fields);
        let value = match field {
            FieldNo::NOTES => Value::Pairs(vec![("new".into(), "".into()), ("a".into(), "".into())]),
            FieldNo::TAGS => Value::List(vec!["new".into()]),
            _ => Value::Text("new".into()),
        };
        fields.insert(field, value.clone());
        rebuild.keep(&mut fields, &before);
        prop_assert!(came(&rebuild.cells(&fields)));
        prop_assert_eq!(fields.get(&field), Some(&value));
        fields.remove(&field);
        rebuild.keep(&mut fields, &before);
        prop_assert!(came(&rebuild.cells(&fields)));
    }
}
