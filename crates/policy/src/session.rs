//! Operator staff: nothing without an active grant that covers the call (support.md 6, R-032).

use leadvault_domain::DecisionCode;

use crate::coverage::asks_for_all;
use crate::decide::{Case, Failure};
use crate::facts::{Grant, GrantState};

/// Tests the grant of a session. The tenant's own people need none.
pub(crate) fn test(case: &Case<'_>, out: &mut Vec<Failure>) {
    if !case.actor.staff {
        return;
    }
    let grant = case.facts.grant.as_ref();
    let Some(grant) = grant.filter(|g| g.state != GrantState::Waiting && g.from <= case.at) else {
        // The selection said so already where nothing else was named.
        if out.iter().all(|f| f.code != DecisionCode::NoGrant) {
            out.push(Failure::new(DecisionCode::NoGrant));
        }
        return;
    };
    if grant.state == GrantState::Closed || case.at > grant.until {
        out.push(Failure::new(DecisionCode::GrantExpired));
    }
    if !covers(case, grant) {
        out.push(Failure::new(DecisionCode::GrantScope));
    }
    if grant.state == GrantState::Revoked {
        out.push(Failure::new(DecisionCode::GrantRevoked));
    }
}

/// Whether the grant covers the call. What a call does not ask for by name is left out instead, and a
/// grant for masked values masks.
fn covers(case: &Case<'_>, grant: &Grant) -> bool {
    let ask = case.ask;
    let mut categories = ask.categories.iter();
    let data = ask.categories.is_empty()
        || if asks_for_all(ask) {
            categories.all(|c| grant.categories.contains(c))
        } else {
            categories.any(|c| grant.categories.contains(c))
        };
    case.permit.is_none_or(|permit| permit.id == grant.instruction)
        && ask.operations.iter().all(|o| grant.operations.contains(o))
        && grant.datasets.as_ref().is_none_or(|all| ask.dataset.is_some_and(|d| all.contains(&d)))
        && ask.records <= grant.records_max
        && data
}
