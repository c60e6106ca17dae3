//! What a row becomes: switches of an instruction, terms, labels, notes on bad values, sizes.

use std::sync::Arc;

use leadvault_domain::{Category, FieldNo, LabelFlag, Personal, TagKind, Value};

use super::cells::{Cells, RawBody, RawRow};
use super::mapping::map;
use super::terms::Place;
use super::*;

fn rules() -> Rules {
    Rules::strict("2026-11-23".parse().unwrap())
}

fn parse_under(rules: Rules, row: &[(&str, &str)]) -> Result<ParsedRow, RefusedRow> {
    let headers: Vec<Personal> = row.iter().map(|(header, _)| (*header).into()).collect();
    let plan = Plan {
        format: Format::Csv,
        charset: Charset::Utf8,
        dialect: Dialect::RFC_4180,
        header: true,
        columns: map(&headers, &Wanted::Nothing, &[]).unwrap(),
    };
    let cells: Cells = row.iter().map(|(_, cell)| *cell).collect();
    let mut parser = RowParser::new(Arc::new(plan), rules, Some("US"));
    parser.parse(RawRow { number: 7, end_byte: 70, body: RawBody::Cells(cells) })
}

fn parse(row: &[(&str, &str)]) -> Result<ParsedRow, RefusedRow> {
    parse_under(rules(), row)
}

fn refusal(row: &[(&str, &str)]) -> (Option<usize>, RowCode) {
    let refused = parse(row).unwrap_err();
    assert_eq!((refused.number, refused.end_byte), (7, 70));
    (refused.column, refused.code)
}

fn text(row: &ParsedRow, field: FieldNo) -> Option<&str> {
    match row.fields.get(&field) {
        Some(Value::Text(text)) => Some(text.expose()),
        _ => None,
    }
}

fn terms(row: &ParsedRow) -> Vec<(u16, Place, &str)> {
    row.terms.iter().map(|t| (t.kind.0, t.place, t.normalised.expose().as_str())).collect()
}

#[test]
fn a_lead_is_found_by_its_first_values_and_by_all_others() {
    let row = parse(&[
        ("Email", "Ada@Engines.Example"),
        ("Email 2", "ada@home.example.com"),
        ("Business Email", "third@work.example"),
        ("Phone", "(415) 555-2671"),
        ("Mobile", "415-555-2672"),
        ("Website", "https://www.engines.co.uk/about"),
        ("Account Id", " A-1 "),
    ])
    .unwrap();
    assert_eq!(
        terms(&row),
        [
            (1, Place::Row, "ada@engines.example"),
            (1, Place::Side, "ada@home.example.com"),
            (1, Place::Side, "third@work.example"),
            (2, Place::Row, "+14155552671"),
            (2, Place::Side, "+14155552672"),
            (3, Place::Row, "engines.co.uk"),
            (4, Place::Side, "A-1"),
        ]
    );
    assert_eq!(text(&row, FieldNo::EMAIL), Some("Ada@Engines.Example"));
    assert_eq!(text(&row, FieldNo::PHONE), Some("+14155552671"));
    assert_eq!(text(&row, FieldNo(1002)), Some("third@work.example"));
    assert!(row.noted.is_empty());
}

#[test]
fn a_mobile_takes_the_column_where_the_phone_is_empty() {
    let row = parse(&[("Phone", ""), ("Mobile", "415-555-2672")]).unwrap();
    assert_eq!(terms(&row), [(2, Place::Row, "+14155552672")]);
}

#[test]
fn what_everybody_has_is_no_domain_and_an_address_stands_in_for_a_website() {
    let domain = |row: &ParsedRow| row.terms.iter().any(|term| term.kind == TagKind::DOMAIN);
    assert!(!domain(&parse(&[("Email", "ada@gmail.com")]).unwrap()));
    assert!(domain(&parse(&[("Email", "ada@engines.co.uk")]).unwrap()));
}

#[test]
fn a_bad_value_is_kept_as_it_came_and_noted() {
    let row = parse(&[("Email", "not an address"), ("Phone", "call me")]).unwrap();
    assert_eq!(row.noted, [Noted::BadEmail(Some(0)), Noted::BadPhone(Some(1))]);
    assert_eq!(text(&row, FieldNo::EMAIL), Some("not an address"));
    assert_eq!(text(&row, FieldNo::PHONE), Some("call me"));
    assert_eq!(terms(&row), []);
}

#[test]
fn an_instruction_takes_in_what_is_refused_without_it() {
    let young = [("Email", "a@b.example"), ("Birthday", "2015-01-01")];
    assert_eq!(refusal(&young), (Some(1), RowCode::Minor));
    let row = parse_under(Rules { accept_minors: true, ..rules() }, &young).unwrap();
    assert!(row.labels.has(LabelFlag::Minor));
    let card = [("Email", "a@b.example"), ("Notes", "4111 1111 1111 1111")];
    assert_eq!(refusal(&card), (Some(1), RowCode::CardNumber));
    assert!(parse_under(Rules { accept_cards: true, ..rules() }, &card).is_ok());
    let number = [("Email", "a@b.example"), ("Notes", "123-45-6789")];
    assert_eq!(refusal(&number), (Some(1), RowCode::GovernmentId));
    assert!(parse_under(Rules { accept_government_ids: true, ..rules() }, &number).is_ok());
    // Each switch opens its own door only.
    let others = Rules { accept_minors: true, accept_government_ids: true, ..rules() };
    assert!(parse_under(others, &card).is_err());
}

#[test]
fn a_card_number_is_found_in_a_phone_column_too() {
    assert_eq!(refusal(&[("Phone", "4111111111111111")]), (Some(0), RowCode::CardNumber));
}

#[test]
fn a_row_carries_the_labels_of_what_it_holds() {
    let row =
        parse(&[("Email", "a@b.example"), ("Company", ""), ("GPC", "1"), ("Odd", "x")]).unwrap();
    let categories: Vec<_> = row.labels.categories().into_iter().collect();
    assert_eq!(categories, [Category::Contact, Category::Preference, Category::Unclassified]);
    for flag in [LabelFlag::OptoutSale, LabelFlag::OptoutShare, LabelFlag::OptoutTargetedAds] {
        assert!(row.labels.has(flag));
    }
    let silent = parse(&[("Email", "a@b.example"), ("GPC", "0")]).unwrap();
    assert!(!silent.labels.has(LabelFlag::OptoutSale) && !silent.labels.has(LabelFlag::Minor));
}

#[test]
fn a_row_that_tells_of_nobody_is_refused() {
    assert_eq!(refusal(&[("Email", " "), ("Notes", "hello")]), (None, RowCode::NoIdentifier));
    assert_eq!(refusal(&[("Odd", ""), ("Strange", "")]), (None, RowCode::NoIdentifier));
    assert!(parse(&[("Odd", ""), ("Strange", "x")]).is_ok());
    assert!(parse(&[("Company", "Engines"), ("Email", "")]).is_ok());
}

#[test]
fn what_is_taken_in_fits_its_compartments() {
    let fifth = "x".repeat(220 << 10);
    let mut row = vec![("Email", "a@b.example")];
    row.extend(["A", "B", "C", "D"].map(|header| (header, fifth.as_str())));
    let parsed = parse(&row).unwrap();
    assert!(crate::lead_codec::encode(&parsed.fields, FieldNo::compartment).is_ok());
    row.push(("E", &fifth));
    assert_eq!(refusal(&row), (None, RowCode::RowTooLarge));
    // Long notes lie in compartments of their own.
    let notes = [("Email", "a@b.example"), ("Notes", &*fifth), ("Note", &*fifth)];
    let more = [("Comments", &*fifth), ("Description", &*fifth), ("notes", &*fifth)];
    let parsed = parse(&[notes.as_slice(), &more].concat()).unwrap();
    assert!(crate::lead_codec::encode(&parsed.fields, FieldNo::compartment).is_ok());
}
