//! Merging: staged tags move into their tables, a piece at a time, in tag order.
//!
//! A pass takes the runs that are there when it begins and goes through their tags from the lowest to the
//! highest, table by table; a cursor says how far it is. Runs that come meanwhile wait for the next pass.
//! When the pass is at its end its runs are merged, and are deleted a few at a time. Every piece is one
//! short transaction: a crash between two leaves a stage that is as good as before.

use leadvault_domain::TenantNo;

use crate::cells::Cells;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::stage::{Stage, StageCache, StageRow, upsert};
use crate::statement::{NONE, statements};
use crate::tag_row;

statements! {
    LIST_STAGED = "SELECT tenant_no, generation, staged, through_row > 0 OR EXISTS (SELECT 1 \
                   FROM lead_run r WHERE r.tenant_no = s.tenant_no \
                   AND (r.first_row <= s.floor_row OR s.staged = 0)) AS is_open FROM lead_stage s", postgres: NONE;
    DELETE_MERGED = "DELETE FROM lead_run WHERE tenant_no = $1 AND first_row IN (SELECT r.first_row \
                     FROM lead_run r WHERE r.tenant_no = $1 AND r.first_row <= $2 LIMIT $3)", postgres: NONE;
}

/// Merged runs deleted in one transaction. Their pages are overwritten, ten or so each.
const DELETED_AT_ONCE: i64 = 16;

/// A tenant that has something staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) tenant: TenantNo,
    generation: i64,
    /// Tag rows, those that the pass under way has moved on among them.
    pub(crate) rows: i64,
    /// Whether a pass is under way, or merged runs wait to be deleted.
    pub(crate) is_open: bool,
}

/// Every tenant that has staged tags, or runs to delete.
///
/// # Errors
/// What the engine says.
pub(crate) async fn list_staged(connection: &mut Connection<'_>) -> Result<Vec<Staged>> {
    let rows = query(LIST_STAGED).fetch_all(connection).await?;
    let decode = |row: &Row| {
        let cells = Cells::new("lead_stage", row);
        Ok(Staged {
            tenant: TenantNo(cells.number("tenant_no")?),
            generation: cells.value("generation")?,
            rows: cells.value("staged")?,
            is_open: cells.value::<i64>("is_open")? != 0,
        })
    };
    let all = rows.iter().map(decode).collect::<Result<Vec<Staged>>>()?;
    Ok(all.into_iter().filter(|staged| staged.rows > 0 || staged.is_open).collect())
}

/// Moves at most `limit` tag rows on, beginning a pass if none is under way, and deletes merged runs.
/// Runs in a transaction that does nothing else.
///
/// # Errors
/// A tag that is in its table already, which no staged one may be.
pub(crate) async fn merge_piece(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    cache: &StageCache,
    limit: usize,
) -> Result<()> {
    let look = |stage: &Stage| {
        let (row, piece) = (stage.row(), stage.next_of_pass(limit));
        let behind = if piece.is_empty() { stage.count_behind(row.through_row) } else { 0 };
        (row, piece, behind)
    };
    let seen = cache.look(connection, tenant, look).await?;
    let bad = StoreError::Inconsistent { table: "lead_stage", column: "generation" };
    let (row, piece, behind) = seen.ok_or(bad)?;
    delete_merged(connection, tenant, row.floor_row).await?;
    let next = StageRow { generation: row.generation + 1, ..row };
    let next = if row.through_row == 0 {
        match row.staged {
            // Every lead of these runs was erased or changed.
            0 if row.last_row > row.floor_row => StageRow { floor_row: row.last_row, ..next },
            0 => return Ok(()),
            _ => StageRow { through_row: row.last_row, cursor: None, ..next },
        }
    } else if piece.is_empty() {
        let staged = i64::try_from(behind).map_err(|_| StoreError::OutOfRange)?;
        StageRow { floor_row: row.through_row, through_row: 0, cursor: None, staged, ..next }
    } else {
        tag_row::insert_all(connection, tenant, &piece).await?;
        StageRow { cursor: piece.last().copied(), ..next }
    };
    upsert(connection, tenant, &next).await
}

async fn delete_merged(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    floor_row: i64,
) -> Result<()> {
    query(DELETE_MERGED)
        .bind(i64::from(tenant.0))
        .bind(floor_row)
        .bind(DELETED_AT_ONCE)
        .execute(connection)
        .await?;
    Ok(())
}
