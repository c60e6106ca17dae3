//! Real lists: the public samples where they are present, generated ones of the same layout elsewhere.

use std::path::PathBuf;

use super::corpus::{self, Case, Expected};
use super::corpus_tests::read_cut;

/// A file of the sample directory, where `LEADVAULT_SAMPLES` names one.
fn sample(name: &str) -> Option<Vec<u8>> {
    let directory = PathBuf::from(std::env::var_os("LEADVAULT_SAMPLES")?);
    std::fs::read(directory.join(name)).ok()
}

fn case(bytes: Vec<u8>) -> Case {
    let expected = Expected::Refused { code: "", columns: Vec::new() };
    Case { name: String::new(), bytes, named_encoding: None, mapping: Vec::new(), expected }
}

/// Cells of a well-formed file, read by a second reader that shares nothing with the importer.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    rows
}

/// Reads a list and compares every cell; gives the numbers of rows and of cells.
fn assert_all_cells_come_back(bytes: Vec<u8>) -> (usize, usize) {
    let written = cells(std::str::from_utf8(&bytes).unwrap());
    let outcome = read_cut(&case(bytes), &[]);
    assert_eq!(outcome.fault, None);
    assert_eq!(outcome.rejected, []);
    let (headers, rows) = written.split_first().unwrap();
    assert_eq!(outcome.stored.len(), rows.len());
    let mut count = 0;
    for ((number, pairs), row) in outcome.stored.iter().zip(rows) {
        let expected: Vec<_> = headers.iter().cloned().zip(row.iter().cloned()).collect();
        assert!(*pairs == expected, "row {number}");
        count += pairs.len();
    }
    (rows.len(), count)
}

#[test]
fn every_cell_of_the_sample_list_comes_back() {
    let Some(bytes) = sample("leads-10000.csv") else { return };
    assert_eq!(assert_all_cells_come_back(bytes), (10_000, 140_000));
}

#[test]
fn every_cell_of_a_generated_list_comes_back() {
    let outcome = read_cut(&case(corpus::leads(2_000, 7).into_bytes()), &[]);
    assert_eq!((outcome.fault, outcome.rejected), (None, Vec::new()));
    let written = corpus::lead_rows(2_000, 7);
    let headers = corpus::LEAD_HEADERS.map(str::to_owned);
    for ((number, pairs), row) in outcome.stored.iter().zip(&written) {
        let expected: Vec<_> = headers.iter().cloned().zip(row.iter().cloned()).collect();
        assert!(*pairs == expected, "row {number}");
    }
    assert_eq!(outcome.stored.len(), written.len());
}

#[test]
fn the_shipped_list_is_what_the_generator_writes() {
    let shipped = include_str!("../../../leadvault/sample/leads-1000.csv");
    assert_eq!(shipped, corpus::leads(1_000, 2_026));
    assert_eq!(assert_all_cells_come_back(shipped.as_bytes().to_vec()), (1_000, 14_000));
}

#[test]
fn exactly_the_persons_under_18_of_the_sample_list_are_refused() {
    const UNDER_18: [u64; 14] = [4, 6, 9, 26, 41, 42, 62, 66, 71, 77, 79, 83, 99, 100];
    let Some(bytes) = sample("people-100.csv") else { return };
    let outcome = read_cut(&case(bytes), &[]);
    let expected: Vec<_> = UNDER_18.iter().map(|number| (*number, Some(7), "minor")).collect();
    assert_eq!(outcome.rejected, expected);
    assert_eq!(outcome.stored.len(), 86);
}
