//! The usual ways to write a number, read without the parser.
//!
//! Answers only for `[+] digits [-.()/ ] [x digits]`, follows `phonenumber`'s steps on the bare digits
//! with the same metadata, and gives [`AskParser`] for everything else. Held equal to the parser by the
//! tests below: over every region's example numbers, generated numbers, random texts of the alphabet.

use super::phone::{Phone, raw};
use super::phone_rules::{
    AskParser, COUNTRY_CODE_DIGITS_MAX, NATIONAL_DIGITS_MAX, Region, is_code, source,
};

/// Most digits taken: the longest national number, its country code, and an international prefix.
const DIGITS_MAX: usize = 24;
/// Fewest digits the parser takes for a number.
const DIGITS_MIN: usize = 3;
/// Fewest digits of a national number.
const NATIONAL_DIGITS_MIN: usize = 2;
/// Most digits of an extension, as the parser reads it.
const EXTENSION_DIGITS_MAX: usize = 7;

/// Reads trimmed text, or leaves it to the parser.
pub(super) fn read(text: &str, default: Option<&'static Region>) -> Result<Phone, AskParser> {
    let mut buffer = [0; DIGITS_MAX];
    let scan = Scan::read(text, &mut buffer).ok_or(AskParser)?;
    let number = if scan.plus {
        international(scan.digits, scan.country_group()?)?
    } else if let Some(region) = default {
        match scan.after_international_prefix(region)? {
            Some(digits) => international(digits, None)?,
            None => national(scan.digits, region)?,
        }
    } else {
        None
    };
    Ok(number.unwrap_or_else(|| raw(text)))
}

/// What of a text the parser would look at.
struct Scan<'b> {
    plus: bool,
    digits: &'b str,
    /// Digits before the first separator of RFC 3966.
    group: Option<usize>,
    has_blank: bool,
    has_extension: bool,
}

impl<'b> Scan<'b> {
    fn read(text: &str, buffer: &'b mut [u8; DIGITS_MAX]) -> Option<Self> {
        let (plus, body) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        let starts_well = body.starts_with(|c: char| c.is_ascii_digit() || (c == '(' && !plus));
        if !starts_well {
            return None;
        }
        let (mut count, mut group) = (0, None);
        let (mut has_blank, mut has_slash, mut has_extension) = (false, false, false);
        for (at, byte) in body.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    *buffer.get_mut(count)? = byte;
                    count += 1;
                }
                b'-' | b'.' | b'(' | b')' => {
                    group.get_or_insert(count);
                }
                b' ' => has_blank = true,
                b'/' => has_slash = true,
                b'x' => {
                    has_extension = is_extension(body.get(at + 1..)?);
                    if !has_extension {
                        return None;
                    }
                    break;
                }
                _ => return None,
            }
        }
        if count < DIGITS_MIN || (has_slash && (plus || has_extension)) {
            return None;
        }
        let digits = std::str::from_utf8(buffer.get(..count)?).ok()?;
        Some(Self { plus, digits, group, has_blank, has_extension })
    }

    /// Digits of the first group where the parser takes it for the country code, as RFC 3966 has it.
    fn country_group(&self) -> Result<Option<usize>, AskParser> {
        match self.group {
            Some(group) if !self.has_blank && !self.has_extension => {
                let follows = self.digits.len().saturating_sub(group);
                let plausible = group <= COUNTRY_CODE_DIGITS_MAX && follows >= DIGITS_MIN;
                if plausible { Ok(Some(group)) } else { Err(AskParser) }
            }
            _ => Ok(None),
        }
    }

    /// The digits behind the region's international prefix; a zero there means it was none.
    fn after_international_prefix(&self, region: &Region) -> Result<Option<&'b str>, AskParser> {
        let Some(pattern) = &region.international_prefix else { return Ok(None) };
        let end = pattern.prefix_end(self.digits)?.filter(|end| *end > 0);
        let rest = end.and_then(|end| self.digits.get(end..));
        Ok(rest.filter(|rest| !rest.starts_with('0')))
    }
}

fn is_extension(text: &str) -> bool {
    (1..=EXTENSION_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// A number that begins with its country code, of `group` digits where that is known; none if not valid.
fn international(digits: &str, group: Option<usize>) -> Result<Option<Phone>, AskParser> {
    if digits.len() < DIGITS_MIN || digits.starts_with('0') {
        return Err(AskParser);
    }
    let mut lengths = group.map_or(1..=COUNTRY_CODE_DIGITS_MAX, |length| length..=length);
    let split = lengths.find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        Some((code.parse().ok().filter(|code| is_code(*code))?, national))
    });
    let (code, number) = split.ok_or(AskParser)?;
    let region = source(code, short_enough(number.trim_start_matches('0'))?)?;
    finish(code, number, region)
}

/// A number as written inside its region; none if not valid.
fn national(digits: &str, region: &'static Region) -> Result<Option<Phone>, AskParser> {
    let code = region.code.to_string();
    let number = match digits.strip_prefix(code.as_str()) {
        Some(rest) if !region.fits(digits)? || !region.is_possible(digits) => rest,
        _ => digits,
    };
    finish(region.code, number, Some(region))
}

/// Takes the trunk prefix off, where what remains is long enough, and asks whether the rest is valid.
fn finish(
    code: u16,
    number: &str,
    region: Option<&'static Region>,
) -> Result<Option<Phone>, AskParser> {
    let mut national = number;
    if let Some(region) = region {
        let bare = without_trunk_prefix(number, region)?;
        if !region.is_too_short(bare) {
            national = bare;
        }
    }
    let national = short_enough(national)?;
    if national.len() < NATIONAL_DIGITS_MIN || national.bytes().all(|b| b == b'0') {
        return Err(AskParser);
    }
    let valid = match source(code, national)? {
        Some(region) => region.has_type(national)?,
        None => false,
    };
    Ok(valid.then(|| Phone::E164(format!("+{code}{national}"))))
}

fn short_enough(national: &str) -> Result<&str, AskParser> {
    if national.len() <= NATIONAL_DIGITS_MAX { Ok(national) } else { Err(AskParser) }
}

/// The number without the region's trunk prefix, which the parser strips by pattern and then by text.
fn without_trunk_prefix<'n>(number: &'n str, region: &Region) -> Result<&'n str, AskParser> {
    let prefix = region.national_prefix.as_deref();
    let strip = |n: &'n str| prefix.and_then(|p| n.strip_prefix(p)).unwrap_or(n);
    let once = match &region.prefix_for_parsing {
        None => strip(number),
        Some(pattern) if region.transforms => match pattern.regex()?.captures(number) {
            None => number,
            // A matched last group is where the parser rewrites the number: its business.
            Some(found) if found.get(found.len() - 1).is_some() => return Err(AskParser),
            Some(found) => found.get(0).and_then(|m| number.get(m.end()..)).ok_or(AskParser)?,
        },
        Some(pattern) => number.get(pattern.prefix_end(number)?.unwrap_or(0)..).ok_or(AskParser)?,
    };
    Ok(strip(once))
}

#[cfg(test)]
mod tests {
    use phonenumber::metadata::DATABASE;
    use proptest::prelude::*;

    use super::super::phone::PhoneParser;
    use super::*;

    /// Compares both ways; returns whether the fast one answered.
    fn agree(parser: &PhoneParser, region: Option<&str>, text: &str) -> bool {
        let fast = read(text, region.and_then(super::super::phone_rules::region));
        if let Ok(fast) = &fast {
            assert_eq!(*fast, parser.e164_by_parser(text), "{text} in {region:?}");
        }
        fast.is_ok()
    }

    fn regions() -> Vec<String> {
        let mut ids: Vec<_> = DATABASE.iter().map(|m| m.id().to_owned()).collect();
        ids.retain(|id| id != "001");
        ids.sort();
        ids
    }

    /// Example numbers of every type of a region, as written inside it.
    fn examples(id: &str) -> Vec<String> {
        let all = DATABASE.by_id(id).unwrap().descriptors();
        let types = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.voip(),
            all.personal_number(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        types.into_iter().flatten().filter_map(|d| d.example().map(str::to_owned)).collect()
    }

    fn spellings(code: u16, trunk: &str, n: &str) -> Vec<String> {
        let (head, tail) = n.split_at(n.len().min(3));
        vec![
            n.to_owned(),
            format!("{trunk}{n}"),
            format!("{trunk}{head} {tail}"),
            format!("({trunk}{head}) {tail}"),
            format!("({head}){tail}x123"),
            format!("{head}-{tail}x1234567"),
            format!("{trunk}{head}/{tail}"),
            format!("{trunk}{head}.{tail} x9"),
            format!("{code}{n}"),
            format!("+{code}{n}"),
            format!("+{code} {head} {tail}"),
            format!("+{code}-{head}-{tail}"),
            format!("+{code}({trunk}){head}-{tail}"),
            format!("+{code} (0){head}{tail}"),
            format!("+{code}-{head}-{tail}x55555"),
            format!("+{code}.{n}"),
            format!("00{code}{n}"),
            format!("011 {code} {n}"),
            format!("001-{head}-{tail}"),
            format!("{n}0"),
            head.to_owned(),
            tail.to_owned(),
        ]
    }

    #[test]
    fn every_regions_examples_read_alike_in_every_spelling_and_mostly_without_the_parser() {
        let (mut fast, mut all) = (0, 0);
        for id in regions() {
            let meta = DATABASE.by_id(&id).unwrap();
            let parser = PhoneParser::new(Some(&id));
            for example in examples(&id) {
                let trunk = meta.national_prefix().unwrap_or("0");
                for text in spellings(meta.country_code(), trunk, &example) {
                    for (parser, region) in [
                        (&parser, Some(id.as_str())),
                        (&PhoneParser::new(None), None),
                        (&PhoneParser::new(Some("US")), Some("US")),
                    ] {
                        fast += u32::from(agree(parser, region, &text));
                        all += 1;
                    }
                }
            }
        }
        assert!(fast * 10 > all * 9, "only {fast} of {all} without the parser");
    }

    #[test]
    fn numbers_of_the_usual_test_layout_read_alike() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for id in ["US", "CA", "GB", "DE"] {
            let parser = PhoneParser::new(Some(id));
            for _ in 0..400 {
                let (a, b, c, x) = (200 + next(800), next(1000), next(10000), next(100_000));
                for text in [
                    format!("{a}-{b:03}-{c:04}"),
                    format!("{a}{b:03}{c:04}"),
                    format!("{a}.{b:03}.{c:04}x{x}"),
                    format!("({a}){b:03}-{c:04}x{x}"),
                    format!("001-{a}-{b:03}-{c:04}x{x}"),
                    format!("+1-{a}-{b:03}-{c:04}"),
                    format!("+1-{a}-{b:03}-{c:04}x{x}"),
                ] {
                    assert!(agree(&parser, Some(id), &text), "{text} in {id} went to the parser");
                }
            }
        }
    }

    #[test]
    fn what_is_outside_the_alphabet_goes_to_the_parser() {
        let region = super::super::phone_rules::region("US");
        for text in [
            "",
            "12",
            "650 253 0000 ext 12",
            "650-FLOWERS",
            "tel:650-253-0000",
            "650;ext=12",
            "650-253-0000x12345678",
            "650-253-0000 x",
            "650-253-0000/x12",
            "+49/151-12345678",
            "+ 49 151",
            "\u{ff0b}4915112345678",
            "650*2530000",
            "1234567890123456789012345",
        ] {
            assert_eq!(read(text, region), Err(AskParser), "{text}");
        }
    }

    fn region_strategy() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(proptest::sample::select(regions()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn random_texts_of_the_alphabet_read_alike(
            region in region_strategy(),
            text in "[+]?[0-9(][0-9 ().x/-]{2,18}|[+]?[0-9]{1,4}[-. ()][0-9]{3,12}(x[0-9]{1,8})?",
        ) {
            let region = region.as_deref();
            agree(&PhoneParser::new(region), region, text.trim());
        }

        #[test]
        fn random_digits_behind_every_country_code_read_alike(
            region in region_strategy(), other in region_strategy(), prefix in "(\\+|00|011|)",
            digits in "[0-9]{4,13}",
        ) {
            let code = other.and_then(|id| DATABASE.by_id(&id).map(phonenumber::Metadata::country_code));
            let text = format!("{prefix}{}{digits}", code.map_or(String::new(), |c| c.to_string()));
            let region = region.as_deref();
            agree(&PhoneParser::new(region), region, &text);
        }

        #[test]
        fn changed_example_numbers_read_alike(
            region in proptest::sample::select(regions()), pick in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(), digit in "[0-9]",
        ) {
            let examples = examples(&region);
            prop_assume!(!examples.is_empty());
            let mut number = pick.get(&examples).clone();
            let at = at.index(number.len());
            number.replace_range(at..=at, &digit);
            let meta = DATABASE.by_id(&region).unwrap();
            let trunk = meta.national_prefix().unwrap_or("");
            let parser = PhoneParser::new(Some(&region));
            for text in spellings(meta.country_code(), trunk, &number) {
                agree(&parser, Some(&region), &text);
            }
        }
    }
}
