//! Who is under 18.

use jiff::civil::{Date, date};
use leadvault_policy::RowCode;
use leadvault_policy::minor::{Column, birth_dates, check, is_minor};

const TODAY: Date = date(2026, 11, 23);

fn refused(column: Column, cell: &str) -> bool {
    check(column, cell, TODAY) == Some(RowCode::Minor)
}

#[test]
fn seventeen_years_and_364_days_is_a_minor_and_eighteen_years_is_not() {
    assert!(is_minor(date(2008, 11, 24), TODAY));
    assert!(!is_minor(date(2008, 11, 23), TODAY));
    assert!(!is_minor(date(1945, 10, 26), TODAY));
    assert!(is_minor(date(2027, 1, 1), TODAY), "not born yet");
}

#[test]
fn who_is_born_on_a_leap_day_is_of_age_on_the_first_of_march() {
    let born = date(2008, 2, 29);
    assert!(is_minor(born, date(2026, 2, 28)));
    assert!(!is_minor(born, date(2026, 3, 1)));
    assert!(!is_minor(date(2008, 2, 28), date(2026, 2, 28)));
    assert!(!is_minor(Date::MAX, Date::MAX) || is_minor(Date::MAX, Date::MAX), "total");
}

#[test]
fn the_same_instant_is_another_day_elsewhere() {
    // The caller says which day it is: the day before in UTC, the birthday in Auckland.
    let born = date(2008, 11, 24);
    assert!(is_minor(born, date(2026, 11, 23)));
    assert!(!is_minor(born, date(2026, 11, 24)));
}

#[test]
fn dates_are_read_in_the_forms_lists_have_them() {
    let born = date(2010, 11, 23);
    for text in [
        "2010-11-23",
        "2010/11/23",
        "20101123",
        "23.11.2010",
        "11/23/2010",
        "23/11/2010",
        "23 Nov 2010",
        "23-Nov-10",
        "Nov 23, 2010",
        "November 23rd 2010",
        "23/11/10",
        "11/23/10",
        "2010-11-23T00:00:00Z",
        "2010-11-23 00:00:00",
        "23/11/2010 00:00",
    ] {
        assert_eq!(birth_dates(text, TODAY), [born], "{text}");
        assert!(refused(Column::BirthDate, text), "{text}");
    }
    assert_eq!(birth_dates("2010-1-3", TODAY), [date(2010, 1, 3)]);
}

#[test]
fn a_date_with_two_readings_counts_as_the_younger_one() {
    // 4 December or 12 April 2008: the first is under 18 on 2026-11-23.
    assert_eq!(birth_dates("04/12/2008", TODAY), [date(2008, 4, 12), date(2008, 12, 4)]);
    assert!(refused(Column::BirthDate, "04/12/2008"));
    assert!(!refused(Column::BirthDate, "04/10/2008"));
}

#[test]
fn a_year_alone_counts_to_its_end() {
    assert!(refused(Column::BirthDate, "2008"));
    assert!(!refused(Column::BirthDate, "2007"));
}

#[test]
fn what_is_no_date_refuses_nothing() {
    for text in [
        "",
        "n/a",
        "unknown",
        "0",
        "13",
        "99/99/2010",
        "2010-13-01",
        "2010-02-30",
        "1-2",
        "1850-01-01",
        "a b c",
        "1 2 3",
        "2010-11",
        "Nov 2010 23 x",
        "ünïcødé 1 2",
        "12345678901234",
    ] {
        assert!(!refused(Column::BirthDate, text), "{text}");
    }
}

#[test]
fn ages_grades_and_flags() {
    for text in ["17", "17 years", "aged 9", "0", "17.9"] {
        assert!(refused(Column::Age, text), "{text}");
    }
    for text in ["18", "18 years", "45", "", "adult", "101"] {
        assert!(!refused(Column::Age, text), "{text}");
    }
    for text in ["K", "Kindergarten", "9", "9th", "grade 9", "9th grade", "Year 11", "12"] {
        assert!(refused(Column::SchoolGrade, text), "{text}");
    }
    for text in ["", "college", "14", "graduate", "A"] {
        assert!(!refused(Column::SchoolGrade, text), "{text}");
    }
    for text in ["1", "true", "YES", " y "] {
        assert!(refused(Column::MinorFlag, text), "{text}");
    }
    for text in ["0", "false", "no", ""] {
        assert!(!refused(Column::MinorFlag, text), "{text}");
    }
}

#[test]
fn headers_that_announce_an_age() {
    for (header, column) in [
        ("Date of birth", Some(Column::BirthDate)),
        ("DOB", Some(Column::BirthDate)),
        (" AGE ", Some(Column::Age)),
        ("School-Grade", Some(Column::SchoolGrade)),
        ("is_minor", Some(Column::MinorFlag)),
        ("Page", None),
        ("Lead Grade", None),
        ("", None),
    ] {
        assert_eq!(Column::of_header(header), column, "{header}");
    }
}
