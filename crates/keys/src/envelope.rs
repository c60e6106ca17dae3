//! Which LV1 header and context each key blob has (crypto.md 3.3): one place, so that no two differ.
//!
//! ```text
//!            kind  prk     compartment  revision        record        dataset
//! epoch key  11    KEK     2            epoch           directory id  zeros
//! directory  13    E_e     0            epoch           directory id  zeros
//! hop        14    E_e     0            e + 1           that of e+1   zeros
//! page       12    PK      0            page version    zeros         its dataset   tree, first leaf
//! ```

use leadvault_crypto::{Context, Header, Kind, SecretKey, open, seal};
use leadvault_domain::{DirectoryId, Entropy, EntropyFailed, TenantId};
use zeroize::Zeroizing;

use crate::page::first_leaf;
use crate::{KeyError, SlotRecord};

/// Version of the payload formats in this crate.
const SCHEMA: u16 = 1;
/// Purpose code of the epoch key (crypto.md 2.2).
const PURPOSE_EPOCH_KEY: u16 = 2;

/// 16 random bytes with the marks of a `UUIDv4`.
pub(crate) fn make_id(entropy: &dyn Entropy) -> Result<[u8; 16], EntropyFailed> {
    let mut id = [0; 16];
    entropy.fill(&mut id)?;
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(id)
}

fn header(kind: Kind, compartment: u16, revision: u32) -> Header {
    Header { kind, schema: SCHEMA, compartment, revision, tree: 0, leaf: 0 }
}

fn context(tenant: TenantId, directory: DirectoryId) -> Context {
    Context { tenant: tenant.bytes(), dataset: [0; 16], record: directory.bytes() }
}

/// Wraps the epoch key as the slot keeps it.
pub(crate) fn seal_epoch_key(
    kek: &SecretKey,
    tenant: TenantId,
    (epoch, directory): (u32, DirectoryId),
    key: &SecretKey,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, KeyError> {
    let header = header(Kind::EpochSlot, PURPOSE_EPOCH_KEY, epoch);
    seal(kek, &header, &context(tenant, directory), key.expose(), entropy)
        .map_err(|_| KeyError::Unsealable)
}

/// Unwraps the epoch key of a slot record.
pub(crate) fn open_epoch_key(
    kek: &SecretKey,
    tenant: TenantId,
    record: &SlotRecord,
) -> Result<SecretKey, KeyError> {
    let header = header(Kind::EpochSlot, PURPOSE_EPOCH_KEY, record.epoch);
    let plain = open(kek, &header, &context(tenant, record.directory), &record.sealed)
        .map_err(|_| KeyError::Unopenable)?;
    let bytes: Zeroizing<[u8; 32]> =
        Zeroizing::new(plain.as_slice().try_into().map_err(|_| KeyError::Malformed)?);
    Ok(SecretKey::from_bytes(*bytes))
}

/// Seals a directory under the key of its own epoch.
pub(crate) fn seal_directory(
    key: &SecretKey,
    tenant: TenantId,
    (epoch, directory): (u32, DirectoryId),
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, KeyError> {
    seal(key, &header(Kind::Directory, 0, epoch), &context(tenant, directory), plain, entropy)
        .map_err(|_| KeyError::DirectoryTooLarge)
}

/// Opens a directory.
pub(crate) fn open_directory(
    key: &SecretKey,
    tenant: TenantId,
    (epoch, directory): (u32, DirectoryId),
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    open(key, &header(Kind::Directory, 0, epoch), &context(tenant, directory), blob)
        .map_err(|_| KeyError::Unopenable)
}

/// Seals the slot record of the next epoch under the present epoch key.
pub(crate) fn seal_hop(
    key: &SecretKey,
    tenant: TenantId,
    next: &SlotRecord,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, KeyError> {
    let header = header(Kind::Hop, 0, next.epoch);
    seal(key, &header, &context(tenant, next.directory), &next.to_bytes(), entropy)
        .map_err(|_| KeyError::Unsealable)
}

/// Opens the hop to `(epoch, directory)` with the key of the epoch before.
pub(crate) fn open_hop(
    key: &SecretKey,
    tenant: TenantId,
    (epoch, directory): (u32, DirectoryId),
    blob: &[u8],
) -> Result<SlotRecord, KeyError> {
    let plain = open(key, &header(Kind::Hop, 0, epoch), &context(tenant, directory), blob)
        .map_err(|_| KeyError::Unopenable)?;
    let record = SlotRecord::from_bytes(&plain).map_err(|_| KeyError::Malformed)?;
    if record.epoch != epoch || record.directory != directory {
        return Err(KeyError::Malformed);
    }
    Ok(record)
}

/// Where a page belongs; what its blob is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PagePlace {
    pub(crate) tenant: TenantId,
    pub(crate) dataset: [u8; 16],
    pub(crate) tree: u32,
    pub(crate) page_no: u32,
}

impl PagePlace {
    fn header(&self, version: u32) -> Header {
        let leaf = first_leaf(self.page_no);
        Header { tree: self.tree, leaf, ..header(Kind::Page, 0, version) }
    }

    fn context(&self) -> Context {
        Context { tenant: self.tenant.bytes(), dataset: self.dataset, record: [0; 16] }
    }

    pub(crate) fn seal(
        &self,
        key: &SecretKey,
        version: u32,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyError> {
        seal(key, &self.header(version), &self.context(), plain, entropy)
            .map_err(|_| KeyError::Unsealable)
    }

    pub(crate) fn open(
        &self,
        key: &SecretKey,
        version: u32,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        open(key, &self.header(version), &self.context(), blob).map_err(|_| KeyError::Unopenable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leadvault_crypto::SystemEntropy;
    use leadvault_domain::SlotId;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const DIRECTORY: DirectoryId = DirectoryId::from_bytes([2; 16]);

    #[test]
    fn an_epoch_key_opens_only_in_its_record() {
        let (kek, key) = (SecretKey::from_bytes([3; 32]), SecretKey::from_bytes([4; 32]));
        let sealed = seal_epoch_key(&kek, TENANT, (7, DIRECTORY), &key, &SystemEntropy).unwrap();
        assert_eq!(sealed.len(), crate::SEALED_KEY_BYTES);
        let slot_id = SlotId::from_bytes([5; 16]);
        let record = SlotRecord { slot_id, epoch: 7, kek_gen: 1, directory: DIRECTORY, sealed };
        assert!(open_epoch_key(&kek, TENANT, &record).unwrap().ct_eq(&key));
        let later = SlotRecord { epoch: 8, ..record.clone() };
        assert!(open_epoch_key(&kek, TENANT, &later).is_err());
        assert!(open_epoch_key(&kek, TenantId::from_bytes([9; 16]), &record).is_err());
        assert!(open_epoch_key(&key, TENANT, &record).is_err());

        let hop = seal_hop(&key, TENANT, &record, &SystemEntropy).unwrap();
        assert_eq!(open_hop(&key, TENANT, (7, DIRECTORY), &hop), Ok(record));
        assert!(open_hop(&kek, TENANT, (7, DIRECTORY), &hop).is_err());
        assert!(open_hop(&key, TENANT, (8, DIRECTORY), &hop).is_err());
    }
}
