//! How sure forgetting is, as receipts and certificates print it (crypto.md 3.3).

/// Level of an erasure: the weaker of what the slot and the root offer.
///
/// The order is the order of strength, so `a.min(b)` is the level of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assurance {
    /// Never provably: a row of a database, or a file on a refused filesystem.
    E0,
    /// A file slot beside a root key on the same machine.
    E1Local,
    /// A file slot whose remnants stay wrapped under a key held elsewhere.
    E1,
    /// A provider that trims key versions.
    E2,
    /// Hardware that destroys the key object.
    E3,
}

impl Assurance {
    /// The word that is written outside.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::E0 => "E0",
            Self::E1Local => "E1-local",
            Self::E1 => "E1",
            Self::E2 => "E2",
            Self::E3 => "E3",
        }
    }

    /// The sentence a certificate prints beside the level (deletion.md 5.3, rule 9).
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::E0 => {
                "the slot lies where overwriting does not provably reach the old copy: erasure is not assured"
            }
            Self::E1Local => {
                "root key and slot lie on this machine; an image of its disk taken before undoes the erasure"
            }
            Self::E1 => {
                "the old epoch key was overwritten in a file; remnants of the medium stay wrapped by a key held elsewhere"
            }
            Self::E2 => {
                "the old epoch key was trimmed by the key provider, its own snapshots excepted"
            }
            Self::E3 => "the old epoch key was destroyed in hardware",
        }
    }
}

impl std::fmt::Display for Assurance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_a_pair_is_the_weaker_one() {
        assert_eq!(Assurance::E3.min(Assurance::E1Local).as_str(), "E1-local");
        assert_eq!(Assurance::E0.min(Assurance::E2), Assurance::E0);
    }
}
