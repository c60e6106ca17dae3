//! Leaf numbers at a start (protocols.md 1.4): no leaf that a row names is issued again, however old the key
//! store's own count is. It is older than the rows where it was rebuilt from a mirror; a leaf issued twice
//! would let the erasure of one thing destroy another.

use leadvault_domain::DatasetNo;
use leadvault_store::TenantScope;

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::system::SYSTEM_TREE;

/// Raises the count of every tree of a tenant past its rows.
///
/// # Errors
/// What store and keys say.
pub(crate) async fn raise(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let (scope, data) = (TenantScope(room.no), cell.data());
    let mut largest = Vec::new();
    for row in data.list_datasets(scope).await? {
        for tree in 1..=row.tree {
            let leaf = data.find_largest_leaf(scope, row.no, tree).await?;
            largest.extend(leaf.map(|leaf| (row.no, tree, leaf)));
        }
    }
    let leaf = data.find_largest_system_leaf(scope).await?;
    largest.extend(leaf.map(|leaf| (DatasetNo::SYSTEM, SYSTEM_TREE, leaf)));
    Ok(room.keys()?.raise_past_rows(largest.into_iter()).await?)
}
