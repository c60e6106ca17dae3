//! `conditions.time_window`.

use leadvault_policy::time_window::TimeWindow;

use crate::kit::time;

fn open(window: &str, at: &str) -> bool {
    window.parse::<TimeWindow>().expect("a window").contains(time(at))
}

#[test]
fn a_window_is_local_and_excludes_its_end() {
    let week = "Mon-Fri 08:00-18:00 Europe/Berlin";
    // Monday 2026-11-23, Berlin is UTC+1.
    assert!(open(week, "2026-11-23T07:00:00Z"));
    assert!(!open(week, "2026-11-23T06:59:59Z"));
    assert!(open(week, "2026-11-23T16:59:59Z"));
    assert!(!open(week, "2026-11-23T17:00:00Z"));
    assert!(!open(week, "2026-11-22T12:00:00Z"), "Sunday");
    // In summer Berlin is UTC+2.
    assert!(open(week, "2026-07-20T06:00:00Z"));
}

#[test]
fn several_windows_are_separated_by_semicolons() {
    let two = "Mon 08:00-09:00 UTC; Tue 10:00-11:00 UTC";
    assert!(open(two, "2026-11-23T08:30:00Z"));
    assert!(open(two, "2026-11-24T10:30:00Z"));
    assert!(!open(two, "2026-11-24T08:30:00Z"));
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_it_starts_on() {
    let night = "Fri 22:00-06:00 UTC";
    assert!(open(night, "2026-11-27T23:00:00Z"));
    assert!(open(night, "2026-11-28T05:59:00Z"), "Saturday morning");
    assert!(!open(night, "2026-11-27T05:00:00Z"), "Friday morning");
    assert!(!open(night, "2026-11-28T22:30:00Z"));
}

#[test]
fn days_may_pass_sunday_and_a_day_has_24_hours() {
    let weekend = "Sat-Mon 00:00-24:00 UTC";
    assert!(open(weekend, "2026-11-22T23:59:59Z"), "Sunday");
    assert!(open(weekend, "2026-11-23T12:00:00Z"), "Monday");
    assert!(!open(weekend, "2026-11-24T00:00:00Z"), "Tuesday");
}

#[test]
fn on_the_day_the_clocks_go_back_the_hour_counts_twice() {
    // 2026-10-25 in Berlin: 02:00-03:00 happens at 00:00Z and again at 01:00Z.
    let hour = "Sun 02:00-03:00 Europe/Berlin";
    assert!(open(hour, "2026-10-25T00:30:00Z"));
    assert!(open(hour, "2026-10-25T01:30:00Z"));
    assert!(!open(hour, "2026-10-25T02:30:00Z"));
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        ";",
        "Mon-Fri",
        "Mon-Fri 08:00-18:00",
        "Mon-Fri 8:00-18:00 UTC",
        "mon 08:00-09:00 UTC",
        "Mon 08:00-08:00 UTC",
        "Mon 24:00-08:00 UTC",
        "Mon 08:60-09:00 UTC",
        "Mon 08:00-24:01 UTC",
        "Mon 08:00-09:00 Mars/Base",
        "Mon 08:00-09:00 UTC extra",
        "Mon 08:00-09:00 UTC;",
    ] {
        assert!(text.parse::<TimeWindow>().is_err(), "{text}");
    }
}
