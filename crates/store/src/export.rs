//! Exports. The bytes lie in `files/` ([`crate::Objects`]), sealed; parts are in [`crate::export_part`].

use leadvault_domain::{DatasetNo, ExportId, OperationId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::export_extent;
use crate::objects::ObjectName;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::ExportState;
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "uuid, operation, dataset_no, state, encrypted, delivered, created_at, expires_at, leaf, \
         begun_index, file_leaf, object, sha256, bytes, leads, log_index, meta_leaf, \
         meta_revision, meta"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM export WHERE tenant_no = $1 AND uuid = $2");
    LIST = concat!("SELECT ", columns!(), " FROM export WHERE tenant_no = $1 ORDER BY uuid");
    INSERT = "INSERT INTO export (tenant_no, uuid, operation, dataset_no, state, encrypted, \
              delivered, created_at, expires_at, leaf, meta_leaf, meta_revision, meta, \
              begun_index) VALUES ($1, $2, $3, $4, 'running', $5, 0, $6, $7, $8, $9, $10, $11, \
              $12) ON CONFLICT DO NOTHING";
    ASSEMBLE = "UPDATE export SET file_leaf = $3, object = $4 WHERE tenant_no = $1 AND uuid = $2 \
                AND state = 'running'";
    READY = "UPDATE export SET state = 'ready', sha256 = $5, bytes = $6, leads = $7, \
             expires_at = $8, log_index = $9 WHERE tenant_no = $1 AND uuid = $2 \
             AND state = 'running' AND file_leaf = $3 AND object = $4 AND NOT EXISTS \
             (SELECT 1 FROM export_part WHERE tenant_no = $1 AND export = $2 \
             AND state <> 'rendered')";
    DELIVERED = "UPDATE export SET delivered = delivered + 1 WHERE tenant_no = $1 AND uuid = $2 \
                 AND state = 'ready'";
    STALE = "UPDATE export SET state = 'stale' WHERE tenant_no = $1 AND uuid = $2 \
             AND state = 'ready'";
    EXPIRED = "UPDATE export SET state = 'expired' WHERE tenant_no = $1 AND uuid = $2 \
               AND state IN ('running', 'ready')";
    REMOVED = "UPDATE export SET file_leaf = NULL WHERE tenant_no = $1 AND uuid = $2 \
               AND state IN ('stale', 'expired')";
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
    /// System leaf of what it was asked for.
    pub leaf: u32,
    /// Index of the entry that allowed it: leads stored before are in it.
    pub begun_index: Option<u64>,
    /// System leaf its file grows from, from the moment it is begun until it is gone.
    pub file_leaf: Option<u32>,
    /// Name of that file in `files/`.
    pub object: Option<ObjectName>,
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

/// Stores an export that is to be rendered, beside the entry that allows it.
#[derive(Debug, Clone)]
pub struct InsertExport {
    /// The export; its state is `running`, `delivered`, `begun_index` and the file are not written.
    pub row: ExportRow,
    /// Dataset and tree of all it covers: the leaves in use now are its extents.
    pub trees: Vec<(DatasetNo, u32)>,
}

impl InsertExport {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let (row, meta) = (&self.row, self.row.meta.as_ref());
        let done = query(INSERT)
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
            .bind(index.map(stored).transpose()?)
            .execute(&mut *connection)
            .await?;
        if done == 1 {
            for tree in &self.trees {
                export_extent::insert(connection, tenant, row.id, *tree).await?;
            }
        }
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// How an export goes on.
#[derive(Debug, Clone, Copy)]
pub enum ExportStep {
    /// Its file is going to be assembled.
    Assemble {
        /// System leaf of its chunks.
        leaf: u32,
        /// Its name in `files/`.
        object: ObjectName,
    },
    /// The file is assembled of parts that all hold; the entry beside this is `export.ready`.
    Ready {
        /// System leaf it was assembled under.
        leaf: u32,
        /// The file; its index is that of the entry.
        file: ExportFile,
        /// When it goes.
        expires_at: Timestamp,
    },
    /// A download begins.
    Delivered,
    /// A lead in the finished file was erased.
    Stale,
    /// Its time is over.
    Expired,
    /// It is over, and its file is gone.
    Removed,
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
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let query = |sql| query(sql).bind(i64::from(tenant.0)).bind(self.id.bytes().to_vec());
        let query = match self.step {
            ExportStep::Assemble { leaf, object } => {
                query(ASSEMBLE).bind(i64::from(leaf)).bind(object.0.to_vec())
            }
            ExportStep::Ready { leaf, file, expires_at } => query(READY)
                .bind(i64::from(leaf))
                .bind(file.object.0.to_vec())
                .bind(file.sha256.to_vec())
                .bind(stored(file.bytes)?)
                .bind(stored(file.leads)?)
                .bind(expires_at.micros())
                .bind(index.map(stored).transpose()?),
            ExportStep::Delivered => query(DELIVERED),
            ExportStep::Stale => query(STALE),
            ExportStep::Expired => query(EXPIRED),
            ExportStep::Removed => query(REMOVED),
        };
        let done = query.execute(&mut *connection).await?;
        let over = matches!(self.step, ExportStep::Stale | ExportStep::Expired);
        if over && done == 1 {
            export_extent::delete(connection, tenant, self.id).await?;
        }
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

impl DataStore {
    /// An export.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_export(&self, scope: TenantScope, id: ExportId) -> Result<Option<ExportRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// All exports of the tenant, oldest first.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_exports(&self, scope: TenantScope) -> Result<Vec<ExportRow>> {
        let question = query(LIST).bind(scope.no());
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<ExportRow> {
    let cells = Cells::new("export", row);
    let object = cells.bytes_or_null("object")?.map(ObjectName);
    let file = match (object, cells.bytes_or_null("sha256")?) {
        (Some(object), Some(sha256)) => Some(ExportFile {
            object,
            sha256,
            bytes: cells.number("bytes")?,
            leads: cells.number("leads")?,
            index: cells.number_or_null("log_index")?,
        }),
        _ => None,
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
        begun_index: cells.number_or_null("begun_index")?,
        file_leaf: cells.number_or_null("file_leaf")?,
        object,
        file,
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
    })
}
