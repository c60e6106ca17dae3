//! Tenants: the operator makes them; each has a key hierarchy and a log of its own from its first entry on.
//!
//! ```text
//! number taken → slot, key store (keys) → rows, control row and entry 0 in one commit → operator log
//! ```
//! A crash before the commit leaves a slot and key-store rows without a tenant; the start sweeps them.

use std::sync::Arc;

use leadvault_crypto::age;
use leadvault_domain::{
    Agreement, ApiKeyId, Country, KeyState, Region, Sensitive, TenantId, TenantState,
};
use leadvault_keys::TenantKeys;
use leadvault_ledger::{LogOperation, Op, ResourceType};
use leadvault_store::{InsertTenant, TenantRow, TenantScope, Write};
use serde::{Deserialize, Serialize};

use crate::api_keys;
use crate::call::{Act, Answer, Call, Outcome};
use crate::cell::Cell;
use crate::control::TenantFacts;
use crate::error::{Fault, Pointed, Refusal};
use crate::idempotency::{self, Made};
use crate::operator;
use crate::room::Room;
use crate::system;

/// Longest name of a tenant or another thing, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 200;

/// Where a tenant's data may lie and be seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantLocations {
    /// At least one.
    pub store: Vec<leadvault_domain::Place>,
    /// At least one.
    pub access: Vec<leadvault_domain::Place>,
}

/// A tenant to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name; sealed at rest.
    pub name: String,
    /// The cell's region.
    pub region: Region,
    /// Where the controller sits.
    pub controller_country: Country,
    /// Where its data may lie and be seen.
    pub locations: TenantLocations,
    /// The agreement in force.
    pub agreement: Agreement,
    /// age recipient of its exports.
    #[serde(default)]
    pub export_recipient: Option<String>,
}

/// A tenant that was made.
#[derive(Debug)]
pub struct MadeTenant {
    /// Its id.
    pub id: TenantId,
    /// Its region.
    pub region: Region,
    /// Origin of its log.
    pub origin: String,
    /// Verifier key of its log.
    pub vkey: String,
    /// Its first key, of role controller.
    pub key: ApiKeyId,
    /// Shown once: absent where a repeated request is answered again.
    pub secret: Option<Sensitive<String>>,
}

/// A tenant as it sees itself.
#[derive(Debug, Clone)]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// Its state.
    pub state: TenantState,
    /// Its region.
    pub region: Region,
    /// The agreement, in force or the last one.
    pub agreement: Agreement,
    /// Whether it is in force.
    pub agreement_in_force: bool,
    /// age recipient of its exports.
    pub export_recipient: Option<String>,
    /// Key provider.
    pub provider: &'static str,
    /// Level of an erasure.
    pub level: &'static str,
    /// Key epoch; `None` while the keys are suspended or gone.
    pub epoch: Option<u32>,
    /// State of the key.
    pub key_state: KeyState,
}

impl NewTenant {
    fn check(&self, cell: &Cell) -> Result<(), Fault> {
        if self.region != *cell.region() {
            return Err(Fault::invalid("#/region", "region_unknown"));
        }
        let mut wrong = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            wrong.push(Pointed::new("#/name", "length"));
        }
        if self.locations.store.is_empty() {
            wrong.push(Pointed::new("#/locations/store", "empty"));
        }
        if self.locations.access.is_empty() {
            wrong.push(Pointed::new("#/locations/access", "empty"));
        }
        if !self.locations.store.iter().any(|p| p.covers(&cell.parts().country.into())) {
            wrong.push(Pointed::new("#/locations/store", "region_elsewhere"));
        }
        check_agreement(&self.agreement, "#/agreement", &mut wrong);
        check_recipient(self.export_recipient.as_deref(), "#/export_recipient", &mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(Fault::Invalid(wrong)) }
    }
}

/// An agreement has an id, a version and a digest.
pub(crate) fn check_agreement(agreement: &Agreement, at: &str, wrong: &mut Vec<Pointed>) {
    for (member, text) in [("id", &agreement.id), ("version", &agreement.version)] {
        if text.is_empty() || text.chars().count() > NAME_CHARS_MAX {
            wrong.push(Pointed::new(format!("{at}/{member}"), "length"));
        }
    }
    let digest = agreement.sha256.len() == 64
        && agreement.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !digest {
        wrong.push(Pointed::new(format!("{at}/sha256"), "not_a_digest"));
    }
}

/// A recipient is an age X25519 public key.
pub(crate) fn check_recipient(recipient: Option<&str>, at: &str, wrong: &mut Vec<Pointed>) {
    if recipient.is_some_and(|r| r.parse::<age::Recipient>().is_err()) {
        wrong.push(Pointed::new(at, "not_a_recipient"));
    }
}

/// Makes a tenant: keys, log, first key.
///
/// # Errors
/// [`Fault::Invalid`] with every place that is wrong.
pub async fn create(cell: &Cell, act: &Act, new: NewTenant) -> Result<MadeTenant, Refusal> {
    let turn = idempotency::begin_act(cell, act, &cell.rooms()).await?;
    if let Some((made, _)) = turn.again() {
        let Made::Tenant { id, key } = made else { return Err(idempotency::other()) };
        return made_before(cell, id, key).await;
    }
    new.check(cell)?;
    let id = TenantId::make(cell.clock(), cell.entropy())?;
    let no = cell.data().reserve_tenant_no().await?;
    cell.parts().log_keys.add_log(no, id);
    let keys = TenantKeys::create(&cell.parts().services, id, no).await?;
    let sealed_name = system::seal_new(cell, &keys, id.bytes(), new.name.trim().as_bytes()).await?;
    let facts = TenantFacts {
        controller_country: new.controller_country,
        locations: new.locations,
        agreement: new.agreement,
        agreement_in_force: true,
        export_recipient: new.export_recipient,
    };
    let at = cell.clock().now();
    let row = TenantRow {
        no,
        id,
        region: cell.region().clone(),
        state: TenantState::Active,
        key_state: KeyState::Active,
        created_at: at,
        facts: facts.to_json()?,
        meta: Some(sealed_name),
    };
    let entry = operator::entry(cell, LogOperation::TenantCreate, ResourceType::Tenant);
    let key = ApiKeyId::make(cell.clock(), cell.entropy())?;
    let mut writes: Vec<Write> = vec![InsertTenant { row }.into()];
    writes.extend(idempotency::record_act(cell, act, &keys, Made::Tenant { id, key }).await?);
    let op = Op {
        log: no,
        entry: entry.clone().resource_id(id).finish()?,
        otherwise: None,
        asserted: None,
        write: Some(writes.into()),
    };
    cell.journal().commit_write(op).await?;
    cell.fail_point("tenant.created");
    operator::record(cell, entry.tenant(Some(id)).resource_id(id)).await?;
    let room = Arc::new(Room::load(cell, id, no, Some(keys)).await?);
    cell.put_room(Arc::clone(&room));
    let secret = api_keys::first_key(cell, &room, key).await?.secret;
    Ok(made_of(cell, id, key, secret))
}

/// The tenant that this very request made before. A crash may have come before its first key, which is
/// then made now.
async fn made_before(cell: &Cell, id: TenantId, key: ApiKeyId) -> Result<MadeTenant, Refusal> {
    let room = cell.room_of(id)?;
    let secret = match cell.data().find_api_key(TenantScope(room.no), key).await? {
        Some(_) => None,
        None => api_keys::first_key(cell, &room, key).await?.secret,
    };
    Ok(made_of(cell, id, key, secret))
}

fn made_of(
    cell: &Cell,
    id: TenantId,
    key: ApiKeyId,
    secret: Option<Sensitive<String>>,
) -> MadeTenant {
    let origin = cell.parts().log_keys.origin(Some(id));
    let vkey = cell.parts().log_keys.vkey(&origin);
    MadeTenant { id, region: cell.region().clone(), vkey, origin, key, secret }
}

/// The tenant as its own key sees it.
///
/// # Errors
/// [`Fault::NotFound`] for a tenant that is not loaded.
pub async fn view(cell: &Cell, call: &Call) -> Outcome<TenantView> {
    let room = cell.room_of(call.caller.tenant)?;
    cell.require_live_key(&room, call)?;
    Ok(Answer::plain(view_of(cell, &room)))
}

/// Every tenant, for the operator: no name, no content.
pub fn list(cell: &Cell) -> Vec<TenantView> {
    let mut rooms = cell.rooms();
    rooms.sort_by_key(|room| room.no);
    rooms.iter().map(|room| view_of(cell, room)).collect()
}

fn view_of(cell: &Cell, room: &Room) -> TenantView {
    let control = room.control();
    TenantView {
        id: room.id,
        state: control.state,
        region: control.region.clone(),
        agreement: control.agreement.clone(),
        agreement_in_force: control.agreement_in_force,
        export_recipient: control.export_recipient.clone(),
        provider: cell.parts().root.provider(),
        level: cell.level().as_str(),
        epoch: room.ring().ok().map(|ring| ring.epoch()),
        key_state: Cell::key_state(room, &control),
    }
}
