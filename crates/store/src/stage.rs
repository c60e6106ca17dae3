//! The stage: tags of imported leads that are durable and found, but not in the tag tables yet.
//!
//! A slice appends its tags as one sorted run (`lead_run`) instead of touching a page of every index for
//! each of its rows; [`crate::stage_merge`] moves them on, in tag order. Whoever looks a tag up looks here
//! first and in the tables after: tags move only from here to there, in one transaction.
//!
//! What is staged of a tenant is kept in memory, as of one committed generation ([`Stage`]). A transaction
//! or a reader compares the generation that it sees in the database and reads what is newer, so memory is
//! never believed without the database, and a rolled back transaction leaves nothing in it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use leadvault_domain::{DatasetNo, TagKind, TenantNo};

use crate::cells::Cells;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::statement::{NONE, statements};
use crate::tag_row::{TagRow, TagTable};

statements! {
    FIND = "SELECT generation, last_row, floor_row, through_row, cursor, staged FROM lead_stage \
            WHERE tenant_no = $1", postgres: NONE;
    UPSERT = "INSERT INTO lead_stage (tenant_no, generation, last_row, floor_row, through_row, cursor, \
              staged) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_no) DO UPDATE SET \
              generation = excluded.generation, last_row = excluded.last_row, \
              floor_row = excluded.floor_row, through_row = excluded.through_row, \
              cursor = excluded.cursor, staged = excluded.staged", postgres: NONE;
    LIST_NEWER = "SELECT first_row, last_row, bytes FROM lead_run \
                  WHERE tenant_no = $1 AND generation > $2", postgres: NONE;
    INSERT_RUN = "INSERT INTO lead_run (tenant_no, first_row, last_row, generation, bytes) \
                  VALUES ($1, $2, $3, $4, $5)", postgres: NONE;
    /// The run that holds a lead row, or the one behind it: runs do not overlap.
    FIND_RUN = "SELECT first_row, last_row, bytes FROM lead_run \
                WHERE tenant_no = $1 AND last_row >= $2 ORDER BY first_row LIMIT 1", postgres: NONE;
    UPDATE_RUN = "UPDATE lead_run SET generation = $3, bytes = $4 \
                  WHERE tenant_no = $1 AND first_row = $2", postgres: NONE;
}

const TABLE: &str = "lead_stage";
const RUNS: &str = "lead_run";

/// The row of a tenant in `lead_stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StageRow {
    pub(crate) generation: i64,
    /// The last lead row of any run there was.
    pub(crate) last_row: i64,
    pub(crate) floor_row: i64,
    pub(crate) through_row: i64,
    pub(crate) cursor: Option<TagRow>,
    pub(crate) staged: i64,
}

impl StageRow {
    /// Whether a staged tag row is in its table already: the pass under way has come past it.
    fn is_merged(&self, row: &TagRow) -> bool {
        row.row_id <= self.floor_row
            || (row.row_id <= self.through_row && self.cursor.is_some_and(|cursor| *row <= cursor))
    }
}

/// What is staged of a tenant at one generation.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    row: StageRow,
    rows: BTreeSet<TagRow>,
    /// The last lead row of a run that was read.
    known_row: i64,
}

impl Stage {
    /// Staged tag rows of a value, not merged, in the order of lead rows.
    fn find(
        &self,
        table: TagTable,
        dataset: u32,
        kind: u16,
        tag: i64,
    ) -> impl Iterator<Item = TagRow> {
        let bound = |dup_no, row_id| TagRow { table, dataset, kind, tag, dup_no, row_id };
        let range =
            (Bound::Included(bound(0, i64::MIN)), Bound::Included(bound(u32::MAX, i64::MAX)));
        self.rows.range(range).filter(|row| !self.row.is_merged(row)).copied()
    }

    /// Lead rows that have one of these values, as first or as further one.
    pub(crate) fn find_kind(&self, kind: TagKind, dataset: DatasetNo, tag: i64) -> Vec<TagRow> {
        let first = TagTable::of_first(kind);
        let first = first.into_iter().flat_map(|table| self.find(table, dataset.0, 0, tag));
        first.chain(self.find(TagTable::More, dataset.0, kind.0, tag)).collect()
    }

    /// First-e-mail tags of a dataset above `after`, ascending, at most `limit`.
    pub(crate) fn emails(&self, dataset: DatasetNo, after: Option<i64>, limit: usize) -> Vec<i64> {
        let table = TagTable::Email;
        let bound = |tag, dup_no, row_id| TagRow {
            table,
            dataset: dataset.0,
            kind: 0,
            tag,
            dup_no,
            row_id,
        };
        let from = match after {
            Some(tag) => Bound::Excluded(bound(tag, u32::MAX, i64::MAX)),
            None => Bound::Included(bound(i64::MIN, 0, i64::MIN)),
        };
        let to = Bound::Included(bound(i64::MAX, u32::MAX, i64::MAX));
        let rows = self.rows.range((from, to)).filter(|row| !self.row.is_merged(row));
        rows.take(limit).map(|row| row.tag).collect()
    }

    /// The next rows of the pass under way, ascending, at most `limit`.
    pub(crate) fn next_of_pass(&self, limit: usize) -> Vec<TagRow> {
        let from = self.row.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.rows.range((from, Bound::Unbounded));
        rows.filter(|row| row.row_id <= self.row.through_row).take(limit).copied().collect()
    }

    /// Tag rows behind a lead row.
    pub(crate) fn count_behind(&self, lead_row: i64) -> usize {
        self.rows.iter().filter(|row| row.row_id > lead_row).count()
    }

    pub(crate) fn row(&self) -> StageRow {
        self.row
    }

    /// Takes over what a newer generation changed.
    fn advance(&mut self, row: StageRow, runs: Vec<Run>) {
        if row.floor_row > self.row.floor_row {
            self.rows.retain(|tag_row| tag_row.row_id > row.floor_row);
        }
        for run in runs {
            if run.first_row <= self.known_row {
                self.rows.retain(|row| !(run.first_row..=run.last_row).contains(&row.row_id));
            }
            self.known_row = self.known_row.max(run.last_row);
            self.rows.extend(run.rows.into_iter().filter(|r| r.row_id > row.floor_row));
        }
        self.row = row;
    }
}

/// A run as it is read.
#[derive(Debug)]
struct Run {
    first_row: i64,
    last_row: i64,
    rows: Vec<TagRow>,
}

/// The stages of all tenants, in memory.
#[derive(Debug, Default)]
pub(crate) struct StageCache {
    stages: Mutex<HashMap<TenantNo, Stage>>,
}

impl StageCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantNo, Stage>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything of a tenant is staged, as the connection sees it now. Where nothing is, what was
    /// staged before is in the tables.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn is_empty(
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<bool> {
        Ok(!has_stage(connection) || find(connection, tenant).await?.staged == 0)
    }

    /// Looks at the stage of a tenant as the connection's transaction sees it. `None` if memory is newer
    /// than that: the caller begins another transaction.
    ///
    /// The transaction must have changed nothing of the stage.
    ///
    /// # Errors
    /// What the engine says; a run that cannot be read.
    pub(crate) async fn look<R: Send>(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        look: impl FnOnce(&Stage) -> R + Send,
    ) -> Result<Option<R>> {
        let row = find(connection, tenant).await?;
        let mut newer: Option<(i64, Vec<Run>)> = None;
        loop {
            let known = {
                let mut stages = self.lock();
                let stage = stages.entry(tenant).or_default();
                if let Some((from, runs)) = newer.take()
                    && stage.row.generation == from
                {
                    stage.advance(row, runs);
                }
                if stage.row.generation == row.generation {
                    return Ok(Some(look(stage)));
                }
                stage.row.generation
            };
            if known > row.generation {
                return Ok(None);
            }
            newer = Some((known, list_newer(connection, tenant, known).await?));
        }
    }
}

/// Only SQLite stages: PostgreSQL writes its indexes behind its own log, and is not faster with sorted runs.
const fn has_stage(connection: &Connection<'_>) -> bool {
    matches!(connection, Connection::Sqlite(_))
}

async fn find(connection: &mut Connection<'_>, tenant: TenantNo) -> Result<StageRow> {
    let row = query(FIND).bind(i64::from(tenant.0)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(StageRow::default()) };
    let cells = Cells::new(TABLE, &row);
    let cursor = match cells.value::<Option<&[u8]>>("cursor")? {
        None => None,
        Some(bytes) => Some(read_cursor(bytes).ok_or(cells.bad("cursor"))?),
    };
    Ok(StageRow {
        generation: cells.value("generation")?,
        last_row: cells.value("last_row")?,
        floor_row: cells.value("floor_row")?,
        through_row: cells.value("through_row")?,
        cursor,
        staged: cells.value("staged")?,
    })
}

/// A cursor carries its lead row whole, because a pass has no base that fits every run.
fn read_cursor(bytes: &[u8]) -> Option<TagRow> {
    let (row_id, bytes) = bytes.split_first_chunk::<8>()?;
    TagRow::read(i64::from_be_bytes(*row_id), bytes)
}

fn write_cursor(row: &TagRow) -> Result<Vec<u8>> {
    let mut bytes = row.row_id.to_be_bytes().to_vec();
    row.write(row.row_id, &mut bytes)?;
    Ok(bytes)
}

/// Writes the row of a tenant.
///
/// # Errors
/// What the engine says.
pub(crate) async fn upsert(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    row: &StageRow,
) -> Result<()> {
    query(UPSERT)
        .bind(i64::from(tenant.0))
        .bind(row.generation)
        .bind(row.last_row)
        .bind(row.floor_row)
        .bind(row.through_row)
        .bind(row.cursor.as_ref().map(write_cursor).transpose()?)
        .bind(row.staged)
        .execute(connection)
        .await?;
    Ok(())
}

async fn list_newer(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    generation: i64,
) -> Result<Vec<Run>> {
    let rows =
        query(LIST_NEWER).bind(i64::from(tenant.0)).bind(generation).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &Row) -> Result<Run> {
    let cells = Cells::new(RUNS, row);
    let first_row = cells.value("first_row")?;
    let rows = TagRow::read_all(first_row, cells.value("bytes")?).ok_or(cells.bad("bytes"))?;
    Ok(Run { first_row, last_row: cells.value("last_row")?, rows })
}

fn encode(first_row: i64, rows: &[TagRow]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for row in rows {
        row.write(first_row, &mut bytes)?;
    }
    Ok(bytes)
}

/// What a writing transaction has changed of a tenant's stage.
#[derive(Debug, Default)]
struct Changed {
    row: StageRow,
    fresh: BTreeSet<TagRow>,
    removed: BTreeSet<i64>,
}

/// The stage as one writing transaction sees it: what was committed, and what it changed itself.
#[derive(Debug)]
pub(crate) struct StageTransaction<'a> {
    cache: &'a StageCache,
    changed: Mutex<HashMap<TenantNo, Changed>>,
}

impl<'a> StageTransaction<'a> {
    /// For a transaction that has just begun.
    pub(crate) fn new(cache: &'a StageCache) -> Self {
        Self { cache, changed: Mutex::new(HashMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantNo, Changed>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes memory as new as the transaction, before it changes anything of the tenant's stage.
    async fn begin(&self, connection: &mut Connection<'_>, tenant: TenantNo) -> Result<()> {
        if self.lock().contains_key(&tenant) {
            return Ok(());
        }
        // The write lock is held and nothing was changed, so memory cannot be ahead.
        let row = self.cache.look(connection, tenant, Stage::row).await?;
        let row = row.ok_or(StoreError::Inconsistent { table: TABLE, column: "generation" })?;
        self.lock().insert(tenant, Changed { row, ..Changed::default() });
        Ok(())
    }

    /// Staged rows that hold one of the values, given as table, dataset, kind and tag.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn find(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        values: &[(TagTable, u32, u16, i64)],
    ) -> Result<Vec<TagRow>> {
        if !has_stage(connection) {
            return Ok(Vec::new());
        }
        self.begin(connection, tenant).await?;
        let (stages, changed) = (self.cache.lock(), self.lock());
        let (Some(stage), Some(changed)) = (stages.get(&tenant), changed.get(&tenant)) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (table, dataset, kind, tag) in values.iter().copied() {
            let committed = stage.find(table, dataset, kind, tag);
            found.extend(committed.filter(|row| !changed.removed.contains(&row.row_id)));
            let bound = |dup_no, row_id| TagRow { table, dataset, kind, tag, dup_no, row_id };
            found.extend(changed.fresh.range(bound(0, i64::MIN)..=bound(u32::MAX, i64::MAX)));
        }
        Ok(found)
    }

    /// Appends the tags of new leads, ascending, as a run of the lead rows `first_row..=last_row`.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn append(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        (first_row, last_row): (i64, i64),
        rows: Vec<TagRow>,
    ) -> Result<()> {
        if rows.is_empty() || !has_stage(connection) {
            return Ok(());
        }
        self.begin(connection, tenant).await?;
        let row = {
            let mut changed = self.lock();
            let changed = changed.entry(tenant).or_default();
            changed.row.generation += 1;
            changed.row.last_row = last_row;
            changed.row.staged += stored_count(rows.len())?;
            changed.row
        };
        query(INSERT_RUN)
            .bind(i64::from(tenant.0))
            .bind(first_row)
            .bind(last_row)
            .bind(row.generation)
            .bind(encode(first_row, &rows)?)
            .execute(&mut *connection)
            .await?;
        upsert(connection, tenant, &row).await?;
        self.lock().entry(tenant).or_default().fresh.extend(rows);
        Ok(())
    }

    /// Takes everything staged of these lead rows out, ascending, and returns which of them had their first
    /// e-mail here and not in its table.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn remove(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        lead_rows: &[i64],
    ) -> Result<BTreeSet<i64>> {
        let mut emails = BTreeSet::new();
        if !has_stage(connection) {
            return Ok(emails);
        }
        self.begin(connection, tenant).await?;
        let mut left = lead_rows;
        while let Some(first) = left.first().copied() {
            let found = query(FIND_RUN)
                .bind(i64::from(tenant.0))
                .bind(first)
                .fetch_optional(&mut *connection)
                .await?;
            let Some(run) = found.as_ref().map(decode).transpose()? else { break };
            let (_, of_run_and_behind) =
                left.split_at(left.partition_point(|r| *r < run.first_row));
            let end = of_run_and_behind.partition_point(|row| *row <= run.last_row);
            let (of_run, behind) = of_run_and_behind.split_at(end);
            left = behind;
            self.remove_of_run(connection, tenant, run, of_run, &mut emails).await?;
        }
        Ok(emails)
    }

    async fn remove_of_run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        run: Run,
        lead_rows: &[i64],
        emails: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let is_gone = |row: &TagRow| lead_rows.binary_search(&row.row_id).is_ok();
        let (gone, kept): (Vec<TagRow>, Vec<TagRow>) = run.rows.into_iter().partition(is_gone);
        if gone.is_empty() {
            return Ok(());
        }
        let row = {
            let mut changed = self.lock();
            let changed = changed.entry(tenant).or_default();
            let waiting = gone.iter().filter(|row| !changed.row.is_merged(row));
            emails.extend(waiting.filter(|r| r.table == TagTable::Email).map(|r| r.row_id));
            let counted = gone.iter().filter(|row| row.row_id > changed.row.floor_row).count();
            changed.row.generation += 1;
            changed.row.staged -= stored_count(counted)?;
            changed.removed.extend(lead_rows);
            changed.fresh.retain(|row| !is_gone(row));
            changed.row
        };
        query(UPDATE_RUN)
            .bind(i64::from(tenant.0))
            .bind(run.first_row)
            .bind(row.generation)
            .bind(encode(run.first_row, &kept)?)
            .execute(&mut *connection)
            .await?;
        upsert(connection, tenant, &row).await
    }
}

fn stored_count(count: usize) -> Result<i64> {
    i64::try_from(count).map_err(|_| StoreError::OutOfRange)
}
