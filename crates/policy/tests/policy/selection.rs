//! Which instruction a call acts under (decisions.md 1, rules 1 to 5).

use leadvault_domain::{
    DecisionCode as Code, InstructionStatus as Status, Operation, Purpose, TenantId,
};
use leadvault_policy::{BadRequest, Named, Verdict};

use crate::kit::{World, instruction, instruction_id, prohibit};

fn unnamed() -> World {
    let mut world = World::plain();
    world.ask.named = None;
    world
}

#[test]
fn the_instruction_the_call_names_comes_before_the_default_of_its_key() {
    let mut world = World::plain();
    world.instructions.push(instruction(2));
    world.default = Some(instruction_id(2));
    assert_eq!(world.allowed().instruction.id, instruction_id(1));
    world.ask.named = None;
    assert_eq!(world.allowed().instruction.id, instruction_id(2));
}

#[test]
fn a_default_is_the_only_candidate_even_where_another_permit_would_fit() {
    let mut world = unnamed();
    let mut other = instruction(2);
    other.operations = vec![Operation::Erase];
    world.instructions.push(other);
    world.default = Some(instruction_id(2));
    assert_eq!(world.code(), Code::Operation);
}

#[test]
fn where_nothing_is_named_the_one_permit_that_fits_is_taken() {
    let mut world = unnamed();
    let mut other = instruction(2);
    other.purposes = vec![Purpose::Security];
    world.instructions.push(other);
    assert_eq!(world.allowed().instruction.id, instruction_id(1));
}

#[test]
fn where_nothing_is_named_none_and_two_have_codes_of_their_own() {
    let mut world = unnamed();
    world.instructions.push(instruction(2));
    let denied = world.denied();
    assert_eq!(denied.code, Code::Ambiguous);
    let line = denied.would_need.first().map(ToString::to_string).unwrap_or_default();
    assert!(line.contains(&instruction_id(1).to_string()), "{line}");
    assert!(line.contains(&instruction_id(2).to_string()), "{line}");
    world.ask.operations = vec![];
    assert_eq!(world.code(), Code::NoInstruction);
    world.instructions.clear();
    assert_eq!(unnamed_with(world).code(), Code::NoInstruction);
}

fn unnamed_with(mut world: World) -> World {
    world.ask.operations = vec![Operation::Read];
    world
}

#[test]
fn a_named_instruction_is_never_ambiguous() {
    let mut world = World::plain();
    world.instructions.push(instruction(2));
    world.instructions.push(instruction(3));
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn an_id_of_another_tenant_or_of_nobody_is_no_instruction() {
    let mut world = World::plain();
    world.permit().tenant_id = TenantId::from_bytes([2; 16]);
    let denied = world.denied();
    assert_eq!(denied.code, Code::NoInstruction);
    assert!(denied.instruction.is_none());
    let mut world = World::plain();
    world.ask.named = Some(Named { id: instruction_id(9), version: None });
    assert_eq!(world.code(), Code::NoInstruction);
}

#[test]
fn permits_of_another_tenant_are_not_found_by_matching_either() {
    let mut world = unnamed();
    world.permit().tenant_id = TenantId::from_bytes([2; 16]);
    assert_eq!(world.code(), Code::NoInstruction);
}

#[test]
fn a_prohibit_that_is_named_permits_nothing() {
    let mut world = World::plain();
    world.instructions = vec![prohibit(1)];
    world.ask.operations = vec![Operation::Erase];
    world.permit().operations = vec![Operation::Read];
    assert_eq!(world.code(), Code::NoInstruction);
}

#[test]
fn each_status_but_active_has_its_code() {
    for (status, code) in [
        (Status::Draft, Code::InstructionDraft),
        (Status::Suspended, Code::InstructionSuspended),
        (Status::Challenged, Code::InstructionChallenged),
        (Status::Revoked, Code::InstructionRevoked),
        (Status::Superseded, Code::InstructionSuperseded),
        (Status::Expired, Code::InstructionExpired),
    ] {
        let mut world = World::plain();
        world.permit().status = status;
        assert_eq!(world.code(), code);
        world.ask.named = None;
        assert_eq!(world.code(), Code::NoInstruction, "only active permits are considered");
    }
}

#[test]
fn without_a_version_the_active_one_counts_and_a_pinned_one_is_taken_as_it_is() {
    let mut world = World::plain();
    world.permit().status = Status::Superseded;
    for (version, status) in [(2, Status::Active), (3, Status::Draft)] {
        let mut next = instruction(1);
        (next.version, next.status) = (version, status);
        world.instructions.push(next);
    }
    assert_eq!(world.allowed().instruction.version, 2);
    for (version, code) in [
        (1, Code::InstructionSuperseded),
        (2, Code::Allow),
        (3, Code::InstructionDraft),
        (4, Code::NoInstruction),
    ] {
        world.ask.named = Some(Named { id: instruction_id(1), version: Some(version) });
        assert_eq!(world.code(), code, "version {version}");
    }
}

#[test]
fn without_an_active_version_the_newest_that_ever_was_says_why() {
    let mut world = World::plain();
    world.permit().status = Status::Superseded;
    for (version, status) in [(2, Status::Revoked), (3, Status::Draft)] {
        let mut next = instruction(1);
        (next.version, next.status) = (version, status);
        world.instructions.push(next);
    }
    assert_eq!(world.code(), Code::InstructionRevoked);
}

#[test]
fn the_only_purpose_of_the_candidate_stands_in_for_one_not_stated() {
    let mut world = World::plain();
    world.ask.purpose = None;
    assert_eq!(world.allowed().purpose, Purpose::CrmOperations);
    world.ask.named = None;
    assert_eq!(world.allowed().purpose, Purpose::CrmOperations);
}

#[test]
fn a_candidate_with_several_purposes_needs_one_stated() {
    let required =
        |world: &World| matches!(world.decide(), Verdict::BadRequest(BadRequest::PurposeRequired));
    let mut world = World::plain();
    world.permit().purposes = vec![Purpose::CrmOperations, Purpose::Security];
    assert!(!required(&world), "control: stated");
    world.ask.purpose = None;
    assert!(required(&world));
    world.ask.named = None;
    assert!(required(&world));
    assert_eq!(world.decide().code(), None);
}

#[test]
fn a_call_without_purpose_or_instruction_is_denied_and_logged() {
    let mut world = unnamed();
    world.ask.purpose = None;
    world.instructions.clear();
    assert_eq!(world.code(), Code::NoInstruction);
}

#[test]
fn the_stated_purpose_counts_even_where_the_candidate_has_only_another() {
    let mut world = World::plain();
    world.ask.purpose = Some(Purpose::Security);
    assert_eq!(world.code(), Code::Purpose);
}
