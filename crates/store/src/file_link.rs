//! The leads a file belongs to, found by their leaves: what takes the last link changes the state of the file in the
//! same transaction.

use leadvault_domain::{DatasetNo, FileId, LeadId, LeafAddress, LeafRange, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Query, Row, query};
use crate::error::Result;
use crate::file::on_file;
use crate::scope::TenantScope;
use crate::statement::{Sql, statements};
use crate::write::Outcome;

statements! {
    LIST_LINKS = "SELECT lead, dataset_no, tree, leaf FROM file_lead WHERE tenant_no = $1 AND file = $2 \
                  ORDER BY dataset_no, tree, leaf";
    INSERT_LINK = "INSERT INTO file_lead (tenant_no, dataset_no, tree, leaf, file, lead) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
    COUNT_AT = "SELECT COUNT(*) FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 \
                AND leaf = $4";
    LINKS_IN = "SELECT leaf, file FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 \
                AND leaf >= $4 AND leaf < $5 ORDER BY leaf, file LIMIT $6";
    UNLINK = "DELETE FROM file_lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 AND leaf = $4 \
              AND file = $5";
    ERASE_UNLINKED = "UPDATE file SET state = 'erasing' WHERE tenant_no = $1 AND uuid = $2 \
                      AND state <> 'erasing' AND (erase_with = 'any' OR NOT EXISTS (SELECT 1 \
                      FROM file_lead l WHERE l.tenant_no = $1 AND l.file = $2))";
    DELETE = "DELETE FROM file_lead WHERE tenant_no = $1 AND file = $2";
}

/// Links that one [`UnlinkFiles`] takes: as many as a step of a shred removes rows.
pub const UNLINK_STEP: u32 = 250;

/// A lead a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLink {
    /// The lead.
    pub lead: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
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
        for (file, leaf) in &links {
            let unlink = place(UNLINK).bind(*leaf).bind(file.bytes().to_vec());
            unlink.execute(&mut *connection).await?;
            on_file(ERASE_UNLINKED, tenant, *file).execute(&mut *connection).await?;
        }
        Ok(Outcome::Count(u64::try_from(links.len()).unwrap_or(u64::MAX)))
    }
}

/// Makes a file one of a lead's.
pub(crate) async fn insert(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    file: FileId,
    FileLink { lead, at }: FileLink,
) -> Result<()> {
    on_leaf(INSERT_LINK, tenant, at)
        .bind(file.bytes().to_vec())
        .bind(lead.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// How many files a lead has.
pub(crate) async fn count(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    at: LeafAddress,
) -> Result<i64> {
    on_leaf(COUNT_AT, tenant, at).scalar(connection).await
}

/// Forgets the links of a file.
pub(crate) async fn delete_all(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    id: FileId,
) -> Result<()> {
    on_file(DELETE, tenant, id).execute(connection).await?;
    Ok(())
}

/// A statement about the links of one lead.
pub(crate) fn on_leaf(sql: Sql, tenant: TenantNo, at: LeafAddress) -> Query {
    query(sql)
        .bind(i64::from(tenant.0))
        .bind(i64::from(at.dataset.0))
        .bind(i64::from(at.tree))
        .bind(i64::from(at.leaf))
}

impl DataStore {
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
}
