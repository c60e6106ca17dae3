//! The content of a file: parts that are appended while it is uploaded.
//!
//! A part is some chunks in an object of its own, durable before it is named here. Uploads that run at once are told
//! apart by where each began: the first to name its part is ahead.

use leadvault_domain::{FileId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::file::on_file;
use crate::object_files::ObjectName;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    LIST_PARTS = "SELECT first_chunk, chunks, object FROM file_part WHERE tenant_no = $1 AND file = $2 \
                  ORDER BY first_chunk";
    IS_PART = "SELECT COUNT(*) FROM file_part WHERE tenant_no = $1 AND object = $2";
    ADVANCE = "UPDATE file SET next_byte = $5, touched_at = $6 WHERE tenant_no = $1 AND uuid = $2 \
               AND leaf = $3 AND next_byte = $4 AND size >= $5 AND state = 'open'";
    INSERT_PART = "INSERT INTO file_part (tenant_no, file, first_chunk, chunks, object) \
                   VALUES ($1, $2, $3, $4, $5)";
    RESTART = "UPDATE file SET next_byte = 0, leaf = $4, meta_revision = $5, meta = $6, touched_at = $7 \
               WHERE tenant_no = $1 AND uuid = $2 AND leaf = $3 AND state = 'open'";
    COMPLETE = "UPDATE file SET state = 'complete', meta_revision = $4, meta = $5 WHERE tenant_no = $1 \
                AND uuid = $2 AND leaf = $3 AND next_byte = size AND state = 'open'";
    DELETE = "DELETE FROM file_part WHERE tenant_no = $1 AND file = $2";
}

/// Chunks of a file that lie in one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePart {
    /// Number of the first.
    pub first_chunk: u32,
    /// How many.
    pub chunks: u32,
    /// The object.
    pub object: ObjectName,
}

/// Names a part whose object is durable. [`Conflict::StateMoved`] where another upload was faster or began
/// anew, and for bytes beyond the announced size.
#[derive(Debug, Clone, Copy)]
pub struct AppendFilePart {
    /// The file.
    pub id: FileId,
    /// The leaf its chunks grow from.
    pub leaf: u32,
    /// Where the upload stood.
    pub from: u64,
    /// Where it stands.
    pub to: u64,
    /// The chunks.
    pub part: FilePart,
    /// When.
    pub at: Timestamp,
}

impl AppendFilePart {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let advanced = query(ADVANCE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.leaf))
            .bind(stored(self.from)?)
            .bind(stored(self.to)?)
            .bind(self.at.micros())
            .execute(&mut *connection)
            .await?;
        if advanced == 0 {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        query(INSERT_PART)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.part.first_chunk))
            .bind(i64::from(self.part.chunks))
            .bind(self.part.object.0.to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::Done)
    }
}

/// Begins the upload of a file again, under a leaf of its own: nothing of before fits into it.
/// [`Conflict::StateMoved`] unless it is open under `leaf`.
#[derive(Debug, Clone)]
pub struct RestartFile {
    /// The file.
    pub id: FileId,
    /// The leaf so far.
    pub leaf: u32,
    /// Name and so on, under the new leaf.
    pub meta: Sealed,
    /// When.
    pub at: Timestamp,
}

impl RestartFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let restarted = query(RESTART)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.leaf))
            .bind(i64::from(self.meta.leaf))
            .bind(i64::from(self.meta.revision))
            .bind(self.meta.blob.clone())
            .bind(self.at.micros())
            .execute(&mut *connection)
            .await?;
        if restarted == 0 {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        delete_all(connection, tenant, self.id).await?;
        Ok(Outcome::Done)
    }
}

/// Ends an upload: all announced bytes are there. [`Conflict::StateMoved`] otherwise.
#[derive(Debug, Clone)]
pub struct CompleteFile {
    /// The file.
    pub id: FileId,
    /// Name, type and digest, under the leaf of the chunks.
    pub meta: Sealed,
}

impl CompleteFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = on_file(COMPLETE, tenant, self.id)
            .bind(i64::from(self.meta.leaf))
            .bind(i64::from(self.meta.revision))
            .bind(self.meta.blob.clone())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Forgets the parts of a file.
pub(crate) async fn delete_all(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    id: FileId,
) -> Result<()> {
    on_file(DELETE, tenant, id).execute(connection).await?;
    Ok(())
}

impl DataStore {
    /// The parts of a file, in order.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_file_parts(&self, scope: TenantScope, id: FileId) -> Result<Vec<FilePart>> {
        let decode = |row: &Row| {
            let cells = Cells::new("file_part", row);
            Ok(FilePart {
                first_chunk: cells.number("first_chunk")?,
                chunks: cells.number("chunks")?,
                object: ObjectName(cells.bytes("object")?),
            })
        };
        self.engine().list(scope, on_file(LIST_PARTS, scope.0, id), decode).await
    }

    /// Whether an object is a part of a file of the tenant.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn is_file_part(&self, scope: TenantScope, object: ObjectName) -> Result<bool> {
        let mut reader = self.engine().reader(scope).await?;
        let question = query(IS_PART).bind(scope.no()).bind(object.0.to_vec());
        let count: Option<i64> = question.scalar(&mut reader.connection()).await?;
        Ok(count.unwrap_or(0) > 0)
    }
}
