//! One decision: the candidate is selected, then tested step by step in the order of decisions.md 2.
//!
//! Each step adds the codes it denies with; the first code in the order of the steps wins, and all of
//! them together are what would have to change. The steps are a table ([`STEPS`]): the transfer engine
//! of transfers.md 3.6 is one more row of it, between [`dimensions::place`] and
//! [`dimensions::conditions`] (row 13), and adds its registers to [`Facts`].

use leadvault_domain::{
    Category, CategorySet, DecisionCode, Employer, FieldNo, HonourFlag, Instruction, InstructionId,
    KeyState, Masking, Operation, Purpose, Role, Timestamp,
};

use crate::actor::Actor;
use crate::ask::Ask;
use crate::coverage::{self, FieldRule, asks_for_all, biometric_allowed};
use crate::dimensions;
use crate::facts::Facts;
use crate::filter::View;
use crate::prohibit::Prohibited;
use crate::row::{RowFilter, RowRule, RowScope};
use crate::select::{self, Selection};
use crate::session;
use crate::state::{KeyAnswer, KeyOperation, StateOperation, key_answer, state_allows};
use crate::subject::Handling;
use crate::verdict::{Allowed, BadRequest, Denied, InstructionRef, Obligation, Verdict, Warning};
use crate::would_need::{Detail, WouldNeed};

/// A call with everything a step may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) actor: &'a Actor,
    pub(crate) facts: &'a Facts,
    pub(crate) at: Timestamp,
    pub(crate) permit: Option<&'a Instruction>,
    pub(crate) purpose: Option<Purpose>,
}

/// One code a step denies with.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: DecisionCode,
    pub(crate) instruction: Option<InstructionRef>,
    pub(crate) pointer: Option<&'static str>,
    pub(crate) fields: Vec<FieldNo>,
    pub(crate) detail: Detail,
}

impl Failure {
    /// A code with nothing to add.
    pub(crate) fn new(code: DecisionCode) -> Self {
        Self { code, instruction: None, pointer: None, fields: Vec::new(), detail: Detail::None }
    }

    /// A code of one part of the permit.
    pub(crate) fn at(code: DecisionCode, pointer: &'static str, detail: Detail) -> Self {
        Self { pointer: Some(pointer), detail, ..Self::new(code) }
    }
}

/// What the selection and the prohibits found, for the steps that report it.
struct Found<'a> {
    selection: &'a Selection<'a>,
    prohibited: &'a Prohibited,
}

type Step = fn(&Case<'_>, &Found<'_>, &mut Vec<Failure>);

/// The rows of decisions.md 2, in the order in which they win.
const STEPS: &[Step] = &[
    state,
    agreement,
    subject,
    absolute,
    instruction,
    |case, _, out| session::test(case, out),
    |case, _, out| dimensions::time(case, out),
    |case, _, out| dimensions::purpose(case, out),
    |case, _, out| dimensions::operation(case, out),
    |case, _, out| dimensions::data(case, out),
    |case, _, out| dimensions::subjects(case, out),
    |case, _, out| dimensions::recipient(case, out),
    |case, _, out| dimensions::place(case, out),
    |case, _, out| dimensions::conditions(case, out),
];

/// Whether this call may happen under the tenant's instructions, and why (not).
///
/// `instructions` are all versions the register knows, of any status and effect; those of other tenants
/// do not count. `default` is the default of the API key.
pub fn decide(
    ask: &Ask,
    actor: &Actor,
    instructions: &[Instruction],
    default: Option<InstructionId>,
    facts: &Facts,
    at: Timestamp,
) -> Verdict {
    let open = Case { ask, actor, facts, at, permit: None, purpose: ask.purpose };
    let selection = select::select(&open, instructions, default);
    if selection.purpose_required {
        return Verdict::BadRequest(BadRequest::PurposeRequired);
    }
    let case = Case { permit: selection.permit, purpose: selection.purpose, ..open };
    let prohibited = Prohibited::of(&case, instructions);
    let found = Found { selection: &selection, prohibited: &prohibited };
    let mut failures = Vec::new();
    for step in STEPS {
        step(&case, &found, &mut failures);
    }
    match (failures.is_empty(), case.permit, case.purpose) {
        (true, Some(permit), Some(purpose)) => {
            Verdict::Allow(Box::new(allowed(&case, permit, purpose, prohibited)))
        }
        _ => Verdict::Deny(Box::new(denied(&case, failures))),
    }
}

fn state(case: &Case<'_>, _: &Found<'_>, out: &mut Vec<Failure>) {
    if case.ask.needs_key
        && case.facts.key_state != KeyState::Active
        && let KeyAnswer::Denied(code) = key_answer(KeyOperation::Content, case.facts.key_state)
    {
        out.push(Failure::new(code));
    }
    let allowed = |operation: &Operation| {
        let row = StateOperation::of(*operation, case.purpose, case.actor.staff);
        state_allows(row, case.facts.tenant_state, case.actor.role)
    };
    if !case.ask.operations.iter().all(allowed) {
        out.push(Failure::new(DecisionCode::TenantState));
    }
}

fn agreement(case: &Case<'_>, _: &Found<'_>, out: &mut Vec<Failure>) {
    let bound = case.permit.is_none_or(|permit| case.bound_in_force(permit));
    if case.needs_agreement() && (!case.facts.agreement_in_force || !bound) {
        out.push(Failure::at(DecisionCode::Agreement, "/agreement", Detail::None));
    }
}

fn subject(case: &Case<'_>, _: &Found<'_>, out: &mut Vec<Failure>) {
    let Some(labels) = case.ask.labels else { return };
    out.extend(case.handling().denials(labels).into_iter().map(Failure::new));
}

fn absolute(case: &Case<'_>, found: &Found<'_>, out: &mut Vec<Failure>) {
    for prohibit in &found.prohibited.whole {
        out.push(Failure {
            instruction: Some(prohibit.clone()),
            detail: Detail::Instructions(vec![prohibit.clone()]),
            ..Failure::new(DecisionCode::Prohibited)
        });
    }
    if found.prohibited.never {
        out.push(Failure::new(DecisionCode::Prohibited));
    }
    let alone = case.ask.categories.iter().all(|c| *c == Category::Biometric);
    let asked =
        case.ask.categories.contains(&Category::Biometric) && (asks_for_all(case.ask) || alone);
    if asked && !case.biometric_allowed() {
        out.push(Failure::new(DecisionCode::Biometric));
    }
}

fn instruction(_: &Case<'_>, found: &Found<'_>, out: &mut Vec<Failure>) {
    let Some(code) = found.selection.failure else { return };
    let detail = if found.selection.several.is_empty() {
        Detail::None
    } else {
        Detail::Instructions(found.selection.several.clone())
    };
    out.push(Failure { detail, ..Failure::new(code) });
}

impl Case<'_> {
    /// The tenant's own exit. Nobody but its controller leaves with everything.
    pub(crate) fn is_exit(&self) -> bool {
        self.ask.exit && self.actor.role == Role::Controller && !self.actor.staff
    }

    /// Retrieval, rights, hold and deletion need no agreement in force.
    pub(crate) fn needs_agreement(&self) -> bool {
        let goes_on =
            |o: &Operation| matches!(o, Operation::Export | Operation::Restrict | Operation::Erase);
        let right = self.purpose == Some(Purpose::RightsRequest) && !self.actor.staff;
        !(self.is_exit() || right || self.ask.operations.iter().all(goes_on))
    }

    /// Whether an instruction is bound to the agreement in force.
    pub(crate) fn bound_in_force(&self, instruction: &Instruction) -> bool {
        self.facts.agreement.as_ref().is_none_or(|a| {
            let bound = &instruction.agreement;
            (&a.id, &a.version, &a.sha256) == (&bound.id, &bound.version, &bound.sha256)
        })
    }

    /// What is known of the row.
    pub(crate) fn view(&self) -> View {
        View {
            dataset: self.ask.dataset,
            batch: self.ask.batch,
            lead: self.ask.lead,
            labels: self.ask.labels,
        }
    }

    /// What is done to the subject.
    pub(crate) fn handling(&self) -> Handling {
        Handling {
            operations: self.ask.operations.clone(),
            purpose: self.purpose,
            exit: self.is_exit(),
            consent_withdrawn: self.ask.consent_withdrawn,
            honour: self.honour_flags().to_vec(),
        }
    }

    fn honour_flags(&self) -> &[HonourFlag] {
        let conditions = self.permit.and_then(|p| p.conditions.as_ref());
        conditions.map_or(&[], |c| c.honour_flags.as_slice())
    }

    /// Whether the matrix of R-151 lets this call touch biometric data.
    pub(crate) fn biometric_allowed(&self) -> bool {
        let (purpose, exit) = (self.purpose, self.is_exit());
        self.ask.operations.iter().all(|o| biometric_allowed(*o, purpose, exit))
    }

    /// The categories a permit opens for this call: its own, within those of the grant and of each
    /// recipient's row.
    pub(crate) fn categories(&self, permit: &Instruction) -> CategorySet {
        let mut open: CategorySet = permit.data.categories.iter().copied().collect();
        if let Some(grant) = self.facts.grant.as_ref().filter(|_| self.actor.staff) {
            open.retain(|c| grant.categories.contains(c));
        }
        for row in self.recipient_rows() {
            if let Some(limit) = &row.categories {
                open.retain(|c| limit.contains(c));
            }
        }
        open
    }
}

fn allowed(
    case: &Case<'_>,
    permit: &Instruction,
    purpose: Purpose,
    prohibited: Prohibited,
) -> Allowed {
    let fields = FieldRule {
        categories: case.categories(permit),
        include: coverage::fields_by_name(&permit.data.fields_include),
        exclude: coverage::fields_by_name(&permit.data.fields_exclude),
        keeps_unclassified: coverage::only_keeps(case.ask),
        biometric: case.biometric_allowed(),
        bans: prohibited.bans,
    };
    let rows = RowRule {
        handling: case.handling(),
        permit: RowScope {
            datasets: Vec::new(),
            subject_refs: permit.subjects.subject_refs.clone(),
            regimes: permit.subjects.regimes.clone(),
            filter: RowFilter::parse(permit.data.filter.as_ref()),
        },
        prohibits: prohibited.rows,
    };
    let masking = masking(case, permit);
    Allowed {
        instruction: permit.into(),
        purpose,
        fields,
        rows,
        masking,
        warnings: warnings(case, permit),
        obligations: obligations(case, masking),
    }
}

/// The strictest of what the permit, the grant and the call say.
fn masking(case: &Case<'_>, permit: &Instruction) -> Masking {
    let grant = case.facts.grant.as_ref().filter(|g| case.actor.staff && g.masked);
    let asked = if case.ask.masked { Masking::Partial } else { Masking::None };
    let granted = grant.map_or(Masking::None, |_| Masking::Full);
    permit.data.masking.unwrap_or(Masking::None).max(asked).max(granted)
}

fn warnings(case: &Case<'_>, permit: &Instruction) -> Vec<Warning> {
    let review = permit.validity.review_by.as_deref();
    let day = review.and_then(|text| text.parse::<jiff::civil::Date>().ok());
    if day.is_some_and(|day| case.at.date() > day) { vec![Warning::ReviewDue] } else { Vec::new() }
}

fn obligations(case: &Case<'_>, masking: Masking) -> Vec<Obligation> {
    let outsider = case.actor.staff || case.actor.employer != Employer::Tenant;
    let all = [
        (masking != Masking::None, Obligation::Mask),
        (case.actor.staff, Obligation::Notify),
        (outsider, Obligation::LogCountry),
    ];
    all.into_iter().filter_map(|(due, obligation)| due.then_some(obligation)).collect()
}

fn denied(case: &Case<'_>, failures: Vec<Failure>) -> Denied {
    let would_need =
        failures.iter().map(|f| WouldNeed { code: f.code, detail: f.detail.clone() }).collect();
    // No failure and no permit cannot happen: a selection without a permit carries its code. Should it,
    // the answer is still no.
    let first =
        failures.into_iter().next().unwrap_or_else(|| Failure::new(DecisionCode::NoInstruction));
    Denied {
        code: first.code,
        instruction: first.instruction.or_else(|| case.permit.map(InstructionRef::from)),
        pointer: first.pointer,
        fields: first.fields,
        would_need,
    }
}
