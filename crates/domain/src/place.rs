//! Places: regions of cells, countries and subdivisions.

use std::fmt;
use std::str::FromStr;

/// A text that is not a place of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place of this form")]
pub struct PlaceError;

/// ISO 3166-1 alpha-2 members of the European Economic Area.
const EEA: &[&str] = &[
    "AT", "BE", "BG", "HR", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Two upper-case letters: an ISO 3166-1 alpha-2 country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl FromStr for Country {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(PlaceError),
        }
    }
}

/// `EEA`, a country, or a country's subdivision (`US-CA`, `CA-QC`), as location lists hold them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(String);

impl Place {
    /// The text of the place.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this entry of a list covers `other`: the same place, the EEA one of its members, a
    /// country its own subdivisions.
    pub fn covers(&self, other: &Self) -> bool {
        let country = other.0.split('-').next().unwrap_or(&other.0);
        self.0 == other.0 || self.0 == country || (self.0 == "EEA" && EEA.contains(&country))
    }
}

impl From<Country> for Place {
    fn from(country: Country) -> Self {
        Self(country.as_str().to_owned())
    }
}

impl FromStr for Place {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text == "EEA" {
            return Ok(Self(text.to_owned()));
        }
        let (country, rest) = text.split_once('-').map_or((text, None), |(c, r)| (c, Some(r)));
        country.parse::<Country>()?;
        let rest_ok = rest.is_none_or(|r| {
            (1..=3).contains(&r.len())
                && r.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        });
        if rest_ok { Ok(Self(text.to_owned())) } else { Err(PlaceError) }
    }
}

/// The region of a cell: 1 to 32 of `a-z0-9-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

impl Region {
    /// The text of the region.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let ok = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(PlaceError) }
    }
}

macro_rules! text_serde {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_serde!(Country, Place, Region);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_covers_its_parts_and_the_eea_its_members() {
        let place = |t: &str| t.parse::<Place>().unwrap_or(Place(String::new()));
        assert!(place("CA").covers(&place("CA-QC")));
        assert!(!place("CA-QC").covers(&place("CA")));
        assert!(place("EEA").covers(&place("NO")));
        assert!(!place("EEA").covers(&place("GB")));
        assert!("eu".parse::<Place>().is_err());
        assert!("US-CALI".parse::<Place>().is_err());
    }
}
