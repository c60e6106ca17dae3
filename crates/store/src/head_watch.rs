//! Hearing of each epoch as soon as it is decided, on whichever node of the cell (protocols.md 1.1). Nothing depends
//! on it but time: nodes look twice a second as well.

use leadvault_domain::TenantId;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::key_store::KeyStore;

/// Where decisions are told; [`crate::key_blobs`] does.
pub(crate) const CHANNEL: &str = "lv_head";

/// A node that listens.
#[derive(Debug)]
pub struct HeadWatch(PgListener);

impl HeadWatch {
    /// The next tenant whose head moved; `None` once the store is closed, which waits for this watch to be dropped.
    /// After an outage it listens again; what was said meanwhile is not heard.
    ///
    /// # Errors
    /// [`StoreError`] while the database does not answer.
    pub async fn next(&mut self) -> Result<Option<TenantId>> {
        loop {
            let told = match self.0.recv().await {
                Err(sqlx::Error::PoolClosed) => return Ok(None),
                told => told?,
            };
            // Others may use the channel for whatever they like.
            if let Ok(tenant) = Uuid::try_parse(told.payload()) {
                return Ok(Some(TenantId::from_uuid(tenant)));
            }
        }
    }
}

impl KeyStore {
    /// Listens for decisions of every node; `None` where there is no other node.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn watch_heads(&self) -> Result<Option<HeadWatch>, StoreError> {
        match self.engine() {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(postgres) => Ok(Some(HeadWatch(postgres.listen(CHANNEL).await?))),
        }
    }
}
