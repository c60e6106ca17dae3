//! What a row carries in clear so that policy can decide before any key (fields.md 4): one 64-bit set.

use crate::{Category, Regime};

/// A flag of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelFlag {
    /// store only.
    Restricted,
    /// Objection to direct marketing.
    ObjectionMarketing,
    /// Objection of another kind.
    ObjectionOther,
    /// A hold blocks deletion.
    Hold,
    /// Known to be under 18.
    Minor,
    /// Opt-out of sale.
    OptoutSale,
    /// Opt-out of sharing.
    OptoutShare,
    /// Opt-out of targeted advertising.
    OptoutTargetedAds,
    /// Opt-out of training.
    OptoutTraining,
    /// Came in without an attestation: stored, not searchable.
    Quarantined,
}

impl LabelFlag {
    /// Every flag, in the order of its bit.
    pub const ALL: &'static [Self] = &[
        Self::Restricted,
        Self::ObjectionMarketing,
        Self::ObjectionOther,
        Self::Hold,
        Self::Minor,
        Self::OptoutSale,
        Self::OptoutShare,
        Self::OptoutTargetedAds,
        Self::OptoutTraining,
        Self::Quarantined,
    ];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::ObjectionMarketing => "objection_marketing",
            Self::ObjectionOther => "objection_other",
            Self::Hold => "hold",
            Self::Minor => "minor",
            Self::OptoutSale => "optout_sale",
            Self::OptoutShare => "optout_share",
            Self::OptoutTargetedAds => "optout_targeted_ads",
            Self::OptoutTraining => "optout_training",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The labels of one row: bits 0–15 flags, 16–31 categories present, 32–49 origin regimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Labels(u64);

const CATEGORY_SHIFT: u32 = 16;
const REGIME_SHIFT: u32 = 32;

fn category_bit(category: Category) -> u64 {
    let place = Category::ALL.iter().position(|c| *c == category).unwrap_or(0);
    1 << (CATEGORY_SHIFT + u32::try_from(place).unwrap_or(0))
}

fn regime_bit(regime: Regime) -> u64 {
    let place = Regime::ALL.iter().position(|r| *r == regime).unwrap_or(0);
    1 << (REGIME_SHIFT + u32::try_from(place).unwrap_or(0))
}

fn flag_bit(flag: LabelFlag) -> u64 {
    1 << match flag {
        LabelFlag::Restricted => 0,
        LabelFlag::ObjectionMarketing => 1,
        LabelFlag::ObjectionOther => 2,
        LabelFlag::Hold => 3,
        LabelFlag::Minor => 4,
        LabelFlag::OptoutSale => 5,
        LabelFlag::OptoutShare => 6,
        LabelFlag::OptoutTargetedAds => 7,
        LabelFlag::OptoutTraining => 8,
        LabelFlag::Quarantined => 9,
    }
}

impl Labels {
    /// From the stored 64 bits.
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }

    /// The 64 bits as a row stores them.
    pub const fn bits(self) -> i64 {
        self.0.cast_signed()
    }

    /// Whether a flag is set.
    pub fn has(self, flag: LabelFlag) -> bool {
        self.0 & flag_bit(flag) != 0
    }

    /// With a flag set or cleared.
    #[must_use]
    pub fn with(self, flag: LabelFlag, on: bool) -> Self {
        let bit = flag_bit(flag);
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// With exactly these categories. `special_category` is a property of a dataset and never stored.
    #[must_use]
    pub fn with_categories(self, categories: impl IntoIterator<Item = Category>) -> Self {
        let kept = self.0 & !(0xffff << CATEGORY_SHIFT);
        let set = categories
            .into_iter()
            .filter(|c| *c != Category::SpecialCategory)
            .fold(0, |bits, c| bits | category_bit(c));
        Self(kept | set)
    }

    /// With exactly these origin regimes.
    #[must_use]
    pub fn with_regimes(self, regimes: impl IntoIterator<Item = Regime>) -> Self {
        let kept = self.0 & !(0x3_ffff << REGIME_SHIFT);
        Self(kept | regimes.into_iter().fold(0, |bits, r| bits | regime_bit(r)))
    }

    /// The flags that are set.
    pub fn flags(self) -> impl Iterator<Item = LabelFlag> {
        LabelFlag::ALL.iter().copied().filter(move |flag| self.has(*flag))
    }

    /// The categories present.
    pub fn categories(self) -> CategorySet {
        Category::ALL.iter().copied().filter(|c| self.0 & category_bit(*c) != 0).collect()
    }

    /// The origin regimes.
    pub fn regimes(self) -> RegimeSet {
        Regime::ALL.iter().copied().filter(|r| self.0 & regime_bit(*r) != 0).collect()
    }
}

/// Categories, sorted.
pub type CategorySet = std::collections::BTreeSet<Category>;
/// Regimes, sorted.
pub type RegimeSet = std::collections::BTreeSet<Regime>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_categories_and_regimes_do_not_disturb_each_other() {
        let labels = Labels::default()
            .with(LabelFlag::Hold, true)
            .with_categories(Category::ALL.iter().copied())
            .with_regimes(Regime::ALL.iter().copied());
        assert!(labels.has(LabelFlag::Hold) && !labels.has(LabelFlag::Restricted));
        assert!(labels.flags().eq([LabelFlag::Hold]));
        assert_eq!(labels.categories().len(), 15);
        assert_eq!(labels.regimes().len(), Regime::ALL.len());
        let cleared = labels.with(LabelFlag::Hold, false).with_categories([]).with_regimes([]);
        assert_eq!(cleared, Labels::default());
        assert_eq!(Labels::from_bits(labels.bits()), labels);
    }
}
