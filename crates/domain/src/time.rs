//! Time as a parameter: instants in microseconds since 1970, UTC.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A clock. `now()` of the system is called in one place, the composition root's implementation.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, never negative.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// The instant `seconds` later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Time since an earlier moment; none where the clock went back meanwhile.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let micros = self.micros().saturating_sub(earlier.micros());
        std::time::Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Whole seconds from `earlier` to `self`; negative if `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// Cut to the minute, as row times are kept in clear (protocols.md 5).
    #[must_use]
    pub const fn to_minute(self) -> Self {
        Self(self.0 - self.0.rem_euclid(60_000_000))
    }

    /// RFC 3339 UTC with six digits and `Z`: `2026-11-23T09:00:00.000000Z`.
    pub fn rfc3339(self) -> String {
        let t = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        t.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    /// The calendar day in UTC.
    pub fn date(self) -> Date {
        let t = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        t.to_zoned_datetime(TimeZone::UTC).date()
    }

    /// Parses RFC 3339 (any offset); `None` if it is not that.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.rfc3339())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_with_six_digits() {
        let t = Timestamp::from_micros(1_795_424_400_000_001);
        let shown = t.rfc3339();
        assert!(shown.ends_with(".000001Z"), "{shown}");
        assert_eq!(Timestamp::parse_rfc3339(&shown), Some(t));
        assert_eq!(t.to_minute().micros() % 60_000_000, 0);
        assert!(Timestamp::parse_rfc3339("yesterday").is_none());
    }
}
