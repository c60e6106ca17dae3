//! Certificates of deletion: opened beside the entry that asks for a shred, closed once, after the last row.
//!
//! A record that was opened and not closed is never taken for a certificate; one that was closed is never
//! written again, so repeating a finished shred cannot certify zero rows (deletion.md 5.3, rules 1 and 2).

use leadvault_domain::{OperationId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT requested_index, rows, begun_at, completed_index, body FROM certificate \
            WHERE tenant_no = $1 AND operation = $2";
    INSERT = "INSERT INTO certificate (tenant_no, operation, requested_index, rows, begun_at) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    COMPLETE = "UPDATE certificate SET completed_index = $3 \
                WHERE tenant_no = $1 AND operation = $2 AND completed_index IS NULL";
    ISSUE = "UPDATE certificate SET body = $3 \
             WHERE tenant_no = $1 AND operation = $2 AND completed_index IS NOT NULL \
             AND body IS NULL";
}

/// A shred and what is certified of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// Index of the entry that asked for it.
    pub requested_index: u64,
    /// Leads there were.
    pub rows: u64,
    /// When it was asked for.
    pub begun_at: Timestamp,
    /// Index of the entry that says that it is done.
    pub completed_index: Option<u64>,
    /// The signed certificate as JSON, once everything is gone.
    pub body: Option<String>,
}

/// Opens the record of a shred beside its entry. [`Conflict::Exists`] if the operation has one.
#[derive(Debug, Clone, Copy)]
pub struct InsertCertificate {
    /// The operation that shreds.
    pub operation: OperationId,
    /// Leads there are.
    pub rows: u64,
    /// Now.
    pub begun_at: Timestamp,
}

impl InsertCertificate {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        // A certificate names the entry that asked for it.
        let index = index.ok_or(StoreError::OutOfRange)?;
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.operation.bytes().to_vec())
            .bind(stored(index)?)
            .bind(stored(self.rows)?)
            .bind(self.begun_at.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Notes the entry beside it as the one that says the shred is done. [`Conflict::StateMoved`] if there is one.
#[derive(Debug, Clone, Copy)]
pub struct CompleteCertificate {
    /// The operation that shredded.
    pub operation: OperationId,
}

impl CompleteCertificate {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let index = index.ok_or(StoreError::OutOfRange)?;
        let done = query(COMPLETE)
            .bind(i64::from(tenant.0))
            .bind(self.operation.bytes().to_vec())
            .bind(stored(index)?)
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Closes a record with the signed certificate. [`Conflict::StateMoved`] if it is closed already, or
/// nothing says that the shred is done.
#[derive(Debug, Clone)]
pub struct IssueCertificate {
    /// The operation that shredded.
    pub operation: OperationId,
    /// The signed certificate as JSON.
    pub body: String,
}

impl IssueCertificate {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(ISSUE)
            .bind(i64::from(tenant.0))
            .bind(self.operation.bytes().to_vec())
            .bind(self.body.clone())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

impl DataStore {
    /// The record of a shred.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_certificate(
        &self,
        scope: TenantScope,
        operation: OperationId,
    ) -> Result<Option<CertificateRow>> {
        let question = query(FIND).bind(scope.no()).bind(operation.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<CertificateRow> {
    let cells = Cells::new("certificate", row);
    Ok(CertificateRow {
        requested_index: cells.number("requested_index")?,
        rows: cells.number("rows")?,
        begun_at: cells.time("begun_at")?,
        completed_index: cells.number_or_null("completed_index")?,
        body: cells.value("body")?,
    })
}
