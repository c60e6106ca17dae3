//! Prohibits: matched in every dimension they state, whatever the call names (decisions.md 1.2, 1.6).
//!
//! A dimension a prohibit leaves empty fits everything. Categories and fields fit if the call touches
//! any of them. Where a call can leave fields out and did not ask for the prohibited ones, they are
//! left out instead. What depends on rows not known yet is tested on each row. Approvals, rates and
//! masking say how a permit is used; in a prohibit they mean nothing.

use leadvault_domain::{
    Category, Effect, Employer, Instruction, InstructionStatus, Place, Purpose,
};

use crate::coverage::{FieldBan, asks_for_all, fields_by_name};
use crate::decide::Case;
use crate::filter::Truth;
use crate::row::{RowFilter, RowScope};
use crate::time_window::TimeWindow;
use crate::verdict::InstructionRef;

/// Never, whoever instructs: de-identified research without free text, files or biometric data.
/// Selling and advertising need no row: their words do not exist.
const NEVER: &[(Purpose, &[Category])] = &[(
    Purpose::DeidentifiedRnd,
    &[Category::NoteText, Category::File, Category::Biometric, Category::SpecialCategory],
)];

/// What the prohibits and the never-list do to a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prohibited {
    /// Prohibits that match the call as a whole.
    pub(crate) whole: Vec<InstructionRef>,
    /// Whether the never-list does.
    pub(crate) never: bool,
    /// Fields to be left out.
    pub(crate) bans: Vec<FieldBan>,
    /// Prohibits that may meet single rows.
    pub(crate) rows: Vec<RowScope>,
}

/// How far a prohibit's data dimension reaches into a call.
enum Reach {
    None,
    Fields,
    Whole,
}

impl Prohibited {
    pub(crate) fn of(case: &Case<'_>, instructions: &[Instruction]) -> Self {
        let mut out = Self::default();
        for (purpose, categories) in NEVER {
            if case.purpose != Some(*purpose) {
                continue;
            }
            let ban = FieldBan {
                categories: categories.iter().copied().collect(),
                include: Vec::new(),
                exclude: Vec::new(),
            };
            match reach(case, &ban) {
                Reach::Whole if !case.ask.categories.is_empty() => out.never = true,
                Reach::None | Reach::Whole => {}
                Reach::Fields => out.bans.push(ban),
            }
        }
        for prohibit in instructions.iter().filter(|i| in_force(case, i) && states_fit(case, i)) {
            out.add(case, prohibit);
        }
        out.close(case);
        out
    }

    fn add(&mut self, case: &Case<'_>, prohibit: &Instruction) {
        let scope = RowScope {
            datasets: prohibit.data.datasets.clone(),
            subject_refs: prohibit.subjects.subject_refs.clone(),
            regimes: prohibit.subjects.regimes.clone(),
            filter: RowFilter::parse(prohibit.data.filter.as_ref()),
        };
        let ban = FieldBan {
            categories: prohibit.data.categories.iter().copied().collect(),
            include: fields_by_name(&prohibit.data.fields_include),
            exclude: fields_by_name(&prohibit.data.fields_exclude),
        };
        let view = case.view();
        let truth = match scope.prohibits(&view) {
            // All there is to know of the row is known.
            Truth::Unknown if view.labels.is_some() => Truth::True,
            truth => truth,
        };
        match (truth, reach(case, &ban)) {
            (Truth::False, _) | (_, Reach::None) => {}
            (_, Reach::Fields) => self.bans.push(ban),
            (Truth::True, Reach::Whole) => self.whole.push(prohibit.into()),
            (Truth::Unknown, Reach::Whole) => self.rows.push(scope),
        }
    }

    /// Several prohibits may together leave nothing of what is there.
    fn close(&mut self, case: &Case<'_>) {
        let present = &case.ask.categories;
        let nothing_left = !self.bans.is_empty()
            && present.iter().all(|c| self.bans.iter().any(|ban| ban.names_whole(*c)));
        self.never |= nothing_left;
    }
}

fn in_force(case: &Case<'_>, instruction: &Instruction) -> bool {
    instruction.effect == Effect::Prohibit
        && instruction.status == InstructionStatus::Active
        && instruction.tenant_id == case.facts.tenant
        && instruction.validity.from <= case.at
        && instruction.validity.until.is_none_or(|until| case.at <= until)
}

/// Whether every dimension but data and rows fits. Empty lists fit everything.
fn states_fit(case: &Case<'_>, prohibit: &Instruction) -> bool {
    let (ask, actor) = (case.ask, case.actor);
    let here = Place::from(actor.country);
    let covers = |list: &[Place], place: &Place| list.iter().any(|p| p.covers(place));
    (prohibit.purposes.is_empty() || case.purpose.is_some_and(|p| prohibit.purposes.contains(&p)))
        && (prohibit.operations.is_empty()
            || ask.operations.iter().any(|o| prohibit.operations.contains(o)))
        && (prohibit.subjects.categories.is_empty()
            || prohibit.subjects.categories.contains(&ask.subject))
        && recipients_fit(case, prohibit)
        && (prohibit.locations.access.is_empty() || covers(&prohibit.locations.access, &here))
        && (prohibit.locations.store.is_empty()
            || case.facts.store_places.is_empty()
            || case.facts.store_places.iter().any(|p| covers(&prohibit.locations.store, p)))
        && window_fits(case, prohibit)
}

fn recipients_fit(case: &Case<'_>, prohibit: &Instruction) -> bool {
    let employer = match case.actor.employer {
        Employer::Recipient(id) => Some(id),
        Employer::Tenant | Employer::Operator => None,
    };
    prohibit.recipients.is_empty()
        || [case.ask.recipient, employer].into_iter().flatten().any(|party| {
            let party = party.to_string();
            prohibit.recipients.iter().any(|r| {
                r.recipient_id == party
                    && (r.operations.is_empty()
                        || case.ask.operations.iter().any(|o| r.operations.contains(o)))
            })
        })
}

/// A window that no longer parses is always open: a prohibit fails closed.
fn window_fits(case: &Case<'_>, prohibit: &Instruction) -> bool {
    let window = prohibit.conditions.as_ref().and_then(|c| c.time_window.as_ref());
    window.is_none_or(|text| text.parse().map_or(true, |w: TimeWindow| w.contains(case.at)))
}

fn reach(case: &Case<'_>, ban: &FieldBan) -> Reach {
    let ask = case.ask;
    if ask.special_category && ban.reaches(Category::SpecialCategory) {
        return Reach::Whole;
    }
    if ask.categories.is_empty() && ask.fields.is_empty() {
        // A call that names no data is about the record as such.
        return Reach::Whole;
    }
    let touched = if ask.fields.is_empty() {
        ask.categories.iter().any(|c| ban.reaches(*c))
    } else {
        ask.fields.iter().any(|(no, c)| ban.names(*no, *c))
    };
    if !touched {
        return Reach::None;
    }
    if asks_for_all(ask) || ask.categories.iter().all(|c| ban.names_whole(*c)) {
        Reach::Whole
    } else {
        Reach::Fields
    }
}
