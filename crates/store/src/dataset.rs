//! Datasets of a tenant. A shredded one keeps its row, so that its number is never given out again.

use leadvault_domain::{DatasetId, DatasetNo, TenantNo, Timestamp};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::DatasetState;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT dataset_no, uuid, tree, state, created_at, meta_leaf, meta_revision, meta, \
            columns_leaf, columns_revision, columns FROM dataset WHERE tenant_no = $1 AND uuid = $2";
    LIST = "SELECT dataset_no, uuid, tree, state, created_at, meta_leaf, meta_revision, meta, \
            columns_leaf, columns_revision, columns FROM dataset WHERE tenant_no = $1 \
            ORDER BY dataset_no";
    INSERT = "INSERT INTO dataset (tenant_no, dataset_no, uuid, tree, state, created_at, meta_leaf, \
              meta_revision, meta, columns_leaf, columns_revision, columns) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE dataset SET tree = $3, state = $4, meta_leaf = $5, meta_revision = $6, \
              meta = $7, columns_leaf = $8, columns_revision = $9, columns = $10 \
              WHERE tenant_no = $1 AND dataset_no = $2";
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetRow {
    /// Its number in this cell.
    pub no: DatasetNo,
    /// Its id.
    pub id: DatasetId,
    /// The tree new leads take their leaves from.
    pub tree: u32,
    /// Its state.
    pub state: DatasetState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Name and defaults.
    pub meta: Option<Sealed>,
    /// Headers and categories of unmapped columns.
    pub columns: Option<Sealed>,
}

/// Stores a dataset under a number from [`DataStore::reserve_dataset_no`].
#[derive(Debug, Clone)]
pub struct InsertDataset {
    /// The dataset.
    pub row: DatasetRow,
}

impl InsertDataset {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, meta, columns) = (&self.row, self.row.meta.as_ref(), self.row.columns.as_ref());
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(i64::from(row.no.0))
            .bind(row.id.bytes().to_vec())
            .bind(i64::from(row.tree))
            .bind(row.state.as_str())
            .bind(row.created_at.micros())
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .bind(columns.map(|m| i64::from(m.leaf)))
            .bind(columns.map_or(0, |m| i64::from(m.revision)))
            .bind(columns.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Replaces what may change of a dataset: tree, state, sealed texts.
#[derive(Debug, Clone)]
pub struct UpdateDataset {
    /// The dataset; `no` says which, `id` and `created_at` are not written.
    pub row: DatasetRow,
}

impl UpdateDataset {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, meta, columns) = (&self.row, self.row.meta.as_ref(), self.row.columns.as_ref());
        let done = query(UPDATE)
            .bind(i64::from(tenant.0))
            .bind(i64::from(row.no.0))
            .bind(i64::from(row.tree))
            .bind(row.state.as_str())
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .bind(columns.map(|m| i64::from(m.leaf)))
            .bind(columns.map_or(0, |m| i64::from(m.revision)))
            .bind(columns.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

impl DataStore {
    /// A dataset by its id, in any state.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_dataset(
        &self,
        scope: TenantScope,
        id: DatasetId,
    ) -> Result<Option<DatasetRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// All datasets of the tenant, in any state, ascending by number; at most 1,000 live (protocols.md 1.1).
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_datasets(&self, scope: TenantScope) -> Result<Vec<DatasetRow>> {
        self.engine().list(scope, query(LIST).bind(scope.no()), decode).await
    }
}

fn decode(row: &Row) -> Result<DatasetRow> {
    let cells = Cells::new("dataset", row);
    Ok(DatasetRow {
        no: DatasetNo(cells.number("dataset_no")?),
        id: DatasetId::from_bytes(cells.bytes("uuid")?),
        tree: cells.number("tree")?,
        state: cells.word("state")?,
        created_at: cells.time("created_at")?,
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
        columns: Sealed::read(cells, "columns_leaf", "columns_revision", "columns")?,
    })
}
