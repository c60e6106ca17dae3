//! `conditions.time_window`: `Mon-Fri 08:00-18:00 Europe/Berlin`, several separated by `;`.
//!
//! Days are one day or a range, which may pass Sunday; hours are local to the zone, the end not
//! included, `24:00` allowed as an end. A window whose end is not after its start passes midnight and
//! belongs to the day it starts on. What counts is the wall clock of the zone: on the days the clocks
//! change a window is as long as the wall clock makes it. Zones come from the bundled database.

use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use leadvault_domain::Timestamp;

/// Most windows in one condition: one per hour of a week is more than anybody writes.
const WINDOWS_MAX: usize = 168;
const MINUTES_PER_DAY: u16 = 24 * 60;

/// A text that is not a time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time window")]
pub struct TimeWindowError;

/// One or more windows of a week.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeWindow(Vec<Window>);

#[derive(Debug, Clone, PartialEq)]
struct Window {
    /// Days the window starts on, 0 = Monday.
    first_day: u8,
    last_day: u8,
    /// Minutes of the day.
    start: u16,
    end: u16,
    zone: TimeZone,
}

impl TimeWindow {
    /// Whether an instant lies in one of the windows.
    pub fn contains(&self, at: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_microsecond(at.micros()) else { return false };
        self.0.iter().any(|window| window.contains(instant))
    }
}

impl FromStr for TimeWindow {
    type Err = TimeWindowError;

    fn from_str(text: &str) -> Result<Self, TimeWindowError> {
        let windows: Vec<Window> =
            text.split(';').take(WINDOWS_MAX + 1).map(str::parse).collect::<Result<_, _>>()?;
        if windows.len() > WINDOWS_MAX { Err(TimeWindowError) } else { Ok(Self(windows)) }
    }
}

impl Window {
    fn contains(&self, instant: jiff::Timestamp) -> bool {
        let local = instant.to_zoned_datetime(self.zone.clone()).datetime();
        let minute = u16::try_from(local.hour()).unwrap_or(0) * 60
            + u16::try_from(local.minute()).unwrap_or(0);
        let today = day_number(local.weekday());
        let yesterday = (today + 6) % 7;
        if self.start < self.end {
            return self.has_day(today) && (self.start..self.end).contains(&minute);
        }
        (self.has_day(today) && minute >= self.start)
            || (self.has_day(yesterday) && minute < self.end)
    }

    fn has_day(&self, day: u8) -> bool {
        if self.first_day <= self.last_day {
            (self.first_day..=self.last_day).contains(&day)
        } else {
            day >= self.first_day || day <= self.last_day
        }
    }
}

impl FromStr for Window {
    type Err = TimeWindowError;

    fn from_str(text: &str) -> Result<Self, TimeWindowError> {
        let mut parts = text.split_whitespace();
        let (Some(days), Some(hours), Some(zone), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TimeWindowError);
        };
        let (first_day, last_day) = match days.split_once('-') {
            Some((first, last)) => (parse_day(first)?, parse_day(last)?),
            None => (parse_day(days)?, parse_day(days)?),
        };
        let (start, end) = hours.split_once('-').ok_or(TimeWindowError)?;
        let (start, end) = (parse_minute(start)?, parse_minute(end)?);
        if start == MINUTES_PER_DAY || start == end {
            return Err(TimeWindowError);
        }
        let zone = TimeZone::get(zone).map_err(|_| TimeWindowError)?;
        Ok(Self { first_day, last_day, start, end, zone })
    }
}

fn day_number(day: Weekday) -> u8 {
    u8::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

fn parse_day(text: &str) -> Result<u8, TimeWindowError> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let place = DAYS.iter().position(|day| *day == text).ok_or(TimeWindowError)?;
    u8::try_from(place).map_err(|_| TimeWindowError)
}

fn parse_minute(text: &str) -> Result<u16, TimeWindowError> {
    let (hour, minute) = text.split_once(':').ok_or(TimeWindowError)?;
    let two_digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return Err(TimeWindowError);
    }
    let hour: u16 = hour.parse().map_err(|_| TimeWindowError)?;
    let minute: u16 = minute.parse().map_err(|_| TimeWindowError)?;
    let total = hour * 60 + minute;
    if minute < 60 && total <= MINUTES_PER_DAY { Ok(total) } else { Err(TimeWindowError) }
}
