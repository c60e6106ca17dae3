//! A slice of an import: many new leads in one transaction, each table in its own order.
//!
//! What makes it fast: rows in statements of many, tags sorted so that a page is touched once per slice,
//! and no answer row per lead. The engine's count of changed rows says whether anybody lost; only then is
//! it asked who.
//!
//! A row loses when a live lead of the dataset has its first e-mail by now. Further e-mails are the
//! importer's to probe before it seals (protocols.md 5).

use std::collections::BTreeMap;

use leadvault_domain::{LeadId, LeafAddress, TagKind, TenantNo};
use sqlx::sqlite::SqliteConnection;

use crate::cells::Cells;
use crate::error::{Result, StoreError};
use crate::export_extent;
use crate::import::StepImport;
use crate::lead::{NewLead, Query, TABLE, insert_lead, insert_lead_row, next_row, upsert_part};
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

/// Most leads of one slice: a bound on how long the write lock is held, whatever the importer asks for.
pub const SLICE_ROWS_MAX: usize = 4_096;
/// Leads in one statement.
const LEADS_AT_ONCE: usize = 16;
/// Tags in one statement.
const TAGS_AT_ONCE: usize = 64;

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
macro_rules! x64 {
    ($row:expr) => {
        x4!(x16!($row))
    };
}
macro_rules! emails {
    ($rows:expr) => {
        concat!(
            "INSERT INTO lead_email (tenant_no, dataset_no, tag, dup_no, row_id) VALUES ",
            $rows,
            " ON CONFLICT DO NOTHING"
        )
    };
}
macro_rules! phones {
    ($rows:expr) => {
        concat!("INSERT INTO lead_phone (tenant_no, dataset_no, tag, row_id) VALUES ", $rows)
    };
}
macro_rules! domains {
    ($rows:expr) => {
        concat!("INSERT INTO lead_domain (tenant_no, dataset_no, tag, row_id) VALUES ", $rows)
    };
}
macro_rules! more {
    ($rows:expr) => {
        concat!(
            "INSERT INTO lead_tag (tenant_no, dataset_no, kind, tag, row_id) VALUES ",
            $rows,
            " ON CONFLICT DO NOTHING"
        )
    };
}

statements! {
    LEADS = concat!(insert_lead!(), x16!(insert_lead_row!()));
    LEAD = concat!(insert_lead!(), insert_lead_row!());
    EMAILS = emails!(x64!("(?, ?, ?, ?, ?)"));
    EMAIL = emails!("(?, ?, ?, ?, ?)");
    PHONES = phones!(x64!("(?, ?, ?, ?)"));
    PHONE = phones!("(?, ?, ?, ?)");
    DOMAINS = domains!(x64!("(?, ?, ?, ?)"));
    DOMAIN = domains!("(?, ?, ?, ?)");
    MORES = more!(x64!("(?, ?, ?, ?, ?)"));
    MORE = more!("(?, ?, ?, ?, ?)");
    FIND_EMAIL = "SELECT e.row_id, l.lead FROM lead_email e LEFT JOIN lead l ON l.row_id = e.row_id \
                  WHERE e.tenant_no = ?1 AND e.dataset_no = ?2 AND e.tag = ?3 AND e.dup_no = ?4";
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

/// A row of a tag table to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TagRow {
    dataset: u32,
    kind: u16,
    tag: i64,
    dup_no: u32,
    row_id: i64,
}

impl TagRow {
    /// Of a lead; `kind` 0 where the table holds one kind.
    fn of(lead: &NewLead, kind: TagKind, tag: i64, row_id: i64) -> Self {
        Self { dataset: lead.at.dataset.0, kind: kind.0, tag, dup_no: lead.tags.dup_no, row_id }
    }
}

#[derive(Clone, Copy)]
enum TagTable {
    Email,
    Phone,
    Domain,
    More,
}

impl TagTable {
    const fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::Email => (EMAILS, EMAIL),
            Self::Phone => (PHONES, PHONE),
            Self::Domain => (DOMAINS, DOMAIN),
            Self::More => (MORES, MORE),
        }
    }

    fn bind(self, query: Query<'_>, tenant: TenantNo, row: TagRow) -> Query<'_> {
        let query = query.bind(i64::from(tenant.0)).bind(i64::from(row.dataset));
        match self {
            Self::Email => query.bind(row.tag).bind(i64::from(row.dup_no)),
            Self::Phone | Self::Domain => query.bind(row.tag),
            Self::More => query.bind(i64::from(row.kind)).bind(row.tag),
        }
        .bind(row.row_id)
    }
}

impl LeadSlice {
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        if self.rows.len() > SLICE_ROWS_MAX {
            return Err(StoreError::OutOfRange);
        }
        if let Some(step) = &self.step
            && !step.is_next(connection, tenant).await?
        {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        let first = next_row(connection).await?;
        let rows: Vec<(i64, &NewLead)> = (first..).zip(&self.rows).collect();
        let lost = insert_emails(connection, tenant, first, &rows).await?;
        let kept: Vec<(i64, &NewLead)> =
            rows.into_iter().filter(|(id, _)| !lost.contains_key(id)).collect();
        insert_leads(connection, tenant, &kept).await?;
        insert_tags(connection, tenant, &kept).await?;
        let leaves: Vec<LeafAddress> = kept.iter().map(|(_, lead)| lead.at).collect();
        export_extent::insert_late(connection, tenant, &leaves).await?;
        let outcome = SliceOutcome {
            stored: u32::try_from(kept.len()).map_err(|_| StoreError::OutOfRange)?,
            lost: lost
                .into_iter()
                .map(|(id, holder)| LostRow {
                    place: usize::try_from(id - first).unwrap_or(usize::MAX),
                    holder,
                })
                .collect(),
        };
        if let Some(step) = &self.step {
            let lost = u64::try_from(outcome.lost.len()).map_err(|_| StoreError::OutOfRange)?;
            step.less(lost, self.lost_as).run(connection, tenant).await?;
        }
        Ok(Outcome::Slice(outcome))
    }
}

/// Inserts the first e-mails in tag order; returns the row numbers that lost, and whom they met.
async fn insert_emails(
    connection: &mut SqliteConnection,
    tenant: TenantNo,
    first: i64,
    rows: &[(i64, &NewLead)],
) -> Result<BTreeMap<i64, Option<LeadId>>> {
    let mut tags: Vec<TagRow> = rows
        .iter()
        .filter_map(|(id, lead)| {
            lead.tags.email.map(|tag| TagRow::of(lead, TagKind::EMAIL, tag, *id))
        })
        .collect();
    tags.sort_unstable();
    let mut lost = BTreeMap::new();
    for group in groups(&tags, TAGS_AT_ONCE) {
        let inserted = insert_group(connection, tenant, TagTable::Email, group).await?;
        if inserted < group.len() {
            for row in group {
                if let Some(holder) = find_winner(connection, tenant, first, *row).await? {
                    lost.insert(row.row_id, holder);
                }
            }
        }
    }
    Ok(lost)
}

/// `None` if the row itself is there; else whom it met (`Some(None)`: another row of the slice).
async fn find_winner(
    connection: &mut SqliteConnection,
    tenant: TenantNo,
    first: i64,
    row: TagRow,
) -> Result<Option<Option<LeadId>>> {
    let found = sqlx::query(FIND_EMAIL)
        .bind(i64::from(tenant.0))
        .bind(i64::from(row.dataset))
        .bind(row.tag)
        .bind(i64::from(row.dup_no))
        .fetch_one(connection)
        .await?;
    let cells = Cells::new(TABLE, &found);
    let winner: i64 = cells.value("row_id")?;
    if winner == row.row_id {
        return Ok(None);
    }
    if winner >= first {
        return Ok(Some(None));
    }
    Ok(Some(cells.bytes_or_null("lead")?.map(LeadId::from_bytes)))
}

async fn insert_leads(
    connection: &mut SqliteConnection,
    tenant: TenantNo,
    rows: &[(i64, &NewLead)],
) -> Result<()> {
    for group in groups(rows, LEADS_AT_ONCE) {
        let mut query = sqlx::query(if group.len() == LEADS_AT_ONCE { LEADS } else { LEAD });
        for (id, lead) in group {
            query = lead.bind(query, tenant, *id)?;
        }
        query.execute(&mut *connection).await?;
    }
    for (id, lead) in rows {
        for part in lead.side_parts() {
            upsert_part(connection, tenant, *id, part).await?;
        }
    }
    Ok(())
}

async fn insert_tags(
    connection: &mut SqliteConnection,
    tenant: TenantNo,
    rows: &[(i64, &NewLead)],
) -> Result<()> {
    let (mut phones, mut domains, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for (id, lead) in rows {
        phones.extend(lead.tags.phone.map(|tag| TagRow::of(lead, TagKind::PHONE, tag, *id)));
        domains.extend(lead.tags.domain.map(|tag| TagRow::of(lead, TagKind::DOMAIN, tag, *id)));
        more.extend(lead.tags.more.iter().map(|(kind, tag)| TagRow::of(lead, *kind, *tag, *id)));
    }
    let tables = [(TagTable::Phone, phones), (TagTable::Domain, domains), (TagTable::More, more)];
    for (table, mut tags) in tables {
        tags.sort_unstable();
        for group in groups(&tags, TAGS_AT_ONCE) {
            insert_group(connection, tenant, table, group).await?;
        }
    }
    Ok(())
}

/// Inserts a whole group or a single row, and returns how many went in.
async fn insert_group(
    connection: &mut SqliteConnection,
    tenant: TenantNo,
    table: TagTable,
    group: &[TagRow],
) -> Result<usize> {
    let (many, one) = table.statements();
    let mut query = sqlx::query(if group.len() == TAGS_AT_ONCE { many } else { one });
    for row in group {
        query = table.bind(query, tenant, *row);
    }
    let done = query.execute(connection).await?;
    usize::try_from(done.rows_affected()).map_err(|_| StoreError::OutOfRange)
}

/// Groups of exactly `size`, and what is left one by one: there are only two statements to prepare.
fn groups<T>(items: &[T], size: usize) -> impl Iterator<Item = &[T]> {
    let whole = items.chunks_exact(size);
    let rest = whole.remainder().chunks(1);
    whole.chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_whole_or_single_and_leave_nothing_out() {
        let items: Vec<u32> = (0..37).collect();
        let sizes: Vec<usize> = groups(&items, 16).map(<[u32]>::len).collect();
        assert_eq!(sizes, [16, 16, 1, 1, 1, 1, 1]);
        let all: Vec<u32> = groups(&items, 16).flatten().copied().collect();
        assert_eq!(all, items);
    }
}
