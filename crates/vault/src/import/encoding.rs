//! The encoding of an uploaded file: found in its first bytes or named by the caller, and the decoding
//! of one physical line at a time.
//!
//! Lines are cut on the raw bytes (`lines`) and decoded one by one, so every row knows where it ends in
//! the original file, and a malformed byte can spoil no row but its own. That needs two properties,
//! which every encoding offered here has: CR and LF are never part of another character, and no shift
//! state crosses a line end. ISO-2022-JP has not the second one and is refused by name.

use encoding_rs::{DecoderResult, Encoding};

/// An encoding a file can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
    /// ISO 8859-1: each byte is the code point of its value.
    Latin1,
    /// One of the WHATWG encodings, windows-1252 among them.
    Whatwg(&'static Encoding),
}

/// What the first bytes of a file say about its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Detected {
    /// The encoding.
    pub charset: Charset,
    /// Length of the byte order mark, in bytes.
    pub bom_bytes: usize,
}

/// Share of the 16-bit units of a sample that must be ASCII before it is read as UTF-16 without a mark:
/// one in ten. A text in another script still has its line ends, delimiters, digits and addresses.
const UTF16_ASCII_UNITS_ONE_IN: usize = 10;

/// How much likelier one byte order must look than the other.
const UTF16_ORDER_RATIO: usize = 4;

impl Charset {
    /// windows-1252.
    pub const CP1252: Self = Self::Whatwg(encoding_rs::WINDOWS_1252);

    /// The encoding of that name or alias; `None` if it is unknown or cannot be cut at line ends.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.trim();
        // WHATWG reads these labels as windows-1252; a caller who names them means what they say.
        for latin1 in ["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"] {
            if name.eq_ignore_ascii_case(latin1) {
                return Some(Self::Latin1);
            }
        }
        for cp1252 in ["cp-1252", "windows1252"] {
            if name.eq_ignore_ascii_case(cp1252) {
                return Some(Self::CP1252);
            }
        }
        let found = Encoding::for_label_no_replacement(name.as_bytes())?;
        if found == encoding_rs::UTF_8 {
            Some(Self::Utf8)
        } else if found == encoding_rs::UTF_16LE {
            Some(Self::Utf16Le)
        } else if found == encoding_rs::UTF_16BE {
            Some(Self::Utf16Be)
        } else if found == encoding_rs::ISO_2022_JP || found == encoding_rs::X_USER_DEFINED {
            None
        } else {
            Some(Self::Whatwg(found))
        }
    }

    /// The name, in lower case; [`Charset::by_name`] gives the same encoding back.
    pub fn name(self) -> String {
        match self {
            Self::Utf8 => "utf-8".to_owned(),
            Self::Utf16Le => "utf-16le".to_owned(),
            Self::Utf16Be => "utf-16be".to_owned(),
            Self::Latin1 => "iso-8859-1".to_owned(),
            Self::Whatwg(encoding) => encoding.name().to_ascii_lowercase(),
        }
    }

    /// Bytes of one code unit: line ends are looked for at multiples of it.
    pub const fn unit_bytes(self) -> usize {
        match self {
            Self::Utf16Le | Self::Utf16Be => 2,
            _ => 1,
        }
    }

    /// The unit as a number, for comparison with CR and LF.
    pub fn unit(self, unit: &[u8]) -> u16 {
        match (self, unit) {
            (Self::Utf16Le, [low, high]) => u16::from_le_bytes([*low, *high]),
            (Self::Utf16Be, [high, low]) => u16::from_be_bytes([*high, *low]),
            (_, [one, ..]) => u16::from(*one),
            (_, []) => 0,
        }
    }

    /// Decodes one line, appending to `text`. What is malformed becomes U+FFFD; the answer is the offset
    /// in `text` of the first such place.
    pub fn decode(self, raw: &[u8], text: &mut String) -> Option<usize> {
        match self {
            Self::Utf8 => decode_utf8(raw, text),
            Self::Utf16Le | Self::Utf16Be => self.decode_utf16(raw, text),
            Self::Latin1 => {
                text.extend(raw.iter().copied().map(char::from));
                None
            }
            Self::Whatwg(encoding) => decode_whatwg(encoding, raw, text),
        }
    }

    fn decode_utf16(self, raw: &[u8], text: &mut String) -> Option<usize> {
        let mut first_bad = None;
        let units = raw.chunks_exact(2);
        let odd = !units.remainder().is_empty();
        for decoded in char::decode_utf16(units.map(|unit| self.unit(unit))) {
            if decoded.is_err() {
                first_bad.get_or_insert(text.len());
            }
            text.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if odd {
            first_bad.get_or_insert(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
        first_bad
    }
}

fn decode_utf8(raw: &[u8], text: &mut String) -> Option<usize> {
    let mut first_bad = None;
    for chunk in raw.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            first_bad.get_or_insert(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    first_bad
}

fn decode_whatwg(encoding: &'static Encoding, raw: &[u8], text: &mut String) -> Option<usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut first_bad = None;
    let mut rest = raw;
    loop {
        let room = decoder.max_utf8_buffer_length_without_replacement(rest.len());
        text.reserve(room.unwrap_or(rest.len()));
        let (result, read) = decoder.decode_to_string_without_replacement(rest, text, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return first_bad,
            DecoderResult::OutputFull => text.reserve(rest.len().saturating_mul(3) + 16),
            DecoderResult::Malformed(..) => {
                first_bad.get_or_insert(text.len());
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

/// Finds the encoding of a file in its first bytes, in this order: a name the caller gave; a byte order
/// mark; UTF-16 without one; UTF-8; else a single byte encoding. `whole` says that the sample is all of
/// the file.
pub(super) fn detect(sample: &[u8], named: Option<Charset>, whole: bool) -> Detected {
    let marked = marked(sample);
    if let Some(charset) = named {
        let bom_bytes = marked.filter(|m| m.charset == charset).map_or(0, |m| m.bom_bytes);
        return Detected { charset, bom_bytes };
    }
    if let Some(marked) = marked {
        return marked;
    }
    let charset = unmarked_utf16(sample).unwrap_or_else(|| {
        if reads_as_utf8(sample, whole) { Charset::Utf8 } else { single_byte(sample) }
    });
    Detected { charset, bom_bytes: 0 }
}

fn marked(sample: &[u8]) -> Option<Detected> {
    let found = match sample {
        [0xef, 0xbb, 0xbf, ..] => (Charset::Utf8, 3),
        [0xff, 0xfe, ..] => (Charset::Utf16Le, 2),
        [0xfe, 0xff, ..] => (Charset::Utf16Be, 2),
        _ => return None,
    };
    Some(Detected { charset: found.0, bom_bytes: found.1 })
}

/// UTF-16 without a mark shows as ASCII units whose other byte is zero, on one side only.
fn unmarked_utf16(sample: &[u8]) -> Option<Charset> {
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    let units = sample.len() / 2;
    let (mut little, mut big) = (0_usize, 0_usize);
    for pair in sample.chunks_exact(2) {
        match pair {
            [low, 0] if is_text(*low) => little += 1,
            [0, low] if is_text(*low) => big += 1,
            _ => {}
        }
    }
    let enough = |count: usize| count > 0 && count * UTF16_ASCII_UNITS_ONE_IN >= units;
    if enough(little) && little >= big * UTF16_ORDER_RATIO {
        Some(Charset::Utf16Le)
    } else if enough(big) && big >= little * UTF16_ORDER_RATIO {
        Some(Charset::Utf16Be)
    } else {
        None
    }
}

/// Valid UTF-8 is UTF-8. A sample with faults still is, when it has at least as many characters beyond
/// ASCII that are well-formed: those hardly arise by chance in another encoding, and a few broken rows
/// must not turn every other one into nonsense.
fn reads_as_utf8(sample: &[u8], whole: bool) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    let mut chunks = sample.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        let cut_off = chunks.peek().is_none() && !whole && may_begin_a_character(chunk.invalid());
        if !chunk.invalid().is_empty() && !cut_off {
            bad += 1;
        }
    }
    bad == 0 || (good > 0 && good >= bad)
}

/// Whether these last bytes of a sample may be the first bytes of a character cut in two.
fn may_begin_a_character(bytes: &[u8]) -> bool {
    matches!(bytes, [0xc2..=0xf4, rest @ ..] if rest.iter().all(|b| matches!(b, 0x80..=0xbf)))
}

/// windows-1252 and ISO 8859-1 differ in 0x80–0x9f only: printable in the one, control characters that
/// nobody writes in the other. Five bytes of that range windows-1252 does not define.
fn single_byte(sample: &[u8]) -> Charset {
    let undefined = |b: &u8| matches!(b, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d);
    let between = |b: &u8| matches!(b, 0x80..=0x9f);
    if sample.iter().any(between) && !sample.iter().any(undefined) {
        Charset::CP1252
    } else {
        Charset::Latin1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sample: &[u8]) -> String {
        detect(sample, None, true).charset.name()
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    }

    #[test]
    fn an_encoding_is_found_with_and_without_a_mark() {
        assert_eq!(found(b"\xef\xbb\xbfemail\n"), "utf-8");
        assert_eq!(found(b"\xff\xfee\0"), "utf-16le");
        assert_eq!(found(b"\xfe\xff\0e"), "utf-16be");
        assert_eq!(found(&utf16("email,name\na@b.example,Zo\u{eb}\n", false)), "utf-16le");
        assert_eq!(found(&utf16("email,name\na@b.example,Zo\u{eb}\n", true)), "utf-16be");
        assert_eq!(found(&utf16("имя,почта\nОльга,o@b.example\n", true)), "utf-16be");
        assert_eq!(found("n\u{e4}me\n".as_bytes()), "utf-8");
        assert_eq!(found(b"n\xe4me\n"), "iso-8859-1");
        assert_eq!(found(b"\x93n\xe4me\x94\n"), "windows-1252");
        assert_eq!(found(b""), "utf-8");
    }

    #[test]
    fn a_few_broken_rows_do_not_make_a_utf8_file_another_encoding() {
        let mut sample = "Zo\u{eb},Ren\u{e9}\n".repeat(5).into_bytes();
        sample.extend_from_slice(b"bro\xffken,x\n");
        assert_eq!(found(&sample), "utf-8");
        let mut nul = b"email,name\nada@example.com,a\0b\n".to_vec();
        nul.extend_from_slice(b"bob@example.com,Bob\n");
        assert_eq!(found(&nul), "utf-8");
    }

    #[test]
    fn a_character_cut_by_the_end_of_the_sample_is_not_a_fault() {
        let cut = &"name\n\u{20ac}".as_bytes()[..7];
        assert_eq!(detect(cut, None, false).charset, Charset::Utf8);
        assert_ne!(detect(cut, None, true).charset, Charset::Utf8);
    }

    #[test]
    fn every_name_leads_back_to_its_encoding_and_stateful_ones_are_refused() {
        for name in ["utf-8", "utf-16le", "utf-16be", "iso-8859-1", "windows-1252", "shift_jis"] {
            assert_eq!(Charset::by_name(name).map(Charset::name).as_deref(), Some(name));
        }
        assert_eq!(Charset::by_name("LATIN1"), Some(Charset::Latin1));
        assert_eq!(Charset::by_name("cp1252"), Some(Charset::CP1252));
        assert_eq!(Charset::by_name("iso-2022-jp"), None);
        assert_eq!(Charset::by_name("no such thing"), None);
    }

    #[test]
    fn malformed_bytes_are_reported_where_they_stand() {
        let mut text = String::new();
        assert_eq!(Charset::Utf8.decode(b"ab\xffc", &mut text), Some(2));
        assert_eq!(text, "ab\u{fffd}c");
        let mut text = String::new();
        assert_eq!(Charset::Utf16Le.decode(&[0x00, 0xd8, b'a', 0], &mut text), Some(0));
        let sjis = Charset::by_name("shift_jis").unwrap();
        let mut text = String::new();
        assert_eq!(sjis.decode(b"\x93\xfa\x96\x7b", &mut text), None);
        assert_eq!(text, "\u{65e5}\u{672c}");
        assert!(sjis.decode(b"a\x93\n", &mut text).is_some());
    }
}
