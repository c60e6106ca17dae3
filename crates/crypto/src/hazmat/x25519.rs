//! X25519 (RFC 7748) with a kept secret, which ring does not offer: ring's private keys serve once and
//! cannot be read back.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::SecretKey;

/// The public key of a secret.
pub(crate) fn public_key(secret: &SecretKey) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret.expose())).to_bytes()
}

/// The shared secret; nothing where the other side's point is of low order.
pub(crate) fn agree(secret: &SecretKey, public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = StaticSecret::from(*secret.expose()).diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answer_of_rfc_7748_6_1_comes_out() {
        let key = |text: &str| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes).unwrap();
            bytes
        };
        let alice = SecretKey::from_bytes(key(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = key("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(
            hex::encode(public_key(&alice)),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
        );
        assert_eq!(
            hex::encode(*agree(&alice, &bob).unwrap()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        );
    }

    #[test]
    fn a_point_of_low_order_agrees_on_nothing() {
        assert!(agree(&SecretKey::from_bytes([7; 32]), &[0; 32]).is_none());
    }
}
