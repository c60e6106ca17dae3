//! Phone numbers: E.164 where libphonenumber calls the number valid, else its bare digits.
//!
//! The rule: the text is trimmed; a number that starts with `+`, or with the international prefix of
//! the default region, names its country itself and is read without a region (with one, `phonenumber`
//! strips the default region's trunk prefix from foreign numbers); any other is read in the default
//! region. Extensions are dropped. The parser's answer is the definition; the fast path answers only
//! where it is the same by construction and is compared with it in tests (ADR 0002).

use phonenumber::country::Id;
use phonenumber::{Mode, is_valid, metadata::DATABASE};

use super::phone_fast;
use super::phone_rules::{self, AskParser, Region};

/// Longest text that is read as a number; beyond it is prose, and only its digits are kept.
const TEXT_BYTES_MAX: usize = 128;

/// Fewest digits that tell one number from another; E.164 has no shorter national number.
const DIGITS_MIN: usize = 2;

/// A normalised number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phone {
    /// `+` and digits, valid by libphonenumber's metadata.
    E164(String),
    /// `raw:` and the digits before any extension, of what is not valid.
    Raw(String),
}

impl Phone {
    /// The form to tag; nothing where there are too few digits to find anybody by.
    pub fn taggable(&self) -> Option<&str> {
        match self {
            Self::E164(text) => Some(text),
            Self::Raw(text) => (text.len() >= "raw:".len() + DIGITS_MIN).then_some(text),
        }
    }
}

/// Reads numbers in one default region.
#[derive(Clone)]
pub struct PhoneParser {
    region: Option<(Id, &'static Region)>,
}

impl PhoneParser {
    /// For a default region as ISO 3166-1 alpha-2, in capitals. An unknown one counts as none: only
    /// numbers that name their country are valid then.
    pub fn new(default_region: Option<&str>) -> Self {
        let region = default_region.and_then(|code| {
            let id = code.parse::<Id>().ok()?;
            Some((id, phone_rules::region(id.as_ref())?))
        });
        Self { region }
    }

    /// The normalised form of one number.
    pub fn e164(&mut self, text: &str) -> Phone {
        let text = text.trim();
        phone_fast::read(text, self.region.map(|(_, rules)| rules))
            .unwrap_or_else(|AskParser| self.e164_by_parser(text))
    }

    /// The definition: libphonenumber's answer, which [`PhoneParser::e164`] gives sooner.
    pub fn e164_by_parser(&self, text: &str) -> Phone {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return raw(text);
        }
        let number = if names_its_country(text) {
            phonenumber::parse(None, text)
        } else if let Some(rest) = self.after_international_prefix(text) {
            // The blank keeps the parser from taking the first group for the country code.
            phonenumber::parse(None, format!("+ {rest}"))
        } else {
            phonenumber::parse(self.region.map(|(id, _)| id), text)
        };
        match number {
            Ok(number) if is_valid(&number) => {
                Phone::E164(number.format().mode(Mode::E164).to_string())
            }
            _ => raw(text),
        }
    }

    /// What follows the default region's international prefix; a zero after it means it was none.
    fn after_international_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        let prefix = DATABASE.by_id(self.region?.0.as_ref())?.international_prefix()?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let found = prefix.find(&digits).filter(|found| found.start() == 0 && found.end() > 0)?;
        if digits.as_bytes().get(found.end()) == Some(&b'0') {
            return None;
        }
        let (last, _) = text.match_indices(|c: char| c.is_ascii_digit()).nth(found.end() - 1)?;
        text.get(last + 1..)
    }
}

impl std::fmt::Debug for PhoneParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let region = self.region.map(|(id, _)| id);
        f.debug_struct("PhoneParser").field("region", &region).finish_non_exhaustive()
    }
}

/// Whether a plus comes before any digit.
fn names_its_country(text: &str) -> bool {
    let is_plus = |c| c == '+' || c == '\u{ff0b}';
    text.chars().find(|c| is_plus(*c) || c.is_numeric()).is_some_and(is_plus)
}

/// The digits of a number that is not valid, up to the mark of an extension.
pub(super) fn raw(text: &str) -> Phone {
    let mut out = "raw:".to_owned();
    for c in text.chars() {
        match c {
            '0'..='9' => out.push(c),
            'x' | 'X' | '#' | ';' | ',' if out.len() > "raw:".len() => break,
            _ => {}
        }
    }
    Phone::Raw(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(region: Option<&str>, text: &str) -> Phone {
        PhoneParser::new(region).e164(text)
    }

    fn e164(text: &str) -> Phone {
        Phone::E164(text.to_owned())
    }

    #[test]
    fn spellings_of_one_number_share_a_form() {
        for text in [
            "650-253-0000",
            "(650)253-0000x123",
            " 650.253.0000 ",
            "1 650 253 0000",
            "+1-650-253-0000",
            "+16502530000",
            "+1 (650) 253-0000 ext. 7",
            "tel:+1-650-253-0000",
            "650-253-0000;ext=12",
        ] {
            assert_eq!(read(Some("US"), text), e164("+16502530000"), "{text}");
        }
        for text in ["020 7946 0000", "(020) 79460000", "+44 (0)20 7946 0000", "0044 20 7946 0000"]
        {
            assert_eq!(read(Some("GB"), text), e164("+442079460000"), "{text}");
        }
    }

    #[test]
    fn a_foreign_number_keeps_digits_that_look_like_the_default_regions_trunk_prefix() {
        for text in
            ["+4915112345678", "+49 151 12345678", "011 49 151 12345678", "+49-151-12345678x9"]
        {
            assert_eq!(read(Some("US"), text), e164("+4915112345678"), "{text}");
        }
    }

    #[test]
    fn what_is_not_valid_keeps_its_digits_without_the_extension() {
        let raw = |text: &str| Phone::Raw(text.to_owned());
        assert_eq!(read(Some("US"), "001-650-253-0000x12"), raw("raw:0016502530000"));
        assert_eq!(read(None, "650-253-0000x12"), raw("raw:6502530000"));
        assert_eq!(read(Some("XX"), "12 34 ext. 5"), raw("raw:1234"));
        assert_eq!(read(Some("US"), "n/a"), raw("raw:"));
    }

    #[test]
    fn too_few_digits_are_not_tagged() {
        assert_eq!(read(Some("US"), "n/a").taggable(), None);
        assert_eq!(read(Some("US"), "7").taggable(), None);
        assert_eq!(read(Some("US"), "77").taggable(), Some("raw:77"));
        assert_eq!(read(Some("US"), "6502530000").taggable(), Some("+16502530000"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn no_text_panics_and_e164_reads_back_as_itself(
            region in proptest::sample::select(vec!["US", "DE", "AR", "BR", "MX", "AU", "RU", "IT", "CR"]),
            text in "\\PC{0,24}|[+0-9a-fx ().,;=#*-]{0,40}|(tel:)?[+]?[0-9]{0,14}(;[a-z-]{0,5}=[+0-9]{0,6})?",
        ) {
            if let Phone::E164(number) = read(Some(region), &text) {
                prop_assert_eq!(read(None, &number), e164(&number));
            }
        }
    }
}
