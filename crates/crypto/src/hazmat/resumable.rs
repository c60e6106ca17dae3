//! SHA-256 whose state can be kept and taken up by another process: the digest of an upload that goes on after a
//! restart. ring keeps its state to itself, so this one is of the `sha2` crate.

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use zeroize::Zeroizing;

/// SHA-256 over bytes that arrive in pieces, at any time.
#[derive(Clone, Default)]
pub struct Sha256Resumable(sha2::Sha256);

impl Sha256Resumable {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Gives the hash of everything taken.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The state, from which [`Sha256Resumable::from_bytes`] goes on. Its end is bytes of the message, up to 63.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize().to_vec())
    }

    /// Goes on from a state; `None` for bytes that are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let state = SerializedState::<sha2::Sha256>::try_from(bytes).ok()?;
        sha2::Sha256::deserialize(&state).ok().map(Self)
    }
}

impl std::fmt::Debug for Sha256Resumable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256Resumable(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sha256;

    proptest! {
        #[test]
        fn a_digest_that_was_put_aside_is_that_of_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0..300_usize, 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut digest = Sha256Resumable::default();
            let mut from = 0;
            for cut in cuts {
                digest.update(&bytes[from..cut]);
                digest = Sha256Resumable::from_bytes(&digest.to_bytes()).unwrap();
                from = cut;
            }
            digest.update(&bytes[from..]);
            prop_assert_eq!(digest.finish(), sha256(&[&bytes]));
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = Sha256Resumable::default().to_bytes();
        assert!(Sha256Resumable::from_bytes(&state[1..]).is_none());
        assert!(Sha256Resumable::from_bytes(&[]).is_none());
    }
}
