//! The header row: how a header is compared, and whether a row can be one (fields.md 5).

use unicode_normalization::UnicodeNormalization;

use super::cells::Cells;
use super::shape;

/// A header as it is compared: NFKC, lower case, everything but letters and digits one space, trimmed.
pub(super) fn normalise(header: &str) -> String {
    let mut compared = String::with_capacity(header.len());
    for c in header.nfkc().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            compared.push(c);
        } else if !compared.is_empty() && !compared.ends_with(' ') {
            compared.push(' ');
        }
    }
    compared.truncate(compared.trim_end().len());
    compared
}

/// Whether a first row can be a header row: some cell is named, and none parses as e-mail, phone, date
/// or number.
pub(super) fn is_header_row(cells: &Cells) -> bool {
    let texts = || cells.iter().filter_map(|(_, cell)| cell);
    texts().any(|cell| !cell.trim().is_empty()) && !texts().any(shape::is_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_compared_without_case_signs_and_width() {
        for (header, compared) in [
            ("E-mail 1 - Value", "e mail 1 value"),
            ("  First_Name ", "first name"),
            ("State/Region", "state region"),
            ("\u{ff25}\u{ff4d}\u{ff41}\u{ff49}\u{ff4c}", "email"),
            ("Company / Account", "company account"),
            ("\u{feff}Email", "email"),
            ("---", ""),
        ] {
            assert_eq!(normalise(header), compared);
        }
    }

    #[test]
    fn a_row_with_a_value_in_it_is_no_header_row() {
        let row = |cells: &[&str]| is_header_row(&cells.iter().copied().collect());
        assert!(row(&["Index", "First Name", "", "Phone 1"]));
        assert!(!row(&["Ada", "ada@example.com"]));
        assert!(!row(&["Name", "2026-01-01"]));
        assert!(!row(&["", " "]));
        assert!(!row(&[]));
    }
}
