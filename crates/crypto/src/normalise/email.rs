//! E-mail addresses: one form per mailbox as practice treats it.
//!
//! NFC, trimmed, split at the last `@`; local part lower-cased although RFC 5321 would let case matter;
//! no folding of dots or `+tag`; domain to its lower-case ASCII form, without a trailing dot.

use unicode_normalization::UnicodeNormalization as _;

use super::domain::ascii_domain;

/// Longest local part (RFC 5321 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
/// Longest address: a path of 256 bytes (RFC 5321 4.5.3.1.3) without its angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;

/// Most addresses looked for in one text.
const ADDRESSES_MAX: usize = 16;

/// The normalised address; nothing for what is no address.
pub fn email(text: &str) -> Option<String> {
    let (local, domain) = text.trim().rsplit_once('@')?;
    let mut address = if local.is_ascii() {
        local.to_ascii_lowercase()
    } else {
        let composed: String = local.nfc().collect();
        composed.to_lowercase().nfc().collect()
    };
    if address.is_empty() || address.len() > LOCAL_BYTES_MAX || !is_local(&address) {
        return None;
    }
    address.push('@');
    address.push_str(&ascii_domain(domain)?);
    (address.len() <= ADDRESS_BYTES_MAX).then_some(address)
}

/// The normalised addresses written inside a text that is not simply one: `mailto:` links, angle brackets,
/// lists, full-width letters, a quoted local part that needs no quotes. Not the form of anything: for asking
/// whether somebody is on a list, where another spelling must not be a way around it. At most 16.
pub fn emails_inside(text: &str) -> Vec<String> {
    let own = email(text);
    if own.as_ref().is_some_and(|address| address.chars().all(is_plain)) {
        return Vec::new();
    }
    let folded: String = text.nfkc().collect();
    let between = |c: char| c.is_whitespace() || c.is_control() || ",;:<>()[]'|\\?&=".contains(c);
    let unquoted = |part: &str| email(&part.replace('"', ""));
    let found = folded.split(between).filter_map(unquoted).take(ADDRESSES_MAX);
    found.filter(|address| own.as_ref() != Some(address)).collect()
}

/// Whether a character stands in addresses that are written in one way only: an atom's, as RFC 5322 3.2.3
/// has them, a dot or the `@`.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c)
}

/// Whether a local part has no blank, control character or second `@`, unless it is quoted.
fn is_local(local: &str) -> bool {
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let plain = |c: char| !c.is_whitespace() && c != '@' && c != '"';
    local.chars().all(|c| !c.is_control() && (quoted || plain(c)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_address_share_a_form() {
        for text in
            ["Ada@Example.COM", " ada@example.com. ", "ADA@EXAMPLE.com\n", "ada@EXAMPLE.COM"]
        {
            assert_eq!(email(text).as_deref(), Some("ada@example.com"), "{text}");
        }
        assert_eq!(
            email("jos\u{e9}@b\u{fc}cher.de").as_deref(),
            Some("jos\u{e9}@xn--bcher-kva.de")
        );
        assert_eq!(email("jose\u{301}@BU\u{308}CHER.de"), email("jos\u{e9}@b\u{fc}cher.de"));
        assert_eq!(email("a@XN--BCHER-KVA.de"), email("a@b\u{fc}cher.de"));
    }

    #[test]
    fn an_address_is_found_however_it_is_written() {
        for text in [
            "mailto:ada@example.com",
            "MAILTO:ada@example.com?subject=hello",
            "<ada@example.com>",
            "Ada Lovelace <ada@example.com>",
            "ada@example.com, grace@example.com",
            "grace@example.com;ada@example.com",
            "\u{ff41}da\u{ff20}example.com",
            "\u{ff41}da@example.com",
            "\"ada\"@example.com",
            "'ada@example.com'",
            "ada@example.com\u{0}",
            "ada@example.com (work)",
        ] {
            let found = emails_inside(text);
            assert!(found.iter().any(|address| address == "ada@example.com"), "{text}: {found:?}");
        }
        for none in ["no address here @ all", "Ada@Example.com"] {
            assert_eq!(emails_inside(none), Vec::<String>::new(), "{none}");
        }
        assert_eq!(emails_inside(&"a@b.example,".repeat(40)).len(), ADDRESSES_MAX);
    }

    #[test]
    fn tags_and_dots_of_the_local_part_are_kept() {
        assert_eq!(email("a.b+c@gmail.com").as_deref(), Some("a.b+c@gmail.com"));
        assert_eq!(email("\"a b@c\"@example.com").as_deref(), Some("\"a b@c\"@example.com"));
    }

    #[test]
    fn what_is_no_address_has_no_form() {
        let local = "a".repeat(65);
        let label = "d".repeat(64);
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "a@b@example.com",
            "a@exa mple.com",
            "a@.com",
            "a@b..com",
            "a@-b.com",
            "a@b-.com",
            "a@[1.2.3.4]",
            "a@b_c.com",
            "a\u{0}@example.com",
            "a@example.com>",
            &format!("{local}@example.com"),
            &format!("a@{label}.com"),
            "a@b..",
            "a@.",
        ] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_above_254_bytes_has_no_form_and_one_at_the_bound_has() {
        let fill = |domain: usize| {
            let label = "d".repeat(60);
            let domain = format!("{label}.{label}.{label}.{}", "e".repeat(domain - 183));
            format!("{}@{domain}", "a".repeat(64))
        };
        let (at, above) = (fill(189), fill(190));
        assert_eq!((at.len(), above.len()), (254, 255));
        assert!(email(&at).is_some() && email(&above).is_none());
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,20}@[a-zA-Zà-ü0-9.-]{1,20}") {
            if let Some(once) = email(&text) {
                prop_assert_eq!(email(&once), Some(once));
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = email(&text);
            let _ = emails_inside(&text);
        }

        #[test]
        fn case_of_an_ascii_address_is_nothing(text in "[a-zA-Z0-9.+_-]{1,20}@[a-zA-Z0-9.-]{1,20}") {
            prop_assert_eq!(email(&text), email(&text.to_ascii_uppercase()));
        }
    }
}
