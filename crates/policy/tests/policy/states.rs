//! Tenant state and key state, as the tables of decisions.md 4 have them.

use leadvault_domain::{
    Category, DecisionCode as Code, KeyState, Operation as Op, Purpose, Role, TenantState as State,
};
use leadvault_policy::{
    Grant, GrantState, KeyAnswer, KeyOperation, StateOperation, key_answer, state_allows,
};

use crate::kit::{World, instruction_id, time};

const STATES: [State; 4] = [State::Active, State::Restricted, State::Closing, State::Closed];
const KEYS: [KeyState; 4] =
    [KeyState::Active, KeyState::Disabled, KeyState::Unreachable, KeyState::Destroyed];

/// The page, typed off: y yes, n no, c role controller; columns active, restricted, closing, closed.
const PAGE: &[(&[Op], bool, &str)] = &[
    (
        &[
            Op::Collect,
            Op::Store,
            Op::Modify,
            Op::Match,
            Op::Derive,
            Op::Pseudonymise,
            Op::Anonymise,
            Op::Aggregate,
        ],
        false,
        "ynnn",
    ),
    (&[Op::ShareInternal, Op::Disclose, Op::Transfer], false, "ynnn"),
    (&[Op::Read, Op::Search, Op::Display], false, "yycn"),
    (&[Op::Read, Op::Search, Op::Display], true, "yynn"),
    (&[Op::Export], false, "yyyn"),
    (&[Op::Restrict], false, "yyyn"),
    (&[Op::Erase], false, "yyyn"),
    (&[Op::CopyBackup], false, "yyyn"),
];

fn world(operation: Op, staff: bool, role: Role) -> World {
    let mut world = World::tight();
    world.ask.operations = vec![operation];
    world.permit().operations = vec![operation];
    world.actor.role = role;
    if staff {
        world.actor.staff = true;
        world.facts.grant = Some(Grant {
            instruction: instruction_id(1),
            version: None,
            state: GrantState::Active,
            from: time("2026-11-23T08:00:00Z"),
            until: time("2026-11-23T10:00:00Z"),
            operations: vec![operation],
            datasets: None,
            categories: Category::ALL.iter().copied().collect(),
            records_max: 100,
            masked: false,
        });
    }
    world
}

#[test]
fn every_operation_in_every_tenant_state_and_key_state() {
    let mut cells = 0;
    for (operations, staff, row) in PAGE {
        for operation in *operations {
            for (state, cell) in STATES.iter().zip(row.chars()) {
                for key in KEYS {
                    for role in [Role::Controller, Role::Reader] {
                        for needs_key in [true, false] {
                            let mut world = world(*operation, *staff, role);
                            world.facts.tenant_state = *state;
                            world.facts.key_state = key;
                            world.ask.needs_key = needs_key;
                            let open = cell == 'y' || (cell == 'c' && role == Role::Controller);
                            let expected = match key {
                                KeyState::Disabled if needs_key => Code::KeyDisabled,
                                KeyState::Unreachable if needs_key => Code::KeyUnreachable,
                                KeyState::Destroyed if needs_key => Code::KeyDestroyed,
                                _ if open => Code::Allow,
                                _ => Code::TenantState,
                            };
                            assert_eq!(world.code(), expected, "{operation} {state} {key} {role}");
                            cells += 1;
                        }
                    }
                }
            }
        }
    }
    let operations: usize = PAGE.iter().map(|(operations, ..)| operations.len()).sum();
    assert_eq!(operations, Op::ALL.len() + 3, "each operation once, looking twice");
    assert_eq!(cells, operations * 4 * 4 * 2 * 2);
}

#[test]
fn a_rights_request_goes_on_until_the_tenant_is_closed() {
    for operation in [Op::Read, Op::Search, Op::Display, Op::Modify, Op::Export, Op::Erase] {
        for state in STATES {
            let mut world = world(operation, false, Role::Reader);
            world.permit().purposes = vec![Purpose::RightsRequest];
            world.ask.purpose = Some(Purpose::RightsRequest);
            world.facts.tenant_state = state;
            let open = state != State::Closed;
            assert_eq!(world.code() == Code::Allow, open, "{operation} {state}");
        }
    }
    let mut world = world(Op::Disclose, false, Role::Reader);
    world.permit().purposes = vec![Purpose::RightsRequest];
    world.ask.purpose = Some(Purpose::RightsRequest);
    world.facts.tenant_state = State::Restricted;
    assert_eq!(world.code(), Code::TenantState, "handing on stays handing on");
}

#[test]
fn the_rows_that_are_no_operations_on_data() {
    for (row, cells) in [
        (StateOperation::Hold, "yyyy"),
        (StateOperation::FinishDeletion, "yyyy"),
        (StateOperation::Widen, "ynnn"),
        (StateOperation::Narrow, "yyyn"),
        (StateOperation::Account, "yyyy"),
    ] {
        for (state, cell) in STATES.iter().zip(cells.chars()) {
            assert_eq!(state_allows(row, *state, Role::Controller), cell == 'y', "{row:?} {state}");
        }
    }
    for row in StateOperation::ALL {
        assert!(state_allows(row, State::Active, Role::Reader), "{row:?}");
    }
}

#[test]
fn the_key_table() {
    use KeyAnswer as A;
    for (operation, disabled, unreachable, destroyed) in [
        (
            KeyOperation::Content,
            A::Denied(Code::KeyDisabled),
            A::Denied(Code::KeyUnreachable),
            A::Denied(Code::KeyDestroyed),
        ),
        (KeyOperation::Erase, A::PendingKey, A::PendingKey, A::AlreadyUnreadable),
        (KeyOperation::Shred, A::Works, A::Works, A::Works),
        (KeyOperation::Account, A::Works, A::Works, A::Works),
        (KeyOperation::Suspend, A::Works, A::Works, A::KeyDestroyed),
        (KeyOperation::Resume, A::Works, A::Works, A::KeyDestroyed),
    ] {
        assert_eq!(key_answer(operation, KeyState::Active), A::Works);
        assert_eq!(key_answer(operation, KeyState::Disabled), disabled);
        assert_eq!(key_answer(operation, KeyState::Unreachable), unreachable);
        assert_eq!(key_answer(operation, KeyState::Destroyed), destroyed);
    }
}
