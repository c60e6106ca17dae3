//! Which rows an allowance covers, where a call meets more than one.
//!
//! A page, an import or an export is decided once, before its rows are known. What depends on a row
//! (its flags, its regimes, the filter, a prohibit about single subjects) is tested on each of them
//! with the same rules: a row the rule does not cover is left out.

use leadvault_domain::{DatasetId, DecisionCode, ImportId, Labels, LeadId, Regime};

use crate::filter::{Filter, Truth, View};
use crate::subject::Handling;

/// A row, as its clear labels describe it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The lead.
    pub lead: Option<LeadId>,
    /// Its dataset.
    pub dataset: DatasetId,
    /// Its import batch, if it came with one.
    pub batch: Option<ImportId>,
    /// Its labels.
    pub labels: Labels,
}

/// The row part of an instruction: datasets, single subjects, regimes, filter. Empty parts fit every row.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowScope {
    /// Datasets as text; a permit's are tested on the call, a prohibit's on each row.
    pub(crate) datasets: Vec<String>,
    pub(crate) subject_refs: Vec<String>,
    pub(crate) regimes: Vec<Regime>,
    pub(crate) filter: RowFilter,
}

/// A filter that stands in an instruction.
#[derive(Debug, Clone, Default)]
pub(crate) enum RowFilter {
    #[default]
    None,
    Parsed(Filter),
    /// It got past the draft and no longer parses: nobody knows what it means.
    Unreadable,
}

impl RowFilter {
    pub(crate) fn parse(text: Option<&String>) -> Self {
        match text.map(|t| t.parse()) {
            None => Self::None,
            Some(Ok(filter)) => Self::Parsed(filter),
            Some(Err(_)) => Self::Unreadable,
        }
    }
}

impl RowScope {
    /// Whether the single subjects named, if any are, hold this one.
    pub(crate) fn names_subject(&self, view: &View) -> Truth {
        if self.subject_refs.is_empty() {
            return Truth::True;
        }
        match (view.lead, view.labels) {
            (Some(lead), _) => self.subject_refs.contains(&lead.to_string()).into(),
            (None, Some(_)) => Truth::False,
            (None, None) => Truth::Unknown,
        }
    }

    /// Whether every regime of the row is listed. A row of unknown origin is under no listed regime.
    pub(crate) fn all_regimes(&self, view: &View) -> Truth {
        if self.regimes.is_empty() {
            return Truth::True;
        }
        let Some(labels) = view.labels else { return Truth::Unknown };
        let origin = labels.regimes();
        (!origin.is_empty() && origin.iter().all(|r| self.regimes.contains(r))).into()
    }

    /// Whether any regime of the row is listed.
    fn any_regime(&self, view: &View) -> Truth {
        if self.regimes.is_empty() {
            return Truth::True;
        }
        let Some(labels) = view.labels else { return Truth::Unknown };
        labels.regimes().iter().any(|r| self.regimes.contains(r)).into()
    }

    /// Whether the filter of a permit lets the row through: a filter nobody can read lets none.
    pub(crate) fn filter_permits(&self, view: &View) -> Truth {
        match &self.filter {
            RowFilter::None => Truth::True,
            RowFilter::Parsed(filter) => filter.eval(view),
            RowFilter::Unreadable => Truth::False,
        }
    }

    /// Whether a prohibit of this scope meets the row: a filter nobody can read meets all.
    pub(crate) fn prohibits(&self, view: &View) -> Truth {
        let filter = match &self.filter {
            RowFilter::None | RowFilter::Unreadable => Truth::True,
            RowFilter::Parsed(filter) => filter.eval(view),
        };
        self.in_dataset(view).and(self.names_subject(view)).and(self.any_regime(view)).and(filter)
    }

    fn in_dataset(&self, view: &View) -> Truth {
        if self.datasets.is_empty() {
            return Truth::True;
        }
        view.dataset.map_or(Truth::Unknown, |d| self.datasets.contains(&d.to_string()).into())
    }
}

/// The predicate of an allowance: which rows it covers.
#[derive(Debug, Clone)]
pub struct RowRule {
    pub(crate) handling: Handling,
    pub(crate) permit: RowScope,
    pub(crate) prohibits: Vec<RowScope>,
}

impl RowRule {
    /// The code a row is left out with, the first in the order of decisions.md 2; `None` = covered.
    pub fn denial(&self, row: &Row) -> Option<DecisionCode> {
        let view = View {
            dataset: Some(row.dataset),
            batch: row.batch,
            lead: row.lead,
            labels: Some(row.labels),
        };
        if let Some(code) = self.handling.denials(row.labels).first() {
            return Some(*code);
        }
        if self.prohibits.iter().any(|scope| scope.prohibits(&view) != Truth::False) {
            return Some(DecisionCode::Prohibited);
        }
        let tests = [
            (self.permit.filter_permits(&view), DecisionCode::Filter),
            (self.permit.names_subject(&view), DecisionCode::SubjectKind),
            (self.permit.all_regimes(&view), DecisionCode::Regime),
        ];
        tests.into_iter().find(|(truth, _)| *truth != Truth::True).map(|(_, code)| code)
    }
}
