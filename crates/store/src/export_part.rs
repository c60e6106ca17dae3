//! Parts of an export: the leaves a part covers, and the sealed file in `files/` that holds its lines.
//!
//! ```text
//! open ── rendered ── dropped      a part is open before the first of its leads is read
//!   └──────┴─ dirty ── open        a lead of it was erased or changed: it is rendered again
//! ```
//! Each part has a system leaf of its own, so that an erasure takes the part with it and no other.

use leadvault_domain::{DatasetNo, ExportId, LeafRange, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::objects::ObjectName;
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::words::PartState;
use crate::write::{Conflict, Outcome};

/// Where a page of the leaves `$range` ends, by rows and sealed bytes.
macro_rules! page_end {
    ($range:literal) => {
        concat!(
            "SELECT MAX(leaf) FROM (SELECT leaf, SUM(size) OVER (ORDER BY leaf) AS total, \
             ROW_NUMBER() OVER (ORDER BY leaf) AS place FROM (SELECT l.leaf, \
             COALESCE(LENGTH(l.contact), 0) + COALESCE(LENGTH(l.profile), 0) + CASE \
             WHEN l.parts = 0 THEN 0 ELSE (SELECT COALESCE(SUM(LENGTH(p.blob)), 0) \
             FROM lead_part p WHERE p.tenant_no = l.tenant_no AND p.row_id = l.row_id) END \
             AS size FROM lead l WHERE l.tenant_no = $1 AND ",
            $range,
            " AND l.tombstone = 0 ORDER BY l.leaf LIMIT $6) AS page) AS places \
             WHERE total <= $7 OR place = 1"
        )
    };
}
/// How many live rows the leaves `$range` have, and the sum of their versions.
macro_rules! rows {
    ($range:literal) => {
        concat!(
            "SELECT COUNT(*) AS row_count, CAST(COALESCE(SUM(version), 0) AS BIGINT) AS versions \
             FROM lead WHERE tenant_no = $1 AND ",
            $range,
            " AND tombstone = 0"
        )
    };
}

statements! {
    LIST = "SELECT part_no, dataset_no, tree, first_leaf, end_leaf, leaf, object, state, chunks, \
            bytes, leads, withheld, row_count, versions FROM export_part WHERE tenant_no = $1 \
            AND export = $2 ORDER BY part_no";
    OPEN = "INSERT INTO export_part (tenant_no, export, part_no, dataset_no, tree, first_leaf, \
            end_leaf, leaf, object, state, chunks, bytes, leads) \
            SELECT tenant_no, uuid, $3, $4, $5, $6, $7, $8, $9, 'open', 0, 0, 0 FROM export \
            WHERE tenant_no = $1 AND uuid = $2 AND state = 'running' \
            ON CONFLICT (tenant_no, export, part_no) DO UPDATE SET leaf = excluded.leaf, \
            object = excluded.object, state = 'open', end_leaf = excluded.end_leaf";
    CLOSE = "UPDATE export_part SET state = 'rendered', end_leaf = $5, chunks = $6, bytes = $7, \
             leads = $8, withheld = $9, row_count = $10, versions = $11 WHERE tenant_no = $1 \
             AND export = $2 AND part_no = $3 AND leaf = $4 AND state = 'open'";
    SPOIL = "UPDATE export_part SET state = 'dirty' WHERE tenant_no = $1 AND export = $2 \
             AND part_no = $3 AND state <> 'dropped'";
    UNASSEMBLE = "UPDATE export SET file_leaf = NULL WHERE tenant_no = $1 AND uuid = $2 \
                  AND state = 'running' AND file_leaf IS NOT DISTINCT FROM $3";
    DROP = "UPDATE export_part SET state = 'dropped', leaf = NULL WHERE tenant_no = $1 \
            AND export = $2";
    LIST_LEFT = "SELECT DISTINCT export FROM export_part WHERE tenant_no = $1 \
                 AND state <> 'dropped'";
    /// Where a page ends: rows and sealed bytes are bounded, and there is at least one row.
    PAGE_END = page_end!("l.dataset_no = $2 AND l.tree = $3 AND l.leaf >= $4 AND l.leaf < $5"),
        postgres: page_end!("l.row_id >= lead_row($2, $3, $4) AND l.row_id < lead_row($2, $3, $5)");
    ROWS = rows!("dataset_no = $2 AND tree = $3 AND leaf >= $4 AND leaf < $5"),
        postgres: rows!("row_id >= lead_row($2, $3, $4) AND row_id < lead_row($2, $3, $5)");
    MOMENT = "SELECT COALESCE((SELECT first_index + n FROM log_chunk WHERE tenant_no = $1 \
              ORDER BY first_index DESC LIMIT 1), 0) AS log_size, \
              (SELECT COUNT(*) FROM export_part WHERE tenant_no = $1 AND export = $2 \
              AND state <> 'rendered') AS unrendered, \
              (SELECT CAST(COALESCE(SUM(leads), 0) AS BIGINT) FROM export_part WHERE tenant_no = $1 \
              AND export = $2) AS leads, \
              (SELECT COUNT(*) FROM erase_request WHERE tenant_no = $1 \
              AND state <> 'completed' AND state = 'requested') AS erasing";
}

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportPartRow {
    /// From 0.
    pub no: u32,
    /// The leaves whose live leads are in it. Of an open part, all that may be.
    pub range: LeafRange,
    /// System leaf its chunks grow from; `None` once its file is gone.
    pub leaf: Option<u32>,
    /// Its name in `files/`.
    pub object: ObjectName,
    /// Whether it can be used.
    pub state: PartState,
    /// What is in it.
    pub holds: PartHolds,
}

/// What a rendered part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartHolds {
    /// Chunks in the file.
    pub chunks: u64,
    /// Its length, opened.
    pub bytes: u64,
    /// Leads in it.
    pub leads: u64,
    /// Live leads of its range that stay out.
    pub withheld: u64,
    /// What was stored in its range.
    pub seen: RowsSeen,
}

/// Live rows of a range of leaves, and the sum of their versions: another answer later means that one of
/// them changed, came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowsSeen {
    /// How many.
    pub rows: u64,
    /// Sum of their versions.
    pub versions: u64,
}

/// What an export looks like at one instant of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportMoment {
    /// Entries in the tenant's log.
    pub log_size: u64,
    /// Parts that are not rendered.
    pub unrendered: u64,
    /// Leads in all parts.
    pub leads: u64,
    /// Erasures that are in the log and have not yet said which exports hold their lead.
    pub erasing: u64,
}

/// Begins a part, or begins it again. [`Conflict::StateMoved`] unless the export is running.
#[derive(Debug, Clone, Copy)]
pub struct OpenExportPart {
    /// The export.
    pub id: ExportId,
    /// From 0.
    pub no: u32,
    /// All leaves it may come to cover.
    pub range: LeafRange,
    /// System leaf its chunks grow from: a new one each time.
    pub leaf: u32,
    /// Its name in `files/`.
    pub object: ObjectName,
}

impl OpenExportPart {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(OPEN)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.no))
            .bind(i64::from(self.range.dataset.0))
            .bind(i64::from(self.range.tree))
            .bind(i64::from(self.range.first))
            .bind(stored(self.range.end)?)
            .bind(i64::from(self.leaf))
            .bind(self.object.0.to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Ends a part whose file is durable. [`Conflict::StateMoved`] if a lead of it was erased meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct CloseExportPart {
    /// The export.
    pub id: ExportId,
    /// The part.
    pub no: u32,
    /// The leaf it was opened with.
    pub leaf: u32,
    /// One past the last leaf it covers.
    pub end: u64,
    /// What is in it.
    pub holds: PartHolds,
}

impl CloseExportPart {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let holds = self.holds;
        let done = query(CLOSE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.no))
            .bind(i64::from(self.leaf))
            .bind(stored(self.end)?)
            .bind(stored(holds.chunks)?)
            .bind(stored(holds.bytes)?)
            .bind(stored(holds.leads)?)
            .bind(stored(holds.withheld)?)
            .bind(stored(holds.seen.rows)?)
            .bind(stored(holds.seen.versions)?)
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

/// Has parts rendered again, and the file assembled again where that was begun.
/// [`Conflict::StateMoved`] unless the export is running and its file grows from `file_leaf`.
#[derive(Debug, Clone)]
pub struct SpoilExportParts {
    /// The export.
    pub id: ExportId,
    /// The parts.
    pub parts: Vec<u32>,
    /// System leaf of the file as it was read: nobody may begin another in between.
    pub file_leaf: Option<u32>,
}

impl SpoilExportParts {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let on_export = |sql| query(sql).bind(i64::from(tenant.0)).bind(self.id.bytes().to_vec());
        let done = on_export(UNASSEMBLE)
            .bind(self.file_leaf.map(i64::from))
            .execute(&mut *connection)
            .await?;
        if done == 0 {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        for no in &self.parts {
            on_export(SPOIL).bind(i64::from(*no)).execute(&mut *connection).await?;
        }
        Ok(Outcome::Done)
    }
}

/// Notes that the files of all parts are gone.
#[derive(Debug, Clone, Copy)]
pub struct DropExportParts {
    /// The export.
    pub id: ExportId,
}

impl DropExportParts {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let query = query(DROP).bind(i64::from(tenant.0)).bind(self.id.bytes().to_vec());
        Ok(Outcome::Count(query.execute(connection).await?))
    }
}

impl DataStore {
    /// The parts of an export, in order.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_export_parts(
        &self,
        scope: TenantScope,
        id: ExportId,
    ) -> Result<Vec<ExportPartRow>> {
        let question = query(LIST).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().list(scope, question, decode).await
    }

    /// Exports with parts whose files are not gone.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_exports_with_parts(&self, scope: TenantScope) -> Result<Vec<ExportId>> {
        let question = query(LIST_LEFT).bind(scope.no());
        let decode =
            |row: &Row| Cells::new("export_part", row).bytes("export").map(ExportId::from_bytes);
        self.engine().list(scope, question, decode).await
    }

    /// The last leaf of a page of live leads: at most `rows` of them with `bytes` of ciphertext, but one
    /// in any case; `None` where the range has none.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_page_end(
        &self,
        scope: TenantScope,
        range: LeafRange,
        rows: u32,
        bytes: u64,
    ) -> Result<Option<u32>> {
        let mut reader = self.engine().reader(scope).await?;
        let leaf: Option<i64> = query(PAGE_END)
            .bind(scope.no())
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?)
            .bind(i64::from(rows))
            .bind(stored(bytes)?)
            .scalar(&mut reader.connection())
            .await?;
        let bad = StoreError::Inconsistent { table: "lead", column: "leaf" };
        leaf.map(|leaf| u32::try_from(leaf).map_err(|_| bad)).transpose()
    }

    /// Live rows of a range of leaves. Reads each of them: for jobs, part by part.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn count_rows_seen(&self, scope: TenantScope, range: LeafRange) -> Result<RowsSeen> {
        let mut reader = self.engine().reader(scope).await?;
        let row = query(ROWS)
            .bind(scope.no())
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?)
            .fetch_one(&mut reader.connection())
            .await?;
        seen(Cells::new("lead", &row))
    }

    /// Log, parts and erasures as one statement sees them.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_export_moment(
        &self,
        scope: TenantScope,
        id: ExportId,
    ) -> Result<ExportMoment> {
        let mut reader = self.engine().reader(scope).await?;
        let row = query(MOMENT)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .fetch_one(&mut reader.connection())
            .await?;
        let cells = Cells::new("export", &row);
        Ok(ExportMoment {
            log_size: cells.number("log_size")?,
            unrendered: cells.number("unrendered")?,
            leads: cells.number("leads")?,
            erasing: cells.number("erasing")?,
        })
    }
}

fn seen(cells: Cells<'_>) -> Result<RowsSeen> {
    Ok(RowsSeen { rows: cells.number("row_count")?, versions: cells.number("versions")? })
}

fn decode(row: &Row) -> Result<ExportPartRow> {
    let cells = Cells::new("export_part", row);
    Ok(ExportPartRow {
        no: cells.number("part_no")?,
        range: LeafRange {
            dataset: DatasetNo(cells.number("dataset_no")?),
            tree: cells.number("tree")?,
            first: cells.number("first_leaf")?,
            end: cells.number("end_leaf")?,
        },
        leaf: cells.number_or_null("leaf")?,
        object: ObjectName(cells.bytes("object")?),
        state: cells.word("state")?,
        holds: PartHolds {
            chunks: cells.number("chunks")?,
            bytes: cells.number("bytes")?,
            leads: cells.number("leads")?,
            withheld: cells.number("withheld")?,
            seen: seen(cells)?,
        },
    })
}
