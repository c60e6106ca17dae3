//! Idempotency: what a key was used for. No value of a request: HMACs, a status, and sealed ids
//! (protocols.md 8).

use leadvault_domain::{TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::query::Value;
use crate::engine::{Connection, Query, Row, query};
use crate::error::Result;
use crate::lead_unnest::push;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::{NONE, statements};
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT key_hmac, body_hmac, status, created_at, expires_at, log_index, answer_leaf, \
            answer_revision, answer FROM replay WHERE tenant_no = $1 AND key_hmac = $2";
    LIST_LEAVES = "SELECT answer_leaf FROM replay WHERE tenant_no = $1 AND expires_at <= $2 \
                   AND answer_leaf IS NOT NULL ORDER BY answer_leaf";
    INSERT = "INSERT INTO replay (tenant_no, key_hmac, body_hmac, status, created_at, expires_at, \
              log_index, answer_leaf, answer_revision, answer) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    INSERT_SEVERAL = NONE, postgres: "INSERT INTO replay (tenant_no, status, created_at, expires_at, \
              log_index, answer_revision, answer_leaf, key_hmac, body_hmac, answer) \
              SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
              $6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[]) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM replay WHERE tenant_no = $1 AND expires_at <= $2";
}

/// A used idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRow {
    /// HMAC of route and key.
    pub key: [u8; 32],
    /// HMAC of the body.
    pub body: [u8; 32],
    /// HTTP status of the first answer.
    pub status: u16,
    /// When.
    pub created_at: Timestamp,
    /// When the key is free again.
    pub expires_at: Timestamp,
    /// Index of the entry beside the write; ignored by an insert, which knows it.
    pub index: Option<u64>,
    /// Ids and revision of what was made.
    pub answer: Option<Sealed>,
}

/// Stores a used key in the transaction of its write; [`Conflict::Replayed`] with what it was used for.
/// Put it first among the parts of a write.
#[derive(Debug, Clone)]
pub struct InsertReplay {
    /// The key.
    pub row: ReplayRow,
}

impl InsertReplay {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let (row, answer) = (&self.row, self.row.answer.as_ref());
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.key.to_vec())
            .bind(row.body.to_vec())
            .bind(i64::from(row.status))
            .bind(row.created_at.micros())
            .bind(row.expires_at.micros())
            .bind(index.map(stored).transpose()?)
            .bind(answer.map(|a| i64::from(a.leaf)))
            .bind(answer.map_or(0, |a| i64::from(a.revision)))
            .bind(answer.map(|a| a.blob.clone()))
            .execute(&mut *connection)
            .await?;
        if done == 1 {
            return Ok(Outcome::Done);
        }
        let used = find(connection, tenant, row.key).await?;
        let conflict = used.map_or(Conflict::Missing, |row| Conflict::Replayed(Box::new(row)));
        Ok(Outcome::Conflict(conflict))
    }
}

/// Stores used keys beside several entries, named by log and index; how many rows went in: one less for each key
/// that was used before.
pub(crate) async fn insert_several(
    connection: &mut Connection<'_>,
    replays: &[(TenantNo, u64, &InsertReplay)],
) -> Result<u64> {
    let (mut numbers, mut leaves) = (<[Vec<i64>; 6]>::default(), Vec::new());
    let [mut keys, mut bodies, mut answers] = <[Vec<_>; 3]>::default();
    for (tenant, index, InsertReplay { row }) in replays {
        let answer = row.answer.as_ref();
        let revision = answer.map_or(0, |a| i64::from(a.revision));
        let (created, expires) = (row.created_at.micros(), row.expires_at.micros());
        let (tenant, status) = (i64::from(tenant.0), i64::from(row.status));
        push(&mut numbers, [tenant, status, created, expires, stored(*index)?, revision]);
        leaves.push(answer.map(|a| i64::from(a.leaf)));
        keys.push(Some(row.key.to_vec()));
        bodies.push(Some(row.body.to_vec()));
        answers.push(answer.map(|a| a.blob.clone()));
    }
    let insert = numbers.into_iter().fold(query(INSERT_SEVERAL), Query::bind);
    let insert = insert.bind(Value::NumberColumn(leaves)).bind(Value::BytesColumn(keys));
    insert
        .bind(Value::BytesColumn(bodies))
        .bind(Value::BytesColumn(answers))
        .execute(connection)
        .await
}

/// Frees keys that are over. Their leaves are punctured before ([`DataStore::list_replay_leaves`]).
#[derive(Debug, Clone, Copy)]
pub struct DeleteReplays {
    /// Now.
    pub now: Timestamp,
}

impl DeleteReplays {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE)
            .bind(i64::from(tenant.0))
            .bind(self.now.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// What an idempotency key was used for, if it was.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_replay(
        &self,
        scope: TenantScope,
        key: [u8; 32],
    ) -> Result<Option<ReplayRow>> {
        let mut reader = self.engine().reader(scope).await?;
        find(&mut reader.connection(), scope.0, key).await
    }

    /// The leaves under which records lie that are over, in order.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_replay_leaves(&self, scope: TenantScope, now: Timestamp) -> Result<Vec<u32>> {
        let question = query(LIST_LEAVES).bind(scope.no()).bind(now.micros());
        let decode = |row: &Row| Cells::new("replay", row).number("answer_leaf");
        self.engine().list(scope, question, decode).await
    }
}

async fn find(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    key: [u8; 32],
) -> Result<Option<ReplayRow>> {
    let row =
        query(FIND).bind(i64::from(tenant.0)).bind(key.to_vec()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

fn decode(row: &Row) -> Result<ReplayRow> {
    let cells = Cells::new("replay", row);
    Ok(ReplayRow {
        key: cells.bytes("key_hmac")?,
        body: cells.bytes("body_hmac")?,
        status: cells.number("status")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time("expires_at")?,
        index: cells.number_or_null("log_index")?,
        answer: Sealed::read(cells, "answer_leaf", "answer_revision", "answer")?,
    })
}
