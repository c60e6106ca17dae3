//! The record in the erasable slot: which epoch, which directory, and the epoch key wrapped by the KEK.
//!
//! It is the only thing that must be physically forgotten. Bytes, frozen (172 in all, big-endian):
//!
//! ```text
//! offset len
//!  0      4  "LVS" 01
//!  4     16  slot id
//! 20      4  epoch
//! 24      4  KEK generation
//! 28     16  directory id
//! 44    128  sealed: LV1 kind 11 (prk KEK, record = directory id, revision = epoch), payload = 32 bytes
//! ```

use leadvault_domain::{DirectoryId, SlotId};

const MAGIC: [u8; 4] = *b"LVS\x01";

/// Bytes of the LV1 blob around one 32-byte key.
pub const SEALED_KEY_BYTES: usize = 128;

/// What the slot holds for one tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotRecord {
    /// The slot; `key_head.slot_id` must be the same.
    pub slot_id: SlotId,
    /// The epoch whose key is inside.
    pub epoch: u32,
    /// Generation of the KEK around it.
    pub kek_gen: u32,
    /// The directory that key opens.
    pub directory: DirectoryId,
    /// The epoch key: LV1 kind 11.
    pub sealed: Vec<u8>,
}

/// Bytes that are not a slot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a slot record")]
pub struct SlotRecordError;

impl SlotRecord {
    /// Length of the written form.
    pub const BYTES: usize = 44 + SEALED_KEY_BYTES;

    /// The written form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.slot_id.bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.kek_gen.to_be_bytes());
        out.extend_from_slice(&self.directory.bytes());
        out.extend_from_slice(&self.sealed);
        out
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// [`SlotRecordError`] for any other length, magic or version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SlotRecordError> {
        let (head, sealed) = bytes.split_first_chunk::<44>().ok_or(SlotRecordError)?;
        if !head.starts_with(&MAGIC) || sealed.len() != SEALED_KEY_BYTES {
            return Err(SlotRecordError);
        }
        Ok(Self {
            slot_id: SlotId::from_bytes(part(head, 4)?),
            epoch: u32::from_be_bytes(part(head, 20)?),
            kek_gen: u32::from_be_bytes(part(head, 24)?),
            directory: DirectoryId::from_bytes(part(head, 28)?),
            sealed: sealed.to_vec(),
        })
    }
}

impl std::fmt::Debug for SlotRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotRecord")
            .field("epoch", &self.epoch)
            .field("kek_gen", &self.kek_gen)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn part<const N: usize>(head: &[u8; 44], at: usize) -> Result<[u8; N], SlotRecordError> {
    head.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(SlotRecordError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SlotRecord {
        SlotRecord {
            slot_id: SlotId::from_bytes([0x11; 16]),
            epoch: 0x0102_0304,
            kek_gen: 7,
            directory: DirectoryId::from_bytes([0x22; 16]),
            sealed: vec![0x33; SEALED_KEY_BYTES],
        }
    }

    #[test]
    fn the_written_form_is_frozen() {
        let text = hex::encode(record().to_bytes());
        let expected = format!(
            "4c565301{}0102030400000007{}{}",
            "11".repeat(16),
            "22".repeat(16),
            "33".repeat(128)
        );
        assert_eq!(text, expected);
        assert_eq!(record().to_bytes().len(), SlotRecord::BYTES);
        assert_eq!(SlotRecord::from_bytes(&record().to_bytes()), Ok(record()));
    }

    #[test]
    fn another_length_magic_or_version_is_refused() {
        let good = record().to_bytes();
        for at in 0..4 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(SlotRecord::from_bytes(&bad), Err(SlotRecordError));
        }
        assert!(SlotRecord::from_bytes(&good[..171]).is_err());
        let mut long = good.clone();
        long.push(0);
        assert!(SlotRecord::from_bytes(&long).is_err());
        assert!(SlotRecord::from_bytes(&[]).is_err());
    }

    #[test]
    fn debug_shows_nothing_sealed() {
        assert!(!format!("{:?}", record()).contains("51, 51"));
    }
}
