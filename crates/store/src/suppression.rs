//! The suppression list: just enough to honour an objection or an erasure at the next import.

use leadvault_domain::{TenantNo, Timestamp};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::query::Value;
use crate::engine::{Connection, Engine, Row, query};
use crate::error::Result;
use crate::gather::Question;
use crate::scope::TenantScope;
use crate::statement::{NONE, statements};
use crate::write::Outcome;

statements! {
    LIST = "SELECT tag FROM suppression WHERE tenant_no = $1 \
            AND (expires_at IS NULL OR expires_at > $2) ORDER BY tag";
    LIST_ROWS = "SELECT tag, month, reason, expires_at FROM suppression WHERE tenant_no = $1 \
                 AND tag > $2 ORDER BY tag LIMIT $3";
    FIND = "SELECT tag, month, reason, expires_at FROM suppression WHERE tenant_no = $1 AND tag = $2";
    FIND_SEVERAL = NONE, postgres: "SELECT tag, month, reason, expires_at FROM suppression \
                    WHERE tenant_no = $1 AND tag = ANY ($2::bytea[])";
    INSERT = "INSERT INTO suppression (tenant_no, tag, month, reason, expires_at) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM suppression WHERE tenant_no = $1 AND tag = $2";
}

/// A value that is not to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionRow {
    /// HMAC of the value under the tenant's suppression key.
    pub tag: [u8; 16],
    /// When, to the month: `year * 12 + month - 1`.
    pub month: u32,
    /// Why, a code.
    pub reason: String,
    /// When it may come back.
    pub expires_at: Option<Timestamp>,
}

/// Adds values; those that are there stay as they are.
#[derive(Debug, Clone)]
pub struct InsertSuppression {
    /// The values.
    pub rows: Vec<SuppressionRow>,
}

impl InsertSuppression {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let mut count = 0;
        for row in &self.rows {
            let done = query(INSERT)
                .bind(i64::from(tenant.0))
                .bind(row.tag.to_vec())
                .bind(i64::from(row.month))
                .bind(row.reason.clone())
                .bind(row.expires_at.map(Timestamp::micros))
                .execute(&mut *connection)
                .await?;
            count += done;
        }
        Ok(Outcome::Count(count))
    }
}

/// Takes a value off the list.
#[derive(Debug, Clone, Copy)]
pub struct DeleteSuppression {
    /// The value.
    pub tag: [u8; 16],
}

impl DeleteSuppression {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE)
            .bind(i64::from(tenant.0))
            .bind(self.tag.to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::Count(done))
    }
}

impl DataStore {
    /// One value of the list, expired or not.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_suppression(
        &self,
        scope: TenantScope,
        tag: [u8; 16],
    ) -> Result<Option<SuppressionRow>> {
        self.ask(scope, Tagged(tag)).await
    }

    /// The values that are suppressed at `now`, ascending: what an import searches.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_suppression(
        &self,
        scope: TenantScope,
        now: Timestamp,
    ) -> Result<Vec<[u8; 16]>> {
        let question = query(LIST).bind(scope.no()).bind(now.micros());
        self.engine().list(scope, question, |row| Cells::new("suppression", row).bytes("tag")).await
    }

    /// Rows of the list behind `after`, ascending by tag, expired ones too.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_suppression_rows(
        &self,
        scope: TenantScope,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<SuppressionRow>> {
        // An empty blob sorts before every tag.
        let after = after.map(|tag| tag.to_vec()).unwrap_or_default();
        let question = query(LIST_ROWS).bind(scope.no()).bind(after).bind(i64::from(limit));
        self.engine().list(scope, question, decode).await
    }
}

/// A value of the list, expired or not.
#[derive(Debug)]
pub(crate) struct Tagged([u8; 16]);

impl Question for Tagged {
    type Answer = Option<SuppressionRow>;

    async fn answer(
        engine: &Engine,
        tenant: TenantNo,
        all: Vec<Self>,
    ) -> Result<Vec<Option<SuppressionRow>>> {
        let question = match all.as_slice() {
            [one] => query(FIND).bind(i64::from(tenant.0)).bind(one.0.to_vec()),
            all => {
                let tags = all.iter().map(|question| Some(question.0.to_vec())).collect();
                query(FIND_SEVERAL).bind(i64::from(tenant.0)).bind(Value::BytesColumn(tags))
            }
        };
        let rows = engine.list(TenantScope(tenant), question, decode).await?;
        let found = |tag| rows.iter().find(|row| row.tag == tag).cloned();
        Ok(all.iter().map(|question| found(question.0)).collect())
    }
}

fn decode(row: &Row) -> Result<SuppressionRow> {
    let cells = Cells::new("suppression", row);
    Ok(SuppressionRow {
        tag: cells.bytes("tag")?,
        month: cells.number("month")?,
        reason: cells.value("reason")?,
        expires_at: cells.time_or_null("expires_at")?,
    })
}
