//! What the tenant is told: kinds and places in the log, no text.

use leadvault_domain::{NoticeId, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::words::NoticeState;
use crate::write::{Conflict, Outcome};

statements! {
    LIST = "SELECT uuid, kind, at, state, log_index FROM notice WHERE tenant_no = $1 \
            AND (state = $2 OR $2 IS NULL) ORDER BY uuid DESC LIMIT $3";
    INSERT = "INSERT INTO notice (tenant_no, uuid, kind, at, state, log_index) \
              VALUES ($1, $2, $3, $4, 'new', $5) ON CONFLICT DO NOTHING";
    ACKNOWLEDGE = "UPDATE notice SET state = 'acknowledged' WHERE tenant_no = $1 AND uuid = $2";
}

/// Notices of one answer.
pub const NOTICES_MAX: u32 = 200;

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its id.
    pub id: NoticeId,
    /// A code.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Whether the tenant has seen it.
    pub state: NoticeState,
    /// The entry it speaks of.
    pub index: Option<u64>,
}

/// Stores a notice of the entry beside it.
#[derive(Debug, Clone, Copy)]
pub struct InsertNotice {
    /// Its id.
    pub id: NoticeId,
    /// A code.
    pub kind: &'static str,
    /// When.
    pub at: Timestamp,
}

impl InsertNotice {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.kind)
            .bind(self.at.micros())
            .bind(index.map(stored).transpose()?)
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// The tenant has seen a notice. Again is fine.
#[derive(Debug, Clone, Copy)]
pub struct AcknowledgeNotice {
    /// The notice.
    pub id: NoticeId,
}

impl AcknowledgeNotice {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(ACKNOWLEDGE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

impl DataStore {
    /// Notices in a state, or all, newest first, at most [`NOTICES_MAX`].
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_notices(
        &self,
        scope: TenantScope,
        state: Option<NoticeState>,
    ) -> Result<Vec<NoticeRow>> {
        let question = query(LIST)
            .bind(scope.no())
            .bind(state.map(NoticeState::as_str))
            .bind(i64::from(NOTICES_MAX));
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<NoticeRow> {
    let cells = Cells::new("notice", row);
    Ok(NoticeRow {
        id: NoticeId::from_bytes(cells.bytes("uuid")?),
        kind: cells.value("kind")?,
        at: cells.time("at")?,
        state: cells.word("state")?,
        index: cells.number_or_null("log_index")?,
    })
}
