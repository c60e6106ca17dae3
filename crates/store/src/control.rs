//! `tenant_control`: the generations every commit is checked against (protocols.md 4), and numbers that are
//! given out once.
//!
//! Whoever changes what a generation guards puts [`BumpState`] or [`BumpDir`] into the same write.

use async_trait::async_trait;
use leadvault_domain::{DatasetNo, TenantNo, TenantState};
use leadvault_keys::{ControlUnavailable, EpochControl};
use leadvault_ledger::Generations;

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach, Row, query};
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::statement::{Sql, statements};
use crate::write::Outcome;

statements! {
    FIND = "SELECT state_gen, dir_gen, key_epoch, state FROM tenant_control WHERE tenant_no = $1";
    LIST = "SELECT tenant_no, state_gen, dir_gen, key_epoch, state FROM tenant_control \
            ORDER BY tenant_no";
    INSERT = "INSERT INTO tenant_control (tenant_no, state_gen, dir_gen, key_epoch, state) \
              VALUES ($1, $2, $3, $4, $5)";
    UPDATE_STATE = "UPDATE tenant_control SET state = $2, state_gen = state_gen + 1 \
                    WHERE tenant_no = $1";
    BUMP_STATE = "UPDATE tenant_control SET state_gen = state_gen + 1 WHERE tenant_no = $1";
    BUMP_DIR = "UPDATE tenant_control SET dir_gen = dir_gen + 1 WHERE tenant_no = $1";
    RAISE_EPOCH = "UPDATE tenant_control SET \
                   dir_gen = dir_gen + CASE WHEN key_epoch < $3 THEN 1 ELSE 0 END, key_epoch = $2 \
                   WHERE tenant_no = $1 AND key_epoch < $2";
    RAISE_GENERATIONS = "UPDATE tenant_control SET \
                         state_gen = CASE WHEN state_gen < $2 THEN $2 ELSE state_gen END, \
                         dir_gen = CASE WHEN dir_gen < $3 THEN $3 ELSE dir_gen END \
                         WHERE tenant_no = $1";
    COUNT_UP = "UPDATE cell_counter SET value = value + 1 WHERE name = $1 RETURNING value";
    COUNT_DATASET = "UPDATE tenant SET last_dataset_no = last_dataset_no + 1 WHERE tenant_no = $1 \
                     RETURNING last_dataset_no";
    PROBE = "UPDATE cell_counter SET value = 1 - value WHERE name = 'probe'";
}

pub(crate) const TABLE: &str = "tenant_control";

/// The control row of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRow {
    /// Generation of everything a decision depends on.
    pub state_gen: u32,
    /// Generation of the directory's structure.
    pub dir_gen: u32,
    /// Epoch of the keys.
    pub key_epoch: u32,
    /// State of the tenant.
    pub state: TenantState,
}

impl ControlRow {
    /// Whether a decision made under `asserted` still holds.
    pub(crate) fn holds(&self, asserted: Option<Generations>) -> bool {
        asserted.is_none_or(|g| {
            g.state_gen == self.state_gen && g.dir_gen.is_none_or(|d| d == self.dir_gen)
        })
    }
}

/// Something a decision depends on changed: decisions in flight are made again.
#[derive(Debug, Clone, Copy)]
pub struct BumpState;

impl BumpState {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        bump(connection, tenant, BUMP_STATE).await
    }
}

/// The directory's structure changed: writers in flight reload the key ring and seal again.
#[derive(Debug, Clone, Copy)]
pub struct BumpDir;

impl BumpDir {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        bump(connection, tenant, BUMP_DIR).await
    }
}

async fn bump(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    statement: Sql,
) -> Result<Outcome> {
    let done = query(statement).bind(i64::from(tenant.0)).execute(connection).await?;
    if done != 1 {
        return Err(StoreError::Missing { table: TABLE });
    }
    Ok(Outcome::Done)
}

/// The control row inside a transaction; `None` for a tenant that does not exist.
pub(crate) async fn find(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
) -> Result<Option<ControlRow>> {
    let row = query(FIND).bind(i64::from(tenant.0)).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

pub(crate) fn decode(row: &Row) -> Result<ControlRow> {
    let cells = Cells::new(TABLE, row);
    Ok(ControlRow {
        state_gen: cells.number("state_gen")?,
        dir_gen: cells.number("dir_gen")?,
        key_epoch: cells.number("key_epoch")?,
        state: cells.word("state")?,
    })
}

/// Makes the control row of a new tenant.
pub(crate) async fn insert(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    row: ControlRow,
) -> Result<()> {
    query(INSERT)
        .bind(i64::from(tenant.0))
        .bind(i64::from(row.state_gen))
        .bind(i64::from(row.dir_gen))
        .bind(i64::from(row.key_epoch))
        .bind(row.state.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Sets the state of the tenant and bumps its generation.
pub(crate) async fn update_state(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    state: TenantState,
) -> Result<()> {
    let done = query(UPDATE_STATE)
        .bind(i64::from(tenant.0))
        .bind(state.as_str())
        .execute(connection)
        .await?;
    if done != 1 {
        return Err(StoreError::Missing { table: TABLE });
    }
    Ok(())
}

impl DataStore {
    /// The control row of a tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_control(&self, scope: TenantScope) -> Result<Option<ControlRow>> {
        let mut reader = self.engine().reader(scope).await?;
        find(&mut reader.connection(), scope.0).await
    }

    /// The control rows of all tenants of the cell, and the operator's: what a node compares with what it knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_controls(&self) -> Result<Vec<(TenantNo, ControlRow)>> {
        let mut all = self.list_tenant_numbers().await?;
        all.insert(0, TenantScope::OPERATOR.0);
        let numbered =
            |row: &Row| Ok((TenantNo(Cells::new(TABLE, row).number("tenant_no")?), decode(row)?));
        self.engine().list(Reach::Tenants(all), query(LIST), numbered).await
    }

    /// Takes the next tenant number. It is never given out again, used or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reserve_tenant_no(&self) -> Result<TenantNo> {
        let value = self.engine().write(|| self.count_tenant()).await?;
        u32::try_from(value).map(TenantNo).map_err(|_| StoreError::OutOfRange)
    }

    /// Takes the next dataset number of a tenant. It is never given out again, used or not.
    ///
    /// # Errors
    /// [`StoreError::Missing`] without the tenant.
    pub async fn reserve_dataset_no(&self, scope: TenantScope) -> Result<DatasetNo> {
        let value = self.engine().write(|| self.count_dataset(scope)).await?;
        u32::try_from(value).map(DatasetNo).map_err(|_| StoreError::OutOfRange)
    }

    /// Lifts the generations above values seen elsewhere, after a restore (protocols.md 2.4).
    ///
    /// # Errors
    /// [`StoreError::Missing`] without the tenant.
    pub async fn raise_generations(&self, scope: TenantScope, floor: Generations) -> Result<()> {
        self.engine().write(|| self.raise_generations_once(scope, floor)).await
    }

    async fn raise_generations_once(&self, scope: TenantScope, floor: Generations) -> Result<()> {
        let mut held = self.engine().writer(scope).await?;
        let mut transaction = held.begin().await?;
        let done = query(RAISE_GENERATIONS)
            .bind(scope.no())
            .bind(i64::from(floor.state_gen))
            .bind(i64::from(floor.dir_gen.unwrap_or(0)))
            .execute(&mut transaction.connection())
            .await?;
        if done != 1 {
            return Err(StoreError::Missing { table: TABLE });
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes one row and commits: whether the store can be written at all.
    pub(crate) async fn probe_once(&self) -> Result<()> {
        let mut held = self.engine().writer(Reach::Nobody).await?;
        let mut transaction = held.begin().await?;
        query(PROBE).execute(&mut transaction.connection()).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn count_tenant(&self) -> Result<i64> {
        let mut held = self.engine().writer(Reach::Nobody).await?;
        let mut transaction = held.begin().await?;
        let counted = query(COUNT_UP).bind("tenant_no");
        let value = counted.scalar(&mut transaction.connection()).await?;
        transaction.commit().await?;
        Ok(value)
    }

    async fn count_dataset(&self, scope: TenantScope) -> Result<i64> {
        let mut held = self.engine().writer(scope).await?;
        let mut transaction = held.begin().await?;
        let counted = query(COUNT_DATASET).bind(scope.no());
        let value = counted.scalar_optional(&mut transaction.connection()).await?;
        transaction.commit().await?;
        value.ok_or(StoreError::Missing { table: "tenant" })
    }
}

#[async_trait]
impl EpochControl for DataStore {
    async fn raise_key_epoch(
        &self,
        tenant: TenantNo,
        epoch: u32,
        structural_epoch: u32,
    ) -> Result<(), ControlUnavailable> {
        let raised = self.engine().write(|| self.raise_epoch_once(tenant, epoch, structural_epoch));
        raised.await.map_err(|_| ControlUnavailable)
    }
}

impl DataStore {
    async fn raise_epoch_once(&self, tenant: TenantNo, epoch: u32, structural: u32) -> Result<()> {
        let mut held = self.engine().writer(tenant).await?;
        let mut transaction = held.begin().await?;
        query(RAISE_EPOCH)
            .bind(i64::from(tenant.0))
            .bind(i64::from(epoch))
            .bind(i64::from(structural))
            .execute(&mut transaction.connection())
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
