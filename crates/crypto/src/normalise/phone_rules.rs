//! The rules of libphonenumber's metadata by region and country code, ready to be applied to digits.
//!
//! Taken from `phonenumber`'s own database at first use: same patterns, same lengths, same order of
//! regions; only the shared, locked pattern cache of 100 is left out. Patterns are compiled when first
//! needed and kept for the process. What cannot be answered here is [`AskParser`], never a guess.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use phonenumber::Metadata;
use phonenumber::country::Id;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::Regex;

/// The fast path has no answer; the parser has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AskParser;

/// Longest national number the fast path handles (E.164); longer ones go to the parser.
pub(super) const NATIONAL_DIGITS_MAX: usize = 15;
/// Country codes have one to three digits.
pub(super) const COUNTRY_CODE_DIGITS_MAX: usize = 3;

/// The rules of a region by its id (`001` regions are found by code only).
pub(super) fn region(id: &str) -> Option<&'static Region> {
    RULES.by_id.get(id).and_then(|at| RULES.regions.get(*at))
}

/// Whether a country code is assigned.
pub(super) fn is_code(code: u16) -> bool {
    RULES.by_code.contains_key(&code)
}

/// The region that a national number of a country code belongs to, if any.
pub(super) fn source(code: u16, national: &str) -> Result<Option<&'static Region>, AskParser> {
    let Some(regions) = RULES.by_code.get(&code) else { return Ok(None) };
    if let [only] = regions.as_slice() {
        return Ok(RULES.regions.get(*only));
    }
    for at in regions {
        let region = RULES.regions.get(*at).ok_or(AskParser)?;
        let found = match &region.leading_digits {
            Some(pattern) => pattern.prefix_end(national)?.is_some(),
            None => region.has_type(national)?,
        };
        if found {
            return Ok(Some(region));
        }
    }
    Ok(None)
}

static RULES: LazyLock<Rules> = LazyLock::new(Rules::load);

struct Rules {
    regions: Vec<Region>,
    by_id: HashMap<String, usize>,
    /// Regions of a country code, in the database's order.
    by_code: HashMap<u16, Vec<usize>>,
}

impl Rules {
    fn load() -> Self {
        let mut rules =
            Self { regions: Vec::new(), by_id: HashMap::new(), by_code: HashMap::new() };
        for code in 1..1000 {
            for meta in DATABASE.by_code(&code).into_iter().flatten() {
                let at = rules.regions.len();
                rules.regions.push(Region::load(meta));
                rules.by_code.entry(code).or_default().push(at);
                if meta.id().parse::<Id>().is_ok() {
                    rules.by_id.insert(meta.id().to_owned(), at);
                }
            }
        }
        rules
    }
}

/// The rules of one region.
pub(super) struct Region {
    pub(super) code: u16,
    pub(super) international_prefix: Option<Pattern>,
    pub(super) national_prefix: Option<String>,
    pub(super) prefix_for_parsing: Option<Pattern>,
    pub(super) transforms: bool,
    general: Pattern,
    lengths: Vec<u16>,
    local_lengths: Vec<u16>,
    /// Pattern and lengths of each type of number; no lengths means any.
    types: Vec<(String, Vec<u16>)>,
    /// All types that allow a length, as one pattern, by length.
    types_of_length: [OnceLock<Option<Pattern>>; NATIONAL_DIGITS_MAX + 1],
    leading_digits: Option<Pattern>,
}

impl Region {
    fn load(meta: &Metadata) -> Self {
        let all = meta.descriptors();
        // The types that make a number valid, as phonenumber's validator lists them.
        let types = [
            all.premium_rate(),
            all.toll_free(),
            all.shared_cost(),
            all.voip(),
            all.personal_number(),
            all.pager(),
            all.uan(),
            all.voicemail(),
            all.fixed_line(),
            all.mobile(),
        ];
        let owned = |d: &Descriptor| {
            (d.national_number().as_str().to_owned(), d.possible_length().to_vec())
        };
        Self {
            code: meta.country_code(),
            international_prefix: meta.international_prefix().map(|p| Pattern::new(p.as_str())),
            national_prefix: meta.national_prefix().map(str::to_owned),
            prefix_for_parsing: meta
                .national_prefix_for_parsing()
                .map(|p| Pattern::new(p.as_str())),
            transforms: meta.national_prefix_transform_rule().is_some(),
            general: Pattern::new(all.general().national_number().as_str()),
            lengths: all.general().possible_length().to_vec(),
            local_lengths: all.general().possible_local_length().to_vec(),
            types: types.into_iter().flatten().map(owned).collect(),
            types_of_length: Default::default(),
            leading_digits: meta.leading_digits().map(|p| Pattern::new(p.as_str())),
        }
    }

    /// Whether the number fits the region in general: length, then pattern.
    pub(super) fn fits(&self, national: &str) -> Result<bool, AskParser> {
        let length_fits = self.lengths.is_empty() || self.lengths.contains(&digits(national));
        Ok(length_fits && self.general.prefix_end(national)?.is_some())
    }

    /// Whether some type of number of the region matches: what makes a number valid.
    pub(super) fn has_type(&self, national: &str) -> Result<bool, AskParser> {
        if !self.fits(national)? {
            return Ok(false);
        }
        let length = digits(national);
        let types = self.types_of_length.get(usize::from(length)).ok_or(AskParser)?;
        let types = types.get_or_init(|| {
            let fitting = self.types.iter().filter(|(_, l)| l.is_empty() || l.contains(&length));
            let any: Vec<String> = fitting.map(|(source, _)| format!("(?:{source}\n)")).collect();
            (!any.is_empty()).then(|| Pattern::new(&any.join("|")))
        });
        let Some(types) = types else { return Ok(false) };
        Ok(types.prefix_end(national)?.is_some())
    }

    /// Whether a number of this length can be dialled in the region, perhaps only locally.
    pub(super) fn is_possible(&self, national: &str) -> bool {
        !self.lengths.is_empty()
            && (self.local_lengths.contains(&digits(national))
                || self.lengths.contains(&digits(national)))
    }

    /// Whether a number is shorter than all of the region's.
    pub(super) fn is_too_short(&self, national: &str) -> bool {
        !self.local_lengths.contains(&digits(national))
            && self.lengths.first().is_some_and(|shortest| digits(national) < *shortest)
    }
}

fn digits(national: &str) -> u16 {
    u16::try_from(national.len()).unwrap_or(u16::MAX)
}

/// A pattern of the metadata, anchored at the start, compiled when first used.
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(source: &str) -> Self {
        Self { source: source.to_owned(), compiled: OnceLock::new() }
    }

    /// The compiled pattern. The metadata is laid out over lines, hence `x`; digits are ASCII here.
    pub(super) fn regex(&self) -> Result<&Regex, AskParser> {
        self.compiled
            .get_or_init(|| Regex::new(&format!("(?x-u)^(?:{}\n)", self.source)).ok())
            .as_ref()
            .ok_or(AskParser)
    }

    /// End of the match at the start of `text`, if there is one.
    pub(super) fn prefix_end(&self, text: &str) -> Result<Option<usize>, AskParser> {
        if self.starts_with_zero() && !text.starts_with('0') {
            return Ok(None);
        }
        Ok(self.regex()?.find(text).map(|found| found.end()))
    }

    /// Whether the pattern is plainly a zero and more: no match for texts that start otherwise.
    fn starts_with_zero(&self) -> bool {
        let bytes = self.source.as_bytes();
        bytes.first() == Some(&b'0')
            && !matches!(bytes.get(1), Some(b'?' | b'*' | b'{'))
            && !self.source.contains('|')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_of_the_database_has_rules_and_every_pattern_compiles() {
        for meta in DATABASE.iter() {
            let same = |region: &&Region| region.code == meta.country_code();
            assert!(RULES.regions.iter().any(|r| same(&r)), "{}", meta.id());
            assert!(meta.id() == "001" || region(meta.id()).is_some(), "{}", meta.id());
        }
        for region in &RULES.regions {
            assert!(region.general.regex().is_ok());
            for length in 0..=NATIONAL_DIGITS_MAX {
                assert!(region.has_type(&"5".repeat(length)).is_ok());
            }
            for pattern in
                [&region.international_prefix, &region.prefix_for_parsing, &region.leading_digits]
            {
                assert!(pattern.as_ref().is_none_or(|p| p.regex().is_ok()));
            }
        }
    }

    #[test]
    fn the_order_of_regions_is_the_databases() {
        for code in 1..1000 {
            let theirs = DATABASE.region(&code).map(|ids| ids.len());
            assert_eq!(RULES.by_code.get(&code).map(Vec::len), theirs, "{code}");
        }
        for code in [1, 7, 39, 44, 61] {
            let first = DATABASE.region(&code).unwrap().first().copied().unwrap().to_owned();
            let at = RULES.by_code.get(&code).unwrap().first().unwrap();
            assert_eq!(RULES.by_id.get(&first), Some(at));
        }
    }
}
