//! Small sealed things that are not leads: names, instruction texts, mappings, job payloads.
//!
//! Each takes a leaf of the tenant's system tree and is erased by puncturing it (protocols.md 5).

use leadvault_crypto::Kind;
use leadvault_domain::{DatasetNo, LeafAddress, LeafRange};
use leadvault_keys::{Change, NotCovered, ObjectOpener, TenantKeys};
use leadvault_ledger::CommittedReceipt;
use leadvault_store::Sealed;
use zeroize::Zeroizing;

use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// The system tree is the first of its kind and never re-treed in this version.
pub(crate) const SYSTEM_TREE: u32 = 1;
/// Version of the payload formats of small things.
const SCHEMA: u16 = 1;

/// Seals a new small thing under a leaf of its own.
///
/// # Errors
/// What the keys say.
pub(crate) async fn seal_new(
    cell: &Cell,
    keys: &TenantKeys,
    record: [u8; 16],
    plain: &[u8],
) -> Result<Sealed, Refusal> {
    seal_new_as(cell, keys, Kind::Small, record, plain).await
}

/// As [`seal_new`], of a kind.
///
/// # Errors
/// What the keys say.
pub(crate) async fn seal_new_as(
    cell: &Cell,
    keys: &TenantKeys,
    kind: Kind,
    record: [u8; 16],
    plain: &[u8],
) -> Result<Sealed, Refusal> {
    let leaf = keys.allocate(DatasetNo::SYSTEM, SYSTEM_TREE, 1).await?;
    let revision = 1;
    let sealed = keys.ring()?.system(leaf)?;
    let blob = sealed.seal(kind, record, SCHEMA, revision, plain, cell.entropy())?;
    Ok(Sealed { leaf, revision, blob })
}

/// Seals the first revision of a small thing under a leaf that is taken already.
///
/// # Errors
/// What the keys say.
pub(crate) fn seal_under(
    cell: &Cell,
    room: &Room,
    leaf: u32,
    record: [u8; 16],
    plain: &[u8],
) -> Result<Sealed, Refusal> {
    let revision = 1;
    let sealed = room.ring()?.system(leaf)?;
    let blob = sealed.seal(Kind::Small, record, SCHEMA, revision, plain, cell.entropy())?;
    Ok(Sealed { leaf, revision, blob })
}

/// Seals the next revision of a small thing under the leaf it has.
///
/// # Errors
/// What the keys say; [`Fault::StateConflict`] at the last revision.
pub(crate) fn seal_again(
    cell: &Cell,
    room: &Room,
    before: &Sealed,
    record: [u8; 16],
    plain: &[u8],
) -> Result<Sealed, Refusal> {
    seal_again_as(cell, room, Kind::Small, before, record, plain)
}

/// As [`seal_again`], of a kind.
///
/// # Errors
/// As [`seal_again`].
pub(crate) fn seal_again_as(
    cell: &Cell,
    room: &Room,
    kind: Kind,
    before: &Sealed,
    record: [u8; 16],
    plain: &[u8],
) -> Result<Sealed, Refusal> {
    let revision = before.revision.checked_add(1).ok_or(Fault::StateConflict)?;
    let sealed = room.ring()?.system(before.leaf)?;
    let blob = sealed.seal(kind, record, SCHEMA, revision, plain, cell.entropy())?;
    Ok(Sealed { leaf: before.leaf, revision, blob })
}

/// Opens a small thing.
///
/// # Errors
/// What the keys say.
pub(crate) fn open(
    room: &Room,
    kind: Kind,
    record: [u8; 16],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let ring = room.ring()?;
    Ok(ring.system(sealed.leaf)?.open(kind, record, SCHEMA, sealed.revision, &sealed.blob)?)
}

/// The opener of an object's chunks, under the receipt of the call that gives them out. An advance since the snapshot
/// was taken is followed once.
///
/// # Errors
/// [`Fault::NotFound`] once the leaf is punctured.
pub(crate) async fn release(
    cell: &Cell,
    room: &Room,
    leaf: u32,
    receipt: &CommittedReceipt,
) -> Result<ObjectOpener, Refusal> {
    let now = cell.clock().now();
    let system = || room.ring()?.system(leaf).map_err(Fault::from);
    match system()?.release(receipt, now) {
        Ok(opener) => Ok(opener),
        Err(NotCovered::SnapshotBehind { .. }) => {
            room.keys()?.refresh().await.map_err(Fault::from)?;
            Ok(system()?.release(receipt, now).map_err(|_| Fault::Overloaded)?)
        }
        Err(_) => Err(Fault::Overloaded.into()),
    }
}

/// The address of a leaf of the system tree.
pub(crate) const fn leaf(leaf: u32) -> LeafAddress {
    LeafAddress { dataset: DatasetNo::SYSTEM, tree: SYSTEM_TREE, leaf }
}

/// Erases small things by their leaves.
///
/// # Errors
/// What the keys say.
pub(crate) async fn erase(room: &Room, leaves: &[u32]) -> Result<(), Refusal> {
    if leaves.is_empty() {
        return Ok(());
    }
    room.keys()?.advance(Change::Puncture(ranges(leaves))).await?;
    Ok(())
}

/// Leaves as ranges; those that lie side by side are one.
fn ranges(leaves: &[u32]) -> Vec<LeafRange> {
    let mut leaves = leaves.to_vec();
    leaves.sort_unstable();
    let mut ranges: Vec<LeafRange> = Vec::new();
    for no in leaves {
        match ranges.last_mut() {
            Some(last) if last.end == u64::from(no) => last.end += 1,
            Some(last) if last.end > u64::from(no) => {}
            _ => ranges.push(LeafRange::single(leaf(no))),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_side_by_side_are_one_range() {
        let found: Vec<_> = ranges(&[9, 3, 4, 4, 5]).iter().map(|r| (r.first, r.end)).collect();
        assert_eq!(found, [(3, 6), (9, 10)]);
        assert!(ranges(&[]).is_empty());
    }
}
