//! A slice of an import: many new leads in one transaction, their tags as one sorted run.
//!
//! What makes it fast: rows in statements of many, no answer row per lead, and tags that go to the stage
//! ([`crate::stage`]) instead of to a page of every index for each of them.
//!
//! A row loses when a live lead of the dataset has its first e-mail by now. Further e-mails are the
//! importer's to probe before it seals (protocols.md 5).

use std::collections::{BTreeMap, BTreeSet};

use leadvault_domain::{LeadId, LeafAddress, TenantNo};

use crate::cells::Cells;
use crate::engine::query::json_array;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::export_extent;
use crate::import::StepImport;
use crate::lead::{NewLead, TABLE, insert_lead, insert_lead_row, number, upsert_part};
use crate::lead_unnest::{self, Placed};
use crate::stage::StageTransaction;
use crate::statement::{NONE, statements};
use crate::tag_row::{TagRow, groups};
use crate::write::{Conflict, Outcome};

/// Most leads of one slice: a bound on how long the write lock is held, whatever the importer asks for.
pub const SLICE_ROWS_MAX: usize = 4_096;
/// Leads in one statement.
const LEADS_AT_ONCE: usize = 16;

macro_rules! x4 {
    ($row:expr) => {
        concat!($row, ",", $row, ",", $row, ",", $row)
    };
}
macro_rules! x16 {
    ($row:expr) => {
        x4!(x4!($row))
    };
}

statements! {
    LEADS = concat!(insert_lead!(), x16!(insert_lead_row!())), postgres: NONE;
    LEAD = concat!(insert_lead!(), insert_lead_row!()), postgres: NONE;
    /// Lead rows that have one of these first e-mails: triples of dataset, tag and dup_no, by place.
    FIND_EMAILS = "SELECT j.key AS place, e.row_id FROM json_each($2) j CROSS JOIN lead_email e \
                   WHERE e.tenant_no = $1 AND e.dataset_no = j.value ->> 0 \
                   AND e.tag = j.value ->> 1 AND e.dup_no = j.value ->> 2",
        postgres: "SELECT j.place - 1 AS place, e.row_id \
                   FROM json_array_elements($2::json) WITH ORDINALITY j (value, place) \
                   CROSS JOIN LATERAL (SELECT l.row_id FROM lead l WHERE l.tenant_no = $1 \
                   AND l.dataset_no = (j.value ->> 0)::int AND l.email_tag = (j.value ->> 1)::bigint \
                   AND l.dup_no = (j.value ->> 2)::bigint) e";
    LIST_IDS = "SELECT row_id, lead FROM lead WHERE +tenant_no = $1 \
                AND row_id IN (SELECT value FROM json_each($2))",
        postgres: "SELECT row_id, lead FROM lead WHERE tenant_no = $1 AND row_id = ANY ($2)";
}

/// New leads of one import, at most [`SLICE_ROWS_MAX`], and how far the import got with them.
#[derive(Debug, Clone)]
pub struct LeadSlice {
    /// The leads. Ascending leaves keep the leaf index in order.
    pub rows: Vec<NewLead>,
    /// The import's progress if all of them are stored; losers are taken off `stored` and counted as
    /// `lost_as` says. [`Conflict::StateMoved`] if the import is elsewhere by now: nothing is stored.
    pub step: Option<StepImport>,
    /// What a loser counts as.
    pub lost_as: LostAs,
}

/// What a row that lost a race counts as in the import's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostAs {
    /// `skipped`.
    Skipped,
    /// `rejected`.
    Rejected,
    /// Nothing: the caller updates the lead it met, and counts then.
    Matched,
}

/// What became of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceOutcome {
    /// Leads that were stored.
    pub stored: u32,
    /// Those that were not, ascending by place.
    pub lost: Vec<LostRow>,
}

/// A row that met a live lead with its e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRow {
    /// Its place in the slice, from 0.
    pub place: usize,
    /// The lead it met; `None` if that is a row of the same slice.
    pub holder: Option<LeadId>,
}

impl LeadSlice {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        if self.rows.len() > SLICE_ROWS_MAX {
            return Err(StoreError::OutOfRange);
        }
        if let Some(step) = &self.step
            && !step.is_next(connection, tenant).await?
        {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        let rows = number(connection, &self.rows).await?;
        let mut emails: Vec<TagRow> =
            rows.iter().filter_map(|(id, lead)| TagRow::of_email(*id, lead)).collect();
        emails.sort_unstable();
        let (lost, kept) = match connection {
            Connection::Sqlite(_) => stage_rows(connection, tenant, stage, &rows, emails).await?,
            Connection::Postgres(_) => insert_columns(connection, tenant, &rows, &emails).await?,
        };
        let leaves: Vec<LeafAddress> = kept.iter().map(|(_, lead)| lead.at).collect();
        export_extent::insert_late(connection, tenant, &leaves).await?;
        let outcome = SliceOutcome {
            stored: u32::try_from(kept.len()).map_err(|_| StoreError::OutOfRange)?,
            lost: (0..)
                .zip(&rows)
                .filter_map(|(place, (id, _))| lost.get(id).map(|h| LostRow { place, holder: *h }))
                .collect(),
        };
        if let Some(step) = &self.step {
            let lost = u64::try_from(outcome.lost.len()).map_err(|_| StoreError::OutOfRange)?;
            step.less(lost, self.lost_as).run(connection, tenant).await?;
        }
        Ok(Outcome::Slice(outcome))
    }
}

/// Rows that lost, and whom they met: a lead that is there, or (`None`) an earlier row of the slice.
type Lost = BTreeMap<i64, Option<LeadId>>;

fn without<'l>(rows: &[(i64, &'l NewLead)], lost: &Lost) -> Vec<(i64, &'l NewLead)> {
    rows.iter().filter(|(id, _)| !lost.contains_key(id)).copied().collect()
}

/// First e-mails that stand twice in the slice: the later rows lose. `emails` ascend.
fn twice(emails: &[TagRow]) -> Lost {
    let same = emails.chunk_by(|a, b| key(a) == key(b));
    same.flat_map(|same| same.iter().skip(1).map(|row| (row.row_id, None))).collect()
}

/// What must differ between live leads.
const fn key(row: &TagRow) -> (u32, i64, u32) {
    (row.dataset, row.tag, row.dup_no)
}

/// Stores rows, and their tags as one sorted run of the stage. `emails` ascend.
async fn stage_rows<'l>(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    stage: &StageTransaction<'_>,
    rows: &[(i64, &'l NewLead)],
    emails: Vec<TagRow>,
) -> Result<(Lost, Vec<(i64, &'l NewLead)>)> {
    let lost = find_losers(connection, tenant, stage, &emails).await?;
    let kept = without(rows, &lost);
    insert_leads(connection, tenant, &kept).await?;
    let mut tags = emails;
    tags.retain(|row| !lost.contains_key(&row.row_id));
    tags.extend(kept.iter().flat_map(|(id, lead)| TagRow::of_rest(*id, lead)));
    tags.sort_unstable();
    if let (Some((first, _)), Some((last, _))) = (kept.first(), kept.last()) {
        stage.append(connection, tenant, (*first, *last), tags).await?;
    }
    Ok((lost, kept))
}

/// Stores rows by columns; what is taken is asked only where a row did not come in. `emails` ascend.
async fn insert_columns<'l>(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    rows: &[(i64, &'l NewLead)],
    emails: &[TagRow],
) -> Result<(Lost, Vec<(i64, &'l NewLead)>)> {
    let mut lost = twice(emails);
    let wanted = without(rows, &lost);
    let stored = lead_unnest::insert_leads(connection, &placed(tenant, &wanted)).await?;
    if stored < wanted.len() {
        let own: BTreeSet<i64> = rows.iter().map(|(id, _)| *id).collect();
        let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
        for (place, holder) in find_emails(connection, tenant, emails).await? {
            let row = emails.get(place).ok_or(StoreError::OutOfRange)?;
            if !own.contains(&holder) {
                taken.insert(row.row_id, holder);
            }
        }
        let ids = list_ids(connection, tenant, taken.values().copied().collect()).await?;
        lost.extend(taken.iter().map(|(row, holder)| (*row, ids.get(holder).copied())));
    }
    let kept = without(&wanted, &lost);
    if stored != kept.len() {
        // Something else than an e-mail stands in the way: an id or a leaf that was given out twice.
        return Err(StoreError::Exists { table: TABLE });
    }
    lead_unnest::insert_sides(connection, &placed(tenant, &kept)).await?;
    Ok((lost, kept))
}

fn placed<'l>(tenant: TenantNo, rows: &[(i64, &'l NewLead)]) -> Vec<Placed<'l>> {
    rows.iter().map(|(row_id, lead)| Placed { tenant, row_id: *row_id, lead }).collect()
}

/// Rows whose first e-mail is taken. `emails` ascend.
async fn find_losers(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    stage: &StageTransaction<'_>,
    emails: &[TagRow],
) -> Result<Lost> {
    // A loser by the stage or the table makes the rest of its kind losers too: they are all in `taken`.
    let mut lost = twice(emails);
    let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
    let values: Vec<_> = emails.iter().map(|r| (r.table, r.dataset, r.kind, r.tag)).collect();
    let mut staged = stage.find(connection, tenant, &values).await?;
    staged.sort_unstable();
    for row in emails {
        if let Ok(at) = staged.binary_search_by_key(&key(row), key)
            && let Some(holder) = staged.get(at)
        {
            taken.insert(row.row_id, holder.row_id);
        }
    }
    for (place, holder) in find_emails(connection, tenant, emails).await? {
        let row = emails.get(place).ok_or(StoreError::OutOfRange)?;
        taken.insert(row.row_id, holder);
    }
    if !taken.is_empty() {
        let ids = list_ids(connection, tenant, taken.values().copied().collect()).await?;
        lost.extend(taken.iter().map(|(row, holder)| (*row, ids.get(holder).copied())));
    }
    Ok(lost)
}

/// Which of these e-mails are in the table: place and lead row.
async fn find_emails(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    emails: &[TagRow],
) -> Result<Vec<(usize, i64)>> {
    if emails.is_empty() {
        return Ok(Vec::new());
    }
    let triples = emails
        .iter()
        .map(|row| json_array([i64::from(row.dataset), row.tag, i64::from(row.dup_no)]));
    let text = format!("[{}]", triples.collect::<Vec<_>>().join(","));
    let rows =
        query(FIND_EMAILS).bind(i64::from(tenant.0)).bind(text).fetch_all(connection).await?;
    let decode = |row: &Row| {
        let cells = Cells::new("lead_email", row);
        Ok((cells.number("place")?, cells.value("row_id")?))
    };
    rows.iter().map(decode).collect()
}

/// The ids of lead rows.
async fn list_ids(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    rows: BTreeSet<i64>,
) -> Result<BTreeMap<i64, LeadId>> {
    let rows = query(LIST_IDS)
        .bind(i64::from(tenant.0))
        .bind(rows.into_iter().collect::<Vec<i64>>())
        .fetch_all(connection)
        .await?;
    let decode = |row: &Row| {
        let cells = Cells::new(TABLE, row);
        Ok((cells.value("row_id")?, LeadId::from_bytes(cells.bytes("lead")?)))
    };
    rows.iter().map(decode).collect()
}

async fn insert_leads(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    rows: &[(i64, &NewLead)],
) -> Result<()> {
    for group in groups(rows, LEADS_AT_ONCE) {
        let mut insert = query(if group.len() == LEADS_AT_ONCE { LEADS } else { LEAD });
        for (id, lead) in group {
            insert = lead.bind(insert, tenant, *id)?;
        }
        insert.execute(connection).await?;
    }
    for (id, lead) in rows {
        for part in lead.side_parts() {
            upsert_part(connection, tenant, *id, part).await?;
        }
    }
    Ok(())
}
