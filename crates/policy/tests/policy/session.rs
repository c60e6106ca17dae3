//! Operator staff and recipients' staff.

use leadvault_domain::{
    Caller, Category, DecisionCode as Code, Employer, FieldNo, Masking, Operation as Op,
    RecipientGrant, RecipientRole, Role,
};
use leadvault_policy::{Actor, Grant, GrantState, RecipientRow, RegisterStatus};

use crate::kit::{World, dataset, instruction, instruction_id, principal, recipient, tenant, time};

fn session() -> World {
    let mut world = World::plain();
    world.ask.named = None;
    world.actor.staff = true;
    world.actor.role = Role::Support;
    world.actor.employer = Employer::Operator;
    world.facts.grant = Some(Grant {
        instruction: instruction_id(1),
        version: Some(1),
        state: GrantState::Active,
        from: time("2026-11-23T08:00:00Z"),
        until: time("2026-11-23T10:00:00Z"),
        operations: vec![Op::Read, Op::Display],
        datasets: Some(vec![dataset(1)]),
        categories: [Category::Contact].into(),
        records_max: 5,
        masked: false,
    });
    world
}

fn grant(world: &mut World) -> &mut Grant {
    world.facts.grant.as_mut().expect("a grant")
}

#[test]
fn in_a_session_the_grant_is_the_instruction() {
    let mut world = session();
    world.instructions.push(instruction(2));
    assert_eq!(world.allowed().instruction.id, instruction_id(1));
}

#[test]
fn staff_without_a_session_is_told_so_everywhere() {
    for operation in Op::ALL {
        let mut world = session();
        world.facts.grant = None;
        world.ask.operations = vec![*operation];
        assert_eq!(world.code(), Code::NoGrant, "{operation}");
    }
    let mut world = session();
    world.facts.grant = None;
    world.ask.named = World::plain().ask.named;
    assert_eq!(world.code(), Code::NoGrant, "an instruction of the tenant is no grant");
}

#[test]
fn a_grant_holds_within_its_time_and_state() {
    type Change = fn(&mut World);
    let cases: [(Change, Code); 6] = [
        (|w| grant(w).state = GrantState::Waiting, Code::NoGrant),
        (|w| w.at = time("2026-11-23T07:59:59Z"), Code::NoGrant),
        (|w| w.at = time("2026-11-23T10:00:01Z"), Code::GrantExpired),
        (|w| grant(w).state = GrantState::Closed, Code::GrantExpired),
        (|w| grant(w).state = GrantState::Revoked, Code::GrantRevoked),
        (|_| {}, Code::Allow),
    ];
    for (change, code) in cases {
        let mut world = session();
        change(&mut world);
        assert_eq!(world.code(), code);
    }
}

#[test]
fn a_grant_covers_its_scope_and_no_more() {
    type Change = fn(&mut World);
    let changes: [Change; 5] = [
        |w| w.ask.operations = vec![Op::Search],
        |w| w.ask.dataset = Some(dataset(2)),
        |w| w.ask.dataset = None,
        |w| w.ask.records = 6,
        |w| {
            w.ask = w.ask.clone().with_fields([(FieldNo::LAST_NAME, Category::Identity)]);
        },
    ];
    for change in changes {
        let mut world = session();
        change(&mut world);
        assert_eq!(world.code(), Code::GrantScope);
    }
    let mut world = session();
    world.instructions.push(instruction(2));
    world.ask.named = Some(leadvault_policy::Named { id: instruction_id(2), version: None });
    assert_eq!(world.code(), Code::GrantScope, "another instruction is not the grant");
}

#[test]
fn what_the_grant_does_not_open_is_left_out_and_a_masked_grant_masks() {
    let mut world = session();
    world.ask.fields.clear();
    world.ask.explicit_fields = false;
    world.ask.categories = [Category::Contact, Category::Identity].into();
    grant(&mut world).masked = true;
    let allowed = world.allowed();
    assert!(allowed.fields.covers(FieldNo::EMAIL, Category::Contact));
    assert!(!allowed.fields.covers(FieldNo::LAST_NAME, Category::Identity));
    assert_eq!(allowed.masking, Masking::Full);
    let obligations: Vec<&str> = allowed.obligations.iter().map(|o| o.as_str()).collect();
    assert_eq!(obligations, ["mask", "notify", "log_country"]);
}

#[test]
fn the_staff_of_a_recipient_counts_as_the_recipient() {
    let mut world = World::plain();
    world.actor.employer = Employer::Recipient(recipient(1));
    assert_eq!(world.code(), Code::RecipientNotAuthorised, "no row, not named");
    world.permit().recipients = vec![RecipientGrant {
        recipient_id: recipient(1).to_string(),
        role: RecipientRole::Affiliate,
        operations: vec![Op::Read],
    }];
    assert_eq!(world.code(), Code::RecipientNotAuthorised, "no row");
    world.facts.recipients = vec![RecipientRow::new(recipient(1), RegisterStatus::Authorised)];
    assert_eq!(world.code(), Code::Allow);
    world.ask.operations = vec![Op::Display];
    assert_eq!(world.code(), Code::RecipientNotAuthorised, "not for this operation");
}

#[test]
fn a_register_row_limits_operations_purposes_and_categories() {
    let sent = |change: fn(&mut RecipientRow)| {
        let mut world = World::tight();
        world.facts.recipients.iter_mut().for_each(change);
        world.code()
    };
    assert_eq!(sent(|_| {}), Code::Allow);
    assert_eq!(sent(|r| r.operations = Some(vec![])), Code::RecipientNotAuthorised);
    assert_eq!(sent(|r| r.purposes = Some(vec![])), Code::RecipientNotAuthorised);
    assert_eq!(sent(|r| r.status = RegisterStatus::NotAuthorised), Code::RecipientNotAuthorised);
    assert_eq!(sent(|r| r.categories = Some(vec![Category::Tag])), Code::Category);
}

/// a row that may receive nothing receives nothing.
#[test]
fn no_category_ever_goes_to_a_row_that_lists_none() {
    for category in Category::ALL {
        let mut world = World::tight();
        world.permit().data.categories = Category::ALL.to_vec();
        world.ask = world.ask.clone().with_fields([(FieldNo(20_000), *category)]);
        world.facts.recipients.iter_mut().for_each(|r| r.categories = Some(vec![]));
        assert_ne!(world.code(), Code::Allow, "{category}");
    }
}

#[test]
fn disclosing_to_nobody_in_particular_is_denied() {
    let mut world = World::tight();
    world.ask.recipient = None;
    assert_eq!(world.code(), Code::RecipientNotAuthorised);
}

#[test]
fn callers_of_the_operator_are_staff() {
    let caller = |role, employer| {
        Actor::from(&Caller {
            tenant: tenant(),
            key: leadvault_domain::ApiKeyId::from_bytes([1; 16]),
            principal: principal(1),
            role,
            employer,
            country: "DE".parse().expect("a country"),
            default_instruction: None,
            default_purpose: None,
            datasets: None,
        })
        .staff
    };
    assert!(!caller(Role::Controller, Employer::Tenant));
    assert!(!caller(Role::Reader, Employer::Recipient(recipient(1))));
    assert!(caller(Role::Reader, Employer::Operator));
    for role in [Role::Operator, Role::Support, Role::Security, Role::Legal, Role::Approver] {
        assert!(caller(role, Employer::Tenant), "{role}");
    }
}
