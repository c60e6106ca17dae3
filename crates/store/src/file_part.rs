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
use crate::objects::ObjectName;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    LIST_PARTS = "SELECT first_chunk, chunks, object FROM file_part WHERE tenant_no = $1 AND file = $2 \
                  ORDER BY first_chunk";
    IS_PART = "SELECT COUNT(*) FROM file_part WHERE tenant_no = $1 AND object = $2";
    ADVANCE = "UPDATE file SET next_byte = $5, touched_at = $6, meta_revision = $7, meta = $8, \
               state = CASE WHEN size = $5 THEN 'complete' ELSE 'open' END WHERE tenant_no = $1 AND uuid = $2 \
               AND leaf = $3 AND next_byte = $4 AND size >= $5 AND state = 'open'";
    INSERT_PART = "INSERT INTO file_part (tenant_no, file, first_chunk, chunks, object) \
                   VALUES ($1, $2, $3, $4, $5)";
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

/// Names a part whose object is durable; with the last one the file is complete. [`Conflict::StateMoved`] where
/// another upload was faster, and for bytes beyond the announced size.
#[derive(Debug, Clone)]
pub struct AppendFilePart {
    /// The file.
    pub id: FileId,
    /// Where the upload stood.
    pub from: u64,
    /// Where it stands.
    pub to: u64,
    /// The chunks.
    pub part: FilePart,
    /// What is known of the content so far, under the leaf its chunks grow from.
    pub meta: Sealed,
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
            .bind(i64::from(self.meta.leaf))
            .bind(stored(self.from)?)
            .bind(stored(self.to)?)
            .bind(self.at.micros())
            .bind(i64::from(self.meta.revision))
            .bind(self.meta.blob.clone())
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
