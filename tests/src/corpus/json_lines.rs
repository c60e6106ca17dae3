//! JSON Lines, well and badly written, and the lines of an export.

use super::{Case, Charset, Expected};

type Pairs = Vec<(String, String)>;

fn pairs(cells: &[(&str, &str)]) -> Pairs {
    cells.iter().map(|(header, cell)| ((*header).to_owned(), (*cell).to_owned())).collect()
}

fn case(
    name: &str,
    bytes: impl Into<Vec<u8>>,
    stored: Vec<(u64, Pairs)>,
    rejected: Vec<(u64, Option<usize>, &'static str)>,
) -> Case {
    Case {
        name: name.to_owned(),
        bytes: bytes.into(),
        named_encoding: None,
        mapping: Vec::new(),
        expected: Expected::Read { detected: None, stored, rejected },
    }
}

pub(super) fn cases() -> Vec<Case> {
    let ada = r#"{"email":"ada@example.com","first_name":"Ada","age":36}"#;
    let bob =
        r#"{"email":"bob@example.com","first_name":null,"vip":true,"score":1.50e1,"note":""}"#;
    let ada_pairs = pairs(&[("email", "ada@example.com"), ("first_name", "Ada"), ("age", "36")]);
    let two =
        |line_end: &str| format!("{ada}{line_end}{}{line_end}", r#"{"email":"li@example.com"}"#);
    let two_stored = || vec![(1, ada_pairs.clone()), (2, pairs(&[("email", "li@example.com")]))];
    let mut cases = vec![
        case("JSON Lines", two("\n"), two_stored(), vec![]),
        case(
            "JSON Lines with CRLF and blank lines",
            format!("\r\n{}", two("\r\n\r\n")),
            two_stored(),
            vec![],
        ),
        case("JSON Lines after a mark", Charset::Utf8Bom.encode(&two("\n")), two_stored(), vec![]),
        case("JSON Lines in UTF-16", Charset::Utf16LeBom.encode(&two("\n")), two_stored(), vec![]),
        case(
            "numbers, booleans and null as they are written",
            format!("{ada}\n{bob}\n"),
            vec![
                (1, ada_pairs.clone()),
                (
                    2,
                    pairs(&[
                        ("email", "bob@example.com"),
                        ("vip", "true"),
                        ("score", "1.50e1"),
                        ("note", ""),
                    ]),
                ),
            ],
            vec![],
        ),
        case(
            "escapes",
            "{\"email\":\"ada@example.com\",\"notes\":\"a\\n\\\"b\\\" \\u00e9 \\ud83d\\ude00\\/\"}\n",
            vec![(
                1,
                pairs(&[("email", "ada@example.com"), ("notes", "a\n\"b\" \u{e9} \u{1f600}/")]),
            )],
            vec![],
        ),
        case(
            "nested values",
            format!(
                "{ada}\n{}\n{}\n",
                r#"{"email":"x@example.com","age":[1]}"#, r#"{"email":"li@example.com"}"#
            ),
            vec![(1, ada_pairs.clone()), (3, pairs(&[("email", "li@example.com")]))],
            vec![(2, Some(2), "nested_value")],
        ),
        case(
            "lines that are no objects",
            format!("{ada}\n{{\"email\":\n[1]\n\"x\"\n{{\"email\":\"li@example.com\"}}\n"),
            two_stored_at(&ada_pairs, 5),
            vec![(2, None, "bad_json"), (3, None, "bad_json"), (4, None, "bad_json")],
        ),
        case(
            "a key twice",
            format!("{}\n{ada}\n", r#"{"email":"a@b.example","email":"c@d.example"}"#),
            vec![(2, ada_pairs.clone())],
            vec![(1, Some(0), "bad_json")],
        ),
        case(
            "a NUL in a text",
            format!("{ada}\n{}\n", r#"{"email":"x\u0000@example.com"}"#),
            vec![(1, ada_pairs.clone())],
            vec![(2, Some(0), "nul_byte")],
        ),
        case(
            "a person under 18",
            format!("{ada}\n{}\n", r#"{"email":"x@example.com","age":17}"#),
            vec![(1, ada_pairs.clone())],
            vec![(2, Some(2), "minor")],
        ),
        case(
            "nobody in the line",
            format!("{ada}\n{{}}\n"),
            vec![(1, ada_pairs.clone())],
            vec![(2, None, "no_identifier")],
        ),
        Case::refused(
            "a key that means several things",
            "{\"name\":\"Ada\",\"email\":\"a@b.example\"}\n",
            "mapping_needed",
            &[0],
        ),
        case(
            "notes in several keys",
            "{\"email\":\"a@b.example\",\"note\":\"n1\",\"comments\":\"n2\"}\n{\"email\":\"c@d.example\",\"comments\":\"n2\"}\n",
            vec![
                (1, pairs(&[("email", "a@b.example"), ("note", "n1"), ("comments", "n2")])),
                (2, pairs(&[("email", "c@d.example"), ("comments", "n2")])),
            ],
            vec![],
        ),
        case(
            "an ambiguous key after the first 64 KiB stays unmapped",
            late_key(),
            late_key_stored(),
            vec![],
        ),
    ];
    let mut malformed = case(
        "malformed bytes in a line",
        "",
        vec![(1, ada_pairs.clone())],
        vec![(2, None, "bad_encoding")],
    );
    malformed.bytes =
        [ada.as_bytes(), b"\n{\"email\":\"\xff@example.com\",\"first_name\":\"Zo\xc3\xab\"}\n"]
            .concat();
    cases.push(malformed);
    cases.push(export());
    cases
}

fn two_stored_at(ada: &Pairs, second: u64) -> Vec<(u64, Pairs)> {
    vec![(1, ada.clone()), (second, pairs(&[("email", "li@example.com")]))]
}

fn late_key() -> String {
    let line = |i| format!(r#"{{"email":"lead{i}@example.com","company":"Company {i}"}}"#);
    let mut lines: Vec<String> = (0..2_000).map(line).collect();
    lines.push(r#"{"email":"late@example.com","name":"Late"}"#.to_owned());
    lines.join("\n")
}

fn late_key_stored() -> Vec<(u64, Pairs)> {
    let mut stored: Vec<(u64, Pairs)> = (0..2_000)
        .map(|i| {
            let cells = [
                ("email", &*format!("lead{i}@example.com")),
                ("company", &*format!("Company {i}")),
            ];
            (i + 1, pairs(&cells))
        })
        .collect();
    stored.push((2_001, pairs(&[("email", "late@example.com"), ("name", "Late")])));
    stored
}

fn export() -> Case {
    let lines = [
        r#"{"id":"ct_01","dataset":"ds_01","external_id":"A-1","fields":{"email":"ada@example.com","phone":"+14155550100","x_0":"1","tier":"gold"},"tags":["vip"],"notes":[{"text":"hello","at":null}],"original":[["Index","1"],["Phone","(415) 555-0100"],["Index","again"]],"import":"imp_01","row":1,"created_at":"2026-01-02T03:04:05.000000Z","updated_at":"2026-01-02T03:04:05.000000Z"}"#,
        r#"{"id":"ct_02","dataset":"ds_01","external_id":null,"fields":{"first_name":"Bob"},"tags":[],"notes":[],"original":[["First Name","Bob"]],"import":"imp_01","row":2,"created_at":"2026-01-02T03:04:05.000000Z","updated_at":"2026-01-02T03:04:05.000000Z"}"#,
        r#"{"id":"ct_03","fields":{"birth_date":"2015-01-01","email":"kid@example.com"}}"#,
        r#"{"id":"ct_04","fields":{}}"#,
    ];
    case(
        "the lines of an export",
        lines.join("\n"),
        vec![
            (1, pairs(&[("Index", "1"), ("Phone", "(415) 555-0100"), ("Index", "again")])),
            (2, pairs(&[("First Name", "Bob")])),
        ],
        vec![(3, Some(5), "minor"), (4, None, "no_identifier")],
    )
}
