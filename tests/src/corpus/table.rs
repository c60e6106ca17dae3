//! A table of cells, written as a file in any style.

use super::{Case, Expected};

/// Stands in a text for bytes that are malformed in the file's encoding.
pub(super) const MALFORMED: char = '\u{e000}';

/// An encoding the generator can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Bom,
    /// UTF-16, little end first.
    Utf16Le,
    /// The same with a byte order mark.
    Utf16LeBom,
    /// UTF-16, big end first.
    Utf16Be,
    /// The same with a byte order mark.
    Utf16BeBom,
    /// windows-1252.
    Cp1252,
    /// ISO 8859-1.
    Latin1,
}

impl Charset {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Utf8,
        Self::Utf8Bom,
        Self::Utf16Le,
        Self::Utf16LeBom,
        Self::Utf16Be,
        Self::Utf16BeBom,
        Self::Cp1252,
        Self::Latin1,
    ];

    /// The name a detector must give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 | Self::Utf8Bom => "utf-8",
            Self::Utf16Le | Self::Utf16LeBom => "utf-16le",
            Self::Utf16Be | Self::Utf16BeBom => "utf-16be",
            Self::Cp1252 => "windows-1252",
            Self::Latin1 => "iso-8859-1",
        }
    }

    /// Text beyond ASCII that it can write, some of it nothing else can.
    pub fn special(self) -> &'static str {
        match self {
            Self::Cp1252 => "Zo\u{eb} \u{201c}M\u{fc}ller\u{201d} \u{20ac}5 \u{2013} na\u{ef}ve",
            Self::Latin1 => "Zo\u{eb} M\u{fc}ller \u{a3}5 \u{df} na\u{ef}ve",
            _ => "Zo\u{eb} \u{65e5}\u{672c} \u{1f600} \u{20ac} \u{5d0}\u{5d1} e\u{301}",
        }
    }

    /// The bytes of a text.
    ///
    /// # Panics
    /// If the encoding cannot write it: the generator would lie about its golden.
    pub fn encode(self, text: &str) -> Vec<u8> {
        let mut bytes = match self {
            Self::Utf8Bom => vec![0xef, 0xbb, 0xbf],
            Self::Utf16LeBom => vec![0xff, 0xfe],
            Self::Utf16BeBom => vec![0xfe, 0xff],
            _ => Vec::new(),
        };
        for c in text.chars() {
            self.encode_char(c, &mut bytes);
        }
        bytes
    }

    fn encode_char(self, c: char, bytes: &mut Vec<u8>) {
        let mut units = [0_u16; 2];
        match self {
            Self::Utf8 | Self::Utf8Bom if c == MALFORMED => bytes.push(0xff),
            Self::Utf8 | Self::Utf8Bom => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Self::Utf16Le | Self::Utf16LeBom if c == MALFORMED => bytes.extend([0x00, 0xd8]),
            Self::Utf16Be | Self::Utf16BeBom if c == MALFORMED => bytes.extend([0xd8, 0x00]),
            Self::Utf16Le | Self::Utf16LeBom => {
                bytes.extend(c.encode_utf16(&mut units).iter().flat_map(|u| u.to_le_bytes()));
            }
            Self::Utf16Be | Self::Utf16BeBom => {
                bytes.extend(c.encode_utf16(&mut units).iter().flat_map(|u| u.to_be_bytes()));
            }
            Self::Cp1252 => bytes.push(cp1252(c)),
            Self::Latin1 => bytes.push(single_byte(c)),
        }
    }
}

fn cp1252(c: char) -> u8 {
    match c {
        '\u{20ac}' => 0x80,
        '\u{201c}' => 0x93,
        '\u{201d}' => 0x94,
        '\u{2013}' => 0x96,
        _ => single_byte(c),
    }
}

fn single_byte(c: char) -> u8 {
    let Ok(byte) = u8::try_from(u32::from(c)) else {
        unreachable!("the corpus writes {c:?} only where the encoding has it")
    };
    byte
}

/// When cells are put in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Where they must be.
    Minimal,
    /// Always.
    All,
}

/// How a table is written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Its encoding.
    pub charset: Charset,
    /// Between cells.
    pub delimiter: char,
    /// Around cells.
    pub quote: char,
    /// When.
    pub quoting: Quoting,
    /// Between rows.
    pub line_end: &'static str,
    /// Whether the last row has a line end.
    pub last_line_end: bool,
}

impl Style {
    /// RFC 4180 with bare line feeds.
    pub const PLAIN: Self = Self {
        charset: Charset::Utf8,
        delimiter: ',',
        quote: '"',
        quoting: Quoting::Minimal,
        line_end: "\n",
        last_line_end: true,
    };

    fn cell(self, cell: &str) -> String {
        let needed = cell.contains([self.delimiter, self.quote, '\r', '\n']);
        if needed || self.quoting == Quoting::All {
            let quote = self.quote.to_string();
            format!("{quote}{}{quote}", cell.replace(self.quote, &quote.repeat(2)))
        } else {
            cell.to_owned()
        }
    }

    fn row(self, cells: &[String]) -> String {
        let cells: Vec<String> = cells.iter().map(|cell| self.cell(cell)).collect();
        cells.join(&self.delimiter.to_string())
    }
}

/// One row of a table.
#[derive(Debug, Clone)]
pub enum Row {
    /// Must be stored, exactly.
    Good(Vec<String>),
    /// Well written, but must be rejected.
    Bad(Vec<String>, Option<usize>, &'static str),
    /// Written as it stands; must be stored as these cells.
    GoodAs(String, Vec<String>),
    /// Written as it stands; each item is one record that must be rejected.
    Verbatim(String, Vec<(Option<usize>, &'static str)>),
    /// Written as it stands; no record at all.
    Nothing(String),
}

impl Row {
    /// A good row.
    pub fn good(cells: &[&str]) -> Self {
        Self::Good(cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    /// A well written row that must be rejected.
    pub fn bad(cells: &[&str], column: Option<usize>, code: &'static str) -> Self {
        Self::Bad(cells.iter().map(|cell| (*cell).to_owned()).collect(), column, code)
    }
}

/// A header row and rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// Written before everything, as it stands.
    pub preface: String,
    /// The header row; without one, headers are indices.
    pub headers: Option<Vec<String>>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// A table with a header row.
    pub fn new(headers: &[&str], rows: Vec<Row>) -> Self {
        let headers = headers.iter().map(|header| (*header).to_owned()).collect();
        Self { preface: String::new(), headers: Some(headers), rows }
    }

    /// The file and its golden.
    pub fn case(&self, name: impl Into<String>, style: Style) -> Case {
        let mut lines = Vec::new();
        lines.extend(self.headers.as_ref().map(|headers| style.row(headers)));
        let (mut stored, mut rejected) = (Vec::new(), Vec::new());
        let mut number = 0;
        for row in &self.rows {
            match row {
                Row::Good(cells) => {
                    number += 1;
                    lines.push(style.row(cells));
                    stored.push((number, self.pairs(cells)));
                }
                Row::Bad(cells, column, code) => {
                    number += 1;
                    lines.push(style.row(cells));
                    rejected.push((number, *column, *code));
                }
                Row::GoodAs(text, cells) => {
                    number += 1;
                    lines.push(text.clone());
                    stored.push((number, self.pairs(cells)));
                }
                Row::Verbatim(text, rejects) => {
                    lines.push(text.clone());
                    for (column, code) in rejects {
                        number += 1;
                        rejected.push((number, *column, *code));
                    }
                }
                Row::Nothing(text) => lines.push(text.clone()),
            }
        }
        let mut text = format!("{}{}", self.preface, lines.join(style.line_end));
        if style.last_line_end && !lines.is_empty() {
            text.push_str(style.line_end);
        }
        Case {
            name: name.into(),
            bytes: style.charset.encode(&text),
            named_encoding: None,
            mapping: Vec::new(),
            expected: Expected::Read {
                detected: Some((style.charset.name(), style.delimiter)),
                stored,
                rejected,
            },
        }
    }

    fn pairs(&self, cells: &[String]) -> Vec<(String, String)> {
        let header = |index: usize| match &self.headers {
            Some(headers) => headers[index].clone(),
            None => index.to_string(),
        };
        cells.iter().enumerate().map(|(i, cell)| (header(i), cell.clone())).collect()
    }
}

impl Case {
    /// Without a word on what is detected.
    pub(super) fn undetected(mut self) -> Self {
        if let Expected::Read { detected, .. } = &mut self.expected {
            *detected = None;
        }
        self
    }

    /// With the caller's mapping.
    pub(super) fn mapped(mut self, mapping: &[(&'static str, &'static str)]) -> Self {
        self.mapping = mapping.to_vec();
        self
    }

    /// A file that is refused as a whole.
    pub(super) fn refused(
        name: &str,
        bytes: impl Into<Vec<u8>>,
        code: &'static str,
        columns: &[usize],
    ) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.into(),
            named_encoding: None,
            mapping: Vec::new(),
            expected: Expected::Refused { code, columns: columns.to_vec() },
        }
    }
}
