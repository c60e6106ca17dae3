//! The key above all others: wraps a tenant's KEK and the log's signing key, and never leaves its provider.

use leadvault_crypto::{Context, Header, Kind, SecretKey};
use leadvault_domain::TenantId;

use crate::Assurance;

/// Why the root provider did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Not reachable; tried again later it may work. Never answered with another key.
    #[error("the root key provider is not reachable")]
    Unavailable,
    /// The provider refuses: disabled, or no permission.
    #[error("the root key is disabled at its provider")]
    Disabled,
    /// The wrap does not open in this context.
    #[error("the wrapped key does not open")]
    Unopenable,
    /// The key file can be read by others.
    #[error("the root key file is open to group or others")]
    Mode,
    /// The key file is not 32 bytes, raw or hex.
    #[error("the root key file holds no key")]
    Malformed,
    /// A key file exists where a new one was to be made.
    #[error("the root key file exists")]
    Exists,
}

/// What a wrapped key is for; the number stands in the header of the wrap (crypto.md 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WrapPurpose {
    /// A tenant's KEK.
    TenantKek,
    /// The cell's log signing key.
    LogSigningKey,
}

impl WrapPurpose {
    /// Purpose code.
    pub const fn code(self) -> u16 {
        match self {
            Self::TenantKek => 1,
            Self::LogSigningKey => 6,
        }
    }

    /// The word that providers are told (`lv:purpose`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantKek => "tenant-kek",
            Self::LogSigningKey => "log-signing-key",
        }
    }
}

/// What a wrap is bound to. Nothing in it is secret or personal: providers log it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapContext {
    /// The tenant; `None` for a key of the cell.
    pub tenant: Option<TenantId>,
    /// What the key is for.
    pub purpose: WrapPurpose,
    /// Its generation, from 1.
    pub generation: u32,
}

impl WrapContext {
    /// Of a tenant's KEK.
    pub const fn tenant_kek(tenant: TenantId, generation: u32) -> Self {
        Self { tenant: Some(tenant), purpose: WrapPurpose::TenantKek, generation }
    }

    /// Of the cell's log signing key.
    pub const fn log_signing_key(generation: u32) -> Self {
        Self { tenant: None, purpose: WrapPurpose::LogSigningKey, generation }
    }

    /// Header of the LV1 wrap that lies inside every provider's own.
    pub const fn header(&self) -> Header {
        Header {
            kind: Kind::Wrap,
            schema: 1,
            compartment: self.purpose.code(),
            revision: self.generation,
            tree: 0,
            leaf: 0,
        }
    }

    /// Ids the LV1 wrap is bound to: the tenant, else zeros.
    pub fn context(&self) -> Context {
        let tenant = self.tenant.map_or([0; 16], TenantId::bytes);
        Context { tenant, dataset: [0; 16], record: [0; 16] }
    }
}

/// A root key provider. `kms` implements it.
#[async_trait::async_trait]
pub trait RootKey: Send + Sync + 'static {
    /// Wraps a key.
    async fn wrap(&self, context: &WrapContext, plain: &SecretKey) -> Result<Vec<u8>, RootError>;

    /// Unwraps a key.
    ///
    /// # Errors
    /// [`RootError::Unopenable`] for a wrap of another context.
    async fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<SecretKey, RootError>;

    /// Whether a wrap would work now.
    async fn health(&self) -> Result<(), RootError>;

    /// The best level an erasure can have under this root.
    fn level(&self) -> Assurance;

    /// Name of the provider, for receipts and `doctor`.
    fn provider(&self) -> &'static str;

    /// How often a key of this tenant was unwrapped since the node started, for the `stats` of its log. A
    /// provider that does not count says 0.
    fn unwraps(&self, _tenant: TenantId) -> u64 {
        0
    }
}
