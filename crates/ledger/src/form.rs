//! The patterns of the entry schema, one predicate each.

/// `<prefix>_<26 of 0-9a-hjkmnp-tv-z>`; without a wanted prefix, any of 2 to 4 lower-case letters.
pub(crate) fn is_id(text: &str, prefix: Option<&str>) -> bool {
    let Some((found, digits)) = text.split_once('_') else { return false };
    let prefix_ok = prefix.map_or_else(
        || (2..=4).contains(&found.len()) && found.bytes().all(|b| b.is_ascii_lowercase()),
        |wanted| wanted == found,
    );
    prefix_ok
        && digits.len() == 26
        && digits.bytes().all(|b| {
            b.is_ascii_digit()
                || (b.is_ascii_lowercase() && !matches!(b, b'i' | b'l' | b'o' | b'u'))
        })
}

pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` has the form of `pattern`: `0` a digit, `h` a lower-case hex digit, all else itself.
fn has_form(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(found, wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            b'h' => matches!(found, b'0'..=b'9' | b'a'..=b'f'),
            other => found == other,
        })
}

pub(crate) fn is_time(text: &str) -> bool {
    has_form(text, "0000-00-00T00:00:00.000000Z")
}

pub(crate) fn is_uuid(text: &str) -> bool {
    has_form(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")
}

pub(crate) fn is_decision(code: &str) -> bool {
    let words = |rest: &str| {
        rest.strip_prefix('_').is_some_and(|w| {
            w.split('_')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase()))
        })
    };
    match (code.strip_prefix("ALLOW"), code.strip_prefix("DENY")) {
        (Some(rest), _) => rest.is_empty() || words(rest),
        (None, Some(rest)) => words(rest),
        (None, None) => code == "NOT_FOUND",
    }
}

pub(crate) fn is_warning(text: &str) -> bool {
    text.strip_prefix("W_").is_some_and(|rest| {
        !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}

pub(crate) fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(crate) fn is_country(text: &str) -> bool {
    text == "??" || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()))
}

pub(crate) fn is_egress(text: &str) -> bool {
    let (country, part) = text.split_once('-').map_or((text, None), |(c, p)| (c, Some(p)));
    country != "??"
        && is_country(country)
        && part.is_none_or(|p| {
            (1..=3).contains(&p.len())
                && p.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })
}
