//! Exports and their rendered parts. The bytes lie in `files/` ([`crate::ObjectFiles`]), sealed.

use leadvault_domain::{
    DatasetNo, ExportId, LeafAddress, LeafRange, OperationId, TenantNo, Timestamp,
};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::error::Result;
use crate::object_files::ObjectName;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::ExportState;
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "uuid, operation, dataset_no, state, encrypted, delivered, created_at, expires_at, leaf, \
         object, sha256, bytes, leads, log_index, meta_leaf, meta_revision, meta"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM export WHERE tenant_no = ?1 AND uuid = ?2");
    LIST = concat!("SELECT ", columns!(), " FROM export WHERE tenant_no = ?1 ORDER BY uuid");
    LIST_PARTS = "SELECT part_no, dataset_no, tree, first_leaf, end_leaf, object, chunks, bytes, \
                  leads FROM export_part WHERE tenant_no = ?1 AND export = ?2 ORDER BY part_no";
    /// Exports that are not over and may hold the lead of a leaf.
    LIST_HOLDING = "SELECT DISTINCT e.uuid FROM export e JOIN export_part p \
                    ON p.tenant_no = e.tenant_no AND p.export = e.uuid WHERE e.tenant_no = ?1 \
                    AND e.state IN ('running', 'ready') AND p.dataset_no = ?2 AND p.tree = ?3 \
                    AND p.first_leaf <= ?4 AND p.end_leaf > ?4 ORDER BY e.uuid";
    INSERT = "INSERT INTO export (tenant_no, uuid, operation, dataset_no, state, encrypted, \
              delivered, created_at, expires_at, leaf, meta_leaf, meta_revision, meta) \
              VALUES (?1, ?2, ?3, ?4, 'running', ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11) \
              ON CONFLICT DO NOTHING";
    READY = "UPDATE export SET state = 'ready', object = ?3, sha256 = ?4, bytes = ?5, leads = ?6, \
             expires_at = ?7, log_index = ?8 WHERE tenant_no = ?1 AND uuid = ?2 \
             AND state = 'running'";
    DELIVERED = "UPDATE export SET delivered = delivered + 1 WHERE tenant_no = ?1 AND uuid = ?2 \
                 AND state = 'ready'";
    OVER = "UPDATE export SET state = ?3 WHERE tenant_no = ?1 AND uuid = ?2 \
            AND state IN ('running', 'ready')";
    INSERT_PART = "INSERT INTO export_part (tenant_no, export, part_no, dataset_no, tree, \
                   first_leaf, end_leaf, object, chunks, bytes, leads) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                   ON CONFLICT (tenant_no, export, part_no) DO UPDATE SET \
                   dataset_no = excluded.dataset_no, tree = excluded.tree, \
                   first_leaf = excluded.first_leaf, end_leaf = excluded.end_leaf, \
                   object = excluded.object, chunks = excluded.chunks, bytes = excluded.bytes, \
                   leads = excluded.leads";
    DELETE_PARTS = "DELETE FROM export_part WHERE tenant_no = ?1 AND export = ?2";
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Its id.
    pub id: ExportId,
    /// The job that renders it.
    pub operation: OperationId,
    /// The dataset; `None` = all.
    pub dataset: Option<DatasetNo>,
    /// Its state.
    pub state: ExportState,
    /// Whether it is encrypted to the tenant's recipient.
    pub encrypted: bool,
    /// Downloads begun.
    pub delivered: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it goes.
    pub expires_at: Timestamp,
    /// System leaf its chunks grow from.
    pub leaf: u32,
    /// The finished file.
    pub file: Option<ExportFile>,
    /// What it was asked for.
    pub meta: Option<Sealed>,
}

/// The finished file of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportFile {
    /// Its name in `files/`.
    pub object: ObjectName,
    /// Its digest, opened.
    pub sha256: [u8; 32],
    /// Its length, opened.
    pub bytes: u64,
    /// Leads in it.
    pub leads: u64,
    /// Index of `export.ready`.
    pub index: Option<u64>,
}

/// A rendered part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportPartRow {
    /// From 0.
    pub no: u32,
    /// The leaves whose live leads are in it.
    pub range: LeafRange,
    /// Its name in `files/`.
    pub object: ObjectName,
    /// Chunks in the file.
    pub chunks: u64,
    /// Its length, opened.
    pub bytes: u64,
    /// Leads in it.
    pub leads: u64,
}

/// Stores an export that is to be rendered.
#[derive(Debug, Clone)]
pub struct InsertExport {
    /// The export; its state is `running`, `delivered` and `file` are not written.
    pub row: ExportRow,
}

impl InsertExport {
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, meta) = (&self.row, self.row.meta.as_ref());
        let done = sqlx::query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.id.bytes().to_vec())
            .bind(row.operation.bytes().to_vec())
            .bind(row.dataset.map(|d| i64::from(d.0)))
            .bind(i64::from(row.encrypted))
            .bind(row.created_at.micros())
            .bind(row.expires_at.micros())
            .bind(i64::from(row.leaf))
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done.rows_affected(), Conflict::Exists))
    }
}

/// How an export goes on.
#[derive(Debug, Clone, Copy)]
pub enum ExportStep {
    /// The file is assembled; the entry beside this is `export.ready`.
    Ready {
        /// The file; its index is that of the entry.
        file: ExportFile,
        /// When it goes.
        expires_at: Timestamp,
    },
    /// A download begins.
    Delivered,
    /// A lead in it was erased.
    Stale,
    /// Its time is over.
    Expired,
}

/// Moves an export on. [`Conflict::StateMoved`] if its state does not allow it.
#[derive(Debug, Clone, Copy)]
pub struct UpdateExport {
    /// The export.
    pub id: ExportId,
    /// What happened.
    pub step: ExportStep,
}

impl UpdateExport {
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let query = |sql| sqlx::query(sql).bind(i64::from(tenant.0)).bind(self.id.bytes().to_vec());
        let query = match self.step {
            ExportStep::Ready { file, expires_at } => query(READY)
                .bind(file.object.0.to_vec())
                .bind(file.sha256.to_vec())
                .bind(stored(file.bytes)?)
                .bind(stored(file.leads)?)
                .bind(expires_at.micros())
                .bind(index.map(stored).transpose()?),
            ExportStep::Delivered => query(DELIVERED),
            ExportStep::Stale => query(OVER).bind(ExportState::Stale.as_str()),
            ExportStep::Expired => query(OVER).bind(ExportState::Expired.as_str()),
        };
        let done = query.execute(connection).await?;
        Ok(Outcome::one(done.rows_affected(), Conflict::StateMoved))
    }
}

/// Stores a rendered part, or puts another in its place.
#[derive(Debug, Clone, Copy)]
pub struct InsertExportPart {
    /// The export.
    pub id: ExportId,
    /// The part.
    pub row: ExportPartRow,
}

impl InsertExportPart {
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let row = self.row;
        sqlx::query(INSERT_PART)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(row.no))
            .bind(i64::from(row.range.dataset.0))
            .bind(i64::from(row.range.tree))
            .bind(i64::from(row.range.first))
            .bind(stored(row.range.end)?)
            .bind(row.object.0.to_vec())
            .bind(stored(row.chunks)?)
            .bind(stored(row.bytes)?)
            .bind(stored(row.leads)?)
            .execute(connection)
            .await?;
        Ok(Outcome::Done)
    }
}

/// Forgets the parts of an export whose files are gone.
#[derive(Debug, Clone, Copy)]
pub struct DeleteExportParts {
    /// The export.
    pub id: ExportId,
}

impl DeleteExportParts {
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = sqlx::query(DELETE_PARTS)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done.rows_affected()))
    }
}

impl DataStore {
    /// An export.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_export(&self, scope: TenantScope, id: ExportId) -> Result<Option<ExportRow>> {
        let mut connection = self.engine().reader().await?;
        let row = sqlx::query(FIND)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await?;
        row.as_ref().map(decode).transpose()
    }

    /// All exports of the tenant, oldest first.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_exports(&self, scope: TenantScope) -> Result<Vec<ExportRow>> {
        let mut connection = self.engine().reader().await?;
        let rows = sqlx::query(LIST).bind(scope.no()).fetch_all(&mut *connection).await?;
        rows.iter().map(decode).collect()
    }

    /// The rendered parts of an export, in order.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_export_parts(
        &self,
        scope: TenantScope,
        id: ExportId,
    ) -> Result<Vec<ExportPartRow>> {
        let mut connection = self.engine().reader().await?;
        let rows = sqlx::query(LIST_PARTS)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .fetch_all(&mut *connection)
            .await?;
        rows.iter().map(decode_part).collect()
    }

    /// Exports that are running or ready and may hold the lead of a leaf.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_exports_holding(
        &self,
        scope: TenantScope,
        at: LeafAddress,
    ) -> Result<Vec<ExportId>> {
        let mut connection = self.engine().reader().await?;
        let rows = sqlx::query(LIST_HOLDING)
            .bind(scope.no())
            .bind(i64::from(at.dataset.0))
            .bind(i64::from(at.tree))
            .bind(i64::from(at.leaf))
            .fetch_all(&mut *connection)
            .await?;
        let decode =
            |row: &SqliteRow| Cells::new("export", row).bytes("uuid").map(ExportId::from_bytes);
        rows.iter().map(decode).collect()
    }
}

fn decode(row: &SqliteRow) -> Result<ExportRow> {
    let cells = Cells::new("export", row);
    let file = match cells.bytes_or_null("object")? {
        None => None,
        Some(object) => Some(ExportFile {
            object: ObjectName(object),
            sha256: cells.bytes("sha256")?,
            bytes: cells.number("bytes")?,
            leads: cells.number("leads")?,
            index: cells.number_or_null("log_index")?,
        }),
    };
    Ok(ExportRow {
        id: ExportId::from_bytes(cells.bytes("uuid")?),
        operation: OperationId::from_bytes(cells.bytes("operation")?),
        dataset: cells.number_or_null("dataset_no")?.map(DatasetNo),
        state: cells.word("state")?,
        encrypted: cells.value::<i64>("encrypted")? != 0,
        delivered: cells.number("delivered")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        leaf: cells.number("leaf")?,
        file,
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
    })
}

fn decode_part(row: &SqliteRow) -> Result<ExportPartRow> {
    let cells = Cells::new("export_part", row);
    Ok(ExportPartRow {
        no: cells.number("part_no")?,
        range: LeafRange {
            dataset: DatasetNo(cells.number("dataset_no")?),
            tree: cells.number("tree")?,
            first: cells.number("first_leaf")?,
            end: cells.number("end_leaf")?,
        },
        object: ObjectName(cells.bytes("object")?),
        chunks: cells.number("chunks")?,
        bytes: cells.number("bytes")?,
        leads: cells.number("leads")?,
    })
}
