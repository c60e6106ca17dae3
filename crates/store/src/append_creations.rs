//! New leads of many callers in one transaction, as columns (PostgreSQL).
//!
//! It says in a dozen statements, whatever the number of callers and tenants, what [`crate::append`] says one
//! operation at a time: who has one of the e-mails, the leads, what stands beside them, the chunks. Whatever is
//! out of the ordinary (a request that was answered before, a row that does not come in) is left to that one.

use std::collections::{BTreeMap, BTreeSet};

use leadvault_domain::{LeadId, TenantNo};
use leadvault_ledger::{Appended, OpResult};

use crate::append::{Halt, LogPart, Operation, Placed as Told, append_chunks};
use crate::change::{self, InsertChange};
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach};
use crate::error::StoreError;
use crate::export_extent;
use crate::journal::{Appending, Chunk};
use crate::lead::{InsertLead, number};
use crate::lead_tags::{self, Emails, Wanted};
use crate::lead_unnest::{self, Placed};
use crate::log_end::{self, End};
use crate::replay::{self, InsertReplay};
use crate::write::{Conflict, Outcome, Write};

/// A new lead with what stands beside it.
pub(crate) struct Creation<'a> {
    op: &'a Operation,
    insert: &'a InsertLead,
    replay: Option<&'a InsertReplay>,
    change: Option<&'a InsertChange>,
}

/// The operations as new leads; `None` where one of them is something else.
pub(crate) fn creations(slice: &[Operation]) -> Option<Vec<Creation<'_>>> {
    slice.iter().map(creation).collect()
}

/// An operation as a new lead.
pub(crate) fn creation(op: &Operation) -> Option<Creation<'_>> {
    let parts = match op.write.as_ref()? {
        Write::Several(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (replay, parts) = match parts {
        [Write::InsertReplay(replay), rest @ ..] => (Some(replay), rest),
        all => (None, all),
    };
    let (insert, change) = match parts {
        [Write::InsertLead(insert)] => (insert, None),
        [Write::InsertLead(insert), Write::InsertChange(change)] => (insert, Some(change)),
        _ => return None,
    };
    Some(Creation { op, insert, replay, change })
}

impl Creation<'_> {
    fn emails(&self) -> impl Iterator<Item = Wanted> {
        let InsertLead { lead, probes } = self.insert;
        let dataset = lead.at.dataset;
        let tenant = self.op.log;
        let emails = Emails { dataset, tags: &lead.tags, probes, own: 0 };
        let tags: BTreeSet<i64> = emails.all().collect();
        tags.into_iter().map(move |tag| Wanted { tenant, dataset, tag })
    }

    fn refuses_duplicates(&self) -> bool {
        self.insert.lead.tags.dup_no == 0
    }

    /// What its write comes to where nothing is in its way.
    fn done(&self) -> Outcome {
        match &self.op.write {
            Some(Write::Several(parts)) => {
                Outcome::Several(parts.iter().map(|_| Outcome::Done).collect())
            }
            _ => Outcome::Done,
        }
    }
}

impl DataStore {
    /// Appends new leads.
    ///
    /// # Errors
    /// [`Halt::Apart`] where they must run one by one; else as of any batch.
    pub(crate) async fn append_creations(
        &self,
        creations: &[Creation<'_>],
    ) -> Result<Appended<Outcome>, Halt> {
        let logs: BTreeSet<TenantNo> = creations.iter().map(|c| c.op.log).collect();
        let mut held = self.engine().writer(Reach::Tenants(logs.iter().copied().collect())).await?;
        let mut transaction = held.begin().await?;
        self.steps().reached("commit.1.begun");
        let connection = &mut transaction.connection();
        let known = log_end::find_logs(connection, logs.iter().copied()).await?;
        let mut results: Vec<OpResult<Outcome>> = Vec::with_capacity(creations.len());
        let mut valid = Vec::with_capacity(creations.len());
        for (at, creation) in creations.iter().enumerate() {
            let control = known.get(&creation.op.log).map(|(control, _)| control);
            let holds = control.is_some_and(|row| row.holds(creation.op.asserted));
            results.push(if control.is_some() { OpResult::Stale } else { OpResult::Failed });
            if holds {
                valid.push((at, creation));
            }
        }
        let conflicts = insert(connection, &valid).await?;
        self.steps().reached("commit.2.written");
        let parts = place(connection, &valid, &conflicts).await?;
        let acknowledged = append_chunks(connection, parts, results).await?;
        self.end(transaction).await?;
        drop(held);
        self.keeper().committed();
        Ok(acknowledged)
    }
}

type Valid<'v, 'a> = [(usize, &'v Creation<'a>)];

/// Inserts those whose e-mails are free; whom the others met, by their place in the batch.
async fn insert(
    connection: &mut Connection<'_>,
    valid: &Valid<'_, '_>,
) -> Result<BTreeMap<usize, LeadId>, Halt> {
    let taken = find_taken(connection, valid).await?;
    // The same request, answered before: what it was answered goes before what it met.
    if valid.iter().any(|(at, creation)| creation.replay.is_some() && taken.contains_key(at)) {
        return Err(Halt::Apart);
    }
    let mut new = Vec::with_capacity(valid.len());
    for (_, creation) in valid.iter().filter(|(at, _)| !taken.contains_key(at)) {
        for (row_id, lead) in
            number(connection, std::slice::from_ref(&creation.insert.lead)).await?
        {
            new.push(Placed { tenant: creation.op.log, row_id, lead });
        }
    }
    if new.is_empty() {
        return Ok(taken);
    }
    if lead_unnest::insert_leads(connection, &new).await? != new.len() {
        return Err(Halt::Apart);
    }
    lead_unnest::insert_sides(connection, &new).await?;
    let leaves: Vec<_> = new.iter().map(|placed| (placed.tenant, placed.lead.at)).collect();
    export_extent::insert_late_several(connection, leaves.into_iter()).await?;
    Ok(taken)
}

/// Who meets a live lead with one of its e-mails, or an earlier one of the batch.
async fn find_taken(
    connection: &mut Connection<'_>,
    valid: &Valid<'_, '_>,
) -> Result<BTreeMap<usize, LeadId>, StoreError> {
    let all: BTreeSet<Wanted> = valid.iter().flat_map(|(_, creation)| creation.emails()).collect();
    let all: Vec<Wanted> = all.into_iter().collect();
    let mut held: BTreeMap<Wanted, LeadId> = BTreeMap::new();
    for (place, lead) in lead_tags::find_holders(connection, &all).await? {
        held.insert(*all.get(place).ok_or(StoreError::OutOfRange)?, lead);
    }
    let mut taken = BTreeMap::new();
    for (at, creation) in valid {
        let met = creation.emails().find_map(|wanted| held.get(&wanted).copied());
        match met.filter(|_| creation.refuses_duplicates()) {
            Some(lead) => {
                taken.insert(*at, lead);
            }
            None => {
                for wanted in creation.emails() {
                    held.entry(wanted).or_insert(creation.insert.lead.id);
                }
            }
        }
    }
    Ok(taken)
}

/// Gives each entry its place behind the end of its log, and stores what names that place.
async fn place(
    connection: &mut Connection<'_>,
    valid: &Valid<'_, '_>,
    conflicts: &BTreeMap<usize, LeadId>,
) -> Result<Vec<LogPart>, Halt> {
    let logs: BTreeSet<TenantNo> = valid.iter().map(|(_, creation)| creation.op.log).collect();
    let ends = log_end::lock_ends(connection, logs.iter().copied()).await?;
    let mut parts: BTreeMap<TenantNo, LogPart> = BTreeMap::new();
    let (mut changes, mut replays) = (Vec::new(), Vec::new());
    for (at, creation) in valid {
        let op = creation.op;
        let log = op.log;
        let end = ends.get(&log).and_then(|(_, end)| *end);
        let part = parts.entry(log).or_insert_with(|| LogPart {
            appending: Appending { log, end, chunk: Chunk::default() },
            placed: Vec::new(),
        });
        let offset = u64::try_from(part.placed.len()).map_err(|_| StoreError::OutOfRange)?;
        let index = end.map_or(0, End::size) + offset;
        let met = conflicts.get(at).map(|lead| Conflict::Duplicate { lead: *lead });
        let conflict = met.is_some();
        let entry = op.otherwise.as_ref().filter(|_| conflict).unwrap_or(&op.entry);
        part.appending.chunk.push(entry)?;
        let outcome = Some(met.map_or_else(|| creation.done(), Outcome::Conflict));
        part.placed.push(Told { at: *at, leaf_hash: entry.leaf_hash(), outcome, conflict });
        if !conflict {
            changes.extend(creation.change.map(|change| (log, index, change)));
            replays.extend(creation.replay.map(|replay| (log, index, replay)));
        }
    }
    let stored = change::insert_several(connection, &changes).await?;
    let used =
        if replays.is_empty() { 0 } else { replay::insert_several(connection, &replays).await? };
    // A key that was used before, by a request that another node answered.
    if [stored, used].map(usize::try_from) != [Ok(changes.len()), Ok(replays.len())] {
        return Err(Halt::Apart);
    }
    Ok(parts.into_values().collect())
}
