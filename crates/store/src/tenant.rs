//! Tenants: who lives in the cell, in which state, and where.

use leadvault_domain::{KeyState, Region, TenantId, TenantNo, TenantState, Timestamp};

use crate::cells::Cells;
use crate::control::{self, ControlRow};
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach, Row, query};
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::{NONE, Sql, statements};
use crate::write::{Conflict, Outcome};

/// Deletes at most $2 rows of a tenant, found by the columns of their primary key.
macro_rules! shred {
    ($table:literal, $key:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE tenant_no = $1 LIMIT $2)"
        )
    };
}
/// The same in PostgreSQL, which knows a row by its place.
macro_rules! shred_by_place {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY (SELECT ctid FROM ",
            $table,
            " WHERE tenant_no = $1 LIMIT $2))"
        )
    };
}

statements! {
    FIND = "SELECT tenant_no, uuid, region, state, key_state, created_at, facts, meta_leaf, \
            meta_revision, meta FROM tenant WHERE tenant_no = $1";
    LIST_NUMBERS = "SELECT tenant_no FROM tenant ORDER BY tenant_no";
    LIST = "SELECT tenant_no, uuid, region, state, key_state, created_at, facts, meta_leaf, \
            meta_revision, meta FROM tenant ORDER BY tenant_no";
    INSERT = "INSERT INTO tenant (tenant_no, uuid, region, state, key_state, created_at, facts, \
              meta_leaf, meta_revision, meta, last_dataset_no) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) ON CONFLICT DO NOTHING";
    UPDATE_STATE = "UPDATE tenant SET state = $2, key_state = $3 WHERE tenant_no = $1";
    UPDATE_META = "UPDATE tenant SET facts = $2, meta_leaf = $3, meta_revision = $4, meta = $5 \
                   WHERE tenant_no = $1";
    DELETE_LEADS = "DELETE FROM lead WHERE row_id IN \
              (SELECT row_id FROM lead WHERE tenant_no = $1 LIMIT $2)",
        postgres: shred_by_place!("lead");
    DELETE_PARTS = shred!("lead_part", "tenant_no, row_id, compartment"),
        postgres: shred_by_place!("lead_part");
    DELETE_EMAILS = shred!("lead_email", "tenant_no, dataset_no, tag, dup_no"), postgres: NONE;
    DELETE_PHONES = shred!("lead_phone", "tenant_no, dataset_no, tag, row_id"), postgres: NONE;
    DELETE_DOMAINS = shred!("lead_domain", "tenant_no, dataset_no, tag, row_id"), postgres: NONE;
    DELETE_TAGS = shred!("lead_tag", "tenant_no, dataset_no, kind, tag, row_id"),
        postgres: shred_by_place!("lead_tag");
    /// A run has as many bytes as hundreds of rows of the other tables.
    DELETE_RUNS = "DELETE FROM lead_run WHERE (tenant_no, first_row) IN \
              (SELECT tenant_no, first_row FROM lead_run WHERE tenant_no = $1 LIMIT MIN($2, 4))",
        postgres: NONE;
    /// The row stays, so that its generation only rises; no run is behind the last lead row there can be.
    /// $2 is a number of rows, as in the statements around it.
    EMPTY_STAGE = "UPDATE lead_stage SET generation = generation + 1, \
                   floor_row = 9223372036854775807, through_row = 0, cursor = NULL, staged = 0 \
                   WHERE tenant_no = $1 AND floor_row < 9223372036854775807 AND $2 > 0",
        postgres: NONE;
    DELETE_SUPPRESSION = shred!("suppression", "tenant_no, tag"),
        postgres: shred_by_place!("suppression");
    DELETE_REPLAYS = shred!("replay", "tenant_no, key_hmac"), postgres: shred_by_place!("replay");
    DELETE_FAILURES = shred!("import_failure", "tenant_no, batch_no, row_no, column_no, code"),
        postgres: shred_by_place!("import_failure");
    DELETE_EXPORT_PARTS = shred!("export_part", "tenant_no, export, part_no"),
        postgres: shred_by_place!("export_part");
    DELETE_EXPORT_EXTENTS = shred!("export_extent", "tenant_no, dataset_no, tree, export"),
        postgres: shred_by_place!("export_extent");
    DELETE_EXPORT_LATE = shred!("export_late", "tenant_no, export, dataset_no, tree, first_leaf"),
        postgres: shred_by_place!("export_late");
    DELETE_FILES = shred!("file", "tenant_no, uuid"), postgres: shred_by_place!("file");
    DELETE_FILE_LEADS = shred!("file_lead", "tenant_no, dataset_no, tree, leaf, file"),
        postgres: shred_by_place!("file_lead");
    DELETE_FILE_PARTS = shred!("file_part", "tenant_no, file, first_chunk"),
        postgres: shred_by_place!("file_part");
    DELETE_FILE_BLOCKS = shred!("file_block", "tenant_no, dataset_no, first_leaf"),
        postgres: shred_by_place!("file_block");
    DELETE_FILE_USAGE = shred!("file_usage", "tenant_no"), postgres: shred_by_place!("file_usage");
    DELETE_CHANGES = shred!("change", "tenant_no, log_index"), postgres: shred_by_place!("change");
    DELETE_PRINCIPALS = shred!("principal", "tenant_no, uuid"),
        postgres: shred_by_place!("principal");
}

/// What a shred leaves nothing of, in order.
const SHREDDED: &[Sql] = &[
    DELETE_LEADS,
    DELETE_PARTS,
    DELETE_EMAILS,
    DELETE_PHONES,
    DELETE_DOMAINS,
    DELETE_TAGS,
    DELETE_RUNS,
    EMPTY_STAGE,
    DELETE_SUPPRESSION,
    DELETE_REPLAYS,
    DELETE_FAILURES,
    DELETE_EXPORT_PARTS,
    DELETE_EXPORT_EXTENTS,
    DELETE_EXPORT_LATE,
    DELETE_FILES,
    DELETE_FILE_LEADS,
    DELETE_FILE_PARTS,
    DELETE_FILE_BLOCKS,
    DELETE_FILE_USAGE,
    DELETE_CHANGES,
    DELETE_PRINCIPALS,
];

/// Rows of one table that one [`DeleteTenantRows`] removes: the write lock is free again after about 15 ms.
pub const SHRED_STEP_ROWS: u32 = 250;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its number in this cell.
    pub no: TenantNo,
    /// Its id.
    pub id: TenantId,
    /// Where it lives.
    pub region: Region,
    /// State of the tenant.
    pub state: TenantState,
    /// State of its key.
    pub key_state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// What policy needs before a key, as JSON of `vault`; no personal data.
    pub facts: String,
    /// Name and other texts.
    pub meta: Option<Sealed>,
}

/// Makes a tenant and its control row: state active, generations and key epoch 1. The entry beside it
/// becomes entry 0 of its log.
#[derive(Debug, Clone)]
pub struct InsertTenant {
    /// The tenant; its number is the scope's.
    pub row: TenantRow,
}

impl InsertTenant {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        if self.row.no != tenant {
            return Err(StoreError::OutOfRange);
        }
        let meta = self.row.meta.as_ref();
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.row.id.bytes().to_vec())
            .bind(self.row.region.to_string())
            .bind(self.row.state.as_str())
            .bind(self.row.key_state.as_str())
            .bind(self.row.created_at.micros())
            .bind(self.row.facts.clone())
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(&mut *connection)
            .await?;
        if done == 0 {
            return Ok(Outcome::Conflict(Conflict::Exists));
        }
        let row = ControlRow { state_gen: 1, dir_gen: 1, key_epoch: 1, state: self.row.state };
        control::insert(connection, tenant, row).await?;
        Ok(Outcome::Done)
    }
}

/// Sets the states of a tenant and its key, and bumps `state_gen`.
#[derive(Debug, Clone, Copy)]
pub struct UpdateTenantState {
    /// State of the tenant.
    pub state: TenantState,
    /// State of its key.
    pub key_state: KeyState,
}

impl UpdateTenantState {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(UPDATE_STATE)
            .bind(i64::from(tenant.0))
            .bind(self.state.as_str())
            .bind(self.key_state.as_str())
            .execute(&mut *connection)
            .await?;
        if done != 1 {
            return Ok(Outcome::Conflict(Conflict::Missing));
        }
        control::update_state(connection, tenant, self.state).await?;
        Ok(Outcome::Done)
    }
}

/// Replaces facts and sealed texts of a tenant. Goes with [`control::BumpState`] where policy reads them.
#[derive(Debug, Clone)]
pub struct UpdateTenantMeta {
    /// As [`TenantRow::facts`].
    pub facts: String,
    /// As [`TenantRow::meta`].
    pub meta: Option<Sealed>,
}

impl UpdateTenantMeta {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let meta = self.meta.as_ref();
        let done = query(UPDATE_META)
            .bind(i64::from(tenant.0))
            .bind(self.facts.clone())
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

/// Deletes a step of the content of a shredded tenant: leads, tags, suppression, replays. At most
/// [`SHRED_STEP_ROWS`] of each table at once; repeat until [`Outcome::Count`] is 0. Its own row, its log, its
/// control row, its certificates and its receipts stay.
#[derive(Debug, Clone, Copy)]
pub struct DeleteTenantRows;

impl DeleteTenantRows {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let mut rows = 0;
        for statement in SHREDDED {
            if !statement.is_for(connection) {
                continue;
            }
            let done = query(*statement)
                .bind(i64::from(tenant.0))
                .bind(i64::from(SHRED_STEP_ROWS))
                .execute(&mut *connection)
                .await?;
            rows += done;
        }
        Ok(Outcome::Count(rows))
    }
}

impl DataStore {
    /// The tenant of the scope.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_tenant(&self, scope: TenantScope) -> Result<Option<TenantRow>> {
        let question = query(FIND).bind(scope.no());
        self.engine().find(scope, question, decode).await
    }

    /// Every tenant of the cell, ascending by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_tenants(&self) -> Result<Vec<TenantRow>> {
        let all = self.list_tenant_numbers().await?;
        self.engine().list(Reach::Tenants(all), query(LIST), decode).await
    }

    /// The number of every tenant of the cell, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn list_tenant_numbers(&self) -> Result<Vec<TenantNo>> {
        let number = |row: &Row| Cells::new("tenant", row).number("tenant_no").map(TenantNo);
        self.engine().list(Reach::Cell, query(LIST_NUMBERS), number).await
    }
}

fn decode(row: &Row) -> Result<TenantRow> {
    let cells = Cells::new("tenant", row);
    Ok(TenantRow {
        no: TenantNo(cells.number("tenant_no")?),
        id: TenantId::from_bytes(cells.bytes("uuid")?),
        region: cells.word("region")?,
        state: cells.word("state")?,
        key_state: cells.word("key_state")?,
        created_at: cells.time("created_at")?,
        facts: cells.value("facts")?,
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
    })
}
