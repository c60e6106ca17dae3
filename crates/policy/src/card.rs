//! Payment card numbers in imported cells.
//!
//! A cell holds one if a run of 13 to 19 digits, single spaces or hyphens between them allowed, starts
//! like a number of a card scheme, has a length of that scheme and satisfies the Luhn check. The prefix
//! matters: one in ten of all long numbers passes Luhn alone, and lead lists are full of long numbers
//! (phones with extensions, ids).

use crate::RowCode;

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// Scheme prefixes: lowest and highest value of the first six digits, and the lengths.
/// ISO/IEC 7812 ranges as the schemes publish them.
const SCHEMES: &[(u32, u32, &[usize])] = &[
    (400_000, 499_999, &[13, 16, 19]),
    (510_000, 559_999, &[16]),
    (222_100, 272_099, &[16]),
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    (300_000, 305_999, &[14, 16, 19]),
    (360_000, 369_999, &[14, 16, 19]),
    (380_000, 399_999, &[14, 16, 19]),
    (601_100, 601_199, &[16, 17, 18, 19]),
    (644_000, 659_999, &[16, 17, 18, 19]),
    (352_800, 358_999, &[16, 17, 18, 19]),
    (620_000, 629_999, &[16, 17, 18, 19]),
];

/// The code of a cell that holds a card number.
pub fn check(cell: &str) -> Option<RowCode> {
    runs(cell).any(|digits| is_card(&digits)).then_some(RowCode::CardNumber)
}

/// Digits of each maximal run of digits with at most one space or hyphen between two of them. A run
/// that touches a letter, or a dot and more digits, is part of something else.
pub(crate) fn runs(cell: &str) -> impl Iterator<Item = Vec<u8>> {
    let bytes = cell.as_bytes();
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let start = next + bytes.get(next..)?.iter().position(u8::is_ascii_digit)?;
            let mut digits = Vec::new();
            let mut end = start;
            while let Some(byte) = bytes.get(end) {
                let separator = matches!(byte, b' ' | b'-')
                    && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
                if byte.is_ascii_digit() {
                    digits.push(byte - b'0');
                } else if !separator {
                    break;
                }
                end += 1;
            }
            next = end;
            let letter = |place: Option<usize>| {
                place.and_then(|p| bytes.get(p)).is_some_and(u8::is_ascii_alphanumeric)
            };
            if !letter(start.checked_sub(1)) && !letter(Some(end)) {
                return Some(digits);
            }
        }
    })
}

fn is_card(digits: &[u8]) -> bool {
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && is_scheme(digits) && luhn(digits)
}

fn is_scheme(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(6).fold(0, |n, d| n * 10 + u32::from(*d));
    SCHEMES.iter().any(|(low, high, lengths)| {
        (*low..=*high).contains(&prefix) && lengths.contains(&digits.len())
    })
}

/// ISO/IEC 7812-1 annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let digit = u32::from(*digit);
            let doubled = if i % 2 == 1 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}
