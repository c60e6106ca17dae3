//! People under 18 in imported rows: birth date, age, school grade, minor flag.
//!
//! The threshold is 18 everywhere. Somebody is under 18 until the day of the 18th birthday begins; who
//! was born on 29 February has that birthday on 1 March of a year without one. The caller says which
//! day it is. Where a text has several readings, it counts as a minor's if any of them does: the
//! stricter reading costs a row, the other one a child's data.

use jiff::civil::Date;

use crate::RowCode;

/// Years of age from which data may be kept (policy section 10).
pub const AGE_MIN_YEARS: i16 = 18;
/// Earliest year of birth that is read as one; nobody older lives.
const BIRTH_YEAR_MIN: i16 = 1900;

/// What a column tells about age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Date of birth (field 10 and the headers of fields.md 5).
    BirthDate,
    /// Age in years.
    Age,
    /// Grade or year at school.
    SchoolGrade,
    /// Yes or no.
    MinorFlag,
}

impl Column {
    /// The column a header announces, compared as fields.md 5 compares: lower case, runs of other signs
    /// than letters and digits as one space.
    pub fn of_header(header: &str) -> Option<Self> {
        let lower = header.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        match words.join(" ").as_str() {
            "date of birth" | "birth date" | "birthdate" | "birthday" | "dob" | "born" => {
                Some(Self::BirthDate)
            }
            "age" | "age years" | "age in years" => Some(Self::Age),
            "school grade" | "grade level" | "school year" | "school class" => {
                Some(Self::SchoolGrade)
            }
            "minor" | "is minor" | "under 18" | "under18" | "is under 18" | "underage"
            | "is child" => Some(Self::MinorFlag),
            _ => None,
        }
    }
}

/// The code of a cell that shows a minor.
pub fn check(column: Column, cell: &str, today: Date) -> Option<RowCode> {
    let cell = cell.trim();
    let minor = match column {
        Column::BirthDate => birth_dates(cell, today).iter().any(|born| is_minor(*born, today)),
        Column::Age => age(cell).is_some_and(|years| years < AGE_MIN_YEARS),
        Column::SchoolGrade => is_school_grade(cell),
        Column::MinorFlag => is_yes(cell),
    };
    minor.then_some(RowCode::Minor)
}

/// Whether somebody born on `born` is under 18 on `today`.
pub fn is_minor(born: Date, today: Date) -> bool {
    let Some(year) = born.year().checked_add(AGE_MIN_YEARS) else { return true };
    // 29 February has no day in most years: the birthday is the day after the 28th.
    let birthday = Date::new(year, born.month(), born.day())
        .or_else(|_| Date::new(year, 3, 1))
        .unwrap_or(Date::MAX);
    today < birthday
}

/// Every reading of a birth date; none if it is not one. Years of two digits are the last such year not
/// after `today`; a year alone is its last day.
pub fn birth_dates(text: &str, today: Date) -> Vec<Date> {
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty()).collect();
    let mut readings: Vec<Date> = match parts.as_slice() {
        [only] => compact(only),
        [a, b, c] => three(a, b, c, today),
        // A time after an ISO date: `2008-11-23T00:00:00Z`, `2008-11-23 00:00:00`.
        [a, b, c, ..] if a.len() == 4 => {
            let day = c.split(['T', 't']).next().unwrap_or(c);
            three(a, b, day, today)
        }
        [a, b, c, d, ..] if d.bytes().all(|b| b.is_ascii_digit()) => three(a, b, c, today),
        _ => Vec::new(),
    };
    readings.sort_unstable();
    readings.dedup();
    readings
}

/// `20081123` and `2008`.
fn compact(text: &str) -> Vec<Date> {
    let Some(number) = number(text) else { return Vec::new() };
    let date = match text.len() {
        8 => {
            let (year, rest) = (number / 10_000, number % 10_000);
            date(i32_to_i16(year), i32_to_i16(rest / 100), i32_to_i16(rest % 100))
        }
        4 => date(i32_to_i16(number), 12, 31),
        _ => None,
    };
    date.into_iter().collect()
}

fn three(a: &str, b: &str, c: &str, today: Date) -> Vec<Date> {
    let day = |text: &str| number(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()));
    // `23 Nov 2008`, `23-Nov-08`; `Nov 23rd 2008`.
    for (month_word, day_word) in [(b, a), (a, b)] {
        if let Some(month) = month(month_word) {
            let date = match (year(c, today), day(day_word)) {
                (Some(year), Some(day)) => date(year, month, i32_to_i16(day)),
                _ => None,
            };
            return date.into_iter().collect();
        }
    }
    let (Some(first), Some(second)) = (number(a), number(b)) else { return Vec::new() };
    let (first, second) = (i32_to_i16(first), i32_to_i16(second));
    if a.len() == 4 {
        let day = number(c).map_or(0, i32_to_i16);
        return date(first, second, day).into_iter().collect();
    }
    let Some(year) = year(c, today) else { return Vec::new() };
    // Day first and month first: both, where both are dates.
    [date(year, second, first), date(year, first, second)].into_iter().flatten().collect()
}

fn date(year: i16, month: i16, day: i16) -> Option<Date> {
    if year < BIRTH_YEAR_MIN {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn year(text: &str, today: Date) -> Option<i16> {
    let number = i16::try_from(number(text)?).ok()?;
    match text.len() {
        4 => Some(number),
        2 => {
            let century = today.year() - today.year() % 100;
            let this = century + number;
            Some(if this > today.year() { this - 100 } else { this })
        }
        _ => None,
    }
}

fn month(text: &str) -> Option<i16> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let text = text.to_ascii_lowercase();
    let short = text.len() >= 3;
    let place = MONTHS.iter().position(|m| short && m.starts_with(text.as_str()));
    let place = if text == "sept" { Some(8) } else { place };
    i16::try_from(place? + 1).ok()
}

/// A number of one to eight digits and nothing else.
fn number(text: &str) -> Option<i32> {
    let plain = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Values too large for a part of a date become 0, which no part of a date is.
fn i32_to_i16(value: i32) -> i16 {
    i16::try_from(value).unwrap_or(0)
}

/// `17`, `17 years`, `17.5`, `aged 17`, `17y`: the first number.
fn age(text: &str) -> Option<i16> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (_, rest) = text.split_at(start);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(3).collect();
    digits.parse().ok()
}

/// `K`, `Kindergarten`, `9`, `9th`, `grade 9`, `9th grade`, `year 11`: up to grade 12 (year 13).
fn is_school_grade(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let is_number = |word: &str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        digits.parse::<u8>().is_ok_and(|n| (1..=13).contains(&n))
    };
    match words.as_slice() {
        ["k" | "kg" | "pre" | "kindergarten" | "preschool", ..] => true,
        [only] => is_number(only),
        ["grade" | "class" | "year" | "klasse", n] | [n, "grade" | "class" | "year" | "klasse"] => {
            is_number(n)
        }
        _ => false,
    }
}

fn is_yes(text: &str) -> bool {
    let words = ["1", "true", "yes", "y", "t", "x", "minor", "child", "ja", "oui", "si"];
    words.contains(&text.to_lowercase().as_str())
}
