//! API keys: the hash of a secret, and what the key may do at most.

use std::collections::{BTreeMap, BTreeSet};

use leadvault_domain::{
    ApiKeyId, Country, DatasetId, Employer, InstructionId, PrincipalId, Purpose, RecipientId, Role,
    TenantNo, Timestamp,
};

use crate::cells::Cells;
use crate::control::{self, ControlRow};
use crate::data_store::DataStore;
use crate::engine::{Connection, Engine, Row, query};
use crate::error::Result;
use crate::gather::Question;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT uuid, secret_hash, role, principal, employer, recipient, country, \
            default_instruction, default_purpose, datasets, created_at, expires_at, revoked_at, \
            meta_leaf, meta_revision, meta FROM api_key WHERE tenant_no = $1 AND uuid = $2";
    /// With the control row: who shows a key hears at once whether this node knows the present state.
    FIND_SHOWN = "SELECT k.uuid, k.secret_hash, k.role, k.principal, k.employer, k.recipient, \
            k.country, k.default_instruction, k.default_purpose, k.datasets, k.created_at, \
            k.expires_at, k.revoked_at, k.meta_leaf, k.meta_revision, k.meta, c.state_gen, c.dir_gen, \
            c.key_epoch, c.state FROM api_key k JOIN tenant_control c ON c.tenant_no = k.tenant_no \
            WHERE k.tenant_no = $1 AND k.uuid = $2";
    LIST = "SELECT uuid, secret_hash, role, principal, employer, recipient, country, \
            default_instruction, default_purpose, datasets, created_at, expires_at, revoked_at, \
            meta_leaf, meta_revision, meta FROM api_key WHERE tenant_no = $1 ORDER BY uuid";
    INSERT = "INSERT INTO api_key (tenant_no, uuid, secret_hash, role, principal, employer, \
              recipient, country, default_instruction, default_purpose, datasets, created_at, \
              expires_at, meta_leaf, meta_revision, meta) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
              $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING";
    REVOKE = "UPDATE api_key SET revoked_at = $3 WHERE tenant_no = $1 AND uuid = $2 \
              AND revoked_at IS NULL";
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Hash of its secret.
    pub secret_hash: [u8; 32],
    /// What it may do at most.
    pub role: Role,
    /// Who is behind it.
    pub principal: PrincipalId,
    /// Who employs that person.
    pub employer: Employer,
    /// Where that person works.
    pub country: Country,
    /// Instruction of calls that name none.
    pub default_instruction: Option<InstructionId>,
    /// Purpose of calls that name none.
    pub default_purpose: Option<Purpose>,
    /// Datasets it is limited to; `None` = all.
    pub datasets: Option<Vec<DatasetId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its name.
    pub meta: Option<Sealed>,
}

/// Stores a key.
#[derive(Debug, Clone)]
pub struct InsertApiKey {
    /// The key; `revoked_at` is not written.
    pub row: ApiKeyRow,
}

impl InsertApiKey {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let (row, meta) = (&self.row, self.row.meta.as_ref());
        let (employer, recipient) = match row.employer {
            Employer::Tenant => ("tenant", None),
            Employer::Operator => ("operator", None),
            Employer::Recipient(id) => ("recipient", Some(id.bytes().to_vec())),
        };
        let datasets = row.datasets.as_ref();
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(row.id.bytes().to_vec())
            .bind(row.secret_hash.to_vec())
            .bind(row.role.as_str())
            .bind(row.principal.bytes().to_vec())
            .bind(employer)
            .bind(recipient)
            .bind(row.country.as_str().to_owned())
            .bind(row.default_instruction.map(|i| i.bytes().to_vec()))
            .bind(row.default_purpose.map(Purpose::as_str))
            .bind(datasets.map(|d| d.iter().flat_map(|id| id.bytes()).collect::<Vec<u8>>()))
            .bind(row.created_at.micros())
            .bind(row.expires_at.map(Timestamp::micros))
            .bind(meta.map(|m| i64::from(m.leaf)))
            .bind(meta.map_or(0, |m| i64::from(m.revision)))
            .bind(meta.map(|m| m.blob.clone()))
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Revokes a key. [`Conflict::Missing`] if there is none or it is revoked. Goes with
/// [`crate::BumpState`].
#[derive(Debug, Clone, Copy)]
pub struct RevokeApiKey {
    /// The key.
    pub id: ApiKeyId,
    /// When.
    pub at: Timestamp,
}

impl RevokeApiKey {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(REVOKE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.at.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

impl DataStore {
    /// A key, revoked or not.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_api_key(
        &self,
        scope: TenantScope,
        id: ApiKeyId,
    ) -> Result<Option<ApiKeyRow>> {
        let question = query(FIND).bind(scope.no()).bind(id.bytes().to_vec());
        self.engine().find(scope, question, decode).await
    }

    /// A key, revoked or not, and the control row of its tenant, in one round trip.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_shown_key(
        &self,
        scope: TenantScope,
        id: ApiKeyId,
    ) -> Result<Option<(ApiKeyRow, ControlRow)>> {
        self.ask(scope, ShownKey(id)).await
    }

    /// All keys of the tenant, in the order in which they were made.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_api_keys(&self, scope: TenantScope) -> Result<Vec<ApiKeyRow>> {
        self.engine().list(scope, query(LIST).bind(scope.no()), decode).await
    }
}

/// A key with the control row of its tenant.
#[derive(Debug)]
pub(crate) struct ShownKey(ApiKeyId);

impl Question for ShownKey {
    type Answer = Option<(ApiKeyRow, ControlRow)>;

    async fn answer(
        engine: &Engine,
        tenant: TenantNo,
        all: Vec<Self>,
    ) -> Result<Vec<Option<(ApiKeyRow, ControlRow)>>> {
        // A tenant shows few keys, and each of them often.
        let ids: BTreeSet<ApiKeyId> = all.iter().map(|question| question.0).collect();
        let scope = TenantScope(tenant);
        let mut reader = engine.reader(scope).await?;
        let mut found = BTreeMap::new();
        for id in ids {
            let question = query(FIND_SHOWN).bind(scope.no()).bind(id.bytes().to_vec());
            if let Some(row) = question.fetch_optional(&mut reader.connection()).await? {
                found.insert(id, (decode(&row)?, control::decode(&row)?));
            }
        }
        Ok(all.iter().map(|question| found.get(&question.0).cloned()).collect())
    }
}

fn decode(row: &Row) -> Result<ApiKeyRow> {
    let cells = Cells::new("api_key", row);
    let employer = match cells.value("employer")? {
        "tenant" => Employer::Tenant,
        "operator" => Employer::Operator,
        "recipient" => Employer::Recipient(RecipientId::from_bytes(cells.bytes("recipient")?)),
        _ => return Err(cells.bad("employer")),
    };
    Ok(ApiKeyRow {
        id: ApiKeyId::from_bytes(cells.bytes("uuid")?),
        secret_hash: cells.bytes("secret_hash")?,
        role: cells.word("role")?,
        principal: PrincipalId::from_bytes(cells.bytes("principal")?),
        employer,
        country: cells.word("country")?,
        default_instruction: cells
            .bytes_or_null("default_instruction")?
            .map(InstructionId::from_bytes),
        default_purpose: cells.word_or_null("default_purpose")?,
        datasets: datasets(cells)?,
        created_at: cells.time("created_at")?,
        expires_at: cells.time_or_null("expires_at")?,
        revoked_at: cells.time_or_null("revoked_at")?,
        meta: Sealed::read(cells, "meta_leaf", "meta_revision", "meta")?,
    })
}

fn datasets(cells: Cells<'_>) -> Result<Option<Vec<DatasetId>>> {
    let Some(bytes) = cells.value::<Option<&[u8]>>("datasets")? else { return Ok(None) };
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(cells.bad("datasets"));
    }
    Ok(Some(ids.iter().map(|id| DatasetId::from_bytes(*id)).collect()))
}
