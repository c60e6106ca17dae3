//! Where a tenant's keys stand: slot, head, the hops between them, and the directory opened at the end.
//!
//! Looking changes nothing. The slot is read *before* the head: the head never stands behind a slot that
//! was read earlier, so a lower head means an old key store and not a busy neighbour. Whatever looks like
//! a refusal is looked at again if slot or head moved meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_crypto::{SecretKey, sha256};
use leadvault_domain::{TenantId, TenantNo};

use crate::directory::{Dataset, Directory};
use crate::envelope::{PagePlace, open_directory, open_epoch_key, open_hop};
use crate::kek::Keks;
use crate::keyring::Keyring;
use crate::page::{PageRef, open_page};
use crate::tree::{Page, Tree};
use crate::{DirectoryRow, HeadRow, HopRow, KekRow, KeyError, KeyServices, PageRow, SlotRecord};

/// How often slot and head may move while they are looked at; each time another node finished an advance.
const LOOKS_MAX: usize = 16;

/// What was seen.
pub(crate) struct View {
    pub(crate) head: HeadRow,
    /// The record in the slot.
    pub(crate) slot: SlotRecord,
    /// The way from the slot's record to the head's, oldest first; the last is the head's.
    pub(crate) path: Vec<SlotRecord>,
    /// The hops that way was read from.
    pub(crate) hops: Vec<HopRow>,
    /// The head's epoch key.
    pub(crate) key: SecretKey,
    pub(crate) directory: DirectoryRow,
    pub(crate) ring: Arc<Keyring>,
}

impl View {
    /// The slot record of the head.
    pub(crate) fn record(&self) -> &SlotRecord {
        self.path.last().unwrap_or(&self.slot)
    }
}

/// Looks at a tenant. `known_epoch` is the epoch that the log says was reached; `present` lends its pages.
pub(crate) async fn look(
    keks: &mut Keks<'_>,
    services: &KeyServices,
    (tenant, no): (TenantId, TenantNo),
    known_epoch: u32,
    present: Option<Arc<Keyring>>,
) -> Result<View, KeyError> {
    let mut last = positions(services, tenant).await?;
    for _ in 0..LOOKS_MAX {
        let looked = look_once(keks, services, (tenant, no), known_epoch, &last, present.as_ref());
        let refusal = match looked.await {
            Ok(view) => return Ok(view),
            Err(refusal) => refusal,
        };
        let again = positions(services, tenant).await?;
        if again == last {
            return Err(refusal);
        }
        last = again;
    }
    Err(KeyError::Contended)
}

type Positions = (Option<SlotRecord>, Option<HeadRow>);

async fn positions(services: &KeyServices, tenant: TenantId) -> Result<Positions, KeyError> {
    let slot = services.slot.read(tenant).await?;
    Ok((slot, services.blobs.find_head(tenant).await?))
}

async fn look_once(
    keks: &mut Keks<'_>,
    services: &KeyServices,
    (tenant, no): (TenantId, TenantNo),
    known_epoch: u32,
    (slot, head): &Positions,
    present: Option<&Arc<Keyring>>,
) -> Result<View, KeyError> {
    let (slot, head) = agree(tenant, known_epoch, slot.as_ref(), *head)?;
    let mut hops = Vec::new();
    for epoch in (slot.epoch..head.epoch).map(|before| before + 1) {
        let hop = services.blobs.find_hop(tenant, epoch).await?;
        hops.push(hop.ok_or(KeyError::SlotBehindLog {
            tenant,
            slot_epoch: slot.epoch,
            known_epoch: head.epoch,
        })?);
    }
    let behind =
        KeyError::KeyStoreBehindSlot { tenant, slot_epoch: slot.epoch, head_epoch: head.epoch };
    let rows = services.blobs.list_keks(tenant).await?;
    let (path, key) = follow(keks, tenant, &slot, &hops, &rows).await.map_err(unless(behind))?;
    let directory = services.blobs.find_directory(tenant, head.directory).await?.ok_or(behind)?;
    let book = open_book(tenant, &head, &key, &directory.blob).map_err(unless(behind))?;
    let book = load_pages(services, tenant, book, present).await?;
    let ring = Arc::new(Keyring {
        tenant,
        no,
        directory: head.directory,
        state: sha256(&[&directory.blob]),
        book,
    });
    Ok(View { head, slot, path, hops, key, directory, ring })
}

/// The refusals that need no key (protocols.md 1.2).
fn agree(
    tenant: TenantId,
    known_epoch: u32,
    slot: Option<&SlotRecord>,
    head: Option<HeadRow>,
) -> Result<(SlotRecord, HeadRow), KeyError> {
    let old_slot =
        |slot_epoch, known_epoch| Err(KeyError::SlotBehindLog { tenant, slot_epoch, known_epoch });
    match (slot, head) {
        (None, None) if known_epoch == 0 => Err(KeyError::UnknownTenant(tenant)),
        (None, None) => old_slot(0, known_epoch),
        (None, Some(head)) => old_slot(0, known_epoch.max(head.forgotten_epoch)),
        (Some(slot), _) if slot.epoch < known_epoch => old_slot(slot.epoch, known_epoch),
        (Some(slot), None) => {
            Err(KeyError::KeyStoreBehindSlot { tenant, slot_epoch: slot.epoch, head_epoch: 0 })
        }
        (Some(slot), Some(head)) if slot.slot_id != head.slot => {
            old_slot(0, known_epoch.max(head.forgotten_epoch))
        }
        (Some(slot), Some(head)) if slot.epoch > head.epoch => Err(KeyError::KeyStoreBehindSlot {
            tenant,
            slot_epoch: slot.epoch,
            head_epoch: head.epoch,
        }),
        (Some(slot), Some(head)) => Ok((slot.clone(), head)),
    }
}

/// A blob or record that does not open is `refusal`; what a provider says is not.
fn unless(refusal: KeyError) -> impl Fn(KeyError) -> KeyError {
    move |error| match error {
        KeyError::Unopenable | KeyError::Malformed => refusal,
        other => other,
    }
}

/// Follows the hops from a slot record, in memory. Returns the records on the way and the last epoch key.
pub(crate) async fn follow(
    keks: &mut Keks<'_>,
    tenant: TenantId,
    from: &SlotRecord,
    hops: &[HopRow],
    rows: &[KekRow],
) -> Result<(Vec<SlotRecord>, SecretKey), KeyError> {
    let kek = keks.find_in(from.kek_gen, rows).await?;
    let mut key = open_epoch_key(&kek, tenant, from)?;
    let mut path = Vec::new();
    for hop in hops {
        let record = open_hop(&key, tenant, (hop.epoch, hop.directory), &hop.blob)?;
        if record.slot_id != from.slot_id {
            return Err(KeyError::Malformed);
        }
        let kek = keks.find_in(record.kek_gen, rows).await?;
        key = open_epoch_key(&kek, tenant, &record)?;
        path.push(record);
    }
    Ok((path, key))
}

/// Opens and reads the head's directory.
pub(crate) fn open_book(
    tenant: TenantId,
    head: &HeadRow,
    key: &SecretKey,
    blob: &[u8],
) -> Result<Directory<PageRef>, KeyError> {
    let plain = open_directory(key, tenant, (head.epoch, head.directory), blob)?;
    let book = Directory::from_bytes(&plain)?;
    if book.epoch == head.epoch { Ok(book) } else { Err(KeyError::Malformed) }
}

/// Loads the pages of a directory; those that `present` has already are shared.
async fn load_pages(
    services: &KeyServices,
    tenant: TenantId,
    book: Directory<PageRef>,
    present: Option<&Arc<Keyring>>,
) -> Result<Directory<Page>, KeyError> {
    let mut datasets = BTreeMap::new();
    for (no, dataset) in book.datasets {
        let mut trees = BTreeMap::new();
        for (tree_id, tree) in dataset.trees {
            let known = present.and_then(|ring| ring.tree(no, tree_id).ok()).map(|(_, tree)| tree);
            let mut pages = BTreeMap::new();
            for (page_no, at) in &tree.pages {
                let place =
                    PagePlace { tenant, dataset: dataset.id, tree: tree_id, page_no: *page_no };
                let shared = known
                    .and_then(|tree| tree.pages.get(page_no))
                    .filter(|page| page.at.id == at.id && page.at.hash == at.hash);
                let cover = if let Some(page) = shared {
                    Arc::clone(&page.cover)
                } else {
                    let row = find_page(services, tenant, at).await?;
                    Arc::new(open_page(&place, at, &row.blob)?)
                };
                pages.insert(*page_no, Page { at: at.clone(), cover });
            }
            trees.insert(tree_id, Arc::new(Tree { upper: tree.upper.clone(), pages }));
        }
        datasets.insert(no, Dataset { id: dataset.id, tag_keys: dataset.tag_keys, trees });
    }
    Ok(Directory {
        epoch: book.epoch,
        structural_epoch: book.structural_epoch,
        suppression: book.suppression,
        datasets,
    })
}

async fn find_page(
    services: &KeyServices,
    tenant: TenantId,
    at: &PageRef,
) -> Result<PageRow, KeyError> {
    let row = services.blobs.find_page(tenant, at.id).await?;
    row.ok_or(KeyError::PageDamaged { tenant, page: at.id })
}
