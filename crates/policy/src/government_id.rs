//! Government identity numbers in imported cells.
//!
//! Conservative on purpose: only forms that nothing else in a lead list has, each with the checks its
//! issuer publishes. A wrong refusal costs a customer a row; bare nine-digit numbers are therefore
//! never taken for one.
//!
//! | number | form |
//! |---|---|
//! | US social security number | `AAA-GG-SSSS`, hyphens required; area not 000, 666, 9xx; group not 00; serial not 0000 |
//! | US taxpayer number (ITIN) | `9AA-GG-SSSS`, group 50–65, 70–88, 90–92, 94–99 |
//! | UK national insurance number | two letters, six digits, a letter A–D; spaces between pairs allowed; letters and prefixes as HMRC issues them |
//! | Indian Aadhaar | `NNNN NNNN NNNN`, first digit 2–9, Verhoeff check |

use crate::RowCode;

/// The code of a cell that holds a government identity number.
pub fn check(cell: &str) -> Option<RowCode> {
    let words: Vec<&str> = cell.split(is_boundary).filter(|word| !word.is_empty()).collect();
    let single = words.iter().any(|word| is_ssn(word) || is_nino(word));
    let triple = words.windows(3).any(|w| matches!(w, [a, b, c] if is_aadhaar([*a, *b, *c])));
    let spaced = words.windows(5).any(|w| is_nino(&w.concat()) && w.iter().all(|p| p.len() <= 2));
    (single || triple || spaced).then_some(RowCode::GovernmentId)
}

/// Everything but letters, digits and the signs numbers are joined with ends a word.
fn is_boundary(c: char) -> bool {
    !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '/' | '+' | '@'))
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn is_ssn(word: &str) -> bool {
    // A full stop may end a sentence; it joins nothing then.
    let mut parts = word.trim_end_matches('.').split('-');
    let (Some(area), Some(group), Some(serial), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Some(area), Some(group), Some(serial)) =
        (digits(area, 3), digits(group, 2), digits(serial, 4))
    else {
        return false;
    };
    match area {
        0 | 666 => false,
        900..=999 => matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99) && serial != 0,
        _ => group != 0 && serial != 0,
    }
}

fn is_nino(word: &str) -> bool {
    let word = word.trim_end_matches('.').as_bytes();
    let [first, second, number @ .., suffix] = word else { return false };
    let prefix = [*first, *second];
    number.len() == 6
        && number.iter().all(u8::is_ascii_digit)
        && matches!(suffix, b'A'..=b'D')
        && first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(first)
        && !b"DFIOQUV".contains(second)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&prefix)
}

fn is_aadhaar(groups: [&str; 3]) -> bool {
    let [first, ..] = groups;
    groups.iter().all(|g| digits(g, 4).is_some())
        && !first.starts_with(['0', '1'])
        && verhoeff(groups.concat().bytes().map(|b| b - b'0'))
}

/// J. Verhoeff, "Error detecting decimal codes", 1969: the dihedral group of order ten.
fn verhoeff(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u8, times: usize| {
        (0..times).fold(digit, |d, _| STEP.get(usize::from(d)).copied().unwrap_or(d))
    };
    let check = digits.rev().enumerate().fold(0, |c, (i, d)| dihedral(c, permuted(d, i % 8)));
    check == 0
}

/// Product in the dihedral group of order ten: 0–4 turn, 5–9 flip.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}
