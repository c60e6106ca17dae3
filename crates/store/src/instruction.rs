//! The register of instructions: one row per version. The body is sealed; what stands in clear says only
//! which version is in force.

use leadvault_domain::{InstructionId, InstructionStatus, TenantNo, Timestamp};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    LIST = "SELECT uuid, version, status, hash, created_at, activated_at, body_leaf, body_revision, \
            body FROM instruction_version WHERE tenant_no = $1 ORDER BY uuid, version";
    LIST_ONE = "SELECT uuid, version, status, hash, created_at, activated_at, body_leaf, \
                body_revision, body FROM instruction_version WHERE tenant_no = $1 AND uuid = $2 \
                ORDER BY version";
    INSERT = "INSERT INTO instruction_version (tenant_no, uuid, version, status, hash, created_at, \
              activated_at, body_leaf, body_revision, body) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE instruction_version SET status = $5, \
              activated_at = COALESCE($6, activated_at), \
              body_leaf = COALESCE($7, body_leaf), body_revision = COALESCE($8, body_revision), \
              body = COALESCE($9, body) \
              WHERE tenant_no = $1 AND uuid = $2 AND version = $3 AND status = $4";
}

/// One version of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstructionRow {
    /// Its id, the same for all versions.
    pub id: InstructionId,
    /// From 1.
    pub version: u32,
    /// Where this version stands in its life.
    pub status: InstructionStatus,
    /// Hash of its canonical form.
    pub hash: [u8; 32],
    /// When it was drafted.
    pub created_at: Timestamp,
    /// When it was first activated.
    pub activated_at: Option<Timestamp>,
    /// The whole object.
    pub body: Option<Sealed>,
}

/// Stores a version. [`Conflict::Exists`] if the number is taken.
#[derive(Debug, Clone)]
pub struct InsertInstruction {
    /// The version.
    pub row: InstructionRow,
}

impl InsertInstruction {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, body) = (&self.row, self.row.body.as_ref());
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.id.bytes().to_vec())
            .bind(i64::from(row.version))
            .bind(row.status.as_str())
            .bind(row.hash.to_vec())
            .bind(row.created_at.micros())
            .bind(row.activated_at.map(Timestamp::micros))
            .bind(body.map(|b| i64::from(b.leaf)))
            .bind(body.map_or(0, |b| i64::from(b.revision)))
            .bind(body.map(|b| b.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Moves a version from one status to another; [`Conflict::StateMoved`] if it is not in `from`. Goes with
/// [`crate::BumpState`].
#[derive(Debug, Clone)]
pub struct UpdateInstruction {
    /// The instruction.
    pub id: InstructionId,
    /// The version.
    pub version: u32,
    /// The status it must have.
    pub from: InstructionStatus,
    /// The status it gets.
    pub to: InstructionStatus,
    /// When it was activated; `None` leaves that.
    pub activated_at: Option<Timestamp>,
    /// The body anew (signature, challenge); `None` leaves it.
    pub body: Option<Sealed>,
}

impl UpdateInstruction {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let body = self.body.as_ref();
        let done = query(UPDATE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.version))
            .bind(self.from.as_str())
            .bind(self.to.as_str())
            .bind(self.activated_at.map(Timestamp::micros))
            .bind(body.map(|b| i64::from(b.leaf)))
            .bind(body.map(|b| i64::from(b.revision)))
            .bind(body.map(|b| b.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

impl DataStore {
    /// All versions of one instruction, ascending.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_instruction(
        &self,
        scope: TenantScope,
        id: InstructionId,
    ) -> Result<Vec<InstructionRow>> {
        let question = query(LIST_ONE).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().list(scope, question, decode).await
    }

    /// All versions of all instructions of the tenant, by instruction, ascending.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_instructions(&self, scope: TenantScope) -> Result<Vec<InstructionRow>> {
        self.engine().list(scope, query(LIST).bind(scope.no()), decode).await
    }
}

fn decode(row: &Row) -> Result<InstructionRow> {
    let cells = Cells::new("instruction_version", row);
    Ok(InstructionRow {
        id: InstructionId::from_bytes(cells.bytes("uuid")?),
        version: cells.number("version")?,
        status: cells.word("status")?,
        hash: cells.bytes("hash")?,
        created_at: cells.time("created_at")?,
        activated_at: cells.time_or_null("activated_at")?,
        body: Sealed::read(cells, "body_leaf", "body_revision", "body")?,
    })
}
