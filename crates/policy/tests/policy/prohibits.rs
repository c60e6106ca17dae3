//! Prohibits apply whatever is named; dimensions they leave empty fit everything (decisions.md 1.2, 1.6).

use leadvault_domain::{
    Category as C, Conditions, DecisionCode as Code, FieldNo, InstructionStatus, Labels,
    Operation as Op, Purpose, RecipientGrant, RecipientRole, Regime, SubjectKind, TenantId,
};
use leadvault_policy::{RecipientRow, RegisterStatus, Row};

use crate::kit::{World, batch, dataset, instruction, lead, place, prohibit, recipient, time};

/// The plain call under a prohibit that states nothing at all, changed by `state`.
fn under(state: fn(&mut leadvault_domain::Instruction)) -> World {
    let mut world = World::plain();
    let mut all = prohibit(2);
    all.purposes.clear();
    all.operations.clear();
    all.data.categories.clear();
    all.subjects.categories.clear();
    all.locations.store.clear();
    all.locations.access.clear();
    state(&mut all);
    world.instructions.push(all);
    world
}

#[test]
fn a_prohibit_that_states_nothing_forbids_everything() {
    assert_eq!(under(|_| {}).code(), Code::Prohibited);
}

#[test]
fn each_dimension_a_prohibit_states_must_fit() {
    type State = fn(&mut leadvault_domain::Instruction);
    let misses: &[State] = &[
        |p| p.purposes = vec![Purpose::Security],
        |p| p.operations = vec![Op::Export],
        |p| p.data.datasets = vec![dataset(2).to_string()],
        |p| p.data.categories = vec![C::Tag],
        |p| p.data.fields_include = vec!["phone".into()],
        |p| p.data.fields_exclude = vec!["email".into()],
        |p| p.data.filter = Some("hold".into()),
        |p| p.subjects.categories = vec![SubjectKind::TenantUser],
        |p| p.subjects.regimes = vec![Regime::Uk],
        |p| p.subjects.subject_refs = vec![lead(2).to_string()],
        |p| p.locations.store = vec![place("US")],
        |p| p.locations.access = vec![place("US")],
        |p| p.validity.from = time("2026-11-24T00:00:00Z"),
        |p| p.validity.until = Some(time("2026-11-22T00:00:00Z")),
        |p| p.status = InstructionStatus::Suspended,
        |p| p.status = InstructionStatus::Draft,
        |p| p.tenant_id = TenantId::from_bytes([7; 16]),
        |p| {
            p.recipients = vec![RecipientGrant {
                recipient_id: recipient(1).to_string(),
                role: RecipientRole::Subprocessor,
                operations: vec![],
            }];
        },
        |p| {
            p.conditions = Some(Conditions {
                time_window: Some("Sat-Sun 00:00-24:00 UTC".into()),
                ..Conditions::default()
            });
        },
    ];
    for (i, miss) in misses.iter().enumerate() {
        assert_eq!(under(*miss).code(), Code::Allow, "dimension {i}");
    }
    let hits: &[State] = &[
        |p| p.purposes = vec![Purpose::CrmOperations],
        |p| p.operations = vec![Op::Export, Op::Read],
        |p| p.data.datasets = vec![dataset(1).to_string()],
        |p| p.data.categories = vec![C::Contact, C::Tag],
        |p| p.data.fields_include = vec!["email".into()],
        |p| p.data.filter = Some("not hold".into()),
        |p| p.data.filter = Some("nobody can read this".into()),
        |p| p.subjects.regimes = vec![Regime::Eu, Regime::Uk],
        |p| p.subjects.subject_refs = vec![lead(1).to_string()],
        |p| p.locations.store = vec![place("EEA")],
        |p| p.locations.access = vec![place("DE")],
        |p| {
            p.conditions =
                Some(Conditions { time_window: Some("??".into()), ..Conditions::default() });
        },
    ];
    for (i, hit) in hits.iter().enumerate() {
        assert_eq!(under(*hit).code(), Code::Prohibited, "dimension {i}");
    }
}

#[test]
fn a_prohibit_about_a_recipient_meets_calls_to_it() {
    let mut world = World::tight();
    let mut ban = prohibit(2);
    ban.purposes = Purpose::ALL.to_vec();
    ban.recipients = world.permit().recipients.clone();
    world.instructions.push(ban);
    assert_eq!(world.code(), Code::Prohibited);
    world.ask.recipient = Some(recipient(2));
    world.facts.recipients.push(RecipientRow::new(recipient(2), RegisterStatus::Authorised));
    world.permit().recipients.push(RecipientGrant {
        recipient_id: recipient(2).to_string(),
        role: RecipientRole::Subprocessor,
        operations: vec![],
    });
    assert_eq!(world.code(), Code::Allow, "control: another recipient");
}

#[test]
fn what_was_not_asked_for_is_left_out_instead() {
    let mut world = under(|p| p.data.categories = vec![C::NoteText]);
    world.ask.operations = vec![Op::Display];
    world.ask.fields.clear();
    world.ask.explicit_fields = false;
    world.permit().data.categories.push(C::NoteText);
    world.ask.categories = [C::Contact, C::NoteText].into();
    let rule = world.allowed().fields;
    assert!(rule.covers(FieldNo::EMAIL, C::Contact));
    assert!(!rule.covers(FieldNo::NOTES, C::NoteText));
    world.ask.categories = [C::NoteText].into();
    assert_eq!(world.code(), Code::Prohibited, "nothing would be left");
    world.ask.categories = [C::Contact, C::NoteText].into();
    world.ask.operations = vec![Op::Erase];
    assert_eq!(world.code(), Code::Prohibited, "half a lead cannot be erased");
}

#[test]
fn two_prohibits_that_leave_nothing_deny() {
    let mut world = under(|p| p.data.categories = vec![C::Identity]);
    let mut second = world.instructions.get(1).cloned().expect("the prohibit");
    second.data.categories = vec![C::Contact];
    world.ask.operations = vec![Op::Display];
    world.ask.fields.clear();
    world.ask.explicit_fields = false;
    world.ask.categories = [C::Contact, C::Identity].into();
    assert_eq!(world.code(), Code::Allow);
    world.instructions.push(second);
    assert_eq!(world.code(), Code::Prohibited);
}

#[test]
fn a_prohibit_about_rows_is_tested_on_each_row_of_a_page() {
    let mut world = under(|p| p.subjects.regimes = vec![Regime::Uk]);
    world.ask.labels = None;
    world.ask.lead = None;
    let rows = world.allowed().rows;
    let row = |regime| Row {
        lead: Some(lead(1)),
        dataset: dataset(1),
        batch: Some(batch(1)),
        labels: Labels::default().with_regimes([regime]),
    };
    assert_eq!(rows.denial(&row(Regime::Uk)), Some(Code::Prohibited));
    assert_eq!(rows.denial(&row(Regime::Eu)), None);
}

#[test]
fn a_prohibit_for_one_dataset_lets_the_rows_of_others_through() {
    let mut world = under(|p| p.data.datasets = vec![dataset(2).to_string()]);
    world.ask.labels = None;
    world.ask.lead = None;
    world.ask.dataset = None;
    let rows = world.allowed().rows;
    let row = |n| Row { lead: None, dataset: dataset(n), batch: None, labels: Labels::default() };
    assert_eq!(rows.denial(&row(1)), None);
    assert_eq!(rows.denial(&row(2)), Some(Code::Prohibited));
}

#[test]
fn research_never_touches_free_text_files_or_biometric_data() {
    for (category, code) in [
        (C::NoteText, Code::Prohibited),
        (C::File, Code::Prohibited),
        (C::Biometric, Code::Prohibited),
        (C::Location, Code::Allow),
    ] {
        let mut world = World::plain();
        world.ask = world.ask.clone().with_fields([(FieldNo(20_000), category)]);
        world.ask.operations = vec![Op::Anonymise];
        world.ask.purpose = Some(Purpose::DeidentifiedRnd);
        world.permit().purposes = vec![Purpose::DeidentifiedRnd];
        world.permit().data.categories = C::ALL.to_vec();
        assert_eq!(world.code(), code, "{category}");
    }
}

#[test]
fn a_prohibit_beats_a_permit_named_or_not() {
    let mut world = World::plain();
    world.instructions.push(prohibit(2));
    assert_eq!(world.code(), Code::Prohibited);
    world.ask.named = None;
    assert_eq!(world.code(), Code::Prohibited);
    world.instructions.push(instruction(3));
    assert_eq!(world.code(), Code::Prohibited);
}
