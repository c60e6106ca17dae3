//! Rows of the key store, to be used inside a transaction or on a reading connection. The trait over them is
//! in [`crate::key_blobs`].

use leadvault_domain::{DatasetNo, DirectoryId, PageId, SlotId, TenantId};
use leadvault_keys::{
    DirectoryRow, HeadRow, HopRow, HwmRow, KekRow, KekState, NodeEpochRow, PageRow,
};

use crate::cells::{Cells, stored};
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::statement::{Sql, statements};

statements! {
    INSERT_HEAD = "INSERT INTO key_head (tenant, epoch, directory, forgotten_epoch, slot) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    INSERT_DIRECTORY = "INSERT INTO key_directory (tenant, directory, epoch, blob) \
                        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    INSERT_PAGE = "INSERT INTO key_page (tenant, page, blob, named_epoch, inserted_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    INSERT_HOP = "INSERT INTO key_hop (tenant, epoch, directory, blob) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT DO NOTHING";
    INSERT_KEK = "INSERT INTO key_kek (tenant, generation, wrapped, state) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT DO NOTHING";
    RAISE_LEAVES = "INSERT INTO leaf_hwm (tenant, dataset_no, tree, next_leaf) \
                    VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, dataset_no, tree) \
                    DO UPDATE SET next_leaf = CASE WHEN leaf_hwm.next_leaf < excluded.next_leaf \
                    THEN excluded.next_leaf ELSE leaf_hwm.next_leaf END";
    FIND_LEAVES = "SELECT next_leaf FROM leaf_hwm WHERE tenant = $1 AND dataset_no = $2 AND tree = $3";
    FIND_HEAD = "SELECT tenant, epoch, directory, forgotten_epoch, slot FROM key_head \
                 WHERE tenant = $1";
    DELETE_HEAD = "DELETE FROM key_head WHERE tenant = $1";
    DELETE_DIRECTORIES = "DELETE FROM key_directory WHERE tenant = $1";
    DELETE_PAGES = "DELETE FROM key_page WHERE tenant = $1";
    DELETE_HOPS = "DELETE FROM key_hop WHERE tenant = $1";
    DELETE_KEKS = "DELETE FROM key_kek WHERE tenant = $1";
    DELETE_LEAVES = "DELETE FROM leaf_hwm WHERE tenant = $1";
    DELETE_NODES = "DELETE FROM node_epoch WHERE tenant = $1";
}

/// Everything of a tenant, in no order.
const DELETE_ALL: &[Sql] = &[
    DELETE_HEAD,
    DELETE_DIRECTORIES,
    DELETE_PAGES,
    DELETE_HOPS,
    DELETE_KEKS,
    DELETE_LEAVES,
    DELETE_NODES,
];

/// A tenant as the key store names it.
pub(crate) fn tenant_bytes(tenant: TenantId) -> Vec<u8> {
    tenant.bytes().to_vec()
}

/// A row that must be new.
fn new(rows: u64, table: &'static str) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Exists { table }) }
}

pub(crate) async fn insert_head(connection: &mut Connection<'_>, row: &HeadRow) -> Result<()> {
    let done = query(INSERT_HEAD)
        .bind(tenant_bytes(row.tenant))
        .bind(i64::from(row.epoch))
        .bind(row.directory.bytes().to_vec())
        .bind(i64::from(row.forgotten_epoch))
        .bind(row.slot.bytes().to_vec())
        .execute(connection)
        .await?;
    new(done, "key_head")
}

pub(crate) async fn insert_directory(
    connection: &mut Connection<'_>,
    row: &DirectoryRow,
) -> Result<()> {
    let done = query(INSERT_DIRECTORY)
        .bind(tenant_bytes(row.tenant))
        .bind(row.directory.bytes().to_vec())
        .bind(i64::from(row.epoch))
        .bind(row.blob.clone())
        .execute(connection)
        .await?;
    new(done, "key_directory")
}

pub(crate) async fn insert_page(
    connection: &mut Connection<'_>,
    row: &PageRow,
    named_epoch: Option<u32>,
) -> Result<()> {
    let done = query(INSERT_PAGE)
        .bind(tenant_bytes(row.tenant))
        .bind(row.page.bytes().to_vec())
        .bind(row.blob.clone())
        .bind(named_epoch.map(i64::from))
        .bind(row.inserted_at.micros())
        .execute(connection)
        .await?;
    new(done, "key_page")
}

pub(crate) async fn insert_hop(connection: &mut Connection<'_>, row: &HopRow) -> Result<()> {
    let done = query(INSERT_HOP)
        .bind(tenant_bytes(row.tenant))
        .bind(i64::from(row.epoch))
        .bind(row.directory.bytes().to_vec())
        .bind(row.blob.clone())
        .execute(connection)
        .await?;
    new(done, "key_hop")
}

pub(crate) async fn insert_kek(connection: &mut Connection<'_>, row: &KekRow) -> Result<()> {
    let done = query(INSERT_KEK)
        .bind(tenant_bytes(row.tenant))
        .bind(i64::from(row.generation))
        .bind(row.wrapped.clone())
        .bind(row.state.as_str())
        .execute(connection)
        .await?;
    new(done, "key_kek")
}

pub(crate) async fn raise_leaves(connection: &mut Connection<'_>, row: HwmRow) -> Result<()> {
    query(RAISE_LEAVES)
        .bind(tenant_bytes(row.tenant))
        .bind(i64::from(row.dataset.0))
        .bind(i64::from(row.tree))
        .bind(stored(row.next_leaf)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// The first leaf never issued; 0 without a row.
pub(crate) async fn find_next_leaf(
    connection: &mut Connection<'_>,
    tenant: TenantId,
    dataset: DatasetNo,
    tree: u32,
) -> Result<u64> {
    let next: Option<i64> = query(FIND_LEAVES)
        .bind(tenant_bytes(tenant))
        .bind(i64::from(dataset.0))
        .bind(i64::from(tree))
        .scalar_optional(connection)
        .await?;
    u64::try_from(next.unwrap_or(0))
        .map_err(|_| StoreError::Inconsistent { table: "leaf_hwm", column: "next_leaf" })
}

pub(crate) async fn find_head(
    connection: &mut Connection<'_>,
    tenant: TenantId,
) -> Result<Option<HeadRow>> {
    let row = query(FIND_HEAD).bind(tenant_bytes(tenant)).fetch_optional(connection).await?;
    row.as_ref().map(decode_head).transpose()
}

/// Deletes every row of a tenant.
pub(crate) async fn delete_all(connection: &mut Connection<'_>, tenant: TenantId) -> Result<()> {
    for statement in DELETE_ALL {
        let delete = query(*statement).bind(tenant_bytes(tenant));
        delete.execute(connection).await?;
    }
    Ok(())
}

pub(crate) fn decode_head(row: &Row) -> Result<HeadRow> {
    let cells = Cells::new("key_head", row);
    Ok(HeadRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        epoch: cells.number("epoch")?,
        directory: DirectoryId::from_bytes(cells.bytes("directory")?),
        forgotten_epoch: cells.number("forgotten_epoch")?,
        slot: SlotId::from_bytes(cells.bytes("slot")?),
    })
}

pub(crate) fn decode_directory(row: &Row) -> Result<DirectoryRow> {
    let cells = Cells::new("key_directory", row);
    Ok(DirectoryRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        directory: DirectoryId::from_bytes(cells.bytes("directory")?),
        epoch: cells.number("epoch")?,
        blob: cells.value("blob")?,
    })
}

pub(crate) fn decode_page(row: &Row) -> Result<PageRow> {
    let cells = Cells::new("key_page", row);
    Ok(PageRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        page: PageId::from_bytes(cells.bytes("page")?),
        blob: cells.value("blob")?,
        inserted_at: cells.time("inserted_at")?,
    })
}

pub(crate) fn decode_hop(row: &Row) -> Result<HopRow> {
    let cells = Cells::new("key_hop", row);
    Ok(HopRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        epoch: cells.number("epoch")?,
        directory: DirectoryId::from_bytes(cells.bytes("directory")?),
        blob: cells.value("blob")?,
    })
}

pub(crate) fn decode_kek(row: &Row) -> Result<KekRow> {
    let cells = Cells::new("key_kek", row);
    Ok(KekRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        generation: cells.number("generation")?,
        wrapped: cells.value("wrapped")?,
        state: KekState::parse(cells.value("state")?).ok_or(cells.bad("state"))?,
    })
}

pub(crate) fn decode_leaves(row: &Row) -> Result<HwmRow> {
    let cells = Cells::new("leaf_hwm", row);
    Ok(HwmRow {
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        dataset: DatasetNo(cells.number("dataset_no")?),
        tree: cells.number("tree")?,
        next_leaf: cells.number("next_leaf")?,
    })
}

pub(crate) fn decode_node(row: &Row) -> Result<NodeEpochRow> {
    let cells = Cells::new("node_epoch", row);
    Ok(NodeEpochRow {
        node: cells.bytes("node")?,
        tenant: TenantId::from_bytes(cells.bytes("tenant")?),
        epoch: cells.number("epoch")?,
        seen_at: cells.time("seen_at")?,
    })
}
