//! API keys of a tenant: made and revoked by its controller, shown once, stored as a hash.

use leadvault_domain::{
    ApiKeyId, Caller, Country, DatasetId, Employer, InstructionId, Measured, PrincipalId, Purpose,
    Role, Sensitive, Timestamp,
};
use leadvault_ledger::{EntryDraft, LogOperation, ResourceType};
use leadvault_store::{
    ApiKeyRow, BumpState, InsertApiKey, InsertPrincipal, PrincipalRow, RevokeApiKey, TenantScope,
    Write,
};
use serde::{Deserialize, Serialize};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::credential::{Proof, ShownKey, make_key};
use crate::error::{Fault, Pointed, Refusal, TOO_MANY};
use crate::idempotency::{self, Made};
use crate::operator;
use crate::room::Room;
use crate::system;
use crate::tenants::NAME_CHARS_MAX;

/// Roles a tenant's controller may give.
const TENANT_ROLES: [Role; 4] = [Role::Controller, Role::Editor, Role::Reader, Role::Auditor];
/// Principal of the key that is made with the tenant.
const FIRST_PRINCIPAL: &str = "controller";

/// Keys of a tenant that may live at once.
const KEYS_MAX: usize = 1_000;

/// A key to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name; sealed at rest.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Who uses it, in the tenant's own words; two people are two principals. Sealed at rest.
    pub principal: String,
    /// `tenant`; people of others are registered as recipients.
    #[serde(default)]
    pub employer: Option<String>,
    /// Where that person works.
    pub country: Country,
    /// Instruction used when a call names none.
    #[serde(default)]
    pub default_instruction: Option<InstructionId>,
    /// Purpose used when a call names none.
    #[serde(default)]
    pub default_purpose: Option<Purpose>,
    /// Datasets the key is limited to.
    #[serde(default)]
    pub datasets: Option<Vec<DatasetId>>,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A key that was made.
#[derive(Debug)]
pub struct MadeKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Shown once: absent where a repeated request is answered again.
    pub secret: Option<Sensitive<String>>,
    /// What it is.
    pub view: KeyView,
}

/// A key, without its secret.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Who uses it.
    pub principal: String,
    /// Where that person works.
    pub country: Country,
    /// Instruction used when a call names none.
    pub default_instruction: Option<InstructionId>,
    /// Purpose used when a call names none.
    pub default_purpose: Option<Purpose>,
    /// Datasets it is limited to.
    pub datasets: Option<Vec<DatasetId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// What is sealed of a key.
#[derive(Debug, Serialize, Deserialize)]
struct KeyMeta {
    name: String,
    principal: String,
}

impl NewKey {
    fn check(&self) -> Result<(), Fault> {
        let mut wrong = Vec::new();
        if !TENANT_ROLES.contains(&self.role) {
            wrong.push(Pointed::new("#/role", "role_unknown"));
        }
        for (member, text) in [("name", &self.name), ("principal", &self.principal)] {
            if text.trim().is_empty() || text.chars().count() > NAME_CHARS_MAX {
                wrong.push(Pointed::new(format!("#/{member}"), "length"));
            }
        }
        if self.employer.as_deref().is_some_and(|e| e != "tenant") {
            wrong.push(Pointed::new("#/employer", "employer_unknown"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::Invalid(wrong)) }
    }
}

/// Finds the caller behind a key that was shown; whether it was recalled and not looked up.
///
/// # Errors
/// [`Fault::Unauthenticated`], whatever is wrong.
pub(crate) async fn verify(
    cell: &Cell,
    shown: &ShownKey,
    proof: Proof,
) -> Result<(Caller, bool), Fault> {
    let now = cell.clock().now();
    let alone = cell.parts().node.is_none();
    if (alone || proof == Proof::AtCommit)
        && let Ok(room) = cell.room(shown.tenant)
        && let Some(caller) = room.recalled().find(shown, room.control().state_gen, now)
    {
        cell.observer().observe(&Measured::Credential { recalled: true });
        return Ok((caller, !alone));
    }
    cell.observer().observe(&Measured::Credential { recalled: false });
    let found = cell.data().find_shown_key(TenantScope(shown.tenant), shown.key).await?;
    let (row, control) = found.ok_or(Fault::Unauthenticated)?;
    let expired = row.expires_at.is_some_and(|at| at <= now);
    let genuine = leadvault_crypto::constant_time_eq(&row.secret_hash, &shown.secret_hash);
    if !genuine || expired || row.revoked_at.is_some() {
        return Err(Fault::Unauthenticated);
    }
    // What another node did before this call was begun is known to it.
    if !alone {
        cell.catch_up(shown.tenant, control).await.map_err(|refusal| refusal.fault)?;
    }
    let room = cell.room(shown.tenant).map_err(|_| Fault::Unauthenticated)?;
    let caller = Caller {
        tenant: room.id,
        key: row.id,
        principal: row.principal,
        role: row.role,
        employer: Employer::Tenant,
        country: row.country,
        default_instruction: row.default_instruction,
        default_purpose: row.default_purpose,
        datasets: row.datasets,
    };
    // Of the generation the row was read under, whatever has become of it since.
    room.recalled().keep(shown, control.state_gen, row.expires_at, &caller);
    Ok((caller, false))
}

/// Makes a key.
///
/// # Errors
/// [`Fault::Invalid`] with every place that is wrong; [`Fault::NotFound`] for a dataset or instruction that is
/// not the tenant's; [`Fault::RoleInsufficient`].
pub async fn create(cell: &Cell, call: &Call, new: NewKey) -> Outcome<MadeKey> {
    let room = cell.room_of(call.caller.tenant)?;
    let on = ResourceType::Key;
    cell.require_role(&room, call, &[Role::Controller], LogOperation::KeyCreate, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Key { id } = made else { return Err(idempotency::other()) };
        let row = cell.data().find_api_key(TenantScope(room.no), id).await?;
        let view = view_of(&room, row.ok_or(Fault::NotFound)?);
        return Ok(Answer { value: MadeKey { id, secret: None, view }, stamp });
    }
    new.check()?;
    if !names_own_only(&room, &new) {
        return Err(cell.not_found_as(&room, call, LogOperation::KeyCreate, on).await);
    }
    let rows = cell.data().list_api_keys(TenantScope(room.no)).await?;
    if rows.iter().filter(|row| row.revoked_at.is_none()).count() >= KEYS_MAX {
        return Err(Fault::invalid("#", TOO_MANY).into());
    }
    let entry = cell.administrative(call, LogOperation::KeyCreate, on);
    let id = ApiKeyId::make(cell.clock(), cell.entropy())?;
    let record = idempotency::record(cell, call, &room, Made::Key { id }).await?;
    let (made, receipt) = store(cell, &room, id, new, entry, record).await?;
    Ok(Answer::stamped(made, &receipt))
}

/// Makes the first key of a tenant, of role controller.
///
/// # Errors
/// What keys, store and journal say.
pub(crate) async fn first_key(cell: &Cell, room: &Room, id: ApiKeyId) -> Result<MadeKey, Refusal> {
    let new = NewKey {
        name: "first key".to_owned(),
        role: Role::Controller,
        principal: FIRST_PRINCIPAL.to_owned(),
        employer: None,
        country: room.control().controller_country,
        default_instruction: None,
        default_purpose: None,
        datasets: None,
        expires_at: None,
    };
    let entry = operator::entry(cell, LogOperation::KeyCreate, ResourceType::Key);
    Ok(store(cell, room, id, new, entry, None).await?.0)
}

async fn store(
    cell: &Cell,
    room: &Room,
    id: ApiKeyId,
    new: NewKey,
    entry: EntryDraft,
    record: Option<Write>,
) -> Result<(MadeKey, leadvault_ledger::CommittedReceipt), Refusal> {
    let (secret, secret_hash) = make_key(cell.region(), room.no, id, cell.entropy())?;
    let principal = principal(cell, room, new.principal.trim()).await?;
    let meta = KeyMeta { name: new.name.clone(), principal: new.principal.clone() };
    let meta = serde_json::to_vec(&meta).map_err(|_| Fault::Internal("key meta"))?;
    let sealed = system::seal_new(cell, room.keys()?, id.bytes(), &meta).await?;
    let at = cell.clock().now();
    let row = ApiKeyRow {
        id,
        secret_hash,
        employer: Employer::Tenant,
        role: new.role,
        principal,
        country: new.country,
        meta: Some(sealed),
        default_instruction: new.default_instruction,
        default_purpose: new.default_purpose,
        datasets: new.datasets.clone(),
        created_at: at,
        expires_at: new.expires_at,
        revoked_at: None,
    };
    // The control state knows when keys end.
    let mut writes: Vec<Write> = vec![InsertApiKey { row }.into(), BumpState.into()];
    writes.extend(record);
    let entry = entry.resource_id(id);
    let (receipt, _) = cell.commit_write(room, entry, None, None, Write::from(writes)).await?;
    cell.reload(room).await?;
    let view = KeyView {
        id,
        name: new.name,
        role: new.role,
        principal: new.principal,
        country: new.country,
        default_instruction: new.default_instruction,
        default_purpose: new.default_purpose,
        datasets: new.datasets,
        created_at: at,
        expires_at: new.expires_at,
    };
    Ok((MadeKey { id, secret: Some(secret), view }, receipt))
}

/// Whether a key names datasets and an instruction of its own tenant only.
fn names_own_only(room: &Room, new: &NewKey) -> bool {
    let control = room.control();
    let known = |id| control.register.knows(id);
    new.datasets.iter().flatten().all(|id| control.dataset(*id).is_ok())
        && new.default_instruction.is_none_or(known)
}

/// The random id of a principal; made when the tenant's word for it is new.
async fn principal(cell: &Cell, room: &Room, word: &str) -> Result<PrincipalId, Refusal> {
    let own = room.ring()?.system(room.control().own_leaf)?;
    let label = own.hmac("LV1-PRN", &[word.as_bytes()]);
    let scope = TenantScope(room.no);
    if let Some(row) = cell.data().find_principal(scope, label).await? {
        return Ok(row.id);
    }
    let id = PrincipalId::make(cell.clock(), cell.entropy())?;
    let row = PrincipalRow {
        id,
        handle: label,
        created_at: cell.clock().now(),
        expires_at: None,
        name: None,
    };
    cell.data().apply(scope, InsertPrincipal { row }).await?;
    // Somebody else may have been first with the same word.
    let row = cell.data().find_principal(scope, label).await?;
    Ok(row.ok_or(Fault::Internal("principal"))?.id)
}

/// The keys of the tenant that live.
///
/// # Errors
/// [`Fault::RoleInsufficient`].
pub async fn list(cell: &Cell, call: &Call) -> Outcome<Vec<KeyView>> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Auditor];
    cell.require_role(&room, call, &roles, LogOperation::KeyCreate, ResourceType::Key).await?;
    let rows = cell.data().list_api_keys(TenantScope(room.no)).await?;
    let live = rows.into_iter().filter(|row| row.revoked_at.is_none());
    Ok(Answer::plain(live.map(|row| view_of(&room, row)).collect()))
}

/// A key as its row has it. With the keys suspended that still works; names wait until they are back.
fn view_of(room: &Room, row: ApiKeyRow) -> KeyView {
    let meta = row
        .meta
        .as_ref()
        .and_then(|m| system::open(room, leadvault_crypto::Kind::Small, row.id.bytes(), m).ok())
        .and_then(|plain| serde_json::from_slice::<KeyMeta>(&plain).ok())
        .unwrap_or(KeyMeta { name: String::new(), principal: String::new() });
    KeyView {
        id: row.id,
        name: meta.name,
        role: row.role,
        principal: meta.principal,
        country: row.country,
        default_instruction: row.default_instruction,
        default_purpose: row.default_purpose,
        datasets: row.datasets,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}

/// Revokes a key: the next call with it is a 401.
///
/// # Errors
/// [`Fault::NotFound`] for an unknown or revoked one; [`Fault::RoleInsufficient`].
pub async fn revoke(cell: &Cell, call: &Call, id: ApiKeyId) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let on = ResourceType::Key;
    cell.require_role(&room, call, &[Role::Controller], LogOperation::KeyRevoke, on).await?;
    let scope = TenantScope(room.no);
    let row = cell.data().find_api_key(scope, id).await?;
    if row.is_none_or(|row| row.revoked_at.is_some()) {
        return Err(cell.not_found_as(&room, call, LogOperation::KeyRevoke, on).await);
    }
    let entry = cell.administrative(call, LogOperation::KeyRevoke, on).resource_id(id);
    let at = cell.clock().now();
    let write: Write = vec![RevokeApiKey { id, at }.into(), BumpState.into()].into();
    let (receipt, _) = cell.commit_write(&room, entry, None, None, write).await?;
    cell.reload(&room).await?;
    Ok(Answer::stamped((), &receipt))
}
