//! API keys: `lv_live_<region>_<tenant number>_<key id>_<secret>`, and the operator's `lv_op_<secret>`.
//!
//! Region and tenant stand in the key, so that a request for another region is turned away, and the row
//! scope is known, before anything of a tenant is read (protocols.md 5). The secret is 256 random bits;
//! what is stored is its SHA-256 under a label, which needs no slow hash.

use leadvault_crypto::{constant_time_eq, sha256};
use leadvault_domain::{ApiKeyId, Caller, Entropy, EntropyFailed, Region, Sensitive, TenantNo};

const TENANT_PREFIX: &str = "lv_live_";
const OPERATOR_PREFIX: &str = "lv_op_";
/// Characters of a secret: 32 bytes in hexadecimal.
const SECRET_CHARS: usize = 64;
/// A longer header cannot be one of our keys.
const BEARER_CHARS_MAX: usize = 256;

/// When a credential must be proven to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Before anything is done.
    Now,
    /// At the commit without which the call releases nothing: it asserts the generation of the control state.
    AtCommit,
}

/// Who showed a credential.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A key of a tenant.
    Tenant(Box<Caller>),
    /// The operator's key: makes and lists tenants, drafts and challenges; reads no tenant content.
    Operator,
}

/// A tenant's key as it is written, taken apart. Nothing is known yet of its being genuine.
#[derive(Debug)]
pub(crate) struct ShownKey {
    pub(crate) region: Region,
    pub(crate) tenant: TenantNo,
    pub(crate) key: ApiKeyId,
    pub(crate) secret_hash: [u8; 32],
}

impl ShownKey {
    /// Takes a bearer token apart; `None` if it is not of the form.
    pub(crate) fn parse(bearer: &str) -> Option<Self> {
        if bearer.len() > BEARER_CHARS_MAX {
            return None;
        }
        let mut parts = bearer.strip_prefix(TENANT_PREFIX)?.splitn(4, '_');
        let region = parts.next()?.parse().ok()?;
        let tenant = parts.next().filter(|t| t.len() == 8)?;
        let tenant = TenantNo(u32::from_str_radix(tenant, 16).ok()?);
        let key = format!("{}_{}", ApiKeyId::PREFIX, parts.next()?).parse().ok()?;
        let secret = parts.next().filter(|s| s.len() == SECRET_CHARS)?;
        Some(Self { region, tenant, key, secret_hash: hash(secret) })
    }
}

/// Makes a tenant's key: the text to show once, and the hash to store.
///
/// # Errors
/// [`EntropyFailed`] without randomness.
pub(crate) fn make_key(
    region: &Region,
    tenant: TenantNo,
    key: ApiKeyId,
    entropy: &dyn Entropy,
) -> Result<(Sensitive<String>, [u8; 32]), EntropyFailed> {
    let secret = make_secret(entropy)?;
    let id = key.to_string();
    let id = id.strip_prefix("key_").unwrap_or(&id);
    let text = format!("{TENANT_PREFIX}{region}_{:08x}_{id}_{}", tenant.0, secret.expose());
    Ok((text.into(), hash(secret.expose())))
}

/// Makes an operator's key.
///
/// # Errors
/// [`EntropyFailed`] without randomness.
pub fn make_operator_key(entropy: &dyn Entropy) -> Result<Sensitive<String>, EntropyFailed> {
    let secret = make_secret(entropy)?;
    Ok(format!("{OPERATOR_PREFIX}{}", secret.expose()).into())
}

impl Credential {
    /// Whether a text has the form of an operator's key. One that has not would be no secret.
    pub fn is_operator_key(text: &str) -> bool {
        let secret = text.trim().strip_prefix(OPERATOR_PREFIX);
        secret.is_some_and(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

/// The hash of the operator's key, as the cell keeps it in memory.
pub fn operator_key_hash(key: &str) -> [u8; 32] {
    hash(key.trim())
}

/// Whether a bearer token is the operator's.
pub(crate) fn is_operator(bearer: &str, stored: &[u8; 32]) -> bool {
    bearer.starts_with(OPERATOR_PREFIX) && constant_time_eq(&hash(bearer), stored)
}

fn make_secret(entropy: &dyn Entropy) -> Result<Sensitive<String>, EntropyFailed> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    entropy.fill(bytes.as_mut_slice())?;
    Ok(hex::encode(bytes.as_slice()).into())
}

fn hash(secret: &str) -> [u8; 32] {
    sha256(&[b"LV1-KEY\0", secret.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
            for (byte, n) in bytes.iter_mut().zip(0_u8..) {
                *byte = n;
            }
            Ok(())
        }
    }

    #[test]
    fn a_key_reads_back_what_it_was_made_of() {
        let region: Region = "eu-west".parse().unwrap();
        let id = ApiKeyId::from_bytes([7; 16]);
        let (text, stored) = make_key(&region, TenantNo(0xbeef), id, &Counting).unwrap();
        let shown = ShownKey::parse(text.expose()).unwrap();
        assert_eq!((shown.region, shown.tenant, shown.key), (region, TenantNo(0xbeef), id));
        assert_eq!(shown.secret_hash, stored);
    }

    #[test]
    fn other_forms_are_no_keys() {
        for bad in ["", "lv_live_", "lv_live_local_0001_x_y", "lv_op_00", "lv_live_local_00000001"]
        {
            assert!(ShownKey::parse(bad).is_none(), "{bad}");
        }
        let operator = make_operator_key(&Counting).unwrap();
        assert!(Credential::is_operator_key(operator.expose()));
        assert!(!Credential::is_operator_key("lv_op_short"));
        let stored = operator_key_hash(operator.expose());
        assert!(is_operator(operator.expose(), &stored));
        assert!(!is_operator("lv_op_other", &stored));
    }
}
