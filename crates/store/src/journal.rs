//! `log_chunk`: the entries of the logs, one row per batch and log (protocols.md 2).
//!
//! A chunk goes in only next to the chunk before it, chunk 0 only together with its tenant, and the last
//! chunk is never pruned: no gap. `(tenant_no, first_index)` is unique: no fork.
//! Format of `bytes`: each entry behind its length, 16 bits, big-endian, as in C2SP entry bundles.

use std::collections::BTreeMap;

use leadvault_domain::{TenantNo, Timestamp};
use leadvault_ledger::{BATCH_BYTES_MAX, BATCH_OPS_MAX, Entry};

use crate::cells::{Cells, stored, stored_len};
use crate::data_store::DataStore;
use crate::engine::query::Value;
use crate::engine::{Connection, Row, query};
use crate::error::{Result, StoreError};
use crate::lead_unnest::push;
use crate::log_end::{End, find_end, lock_end};
use crate::scope::TenantScope;
use crate::statement::{NONE, statements};
use crate::write::{Conflict, Outcome};

statements! {
    FIND_START = "SELECT first_index, n FROM log_chunk WHERE tenant_no = $1 \
                  ORDER BY first_index LIMIT 1";
    /// The first chunk of a log: there is no other.
    INSERT_FIRST = "INSERT INTO log_chunk (tenant_no, first_index, n, state_gen, key_epoch, t_min, \
                    t_max, bytes) SELECT $1, 0, $2, c.state_gen, c.key_epoch, $3, $4, $5 \
                    FROM tenant_control c WHERE c.tenant_no = $1 \
                    AND NOT EXISTS (SELECT 1 FROM log_chunk p WHERE p.tenant_no = $1) \
                    ON CONFLICT DO NOTHING RETURNING key_epoch";
    /// Any other chunk: its predecessor ends where it begins.
    INSERT_NEXT = "INSERT INTO log_chunk (tenant_no, first_index, n, state_gen, key_epoch, t_min, \
                   t_max, bytes) SELECT $1, $6, $2, c.state_gen, c.key_epoch, $3, $4, $5 \
                   FROM tenant_control c WHERE c.tenant_no = $1 \
                   AND EXISTS (SELECT 1 FROM log_chunk p WHERE p.tenant_no = $1 \
                   AND p.first_index = $7 AND p.first_index + p.n = $6) \
                   ON CONFLICT DO NOTHING RETURNING key_epoch";
    /// Chunks of several logs, first ones and others.
    INSERT_SEVERAL = NONE, postgres: "INSERT INTO log_chunk (tenant_no, first_index, n, state_gen, key_epoch, \
                   t_min, t_max, bytes) SELECT r.tenant_no, r.first_index, r.n, c.state_gen, c.key_epoch, \
                   r.t_min, r.t_max, r.bytes FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
                   $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[]) \
                   AS r (tenant_no, before, first_index, n, t_min, t_max, bytes) \
                   CROSS JOIN LATERAL (SELECT * FROM tenant_control w \
                   WHERE w.tenant_no = r.tenant_no OFFSET 0) c WHERE CASE WHEN r.before IS NULL \
                   THEN NOT EXISTS (SELECT 1 FROM log_chunk p WHERE p.tenant_no = r.tenant_no) \
                   ELSE EXISTS (SELECT 1 FROM log_chunk p WHERE p.tenant_no = r.tenant_no \
                   AND p.first_index = r.before AND p.first_index + p.n = r.first_index) END \
                   ON CONFLICT DO NOTHING RETURNING tenant_no, key_epoch";
    LIST = "SELECT first_index, n, state_gen, key_epoch, bytes FROM log_chunk WHERE tenant_no = $1 \
            AND first_index >= COALESCE((SELECT MAX(p.first_index) FROM log_chunk p \
            WHERE p.tenant_no = $1 AND p.first_index <= $2), 0) \
            AND first_index < $3 ORDER BY first_index LIMIT $4";
    DELETE = "DELETE FROM log_chunk WHERE tenant_no = $1 AND first_index + n <= $2 \
              AND first_index < (SELECT MAX(p.first_index) FROM log_chunk p WHERE p.tenant_no = $1)";
    /// Nobody else may take chunks away, not even by mistake.
    BECOME_PRUNER = NONE, postgres: "SET LOCAL ROLE lv_pruner";
    BECOME_APP = NONE, postgres: "SET LOCAL ROLE NONE";
    MAX_GENERATION = "SELECT COALESCE(MAX(state_gen), 0) FROM log_chunk WHERE tenant_no = $1";
}

const TABLE: &str = "log_chunk";
/// Chunks read at once: at most 64 MiB, a few hundred KiB in practice.
const LIST_CHUNKS_MAX: i64 = 64;
/// What the length prefixes add to a chunk.
const PREFIX_BYTES_MAX: usize = 2 * BATCH_OPS_MAX;

/// Entries of a log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRow {
    /// Index of the first entry.
    pub first: u64,
    /// Generation at the commit.
    pub state_gen: u32,
    /// Key epoch at the commit.
    pub key_epoch: u32,
    /// The bytes of each entry.
    pub entries: Vec<Vec<u8>>,
}

/// A chunk that is being made.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    n: usize,
    t_min: i64,
    t_max: i64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<()> {
        self.push_bytes(entry.bytes(), entry.time())
    }

    fn push_bytes(&mut self, bytes: &[u8], time: Timestamp) -> Result<()> {
        let len = u16::try_from(bytes.len()).map_err(|_| StoreError::OutOfRange)?;
        let micros = time.micros();
        self.t_min = if self.n == 0 { micros } else { self.t_min.min(micros) };
        self.t_max = if self.n == 0 { micros } else { self.t_max.max(micros) };
        self.n += 1;
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        if self.n > BATCH_OPS_MAX || self.bytes.len() > BATCH_BYTES_MAX + PREFIX_BYTES_MAX {
            return Err(StoreError::OutOfRange);
        }
        Ok(())
    }

    /// Whether nothing was added.
    pub(crate) const fn is_empty(&self) -> bool {
        self.n == 0
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.n < BATCH_OPS_MAX && self.bytes.len() + bytes <= BATCH_BYTES_MAX
    }
}

/// A chunk on its way behind the end of its log.
#[derive(Debug)]
pub(crate) struct Appending {
    /// The log.
    pub(crate) log: TenantNo,
    /// Where it ends.
    pub(crate) end: Option<End>,
    /// What comes next.
    pub(crate) chunk: Chunk,
}

/// Appends a chunk to each of several logs, and returns the key epochs of their tenants in the same order.
///
/// # Errors
/// As [`insert_chunk`].
pub(crate) async fn insert_chunks(
    connection: &mut Connection<'_>,
    chunks: Vec<Appending>,
) -> Result<Vec<u32>> {
    if chunks.len() < 2 || !INSERT_SEVERAL.is_for(connection) {
        let mut epochs = Vec::with_capacity(chunks.len());
        for Appending { log, end, chunk } in chunks {
            epochs.push(insert_chunk(connection, log, end, chunk).await?);
        }
        return Ok(epochs);
    }
    let logs: Vec<TenantNo> = chunks.iter().map(|chunk| chunk.log).collect();
    let mut numbers: [Vec<i64>; 5] = Default::default();
    let (mut before, mut bytes) = (Vec::new(), Vec::new());
    for Appending { log, end, chunk } in chunks {
        let (first, n) = (stored(end.map_or(0, End::size))?, stored_len(chunk.n)?);
        push(&mut numbers, [i64::from(log.0), first, n, chunk.t_min, chunk.t_max]);
        before.push(end.map(|end| stored(end.first)).transpose()?);
        bytes.push(Some(chunk.bytes));
    }
    let [tenants, firsts, counts, earliest, latest] = numbers;
    let insert = query(INSERT_SEVERAL).bind(tenants).bind(Value::NumberColumn(before));
    let insert = insert.bind(firsts).bind(counts).bind(earliest).bind(latest);
    let rows = insert.bind(Value::BytesColumn(bytes)).fetch_all(connection).await?;
    let mut epochs = BTreeMap::new();
    for row in &rows {
        let cells = Cells::new(TABLE, row);
        epochs.insert(TenantNo(cells.number("tenant_no")?), cells.number("key_epoch")?);
    }
    let missing = StoreError::Missing { table: TABLE };
    logs.iter().map(|log| epochs.get(log).copied().ok_or(missing)).collect()
}

/// Appends a chunk behind `end` and returns the key epoch of its tenant.
///
/// # Errors
/// [`StoreError::Missing`] if `end` is not the end, or the log has no control row.
pub(crate) async fn insert_chunk(
    connection: &mut Connection<'_>,
    log: TenantNo,
    end: Option<End>,
    chunk: Chunk,
) -> Result<u32> {
    let insert = query(if end.is_some() { INSERT_NEXT } else { INSERT_FIRST })
        .bind(i64::from(log.0))
        .bind(stored_len(chunk.n)?)
        .bind(chunk.t_min)
        .bind(chunk.t_max)
        .bind(chunk.bytes);
    let insert = match end {
        None => insert,
        Some(end) => insert.bind(stored(end.size())?).bind(stored(end.first)?),
    };
    let epoch: Option<i64> = insert.scalar_optional(connection).await?;
    let epoch = epoch.ok_or(StoreError::Missing { table: TABLE })?;
    u32::try_from(epoch).map_err(|_| StoreError::Inconsistent { table: TABLE, column: "key_epoch" })
}

/// Appends entries that come back from published bundles (protocols.md 2.4). A conflict if the log does not
/// end at `first`.
#[derive(Debug, Clone)]
pub struct AppendBundle {
    /// Index of the first entry.
    pub first: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl AppendBundle {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let mut end = lock_end(connection, tenant).await?;
        if end.map_or(0, End::size) != self.first {
            return Ok(Outcome::Conflict(Conflict::StateMoved));
        }
        let mut chunk = Chunk::default();
        for entry in &self.entries {
            if !chunk.has_room_for(entry.bytes().len()) {
                insert_chunk(connection, tenant, end, std::mem::take(&mut chunk)).await?;
                end = find_end(connection, tenant).await?;
            }
            chunk.push(entry)?;
        }
        if !chunk.is_empty() {
            insert_chunk(connection, tenant, end, chunk).await?;
        }
        Ok(Outcome::Count(u64::try_from(self.entries.len()).unwrap_or(u64::MAX)))
    }
}

/// Prunes chunks whose entries all lie before `before` and in the file store; never the last chunk.
#[derive(Debug, Clone, Copy)]
pub struct DeleteChunks {
    /// The first index that must stay.
    pub before: u64,
}

impl DeleteChunks {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let delete = query(DELETE).bind(i64::from(tenant.0)).bind(stored(self.before)?);
        if BECOME_PRUNER.is_for(connection) {
            query(BECOME_PRUNER).execute(connection).await?;
        }
        let done = delete.execute(connection).await?;
        if BECOME_APP.is_for(connection) {
            query(BECOME_APP).execute(connection).await?;
        }
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// The number of entries of a log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_log_size(&self, log: TenantScope) -> Result<u64> {
        let mut reader = self.engine().reader(log).await?;
        Ok(find_end(&mut reader.connection(), log.0).await?.map_or(0, End::size))
    }

    /// The first index that is still in the database; `None` for an empty log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_log_start(&self, log: TenantScope) -> Result<Option<u64>> {
        let question = query(FIND_START).bind(log.no());
        let decode = |row: &Row| Cells::new(TABLE, row).number("first_index");
        self.engine().find(log, question, decode).await
    }

    /// The highest generation a chunk of the log was committed under; for a restore.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_log_generation(&self, log: TenantScope) -> Result<u32> {
        let mut reader = self.engine().reader(log).await?;
        let max: i64 =
            query(MAX_GENERATION).bind(log.no()).scalar(&mut reader.connection()).await?;
        u32::try_from(max)
            .map_err(|_| StoreError::Inconsistent { table: TABLE, column: "state_gen" })
    }

    /// Chunks that hold entries of `from..to`, ascending, at most 64: the first may begin before `from`,
    /// the last may end behind `to`. Call again from the end of the last one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_chunks(&self, log: TenantScope, from: u64, to: u64) -> Result<Vec<ChunkRow>> {
        let question =
            query(LIST).bind(log.no()).bind(stored(from)?).bind(stored(to)?).bind(LIST_CHUNKS_MAX);
        let chunks = self.engine().list(log, question, decode).await?;
        Ok(chunks.into_iter().filter(|c| c.end() > from).collect())
    }
}

impl ChunkRow {
    /// Index of the entry behind the last one.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }
}

fn decode(row: &Row) -> Result<ChunkRow> {
    let cells = Cells::new(TABLE, row);
    let n: usize = cells.number("n")?;
    let entries = split(cells.value("bytes")?).ok_or(cells.bad("bytes"))?;
    if entries.len() != n {
        return Err(cells.bad("n"));
    }
    Ok(ChunkRow {
        first: cells.number("first_index")?,
        state_gen: cells.number("state_gen")?,
        key_epoch: cells.number("key_epoch")?,
        entries,
    })
}

/// Takes the entries of a chunk apart; `None` if the prefixes do not fit.
fn split(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (prefix, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix)))?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chunk_splits_into_the_entries_it_was_made_of(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)
        ) {
            let mut chunk = Chunk::default();
            for (time, entry) in (0..).zip(&entries) {
                chunk.push_bytes(entry, Timestamp::from_micros(time)).unwrap();
            }
            prop_assert_eq!(split(&chunk.bytes), Some(entries));
        }

        #[test]
        fn other_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = split(&bytes);
        }
    }

    #[test]
    fn a_chunk_takes_no_more_entries_than_a_batch_has() {
        let mut chunk = Chunk::default();
        for _ in 0..BATCH_OPS_MAX {
            chunk.push_bytes(b"x", Timestamp::default()).unwrap();
        }
        assert_eq!(chunk.push_bytes(b"x", Timestamp::default()), Err(StoreError::OutOfRange));
    }
}
