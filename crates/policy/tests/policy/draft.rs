//! What a draft must be, who activates it, and when it takes two.

use leadvault_domain::{
    Category, Conditions, Employer, Instruction, InstructionKind as Kind, Legal, Operation as Op,
    Party, Purpose, RecipientGrant, RecipientRole, Retention, Role,
};
use leadvault_policy::{Actor, DraftCode, high_risk, may_activate, validate_draft};

use crate::kit::{World, instruction, lead, prohibit, recipient, time};

type Change = fn(&mut Instruction);

fn changed(change: Change) -> Instruction {
    let mut draft = instruction(1);
    change(&mut draft);
    draft
}

#[test]
fn what_the_schema_wants_is_accepted() {
    let good: &[Change] = &[
        |_| {},
        |i| i.data.categories = Category::ALL.to_vec(),
        |i| i.purposes = Purpose::ALL.to_vec(),
        |i| i.data.filter = Some("regime = \"EU\"".into()),
        |i| i.data.fields_include = vec!["email".into(), "x_3".into(), "custom_7".into()],
        |i| i.validity.review_by = Some("2027-01-01".into()),
        |i| i.subjects.minors = Some("refuse".into()),
        |i| i.subjects.subject_refs = vec![lead(1).to_string()],
        |i| {
            i.retention = Some(Retention {
                max_age: Some("P2Y".into()),
                at_end: Some("delete".into()),
                hold_ids: vec![],
            });
        },
        |i| {
            i.kind = Kind::LegalRequirement;
            i.issuer.party = Party::Law;
            i.legal = Some(Legal::default());
        },
        |i| {
            i.kind = Kind::OneOff;
            i.validity.until = Some(time("2026-12-31T00:00:00Z"));
        },
        |i| {
            i.kind = Kind::Emergency;
            i.effect = leadvault_domain::Effect::Prohibit;
        },
        |i| {
            i.data.categories = vec![Category::Biometric];
            i.purposes = vec![Purpose::Security];
            i.operations = vec![Op::Store, Op::Match, Op::Erase];
        },
    ];
    for (n, change) in good.iter().enumerate() {
        assert_eq!(validate_draft(&changed(*change)), Ok(()), "case {n}");
    }
}

#[test]
fn each_rule_names_its_place() {
    let bad: &[(&str, Change)] = &[
        ("/agreement/sha256", |i| i.agreement.sha256 = "x".into()),
        ("/issuer/party", |i| i.issuer.party = Party::Law),
        ("/issuer/party", |i| i.kind = Kind::LegalRequirement),
        ("/issuer/authority", |i| i.issuer.authority = "operator".into()),
        ("/legal", |i| {
            i.kind = Kind::LegalRequirement;
            i.issuer.party = Party::Law;
        }),
        ("/purposes", |i| i.purposes.clear()),
        ("/purposes/1", |i| i.purposes = vec![Purpose::Security, Purpose::Security]),
        ("/operations", |i| i.operations.clear()),
        ("/operations/2", |i| i.operations = vec![Op::Read, Op::Store, Op::Read]),
        ("/data/categories", |i| i.data.categories.clear()),
        ("/data/datasets/0", |i| i.data.datasets = vec!["all".into()]),
        ("/data/fields_include/1", |i| {
            i.data.fields_include = vec!["email".into(), "e-mail".into()];
        }),
        ("/data/fields_exclude/0", |i| i.data.fields_exclude = vec!["custom_07".into()]),
        ("/data/max_records", |i| i.data.max_records = Some(0)),
        ("/data/max_records", |i| {
            *i = prohibit(1);
            i.data.max_records = Some(5);
        }),
        ("/data/filter", |i| i.data.filter = Some("hold and".into())),
        ("/subjects/categories", |i| i.subjects.categories.clear()),
        ("/subjects/minors", |i| i.subjects.minors = Some("allow".into())),
        ("/subjects/subject_refs/0", |i| i.subjects.subject_refs = vec!["somebody".into()]),
        ("/locations/store", |i| i.locations.store.clear()),
        ("/locations/access", |i| i.locations.access.clear()),
        ("/retention/max_age", |i| {
            i.retention =
                Some(Retention { max_age: Some("2y".into()), at_end: None, hold_ids: vec![] });
        }),
        ("/retention/at_end", |i| {
            i.retention =
                Some(Retention { max_age: None, at_end: Some("keep".into()), hold_ids: vec![] });
        }),
        ("/conditions/time_window", |i| {
            i.conditions =
                Some(Conditions { time_window: Some("9 to 5".into()), ..Conditions::default() });
        }),
        ("/validity/until", |i| i.kind = Kind::OneOff),
        ("/validity/until", |i| i.kind = Kind::Emergency),
        ("/validity/until", |i| i.validity.until = Some(i.validity.from)),
        ("/validity/review_by", |i| i.validity.review_by = Some("soon".into())),
        ("/evidence", |i| i.evidence.clear()),
        ("/evidence/0/type", |i| i.evidence.iter_mut().for_each(|e| e.kind = "chat".into())),
        ("/evidence/0/sha256", |i| i.evidence.iter_mut().for_each(|e| e.sha256 = "AB".repeat(32))),
        ("/operations/1", |i| {
            i.data.categories = vec![Category::Biometric];
            i.purposes = vec![Purpose::Security];
            i.operations = vec![Op::Match, Op::Search];
        }),
    ];
    for (pointer, change) in bad {
        let error = validate_draft(&changed(*change)).expect_err(pointer);
        assert_eq!(
            (error.code, error.pointer.to_string().as_str()),
            (DraftCode::Invalid, *pointer)
        );
    }
}

#[test]
fn a_filter_over_a_sealed_label_has_its_own_code() {
    let draft = changed(|i| i.data.filter = Some("email = \"a\"".into()));
    let error = validate_draft(&draft).expect_err("sealed");
    assert_eq!(error.code.as_str(), "filter_label_unknown");
    assert_eq!(error.pointer.to_string(), "/data/filter");
}

#[test]
fn words_for_selling_and_advertising_do_not_exist() {
    for word in ["targeted_ads", "sell", "cross_context_ads", "profiling"] {
        let form = serde_json::to_value(instruction(1)).expect("serialises");
        let mut form = form.as_object().cloned().expect("an object");
        assert!(serde_json::from_value::<Instruction>(form.clone().into()).is_ok(), "control");
        form.insert("purposes".to_owned(), serde_json::json!([word]));
        assert!(serde_json::from_value::<Instruction>(form.into()).is_err(), "{word}");
    }
}

#[test]
fn the_operator_is_no_party_and_activates_nothing() {
    assert!("operator".parse::<Party>().is_err());
    let actor = |role, employer, staff| Actor { role, employer, staff, ..World::plain().actor };
    assert!(may_activate(&actor(Role::Controller, Employer::Tenant, false)));
    assert!(!may_activate(&actor(Role::Controller, Employer::Operator, true)));
    assert!(!may_activate(&actor(Role::Controller, Employer::Recipient(recipient(1)), false)));
    for role in Role::ALL.iter().filter(|r| **r != Role::Controller) {
        assert!(!may_activate(&actor(*role, Employer::Tenant, false)), "{role}");
    }
}

#[test]
fn high_risk_takes_two() {
    let to = |role| {
        vec![RecipientGrant { recipient_id: recipient(1).to_string(), role, operations: vec![] }]
    };
    assert!(!high_risk(&instruction(1)));
    assert!(!high_risk(&changed(|i| i.data.categories = Category::ALL.to_vec())));
    assert!(high_risk(&changed(|i| i.kind = Kind::Emergency)));
    assert!(high_risk(&changed(|i| i.kind = Kind::LegalRequirement)));
    assert!(high_risk(&changed(|i| i.purposes = vec![Purpose::DeidentifiedRnd])));
    let mut draft = instruction(1);
    draft.recipients = to(RecipientRole::Subprocessor);
    assert!(!high_risk(&draft));
    draft.data.categories.push(Category::SpecialCategory);
    assert!(high_risk(&draft));
    draft.operations = vec![Op::Read];
    assert!(!high_risk(&draft));
    draft.recipients = to(RecipientRole::Authority);
    assert!(high_risk(&draft));
    draft.effect = leadvault_domain::Effect::Prohibit;
    assert!(!high_risk(&draft), "narrowing takes one");
}
