//! Import batches: how far each got, its lease, and its leaves. Failures are in [`crate::import_failure`].

use leadvault_domain::{DatasetNo, ImportId, LeafRange, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::lead_bulk::LostAs;
use crate::operation::NodeId;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::ImportState;
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "batch_no, uuid, dataset_no, state, created_at, expires_at, next_byte, next_row, rows_read, \
         rows_stored, rows_updated, rows_skipped, rows_rejected, meta_leaf, meta_revision, meta, \
         cursor_leaf, cursor_revision, cursor"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM import_batch WHERE tenant_no = $1 AND uuid = $2");
    FIND_BY_NO = concat!("SELECT ", columns!(),
                         " FROM import_batch WHERE tenant_no = $1 AND batch_no = $2");
    LIST = concat!("SELECT ", columns!(), " FROM import_batch WHERE tenant_no = $1 ORDER BY batch_no");
    LIST_RANGES = "SELECT dataset_no, tree, first_leaf, end_leaf FROM import_range \
                   WHERE tenant_no = $1 AND batch_no = $2 ORDER BY tree, first_leaf";
    INSERT = "INSERT INTO import_batch (tenant_no, batch_no, uuid, dataset_no, state, created_at, \
              expires_at, next_byte, next_row, rows_read, rows_stored, rows_updated, rows_skipped, \
              rows_rejected, lease_until, meta_leaf, meta_revision, meta, cursor_revision) \
              VALUES ($1, (SELECT COALESCE(MAX(b.batch_no), 0) + 1 FROM import_batch b \
              WHERE b.tenant_no = $1), $2, $3, $4, $5, $6, 0, 1, 0, 0, 0, 0, 0, 0, $7, $8, $9, 0) \
              ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE import_batch SET state = $4, expires_at = $5, \
              meta_leaf = COALESCE($6, meta_leaf), meta_revision = COALESCE($7, meta_revision), \
              meta = COALESCE($8, meta), \
              cursor = CASE WHEN $4 IN ('done', 'failed', 'undone') THEN NULL ELSE cursor END, \
              lease_until = CASE WHEN $4 = 'running' THEN lease_until ELSE 0 END \
              WHERE tenant_no = $1 AND uuid = $2 AND state = $3";
    LEASE = "UPDATE import_batch SET lease_node = $3, lease_until = $5 \
             WHERE tenant_no = $1 AND uuid = $2 AND (lease_until <= $4 OR lease_node = $3) \
             AND NOT EXISTS (SELECT 1 FROM import_batch o WHERE o.tenant_no = $1 \
             AND o.dataset_no = import_batch.dataset_no AND o.batch_no <> import_batch.batch_no \
             AND o.lease_until > $4)";
    IS_NEXT = "SELECT COUNT(*) FROM import_batch WHERE tenant_no = $1 AND uuid = $2 \
               AND state = 'running' AND next_row = $3";
    STEP = "UPDATE import_batch SET next_byte = $4, next_row = $5, rows_read = rows_read + $6, \
            rows_stored = rows_stored + $7, rows_updated = rows_updated + $8, \
            rows_skipped = rows_skipped + $9, rows_rejected = rows_rejected + $10, \
            cursor_leaf = COALESCE($11, cursor_leaf), \
            cursor_revision = COALESCE($12, cursor_revision), cursor = COALESCE($13, cursor) \
            WHERE tenant_no = $1 AND uuid = $2 AND state = 'running' AND next_row = $3";
    INSERT_RANGE = "INSERT INTO import_range (tenant_no, batch_no, dataset_no, tree, first_leaf, \
                    end_leaf) SELECT $1, b.batch_no, $3, $4, $5, $6 FROM import_batch b \
                    WHERE b.tenant_no = $1 AND b.uuid = $2 \
                    ON CONFLICT (tenant_no, batch_no, tree, first_leaf) \
                    DO UPDATE SET end_leaf = CASE WHEN import_range.end_leaf < excluded.end_leaf \
                    THEN excluded.end_leaf ELSE import_range.end_leaf END";
    DELETE_RANGES = "DELETE FROM import_range WHERE tenant_no = $1 AND batch_no = \
                     (SELECT b.batch_no FROM import_batch b WHERE b.tenant_no = $1 AND b.uuid = $2)";
}

const TABLE: &str = "import_batch";

/// Counts of data records. `read = stored + updated + skipped + rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportRows {
    /// Seen.
    pub read: u64,
    /// New leads.
    pub stored: u64,
    /// Merged into leads that were there.
    pub updated: u64,
    /// Left out because the lead is there.
    pub skipped: u64,
    /// Refused.
    pub rejected: u64,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its number, as leads carry it.
    pub no: u32,
    /// Its id.
    pub id: ImportId,
    /// Where its leads go.
    pub dataset: DatasetNo,
    /// Its state.
    pub state: ImportState,
    /// When it was made.
    pub created_at: Timestamp,
    /// End of a quarantine.
    pub expires_at: Option<Timestamp>,
    /// Where the client goes on.
    pub next_byte: u64,
    /// Data record that begins there, from 1.
    pub next_row: u64,
    /// What became of the records before.
    pub rows: ImportRows,
    /// Mapping, attestation, what was detected.
    pub meta: Option<Sealed>,
    /// Digest of the bytes before.
    pub cursor: Option<Sealed>,
}

/// Stores an import; it gets the next number.
#[derive(Debug, Clone)]
pub struct InsertImport {
    /// Its id.
    pub id: ImportId,
    /// Where its leads go.
    pub dataset: DatasetNo,
    /// When it was made.
    pub created_at: Timestamp,
    /// End of a quarantine.
    pub expires_at: Option<Timestamp>,
    /// Mapping, attestation.
    pub meta: Option<Sealed>,
}

impl InsertImport {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let meta = self.meta.as_ref();
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.dataset.0))
            .bind(ImportState::Open.as_str())
            .bind(self.created_at.micros())
            .bind(self.expires_at.map(Timestamp::micros))
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Moves an import from one state to another; [`Conflict::StateMoved`] if it is not in `from`. The lease
/// ends with `running`, the digest with the import.
#[derive(Debug, Clone)]
pub struct UpdateImport {
    /// The import.
    pub id: ImportId,
    /// The state it must have.
    pub from: ImportState,
    /// The state it gets.
    pub to: ImportState,
    /// End of a quarantine, or none.
    pub expires_at: Option<Timestamp>,
    /// Sealed texts anew; `None` leaves them.
    pub meta: Option<Sealed>,
}

impl UpdateImport {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let meta = self.meta.as_ref();
        let done = query(UPDATE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.from.as_str())
            .bind(self.to.as_str())
            .bind(self.expires_at.map(Timestamp::micros))
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map(|m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Takes or renews the one bulk load of a dataset; [`Conflict::StateMoved`] while another import or
/// another node has it.
#[derive(Debug, Clone, Copy)]
pub struct LeaseImport {
    /// The import.
    pub id: ImportId,
    /// Who takes it.
    pub node: NodeId,
    /// Now.
    pub now: Timestamp,
    /// Until when it is taken; `now` gives it back.
    pub until: Timestamp,
}

impl LeaseImport {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(LEASE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.node.to_vec())
            .bind(self.now.micros())
            .bind(self.until.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// One step of an import: from `from_row` to `next_row`. [`Conflict::StateMoved`] if it is elsewhere.
#[derive(Debug, Clone)]
pub struct StepImport {
    /// The import.
    pub id: ImportId,
    /// Where it must be.
    pub from_row: u64,
    /// Where the client goes on after this step.
    pub next_byte: u64,
    /// Data record that begins there.
    pub next_row: u64,
    /// What this step adds to the counts.
    pub rows: ImportRows,
    /// Leaves this step uses.
    pub ranges: Vec<LeafRange>,
    /// Digest of the bytes before `next_byte`; `None` leaves it.
    pub cursor: Option<Sealed>,
}

impl StepImport {
    /// Whether the import is where the step begins.
    pub(crate) async fn is_next(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<bool> {
        let n: i64 = query(IS_NEXT)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(stored(self.from_row)?)
            .scalar(connection)
            .await?;
        Ok(n == 1)
    }

    /// The step with `lost` records fewer stored.
    pub(crate) fn less(&self, lost: u64, counted: LostAs) -> Self {
        let mut step = self.clone();
        step.rows.stored = step.rows.stored.saturating_sub(lost);
        match counted {
            LostAs::Skipped => step.rows.skipped += lost,
            LostAs::Rejected => step.rows.rejected += lost,
            LostAs::Matched => step.rows.read = step.rows.read.saturating_sub(lost),
        }
        step
    }

    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (rows, cursor) = (self.rows, self.cursor.as_ref());
        let done = query(STEP)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(stored(self.from_row)?)
            .bind(stored(self.next_byte)?)
            .bind(stored(self.next_row)?)
            .bind(stored(rows.read)?)
            .bind(stored(rows.stored)?)
            .bind(stored(rows.updated)?)
            .bind(stored(rows.skipped)?)
            .bind(stored(rows.rejected)?)
            .bind(cursor.map(|c| i64::from(c.leaf)))
            .bind(cursor.map(|c| i64::from(c.revision)))
            .bind(cursor.map(|c| c.blob.clone()))
            .execute(&mut *connection)
            .await?;
        if done == 0 {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        for range in &self.ranges {
            query(INSERT_RANGE)
                .bind(i64::from(tenant.0))
                .bind(self.id.bytes().to_vec())
                .bind(i64::from(range.dataset.0))
                .bind(i64::from(range.tree))
                .bind(i64::from(range.first))
                .bind(stored(range.end)?)
                .execute(&mut *connection)
                .await?;
        }
        Ok(Outcome::Done)
    }
}

/// Forgets the leaves of an import whose leads are gone.
#[derive(Debug, Clone, Copy)]
pub struct DeleteImportRanges {
    /// The import.
    pub id: ImportId,
}

impl DeleteImportRanges {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE_RANGES)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// An import.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_import(&self, scope: TenantScope, id: ImportId) -> Result<Option<ImportRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// An import by the number leads carry.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_import_by_no(
        &self,
        scope: TenantScope,
        no: u32,
    ) -> Result<Option<ImportRow>> {
        let question = query(FIND_BY_NO).bind(scope.no()).bind(i64::from(no));
        self.engine().find(scope, question, decode).await
    }

    /// All imports of the tenant, ascending by number.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_imports(&self, scope: TenantScope) -> Result<Vec<ImportRow>> {
        let question = query(LIST).bind(scope.no());
        self.engine().list(scope, question, decode).await
    }

    /// The leaves of an import, ascending.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_import_ranges(&self, scope: TenantScope, no: u32) -> Result<Vec<LeafRange>> {
        let question = query(LIST_RANGES).bind(scope.no()).bind(i64::from(no));
        let decode = |row: &Row| {
            let cells = Cells::new("import_range", row);
            Ok(LeafRange {
                dataset: DatasetNo(cells.number("dataset_no")?),
                tree: cells.number("tree")?,
                first: cells.number("first_leaf")?,
                end: cells.number("end_leaf")?,
            })
        };
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<ImportRow> {
    let cells = Cells::new(TABLE, row);
    Ok(ImportRow {
        no: cells.number("batch_no")?,
        id: ImportId::from_bytes(cells.bytes("uuid")?),
        dataset: DatasetNo(cells.number("dataset_no")?),
        state: cells.word("state")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time_or_null("expires_at")?,
        next_byte: cells.number("next_byte")?,
        next_row: cells.number("next_row")?,
        rows: ImportRows {
            read: cells.number("rows_read")?,
            stored: cells.number("rows_stored")?,
            updated: cells.number("rows_updated")?,
            skipped: cells.number("rows_skipped")?,
            rejected: cells.number("rows_rejected")?,
        },
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
        cursor: Sealed::read(cells, "cursor_leaf", "cursor_revision", "cursor")?,
    })
}
