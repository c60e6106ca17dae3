//! Measures what a row costs to normalise: `cargo run --release --example parse_cost FILE.csv`.
//!
//! Reads the columns whose headers begin with "Phone" and "Email", compares the fast path with the
//! parser on every phone in several default regions, and prints means over all cells.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for people at a terminal")]

use std::time::{Duration, Instant};

use leadvault_crypto::normalise::{PhoneParser, email};

fn main() {
    let path = std::env::args().nth(1).expect("usage: parse_cost FILE.csv");
    let text = std::fs::read_to_string(path).expect("the file is readable UTF-8");
    let mut rows = text.lines().map(cells);
    let header = rows.next().expect("a header row");
    let rows: Vec<Vec<String>> = rows.filter(|row| row.len() == header.len()).collect();
    let column = |name: &str| -> Vec<&str> {
        let wanted: Vec<bool> = header.iter().map(|h| h.starts_with(name)).collect();
        rows.iter()
            .flat_map(|row| {
                row.iter().zip(&wanted).filter(|(_, w)| **w).map(|(cell, _)| cell.as_str())
            })
            .collect()
    };
    let (phones, emails) = (column("Phone"), column("Email"));
    for region in [Some("US"), Some("GB"), Some("DE"), None] {
        let mut parser = PhoneParser::new(region);
        for phone in &phones {
            assert_eq!(parser.e164(phone), parser.e164_by_parser(phone), "the two ways differ");
        }
        let slow = mean(&phones, |text| drop(parser.e164_by_parser(text)));
        let fast = mean(&phones, |text| drop(parser.e164(text)));
        println!("phone {region:?}: parser {slow:?}, with fast path {fast:?}");
    }
    println!("email: {:?}", mean(&emails, |text| drop(email(text))));
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about the machine's time")]
fn mean(texts: &[&str], mut work: impl FnMut(&str)) -> Duration {
    let start = Instant::now();
    for text in texts {
        work(text);
    }
    start.elapsed() / u32::try_from(texts.len().max(1)).unwrap_or(u32::MAX)
}

/// Cells of a CSV line without line breaks inside quotes.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}
