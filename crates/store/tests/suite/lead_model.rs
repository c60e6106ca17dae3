//! Leads and tags against a model: a map from id to what should be found.
//!
//! Random inserts, slices, changes, tombstones, removals and steps of merging run on both; after each the outcome must be the
//! model's, and at the end every lookup must be.

use std::collections::BTreeMap;

use leadvault_domain::{LeadId, LeafRange, TagKind};
use leadvault_store::{
    Conflict, DataStore, DatasetTag, DeleteLead, DeleteLeadRange, LeadSlice, LeadTags, LostAs,
    LostRow, NewLead, Outcome, SliceOutcome, TenantScope, TombstoneLead, UpdateLead,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::kit::{DATASET, NOW, TestCell, apply, insert, lead, lead_id};

/// Few tags, so that they meet.
const TAGS: i64 = 6;

#[derive(Debug, Clone)]
enum Action {
    Insert(Tags),
    Slice(Vec<Tags>),
    Change { which: usize, tags: Tags },
    Tombstone { which: usize },
    Remove { which: usize },
    RemoveRange { first: u32, len: u32 },
    Merge { rows: usize },
}

#[derive(Debug, Clone)]
struct Tags {
    email: Option<i64>,
    further: Option<i64>,
    phone: Option<i64>,
    domain: Option<i64>,
    duplicate: bool,
}

impl Tags {
    /// As stored; a slice carries no further e-mails, its importer probes them.
    fn stored(&self, leaf: u32, in_slice: bool) -> LeadTags {
        let further = self.further.filter(|_| !in_slice);
        LeadTags {
            email: self.email,
            phone: self.phone,
            domain: self.domain,
            more: further.map(|tag| (TagKind::EMAIL, tag)).into_iter().collect(),
            index_epoch: 1,
            dup_no: if self.duplicate { leaf + 1 } else { 0 },
        }
    }
}

fn tags() -> impl Strategy<Value = Tags> {
    let tag = || prop::option::of(0..TAGS);
    (tag(), prop::option::weighted(0.2, 0..TAGS), tag(), tag(), prop::bool::weighted(0.1)).prop_map(
        |(email, further, phone, domain, duplicate)| Tags {
            email,
            further,
            phone,
            domain,
            duplicate,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let which = || 0..40_usize;
    prop_oneof![
        4 => tags().prop_map(Action::Insert),
        4 => prop::collection::vec(tags(), 0..6).prop_map(Action::Slice),
        3 => (which(), tags()).prop_map(|(which, tags)| Action::Change { which, tags }),
        3 => which().prop_map(|which| Action::Tombstone { which }),
        2 => which().prop_map(|which| Action::Remove { which }),
        1 => (0..40_u32, 0..6_u32).prop_map(|(first, len)| Action::RemoveRange { first, len }),
        3 => (1..12_usize).prop_map(|rows| Action::Merge { rows }),
    ]
}

#[derive(Debug, Clone)]
struct Held {
    leaf: u32,
    version: u32,
    live: bool,
    tags: LeadTags,
}

impl Held {
    fn emails(&self) -> impl Iterator<Item = i64> {
        let further = self.tags.more.iter().map(|(_, tag)| *tag);
        self.tags.email.into_iter().chain(further)
    }
}

#[derive(Debug, Default)]
struct Model {
    leads: BTreeMap<LeadId, Held>,
    next_leaf: u32,
}

impl Model {
    /// Live leads that have one of the e-mails, but for `own`.
    fn holders(&self, emails: &[i64], own: Option<LeadId>) -> Vec<LeadId> {
        let live = self.leads.iter().filter(|(id, held)| held.live && Some(**id) != own);
        live.filter(|(_, held)| held.emails().any(|e| emails.contains(&e)))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whom the unique key of the first e-mail refuses.
    fn first_holder(&self, tags: &LeadTags) -> Option<LeadId> {
        let same = |held: &Held| {
            held.live && held.tags.email == tags.email && held.tags.dup_no == tags.dup_no
        };
        tags.email?;
        self.leads.iter().find(|(_, held)| same(held)).map(|(id, _)| *id)
    }

    fn take(&mut self) -> u32 {
        self.next_leaf += 1;
        self.next_leaf - 1
    }

    fn add(&mut self, lead: &NewLead) {
        let held = Held { leaf: lead.at.leaf, version: 1, live: true, tags: lead.tags.clone() };
        self.leads.insert(lead.id, held);
    }
}

fn emails_of(tags: &LeadTags) -> Vec<i64> {
    tags.email.into_iter().chain(tags.more.iter().map(|(_, tag)| *tag)).collect()
}

fn is_duplicate(outcome: &Outcome, holders: &[LeadId]) -> bool {
    matches!(outcome, Outcome::Conflict(Conflict::Duplicate { lead }) if holders.contains(lead))
}

async fn step(data: &DataStore, scope: TenantScope, model: &mut Model, action: &Action) {
    match action {
        Action::Insert(tags) => {
            let leaf = model.take();
            let new = lead(leaf, tags.stored(leaf, false));
            let outcome = apply(data, scope, insert(new.clone())).await;
            let holders = model.holders(&emails_of(&new.tags), None);
            if new.tags.dup_no == 0 && !holders.is_empty() {
                assert!(is_duplicate(&outcome, &holders), "{outcome:?}");
            } else {
                assert_eq!(outcome, Outcome::Done);
                model.add(&new);
            }
        }
        Action::Slice(rows) => slice(data, scope, model, rows).await,
        // Nobody notices.
        Action::Merge { rows } => drop(data.merge_staged(*rows).await.unwrap()),
        Action::Change { which, tags } => {
            let id = lead_id(*which as u64);
            let Some(held) = model.leads.get(&id).filter(|h| h.live).cloned() else {
                let outcome = apply(data, scope, change(id, None, LeadTags::default())).await;
                assert_eq!(outcome, Outcome::Conflict(Conflict::Missing));
                return;
            };
            let tags = tags.stored(held.leaf, false);
            let holders = model.holders(&emails_of(&tags), Some(id));
            let stale = change(id, Some(held.version + 1), tags.clone());
            let moved = Outcome::Conflict(Conflict::VersionMoved { version: held.version });
            assert_eq!(apply(data, scope, stale).await, moved);
            let outcome = apply(data, scope, change(id, Some(held.version), tags.clone())).await;
            if tags.dup_no == 0 && !holders.is_empty() {
                assert!(is_duplicate(&outcome, &holders), "{outcome:?}");
            } else {
                assert_eq!(outcome, Outcome::Done);
                let changed = Held { version: held.version + 1, tags, ..held };
                model.leads.insert(id, changed);
            }
        }
        Action::Tombstone { which } => {
            let id = lead_id(*which as u64);
            let outcome = apply(data, scope, TombstoneLead { id, base: None }).await;
            match model.leads.get_mut(&id).filter(|held| held.live) {
                Some(held) => {
                    assert_eq!(outcome, Outcome::Done);
                    held.live = false;
                }
                None => assert_eq!(outcome, Outcome::Conflict(Conflict::Missing)),
            }
        }
        Action::Remove { which } => {
            let id = lead_id(*which as u64);
            let outcome = apply(data, scope, DeleteLead { id }).await;
            if model.leads.get(&id).is_some_and(|held| !held.live) {
                assert_eq!(outcome, Outcome::Done);
                model.leads.remove(&id);
            } else {
                assert_eq!(outcome, Outcome::Conflict(Conflict::Missing));
            }
        }
        Action::RemoveRange { first, len } => {
            let end = u64::from(first + len);
            let range = LeafRange { dataset: DATASET, tree: 1, first: *first, end };
            let before = model.leads.len();
            model.leads.retain(|_, held| !(*first..first + len).contains(&held.leaf));
            let count = u64::try_from(before - model.leads.len()).unwrap();
            let outcome = apply(data, scope, DeleteLeadRange { range }).await;
            assert_eq!(outcome, Outcome::Count(count));
        }
    }
}

async fn slice(data: &DataStore, scope: TenantScope, model: &mut Model, rows: &[Tags]) {
    let leads: Vec<NewLead> = rows
        .iter()
        .map(|tags| {
            let leaf = model.take();
            lead(leaf, tags.stored(leaf, true))
        })
        .collect();
    // Rows of one slice meet in the order of their places.
    let mut lost = Vec::new();
    let before: Vec<LeadId> = model.leads.keys().copied().collect();
    for (place, lead) in leads.iter().enumerate() {
        match model.first_holder(&lead.tags) {
            Some(holder) => {
                let holder = before.contains(&holder).then_some(holder);
                lost.push(LostRow { place, holder });
            }
            None => model.add(lead),
        }
    }
    let stored = u32::try_from(leads.len() - lost.len()).unwrap();
    let write = LeadSlice { rows: leads, step: None, lost_as: LostAs::Skipped };
    let outcome = apply(data, scope, write).await;
    assert_eq!(outcome, Outcome::Slice(SliceOutcome { stored, lost }));
}

fn change(id: LeadId, base: Option<u32>, tags: LeadTags) -> UpdateLead {
    UpdateLead {
        id,
        base,
        parts: Vec::new(),
        removed: Vec::new(),
        tags: Some(tags),
        probes: Vec::new(),
        labels: None,
        updated: NOW,
    }
}

/// Every lookup gives what the model has.
async fn compare(data: &DataStore, scope: TenantScope, model: &Model) {
    let live = || model.leads.iter().filter(|(_, held)| held.live);
    let mut by_leaf: Vec<(u32, LeadId, u32)> =
        live().map(|(id, held)| (held.leaf, *id, held.version)).collect();
    by_leaf.sort_unstable();
    let rows = data.list_leads(scope, Some(DATASET), None, 1_000).await.unwrap();
    let listed: Vec<_> = rows.iter().map(|row| (row.at.leaf, row.id, row.version)).collect();
    assert_eq!(listed, by_leaf);
    let count = u64::try_from(by_leaf.len()).unwrap();
    assert_eq!(data.count_leads(scope, None).await, Ok(count));
    for (id, held) in &model.leads {
        assert_eq!(data.find_lead(scope, *id).await.unwrap().is_some(), held.live);
        assert!(data.find_leaf(scope, *id).await.unwrap().is_some());
    }
    for tag in 0..TAGS {
        let has = |kind, held: &Held| match kind {
            TagKind::EMAIL => held.emails().any(|e| e == tag),
            TagKind::PHONE => held.tags.phone == Some(tag),
            _ => held.tags.domain == Some(tag),
        };
        for kind in [TagKind::EMAIL, TagKind::PHONE, TagKind::DOMAIN] {
            let mut expected: Vec<(u32, LeadId)> = live()
                .filter(|(_, held)| has(kind, held))
                .map(|(id, held)| (held.leaf, *id))
                .collect();
            expected.sort_unstable();
            let tags = [DatasetTag { dataset: DATASET, tag }];
            let rows = data.list_leads_by_tag(scope, kind, &tags, None, 1_000).await.unwrap();
            let found: Vec<_> = rows.iter().map(|row| (row.at.leaf, row.id)).collect();
            assert_eq!(found, expected, "{kind:?} {tag}");
        }
    }
}

/// Runs random actions on a cell, each time as a tenant of its own.
async fn hold(cell: &TestCell, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let tried = runner.run(&prop::collection::vec(action(), 1..40), |actions| {
        let done = async {
            let scope = crate::kit::tenant(&cell.data).await;
            let mut model = Model::default();
            for action in &actions {
                step(&cell.data, scope, &mut model, action).await;
            }
            compare(&cell.data, scope, &model).await;
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(done));
        Ok(())
    });
    assert!(tried.is_ok(), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leads_and_tags_of_sqlite_are_what_the_model_has() {
    hold(&crate::kit::open_sqlite().await, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leads_and_tags_of_postgres_are_what_the_model_has() {
    hold(&crate::kit::open_postgres().await, 40).await;
}
