//! Keys that were found genuine, kept as long as the control state they were found under.
//!
//! Revoking a key moves `state_gen` (protocols.md 4), so a key that is recalled under a generation was not revoked
//! before it. Whether that generation is still the present one is known at once where one process has the cell to
//! itself. On several nodes it is known at the commit, which asserts it: there a key is recalled for those calls
//! alone that release nothing without one ([`crate::Proof::AtCommit`]).

use std::collections::HashMap;

use leadvault_crypto::constant_time_eq;
use leadvault_domain::{ApiKeyId, Caller, Timestamp};

use crate::credential::ShownKey;

/// The keys of one tenant, all of one generation.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    state_gen: u32,
    keys: HashMap<ApiKeyId, Genuine>,
}

/// A key as it was found.
#[derive(Debug)]
struct Genuine {
    secret_hash: [u8; 32],
    expires_at: Option<Timestamp>,
    caller: Caller,
}

impl Recalled {
    /// Who shows a key that was found genuine under this generation.
    pub(crate) fn find(&self, shown: &ShownKey, state_gen: u32, now: Timestamp) -> Option<Caller> {
        let known = self.keys.get(&shown.key).filter(|_| self.state_gen == state_gen)?;
        let lives = known.expires_at.is_none_or(|end| end > now);
        let genuine = constant_time_eq(&known.secret_hash, &shown.secret_hash);
        (lives && genuine).then(|| known.caller.clone())
    }

    /// Keeps a genuine key, and those of its generation alone. Bounded by the keys a tenant may have.
    pub(crate) fn keep(
        &mut self,
        shown: &ShownKey,
        state_gen: u32,
        expires_at: Option<Timestamp>,
        caller: &Caller,
    ) {
        if self.state_gen != state_gen {
            self.keys.clear();
            self.state_gen = state_gen;
        }
        let (secret_hash, caller) = (shown.secret_hash, caller.clone());
        self.keys.insert(shown.key, Genuine { secret_hash, expires_at, caller });
    }
}

#[cfg(test)]
mod tests {
    use leadvault_domain::{Employer, PrincipalId, Role, TenantId, TenantNo};

    use super::*;

    fn shown(secret: u8) -> ShownKey {
        ShownKey {
            region: "local".parse().unwrap(),
            tenant: TenantNo(1),
            key: ApiKeyId::from_bytes([7; 16]),
            secret_hash: [secret; 32],
        }
    }

    fn caller() -> Caller {
        Caller {
            tenant: TenantId::from_bytes([1; 16]),
            key: ApiKeyId::from_bytes([7; 16]),
            principal: PrincipalId::from_bytes([2; 16]),
            role: Role::Reader,
            employer: Employer::Tenant,
            country: "DE".parse().unwrap(),
            default_instruction: None,
            default_purpose: None,
            datasets: None,
        }
    }

    #[test]
    fn a_key_is_recalled_under_its_generation_by_its_secret_and_until_its_end() {
        let at = |seconds| Timestamp::from_micros(0).plus_seconds(seconds);
        let mut recalled = Recalled::default();
        recalled.keep(&shown(1), 5, Some(at(10)), &caller());
        assert!(recalled.find(&shown(1), 5, at(9)).is_some());
        assert!(recalled.find(&shown(1), 6, at(9)).is_none(), "something moved: ask");
        assert!(recalled.find(&shown(2), 5, at(9)).is_none(), "another secret");
        assert!(recalled.find(&shown(1), 5, at(10)).is_none(), "it has ended");
        recalled.keep(&shown(2), 6, None, &caller());
        assert!(recalled.find(&shown(1), 5, at(9)).is_none(), "one generation at a time");
    }
}
