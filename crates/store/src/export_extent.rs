//! What an export covers: the leaves in use when it began, and the leads that came later into gaps of them.
//!
//! Both are written in the transaction they are about, so that "stored before the entry that allowed the
//! export" is exact: an extent beside that entry, a late lead beside its own.

use leadvault_domain::{DatasetNo, ExportId, LeafAddress, LeafRange, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Query, Row, query};
use crate::error::Result;
use crate::lead_unnest::push;
use crate::scope::TenantScope;
use crate::statement::{NONE, statements};

statements! {
    INSERT = "INSERT INTO export_extent (tenant_no, dataset_no, tree, export, end_leaf) \
              SELECT $1, $2, $3, $4, COALESCE(MAX(leaf), -1) + 1 FROM lead \
              WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3",
        postgres: "INSERT INTO export_extent (tenant_no, dataset_no, tree, export, end_leaf) \
              SELECT $1, CAST($2 AS BIGINT), $3, $4, \
              COALESCE(MAX(row_id) - lead_row($2, $3, 0), -1) + 1 FROM lead \
              WHERE tenant_no = $1 AND row_id >= lead_row($2, $3, 0) \
              AND row_id < lead_row($2, $3 + 1, 0)";
    LIST = "SELECT dataset_no, tree, end_leaf FROM export_extent WHERE tenant_no = $1 \
            AND export = $2 AND end_leaf > 0 ORDER BY dataset_no, tree";
    DELETE = "DELETE FROM export_extent WHERE tenant_no = $1 AND export = $2";
    INSERT_LATE = "INSERT INTO export_late (tenant_no, export, dataset_no, tree, first_leaf, end_leaf) \
                   SELECT tenant_no, export, dataset_no, tree, $4, $5 FROM export_extent \
                   WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 AND end_leaf > $4 \
                   ON CONFLICT (tenant_no, export, dataset_no, tree, first_leaf) DO UPDATE \
                   SET end_leaf = CASE WHEN export_late.end_leaf < excluded.end_leaf \
                   THEN excluded.end_leaf ELSE export_late.end_leaf END";
    INSERT_LATE_SEVERAL = NONE, postgres: "INSERT INTO export_late (tenant_no, export, dataset_no, tree, \
                   first_leaf, end_leaf) SELECT e.tenant_no, e.export, e.dataset_no, e.tree, r.first, r.last \
                   FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
                   AS r (tenant_no, dataset_no, tree, first, last) CROSS JOIN LATERAL \
                   (SELECT * FROM export_extent w WHERE w.tenant_no = r.tenant_no \
                   AND w.dataset_no = r.dataset_no AND w.tree = r.tree AND w.end_leaf > r.first OFFSET 0) e \
                   ON CONFLICT (tenant_no, export, dataset_no, tree, first_leaf) DO UPDATE \
                   SET end_leaf = GREATEST(export_late.end_leaf, excluded.end_leaf)";
    LIST_LATE = "SELECT dataset_no, tree, first_leaf, end_leaf FROM export_late \
                 WHERE tenant_no = $1 AND export = $2 AND dataset_no = $3 AND tree = $4 \
                 AND first_leaf < $6 AND end_leaf > $5 ORDER BY first_leaf";
    DELETE_LATE = "DELETE FROM export_late WHERE tenant_no = $1 AND export = $2";
}

/// Writes down the leaves of a tree that are in use, for an export that begins in this transaction.
pub(crate) async fn insert(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    export: ExportId,
    (dataset, tree): (DatasetNo, u32),
) -> Result<()> {
    query(INSERT)
        .bind(i64::from(tenant.0))
        .bind(i64::from(dataset.0))
        .bind(i64::from(tree))
        .bind(export.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what an export covered: it is over.
pub(crate) async fn delete(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    export: ExportId,
) -> Result<()> {
    for statement in [DELETE, DELETE_LATE] {
        let query = query(statement).bind(i64::from(tenant.0)).bind(export.bytes().to_vec());
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes down new leads for every export that is not over and whose extents have gaps at their leaves.
/// To be called in the transaction that stores them.
pub(crate) async fn insert_late(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    leaves: &[LeafAddress],
) -> Result<()> {
    for range in runs(leaves) {
        query(INSERT_LATE)
            .bind(i64::from(tenant.0))
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// As [`insert_late`], of single leads of several tenants.
pub(crate) async fn insert_late_several(
    connection: &mut Connection<'_>,
    leaves: impl Iterator<Item = (TenantNo, LeafAddress)> + Send,
) -> Result<()> {
    let mut columns: [Vec<i64>; 5] = Default::default();
    for (tenant, at) in leaves {
        let (dataset, tree) = (i64::from(at.dataset.0), i64::from(at.tree));
        let leaf = i64::from(at.leaf);
        push(&mut columns, [i64::from(tenant.0), dataset, tree, leaf, leaf + 1]);
    }
    let insert = columns.into_iter().fold(query(INSERT_LATE_SEVERAL), Query::bind);
    insert.execute(connection).await?;
    Ok(())
}

/// Leaves in order as ranges without gaps.
fn runs(leaves: &[LeafAddress]) -> Vec<LeafRange> {
    let mut runs: Vec<LeafRange> = Vec::new();
    for at in leaves {
        match runs.last_mut() {
            Some(run)
                if (run.dataset, run.tree, run.end)
                    == (at.dataset, at.tree, u64::from(at.leaf)) =>
            {
                run.end += 1;
            }
            _ => runs.push(LeafRange::single(*at)),
        }
    }
    runs
}

impl DataStore {
    /// The leaves that were in use when an export began, one range for each tree that had any.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_export_extents(
        &self,
        scope: TenantScope,
        id: ExportId,
    ) -> Result<Vec<LeafRange>> {
        let question = query(LIST).bind(scope.no()).bind(id.bytes().to_vec());
        let decode = |row: &Row| {
            let cells = Cells::new("export_extent", row);
            Ok(LeafRange {
                dataset: DatasetNo(cells.number("dataset_no")?),
                tree: cells.number("tree")?,
                first: 0,
                end: cells.number("end_leaf")?,
            })
        };
        self.engine().list(scope, question, decode).await
    }

    /// Leaves of a range whose leads were stored after an export began, ascending.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_export_late(
        &self,
        scope: TenantScope,
        id: ExportId,
        range: LeafRange,
    ) -> Result<Vec<LeafRange>> {
        let question = query(LIST_LATE)
            .bind(scope.no())
            .bind(id.bytes().to_vec())
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?);
        let decode = |row: &Row| {
            let cells = Cells::new("export_late", row);
            Ok(LeafRange {
                dataset: DatasetNo(cells.number("dataset_no")?),
                tree: cells.number("tree")?,
                first: cells.number("first_leaf")?,
                end: cells.number("end_leaf")?,
            })
        };
        self.engine().list(scope, question, decode).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_leaves_are_one_range() {
        let at = |leaf| LeafAddress { dataset: DatasetNo(1), tree: 1, leaf };
        let ranges = runs(&[at(3), at(4), at(5), at(9)]);
        let ends: Vec<(u32, u64)> = ranges.iter().map(|r| (r.first, r.end)).collect();
        assert_eq!(ends, [(3, 6), (9, 10)]);
    }
}
