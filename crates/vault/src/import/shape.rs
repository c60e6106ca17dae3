//! What a cell looks like, judged cheaply: to tell a header row from data (fields.md 5) and a column of
//! addresses from a column of names. Not a validation of anything.

/// Fewest digits of what counts as a phone number (fields.md 5).
const PHONE_DIGITS_MIN: usize = 7;

/// Whether a cell looks like an e-mail address.
pub(super) fn is_email(cell: &str) -> bool {
    let cell = cell.trim();
    let Some((local, domain)) = cell.rsplit_once('@') else { return false };
    let inner_dot = domain.trim_matches('.').contains('.');
    !local.is_empty() && inner_dot && !cell.contains(char::is_whitespace)
}

/// Whether a cell looks like a phone number of seven digits or more, an extension included.
pub(super) fn is_phone(cell: &str) -> bool {
    let lower = cell.trim().to_ascii_lowercase();
    let lower = lower.strip_prefix("tel:").unwrap_or(&lower);
    let number = ["extension", "ext.", "ext", "x", "#"]
        .iter()
        .find_map(|mark| lower.split_once(mark))
        .map_or(lower, |(number, _)| number);
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let signs = |c: char| c.is_ascii_digit() || " +-.()/\u{a0}\u{2011}\u{2013}".contains(c);
    digits >= PHONE_DIGITS_MIN && number.chars().all(signs)
}

/// Whether a cell looks like a number, with separators, sign, currency or per cent.
pub(super) fn is_number(cell: &str) -> bool {
    let cell = cell.trim().trim_end_matches(['%', '\u{20ac}']);
    let cell = cell.trim_start_matches(['+', '-', '$', '\u{20ac}', '\u{a3}']).trim();
    let mantissa = cell.split_once(['e', 'E']).map_or(cell, |(mantissa, exponent)| {
        let exponent = exponent.trim_start_matches(['+', '-']);
        if !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit()) {
            mantissa
        } else {
            cell
        }
    });
    let signs = |c: char| c.is_ascii_digit() || ".,'\u{a0} ".contains(c);
    mantissa.chars().any(|c| c.is_ascii_digit()) && mantissa.chars().all(signs)
}

/// Whether a cell looks like a date or a time stamp, written with digits, or a day beside the name of a
/// month.
pub(super) fn is_date(cell: &str) -> bool {
    let cell = cell.trim();
    let date = cell.split_once(['T', ' ']).map_or(cell, |(date, time)| {
        let timely = |c: char| c.is_ascii_digit() || ":.+-Z".contains(c);
        if time.contains(':') && time.chars().all(timely) { date } else { cell }
    });
    ['-', '/', '.'].iter().any(|sign| is_digit_date(date, *sign)) || is_month_date(cell)
}

fn is_digit_date(date: &str, sign: char) -> bool {
    let mut lengths = [0_usize; 3];
    let mut parts = date.split(sign);
    for length in &mut lengths {
        let Some(part) = parts.next() else { return false };
        if part.is_empty() || part.len() > 4 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        *length = part.len();
    }
    let [first, middle, last] = lengths;
    parts.next().is_none() && middle <= 2 && (first <= 2 || last <= 2) && first.max(last) >= 2
}

fn is_month_date(cell: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let words: Vec<&str> = cell.split([' ', ',', '-', '.']).filter(|w| !w.is_empty()).collect();
    let day_or_year = |w: &&&str| {
        let digits = w.trim_end_matches(|c: char| c.is_ascii_lowercase());
        (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let month = |w: &&&str| {
        let lower = w.to_ascii_lowercase();
        lower.bytes().all(|b| b.is_ascii_lowercase()) && MONTHS.iter().any(|m| lower.starts_with(m))
    };
    words.len() == 3
        && words.iter().filter(day_or_year).count() == 2
        && words.iter().filter(month).count() == 1
}

/// Whether a cell cannot be the name of a column.
pub(super) fn is_data(cell: &str) -> bool {
    is_email(cell) || is_number(cell) || is_phone(cell) || is_date(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_from_names_of_columns() {
        for data in [
            "ada@example.com",
            "+1 (415) 555-0100",
            "917-584-0243x4606",
            "001-307-937-7505 ext. 12",
            "tel:+442079460000",
            "1990-04-12",
            "12.04.1990",
            "4/12/90",
            "2026-11-23T09:00:00Z",
            "2026-11-23 09:00:00",
            "April 12, 1990",
            "12-Apr-1990",
            "3rd May 2020",
            "42",
            "-1,234.50",
            "1e5",
            "12 %",
            "$5",
        ] {
            assert!(is_data(data), "{data}");
        }
        for name in [
            "Email 1",
            "E-mail 1 - Value",
            "Phone 2",
            "Last Activity Date (EST)",
            "@handle",
            "Address 1: Street",
            "x",
            "",
            "May",
            "Employees #",
            "1st name",
            "e-mail",
            "+",
        ] {
            assert!(!is_data(name), "{name}");
        }
    }
}
