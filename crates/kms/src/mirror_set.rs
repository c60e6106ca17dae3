//! The bytes of one set of the mirror: every row of a tenant but the pages, which are files of their own.
//!
//! ```text
//! "LVM" 01
//! head       16 tenant | 4 epoch | 16 directory | 4 forgotten epoch | 16 slot
//! directory  16 id | 4 epoch | blob
//! hops       n × ( 4 epoch | 16 directory | blob )
//! keks       n × ( 4 generation | 1 state: 0 active, 1 destroyed | blob )
//! leaves     n × ( 4 dataset | 4 tree | 8 next leaf )
//! pages      n × 16 id
//! 32         SHA-256 of the bytes before
//! ```
//! `n` and the length before each blob are u32, all integers big-endian. Nothing in it is secret.

use leadvault_crypto::sha256;
use leadvault_domain::{DatasetNo, DirectoryId, PageId, SlotId, TenantId};
use leadvault_keys::{
    DirectoryRow, HeadRow, HopRow, HwmRow, KekRow, KekState, MirrorError, TenantRows,
};

const MAGIC: [u8; 4] = *b"LVM\x01";
const SUM_BYTES: usize = 32;

/// Writes a set.
pub(crate) fn encode(rows: &TenantRows, live_pages: &[PageId]) -> Result<Vec<u8>, MirrorError> {
    let mut out = Out(MAGIC.to_vec());
    out.0.extend_from_slice(&rows.head.tenant.bytes());
    out.u32(rows.head.epoch);
    out.0.extend_from_slice(&rows.head.directory.bytes());
    out.u32(rows.head.forgotten_epoch);
    out.0.extend_from_slice(&rows.head.slot.bytes());
    out.0.extend_from_slice(&rows.directory.directory.bytes());
    out.u32(rows.directory.epoch);
    out.blob(&rows.directory.blob)?;
    out.count(rows.hops.len())?;
    for hop in &rows.hops {
        out.u32(hop.epoch);
        out.0.extend_from_slice(&hop.directory.bytes());
        out.blob(&hop.blob)?;
    }
    out.count(rows.keks.len())?;
    for kek in &rows.keks {
        out.u32(kek.generation);
        out.0.push(u8::from(kek.state == KekState::Destroyed));
        out.blob(&kek.wrapped)?;
    }
    out.count(rows.hwm.len())?;
    for row in &rows.hwm {
        out.u32(row.dataset.0);
        out.u32(row.tree);
        out.0.extend_from_slice(&row.next_leaf.to_be_bytes());
    }
    out.count(live_pages.len())?;
    for page in live_pages {
        out.0.extend_from_slice(&page.bytes());
    }
    let sum = sha256(&[&out.0]);
    out.0.extend_from_slice(&sum);
    Ok(out.0)
}

/// Reads a set; the pages come as ids, to be read from their files.
pub(crate) fn decode(bytes: &[u8]) -> Result<(TenantRows, Vec<PageId>), MirrorError> {
    let (body, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(MirrorError::Damaged)?;
    if sha256(&[body]) != *sum {
        return Err(MirrorError::Damaged);
    }
    let mut from = In(body.strip_prefix(&MAGIC).ok_or(MirrorError::Damaged)?);
    let tenant = TenantId::from_bytes(from.array()?);
    let head = HeadRow {
        tenant,
        epoch: from.u32()?,
        directory: DirectoryId::from_bytes(from.array()?),
        forgotten_epoch: from.u32()?,
        slot: SlotId::from_bytes(from.array()?),
    };
    let directory = DirectoryRow {
        tenant,
        directory: DirectoryId::from_bytes(from.array()?),
        epoch: from.u32()?,
        blob: from.blob()?,
    };
    let hops = from.list(|from| {
        let (epoch, directory) = (from.u32()?, DirectoryId::from_bytes(from.array()?));
        Ok(HopRow { tenant, epoch, directory, blob: from.blob()? })
    })?;
    let keks = from.list(|from| {
        let (generation, [state]) = (from.u32()?, from.array()?);
        let state = if state == 0 { KekState::Active } else { KekState::Destroyed };
        Ok(KekRow { tenant, generation, wrapped: from.blob()?, state })
    })?;
    let hwm = from.list(|from| {
        let (dataset, tree) = (DatasetNo(from.u32()?), from.u32()?);
        Ok(HwmRow { tenant, dataset, tree, next_leaf: u64::from_be_bytes(from.array()?) })
    })?;
    let pages = from.list(|from| from.array().map(PageId::from_bytes))?;
    if !from.0.is_empty() {
        return Err(MirrorError::Damaged);
    }
    Ok((TenantRows { head, directory, pages: Vec::new(), hops, keks, hwm }, pages))
}

struct Out(Vec<u8>);

impl Out {
    fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    fn count(&mut self, n: usize) -> Result<(), MirrorError> {
        self.u32(u32::try_from(n).map_err(|_| MirrorError::Damaged)?);
        Ok(())
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<(), MirrorError> {
        self.count(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], MirrorError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(MirrorError::Damaged)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, MirrorError> {
        self.array().map(u32::from_be_bytes)
    }

    fn blob(&mut self) -> Result<Vec<u8>, MirrorError> {
        let bytes = usize::try_from(self.u32()?).map_err(|_| MirrorError::Damaged)?;
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(MirrorError::Damaged)?;
        self.0 = rest;
        Ok(head.to_vec())
    }

    fn list<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, MirrorError>,
    ) -> Result<Vec<T>, MirrorError> {
        let n = self.u32()?;
        (0..n).map(|_| read(self)).collect()
    }
}
