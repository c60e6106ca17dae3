//! CSV files that are odd but readable, and files that are refused as a whole.

use super::{Case, Charset, Expected, Quoting, Row, Style, Table};

const HEADERS: [&str; 3] = ["Email", "First Name", "Notes"];

fn rows() -> Vec<Row> {
    vec![
        Row::good(&["ada@example.com", "Ada", "one"]),
        Row::good(&["bob@example.com", "Bob", "two, three"]),
        Row::good(&["cy@example.com", "Cy", ""]),
    ]
}

fn with_preface(preface: &str, style: Style, name: &str) -> Case {
    let mut table = Table::new(&HEADERS, rows());
    preface.clone_into(&mut table.preface);
    table.case(name, style)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = whole_files();
    cases.extend(readable());
    cases.extend(odd_cells());
    cases.extend(mapped());
    cases.extend(named_encodings());
    cases
}

fn whole_files() -> Vec<Case> {
    let refused = |name, bytes: &str| Case::refused(name, bytes, "no_header_row", &[]);
    let headers: Vec<String> = (0..10_001).map(|i| format!("c{i}")).collect();
    let wide = headers.join(",") + "\n1\n";
    vec![
        refused("empty file", ""),
        refused("byte order mark only", "\u{feff}"),
        refused("blank lines only", "\n\r\n\n"),
        refused("first row holds an e-mail", "Ada,ada@example.com\nBob,bob@example.com\n"),
        refused("first row holds a number", "Ada,17\n"),
        refused("first row holds a date", "Ada;2001-02-03\n"),
        refused("first row holds a phone", "Ada\t+1 (415) 555-0100\n"),
        refused("first row is blank cells", ",,\nada@example.com,Ada,x\n"),
        refused("first row does not close its quote", "\"Email,Name\nada@example.com,Ada\n"),
        Case::refused("more columns than a file may have", wide, "invalid", &[]),
        Case::refused(
            "name and title",
            "Name,Title,Email\nAda,Dr,a@b.example\n",
            "mapping_needed",
            &[0, 1],
        ),
        Case::refused("state alone", "Email;State\na@b.example;NY\n", "mapping_needed", &[1]),
        Case::refused(
            "two e-mail columns",
            "Email,E-Mail,email\na@b.example,c@d.example,\n",
            "mapping_needed",
            &[0, 2],
        ),
        Case::refused(
            "id beside another id",
            "ID,Account Id,Email\n1,2,a@b.example\n",
            "mapping_needed",
            &[0],
        ),
        Case::refused(
            "owner holds addresses",
            "Owner,Email\no@b.example,a@b.example\n",
            "mapping_needed",
            &[0],
        ),
        Case::refused(
            "mobile repeats phone",
            "Phone,Mobile\n+14155550100,+14155550100\n,+14155550101\n",
            "mapping_needed",
            &[1],
        ),
    ]
}

fn readable() -> Vec<Case> {
    let style = |delimiter| Style { delimiter, ..Style::PLAIN };
    let mut blank_lines = rows();
    blank_lines.insert(1, Row::Nothing(String::new()));
    blank_lines.insert(2, Row::Nothing(String::new()));
    blank_lines.push(Row::Nothing(String::new()));
    let mut mixed = Table::new(&HEADERS, rows()).case("line ends mixed in one file", Style::PLAIN);
    mixed.bytes = b"Email,First Name,Notes\r\nada@example.com,Ada,one\rbob@example.com,Bob,\"two, three\"\ncy@example.com,Cy,"
        .to_vec();
    let single = |rows| Table::new(&["Email"], rows);
    vec![
        Table::new(&HEADERS, vec![]).case("header row only", Style::PLAIN),
        with_preface("sep=;\n", style(';'), "sep names a semicolon"),
        with_preface("sep=\t\r\n", style('\t'), "sep names a tab"),
        with_preface("\"sep=|\"\n", style('|'), "sep in quotes"),
        with_preface("SEP=^\n", style('^'), "sep names what nobody guesses"),
        with_preface(
            "sep=,\n",
            Style { charset: Charset::Utf8Bom, ..style(',') },
            "sep after a mark",
        ),
        with_preface(
            "sep=;\r\n",
            Style { charset: Charset::Utf16LeBom, ..style(';') },
            "sep in UTF-16",
        ),
        with_preface("\n\n", Style::PLAIN, "blank lines before the header row"),
        Table::new(&HEADERS, blank_lines).case("blank lines between rows", Style::PLAIN),
        Table::new(&HEADERS, rows()).case(
            "carriage return, carriage return, line feed",
            Style { line_end: "\r\r\n", ..Style::PLAIN },
        ),
        mixed,
        Table::new(&HEADERS, rows())
            .case("no line end after the last row", Style { last_line_end: false, ..Style::PLAIN }),
        Table::new(&HEADERS, rows()).case(
            "everything in apostrophes",
            Style { quote: '\'', quoting: Quoting::All, ..Style::PLAIN },
        ),
        Table::new(&HEADERS, rows()).case(
            "quoted header after a mark",
            Style { charset: Charset::Utf8Bom, quoting: Quoting::All, ..Style::PLAIN },
        ),
        single(vec![Row::good(&["ada@example.com"]), Row::good(&["bob@example.com"])])
            .case("one column", Style::PLAIN),
        single(vec![Row::good(&["ada, the first@example.com"]), Row::good(&["b;c|d@example.com"])])
            .case(
                "one column with delimiters in its cells",
                Style { quoting: Quoting::All, ..Style::PLAIN },
            ),
    ]
}

fn odd_cells() -> Vec<Case> {
    let formulas =
        ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=x", "'=x", "=HYPERLINK(\"http://x\")"];
    let formulas = formulas.map(|cell| Row::good(&["ada@example.com", "Ada", cell]));
    let spaces = vec![
        Row::good(&[" ada@example.com ", "\tAda", "  "]),
        Row::good(&["bob@example.com", "Bob\u{a0}", "\u{200b}x\u{feff}"]),
        Row::good(&["cy@example.com", "\u{3000}Cy", "trailing "]),
    ];
    let stray = vec![Row::good(&["ada@example.com", "Ada", "plain"]), Row::Nothing(String::new())];
    let mut stray = Table::new(&HEADERS, stray).case("quotes inside unquoted cells", Style::PLAIN);
    stray
        .bytes
        .extend_from_slice(b"bob@example.com,Bob,a 5\" pipe\ncy@example.com,O\"Cy\",\" x\"\n");
    if let Expected::Read { stored, .. } = &mut stray.expected {
        let row = |cells: [&str; 3]| {
            HEADERS.iter().zip(cells).map(|(h, c)| ((*h).to_owned(), c.to_owned())).collect()
        };
        stored.push((2, row(["bob@example.com", "Bob", "a 5\" pipe"])));
        stored.push((3, row(["cy@example.com", "O\"Cy\"", " x"])));
    }
    let phones = [
        "+14155550100",
        "415.555.0101",
        "(415)555-0102x77",
        "001-415-555-0103x54026",
        "12",
        "call me",
        "",
    ];
    let phones = phones.map(|phone| Row::good(&["ada@example.com", phone, phone]));
    let tags = ["vip", "vip; eu", " vip", "a,b", "* myContacts ::: friends", "", ";;"];
    let tags = tags.map(|tag| Row::good(&["ada@example.com", tag, "x"]));
    let exact = "x".repeat(256 << 10);
    vec![
        Table::new(&HEADERS, formulas.to_vec()).case("formulas", Style::PLAIN),
        Table::new(&HEADERS, spaces).case("spaces around values", Style::PLAIN),
        stray,
        Table::new(&["Email", "Phone", "Mobile"], phones.to_vec())
            .case("phones in every form", Style::PLAIN)
            .mapped(&[("Mobile", "mobile")]),
        Table::new(&["Email", "Tags", "Notes"], tags.to_vec()).case("lists of tags", Style::PLAIN),
        Table::new(
            &["Email", "First Name", "Last Name"],
            vec![Row::good(&["not an address", "Ada", "L"]), Row::good(&["a@b@c", "Bob", "M"])],
        )
        .case("bad addresses are kept", Style::PLAIN),
        Table::new(
            &HEADERS,
            vec![
                Row::good(&["ada@example.com", "Ada", &exact]),
                Row::good(&["bob@example.com", &exact, "small"]),
                Row::good(&["cy@example.com", "Cy", &"line\n".repeat(40_000)]),
            ],
        )
        .case("cells of 256 KiB", Style { quoting: Quoting::All, ..Style::PLAIN }),
    ]
}

fn mapped() -> Vec<Case> {
    let mut headless = Table::new(&HEADERS, rows());
    headless.headers = None;
    let wide: Vec<String> = (0..1_000).map(|i| format!("Column {i}")).collect();
    let wide: Vec<&str> = std::iter::once("Email").chain(wide.iter().map(String::as_str)).collect();
    let cells: Vec<String> = (0..=1_000).map(|i| format!("v{i}")).collect();
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    let long: Vec<String> = (0..9).map(|i| format!("{i} {}", "h".repeat(10_000))).collect();
    let long: Vec<&str> = std::iter::once("Email").chain(long.iter().map(String::as_str)).collect();
    let short: Vec<&str> = std::iter::once("ada@example.com").chain(["x"; 9]).collect();
    let repeated = ["Notes", "Company", "Notes", "Company", "Email", "Tags", "Tags", "Notes", ""];
    vec![
        headless.case("no header row, mapped by index", Style::PLAIN).mapped(&[
            ("0", "email"),
            ("1", "first_name"),
            ("2", "notes"),
        ]),
        Table::new(&["Name", "Title", "Email"], vec![Row::good(&["Ada", "Dr", "a@b.example"])])
            .case("the caller says what name and title mean", Style::PLAIN)
            .mapped(&[("Name", "full_name"), ("title", "salutation")]),
        Table::new(
            &repeated,
            vec![
                Row::good(&["n1", "c1", "n2", "c2", "a@b.example", "t1", "t2", "n3", "z"]),
                Row::good(&["", "c1", "n2", "", "a@b.example", "t1", "", "", ""]),
                Row::good(&["n1", "", "", "", "b@b.example", "", "t", "n1", "z"]),
                Row::good(&["", "", "", "", "b@b.example", "", "", "n3", ""]),
            ],
        )
        .case("headers that repeat", Style::PLAIN),
        Table::new(&["", "Email", " "], vec![Row::good(&["x", "a@b.example", "y"])])
            .case("headers without a name", Style::PLAIN),
        Table::new(
            &["Email", "First\nName", "Fa\u{ed}milia \"x\""],
            vec![Row::good(&["a@b.example", "A", "B"])],
        )
        .case("headers over two lines", Style::PLAIN),
        Table::new(
            &["\u{ff25}\u{ff4d}\u{ff41}\u{ff49}\u{ff4c}", "FIRST_NAME"],
            vec![Row::good(&["a@b.example", "A"])],
        )
        .case("headers in full width and capitals", Style::PLAIN),
        Table::new(&["Colour", "Size"], vec![Row::good(&["red", "XL"]), Row::good(&["", "S"])])
            .case("nothing is known", Style::PLAIN),
        Table::new(&wide, vec![Row::good(&cells), Row::good(&cells)])
            .case("a thousand columns", Style::PLAIN),
        Table::new(&long, vec![Row::good(&short)])
            .case("a header row above the sample", Style::PLAIN),
    ]
}

fn named_encodings() -> Vec<Case> {
    let table = |cell: &str| {
        Table::new(
            &["Email", "Company"],
            vec![Row::good(&["ada@example.com", cell]), Row::good(&["bob@example.com", "plain"])],
        )
    };
    let swap = |name: &'static str, text: &str, bytes: &[u8]| {
        let mut case = table(text).case(format!("named {name}"), Style::PLAIN).undetected();
        let (before, after) = (b"Email,Company\nada@example.com,", b"\nbob@example.com,plain\n");
        case.bytes = [&before[..], bytes, after].concat();
        case.named_encoding = Some(name);
        case
    };
    let mut broken = table("").case("malformed in a named encoding", Style::PLAIN).undetected();
    broken.bytes = b"Email,Company\nada@example.com,\x93\nbob@example.com,plain\n".to_vec();
    broken.named_encoding = Some("shift_jis");
    if let Expected::Read { stored, rejected, .. } = &mut broken.expected {
        stored.remove(0);
        rejected.push((1, Some(1), "bad_encoding"));
    }
    vec![
        swap("shift_jis", "\u{65e5}\u{672c}", b"\x93\xfa\x96\x7b"),
        // The second byte of this character is the one of a bar.
        swap("shift_jis", "\u{30dd}", b"\x83\x7c"),
        swap("gb18030", "\u{4e2d}\u{6587}", b"\xd6\xd0\xce\xc4"),
        swap("koi8-r", "\u{41e}\u{43b}\u{44f}", b"\xef\xcc\xd1"),
        swap("windows-1251", "\u{41e}\u{43b}\u{44f}", b"\xce\xeb\xff"),
        swap("iso-8859-2", "\u{141}\u{f3}d\u{17a}", b"\xa3\xf3d\xbc"),
        swap("latin1", "caf\u{e9} \u{93}", b"caf\xe9 \x93"),
        swap("cp1252", "caf\u{e9} \u{201c}", b"caf\xe9 \x93"),
        broken,
    ]
}
