//! Erasures between `erase.requested` and `erase.completed`: what recovery resumes.
//!
//! The reference stands here only until it is in the second entry: afterwards nobody is to compute it from
//! the lead's id.

use leadvault_domain::{DatasetNo, LeadId, LeafAddress, OperationId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach, Row, query};
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::EraseState;
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "lead, dataset_no, tree, leaf, reference, requested_index, requested_at, operation, state, \
         epoch, completed_index, receipt_leaf, receipt_revision, receipt"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM erase_request WHERE tenant_no = $1 AND lead = $2");
    LIST_OPEN = concat!("SELECT ", columns!(), " FROM erase_request WHERE tenant_no = $1 \
                        AND state <> 'completed' ORDER BY requested_index LIMIT $2");
    /// Tenants with an erasure that was requested before an instant and is not over.
    LIST_WAITING = "SELECT DISTINCT tenant_no FROM erase_request WHERE state <> 'completed' \
                    AND requested_at < $1 ORDER BY tenant_no";
    LIST_REQUESTED = "SELECT requested_index, lead FROM erase_request WHERE tenant_no = $1 \
                      AND requested_index >= $2 AND requested_index < $3 ORDER BY requested_index";
    INSERT = "INSERT INTO erase_request (tenant_no, lead, dataset_no, tree, leaf, reference, \
              requested_index, requested_at, operation, state, receipt_revision) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'requested', 0) ON CONFLICT DO NOTHING";
    PUNCTURED = "UPDATE erase_request SET state = 'punctured', epoch = $3 \
                 WHERE tenant_no = $1 AND lead = $2 AND state = 'requested'";
    COMPLETED = "UPDATE erase_request SET state = 'completed', epoch = $3, reference = NULL, \
                 completed_index = $4 WHERE tenant_no = $1 AND lead = $2 AND state <> 'completed'";
    RECEIPT = "UPDATE erase_request SET receipt_leaf = $3, receipt_revision = $4, receipt = $5 \
               WHERE tenant_no = $1 AND lead = $2 AND state = 'completed'";
    DELETE = "DELETE FROM erase_request WHERE tenant_no = $1 AND state = 'completed' \
              AND requested_at < $2";
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraseRow {
    /// The lead.
    pub lead: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
    /// Its reference in the log, until the erasure is completed.
    pub reference: Option<[u8; 16]>,
    /// Index of `erase.requested`.
    pub requested_index: u64,
    /// When.
    pub requested_at: Timestamp,
    /// The operation a client may ask about.
    pub operation: Option<OperationId>,
    /// How far it got.
    pub state: EraseState,
    /// Epoch in which the leaf went.
    pub epoch: Option<u32>,
    /// Index of `erase.completed`.
    pub completed_index: Option<u64>,
    /// The receipt.
    pub receipt: Option<Sealed>,
}

/// Records a request beside its entry. [`Conflict::Exists`] if there is one for the lead.
#[derive(Debug, Clone, Copy)]
pub struct InsertErase {
    /// The lead.
    pub lead: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
    /// Its reference in the log.
    pub reference: [u8; 16],
    /// When.
    pub requested_at: Timestamp,
    /// The operation a client may ask about.
    pub operation: Option<OperationId>,
}

impl InsertErase {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        // A request without its entry would never be completed.
        let index = index.ok_or(StoreError::OutOfRange)?;
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.lead.bytes().to_vec())
            .bind(i64::from(self.at.dataset.0))
            .bind(i64::from(self.at.tree))
            .bind(i64::from(self.at.leaf))
            .bind(self.reference.to_vec())
            .bind(stored(index)?)
            .bind(self.requested_at.micros())
            .bind(self.operation.map(|o| o.bytes().to_vec()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// How an erasure goes on.
#[derive(Debug, Clone)]
pub enum EraseStep {
    /// The slot has forgotten the key, in this epoch.
    Punctured {
        /// The epoch.
        epoch: u32,
    },
    /// The entry beside this one is `erase.completed`; the reference goes.
    Completed {
        /// The epoch.
        epoch: u32,
    },
    /// The receipt was made.
    Receipt(Sealed),
}

/// Moves an erasure on. [`Conflict::StateMoved`] if it is further, or unknown.
#[derive(Debug, Clone)]
pub struct UpdateErase {
    /// The lead.
    pub lead: LeadId,
    /// What happened.
    pub step: EraseStep,
}

impl UpdateErase {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let query = |sql| query(sql).bind(i64::from(tenant.0)).bind(self.lead.bytes().to_vec());
        let query = match &self.step {
            EraseStep::Punctured { epoch } => query(PUNCTURED).bind(i64::from(*epoch)),
            EraseStep::Completed { epoch } => {
                let index = index.ok_or(StoreError::OutOfRange)?;
                query(COMPLETED).bind(i64::from(*epoch)).bind(stored(index)?)
            }
            EraseStep::Receipt(sealed) => query(RECEIPT)
                .bind(i64::from(sealed.leaf))
                .bind(i64::from(sealed.revision))
                .bind(sealed.blob.clone()),
        };
        let done = query.execute(connection).await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Removes erasures that were completed and requested before an instant.
#[derive(Debug, Clone, Copy)]
pub struct DeleteErases {
    /// Requested before.
    pub before: Timestamp,
}

impl DeleteErases {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE)
            .bind(i64::from(tenant.0))
            .bind(self.before.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// Tenants with an erasure that was requested before an instant and is not over: the node that took it may be
    /// gone.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_waiting_erases(&self, before: Timestamp) -> Result<Vec<TenantNo>> {
        let all = self.list_tenant_numbers().await?;
        let number = |row: &Row| Cells::new("erase_request", row).number("tenant_no").map(TenantNo);
        let question = query(LIST_WAITING).bind(before.micros());
        self.engine().list(Reach::Tenants(all), question, number).await
    }

    /// The erasure of a lead, if one was requested.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_erase(&self, scope: TenantScope, lead: LeadId) -> Result<Option<EraseRow>> {
        let question = query(FIND).bind(scope.no()).bind(lead.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// Leads whose erasure was requested by the entries `from..to`, with that entry, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_erases_requested(
        &self,
        scope: TenantScope,
        from: u64,
        to: u64,
    ) -> Result<Vec<(u64, LeadId)>> {
        let question = query(LIST_REQUESTED).bind(scope.no()).bind(stored(from)?).bind(stored(to)?);
        let decode = |row: &Row| {
            let cells = Cells::new("erase_request", row);
            Ok((cells.number("requested_index")?, LeadId::from_bytes(cells.bytes("lead")?)))
        };
        self.engine().list(scope, question, decode).await
    }

    /// Erasures that are not completed, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_open_erases(&self, scope: TenantScope, limit: u32) -> Result<Vec<EraseRow>> {
        let question = query(LIST_OPEN).bind(scope.no()).bind(i64::from(limit));
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<EraseRow> {
    let cells = Cells::new("erase_request", row);
    Ok(EraseRow {
        lead: LeadId::from_bytes(cells.bytes("lead")?),
        at: LeafAddress {
            dataset: DatasetNo(cells.number("dataset_no")?),
            tree: cells.number("tree")?,
            leaf: cells.number("leaf")?,
        },
        reference: cells.bytes_or_null("reference")?,
        requested_index: cells.number("requested_index")?,
        requested_at: cells.time("requested_at")?,
        operation: cells.bytes_or_null("operation")?.map(OperationId::from_bytes),
        state: cells.word("state")?,
        epoch: cells.number_or_null("epoch")?,
        completed_index: cells.number_or_null("completed_index")?,
        receipt: Sealed::read(cells, "receipt_leaf", "receipt_revision", "receipt")?,
    })
}
