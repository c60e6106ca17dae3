//! What a masked answer shows of each field (fields.md 1).

use leadvault_domain::{FieldNo, MaskRule, Value};
use serde_json::Value as Json;

/// What stands for everything that is not shown.
pub(crate) const HIDDEN: &str = "…";

/// The masked form of a value; `None` where not even its presence is shown.
pub(crate) fn masked(field: FieldNo, value: &Value) -> Option<Json> {
    let rule = field.info().map_or(MaskRule::Hidden, |f| f.mask);
    match (rule, value) {
        (MaskRule::Never, _) => None,
        (MaskRule::Count, Value::List(list)) => Some(Json::from(list.len())),
        (MaskRule::LengthClass, Value::Pairs(pairs)) => Some(Json::Array(
            pairs
                .iter()
                .map(|(text, _)| length_class(text.expose().chars().count()).into())
                .collect(),
        )),
        (_, Value::Text(text)) => Some(mask_text(rule, text.expose()).into()),
        _ => Some(HIDDEN.into()),
    }
}

fn mask_text(rule: MaskRule, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    match rule {
        MaskRule::Kept => text.to_owned(),
        MaskRule::Email => email(text),
        MaskRule::Phone => phone(text),
        MaskRule::Initial => initial(text),
        MaskRule::Initials => text.split_whitespace().map(initial).collect::<Vec<_>>().join(" "),
        MaskRule::FirstThree => format!("{}{HIDDEN}", text.chars().take(3).collect::<String>()),
        MaskRule::Hidden | MaskRule::LengthClass | MaskRule::Count | MaskRule::Never => {
            HIDDEN.to_owned()
        }
    }
}

/// Letters of the longest top-level domain in use; what is longer is no such thing.
const TLD_CHARS_MAX: usize = 24;

/// `f…@s….info`. A cell that is no address may hold anything, behind its last dot too: it is hidden.
fn email(text: &str) -> String {
    let plain = |s: &str| !s.is_empty() && !s.contains(char::is_whitespace) && !s.contains('@');
    let is_tld = |s: &str| {
        s.chars().all(char::is_alphabetic) && (2..=TLD_CHARS_MAX).contains(&s.chars().count())
    };
    let parts = text.trim().rsplit_once('@').and_then(|(local, domain)| {
        let (host, tld) = domain.rsplit_once('.')?;
        (plain(local) && plain(host) && is_tld(tld)).then_some((local, host, tld))
    });
    let Some((local, host, tld)) = parts else { return HIDDEN.to_owned() };
    let first = |s: &str| s.chars().next().map(String::from).unwrap_or_default();
    format!("{}{HIDDEN}@{}{HIDDEN}.{tld}", first(local), first(host))
}

/// `+1…96`: the country's first digit and the last two, of numbers in E.164; others show the last two.
fn phone(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 7 {
        return HIDDEN.to_owned();
    }
    let last: String = digits.iter().skip(digits.len() - 2).collect();
    match digits.first() {
        Some(first) if text.trim_start().starts_with('+') => format!("+{first}{HIDDEN}{last}"),
        _ => format!("{HIDDEN}{last}"),
    }
}

fn initial(text: &str) -> String {
    text.trim().chars().next().map_or_else(String::new, |c| format!("{c}."))
}

const fn length_class(chars: usize) -> &'static str {
    match chars {
        0..100 => "<100",
        100..1_000 => "<1k",
        1_000..10_000 => "<10k",
        _ => "≥10k",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: FieldNo, text: &str) -> Json {
        masked(field, &Value::Text(text.into())).unwrap()
    }

    #[test]
    fn the_examples_of_the_field_table() {
        assert_eq!(shown(FieldNo::EMAIL, "fstephens@shepherd.info"), "f…@s….info");
        assert_eq!(shown(FieldNo::PHONE, "+19802005296"), "+1…96");
        assert_eq!(shown(FieldNo::FIRST_NAME, "Jaime"), "J.");
        assert_eq!(shown(FieldNo::LAST_NAME, "Hayes"), "H.");
        assert_eq!(shown(FieldNo::FULL_NAME, "Jaime van Hayes"), "J. v. H.");
        assert_eq!(shown(FieldNo::COMPANY, "Mays Inc"), "May…");
        assert_eq!(shown(FieldNo::COUNTRY, "DE"), "DE");
        assert_eq!(shown(FieldNo::CITY, "Berlin"), "…");
        assert_eq!(shown(FieldNo(1000), "anything"), "…");
        let notes = Value::Pairs(vec![("x".repeat(150).into(), "".into())]);
        assert_eq!(masked(FieldNo::NOTES, &notes).unwrap(), serde_json::json!(["<1k"]));
        let tags = Value::List(vec!["a".into(), "b".into()]);
        assert_eq!(masked(FieldNo::TAGS, &tags).unwrap(), 2);
        assert!(masked(FieldNo::ORIGINAL, &notes).is_none());
    }

    #[test]
    fn what_is_no_address_or_number_is_hidden() {
        for cell in [
            "not an address",
            "ada@localhost",
            "call me @ home. +1 415 555 2671",
            "Ada Lovelace <ada@example.com>",
            "ada@example.com; grace@example.com",
            "ada@example.4155552671",
        ] {
            assert_eq!(shown(FieldNo::EMAIL, cell), "…", "{cell}");
        }
        assert_eq!(shown(FieldNo::PHONE, "12"), "…");
    }
}
