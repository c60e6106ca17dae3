//! Queries for leads. Erased leads are in none of them.
//!
//! Pages go by leaf address: the order in which leaf keys are derived fastest, and one that an erasure
//! between two pages does not disturb.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use leadvault_domain::{Compartment, DatasetNo, Labels, LeadId, LeafAddress, LeafRange, TagKind};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Sqlite, Transaction};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::error::{Result, StoreError};
use crate::lead::{self, LeadRow, Part, TABLE, lead_columns};
use crate::lead_tags::json_array;
use crate::scope::TenantScope;
use crate::stage::{Stage, StageCache};
use crate::statement::statements;

/// A search by tag: first values, further ones, and rows that have one staged (?8). Pairs of dataset and tag
/// come as a JSON array; the joins are written in the order in which they must run.
macro_rules! by_tag {
    ($first:literal) => {
        concat!(
            "SELECT ",
            lead_columns!(),
            " FROM (SELECT e.row_id FROM json_each(?2) j CROSS JOIN ",
            $first,
            " e WHERE e.tenant_no = ?1 AND e.dataset_no = j.value ->> 0 AND e.tag = j.value ->> 1 \
             UNION SELECT t.row_id FROM json_each(?2) j CROSS JOIN lead_tag t \
             WHERE t.tenant_no = ?1 AND t.dataset_no = j.value ->> 0 AND t.kind = ?3 \
             AND t.tag = j.value ->> 1 UNION SELECT value FROM json_each(?8)) h CROSS JOIN lead l \
             WHERE l.row_id = h.row_id AND +l.tenant_no = ?1 AND l.tombstone = 0 \
             AND (+l.dataset_no, +l.tree, +l.leaf) > (?4, ?5, ?6) \
             ORDER BY +l.dataset_no, +l.tree, +l.leaf LIMIT ?7"
        )
    };
}

/// Who has a tag of the kind `?4`: as a first value, which the head asks for, in the side table, or staged
/// (`?6`, pairs of tag and row).
macro_rules! probe_tags {
    ($head:expr) => {
        concat!(
            $head,
            "SELECT j.value AS tag, l.lead FROM json_each(?3) j CROSS JOIN lead_tag t CROSS JOIN lead l \
             WHERE t.tenant_no = ?1 AND t.dataset_no = ?2 AND t.kind = ?4 AND t.tag = j.value \
             AND l.row_id = t.row_id AND l.labels & ?5 = 0 UNION ALL \
             SELECT j.value ->> 0, l.lead FROM json_each(?6) j CROSS JOIN lead l \
             WHERE l.row_id = j.value ->> 1 AND +l.tenant_no = ?1 AND l.labels & ?5 = 0"
        )
    };
}

statements! {
    FIND = concat!("SELECT ", lead_columns!(),
        " FROM lead l WHERE l.tenant_no = ?1 AND l.lead = ?2 AND l.tombstone = 0");
    FIND_LEAF = "SELECT dataset_no, tree, leaf FROM lead WHERE tenant_no = ?1 AND lead = ?2";
    LIST_PARTS = "SELECT row_id, compartment, schema, revision, blob FROM lead_part \
                  WHERE tenant_no = ?1 AND row_id IN (SELECT value FROM json_each(?2)) \
                  ORDER BY row_id, compartment";
    BY_EMAIL = by_tag!("lead_email");
    BY_PHONE = by_tag!("lead_phone");
    BY_DOMAIN = by_tag!("lead_domain");
    BY_OTHER = concat!("SELECT ", lead_columns!(), " FROM (SELECT t.row_id FROM json_each(?2) j \
        CROSS JOIN lead_tag t WHERE t.tenant_no = ?1 AND t.dataset_no = j.value ->> 0 \
        AND t.kind = ?3 AND t.tag = j.value ->> 1 UNION SELECT value FROM json_each(?8)) h \
        CROSS JOIN lead l \
        WHERE l.row_id = h.row_id AND +l.tenant_no = ?1 AND l.tombstone = 0 \
        AND (+l.dataset_no, +l.tree, +l.leaf) > (?4, ?5, ?6) \
        ORDER BY +l.dataset_no, +l.tree, +l.leaf LIMIT ?7");
    LIST = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = ?1 \
        AND (l.dataset_no, l.tree, l.leaf) > (?2, ?3, ?4) AND l.tombstone = 0 \
        ORDER BY l.dataset_no, l.tree, l.leaf LIMIT ?5");
    LIST_DATASET = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = ?1 \
        AND l.dataset_no = ?2 AND (l.tree, l.leaf) > (?3, ?4) AND l.tombstone = 0 \
        ORDER BY l.tree, l.leaf LIMIT ?5");
    LIST_RANGE = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = ?1 \
        AND l.dataset_no = ?2 AND l.tree = ?3 AND l.leaf >= ?4 AND l.leaf < ?5 AND l.tombstone = 0 \
        ORDER BY l.leaf LIMIT ?6");
    LIST_ADDRESSES = "SELECT lead, dataset_no, tree, leaf FROM lead WHERE tenant_no = ?1 \
        AND dataset_no = ?2 AND tree = ?3 AND leaf >= ?4 AND leaf < ?5 ORDER BY leaf LIMIT ?6";
    MAX_LEAF = "SELECT MAX(leaf) FROM lead WHERE tenant_no = ?1 AND dataset_no = ?2 AND tree = ?3";
    COUNT = "SELECT (SELECT COUNT(*) FROM lead INDEXED BY lead_by_leaf WHERE tenant_no = ?1) \
             - (SELECT COUNT(*) FROM lead WHERE tenant_no = ?1 AND tombstone = 1)";
    COUNT_DATASET = "SELECT (SELECT COUNT(*) FROM lead INDEXED BY lead_by_leaf WHERE tenant_no = ?1 \
                     AND dataset_no = ?2) - (SELECT COUNT(*) FROM lead WHERE tenant_no = ?1 \
                     AND dataset_no = ?2 AND tombstone = 1)";
    COUNT_RANGE = "SELECT COUNT(*) FROM lead WHERE tenant_no = ?1 AND dataset_no = ?2 AND tree = ?3 \
                   AND leaf >= ?4 AND leaf < ?5 AND tombstone = 0";
    LIST_EMAIL_TAGS = "SELECT tag FROM lead_email WHERE tenant_no = ?1 AND dataset_no = ?2 \
                       AND (tag, dup_no) > (?3, ?4) ORDER BY tag, dup_no LIMIT ?5";
    PROBE_EMAILS = probe_tags!("SELECT j.value AS tag, l.lead FROM json_each(?3) j \
        CROSS JOIN lead_email e CROSS JOIN lead l WHERE e.tenant_no = ?1 AND e.dataset_no = ?2 \
        AND e.tag = j.value AND l.row_id = e.row_id AND l.labels & ?5 = 0 UNION ALL ");
    PROBE_PHONES = probe_tags!("SELECT j.value AS tag, l.lead FROM json_each(?3) j \
        CROSS JOIN lead_phone e CROSS JOIN lead l WHERE e.tenant_no = ?1 AND e.dataset_no = ?2 \
        AND e.tag = j.value AND l.row_id = e.row_id AND l.labels & ?5 = 0 UNION ALL ");
    PROBE_OTHERS = probe_tags!("");
    COUNT_OLD_TAGS = "SELECT COUNT(*) FROM lead WHERE tenant_no = ?1 AND dataset_no = ?2 \
                      AND tombstone = 0 AND index_epoch < ?3";
}

/// Rows of one page or step, whatever the caller asks for: about 64 MiB of the largest leads.
pub const PAGE_ROWS_MAX: u32 = 16_384;
/// Tags of one search or probe.
pub const TAGS_MAX: usize = 65_536;

/// A tag, and the dataset it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetTag {
    /// The dataset.
    pub dataset: DatasetNo,
    /// The tag.
    pub tag: i64,
}

impl DataStore {
    /// A live lead with all its compartments: one round trip, two if it has parts of its own rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_lead(&self, scope: TenantScope, id: LeadId) -> Result<Option<LeadRow>> {
        let mut connection = self.engine().reader().await?;
        let row = sqlx::query(FIND)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut leads = vec![lead::decode(&row)?];
        add_parts(&mut connection, scope, &mut leads).await?;
        Ok(leads.pop())
    }

    /// Where a lead's key grows, erasure requested or not; `None` once its row is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_leaf(&self, scope: TenantScope, id: LeadId) -> Result<Option<LeafAddress>> {
        let mut connection = self.engine().reader().await?;
        let row = sqlx::query(FIND_LEAF)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await?;
        row.map(|row| address(Cells::new(TABLE, &row))).transpose()
    }

    /// Live leads that have one of the tags, in leaf order behind `after`.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] above [`TAGS_MAX`] tags.
    pub async fn list_leads_by_tag(
        &self,
        scope: TenantScope,
        kind: TagKind,
        tags: &[DatasetTag],
        after: Option<LeafAddress>,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        if tags.len() > TAGS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let statement = match kind {
            TagKind::EMAIL => BY_EMAIL,
            TagKind::PHONE => BY_PHONE,
            TagKind::DOMAIN => BY_DOMAIN,
            _ => BY_OTHER,
        };
        let (dataset, tree, leaf) = behind(after);
        let (mut held, staged) = self
            .look_up(scope, |stage| {
                let rows = tags.iter().flat_map(|t| stage.find_kind(kind, t.dataset, t.tag));
                rows.map(|row| row.row_id).collect::<Vec<_>>()
            })
            .await?;
        let query = sqlx::query(statement)
            .bind(scope.no())
            .bind(json_pairs(tags))
            .bind(i64::from(kind.0))
            .bind(dataset)
            .bind(tree)
            .bind(leaf)
            .bind(i64::from(limit.min(PAGE_ROWS_MAX)))
            .bind(json_array(staged));
        list(&mut held, scope, query).await
    }

    /// Live leads of a dataset, or of all, in leaf order behind `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_leads(
        &self,
        scope: TenantScope,
        dataset: Option<DatasetNo>,
        after: Option<LeafAddress>,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        let (in_dataset, tree, leaf) = behind(after);
        let query = match dataset {
            None => sqlx::query(LIST).bind(scope.no()).bind(in_dataset),
            Some(dataset) => sqlx::query(LIST_DATASET).bind(scope.no()).bind(i64::from(dataset.0)),
        };
        let limit = i64::from(limit.min(PAGE_ROWS_MAX));
        self.list(scope, query.bind(tree).bind(leaf).bind(limit)).await
    }

    /// Live leads of a leaf range, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_leads_in_range(
        &self,
        scope: TenantScope,
        range: LeafRange,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        let query = bind_range(sqlx::query(LIST_RANGE), scope, range)?;
        self.list(scope, query.bind(i64::from(limit.min(PAGE_ROWS_MAX)))).await
    }

    /// Ids and leaves of a leaf range, ascending, erasure requested or not: reconciliation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_addresses(
        &self,
        scope: TenantScope,
        range: LeafRange,
        limit: u32,
    ) -> Result<Vec<(LeadId, LeafAddress)>> {
        let mut connection = self.engine().reader().await?;
        let rows = bind_range(sqlx::query(LIST_ADDRESSES), scope, range)?
            .bind(i64::from(limit.min(PAGE_ROWS_MAX)))
            .fetch_all(&mut *connection)
            .await?;
        let decode = |row: &SqliteRow| {
            let cells = Cells::new(TABLE, row);
            Ok((LeadId::from_bytes(cells.bytes("lead")?), address(cells)?))
        };
        rows.iter().map(decode).collect()
    }

    /// The largest leaf of a tree that a lead has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_largest_leaf(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        tree: u32,
    ) -> Result<Option<u32>> {
        let mut connection = self.engine().reader().await?;
        let leaf: Option<i64> = sqlx::query_scalar(MAX_LEAF)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(i64::from(tree))
            .fetch_one(&mut *connection)
            .await?;
        let bad = StoreError::Inconsistent { table: TABLE, column: "leaf" };
        leaf.map(|l| u32::try_from(l).map_err(|_| bad)).transpose()
    }

    /// The number of live leads of a dataset, or of all. Reads each of them: for jobs, not for answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_leads(&self, scope: TenantScope, dataset: Option<DatasetNo>) -> Result<u64> {
        let query = match dataset {
            None => sqlx::query_scalar(COUNT).bind(scope.no()),
            Some(no) => sqlx::query_scalar(COUNT_DATASET).bind(scope.no()).bind(i64::from(no.0)),
        };
        let mut connection = self.engine().reader().await?;
        count(query.fetch_one(&mut *connection).await?)
    }

    /// The number of live leads of a leaf range.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_leads_in_range(&self, scope: TenantScope, range: LeafRange) -> Result<u64> {
        let mut connection = self.engine().reader().await?;
        let n: i64 = sqlx::query_scalar(COUNT_RANGE)
            .bind(scope.no())
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?)
            .fetch_one(&mut *connection)
            .await?;
        count(n)
    }

    /// The number of live leads whose tags are older than `index_epoch`: what a re-tag has left to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_old_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        index_epoch: u32,
    ) -> Result<u64> {
        let mut connection = self.engine().reader().await?;
        let n: i64 = sqlx::query_scalar(COUNT_OLD_TAGS)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(i64::from(index_epoch))
            .fetch_one(&mut *connection)
            .await?;
        count(n)
    }

    /// First-e-mail tags of a dataset in order, at most `limit`, behind `(tag, dup_no)`: what an import's
    /// filter is made of. With duplicates a tag comes once for each; `dup_no` of a page's last tag is
    /// `u32::MAX`, which leaves the rest of that tag out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_email_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<i64>> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut held, staged) =
            self.look_up(scope, |stage| stage.emails(dataset, after, most)).await?;
        let before_all = (i64::MIN, -1_i64);
        let (tag, dup_no) = after.map_or(before_all, |tag| (tag, i64::from(u32::MAX)));
        let mut tags: Vec<i64> = sqlx::query_scalar(LIST_EMAIL_TAGS)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(tag)
            .bind(dup_no)
            .bind(i64::from(limit))
            .fetch_all(&mut *held)
            .await?;
        // Both are the lowest of their place, so the lowest of both are the lowest of all.
        tags.extend(staged);
        tags.sort_unstable();
        tags.truncate(most);
        Ok(tags)
    }

    /// Who has these e-mails, phones or other values, as first or further one: tag and lead, in no order.
    /// Leads with one of the labels `without` are passed over.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] above [`TAGS_MAX`] tags.
    pub async fn probe_tags(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        kind: TagKind,
        tags: &[i64],
        without: Labels,
    ) -> Result<Vec<(i64, LeadId)>> {
        if tags.len() > TAGS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let statement = match kind {
            TagKind::EMAIL => PROBE_EMAILS,
            TagKind::PHONE => PROBE_PHONES,
            _ => PROBE_OTHERS,
        };
        let (mut held, staged) = self
            .look_up(scope, |stage| {
                let rows = tags.iter().flat_map(|tag| stage.find_kind(kind, dataset, *tag));
                rows.map(|row| (row.tag, row.row_id)).collect::<Vec<_>>()
            })
            .await?;
        let pairs = staged.iter().map(|(tag, row)| json_array([*tag, *row]));
        let rows = sqlx::query(statement)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(json_array(tags.iter().copied()))
            .bind(i64::from(kind.0))
            .bind(without.bits())
            .bind(format!("[{}]", pairs.collect::<Vec<_>>().join(",")))
            .fetch_all(&mut *held)
            .await?;
        let decode = |row: &SqliteRow| {
            let cells = Cells::new(TABLE, row);
            Ok((cells.value("tag")?, LeadId::from_bytes(cells.bytes("lead")?)))
        };
        rows.iter().map(decode).collect()
    }

    async fn list(&self, scope: TenantScope, query: lead::Query<'_>) -> Result<Vec<LeadRow>> {
        list(&mut *self.engine().reader().await?, scope, query).await
    }

    /// A reading connection, and what a look at the stage of the tenant gives. Where anything is staged both
    /// are of one snapshot: a tag that moves on meanwhile is seen in one of the two places.
    async fn look_up<R: Default + Send>(
        &self,
        scope: TenantScope,
        look: impl Fn(&Stage) -> R + Send + Sync,
    ) -> Result<(Reading, R)> {
        let mut connection = self.engine().reader().await?;
        if StageCache::is_empty(&mut connection, scope.0).await? {
            return Ok((Reading::Connection(connection), R::default()));
        }
        drop(connection);
        loop {
            let mut snapshot = self.engine().snapshot().await?;
            if let Some(found) = self.stage().look(&mut snapshot, scope.0, &look).await? {
                return Ok((Reading::Snapshot(snapshot), found));
            }
            // Memory is newer than this snapshot: the next one is newer still.
            snapshot.rollback().await?;
        }
    }
}

/// A connection that reads, in a transaction or not.
enum Reading {
    Connection(PoolConnection<Sqlite>),
    Snapshot(Transaction<'static, Sqlite>),
}

impl Deref for Reading {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Snapshot(transaction) => transaction,
        }
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Snapshot(transaction) => transaction,
        }
    }
}

async fn list(
    connection: &mut SqliteConnection,
    scope: TenantScope,
    query: lead::Query<'_>,
) -> Result<Vec<LeadRow>> {
    let rows = query.fetch_all(&mut *connection).await?;
    let mut leads = rows.iter().map(lead::decode).collect::<Result<Vec<_>>>()?;
    add_parts(connection, scope, &mut leads).await?;
    Ok(leads)
}

/// Adds the compartments that have rows of their own, where there are any.
async fn add_parts(
    connection: &mut SqliteConnection,
    scope: TenantScope,
    leads: &mut [LeadRow],
) -> Result<()> {
    let wanted: Vec<i64> = leads.iter().filter(|l| l.side_parts > 0).map(|l| l.row_id).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(LIST_PARTS)
        .bind(scope.no())
        .bind(json_array(wanted))
        .fetch_all(connection)
        .await?;
    let mut parts: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
    for row in &rows {
        let cells = Cells::new("lead_part", row);
        parts.entry(cells.value("row_id")?).or_default().push(Part {
            compartment: Compartment(cells.number("compartment")?),
            schema: cells.number("schema")?,
            revision: cells.number("revision")?,
            blob: cells.value("blob")?,
        });
    }
    for lead in leads {
        lead.parts.extend(parts.remove(&lead.row_id).unwrap_or_default());
    }
    Ok(())
}

fn bind_range(
    query: lead::Query<'_>,
    scope: TenantScope,
    range: LeafRange,
) -> Result<lead::Query<'_>> {
    Ok(query
        .bind(scope.no())
        .bind(i64::from(range.dataset.0))
        .bind(i64::from(range.tree))
        .bind(i64::from(range.first))
        .bind(stored(range.end)?))
}

fn address(cells: Cells<'_>) -> Result<LeafAddress> {
    Ok(LeafAddress {
        dataset: DatasetNo(cells.number("dataset_no")?),
        tree: cells.number("tree")?,
        leaf: cells.number("leaf")?,
    })
}

/// The place behind which a page begins; before every place without one.
fn behind(after: Option<LeafAddress>) -> (i64, i64, i64) {
    after.map_or((-1, -1, -1), |at| (at.dataset.0.into(), at.tree.into(), at.leaf.into()))
}

fn count(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| StoreError::Inconsistent { table: TABLE, column: "count" })
}

fn json_pairs(tags: &[DatasetTag]) -> String {
    let mut text = String::from("[");
    for (i, pair) in tags.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&json_array([i64::from(pair.dataset.0), pair.tag]));
    }
    text.push(']');
    text
}
