//! The built-in permits of the tenant's own exits: one row for each call that made one, never changed.

use leadvault_domain::{InstructionId, TenantNo, Timestamp};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT uuid, hash, created_at, body_leaf, body_revision, body FROM exit_permit \
            WHERE tenant_no = $1 AND uuid = $2";
    LIST = "SELECT uuid, hash, created_at, body_leaf, body_revision, body FROM exit_permit \
            WHERE tenant_no = $1 AND (uuid < $2 OR $2 IS NULL) ORDER BY uuid DESC LIMIT $3";
    INSERT = "INSERT INTO exit_permit \
              (tenant_no, uuid, hash, created_at, body_leaf, body_revision, body) \
              VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
}

/// The permit of one exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitPermitRow {
    /// Its id as an instruction.
    pub id: InstructionId,
    /// Hash of its canonical form.
    pub hash: [u8; 32],
    /// When it was issued.
    pub created_at: Timestamp,
    /// The whole instruction; nothing where it was issued while the tenant's key was away.
    pub body: Option<Sealed>,
}

/// Stores the permit of an exit. [`Conflict::Exists`] if the id is taken.
#[derive(Debug, Clone)]
pub struct InsertExitPermit {
    /// The permit.
    pub row: ExitPermitRow,
}

impl InsertExitPermit {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, body) = (&self.row, self.row.body.as_ref());
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.id.bytes().to_vec())
            .bind(row.hash.to_vec())
            .bind(row.created_at.micros())
            .bind(body.map(|b| i64::from(b.leaf)))
            .bind(body.map_or(0, |b| i64::from(b.revision)))
            .bind(body.map(|b| b.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

impl DataStore {
    /// The permit of an exit.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_exit_permit(
        &self,
        scope: TenantScope,
        id: InstructionId,
    ) -> Result<Option<ExitPermitRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// Permits of exits, the newest first, at most `limit`: those before `before`, where it is given.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_exit_permits(
        &self,
        scope: TenantScope,
        before: Option<InstructionId>,
        limit: u32,
    ) -> Result<Vec<ExitPermitRow>> {
        let before = before.map(|id| id.bytes().to_vec());
        let question = query(LIST).bind(scope.no()).bind(before).bind(i64::from(limit));
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<ExitPermitRow> {
    let cells = Cells::new("exit_permit", row);
    Ok(ExitPermitRow {
        id: InstructionId::from_bytes(cells.bytes("uuid")?),
        hash: cells.bytes("hash")?,
        created_at: cells.time("created_at")?,
        body: Sealed::read(cells, "body_leaf", "body_revision", "body")?,
    })
}
