//! Files attached to leads (R-014): what is known of a file, the leads it belongs to, where its chunks lie.
//!
//! ```text
//! open ── complete ── erasing ── no row      a part is durable before it is named here
//!   └───────────────────┘                    the last of its leads goes, or any: as the file says
//! ```
//! A file without a lead is erasing: what takes its last link changes its state in the same transaction.

use leadvault_domain::{DatasetNo, FileId, LeadId, LeafAddress, LeafRange, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::object_files::ObjectName;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::words::{EraseWith, FileState};
use crate::write::{Conflict, Outcome};

macro_rules! columns {
    () => {
        "f.uuid, f.dataset_no, f.state, f.erase_with, f.size, f.next_byte, f.created_at, f.touched_at, \
         f.leaf, f.meta_revision, f.meta"
    };
}
macro_rules! live {
    () => {
        "SELECT tree, leaf FROM lead WHERE tenant_no = $1 AND lead = $2 AND dataset_no = $3 \
         AND tombstone = 0"
    };
}

statements! {
    FIND = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 AND f.uuid = $2");
    LIST_AT = concat!("SELECT ", columns!(), " FROM file_lead l JOIN file f ON f.tenant_no = l.tenant_no \
              AND f.uuid = l.file WHERE l.tenant_no = $1 AND l.dataset_no = $2 AND l.tree = $3 \
              AND l.leaf = $4 AND f.state <> 'erasing' ORDER BY f.uuid");
    LIST_UNFINISHED = concat!("SELECT ", columns!(), " FROM file f WHERE f.tenant_no = $1 \
              AND f.state = $2 AND f.touched_at < $3 AND f.state <> 'complete' \
              ORDER BY f.touched_at LIMIT $4");
    LIST_LINKS = "SELECT lead, dataset_no, tree, leaf FROM file_lead WHERE tenant_no = $1 AND file = $2 \
                  ORDER BY dataset_no, tree, leaf";
    LIST_PARTS = "SELECT first_chunk, chunks, object FROM file_part WHERE tenant_no = $1 AND file = $2 \
                  ORDER BY first_chunk";
    LIST_BLOCKS = "SELECT first_leaf, end_leaf FROM file_block WHERE tenant_no = $1 AND dataset_no = $2 \
                   ORDER BY first_leaf";
    IS_PART = "SELECT COUNT(*) FROM file_part WHERE tenant_no = $1 AND object = $2";

    /// A lead that is there stays there until the file is its own.
    LIVE = live!(), postgres: concat!(live!(), " FOR SHARE");
    COUNT_AT = "SELECT COUNT(*) FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 \
                AND leaf = $4";
    USE = "INSERT INTO file_usage (tenant_no, files, bytes) VALUES ($1, 1, $2) ON CONFLICT (tenant_no) \
           DO UPDATE SET files = file_usage.files + 1, bytes = file_usage.bytes + excluded.bytes \
           WHERE file_usage.files < $3 AND file_usage.bytes + excluded.bytes <= $4";
    INSERT = "INSERT INTO file (tenant_no, uuid, dataset_no, state, erase_with, size, next_byte, created_at, \
              touched_at, leaf, meta_revision, meta) VALUES ($1, $2, $3, 'open', $4, $5, 0, $6, $6, $7, $8, $9)";
    INSERT_LINK = "INSERT INTO file_lead (tenant_no, dataset_no, tree, leaf, file, lead) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
    INSERT_BLOCK = "INSERT INTO file_block (tenant_no, dataset_no, first_leaf, end_leaf) \
                    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    ADVANCE = "UPDATE file SET next_byte = $5, touched_at = $6 WHERE tenant_no = $1 AND uuid = $2 \
               AND leaf = $3 AND next_byte = $4 AND size >= $5 AND state = 'open'";
    INSERT_PART = "INSERT INTO file_part (tenant_no, file, first_chunk, chunks, object) \
                   VALUES ($1, $2, $3, $4, $5)";
    RESTART = "UPDATE file SET next_byte = 0, leaf = $4, meta_revision = $5, meta = $6, touched_at = $7 \
               WHERE tenant_no = $1 AND uuid = $2 AND leaf = $3 AND state = 'open'";
    COMPLETE = "UPDATE file SET state = 'complete', meta_revision = $4, meta = $5 WHERE tenant_no = $1 \
                AND uuid = $2 AND leaf = $3 AND next_byte = size AND state = 'open'";
    ERASE = "UPDATE file SET state = 'erasing' WHERE tenant_no = $1 AND uuid = $2 AND state <> 'erasing'";

    LINKS_IN = "SELECT leaf, file FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 \
                AND leaf >= $4 AND leaf < $5 ORDER BY leaf, file LIMIT $6";
    /// Takes the row: of two erasures that each hold one of the last two links, the later sees what the earlier did.
    TAKE = "UPDATE file SET touched_at = touched_at WHERE tenant_no = $1 AND uuid = $2";
    UNLINK = "DELETE FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 AND leaf = $4 \
              AND file = $5";
    ERASE_UNLINKED = "UPDATE file SET state = 'erasing' WHERE tenant_no = $1 AND uuid = $2 \
                      AND state <> 'erasing' AND (erase_with = 'any' OR NOT EXISTS (SELECT 1 \
                      FROM file_lead l WHERE l.tenant_no = $1 AND l.file = $2))";

    DELETE = "DELETE FROM file WHERE tenant_no = $1 AND uuid = $2 AND state = 'erasing'";
    RELEASE = "UPDATE file_usage SET files = files - 1, bytes = bytes - (SELECT size FROM file \
               WHERE tenant_no = $1 AND uuid = $2) WHERE tenant_no = $1 AND EXISTS (SELECT 1 FROM file \
               WHERE tenant_no = $1 AND uuid = $2 AND state = 'erasing')";
    DELETE_PARTS = "DELETE FROM file_part WHERE tenant_no = $1 AND file = $2";
    DELETE_LINKS = "DELETE FROM file_lead WHERE tenant_no = $1 AND file = $2";
}

/// Links that one [`UnlinkFiles`] takes: as many as a step of a shred removes rows.
pub const UNLINK_STEP: u32 = 250;

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
    /// Bytes that were announced.
    pub size: u64,
    /// Bytes that are stored: where an upload goes on.
    pub next_byte: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When bytes came last.
    pub touched_at: Timestamp,
    /// Name, type and digest, under the leaf the chunks grow from too.
    pub meta: Sealed,
}

/// A lead a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLink {
    /// The lead.
    pub lead: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
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

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// Files of one lead.
    pub of_lead: u64,
    /// Files in all.
    pub files: u64,
    /// Their announced bytes.
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
    /// Its leads, at least one; all of that dataset, each once.
    pub leads: Vec<LeadId>,
    /// Which of them it goes with.
    pub erase_with: EraseWith,
    /// Bytes it will have: at most `limits.bytes`.
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
        let mut places = Vec::with_capacity(self.leads.len());
        for lead in &self.leads {
            match self.find_place(connection, tenant, *lead).await? {
                Ok(place) => places.push((*lead, place)),
                Err(conflict) => return Ok(Outcome::Conflict(conflict)),
            }
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
        for (lead, (tree, leaf)) in places {
            query(INSERT_LINK)
                .bind(i64::from(tenant.0))
                .bind(i64::from(self.dataset.0))
                .bind(tree)
                .bind(leaf)
                .bind(self.id.bytes().to_vec())
                .bind(lead.bytes().to_vec())
                .execute(&mut *connection)
                .await?;
        }
        Ok(Outcome::Done)
    }

    /// Tree and leaf of a lead that may have one more file.
    async fn find_place(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        lead: LeadId,
    ) -> Result<std::result::Result<(i64, i64), Conflict>> {
        let live = query(LIVE)
            .bind(i64::from(tenant.0))
            .bind(lead.bytes().to_vec())
            .bind(i64::from(self.dataset.0))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = live else { return Ok(Err(Conflict::Missing)) };
        let cells = Cells::new("lead", &row);
        let place = (cells.value("tree")?, cells.value("leaf")?);
        let count: Option<i64> = query(COUNT_AT)
            .bind(i64::from(tenant.0))
            .bind(i64::from(self.dataset.0))
            .bind(place.0)
            .bind(place.1)
            .scalar(connection)
            .await?;
        if count.unwrap_or(0) >= stored(self.limits.of_lead)? {
            return Ok(Err(Conflict::Full));
        }
        Ok(Ok(place))
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
        on_file(DELETE_PARTS, tenant, self.id).execute(connection).await?;
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

/// Takes files from leads that go: the links of a range of leaves, at most [`UNLINK_STEP`] at once; repeat until
/// [`Outcome::Count`] is 0. A file that has no lead left, or goes with any of them, is erasing from then on.
#[derive(Debug, Clone, Copy)]
pub struct UnlinkFiles {
    /// Leaves of the leads.
    pub range: LeafRange,
}

impl UnlinkFiles {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let place = |sql| {
            query(sql)
                .bind(i64::from(tenant.0))
                .bind(i64::from(self.range.dataset.0))
                .bind(i64::from(self.range.tree))
        };
        let rows = place(LINKS_IN)
            .bind(i64::from(self.range.first))
            .bind(stored(self.range.end)?)
            .bind(i64::from(UNLINK_STEP))
            .fetch_all(&mut *connection)
            .await?;
        let mut links = Vec::with_capacity(rows.len());
        for row in &rows {
            let cells = Cells::new("file_lead", row);
            links.push((FileId::from_bytes(cells.bytes("file")?), cells.value::<i64>("leaf")?));
        }
        // In one order everywhere, so that two of these do not wait for each other.
        links.sort_unstable_by_key(|(file, leaf)| (file.bytes(), *leaf));
        for (file, leaf) in &links {
            on_file(TAKE, tenant, *file).execute(&mut *connection).await?;
            let unlink = place(UNLINK).bind(*leaf).bind(file.bytes().to_vec());
            unlink.execute(&mut *connection).await?;
            on_file(ERASE_UNLINKED, tenant, *file).execute(&mut *connection).await?;
        }
        Ok(Outcome::Count(u64::try_from(links.len()).unwrap_or(u64::MAX)))
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
        for statement in [DELETE_PARTS, DELETE_LINKS, DELETE] {
            on_file(statement, tenant, self.id).execute(&mut *connection).await?;
        }
        Ok(Outcome::Done)
    }
}

fn on_file(sql: crate::statement::Sql, tenant: TenantNo, id: FileId) -> crate::engine::Query {
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
        let question = query(LIST_AT)
            .bind(scope.no())
            .bind(i64::from(at.dataset.0))
            .bind(i64::from(at.tree))
            .bind(i64::from(at.leaf));
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

    /// The leads of a file, by leaf.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_file_links(&self, scope: TenantScope, id: FileId) -> Result<Vec<FileLink>> {
        let decode = |row: &Row| {
            let cells = Cells::new("file_lead", row);
            let at = LeafAddress {
                dataset: DatasetNo(cells.number("dataset_no")?),
                tree: cells.number("tree")?,
                leaf: cells.number("leaf")?,
            };
            Ok(FileLink { lead: LeadId::from_bytes(cells.bytes("lead")?), at })
        };
        self.engine().list(scope, on_file(LIST_LINKS, scope.0, id), decode).await
    }

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
