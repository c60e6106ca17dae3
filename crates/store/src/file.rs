//! Files attached to leads (R-014): what is known of a file. Its leads are in [`crate::file_link`], its content in
//! [`crate::file_part`].
//!
//! ```text
//! open ── complete ── erasing ── no row      a part is durable before it is named here, the last one completes
//!   └───────────────────┘                    the last of its leads goes, or any: as the file says
//! ```
//! A file without a lead is erasing: what takes its last link changes its state in the same transaction. Writes of one
//! tenant go one after the other (`engine`), so that what one of them has looked at holds until it is done.

use std::collections::BTreeSet;

use leadvault_domain::{DatasetNo, FileId, LeadId, LeafAddress, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Query, Row, query};
use crate::error::Result;
use crate::file_link::{self, FileLink};
use crate::file_part;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::{Sql, statements};
use crate::words::{EraseWith, FileState};
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "f.uuid, f.dataset_no, f.state, f.erase_with, f.size, f.next_byte, f.created_at, f.touched_at, \
         f.leaf, f.meta_revision, f.meta"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 AND f.uuid = $2");
    LIST_AT = concat!("SELECT ", columns!(), " FROM file_lead l JOIN file f ON f.tenant_no = l.tenant_no \
              AND f.uuid = l.file WHERE l.tenant_no = $1 AND l.dataset_no = $2 AND l.tree = $3 \
              AND l.leaf = $4 AND f.state <> 'erasing' ORDER BY f.uuid");
    /// What is complete is named because the index leaves it out.
    LIST_UNFINISHED = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 \
              AND f.state = $2 AND f.touched_at < $3 AND f.state <> 'complete' \
              ORDER BY f.touched_at LIMIT $4");
    LIST_ALL = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 ORDER BY f.uuid");
    LIST_COMPLETE = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 AND f.uuid > $2 \
              AND f.state = 'complete' ORDER BY f.uuid LIMIT $3");
    LIST_COMPLETE_OF = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 AND f.uuid > $2 \
              AND f.state = 'complete' AND f.dataset_no = $4 ORDER BY f.uuid LIMIT $3");
    LIST_BLOCKS = "SELECT first_leaf, end_leaf FROM file_block WHERE tenant_no = $1 AND dataset_no = $2 \
                   ORDER BY first_leaf";

    LIVE = "SELECT tree, leaf FROM lead WHERE tenant_no = $1 AND lead = $2 AND dataset_no = $3 \
            AND tombstone = 0";
    USE = "INSERT INTO file_usage (tenant_no, files, bytes) SELECT CAST($1 AS INTEGER), 1, \
           CAST($2 AS BIGINT) WHERE $3 > 0 AND $2 <= $4 ON CONFLICT (tenant_no) DO UPDATE SET files = file_usage.files + 1, bytes = file_usage.bytes + excluded.bytes \
           WHERE file_usage.files < $3 AND file_usage.bytes + excluded.bytes <= $4";
    INSERT = "INSERT INTO file (tenant_no, uuid, dataset_no, state, erase_with, size, next_byte, created_at, \
              touched_at, leaf, meta_revision, meta) VALUES ($1, $2, $3, 'open', $4, $5, 0, $6, $6, $7, $8, $9)";
    INSERT_BLOCK = "INSERT INTO file_block (tenant_no, dataset_no, first_leaf, end_leaf) \
                    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    ERASE = "UPDATE file SET state = 'erasing' WHERE tenant_no = $1 AND uuid = $2 AND state <> 'erasing'";

    ERASE_IDLE = "UPDATE file SET state = 'erasing' WHERE tenant_no = $1 AND uuid = $2 AND state = 'open' \
                  AND touched_at < $3";

    DELETE = "DELETE FROM file WHERE tenant_no = $1 AND uuid = $2 AND state = 'erasing'";
    RELEASE = "UPDATE file_usage SET files = files - 1, bytes = bytes - (SELECT size FROM file \
               WHERE tenant_no = $1 AND uuid = $2) WHERE tenant_no = $1 AND EXISTS (SELECT 1 FROM file \
               WHERE tenant_no = $1 AND uuid = $2 AND state = 'erasing')";
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its id.
    pub id: FileId,
    /// Its dataset, that of all its leads.
    pub dataset: DatasetNo,
    /// How far it got.
    pub state: FileState,
    /// Which of its leads it goes with.
    pub erase_with: EraseWith,
    /// Bytes of its chunks, each counted whole: its true length is sealed.
    pub size: u64,
    /// As many of them as are stored: where an upload goes on.
    pub next_byte: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When bytes came last.
    pub touched_at: Timestamp,
    /// Name, length, type and digest, under the leaf the chunks grow from too.
    pub meta: Sealed,
}

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// Files of one lead.
    pub of_lead: u64,
    /// Files in all.
    pub files: u64,
    /// Their bytes, whole chunks.
    pub bytes: u64,
}

/// Makes a file without content. [`Conflict::Missing`] where a lead of it is not there or is erased,
/// [`Conflict::Full`] above a limit.
#[derive(Debug, Clone)]
pub struct InsertFile {
    /// Its id.
    pub id: FileId,
    /// Its dataset.
    pub dataset: DatasetNo,
    /// Its leads, at least one, all of that dataset.
    pub leads: BTreeSet<LeadId>,
    /// Which of them it goes with.
    pub erase_with: EraseWith,
    /// Bytes of the chunks it will have, each counted whole.
    pub size: u64,
    /// When.
    pub created_at: Timestamp,
    /// Its name, under the leaf the chunks will grow from.
    pub meta: Sealed,
    /// What the tenant may have.
    pub limits: FileLimits,
}

impl InsertFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let mut links = Vec::with_capacity(self.leads.len());
        for lead in &self.leads {
            let Some(at) = self.find_place(connection, tenant, *lead).await? else {
                return Ok(Outcome::Conflict(Conflict::Missing));
            };
            if file_link::count(connection, tenant, at).await? >= stored(self.limits.of_lead)? {
                return Ok(Outcome::Conflict(Conflict::Full));
            }
            links.push(FileLink { lead: *lead, at });
        }
        let used = query(USE)
            .bind(i64::from(tenant.0))
            .bind(stored(self.size)?)
            .bind(stored(self.limits.files)?)
            .bind(stored(self.limits.bytes)?)
            .execute(&mut *connection)
            .await?;
        if used == 0 {
            return Ok(Outcome::Conflict(Conflict::Full));
        }
        query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.dataset.0))
            .bind(self.erase_with.as_str())
            .bind(stored(self.size)?)
            .bind(self.created_at.micros())
            .bind(i64::from(self.meta.leaf))
            .bind(i64::from(self.meta.revision))
            .bind(self.meta.blob.clone())
            .execute(&mut *connection)
            .await?;
        for link in links {
            file_link::insert(connection, tenant, self.id, link).await?;
        }
        Ok(Outcome::Done)
    }

    /// The leaf of a lead that is there.
    async fn find_place(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        lead: LeadId,
    ) -> Result<Option<LeafAddress>> {
        let live = query(LIVE)
            .bind(i64::from(tenant.0))
            .bind(lead.bytes().to_vec())
            .bind(i64::from(self.dataset.0))
            .fetch_optional(connection)
            .await?;
        let Some(row) = live else { return Ok(None) };
        let cells = Cells::new("lead", &row);
        let (tree, leaf) = (cells.number("tree")?, cells.number("leaf")?);
        Ok(Some(LeafAddress { dataset: self.dataset, tree, leaf }))
    }
}

/// Sets system leaves aside for files of a dataset. To be durable before one of them is used.
#[derive(Debug, Clone, Copy)]
pub struct InsertFileBlock {
    /// The dataset.
    pub dataset: DatasetNo,
    /// The first leaf.
    pub first: u32,
    /// One past the last.
    pub end: u64,
}

impl InsertFileBlock {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(INSERT_BLOCK)
            .bind(i64::from(tenant.0))
            .bind(i64::from(self.dataset.0))
            .bind(i64::from(self.first))
            .bind(stored(self.end)?)
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Marks a file as erasing, whatever leads it has: from here on nothing finds it.
/// [`Conflict::Missing`] where it is not there or erasing already.
#[derive(Debug, Clone, Copy)]
pub struct EraseFile {
    /// The file.
    pub id: FileId,
}

impl EraseFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = on_file(ERASE, tenant, self.id).execute(connection).await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

/// Marks a file as erasing whose upload nobody goes on with: no byte came since an instant.
/// [`Conflict::StateMoved`] where one did, or where it is not open.
#[derive(Debug, Clone, Copy)]
pub struct EraseIdleFile {
    /// The file.
    pub id: FileId,
    /// The instant.
    pub before: Timestamp,
}

impl EraseIdleFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let idle = on_file(ERASE_IDLE, tenant, self.id).bind(self.before.micros());
        Ok(Outcome::one(idle.execute(connection).await?, Conflict::StateMoved))
    }
}

/// Removes what is left of a file whose leaf is punctured and whose objects are gone.
/// [`Conflict::Missing`] unless it is erasing.
#[derive(Debug, Clone, Copy)]
pub struct DeleteFile {
    /// The file.
    pub id: FileId,
}

impl DeleteFile {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        if on_file(RELEASE, tenant, self.id).execute(&mut *connection).await? == 0 {
            return Ok(Outcome::Conflict(Conflict::Missing));
        }
        file_part::delete_all(connection, tenant, self.id).await?;
        file_link::delete_all(connection, tenant, self.id).await?;
        on_file(DELETE, tenant, self.id).execute(connection).await?;
        Ok(Outcome::Done)
    }
}

/// A statement about one file.
pub(crate) fn on_file(sql: Sql, tenant: TenantNo, id: FileId) -> Query {
    query(sql).bind(i64::from(tenant.0)).bind(id.bytes().to_vec())
}

impl DataStore {
    /// A file.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_file(&self, scope: TenantScope, id: FileId) -> Result<Option<FileRow>> {
        self.engine().find(scope, on_file(FIND, scope.0, id), decode).await
    }

    /// The files of a lead that are not erasing, by id.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_files_at(&self, scope: TenantScope, at: LeafAddress) -> Result<Vec<FileRow>> {
        let question = file_link::on_leaf(LIST_AT, scope.0, at);
        self.engine().list(scope, question, decode).await
    }

    /// Files that are open or erasing and had no bytes since an instant, the longest first.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_unfinished_files(
        &self,
        scope: TenantScope,
        state: FileState,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<FileRow>> {
        let question = query(LIST_UNFINISHED)
            .bind(scope.no())
            .bind(state.as_str())
            .bind(before.micros())
            .bind(i64::from(limit));
        self.engine().list(scope, question, decode).await
    }

    /// Every file, in whatever state.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_files(&self, scope: TenantScope) -> Result<Vec<FileRow>> {
        self.engine().list(scope, query(LIST_ALL).bind(scope.no()), decode).await
    }

    /// Complete files, of one dataset or of all, by id.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_complete_files(
        &self,
        scope: TenantScope,
        dataset: Option<DatasetNo>,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<Vec<FileRow>> {
        let after = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
        let page = |sql| query(sql).bind(scope.no()).bind(after).bind(i64::from(limit));
        let question = match dataset {
            Some(dataset) => page(LIST_COMPLETE_OF).bind(i64::from(dataset.0)),
            None => page(LIST_COMPLETE),
        };
        self.engine().list(scope, question, decode).await
    }

    /// The system leaves that are set aside for files of a dataset: first, and one past the last.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_file_blocks(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
    ) -> Result<Vec<(u32, u64)>> {
        let question = query(LIST_BLOCKS).bind(scope.no()).bind(i64::from(dataset.0));
        let decode = |row: &Row| {
            let cells = Cells::new("file_block", row);
            Ok((cells.number("first_leaf")?, cells.number("end_leaf")?))
        };
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<FileRow> {
    let cells = Cells::new("file", row);
    Ok(FileRow {
        id: FileId::from_bytes(cells.bytes("uuid")?),
        dataset: DatasetNo(cells.number("dataset_no")?),
        state: cells.word("state")?,
        erase_with: cells.word("erase_with")?,
        size: cells.number("size")?,
        next_byte: cells.number("next_byte")?,
        created_at: cells.time("created_at")?,
        touched_at: cells.time("touched_at")?,
        meta: Sealed {
            leaf: cells.number("leaf")?,
            revision: cells.number("meta_revision")?,
            blob: cells.value("meta")?,
        },
    })
}
