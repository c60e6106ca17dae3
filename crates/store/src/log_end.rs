//! Where a log ends: the place of what comes next, behind a lock that keeps everybody else from taking it.

use std::collections::BTreeMap;

use leadvault_domain::TenantNo;
use tokio::sync::OnceCell;

use crate::cells::Cells;
use crate::control::{self, ControlRow};
use crate::engine::postgres::LOG_LOCK;
use crate::engine::{Connection, query};
use crate::error::Result;
use crate::statement::{NONE, statements};

statements! {
    /// Control row and last chunk of each log of a batch, in one question.
    FIND_LOGS = "SELECT c.tenant_no, c.state_gen, c.dir_gen, c.key_epoch, c.state, \
                 p.first_index, p.n FROM json_each($1) j CROSS JOIN tenant_control c \
                 LEFT JOIN log_chunk p ON p.tenant_no = c.tenant_no AND p.first_index = \
                 (SELECT MAX(m.first_index) FROM log_chunk m WHERE m.tenant_no = c.tenant_no) \
                 WHERE c.tenant_no = j.value",
        postgres: "SELECT c.tenant_no, c.state_gen, c.dir_gen, c.key_epoch, c.state, \
                 p.first_index, p.n FROM unnest($1::bigint[]) j (value) \
                 CROSS JOIN LATERAL (SELECT * FROM tenant_control w WHERE w.tenant_no = j.value \
                 OFFSET 0) c LEFT JOIN LATERAL (SELECT m.first_index, m.n FROM log_chunk m \
                 WHERE m.tenant_no = c.tenant_no ORDER BY m.first_index DESC LIMIT 1) p ON true";
    FIND_END = "SELECT first_index, n FROM log_chunk WHERE tenant_no = $1 \
                ORDER BY first_index DESC LIMIT 1";
    /// From here to the end of the transaction nobody else moves the end of the log.
    LOCK_END = NONE, postgres: "SELECT pg_advisory_xact_lock($1::int, $2::int)";
    /// As [`LOCK_END`], of several logs in the order in which they are named.
    LOCK_ENDS = NONE, postgres: "SELECT pg_advisory_xact_lock($1::int, j.value::int) \
                   FROM unnest($2::bigint[]) j (value)";
}

const TABLE: &str = "log_chunk";

/// The last chunk of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) first: u64,
    n: u64,
}

impl End {
    /// Index of the entry that comes next.
    pub(crate) const fn size(self) -> u64 {
        self.first + self.n
    }
}

/// Where a log ends, once a transaction needs to know: from then on nobody else moves it. SQLite's write lock holds
/// it from the beginning, and so does a transaction of entries alone.
#[derive(Debug)]
pub(crate) struct LogEnd {
    log: TenantNo,
    end: OnceCell<Option<End>>,
}

impl LogEnd {
    /// As it was read under its lock.
    pub(crate) fn known(log: TenantNo, end: Option<End>) -> Self {
        Self { log, end: OnceCell::new_with(Some(end)) }
    }

    /// Not looked at yet.
    pub(crate) fn unknown(log: TenantNo) -> Self {
        Self { log, end: OnceCell::new() }
    }

    /// The end; `None` for a log without entries.
    pub(crate) async fn get(&self, connection: &mut Connection<'_>) -> Result<Option<End>> {
        self.end.get_or_try_init(|| lock_end(connection, self.log)).await.copied()
    }
}

/// Keeps everybody else from moving the end of a log, and finds it.
pub(crate) async fn lock_end(
    connection: &mut Connection<'_>,
    log: TenantNo,
) -> Result<Option<End>> {
    if LOCK_END.is_for(connection) {
        let lock = query(LOCK_END).bind(i64::from(LOG_LOCK)).bind(i64::from(log.0));
        lock.execute(connection).await?;
    }
    find_end(connection, log).await
}

/// Control row and end of each of `logs` that exists, inside a transaction.
pub(crate) async fn find_logs(
    connection: &mut Connection<'_>,
    logs: impl IntoIterator<Item = TenantNo> + Send,
) -> Result<BTreeMap<TenantNo, (ControlRow, Option<End>)>> {
    let numbers: Vec<i64> = logs.into_iter().map(|log| i64::from(log.0)).collect();
    let rows = query(FIND_LOGS).bind(numbers).fetch_all(connection).await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let cells = Cells::new(control::TABLE, row);
        let end = match cells.number_or_null("first_index")? {
            Some(first) => Some(End { first, n: cells.number("n")? }),
            None => None,
        };
        found.insert(TenantNo(cells.number("tenant_no")?), (control::decode(row)?, end));
    }
    Ok(found)
}

/// Where a log ends, inside a transaction.
pub(crate) async fn find_end(
    connection: &mut Connection<'_>,
    log: TenantNo,
) -> Result<Option<End>> {
    let row = query(FIND_END).bind(i64::from(log.0)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let cells = Cells::new(TABLE, &row);
    Ok(Some(End { first: cells.number("first_index")?, n: cells.number("n")? }))
}

/// Keeps everybody else from moving the ends of logs, which ascend, and finds control rows and ends.
pub(crate) async fn lock_ends(
    connection: &mut Connection<'_>,
    logs: impl Iterator<Item = TenantNo> + Clone + Send,
) -> Result<BTreeMap<TenantNo, (ControlRow, Option<End>)>> {
    let numbers: Vec<i64> = logs.clone().map(|log| i64::from(log.0)).collect();
    query(LOCK_ENDS).bind(i64::from(LOG_LOCK)).bind(numbers).execute(connection).await?;
    find_logs(connection, logs).await
}
