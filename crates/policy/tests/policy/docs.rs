//! Every code a caller can meet has its row and its anchor in docs/ERRORS.md.

use leadvault_domain::DecisionCode;
use leadvault_policy::RowCode;

const PAGE: &str = include_str!("../../../../docs/ERRORS.md");

fn has_row(code: &str) -> bool {
    PAGE.contains(&format!("| <a id=\"{code}\"></a>`{code}` |"))
}

#[test]
fn every_code_is_documented() {
    for code in DecisionCode::ALL.iter().filter(|code| !code.is_allow()) {
        assert!(has_row(code.as_str()), "{code}");
    }
    for code in [RowCode::Minor, RowCode::CardNumber, RowCode::GovernmentId] {
        assert!(has_row(code.as_str()), "{code:?}");
    }
    for code in ["purpose_required", "invalid", "filter_label_unknown", "W_REVIEW_DUE"] {
        assert!(has_row(code), "{code}");
    }
    assert!(!has_row("DENY_SOMETHING_ELSE"), "control");
}

#[test]
fn no_anchor_stands_twice() {
    let mut anchors: Vec<&str> =
        PAGE.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(anchors.len() > 100, "control: {}", anchors.len());
    let all = anchors.len();
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!(anchors.len(), all);
}
