//! Rebuilding the key store of a tenant from its mirror (protocols.md 1.3, `keys restore --mirror`).
//!
//! *The key store is replicated, never restored* from an older state: only a set that the slot's present
//! key opens is taken, directly or over hops that the mirror holds, and every page is checked first.

use leadvault_domain::TenantId;

use crate::envelope::PagePlace;
use crate::kek::Keks;
use crate::page::open_page;
use crate::view::{follow, open_book};
use crate::{HopRow, KeyError, KeyServices, SlotRecord, TenantRows};

/// Puts the newest set that the slot opens into the key store, replacing what it holds of the tenant.
/// Returns its epoch. Leaf numbers are as old as the set: the caller raises them past the data store
/// (protocols.md 1.4) before anything is sealed.
///
/// # Errors
/// [`KeyError::NoMirrorSet`] if none opens; the key store is not changed then.
pub async fn restore_from_mirror(
    services: &KeyServices,
    tenant: TenantId,
) -> Result<u32, KeyError> {
    let nothing = KeyError::NoMirrorSet(tenant);
    let mirror = services.mirror.as_ref().ok_or(nothing)?;
    let slot = services.slot.read(tenant).await?.ok_or(nothing)?;
    for epoch in mirror.epochs(tenant).await? {
        let Ok(rows) = mirror.load(tenant, epoch).await else { continue };
        match opens(services, &slot, &rows).await {
            Ok(()) => {
                services.blobs.replace_tenant(rows).await?;
                return Ok(epoch);
            }
            Err(provider @ KeyError::Root(_)) => return Err(provider),
            Err(error) => {
                tracing::info!(keys.epoch = epoch, %error, "a mirror set does not open");
            }
        }
    }
    Err(nothing)
}

/// Whether the slot's key leads to the set's directory, and every page it names is there and whole.
async fn opens(
    services: &KeyServices,
    slot: &SlotRecord,
    rows: &TenantRows,
) -> Result<(), KeyError> {
    let (tenant, head) = (rows.head.tenant, &rows.head);
    if slot.slot_id != head.slot || slot.epoch > head.epoch {
        return Err(KeyError::NoMirrorSet(tenant));
    }
    let mut hops: Vec<HopRow> = Vec::new();
    for epoch in (slot.epoch..head.epoch).map(|before| before + 1) {
        let hop = rows.hops.iter().find(|hop| hop.epoch == epoch);
        hops.push(hop.ok_or(KeyError::NoMirrorSet(tenant))?.clone());
    }
    let mut keks = Keks::new(services, tenant);
    let (_, key) = follow(&mut keks, tenant, slot, &hops, &rows.keks).await?;
    let book = open_book(tenant, head, &key, &rows.directory.blob)?;
    for dataset in book.datasets.values() {
        for (tree, keys) in &dataset.trees {
            for (page_no, at) in &keys.pages {
                let damaged = KeyError::PageDamaged { tenant, page: at.id };
                let row = rows.pages.iter().find(|row| row.page == at.id).ok_or(damaged)?;
                let place =
                    PagePlace { tenant, dataset: dataset.id, tree: *tree, page_no: *page_no };
                open_page(&place, at, &row.blob)?;
            }
        }
    }
    Ok(())
}
