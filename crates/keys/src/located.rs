//! One leaf key, and the three things it may do: name, seal, and open under a receipt.
//!
//! *No log, no key* (protocols.md 3): a [`Located`] seals without asking, for nothing leaves by sealing.
//! It becomes an [`Opener`] only against a [`CommittedReceipt`] that names its lead, is at most one second
//! old, and was committed at an epoch this snapshot knows. The leaf key itself has no way out:
//!
//! ```
//! fn name(located: &leadvault_keys::Located) -> leadvault_crypto::LeadRef {
//!     located.reference()
//! }
//! ```
//! ```compile_fail,E0616
//! fn name(located: &leadvault_keys::Located) -> leadvault_crypto::SecretKey {
//!     located.key
//! }
//! ```

use leadvault_crypto::{Context, Header, Kind, LeadRef, SecretKey, lead_ref, open, seal};
use leadvault_domain::{Compartment, Entropy, LeadId, LeafAddress, TenantId, TenantNo, Timestamp};
use leadvault_ledger::{CommittedReceipt, OPERATOR_LOG};
use zeroize::Zeroizing;

use crate::{KeyError, NotCovered};

/// How long a receipt opens, in microseconds.
const RECEIPT_LIFE_MICROS: i64 = 1_000_000;

/// Whose keys these are, and as of when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) no: TenantNo,
    pub(crate) dataset: [u8; 16],
    pub(crate) epoch: u32,
}

impl Owner {
    /// Whether the receipt stands in the right log, is young enough, and this snapshot is not behind it.
    ///
    /// A gagged access is committed to the operator's log, whose key epoch says nothing of the tenant's.
    pub(crate) fn check(&self, r: &CommittedReceipt, now: Timestamp) -> Result<(), NotCovered> {
        let own = r.log() == self.no;
        if !own && r.log() != OPERATOR_LOG {
            return Err(NotCovered::OtherLog);
        }
        if now.micros().saturating_sub(r.committed_at().micros()) > RECEIPT_LIFE_MICROS {
            return Err(NotCovered::TooOld);
        }
        if own && self.epoch < r.key_epoch() {
            return Err(NotCovered::SnapshotBehind {
                snapshot: self.epoch,
                receipt: r.key_epoch(),
            });
        }
        Ok(())
    }

    /// Whether the receipt's entry names this lead. Ranges carry no tenant, so they count only in the
    /// tenant's own log.
    pub(crate) fn names(&self, r: &CommittedReceipt, at: LeafAddress, reference: &LeadRef) -> bool {
        r.covers(reference) || (r.log() == self.no && r.covers_leaf(at))
    }
}

/// A live leaf that was found. Names and seals; opens under a receipt.
pub struct Located {
    owner: Owner,
    at: LeafAddress,
    key: SecretKey,
}

impl Located {
    pub(crate) const fn new(owner: Owner, at: LeafAddress, key: SecretKey) -> Self {
        Self { owner, at, key }
    }

    /// Where the leaf is.
    pub const fn at(&self) -> LeafAddress {
        self.at
    }

    /// The lead's name in the log: one-way, 16 bytes, opens nothing.
    pub fn reference(&self) -> LeadRef {
        lead_ref(&self.key, &self.owner.tenant.bytes(), &self.owner.dataset)
    }

    /// Seals compartments of the lead.
    pub const fn sealer(&self) -> Sealer<'_> {
        Sealer(self)
    }

    /// Becomes an opener, if `receipt` is that of an entry that names this lead.
    ///
    /// ```
    /// fn release(
    ///     located: leadvault_keys::Located,
    ///     receipt: &leadvault_ledger::CommittedReceipt,
    ///     now: leadvault_domain::Timestamp,
    /// ) -> Result<leadvault_keys::Opener, leadvault_keys::NotCovered> {
    ///     located.open(receipt, now)
    /// }
    /// ```
    /// ```compile_fail,E0061
    /// fn release(
    ///     located: leadvault_keys::Located,
    ///     receipt: &leadvault_ledger::CommittedReceipt,
    ///     now: leadvault_domain::Timestamp,
    /// ) -> Result<leadvault_keys::Opener, leadvault_keys::NotCovered> {
    ///     located.open(now)
    /// }
    /// ```
    /// An opener cannot be built by hand either:
    /// ```compile_fail,E0451
    /// fn release(at: leadvault_domain::LeafAddress, genuine: leadvault_keys::Opener) {
    ///     let _ = leadvault_keys::Opener { at, ..genuine };
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotCovered`]; on [`NotCovered::SnapshotBehind`] take the keyring again and locate again.
    pub fn open(self, receipt: &CommittedReceipt, now: Timestamp) -> Result<Opener, NotCovered> {
        self.owner.check(receipt, now)?;
        let reference = self.reference();
        if !self.owner.names(receipt, self.at, &reference) {
            return Err(NotCovered::NotNamed);
        }
        Ok(Opener { owner: self.owner, at: self.at, key: self.key })
    }
}

/// Seals compartments of one lead. It cannot open:
///
/// ```
/// fn write(sealer: leadvault_keys::Sealer<'_>, lead: leadvault_domain::LeadId, e: &dyn leadvault_domain::Entropy) {
///     let _ = sealer.seal(lead, 1, leadvault_domain::Compartment::CONTACT, 1, b"", e);
/// }
/// ```
/// ```compile_fail,E0599
/// fn write(sealer: leadvault_keys::Sealer<'_>, lead: leadvault_domain::LeadId, e: &dyn leadvault_domain::Entropy) {
///     let _ = sealer.open(lead, 1, leadvault_domain::Compartment::CONTACT, 1, b"");
/// }
/// ```
pub struct Sealer<'a>(&'a Located);

impl Sealer<'_> {
    /// Seals one compartment at one revision.
    ///
    /// # Errors
    /// [`KeyError::Unsealable`] for a plaintext above the container's limit or without randomness.
    pub fn seal(
        &self,
        record: LeadId,
        schema: u16,
        compartment: Compartment,
        revision: u32,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyError> {
        let Located { owner, at, key } = self.0;
        let header = lead_header(*at, schema, compartment, revision);
        seal(key, &header, &lead_context(owner, record), plain, entropy)
            .map_err(|_| KeyError::Unsealable)
    }
}

/// Opens compartments of one lead; lives at most one request.
pub struct Opener {
    owner: Owner,
    at: LeafAddress,
    key: SecretKey,
}

impl Opener {
    pub(crate) const fn new(owner: Owner, at: LeafAddress, key: SecretKey) -> Self {
        Self { owner, at, key }
    }

    /// Where the leaf is.
    pub const fn at(&self) -> LeafAddress {
        self.at
    }

    /// The lead's name in the log.
    pub fn reference(&self) -> LeadRef {
        lead_ref(&self.key, &self.owner.tenant.bytes(), &self.owner.dataset)
    }

    /// Opens one compartment at one revision.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`]; which check failed is not told.
    pub fn open(
        &self,
        record: LeadId,
        schema: u16,
        compartment: Compartment,
        revision: u32,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let header = lead_header(self.at, schema, compartment, revision);
        open(&self.key, &header, &lead_context(&self.owner, record), blob)
            .map_err(|_| KeyError::Unopenable)
    }
}

fn lead_header(at: LeafAddress, schema: u16, compartment: Compartment, revision: u32) -> Header {
    Header {
        kind: Kind::Compartment,
        schema,
        compartment: compartment.0,
        revision,
        tree: at.tree,
        leaf: at.leaf,
    }
}

fn lead_context(owner: &Owner, record: LeadId) -> Context {
    Context { tenant: owner.tenant.bytes(), dataset: owner.dataset, record: record.bytes() }
}

macro_rules! opaque {
    ($($name:ty),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
pub(crate) use opaque;
opaque!(Located, Sealer<'_>, Opener);
