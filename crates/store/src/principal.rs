//! People behind keys. Entries carry their random ids; this table resolves them, and expires.

use leadvault_domain::{PrincipalId, TenantNo, Timestamp};

use crate::cells::Cells;
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT uuid, handle, created_at, expires_at, name_leaf, name_revision, name \
            FROM principal WHERE tenant_no = $1 AND handle = $2";
    LIST = "SELECT uuid, handle, created_at, expires_at, name_leaf, name_revision, name \
            FROM principal WHERE tenant_no = $1 ORDER BY uuid";
    INSERT = "INSERT INTO principal (tenant_no, uuid, handle, created_at, expires_at, name_leaf, \
              name_revision, name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalRow {
    /// Its random id, as entries carry it.
    pub id: PrincipalId,
    /// HMAC of the name the tenant uses.
    pub handle: [u8; 32],
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it may be forgotten.
    pub expires_at: Option<Timestamp>,
    /// The name the tenant uses.
    pub name: Option<Sealed>,
}

/// Stores a principal. [`Conflict::Exists`] if the handle has an id already.
#[derive(Debug, Clone)]
pub struct InsertPrincipal {
    /// The principal.
    pub row: PrincipalRow,
}

impl InsertPrincipal {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, name) = (&self.row, self.row.name.as_ref());
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.id.bytes().to_vec())
            .bind(row.handle.to_vec())
            .bind(row.created_at.micros())
            .bind(row.expires_at.map(Timestamp::micros))
            .bind(name.map(|n| i64::from(n.leaf)))
            .bind(name.map_or(0, |n| i64::from(n.revision)))
            .bind(name.map(|n| n.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

impl DataStore {
    /// A principal by the HMAC of its name.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_principal(
        &self,
        scope: TenantScope,
        handle: [u8; 32],
    ) -> Result<Option<PrincipalRow>> {
        let question = query(FIND).bind(scope.no()).bind(handle.to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// All principals of the tenant.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_principals(&self, scope: TenantScope) -> Result<Vec<PrincipalRow>> {
        self.engine().list(scope, query(LIST).bind(scope.no()), decode).await
    }
}

fn decode(row: &Row) -> Result<PrincipalRow> {
    let cells = Cells::new("principal", row);
    Ok(PrincipalRow {
        id: PrincipalId::from_bytes(cells.bytes("uuid")?),
        handle: cells.bytes("handle")?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time_or_null("expires_at")?,
        name: Sealed::read(cells, "name_leaf", "name_revision", "name")?,
    })
}
