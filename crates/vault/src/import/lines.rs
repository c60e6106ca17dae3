//! Physical lines of a file, each with the offset in the original bytes where it ends.
//!
//! Bytes in, lines out, in any chunking. LF, CR and CRLF end a line, also mixed in one file; the line
//! end stays part of the text, because a quoted cell keeps it. Memory: one line, at most
//! [`LINE_BYTES_MAX`]; of a longer one the first part is kept and the rest counted.

use zeroize::Zeroizing;

use super::encoding::Charset;

/// Longest line that is read as a whole, in bytes of the file: two rows' worth of text
/// ([`super::csv::ROW_BYTES_MAX`]), because UTF-16 takes two bytes for a letter.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;

const LF: u16 = 0x0a;
const CR: u16 = 0x0d;

/// One physical line.
#[derive(Clone)]
pub(super) struct Line {
    /// The text, line end included.
    pub text: Zeroizing<String>,
    /// Offset in the file right after the line end, in bytes.
    pub end_byte: u64,
    /// Offset in `text` of the first malformed place.
    pub bad_at: Option<usize>,
    /// Whether only the first part is here.
    pub cut: bool,
}

impl Line {
    /// The text without its line end, and the line end.
    pub(super) fn parts(&self) -> (&str, &str) {
        let body = self.text.trim_end_matches(['\r', '\n']);
        // A line holds one line end at most, and only at its end: nothing else can be trimmed.
        self.text.split_at(body.len())
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line(to {})", self.end_byte)
    }
}

/// Cuts bytes into lines.
pub(super) struct LineReader {
    charset: Charset,
    raw: Zeroizing<Vec<u8>>,
    /// First byte of a two-byte unit whose second one has not come yet.
    half: Option<u8>,
    /// Offset in the file right after what `raw` (and what was cut off) holds.
    position: u64,
    after_cr: bool,
    cut: bool,
}

impl std::fmt::Debug for LineReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineReader(at {})", self.position)
    }
}

impl LineReader {
    /// A reader whose first byte lies at `position` of the file.
    pub(super) fn new(charset: Charset, position: u64) -> Self {
        Self {
            charset,
            raw: Zeroizing::new(Vec::new()),
            half: None,
            position,
            after_cr: false,
            cut: false,
        }
    }

    /// Offset in the file right after what was taken, half a unit apart.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that wait for their line end.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Takes the next bytes and gives every line they complete.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Line)) {
        let mut rest = bytes;
        if let (Some(first), Some((second, tail))) = (self.half, rest.split_first()) {
            self.half = None;
            self.take_unit(&[first, *second], sink);
            rest = tail;
        }
        let width = self.charset.unit_bytes();
        while rest.len() >= width {
            if !self.after_cr {
                let (run, tail) = rest.split_at(self.plain_bytes(rest));
                self.keep(run);
                rest = tail;
            }
            let Some((unit, tail)) = rest.split_at_checked(width) else { break };
            self.take_unit(unit, sink);
            rest = tail;
        }
        if width == 2 && self.half.is_none() {
            self.half = rest.first().copied();
        }
    }

    /// The end of the file: gives the last line, if it has no line end.
    pub(super) fn finish(&mut self, sink: &mut dyn FnMut(Line)) {
        if let Some(half) = self.half.take() {
            if self.after_cr {
                self.emit(sink);
            }
            self.keep(&[half]);
        }
        if !self.raw.is_empty() {
            self.emit(sink);
        }
    }

    /// Length of the run before the next line end, a multiple of the unit.
    fn plain_bytes(&self, bytes: &[u8]) -> usize {
        let charset = self.charset;
        if charset.unit_bytes() == 1 {
            bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len())
        } else {
            let ends = |unit: &[u8]| matches!(charset.unit(unit), LF | CR);
            let units = bytes.chunks_exact(2).position(ends).unwrap_or(bytes.len() / 2);
            units * 2
        }
    }

    fn take_unit(&mut self, unit: &[u8], sink: &mut dyn FnMut(Line)) {
        match self.charset.unit(unit) {
            LF => {
                self.keep(unit);
                self.emit(sink);
            }
            other => {
                if self.after_cr {
                    self.emit(sink);
                }
                self.keep(unit);
                self.after_cr = other == CR;
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.position = self.position.saturating_add(bytes.len() as u64);
        let room = LINE_BYTES_MAX.saturating_sub(self.raw.len());
        self.cut |= bytes.len() > room;
        self.raw.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn emit(&mut self, sink: &mut dyn FnMut(Line)) {
        let mut text = Zeroizing::new(String::with_capacity(self.raw.len()));
        let bad_at = self.charset.decode(&self.raw, &mut text);
        sink(Line { text, end_byte: self.position, bad_at, cut: self.cut });
        self.raw.clear();
        self.after_cr = false;
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(charset: Charset, bytes: &[u8], chunk: usize) -> Vec<(String, u64)> {
        let mut reader = LineReader::new(charset, 0);
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push((line.text.to_string(), line.end_byte));
        for part in bytes.chunks(chunk) {
            reader.push(part, &mut sink);
        }
        reader.finish(&mut sink);
        lines
    }

    #[test]
    fn every_line_knows_where_it_ends_in_the_file_in_any_chunking() {
        let text = "a\r\nb\rc\n\n\rd\r\r\ne";
        let lines = ["a\r\n", "b\r", "c\n", "\n", "\r", "d\r", "\r\n", "e"];
        for (charset, width) in [(Charset::Utf8, 1), (Charset::Utf16Le, 2), (Charset::Utf16Be, 2)] {
            let bytes: Vec<u8> = match charset {
                Charset::Utf8 => text.as_bytes().to_vec(),
                Charset::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                _ => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            };
            let mut end = 0;
            let expected: Vec<_> = lines
                .iter()
                .map(|line| {
                    end += (line.len() * width) as u64;
                    ((*line).to_owned(), end)
                })
                .collect();
            for chunk in 1..=bytes.len() {
                assert_eq!(read(charset, &bytes, chunk), expected, "{charset:?} by {chunk}");
            }
        }
    }

    #[test]
    fn a_line_feed_inside_a_wide_character_is_no_line_end() {
        // U+0A0D and U+0D0A hold the bytes of CR and LF.
        let bytes: Vec<u8> = "\u{a0d}\u{d0a}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(Charset::Utf16Le, &bytes, 3).len(), 1);
    }

    #[test]
    fn of_an_endless_line_only_the_first_part_is_kept() {
        let mut reader = LineReader::new(Charset::Utf8, 10);
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push(line);
        let block = vec![b'x'; 1 << 20];
        for _ in 0..6 {
            reader.push(&block, &mut sink);
        }
        reader.push(b"\nnext\n", &mut sink);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].cut && lines[0].text.len() == LINE_BYTES_MAX);
        assert_eq!(lines[0].end_byte, 10 + (6 << 20) + 1);
        assert!(!lines[1].cut);
    }
}
