//! Secrets of the cell, wrapped by the root provider: the signing key of the logs, by generation.
//!
//! They lie in the key store because that one is never restored: a data store from before a rotation must
//! not bring an old signing key back as the current one.

use leadvault_domain::Timestamp;

use crate::cells::Cells;
use crate::engine::{Reach, Row, query};
use crate::error::{Result, StoreError};
use crate::key_store::KeyStore;
use crate::statement::statements;

statements! {
    LIST = "SELECT generation, wrapped, created_at FROM cell_secret WHERE name = $1 \
            ORDER BY generation";
    INSERT = "INSERT INTO cell_secret (name, generation, wrapped, created_at) \
              VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM cell_secret WHERE name = $1 AND generation < $2";
}

/// One generation of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellSecretRow {
    /// From 1; the highest is the current one.
    pub generation: u32,
    /// What the provider gave.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl KeyStore {
    /// All generations of a secret, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_cell_secrets(&self, name: &'static str) -> Result<Vec<CellSecretRow>> {
        let question = query(LIST).bind(name);
        let decode = |row: &Row| {
            let cells = Cells::new("cell_secret", row);
            Ok(CellSecretRow {
                generation: cells.number("generation")?,
                wrapped: cells.value("wrapped")?,
                created_at: cells.time("created_at")?,
            })
        };
        self.engine().list(Reach::Nobody, question, decode).await
    }

    /// Stores a generation, durably.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if another node was first: read again and use that one.
    pub async fn insert_cell_secret(&self, name: &'static str, row: &CellSecretRow) -> Result<()> {
        self.engine().write(|| self.insert_secret_once(name, row)).await
    }

    async fn insert_secret_once(&self, name: &'static str, row: &CellSecretRow) -> Result<()> {
        let mut held = self.engine().writer(Reach::Nobody).await?;
        let mut transaction = held.begin().await?;
        let done = query(INSERT)
            .bind(name)
            .bind(i64::from(row.generation))
            .bind(row.wrapped.clone())
            .bind(row.created_at.micros())
            .execute(&mut transaction.connection())
            .await?;
        if done == 0 {
            return Err(StoreError::Exists { table: "cell_secret" });
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Removes generations below `generation`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_cell_secrets(&self, name: &'static str, generation: u32) -> Result<()> {
        self.engine().write(|| self.delete_secrets_once(name, generation)).await
    }

    async fn delete_secrets_once(&self, name: &'static str, generation: u32) -> Result<()> {
        let mut held = self.engine().writer(Reach::Nobody).await?;
        let mut transaction = held.begin().await?;
        let delete = query(DELETE).bind(name).bind(i64::from(generation));
        delete.execute(&mut transaction.connection()).await?;
        transaction.commit().await?;
        Ok(())
    }
}
