//! Files that are no text, known by their first bytes: a spreadsheet, an archive, a picture. Read as a table
//! they would come in as rows of rubbish.

/// Bytes that are looked at.
pub const MAGIC_BYTES: u64 = 16;

/// Beginnings, and what begins so.
const KINDS: [(&[u8], &str); 15] = [
    (b"PK\x03\x04", "ZIP or spreadsheet (XLSX, ODS)"),
    (b"PK\x05\x06", "ZIP"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet (XLS)"),
    (b"%PDF-", "PDF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x7fELF", "program"),
    (b"age-encryption.o", "age-encrypted"),
];

/// What kind of file begins so, where it is one that holds no rows of text.
pub fn binary_kind(start: &[u8]) -> Option<&'static str> {
    KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_files_are_known_and_texts_are_none() {
        assert_eq!(binary_kind(b"%PDF-1.7\n%\xe2"), Some("PDF"));
        assert_eq!(
            binary_kind(b"PK\x03\x04\x14\x00\x06\x00"),
            Some("ZIP or spreadsheet (XLSX, ODS)")
        );
        for text in
            [&b"Email,Name\n"[..], b"\xef\xbb\xbfEmail\n", b"\xff\xfeE\x00m\x00", b"PK,Name\n", b""]
        {
            assert_eq!(binary_kind(text), None);
        }
        let longest = KINDS.iter().map(|(magic, _)| magic.len()).max();
        assert_eq!(longest.map(|n| n as u64), Some(MAGIC_BYTES));
    }
}
