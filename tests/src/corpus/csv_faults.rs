//! CSV files with broken rows: each is rejected by number, column and code, and no good row is lost.

use super::table::MALFORMED;
use super::{Case, Charset, Row, Style, Table};

const HEADERS: [&str; 4] = ["Email", "First Name", "Company", "Notes"];

fn ada() -> Row {
    Row::good(&["ada@example.com", "Ada", "Engines", "one"])
}

fn bob() -> Row {
    Row::good(&["bob@example.com", "Bob", "Mooney, Salinas and Ali", "two \"quoted\""])
}

fn cy() -> Row {
    Row::good(&["cy@example.com", "Cy", "", "last\nline"])
}

fn verbatim(text: &str, rejects: &[(Option<usize>, &'static str)]) -> Row {
    Row::Verbatim(text.to_owned(), rejects.to_vec())
}

fn around(name: &str, rows: impl IntoIterator<Item = Row>) -> Case {
    let rows = [ada()].into_iter().chain(rows).chain([bob(), cy()]).collect();
    Table::new(&HEADERS, rows).case(name, Style::PLAIN)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = quotes();
    cases.extend(sizes());
    cases.extend(shapes());
    cases.extend(encodings());
    cases.extend(policy());
    cases
}

fn quotes() -> Vec<Case> {
    let unclosed = |column| [(Some(column), "unclosed_quote")];
    let plain = |n: usize| -> Vec<Row> {
        (0..n).map(|i| Row::good(&[&format!("p{i}@example.com"), "P", "plain", "row"])).collect()
    };
    let after = |name: &str, broken: &str, column: usize, rows: Vec<Row>| {
        around(name, std::iter::once(verbatim(broken, &unclosed(column))).chain(rows))
    };
    let at_end = |name: &str, rows: Vec<Row>| {
        let style = Style { last_line_end: false, ..Style::PLAIN };
        Table::new(&HEADERS, [vec![ada()], rows].concat()).case(name, style)
    };
    vec![
        after("unclosed quote in the last column", "x@example.com,X,Y,\"open", 3, vec![]),
        after("unclosed quote in the first column", "\"x@example.com,X,Y,z", 0, vec![]),
        after("unclosed quote before plain rows", "x@example.com,\"X,Y,z", 1, plain(40)),
        after(
            "unclosed quote before empty quoted cells",
            "x@example.com,\"X,Y,z",
            1,
            vec![Row::GoodAs(
                "e@example.com,\"\",\"\",z".to_owned(),
                ["e@example.com", "", "", "z"].map(str::to_owned).to_vec(),
            )],
        ),
        after(
            "unclosed quote that a later row closes by chance",
            "x@example.com,X,\"Y,z",
            2,
            vec![
                Row::good(&["p@example.com", "P", "plain", "row"]),
                Row::good(&["q@example.com", "Q", ", Inc", "row"]),
            ],
        ),
        after("text after a closing quote", "x@example.com,\"X\"Y,\"Z, Z\",z", 1, vec![]),
        after("quotes not doubled", "x@example.com,X,\"Joe \"The Man\" Ltd\",z", 2, vec![]),
        after(
            "backslash instead of a doubled quote",
            "x@example.com,X,\"Joe \\\"Man\\\" Ltd\",z",
            2,
            vec![],
        ),
        after("blank after a closing quote", "x@example.com,\"X\" ,Y,z", 1, vec![]),
        around(
            "two unclosed quotes in a row",
            [
                verbatim("x@example.com,X,Y,\"open", &unclosed(3)),
                verbatim("y@example.com,\"open,Y,z", &unclosed(1)),
            ],
        ),
        around(
            "unclosed quote in a row over two lines",
            [verbatim("x@example.com,X,\"two\nlines\",\"open", &unclosed(3))],
        ),
        around(
            "the rest of a broken note comes back as rejected rows",
            [verbatim(
                "x@example.com,X,Y,\"first line \nsaid \"hello\" here\nand left\"",
                &[
                    (Some(3), "unclosed_quote"),
                    (Some(1), "too_few_columns"),
                    (Some(1), "too_few_columns"),
                ],
            )],
        ),
        at_end(
            "unclosed quote at the end of the file",
            vec![bob(), verbatim("x@example.com,X,Y,\"open", &unclosed(3))],
        ),
        at_end(
            "unclosed quote, then plain rows to the end",
            [vec![verbatim("x@example.com,X,\"open,z", &unclosed(2))], plain(30)].concat(),
        ),
        at_end("a quote and nothing else at the end", vec![bob(), verbatim("\"", &unclosed(0))]),
        at_end(
            "unclosed quote, then more good rows than a cell can hold",
            [vec![verbatim("x@example.com,X,\"open,z", &unclosed(2))], plain(12_000)].concat(),
        ),
        Table::new(
            &["Email"],
            vec![
                Row::good(&["ada@example.com"]),
                verbatim("\"open@example.com", &unclosed(0)),
                Row::good(&["bob@example.com"]),
            ],
        )
        .case("unclosed quote in a file of one column", Style::PLAIN),
        Table::new(&HEADERS, vec![ada(), verbatim("x;X;Y;\"open", &unclosed(3)), cy()]).case(
            "unclosed quote between semicolons",
            Style { delimiter: ';', line_end: "\r\n", ..Style::PLAIN },
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let over = "x".repeat((256 << 10) + 1);
    let lines = "a line of a note\n".repeat(20_000);
    let huge = "y".repeat(5 << 20);
    let fifth = "z".repeat(200 << 10);
    let wide = ["Email", "A", "B", "C", "D", "E"];
    vec![
        around(
            "a cell one byte too large",
            [Row::bad(&["x@example.com", "X", "Y", &over], Some(3), "cell_too_large")],
        ),
        around(
            "a quoted note of many lines too large",
            [Row::bad(&["x@example.com", "X", "Y", &lines], Some(3), "cell_too_large")],
        ),
        around(
            "a large note, then more cells over lines",
            [verbatim(
                &format!("x@example.com,\"{lines}\",\"and\none\",z"),
                &[(Some(1), "cell_too_large")],
            )],
        ),
        around(
            "a line longer than any row",
            [Row::bad(&["x@example.com", "X", &huge, "z"], Some(2), "cell_too_large")],
        ),
        around(
            "an unclosed quote on a line longer than any row",
            [verbatim(&format!("x@example.com,X,\"{huge},z"), &[(Some(2), "cell_too_large")])],
        ),
        Table::new(
            &wide,
            vec![
                Row::good(&["ada@example.com", &fifth, &fifth, &fifth, &fifth, ""]),
                Row::bad(
                    &["bob@example.com", &fifth, &fifth, &fifth, &fifth, &fifth],
                    None,
                    "row_too_large",
                ),
                Row::good(&["cy@example.com", "a", "b", "c", "d", "e"]),
            ],
        )
        .case("cells that together are too large", Style::PLAIN),
    ]
}

fn shapes() -> Vec<Case> {
    let few = |cells: &[&str]| Row::bad(cells, Some(cells.len()), "too_few_columns");
    let many = |cells: &[&str]| Row::bad(cells, Some(4), "too_many_columns");
    vec![
        around(
            "rows too short and too long",
            [
                few(&["x@example.com"]),
                few(&["x@example.com", "X", "Y"]),
                many(&["x@example.com", "X", "Y", "z", ""]),
                many(&["x@example.com", "X", "Y", "z", "one", "two"]),
            ],
        ),
        around(
            "a row too long over two lines",
            [many(&["x@example.com", "X", "Y", "two\nlines", "more"])],
        ),
        around("a line of blanks", [few(&["   "])]),
        around("an end-of-file mark of old systems", [few(&["\u{1a}"])]),
        around(
            "a NUL in a cell",
            [Row::bad(&["x@example.com", "X", "Y\0Z", "z"], Some(2), "nul_byte")],
        ),
        around(
            "a NUL in a quoted cell",
            [verbatim("x@example.com,X,Y,\"a\nb\0c\"", &[(Some(3), "nul_byte")])],
        ),
        around(
            "a row of nothing but delimiters",
            [Row::bad(&["", "", "", ""], None, "no_identifier")],
        ),
        around(
            "a row without anybody",
            [Row::bad(&["", " ", "", "call back"], None, "no_identifier")],
        ),
    ]
}

fn encodings() -> Vec<Case> {
    let malformed = format!("br{MALFORMED}ken");
    let rows = |charset: Charset| {
        vec![
            Row::good(&["ada@example.com", charset.special(), "Engines", "one"]),
            Row::bad(&["x@example.com", "X", &malformed, "z"], Some(2), "bad_encoding"),
            Row::bad(&[&malformed, "X", "two\nlines", "z"], Some(0), "bad_encoding"),
            Row::bad(
                &["y@example.com", "X", "Y", &format!("two\nlines {malformed}")],
                Some(3),
                "bad_encoding",
            ),
            Row::good(&["bob@example.com", charset.special(), "a, b", "two"]),
            Row::good(&["cy@example.com", "Cy", charset.special(), "three"]),
        ]
    };
    let mut cases: Vec<Case> =
        [Charset::Utf8, Charset::Utf8Bom, Charset::Utf16Le, Charset::Utf16BeBom]
            .into_iter()
            .map(|charset| {
                let style = Style { charset, line_end: "\r\n", ..Style::PLAIN };
                Table::new(&HEADERS, rows(charset))
                    .case(format!("malformed bytes in {charset:?}"), style)
            })
            .collect();
    let style = Style { charset: Charset::Utf16LeBom, ..Style::PLAIN };
    let mut odd =
        Table::new(&HEADERS, vec![ada(), bob()]).case("half a character at the end", style);
    odd.bytes.push(b'x');
    if let super::Expected::Read { rejected, .. } = &mut odd.expected {
        rejected.push((3, Some(0), "bad_encoding"));
    }
    cases.push(odd);
    let nul = Row::bad(&["x@example.com", "X\0", "Y", "z"], Some(1), "nul_byte");
    cases.push(Table::new(&HEADERS, vec![ada(), nul, bob()]).case("a NUL in UTF-16", style));
    cases
}

fn policy() -> Vec<Case> {
    let minor = |cells: &[&str], column| Row::bad(cells, Some(column), "minor");
    let births = vec![
        Row::good(&["ada@example.com", "1990-04-12"]),
        minor(&["x@example.com", "2008-11-24"], 1),
        Row::good(&["bob@example.com", "2008-11-23"]),
        minor(&["y@example.com", "12.05.2015"], 1),
        Row::good(&["cy@example.com", "unknown"]),
        Row::good(&["dee@example.com", ""]),
    ];
    let flags = vec![
        Row::good(&["ada@example.com", "18", "no"]),
        minor(&["x@example.com", "17", "no"], 1),
        minor(&["y@example.com", "", "yes"], 2),
        Row::good(&["bob@example.com", "n/a", ""]),
    ];
    let card = |cells: &[&str], column| Row::bad(cells, Some(column), "card_number");
    let cards = [
        card(&["x@example.com", "4111 1111 1111 1111", "Y", "z"], 1),
        card(&["x@example.com", "X", "Y", "pays with 5500-0000-0000-0004, call"], 3),
        card(&["x@example.com", "X", "378282246310005", "z"], 2),
        Row::good(&["y@example.com", "4111 1111 1111 1112", "no card", "1234567890123456"]),
    ];
    let id = |cells: &[&str], column| Row::bad(cells, Some(column), "government_id");
    vec![
        Table::new(&["Email", "Date of birth"], births).case("dates of birth", Style::PLAIN),
        Table::new(&["Email", "Age", "Under 18"], flags).case("ages and flags", Style::PLAIN),
        around("card numbers", cards),
        around(
            "government numbers",
            [
                id(&["x@example.com", "X", "Y", "ssn 123-45-6789 on file"], 3),
                Row::good(&["y@example.com", "Y", "000-45-6789", "not one"]),
            ],
        ),
    ]
}
