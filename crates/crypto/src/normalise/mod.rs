//! Normalised forms of what a lead is found by (crypto.md 4.3).
//!
//! Pure functions of their input and of the pinned metadata (libphonenumber through `phonenumber`, the
//! public suffix list through `psl`, Unicode through `idna` and `unicode-normalization`): a new version
//! of any of them that changes a form is a new [`NORM_VERSION`] and a re-index.

mod domain;
mod email;
mod phone;
mod phone_fast;
mod phone_rules;

use unicode_normalization::UnicodeNormalization as _;

pub use domain::{is_freemail, registrable_domain};
pub use email::{email, emails_inside};
pub use phone::{Phone, PhoneParser};

/// Version of every rule here; changing any of them is version 2 and a re-index.
pub const NORM_VERSION: u16 = 1;

/// The client's own id: NFC, trimmed, otherwise exact. Nothing where nothing is left.
pub fn external_id(text: &str) -> Option<String> {
    let id = trimmed_nfc(text);
    (!id.is_empty()).then_some(id)
}

fn trimmed_nfc(text: &str) -> String {
    let text = text.trim();
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect::<String>().trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids_keep_case_and_inner_blanks_and_lose_outer_ones() {
        assert_eq!(external_id(" aB c\u{a0}").as_deref(), Some("aB c"));
        assert_eq!(external_id("e\u{301}"), external_id("\u{e9}"));
        assert_eq!(external_id(" \t"), None);
    }
}
