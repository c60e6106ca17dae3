//! The row part of an allowance: pages, imports, exports.

use leadvault_domain::{DecisionCode as Code, LabelFlag, Labels, Regime};
use leadvault_policy::{Row, RowRule};

use crate::kit::{World, batch, dataset, lead};

fn rule(change: fn(&mut World)) -> RowRule {
    let mut world = World::plain();
    world.ask.labels = None;
    world.ask.lead = None;
    change(&mut world);
    world.allowed().rows
}

fn row() -> Row {
    Row {
        lead: Some(lead(1)),
        dataset: dataset(1),
        batch: None,
        labels: Labels::default().with_regimes([Regime::Eu]),
    }
}

#[test]
fn a_row_nothing_speaks_against_is_covered() {
    assert_eq!(rule(|_| {}).denial(&row()), None);
}

#[test]
fn flags_leave_a_row_out() {
    let labels = row().labels.with(LabelFlag::Restricted, true);
    assert_eq!(rule(|_| {}).denial(&Row { labels, ..row() }), Some(Code::Restricted));
}

#[test]
fn the_filter_is_tested_on_each_row() {
    let rule = rule(|w| w.permit().data.filter = Some("not batch or restricted".to_owned()));
    assert_eq!(rule.denial(&row()), None);
    assert_eq!(rule.denial(&Row { batch: Some(batch(1)), ..row() }), Some(Code::Filter));
}

#[test]
fn a_filter_that_fails_before_any_row_denies_the_call() {
    let mut world = World::plain();
    world.ask.labels = None;
    world.permit().data.filter = Some(format!("dataset = \"{}\" and hold", dataset(2)));
    assert_eq!(world.code(), Code::Filter);
}

#[test]
fn regimes_and_single_subjects_are_tested_on_each_row() {
    let regimes = rule(|w| w.permit().subjects.regimes = vec![Regime::Uk]);
    assert_eq!(regimes.denial(&row()), Some(Code::Regime));
    let subjects = rule(|w| w.permit().subjects.subject_refs = vec![lead(2).to_string()]);
    assert_eq!(subjects.denial(&row()), Some(Code::SubjectKind));
    assert_eq!(subjects.denial(&Row { lead: Some(lead(2)), ..row() }), None);
}

#[test]
fn a_row_answers_as_a_call_on_it_alone_would() {
    for flag in [LabelFlag::Restricted, LabelFlag::Minor, LabelFlag::ObjectionMarketing] {
        let labels = row().labels.with(flag, true);
        let mut alone = World::plain();
        alone.ask.labels = Some(labels);
        let by_row = rule(|_| {}).denial(&Row { labels, ..row() }).unwrap_or(Code::Allow);
        assert_eq!(by_row, alone.code());
    }
}
