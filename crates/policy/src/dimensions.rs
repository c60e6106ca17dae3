//! The dimensions of the candidate, one by one, in the order of decisions.md 2.
//!
//! From a permitted call, changing one dimension alone gives the code of that dimension.

use std::collections::BTreeSet;

use leadvault_domain::{
    Category, DatasetId, DecisionCode, Employer, FieldNo, Instruction, InstructionStatus, Masking,
    Operation, Place, RecipientId, TenantApproval,
};

use crate::coverage::{self, asks_for_all, fields_by_name};
use crate::decide::{Case, Failure};
use crate::facts::{RecipientRow, RegisterStatus};
use crate::filter::Truth;
use crate::row::{RowFilter, RowScope};
use crate::time_window::TimeWindow;
use crate::would_need::Detail;

/// Whether the permit of a case covers the call in every dimension. The register of recipients and the
/// conditions are not dimensions of an instruction: they are tested once it is chosen.
pub(crate) fn fits(case: &Case<'_>) -> bool {
    let mut out = Vec::new();
    for step in [time, purpose, operation, data, subjects, recipient_listed, place] {
        step(case, &mut out);
    }
    out.is_empty()
}

/// 6 (1).
pub(crate) fn time(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let validity = &permit.validity;
    let times = || Detail::Times(validity.from, validity.until);
    let ended = validity.until.is_some_and(|until| case.at > until);
    if ended || permit.status == InstructionStatus::Expired {
        out.push(Failure::at(DecisionCode::InstructionExpired, "/validity/until", times()));
    }
    if case.at < validity.from {
        out.push(Failure::at(DecisionCode::InstructionNotYet, "/validity/from", times()));
    }
}

/// 7 (2).
pub(crate) fn purpose(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    if !case.purpose.is_some_and(|p| permit.purposes.contains(&p)) {
        let purposes = Detail::Purposes(permit.purposes.clone());
        out.push(Failure::at(DecisionCode::Purpose, "/purposes", purposes));
    }
}

/// 8 (3).
pub(crate) fn operation(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let asked = &case.ask.operations;
    let missing: Vec<Operation> =
        asked.iter().filter(|o| !permit.operations.contains(o)).copied().collect();
    // A call that counts as nothing is covered by nothing.
    if !missing.is_empty() || asked.is_empty() {
        let missing = Detail::Operations(missing);
        out.push(Failure::at(DecisionCode::Operation, "/operations", missing));
    }
}

/// 9 (4).
pub(crate) fn data(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let scope = &permit.data;
    dataset(case, permit, out);
    categories_and_fields(case, permit, out);
    let row = RowScope { filter: RowFilter::parse(scope.filter.as_ref()), ..RowScope::default() };
    if row_fails(case, row.filter_permits(&case.view())) {
        out.push(Failure::at(DecisionCode::Filter, "/data/filter", Detail::None));
    }
    if let Some(most) = scope.max_records.filter(|most| case.ask.records > *most) {
        let most = Detail::Records(most);
        out.push(Failure::at(DecisionCode::MaxRecords, "/data/max_records", most));
    }
}

fn dataset(case: &Case<'_>, permit: &Instruction, out: &mut Vec<Failure>) {
    let listed = &permit.data.datasets;
    let own = case.actor.datasets.as_ref();
    let lists = |dataset: &DatasetId| listed.contains(&dataset.to_string());
    let (in_permit, in_key) = match (case.ask.dataset, own) {
        (Some(asked), _) => (lists(&asked), own.is_none_or(|own| own.contains(&asked))),
        (None, Some(own)) => {
            let within = case.ask.within_key && !own.is_empty();
            (within && own.iter().all(lists), within)
        }
        (None, None) => (false, true),
    };
    let in_permit = listed.is_empty() || in_permit;
    if !in_permit || !in_key {
        let listed = Detail::Datasets(listed.clone());
        out.push(Failure::at(DecisionCode::Dataset, "/data/datasets", listed));
    }
}

fn categories_and_fields(case: &Case<'_>, permit: &Instruction, out: &mut Vec<Failure>) {
    let ask = case.ask;
    let open = case.categories(permit);
    let keeps = coverage::only_keeps(ask);
    let biometric = case.biometric_allowed();
    let masks = permit.data.masking.is_some_and(|masking| masking != Masking::None);
    let shown = !(ask.content && masks);
    let covered = |c: &Category| {
        (shown && open.contains(c) && (biometric || *c != Category::Biometric || asks_for_all(ask)))
            || (*c == Category::Unclassified && keeps)
    };
    let special = ask.special_category.then_some(Category::SpecialCategory);
    let of_fields = ask.fields.iter().map(|(_, category)| *category);
    let touched: BTreeSet<Category> = ask.categories.iter().copied().chain(of_fields).collect();
    let all = asks_for_all(ask);
    let mut missing: BTreeSet<Category> = if all || !touched.iter().any(covered) {
        touched.iter().filter(|c| !covered(c)).copied().collect()
    } else {
        BTreeSet::new()
    };
    missing.extend(special.filter(|c| !covered(c)));
    let unclassified = missing.remove(&Category::Unclassified);
    // Where nothing was asked for by name and nothing is covered, the known categories say why.
    let unclassified = unclassified && (all || missing.is_empty());
    if !missing.is_empty() {
        let fields = fields_where(case, |_, c| missing.contains(&c));
        let detail = Detail::Categories(missing.iter().copied().collect());
        let failure = Failure::at(DecisionCode::Category, "/data/categories", detail);
        out.push(Failure { fields, ..failure });
    }
    field_lists(case, permit, &touched, out);
    if unclassified {
        let fields = fields_where(case, |_, c| c == Category::Unclassified);
        let detail = Detail::Fields(fields.clone());
        let failure = Failure::at(DecisionCode::Unclassified, "/data/categories", detail);
        out.push(Failure { fields, ..failure });
    }
}

/// `fields_include` and `fields_exclude`. A call on whole records that names no field asks for all of
/// them, so a list of fields never covers it; flags and copies touch no field.
fn field_lists(
    case: &Case<'_>,
    permit: &Instruction,
    touched: &BTreeSet<Category>,
    out: &mut Vec<Failure>,
) {
    let include = fields_by_name(&permit.data.fields_include);
    let exclude = fields_by_name(&permit.data.fields_exclude);
    let includes_some = !permit.data.fields_include.is_empty();
    let has_list = includes_some || !permit.data.fields_exclude.is_empty();
    if !has_list || !asks_for_all(case.ask) {
        return;
    }
    let uncovered = fields_where(case, |no, _| {
        (includes_some && !include.contains(&no)) || exclude.contains(&no)
    });
    let flags = |o: &Operation| matches!(o, Operation::Restrict | Operation::CopyBackup);
    let whole =
        case.ask.fields.is_empty() && !touched.is_empty() && !case.ask.operations.iter().all(flags);
    if whole || !uncovered.is_empty() {
        let pointer = if includes_some { "/data/fields_include" } else { "/data/fields_exclude" };
        let detail = Detail::Fields(uncovered.clone());
        let failure = Failure::at(DecisionCode::Field, pointer, detail);
        out.push(Failure { fields: uncovered, ..failure });
    }
}

fn fields_where(case: &Case<'_>, test: impl Fn(FieldNo, Category) -> bool) -> Vec<FieldNo> {
    case.ask.fields.iter().filter(|(no, c)| test(*no, *c)).map(|(no, _)| *no).collect()
}

/// What is not known yet is tested on each row; where the row is known, not known is no.
fn row_fails(case: &Case<'_>, truth: Truth) -> bool {
    match truth {
        Truth::True => false,
        Truth::False => true,
        Truth::Unknown => case.ask.labels.is_some(),
    }
}

/// 10 (5).
pub(crate) fn subjects(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let scope = &permit.subjects;
    let row = RowScope {
        subject_refs: scope.subject_refs.clone(),
        regimes: scope.regimes.clone(),
        ..RowScope::default()
    };
    let view = case.view();
    if !scope.categories.contains(&case.ask.subject) {
        let kinds = Detail::Subjects(scope.categories.clone());
        out.push(Failure::at(DecisionCode::SubjectKind, "/subjects/categories", kinds));
    } else if row_fails(case, row.names_subject(&view)) {
        let pointer = "/subjects/subject_refs";
        out.push(Failure::at(DecisionCode::SubjectKind, pointer, Detail::None));
    }
    if row_fails(case, row.all_regimes(&view)) {
        let regimes = Detail::Regimes(scope.regimes.clone());
        out.push(Failure::at(DecisionCode::Regime, "/subjects/regimes", regimes));
    }
}

impl Case<'_> {
    /// Everybody but the tenant and the operator to whom data would go: the recipient, and the
    /// recipient the actor works for.
    fn parties(&self) -> impl Iterator<Item = RecipientId> {
        let employer = match self.actor.employer {
            Employer::Recipient(id) => Some(id),
            Employer::Tenant | Employer::Operator => None,
        };
        self.ask.recipient.into_iter().chain(employer)
    }

    fn row_of(&self, party: RecipientId) -> Option<&RecipientRow> {
        self.facts.recipients.iter().find(|row| row.recipient == party)
    }

    /// The register rows of this call.
    pub(crate) fn recipient_rows(&self) -> impl Iterator<Item = &RecipientRow> {
        self.parties().filter_map(|party| self.row_of(party))
    }
}

/// 11 (6): named in the instruction, then authorised in the register.
pub(crate) fn recipient(case: &Case<'_>, out: &mut Vec<Failure>) {
    if case.permit.is_none() {
        return;
    }
    recipient_listed(case, out);
    let codes: BTreeSet<DecisionCode> =
        case.parties().filter_map(|party| register_code(case, party)).collect();
    for code in codes {
        if out.iter().all(|f| f.code != code) {
            out.push(Failure::new(code));
        }
    }
}

fn recipient_listed(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let listed = |party: RecipientId| {
        let party = party.to_string();
        permit.recipients.iter().any(|r| {
            r.recipient_id == party
                && (r.operations.is_empty()
                    || case.ask.operations.iter().all(|o| r.operations.contains(o)))
        })
    };
    let disclosed_to_nobody =
        case.ask.recipient.is_none() && case.ask.operations.contains(&Operation::Disclose);
    if disclosed_to_nobody || !case.parties().all(listed) {
        let code = DecisionCode::RecipientNotAuthorised;
        out.push(Failure::at(code, "/recipients", Detail::None));
    }
}

/// The register knows who may receive, and what each of them may receive. Categories narrow the
/// allowance and are tested with the data.
fn register_code(case: &Case<'_>, party: RecipientId) -> Option<DecisionCode> {
    let not_authorised = Some(DecisionCode::RecipientNotAuthorised);
    let Some(row) = case.row_of(party) else { return not_authorised };
    match row.status {
        RegisterStatus::NotAuthorised => return not_authorised,
        RegisterStatus::NoticeOpen => return Some(DecisionCode::NoticeWindowOpen),
        RegisterStatus::Objected => return Some(DecisionCode::Objection),
        RegisterStatus::Authorised => {}
    }
    let operations = row
        .operations
        .as_ref()
        .is_none_or(|limit| case.ask.operations.iter().all(|o| limit.contains(o)));
    let purposes =
        row.purposes.as_ref().is_none_or(|limit| case.purpose.is_some_and(|p| limit.contains(&p)));
    if operations && purposes { None } else { not_authorised }
}

/// 12 (7): the pin. No mechanism widens it.
pub(crate) fn place(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(permit) = case.permit else { return };
    let lacks = |list: &[Place], place: &Place| !list.iter().any(|p| p.covers(place));
    let store: Vec<Place> = case
        .facts
        .store_places
        .iter()
        .filter(|place| lacks(&permit.locations.store, place))
        .cloned()
        .collect();
    if !store.is_empty() {
        let code = DecisionCode::RegionPin;
        out.push(Failure::at(code, "/locations/store", Detail::Places(store)));
    }
    let here = Place::from(case.actor.country);
    if lacks(&permit.locations.access, &here) {
        let here = Detail::Places(vec![here]);
        out.push(Failure::at(DecisionCode::RegionPin, "/locations/access", here));
    }
}

/// 14.
pub(crate) fn conditions(case: &Case<'_>, out: &mut Vec<Failure>) {
    let Some(conditions) = case.permit.and_then(|p| p.conditions.as_ref()) else { return };
    let approvals = &case.facts.approvals;
    let approved = match conditions.tenant_approval.unwrap_or(TenantApproval::None) {
        TenantApproval::None => true,
        TenantApproval::PerSession => approvals.session || approvals.request,
        TenantApproval::PerRequest => approvals.request,
    };
    if !approved {
        let pointer = "/conditions/tenant_approval";
        out.push(Failure::at(DecisionCode::Approval, pointer, Detail::None));
    }
    let two = approvals.second.is_some_and(|second| second != case.actor.principal);
    if conditions.dual_control == Some(true) && !two {
        let pointer = "/conditions/dual_control";
        out.push(Failure::at(DecisionCode::DualControl, pointer, Detail::None));
    }
    // A window that no longer parses is never open: a permit fails closed.
    let open = |text: &String| text.parse().is_ok_and(|w: TimeWindow| w.contains(case.at));
    if conditions.time_window.as_ref().is_some_and(|text| !open(text)) {
        let pointer = "/conditions/time_window";
        out.push(Failure::at(DecisionCode::TimeWindow, pointer, Detail::None));
    }
    if let Some(most) = conditions.rate_per_hour.filter(|most| case.facts.calls_last_hour >= *most)
    {
        let most = Detail::CallsPerHour(most);
        out.push(Failure::at(DecisionCode::Rate, "/conditions/rate_per_hour", most));
    }
}
