//! Normalised forms of what a lead is found by (crypto.md 4.3).

/// Version of every rule below; changing any of them is version 2 and a re-index.
pub const NORM_VERSION: u16 = 1;
