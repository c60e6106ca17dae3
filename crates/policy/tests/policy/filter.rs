//! The grammar of `data.filter`, seen through decisions.

use leadvault_domain::{Category, DecisionCode as Code, LabelFlag, Labels, Regime};
use leadvault_policy::filter::{FILTER_BYTES_MAX, Filter, FilterError};

use crate::kit::{World, batch, dataset};

/// Whether a lead of dataset 1 and batch 1, restricted, of the EU and California, with contact data,
/// passes. The purpose lets restricted subjects through, so that only the filter speaks.
fn passes(filter: &str) -> bool {
    let mut world = World::plain();
    world.ask.purpose = Some(leadvault_domain::Purpose::LegalRequirement);
    world.permit().purposes = vec![leadvault_domain::Purpose::LegalRequirement];
    world.ask.batch = Some(batch(1));
    world.ask.labels = Some(
        Labels::default()
            .with(LabelFlag::Restricted, true)
            .with_categories([Category::Contact])
            .with_regimes([Regime::Eu, Regime::UsCa]),
    );
    world.permit().data.filter = Some(filter.to_owned());
    match world.code() {
        Code::Allow => true,
        Code::Filter => false,
        other => panic!("{filter}: {other}"),
    }
}

#[test]
fn labels_values_and_lists() {
    let here = dataset(1);
    for (filter, expected) in [
        ("restricted", true),
        ("objected", false),
        ("hold", false),
        ("not hold", true),
        ("restricted = \"true\"", true),
        ("restricted = \"false\"", false),
        ("hold != \"true\"", true),
        ("batch", true),
        ("regime = \"EU\"", true),
        ("regime = \"UK\"", false),
        ("regime != \"UK\"", true),
        ("regime in [\"UK\", \"US-CA\"]", true),
        ("category = \"contact\"", true),
        ("category in [\"tag\"]", false),
        (&format!("dataset = \"{here}\""), true),
        (&format!("dataset != \"{here}\""), false),
        (&format!("batch in [\"{}\",\"{}\"]", batch(2), batch(1)), true),
    ] {
        assert_eq!(passes(filter), expected, "{filter}");
    }
}

#[test]
fn and_binds_tighter_than_or_and_brackets_than_both() {
    assert!(passes("restricted or hold and hold"));
    assert!(!passes("(restricted or hold) and hold"));
    assert!(passes("hold and hold or restricted"));
    assert!(!passes("not (restricted or hold)"));
    assert!(passes("not hold and restricted"));
}

#[test]
fn labels_that_are_sealed_are_told_from_nonsense() {
    let error = |text: &str| text.parse::<Filter>().expect_err(text);
    for text in ["email = \"a\"", "minor", "not country = \"DE\"", "restricted and stage"] {
        assert_eq!(error(text), FilterError::UnknownLabel, "{text}");
    }
    for text in [
        "",
        "and",
        "restricted and",
        "(hold",
        "hold)",
        "regime = EU",
        "regime in []",
        "hold hold",
        "regime = \"EU",
        "not not hold",
        "hold ; hold",
        "in",
    ] {
        assert_eq!(error(text), FilterError::Syntax, "{text}");
    }
    for text in [
        "regime = \"Mars\"",
        "dataset = \"x\"",
        "hold = \"maybe\"",
        "category = \"special_category\"",
    ] {
        assert_eq!(error(text), FilterError::Value, "{text}");
    }
    assert_eq!(error(&"(".repeat(200)), FilterError::TooLarge);
    assert_eq!(error(&" ".repeat(FILTER_BYTES_MAX + 1)), FilterError::TooLarge);
}
