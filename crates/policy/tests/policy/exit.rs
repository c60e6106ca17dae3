//! The built-in exit permit, and the form a hash is taken over.

use leadvault_domain::{
    Category, DecisionCode as Code, InstructionStatus, LabelFlag, Legal, Operation as Op, Role,
    TenantState, Timestamp,
};
use leadvault_policy::{ExitFacts, Named, hash_form, tenant_exit, validate_draft};

use crate::kit::{World, agreement, instruction, instruction_id, place, recipient, tenant};

fn leaving(operation: Op) -> World {
    let mut world = World::plain();
    let permit = tenant_exit(&ExitFacts {
        id: instruction_id(7),
        tenant: tenant(),
        operations: vec![operation],
        agreement: agreement(),
        store: vec![place("DE")],
        access: vec![place("FR")],
        controller_country: "DE".parse().expect("a country"),
        actor: "usr_1".to_owned(),
        request: "req_1".to_owned(),
        evidence_sha256: "ab".repeat(32),
        salt: "00".repeat(16),
        at: world.at,
    });
    world.ask.operations = vec![operation];
    world.ask.purpose = None;
    world.ask.named = Some(Named { id: permit.id, version: Some(1) });
    world.ask.dataset = None;
    world.ask.labels = None;
    world.ask.lead = None;
    world.ask.special_category = true;
    world.ask.fields.clear();
    world.ask.explicit_fields = false;
    world.ask.categories = Category::ALL.iter().copied().collect();
    world.ask.records = 1_000_000;
    world.ask.exit = true;
    world.instructions = vec![permit];
    world
}

#[test]
fn a_tenant_leaves_with_everything_without_an_agreement_in_every_state_but_closed() {
    for operation in [Op::Export, Op::Erase] {
        for state in [TenantState::Active, TenantState::Restricted, TenantState::Closing] {
            let mut world = leaving(operation);
            world.facts.tenant_state = state;
            world.facts.agreement_in_force = false;
            let rule = world.allowed().fields;
            for category in Category::ALL {
                assert!(rule.covers_category(*category), "{category}");
            }
        }
    }
    let mut world = leaving(Op::Export);
    world.facts.tenant_state = TenantState::Closed;
    assert_eq!(world.code(), Code::TenantState);
}

#[test]
fn an_exit_permit_is_a_valid_instruction() {
    for operation in [Op::Export, Op::Erase] {
        for permit in leaving(operation).instructions {
            assert_eq!(validate_draft(&permit), Ok(()));
        }
    }
}

#[test]
fn an_exit_never_covers_another_recipient_operation_or_time() {
    let mut world = leaving(Op::Export);
    world.ask.recipient = Some(recipient(1));
    assert_eq!(world.code(), Code::RecipientNotAuthorised);
    let mut world = leaving(Op::Export);
    world.ask.operations = vec![Op::Disclose];
    assert_eq!(world.code(), Code::Operation);
    let mut world = leaving(Op::Export);
    world.at = Timestamp::plus_seconds(world.at, 30 * 24 * 3600 + 1);
    assert_eq!(world.code(), Code::InstructionExpired);
}

#[test]
fn only_the_controller_leaves() {
    let mut world = leaving(Op::Export);
    world.ask.categories = [Category::Biometric].into();
    assert_eq!(world.code(), Code::Allow);
    world.actor.role = Role::Editor;
    assert_eq!(world.code(), Code::Biometric);
}

#[test]
fn restricted_subjects_leave_with_the_rest_and_holds_stay() {
    let world = leaving(Op::Export);
    let row = |flag| leadvault_policy::Row {
        lead: None,
        dataset: crate::kit::dataset(1),
        batch: None,
        labels: leadvault_domain::Labels::default().with(flag, true),
    };
    assert_eq!(world.allowed().rows.denial(&row(LabelFlag::Restricted)), None);
    let world = leaving(Op::Erase);
    assert_eq!(world.allowed().rows.denial(&row(LabelFlag::Hold)), Some(Code::Hold));
}

#[test]
fn the_hash_covers_everything_but_what_changes_in_a_versions_life() {
    let base = hash_form(&instruction(1));
    let mut same = instruction(1);
    same.hash = "00".repeat(32);
    same.signature = Some("sig".to_owned());
    same.status = InstructionStatus::Challenged;
    same.created_at = Some(Timestamp::from_micros(1));
    same.legal =
        Some(Legal { challenge: Some(serde_json::json!({"outcome": "open"})), ..Legal::default() });
    assert_eq!(hash_form(&same), base);
    for (name, change) in [
        ("salt", (|i| i.salt = "11".repeat(16)) as fn(&mut leadvault_domain::Instruction)),
        ("version", |i| i.version = 2),
        ("purposes", |i| i.purposes.clear()),
        ("legal", |i| {
            i.legal = Some(Legal {
                controller_legal_basis: Some("contract".to_owned()),
                ..Legal::default()
            });
        }),
    ] {
        let mut other = instruction(1);
        change(&mut other);
        assert_ne!(hash_form(&other), base, "{name}");
    }
    for gone in ["hash", "signature", "status", "created_at"] {
        assert!(base.get(gone).is_none(), "{gone}");
    }
}
