//! Operations: jobs as leased rows. What one works on is sealed and goes when it is done.
//!
//! A node claims a row until an instant and renews it with its progress; whoever finds the lease run out may
//! claim it again, so every step of a job is idempotent.

use leadvault_domain::{OperationId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::OperationState;
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "uuid, kind, subject, state, error, done, total, attempts, created_at, run_at, \
         payload_leaf, payload_revision, payload, result_leaf, result_revision, result"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM operation WHERE tenant_no = $1 AND uuid = $2");
    LIST_OPEN = concat!("SELECT ", columns!(), " FROM operation WHERE tenant_no = $1 \
                        AND state = 'running' ORDER BY uuid");
    COUNT_OPEN = "SELECT COUNT(*) FROM operation WHERE tenant_no = $1 AND state = 'running'";
    /// What may run now, one of each tenant before a second of any.
    LIST_DUE = "SELECT tenant_no, uuid, kind, run_at FROM (SELECT tenant_no, uuid, kind, run_at, \
                ROW_NUMBER() OVER (PARTITION BY tenant_no ORDER BY run_at, uuid) AS turn \
                FROM operation WHERE state = 'running' AND run_at <= $1 AND lease_until <= $1) AS due \
                ORDER BY turn, run_at, tenant_no LIMIT $2";
    INSERT = "INSERT INTO operation (tenant_no, uuid, kind, subject, state, done, total, attempts, \
              created_at, run_at, lease_until, payload_leaf, payload_revision, payload, \
              result_revision) VALUES ($1, $2, $3, $4, 'running', 0, $5, 0, $6, $7, 0, $8, $9, $10, 0) \
              ON CONFLICT DO NOTHING";
    CLAIM = concat!("UPDATE operation SET lease_node = $3, lease_until = $5, attempts = attempts + 1 \
            WHERE tenant_no = $1 AND uuid = $2 AND state = 'running' AND run_at <= $4 \
            AND (lease_until <= $4 OR lease_node = $3) RETURNING ", columns!());
    PROGRESS = "UPDATE operation SET done = $4, total = $5, \
                lease_until = COALESCE($6, lease_until), \
                payload_leaf = COALESCE($7, payload_leaf), \
                payload_revision = COALESCE($8, payload_revision), payload = COALESCE($9, payload) \
                WHERE tenant_no = $1 AND uuid = $2 AND state = 'running' \
                AND (lease_node = $3 OR $3 IS NULL)";
    POSTPONE = "UPDATE operation SET lease_node = NULL, lease_until = 0, run_at = $4 \
                WHERE tenant_no = $1 AND uuid = $2 AND lease_node = $3 AND state = 'running'";
    FINISH = "UPDATE operation SET state = $3, error = $4, result_leaf = $5, result_revision = $6, \
              result = $7, payload = NULL, lease_node = NULL, lease_until = 0, \
              total = COALESCE(total, done) WHERE tenant_no = $1 AND uuid = $2 \
              AND state = 'running' AND (lease_node = $8 OR $8 IS NULL)";
    DELETE_DONE = "DELETE FROM operation WHERE tenant_no = $1 AND state <> 'running' \
                   AND created_at < $2";
}

/// A node that works on operations: random, made at its start.
pub type NodeId = [u8; 16];

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// Its id.
    pub id: OperationId,
    /// What kind of job, a code.
    pub kind: String,
    /// Id of the import, export or dataset it is about.
    pub subject: Option<[u8; 16]>,
    /// Whether it is over.
    pub state: OperationState,
    /// Why it failed, a code.
    pub error: Option<String>,
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// How often it was claimed.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not before.
    pub run_at: Timestamp,
    /// What it works on, and how far it got.
    pub payload: Option<Sealed>,
    /// What came of it.
    pub result: Option<Sealed>,
}

/// An operation that may run: all a scheduler sees across tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueOperation {
    /// Whose.
    pub tenant: TenantNo,
    /// Which.
    pub id: OperationId,
    /// What kind of job.
    pub kind: String,
    /// Since when.
    pub run_at: Timestamp,
}

/// Stores an operation that is to run.
#[derive(Debug, Clone)]
pub struct InsertOperation {
    /// Its id.
    pub id: OperationId,
    /// What kind of job, a code.
    pub kind: &'static str,
    /// Id of what it is about.
    pub subject: Option<[u8; 16]>,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// Now.
    pub created_at: Timestamp,
    /// Not before.
    pub run_at: Timestamp,
    /// What it works on.
    pub payload: Option<Sealed>,
}

impl InsertOperation {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let payload = self.payload.as_ref();
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.kind)
            .bind(self.subject.map(|s| s.to_vec()))
            .bind(self.total.map(stored).transpose()?)
            .bind(self.created_at.micros())
            .bind(self.run_at.micros())
            .bind(payload.map(|p| i64::from(p.leaf)))
            .bind(payload.map_or(0, |p| i64::from(p.revision)))
            .bind(payload.map(|p| p.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Takes an operation for a node; [`Outcome::Claimed`] with the row, or without if another node has it.
#[derive(Debug, Clone, Copy)]
pub struct ClaimOperation {
    /// The operation.
    pub id: OperationId,
    /// Who takes it.
    pub node: NodeId,
    /// Now.
    pub now: Timestamp,
    /// Until when it is taken.
    pub until: Timestamp,
}

impl ClaimOperation {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let row = query(CLAIM)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.node.to_vec())
            .bind(self.now.micros())
            .bind(self.until.micros())
            .fetch_optional(connection)
            .await?;
        Ok(Outcome::Claimed(row.as_ref().map(decode).transpose()?.map(Box::new)))
    }
}

/// Renews a lease with the progress made. [`Conflict::StateMoved`] if the node lost it.
#[derive(Debug, Clone)]
pub struct UpdateProgress {
    /// The operation.
    pub id: OperationId,
    /// Who must hold it; `None` for an operation that the node which began it works on.
    pub node: Option<NodeId>,
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// Until when it is taken now; `None` leaves that.
    pub until: Option<Timestamp>,
    /// How far it got; `None` leaves that.
    pub payload: Option<Sealed>,
}

impl UpdateProgress {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let payload = self.payload.as_ref();
        let done = query(PROGRESS)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.node.map(|n| n.to_vec()))
            .bind(stored(self.done)?)
            .bind(self.total.map(stored).transpose()?)
            .bind(self.until.map(Timestamp::micros))
            .bind(payload.map(|p| i64::from(p.leaf)))
            .bind(payload.map(|p| i64::from(p.revision)))
            .bind(payload.map(|p| p.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Gives an operation back, to be claimed again at a later instant.
#[derive(Debug, Clone, Copy)]
pub struct PostponeOperation {
    /// The operation.
    pub id: OperationId,
    /// Who holds it.
    pub node: NodeId,
    /// Not before.
    pub run_at: Timestamp,
}

impl PostponeOperation {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(POSTPONE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.node.to_vec())
            .bind(self.run_at.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Ends an operation; its payload goes. [`Conflict::StateMoved`] if it is over, or `node` lost it.
#[derive(Debug, Clone)]
pub struct FinishOperation {
    /// The operation.
    pub id: OperationId,
    /// Who must hold it; `None` for an operation that its own request finishes.
    pub node: Option<NodeId>,
    /// Why it failed, a code; `None` = it is done.
    pub error: Option<&'static str>,
    /// What came of it.
    pub result: Option<Sealed>,
}

impl FinishOperation {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let state =
            if self.error.is_some() { OperationState::Failed } else { OperationState::Done };
        let result = self.result.as_ref();
        let done = query(FINISH)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(state.as_str())
            .bind(self.error)
            .bind(result.map(|r| i64::from(r.leaf)))
            .bind(result.map_or(0, |r| i64::from(r.revision)))
            .bind(result.map(|r| r.blob.clone()))
            .bind(self.node.map(|n| n.to_vec()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Removes operations that are over and older than an instant.
#[derive(Debug, Clone, Copy)]
pub struct DeleteOperations {
    /// Made before.
    pub before: Timestamp,
}

impl DeleteOperations {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE_DONE)
            .bind(i64::from(tenant.0))
            .bind(self.before.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// An operation.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_operation(
        &self,
        scope: TenantScope,
        id: OperationId,
    ) -> Result<Option<OperationRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// Operations of the tenant that are not over, oldest first.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_open_operations(&self, scope: TenantScope) -> Result<Vec<OperationRow>> {
        let question = query(LIST_OPEN).bind(scope.no());
        self.engine().list(scope, question, decode).await
    }

    /// How many operations of the tenant are not over.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn count_open_operations(&self, scope: TenantScope) -> Result<u32> {
        let mut reader = self.engine().reader(scope).await?;
        let counted = query(COUNT_OPEN).bind(scope.no());
        let n: i64 = counted.scalar(&mut reader.connection()).await?;
        Ok(u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// What may run now in the cell, one of each tenant before a second of any.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_due_operations(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueOperation>> {
        let question = query(LIST_DUE).bind(now.micros()).bind(i64::from(limit));
        let decode = |row: &Row| {
            let cells = Cells::new("operation", row);
            Ok(DueOperation {
                tenant: TenantNo(cells.number("tenant_no")?),
                id: OperationId::from_bytes(cells.bytes("uuid")?),
                kind: cells.value("kind")?,
                run_at: cells.time("run_at")?,
            })
        };
        self.engine().list(Reach::Cell, question, decode).await
    }
}

fn decode(row: &Row) -> Result<OperationRow> {
    let cells = Cells::new("operation", row);
    Ok(OperationRow {
        id: OperationId::from_bytes(cells.bytes("uuid")?),
        kind: cells.value("kind")?,
        subject: cells.bytes_or_null("subject")?,
        state: cells.word("state")?,
        error: cells.value("error")?,
        done: cells.number("done")?,
        total: cells.number_or_null("total")?,
        attempts: cells.number("attempts")?,
        created_at: cells.time("created_at")?,
        run_at: cells.time("run_at")?,
        payload: Sealed::read(cells, "payload_leaf", "payload_revision", "payload")?,
        result: Sealed::read(cells, "result_leaf", "result_revision", "result")?,
    })
}
