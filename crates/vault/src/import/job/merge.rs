//! Rows merged into leads that are there (protocols.md 6): read under an entry `write.begin` of their own,
//! sealed again under their existing leaf. The writes go into the slice's own commit.
//!
//! A row sets the fields it has; notes and tags it brings are added. The cells a lead once came with stay
//! what they were. A lead the permit does not cover is left alone and its row refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use leadvault_domain::{FieldNo, Fields, Labels, LeadId, LeafRange, Personal, Value};
use leadvault_keys::{Located, NotCovered};
use leadvault_ledger::{CommittedReceipt, LogOperation, ResourceType};
use leadvault_store::{LeadRow, Part, TenantScope, UpdateLead};

use super::super::{Format, Plan, Rebuild, RowCode, cells_of_fields};
use super::press::{Press, Ready, Slice};
use super::storing::Storing;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::lead_codec::{SCHEMA, encode};
use crate::leads::create::labels_of;
use crate::leads::list::policy_row;
use crate::leads::opened::{locate, open_parts};

/// What the merges of a slice come to.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) writes: Vec<UpdateLead>,
    /// Rows merged.
    pub(super) updated: u64,
    /// Places of rows that were refused.
    pub(super) refused: Vec<(usize, RowCode)>,
    /// Leaves of the changed leads.
    pub(super) ranges: Vec<LeafRange>,
}

/// A lead that is there, and what is to be merged into it.
struct Held {
    row: LeadRow,
    located: Located,
    /// The plan its own cells are rebuilt by; none for a lead made by itself.
    own: Option<Arc<Plan>>,
    rows: Vec<Fields>,
}

/// Merges rows into the leads they met; `None` where one of these moved meanwhile: ask again who is there.
/// `shared` leaves addresses that two leads have already as they are, instead of making them unique.
///
/// # Errors
/// What keys, store and journal say.
pub(super) async fn merge(
    storing: &mut Storing<'_>,
    permit: &Permit,
    slice: &Slice,
    into: &BTreeMap<LeadId, Vec<usize>>,
    shared: bool,
) -> Result<Option<Merged>, Refusal> {
    let mut merged = Merged::default();
    let mut all = Vec::with_capacity(into.len());
    for (lead, places) in into {
        let scope = TenantScope(storing.room.no);
        let Some(row) = storing.cell.data().find_lead(scope, *lead).await? else {
            return Ok(None);
        };
        if permit.rows.denial(&policy_row(&row, storing.dataset.id)).is_some() {
            merged.refused.extend(places.iter().map(|place| (*place, RowCode::NotPermitted)));
            continue;
        }
        let own = storing.plan_of_lead(row.batch).await?;
        let located = match locate(&*storing.room.ring()?, &row) {
            Ok(located) => located,
            Err(Fault::NotFound) => return Ok(None),
            Err(other) => return Err(other.into()),
        };
        let rows = places.iter().filter_map(|place| slice.rows.get(*place));
        let rows = rows.filter_map(|ready| match ready {
            Ready::Row(row) => Some(row.fields.clone()),
            Ready::Refused(_) => None,
        });
        merged.updated += places.len() as u64;
        merged.ranges.push(LeafRange::single(row.at));
        all.push(Held { rows: rows.collect(), row, located, own });
    }
    if all.is_empty() {
        return Ok(Some(merged));
    }
    let receipt = begin(storing, permit, &all).await?;
    let (press, plan) = (Arc::clone(&storing.press), Arc::clone(&slice.plan));
    let work = move || -> Result<Option<Vec<UpdateLead>>, Refusal> {
        let mut writes = Vec::with_capacity(all.len());
        for held in all {
            match merge_one(&press, &plan, &receipt, held, shared)? {
                Some(write) => writes.push(write),
                None => return Ok(None),
            }
        }
        Ok(Some(writes))
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Internal("worker"))?;
    Ok(done?.map(|writes| Merged { writes, ..merged }))
}

/// The entry under which the leads are read.
async fn begin(
    storing: &Storing<'_>,
    permit: &Permit,
    all: &[Held],
) -> Result<CommittedReceipt, Refusal> {
    let entry = permit
        .entry_as(storing.call, LogOperation::WriteBegin, ResourceType::Record)
        .dataset(storing.dataset.id)
        .n(all.len() as u64)
        .refs(all.iter().map(|held| held.located.reference()));
    storing.cell.commit(&storing.room, entry, Some(permit.read_generations())).await
}

fn merge_one(
    press: &Press,
    plan: &Plan,
    receipt: &CommittedReceipt,
    held: Held,
    shared: bool,
) -> Result<Option<UpdateLead>, Refusal> {
    let Held { row, located, own, rows } = held;
    let opener = match located.open(receipt, press.clock.now()) {
        Ok(opener) => opener,
        Err(NotCovered::SnapshotBehind { .. } | NotCovered::TooOld) => return Ok(None),
        Err(_) => return Err(Fault::Internal("receipt does not cover the lead").into()),
    };
    press.room.count_released();
    let mut fields = open_parts(&opener, &row, |_| true)?;
    for from in &rows {
        fields = merge_fields(own.as_deref(), plan, fields, from);
    }
    let revision = row.parts.iter().map(|p| p.revision).max().unwrap_or(0);
    let revision = revision.checked_add(1).ok_or(Fault::StateConflict)?;
    let ring = press.room.ring()?;
    let again = match locate(&ring, &row) {
        Ok(again) => again,
        // Erased since: the next question will not find it.
        Err(Fault::NotFound) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let sealer = again.sealer();
    let mut parts = Vec::new();
    for (compartment, plain) in
        encode(&fields, FieldNo::compartment).map_err(|_| Fault::TooLarge)?
    {
        let blob =
            sealer.seal(row.id, SCHEMA, compartment, revision, &plain, press.entropy.as_ref())?;
        parts.push(Part { compartment, schema: SCHEMA, revision, blob });
    }
    let gone = |c: &leadvault_domain::Compartment| parts.iter().all(|p| p.compartment != *c);
    let removed = row.parts.iter().map(|p| p.compartment).filter(gone).collect();
    let mut tags =
        press.tags(&ring, row.at, &press.terms(own.as_deref().unwrap_or(plan), &fields))?;
    if shared {
        tags.dup_no = row.at.leaf.saturating_add(1);
    }
    let regimes: Vec<_> = row.labels.regimes().into_iter().collect();
    let flags = row.labels.with_categories([]).with_regimes([]);
    let fresh = labels_of(&press.dataset, &fields, Some(&regimes));
    Ok(Some(UpdateLead {
        id: row.id,
        base: Some(row.version),
        parts,
        removed,
        tags: Some(tags),
        probes: Vec::new(),
        labels: Some(Labels::from_bits(flags.bits() | fresh.bits())),
        updated: press.clock.now(),
    }))
}

/// Sets what a row read under `plan` has in the fields of a lead whose own row was read under `own`.
pub(super) fn merge_fields(
    own: Option<&Plan>,
    plan: &Plan,
    before: Fields,
    row: &Fields,
) -> Fields {
    let mut fields = before.clone();
    for (field, value) in row {
        match (*field, value) {
            (FieldNo::ORIGINAL | FieldNo::CREATED_AT | FieldNo::UPDATED_AT, _) => {}
            // Column n of one file need not be column n of another.
            (field, _) if is_unmapped(field) && !same_column(own, plan, field) => {}
            (FieldNo::NOTES, Value::Pairs(notes)) => add_notes(&mut fields, notes),
            (FieldNo::TAGS, Value::List(tags)) => add_tags(&mut fields, tags),
            _ => {
                fields.insert(*field, value.clone());
            }
        }
    }
    keep_cells(own, &before, &mut fields);
    fields
}

fn is_unmapped(field: FieldNo) -> bool {
    (FieldNo::FIRST_UNMAPPED..FieldNo::FIRST_CUSTOM).contains(&field.0)
}

fn same_column(own: Option<&Plan>, plan: &Plan, field: FieldNo) -> bool {
    let header =
        |plan: &Plan| plan.columns_of(field).next().map(|(_, column)| column.header.clone());
    own.is_some_and(|own| header(own).is_some() && header(own) == header(plan))
}

fn add_notes(fields: &mut Fields, notes: &[(Personal, Personal)]) {
    let held = fields.entry(FieldNo::NOTES).or_insert_with(|| Value::Pairs(Vec::new()));
    if let Value::Pairs(held) = held {
        for note in notes {
            if held.iter().all(|(text, _)| *text != note.0) {
                held.push(note.clone());
            }
        }
    }
}

fn add_tags(fields: &mut Fields, tags: &[Personal]) {
    let held = fields.entry(FieldNo::TAGS).or_insert_with(|| Value::List(Vec::new()));
    if let Value::List(held) = held {
        for tag in tags {
            if !held.contains(tag) {
                held.push(tag.clone());
            }
        }
    }
}

/// The cells a lead came with stay what they were, whatever its fields say now.
fn keep_cells(own: Option<&Plan>, before: &Fields, fields: &mut Fields) {
    match own {
        // A line of an export keeps its cells whole.
        Some(plan) if plan.format == Format::Export => {}
        Some(plan) => {
            let rebuild = Rebuild::new(plan);
            rebuild.keep(fields, &rebuild.cells(before));
        }
        None => {
            fields.insert(FieldNo::ORIGINAL, Value::Pairs(cells_of_fields(before)));
        }
    }
}

/// Plans of the imports that leads came with, read once each.
pub(super) type Plans = HashMap<u32, Option<Arc<Plan>>>;

#[cfg(test)]
mod tests {
    use super::super::super::{By, Charset, Column, Dialect, rebuild_cells};
    use super::*;

    fn plan(columns: &[(&str, FieldNo)]) -> Plan {
        Plan {
            format: Format::Csv,
            charset: Charset::CP1252,
            dialect: Dialect::RFC_4180,
            header: true,
            columns: columns
                .iter()
                .map(|(header, field)| Column {
                    header: (*header).into(),
                    field: *field,
                    by: if is_unmapped(*field) { By::None } else { By::Dictionary },
                    tag: None,
                })
                .collect(),
        }
    }

    fn text(values: &[(FieldNo, &str)]) -> Fields {
        values.iter().map(|(f, v)| (*f, Value::Text((*v).into()))).collect()
    }

    #[test]
    fn a_merge_sets_what_the_row_has_and_keeps_the_cells_as_they_came() {
        let (email, company) = (FieldNo::EMAIL, FieldNo::COMPANY);
        let own = plan(&[("Email", email), ("Firm", company)]);
        let before = text(&[(email, "ada@example.com"), (company, "Old")]);
        let came = rebuild_cells(&own, &before);
        let row = text(&[(company, "New")]);
        let after = merge_fields(Some(&own), &own, before, &row);
        assert_eq!(after.get(&company), Some(&Value::Text("New".into())));
        assert_eq!(after.get(&email), Some(&Value::Text("ada@example.com".into())));
        assert_eq!(rebuild_cells(&own, &after), came);
        // Once more changes nothing.
        assert_eq!(merge_fields(Some(&own), &own, after.clone(), &row), after);
    }

    #[test]
    fn an_unmapped_column_is_merged_only_into_the_column_of_the_same_header() {
        let x = FieldNo(FieldNo::FIRST_UNMAPPED + 1);
        let (own, other) = (
            plan(&[("Email", FieldNo::EMAIL), ("Score", x)]),
            plan(&[("Email", FieldNo::EMAIL), ("Colour", x)]),
        );
        let before = text(&[(x, "7")]);
        let row = text(&[(x, "blue")]);
        let kept = merge_fields(Some(&own), &other, before.clone(), &row);
        assert_eq!(kept.get(&x), Some(&Value::Text("7".into())));
        let set = merge_fields(Some(&own), &own, before, &row);
        assert_eq!(set.get(&x), Some(&Value::Text("blue".into())));
    }

    #[test]
    fn notes_and_tags_are_added_once() {
        let own = plan(&[("Notes", FieldNo::NOTES), ("Tags", FieldNo::TAGS)]);
        let lists = |note: &str, tag: &str| -> Fields {
            [
                (FieldNo::NOTES, Value::Pairs(vec![(note.into(), "".into())])),
                (FieldNo::TAGS, Value::List(vec![tag.into()])),
            ]
            .into()
        };
        let once = merge_fields(Some(&own), &own, lists("a", "x"), &lists("b", "y"));
        let twice = merge_fields(Some(&own), &own, once.clone(), &lists("b", "y"));
        assert_eq!(once, twice);
        let Some(Value::Pairs(notes)) = once.get(&FieldNo::NOTES) else { panic!("notes") };
        assert_eq!(notes.len(), 2);
    }
}
