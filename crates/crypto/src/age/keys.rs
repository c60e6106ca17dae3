//! Recipients (`age1…`) and identities (`AGE-SECRET-KEY-1…`), Bech32 (BIP 173).

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use leadvault_domain::{Entropy, EntropyFailed};
use zeroize::Zeroizing;

use crate::SecretKey;
use crate::hazmat::x25519;

const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age");
const IDENTITY_HRP: Hrp = Hrp::parse_unchecked("age-secret-key-");

/// Text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an age X25519 key")]
pub struct KeyTextError;

/// A public key that a file can be encrypted to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipient(pub(super) [u8; 32]);

impl FromStr for Recipient {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let key = decode(text, RECIPIENT_HRP)?;
        let recipient = Self(*key);
        // Compared with its own text: no capitals, no stray bits in the last character.
        if recipient.to_string() == text { Ok(recipient) } else { Err(KeyTextError) }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32, _>(f, RECIPIENT_HRP, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// A private key that opens files.
#[derive(Debug, Clone)]
pub struct Identity(pub(super) SecretKey);

impl Identity {
    /// Draws a fresh identity.
    ///
    /// # Errors
    /// [`EntropyFailed`] when the system has no randomness to give.
    pub fn make(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        SecretKey::make(entropy).map(Self)
    }

    /// The public side.
    pub fn recipient(&self) -> Recipient {
        Recipient(x25519::public_key(&self.0))
    }

    /// The text form, to be shown once to its owner.
    #[expect(clippy::expect_used, reason = "Bech32 refuses texts above 1,023 characters only")]
    pub fn expose(&self) -> Zeroizing<String> {
        let text = bech32::encode_upper::<Bech32>(IDENTITY_HRP, self.0.expose());
        Zeroizing::new(text.expect("the text has 74 characters"))
    }
}

impl FromStr for Identity {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let identity = Self(SecretKey::from_bytes(*decode(text, IDENTITY_HRP)?));
        if *identity.expose() == text { Ok(identity) } else { Err(KeyTextError) }
    }
}

fn decode(text: &str, hrp: Hrp) -> Result<Zeroizing<[u8; 32]>, KeyTextError> {
    let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| KeyTextError)?;
    let mut key = Zeroizing::new([0; 32]);
    let mut bytes = checked.byte_iter();
    for byte in key.iter_mut() {
        *byte = bytes.next().ok_or(KeyTextError)?;
    }
    if checked.hrp() == hrp && bytes.next().is_none() { Ok(key) } else { Err(KeyTextError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn keys_read_back_from_their_text_and_other_tools_read_it_too() {
        let identity = Identity::make(&SystemEntropy).unwrap();
        let text = identity.expose();
        let recipient = identity.recipient().to_string();
        assert_eq!(text.parse::<Identity>().unwrap().recipient(), identity.recipient());
        assert_eq!(recipient.parse::<Recipient>(), Ok(identity.recipient()));
        let theirs: age::x25519::Identity = text.parse().unwrap();
        assert_eq!(theirs.to_public().to_string(), recipient);
    }

    #[test]
    fn altered_swapped_and_recased_texts_are_refused() {
        let identity = Identity::make(&SystemEntropy).unwrap();
        let (secret, public) = (identity.expose(), identity.recipient().to_string());
        assert_eq!(public.to_uppercase().parse::<Recipient>(), Err(KeyTextError));
        assert!(secret.to_lowercase().parse::<Identity>().is_err());
        assert!(public.parse::<Identity>().is_err() && secret.parse::<Recipient>().is_err());
        for at in 4..public.len() {
            let mut text = public.clone();
            let other = if text.as_bytes()[at] == b'q' { "p" } else { "q" };
            text.replace_range(at..=at, other);
            assert_eq!(text.parse::<Recipient>(), Err(KeyTextError), "{text}");
        }
    }
}
