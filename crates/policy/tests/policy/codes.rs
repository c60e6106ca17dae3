//! Every code, alone and against every other (R-002, decisions.md 2).

use leadvault_domain::{
    Category, DecisionCode as Code, FieldNo, InstructionStatus, KeyState, LabelFlag, Labels,
    Operation, Purpose, Regime, SubjectKind, TenantState,
};
use leadvault_policy::{Grant, GrantState, Named, RecipientRow, RegisterStatus};

use crate::kit::{
    World, batch, dataset, instruction, instruction_id, principal, prohibit, recipient, time,
};

/// A change that alone turns the tight world's allowance into `code`. Two changes of one slot exclude
/// each other: they set the same thing.
struct Spoil {
    code: Code,
    slot: &'static str,
    apply: fn(&mut World),
}

fn flag(world: &mut World, flag: LabelFlag) {
    world.ask.labels = world.ask.labels.map(|labels| labels.with(flag, true));
}

fn staff(world: &mut World, state: GrantState, change: fn(&mut Grant)) {
    world.actor.staff = true;
    let mut grant = Grant {
        instruction: instruction_id(1),
        version: None,
        state,
        from: time("2026-11-23T08:00:00Z"),
        until: time("2026-11-24T00:00:00Z"),
        operations: Operation::ALL.to_vec(),
        datasets: None,
        categories: Category::ALL.iter().copied().collect(),
        records_max: 100,
        masked: false,
    };
    change(&mut grant);
    world.facts.grant = Some(grant);
}

fn ask_for(world: &mut World, no: FieldNo, category: Category) {
    world.ask.fields.push((no, category));
    world.ask.categories.insert(category);
}

macro_rules! spoils {
    ($($code:ident $slot:literal $apply:expr;)*) => {
        &[$(Spoil { code: Code::$code, slot: $slot, apply: $apply }),*]
    };
}

/// In the order in which the codes win.
const SPOILS: &[Spoil] = spoils! {
    KeyDestroyed "key" |w| w.facts.key_state = KeyState::Destroyed;
    KeyDisabled "key" |w| w.facts.key_state = KeyState::Disabled;
    KeyUnreachable "key" |w| w.facts.key_state = KeyState::Unreachable;
    TenantState "tenant" |w| w.facts.tenant_state = TenantState::Restricted;
    Agreement "agreement" |w| w.facts.agreement_in_force = false;
    Hold "hold" |w| flag(w, LabelFlag::Hold);
    Restricted "restricted" |w| flag(w, LabelFlag::Restricted);
    ObjectionSubject "objection" |w| flag(w, LabelFlag::ObjectionMarketing);
    Optout "optout" |w| flag(w, LabelFlag::OptoutSale);
    Minor "minor" |w| flag(w, LabelFlag::Minor);
    Prohibited "prohibit" |w| {
        let mut other = prohibit(2);
        other.purposes = Purpose::ALL.to_vec();
        other.subjects.categories = SubjectKind::ALL.to_vec();
        other.locations.access.push("US".parse().expect("a place"));
        w.instructions.push(other);
    };
    Biometric "biometric" |w| ask_for(w, FieldNo(20_001), Category::Biometric);
    NoInstruction "named" |w| w.ask.named = Some(Named { id: instruction_id(9), version: None });
    Ambiguous "named" |w| {
        let mut twin = w.permit().clone();
        twin.id = instruction_id(3);
        w.instructions.push(twin);
        w.ask.named = None;
    };
    InstructionDraft "status" |w| w.permit().status = InstructionStatus::Draft;
    InstructionSuspended "status" |w| w.permit().status = InstructionStatus::Suspended;
    InstructionChallenged "status" |w| w.permit().status = InstructionStatus::Challenged;
    InstructionRevoked "status" |w| w.permit().status = InstructionStatus::Revoked;
    InstructionSuperseded "status" |w| w.permit().status = InstructionStatus::Superseded;
    NoGrant "grant" |w| w.actor.staff = true;
    GrantExpired "grant" |w| staff(w, GrantState::Closed, |_| {});
    GrantScope "grant" |w| staff(w, GrantState::Active, |g| g.records_max = 9);
    GrantRevoked "grant" |w| staff(w, GrantState::Revoked, |_| {});
    InstructionExpired "until" |w| w.permit().validity.until = Some(time("2026-11-22T00:00:00Z"));
    InstructionNotYet "from" |w| w.permit().validity.from = time("2026-11-24T00:00:00Z");
    Purpose "purpose" |w| w.permit().purposes = vec![Purpose::Enrichment];
    Operation "operation" |w| w.permit().operations = vec![Operation::Disclose];
    Dataset "dataset" |w| w.ask.dataset = Some(dataset(2));
    Category "category" |w| ask_for(w, FieldNo::STREET, Category::Location);
    Field "field" |w| ask_for(w, FieldNo::BIRTH_DATE, Category::Identity);
    Unclassified "unclassified" |w| ask_for(w, FieldNo(1005), Category::Unclassified);
    Filter "filter" |w| w.ask.batch = Some(batch(2));
    MaxRecords "records" |w| w.ask.records = 11;
    SubjectKind "subject" |w| w.ask.subject = SubjectKind::TenantUser;
    Regime "regime" |w| {
        w.ask.labels = w.ask.labels.map(|l: Labels| l.with_regimes([Regime::Eu, Regime::UsCa]));
    };
    RecipientNotAuthorised "recipient" |w| w.ask.recipient = Some(recipient(2));
    NoticeWindowOpen "register" |w| {
        w.facts.recipients = vec![RecipientRow::new(recipient(1), RegisterStatus::NoticeOpen)];
    };
    Objection "register" |w| {
        w.facts.recipients = vec![RecipientRow::new(recipient(1), RegisterStatus::Objected)];
    };
    RegionPin "place" |w| w.actor.country = "US".parse().expect("a country");
    Approval "approval" |w| w.facts.approvals.request = false;
    DualControl "dual" |w| w.facts.approvals.second = Some(principal(1));
    TimeWindow "window" |w| w.at = time("2026-11-23T18:00:00Z");
    Rate "rate" |w| w.facts.calls_last_hour = 5;
};

#[test]
fn the_tight_world_is_permitted() {
    assert_eq!(World::tight().code(), Code::Allow);
    assert_eq!(World::plain().code(), Code::Allow);
}

#[test]
fn each_dimension_changed_alone_gives_exactly_its_own_code() {
    for spoil in SPOILS {
        let mut world = World::tight();
        (spoil.apply)(&mut world);
        let denied = world.denied();
        assert_eq!(denied.code, spoil.code);
        assert!(denied.would_need.iter().all(|need| need.code == spoil.code), "{denied:?}");
        assert!(!denied.would_need.is_empty());
    }
}

#[test]
fn every_code_of_the_vocabulary_is_reached_in_the_order_of_the_vocabulary() {
    let reached: Vec<Code> = SPOILS.iter().map(|spoil| spoil.code).collect();
    let not_decided_here = [Code::Allow, Code::RoleInsufficient, Code::NotFound];
    let known: Vec<Code> =
        Code::ALL.iter().copied().filter(|c| !not_decided_here.contains(c)).collect();
    assert_eq!(reached, known);
}

#[test]
fn of_two_reasons_the_earlier_code_wins() {
    let mut pairs = 0;
    for (i, first) in SPOILS.iter().enumerate() {
        for second in SPOILS.iter().skip(i + 1).filter(|s| s.slot != first.slot) {
            // Where nothing is named, a permit that is not active or does not fit is no choice at all.
            if first.code == Code::Ambiguous && second.code <= Code::RegionPin {
                continue;
            }
            let mut world = World::tight();
            (second.apply)(&mut world);
            (first.apply)(&mut world);
            assert_eq!(world.code(), first.code, "against {}", second.code);
            pairs += 1;
        }
    }
    assert!(pairs > 600, "{pairs}");
}

#[test]
fn explain_lists_everything_that_would_have_to_change() {
    let mut world = World::tight();
    world.facts.agreement_in_force = false;
    world.ask.dataset = Some(dataset(2));
    world.ask.records = 11;
    world.facts.calls_last_hour = 5;
    let denied = world.denied();
    let codes: Vec<Code> = denied.would_need.iter().map(|need| need.code).collect();
    assert_eq!(codes, [Code::Agreement, Code::Dataset, Code::MaxRecords, Code::Rate]);
    let lines: Vec<String> = denied.would_need.iter().map(ToString::to_string).collect();
    assert_eq!(lines.get(2).map(String::as_str), Some("fewer leads in one call: at most 10"));
    assert_eq!(lines.get(3).map(String::as_str), Some("fewer calls: 5 per hour"));
}

#[test]
fn what_would_be_needed_is_enough() {
    let mut world = World::tight();
    world.ask.records = 11;
    assert_eq!(world.denied().would_need.len(), 1);
    world.permit().data.max_records = Some(11);
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn a_denial_names_the_part_of_the_instruction_and_the_fields() {
    let mut world = World::tight();
    ask_for(&mut world, FieldNo::BIRTH_DATE, Category::Identity);
    let denied = world.denied();
    assert_eq!(denied.pointer, Some("/data/fields_exclude"));
    assert_eq!(denied.fields, [FieldNo::BIRTH_DATE]);
    assert_eq!(denied.instruction.map(|i| i.id), Some(instruction_id(1)));
}

#[test]
fn a_prohibition_names_the_prohibit() {
    let mut world = World::plain();
    world.instructions.push(prohibit(2));
    let denied = world.denied();
    assert_eq!(denied.code, Code::Prohibited);
    assert_eq!(denied.instruction.map(|i| i.id), Some(instruction_id(2)));
}

#[test]
fn the_rate_counts_calls_before_this_one() {
    let mut world = World::tight();
    world.permit().conditions.as_mut().expect("conditions").rate_per_hour = Some(0);
    world.facts.calls_last_hour = 0;
    assert_eq!(world.code(), Code::Rate);
}

#[test]
fn a_window_or_filter_that_nobody_can_read_permits_nothing() {
    let mut world = World::tight();
    world.permit().conditions.as_mut().expect("conditions").time_window = Some("always".into());
    assert_eq!(world.code(), Code::TimeWindow);
    let mut world = World::tight();
    world.permit().data.filter = Some("email".to_owned());
    assert_eq!(world.code(), Code::Filter);
}

#[test]
fn an_instruction_bound_to_another_agreement_is_not_in_force() {
    let mut world = World::plain();
    let mut other = crate::kit::agreement();
    other.version = "2".to_owned();
    world.facts.agreement = Some(other);
    assert_eq!(world.code(), Code::Agreement);
    world.facts.agreement = None;
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn without_an_agreement_retrieval_rights_holds_and_deletion_go_on() {
    for (operation, goes_on) in [
        (Operation::Read, false),
        (Operation::Store, false),
        (Operation::Export, true),
        (Operation::Restrict, true),
        (Operation::Erase, true),
    ] {
        let mut world = World::plain();
        world.ask.operations = vec![operation];
        world.facts.agreement_in_force = false;
        let expected = if goes_on { Code::Allow } else { Code::Agreement };
        assert_eq!(world.code(), expected, "{operation}");
    }
    let mut world = World::plain();
    world.ask.purpose = Some(Purpose::RightsRequest);
    world.permit().purposes = vec![Purpose::RightsRequest];
    world.facts.agreement_in_force = false;
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn review_due_is_a_warning_and_nothing_more() {
    let mut world = World::plain();
    world.permit().validity.review_by = Some("2026-11-23".to_owned());
    assert!(world.allowed().warnings.is_empty());
    world.permit().validity.review_by = Some("2026-11-22".to_owned());
    let warnings: Vec<&str> = world.allowed().warnings.iter().map(|w| w.as_str()).collect();
    assert_eq!(warnings, ["W_REVIEW_DUE"]);
}

#[test]
fn a_permit_holds_to_its_last_microsecond() {
    let mut world = World::plain();
    world.permit().validity.until = Some(world.at);
    world.permit().validity.from = world.at;
    assert_eq!(world.code(), Code::Allow);
    world.at = leadvault_domain::Timestamp::from_micros(world.at.micros() + 1);
    assert_eq!(world.code(), Code::InstructionExpired);
}

#[test]
fn other_instructions_do_not_widen_the_one_named() {
    let mut world = World::plain();
    world.permit().operations = vec![Operation::Display];
    world.instructions.push(instruction(2));
    assert_eq!(world.code(), Code::Operation);
}
