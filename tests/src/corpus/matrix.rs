//! Every encoding × delimiter × line end, with cells that need quotes.

use super::{Case, Charset, Quoting, Row, Style, Table};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for charset in Charset::ALL {
        for (at, delimiter) in [',', ';', '\t', '|'].into_iter().enumerate() {
            for (line, line_end) in ["\n", "\r\n", "\r"].into_iter().enumerate() {
                let quoting = if (at + line) % 2 == 0 { Quoting::Minimal } else { Quoting::All };
                let last_line_end = (at + line) % 3 != 0;
                let style =
                    Style { charset, delimiter, quoting, line_end, last_line_end, ..Style::PLAIN };
                let name = format!("{charset:?} delimiter {delimiter:?} line end {line_end:?}");
                cases.push(table(charset).case(name, style));
            }
        }
    }
    cases
}

fn table(charset: Charset) -> Table {
    let special = charset.special();
    Table::new(
        &["First Name", "Last Name", "Email", "Company", "Notes"],
        vec![
            Row::good(&[
                "Ada",
                "Lovelace",
                "ada@engines.example",
                "Engines, Ltd; \"A\" | B\tC",
                "ok",
            ]),
            Row::good(&[special, "\u{c5}ngstr\u{f6}m", "a@b.example", "", "two\nlines"]),
            Row::good(&["Bo", "", "bo@example.com", "'quoted'", "crlf\r\ninside, and \"quotes\""]),
            Row::good(&["", "Li", "li@example.com", special, "\n"]),
            Row::good(&[" Eve ", "O'Hara", "eve@example.com", "=1+1", "\"\""]),
            Row::good(&["Zed", "Last", "zed@example.com", "-", "lone cr \r inside"]),
        ],
    )
}
