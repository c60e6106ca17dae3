//! One of the two copies in a slot file: a block of 4 KiB with a checksum.
//!
//! ```text
//! offset len                                            file = copy A (0..4096), copy B (4096..8192)
//!    0     8  "LVSLOT" 00 01
//!    8    16  tenant id
//!   24   172  slot record
//!  196  3868  zeros
//! 4064    32  SHA-256 of the bytes before
//! ```
//! A block is written whole; one that was cut off has a wrong checksum and counts as invalid.

use leadvault_crypto::sha256;
use leadvault_domain::TenantId;
use leadvault_keys::SlotRecord;

/// Bytes of one copy: a block of every filesystem and disk in use.
pub(crate) const COPY_BYTES: usize = 4_096;
/// Bytes of the file.
pub(crate) const FILE_BYTES: usize = 2 * COPY_BYTES;

const MAGIC: [u8; 8] = *b"LVSLOT\x00\x01";
const RECORD_AT: usize = 24;
const SUM_BYTES: usize = 32;

/// The block of a record.
pub(crate) fn encode(tenant: TenantId, record: &SlotRecord) -> Vec<u8> {
    let mut block = Vec::with_capacity(COPY_BYTES);
    block.extend_from_slice(&MAGIC);
    block.extend_from_slice(&tenant.bytes());
    block.extend_from_slice(&record.to_bytes());
    block.resize(COPY_BYTES - SUM_BYTES, 0);
    let sum = sha256(&[&block]);
    block.extend_from_slice(&sum);
    block
}

/// The record of a block; `None` if the block is not whole or another tenant's.
pub(crate) fn decode(tenant: TenantId, block: &[u8]) -> Option<SlotRecord> {
    let (body, sum) = block.split_last_chunk::<SUM_BYTES>()?;
    if block.len() != COPY_BYTES || sha256(&[body]) != *sum {
        return None;
    }
    let rest = body.strip_prefix(&MAGIC)?.strip_prefix(&tenant.bytes())?;
    SlotRecord::from_bytes(rest.get(..SlotRecord::BYTES)?).ok().filter(|_| {
        body.get(RECORD_AT + SlotRecord::BYTES..).is_some_and(|r| r.iter().all(|b| *b == 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use leadvault_domain::{DirectoryId, SlotId};

    #[test]
    fn a_block_reads_back_for_its_tenant_and_every_changed_byte_is_noticed() {
        let tenant = TenantId::from_bytes([1; 16]);
        let record = SlotRecord {
            slot_id: SlotId::from_bytes([2; 16]),
            epoch: 3,
            kek_gen: 1,
            directory: DirectoryId::from_bytes([4; 16]),
            sealed: vec![5; 128],
        };
        let block = encode(tenant, &record);
        assert_eq!(block.len(), COPY_BYTES);
        assert_eq!(decode(tenant, &block), Some(record));
        assert_eq!(decode(TenantId::from_bytes([9; 16]), &block), None);
        for at in (0..COPY_BYTES).step_by(7) {
            let mut torn = block.clone();
            torn[at] ^= 1;
            assert_eq!(decode(tenant, &torn), None, "{at}");
        }
        assert_eq!(decode(tenant, &block[..COPY_BYTES - 1]), None);
        assert_eq!(decode(tenant, &[]), None);
    }
}
