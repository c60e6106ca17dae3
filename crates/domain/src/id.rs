//! The registry of ids: a prefix, `_`, and 26 characters of lower-case Crockford base32 of a `UUIDv7`
//! (`TypeID`, surfaces.md). Each kind is a type of its own, so two ids cannot change places.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Clock, Entropy, EntropyFailed};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is not an id of the wanted kind. The text itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct IdError;

fn encode(id: Uuid) -> [u8; 26] {
    let mut n = id.as_u128();
    let mut out = [b'0'; 26];
    for place in out.iter_mut().rev() {
        let digit = u8::try_from(n & 31).unwrap_or(0);
        *place = ALPHABET[usize::from(digit)];
        n >>= 5;
    }
    out
}

fn decode(text: &str) -> Result<Uuid, IdError> {
    if text.len() != 26 {
        return Err(IdError);
    }
    let mut n: u128 = 0;
    for (i, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == byte).ok_or(IdError)?;
        if i == 0 && digit > 7 {
            return Err(IdError);
        }
        n = (n << 5) | u128::try_from(digit).map_err(|_| IdError)?;
    }
    Ok(Uuid::from_u128(n))
}

/// A `UUIDv7` from the clock and the entropy that were passed in.
fn make_uuid(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Uuid, EntropyFailed> {
    let mut random = [0_u8; 10];
    entropy.fill(&mut random)?;
    Ok(uuid::Builder::from_unix_timestamp_millis(clock.now().millis(), &random).into_uuid())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// From a UUID that is known to be of this kind (a row, a crypto context).
            pub const fn from_uuid(id: Uuid) -> Self { Self(id) }

            /// From the 16 raw bytes of a UUID that is known to be of this kind.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(Uuid::from_bytes(bytes)) }

            /// A new id (`UUIDv7`).
            ///
            /// # Errors
            /// [`EntropyFailed`] without randomness.
            pub fn make(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
                make_uuid(clock, entropy).map(Self)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid { self.0 }

            /// The 16 raw bytes, as crypto contexts carry them.
            pub const fn bytes(self) -> [u8; 16] { self.0.into_bytes() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = encode(self.0);
                f.write_str($prefix)?;
                f.write_str("_")?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or(IdError)?;
                decode(rest).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(|_| serde::de::Error::custom(concat!("not a ", $prefix, "_ id")))
            }
        }
    )*};
}

ids! {
    /// A tenant: one controller.
    TenantId = "tn";
    /// An API key (its name, not its secret).
    ApiKeyId = "key";
    /// A dataset of a tenant.
    DatasetId = "ds";
    /// A lead.
    LeadId = "ct";
    /// An instruction (all its versions).
    InstructionId = "ins";
    /// An import batch.
    ImportId = "imp";
    /// An export.
    ExportId = "exp";
    /// A long-running operation.
    OperationId = "op";
    /// A notice to the tenant.
    NoticeId = "ntc";
    /// One HTTP request.
    RequestId = "req";
    /// A person behind keys; random, resolved through a table that expires.
    PrincipalId = "usr";
    /// A service of the operator.
    ServiceId = "svc";
    /// A deletion certificate.
    CertificateId = "dc";
    /// An attachment.
    FileId = "file";
    /// A recipient in the register.
    RecipientId = "rcp";
    /// A key-store directory (never shown outside).
    DirectoryId = "dir";
    /// A key-store page (never shown outside).
    PageId = "pg";
    /// An erasable slot (never shown outside).
    SlotId = "slot";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_typeid_specification() {
        // https://github.com/jetify-com/typeid/blob/main/spec/valid.yml: "valid-alphabet", "valid-uuidv7".
        let cases = [
            ("0110c853-1d09-52d8-d73e-1194e95b5f19", "0123456789abcdefghjkmnpqrs"),
            ("01890a5d-ac96-774b-bcce-b302099a8057", "01h455vb4pex5vsknk084sn02q"),
        ];
        for (uuid, text) in cases {
            let id = LeadId::from_uuid(uuid.parse().unwrap_or_default());
            assert_eq!(id.to_string(), format!("ct_{text}"));
            assert_eq!(format!("ct_{text}").parse(), Ok(id));
        }
    }

    #[test]
    fn other_prefixes_lengths_and_letters_are_refused() {
        for bad in [
            "tn_01h455vb4pex5vsknk084sn02q",
            "ct_01H455VB4PEX5VSKNK084SN02Q",
            "ct_81h455vb4pex5vsknk084sn02q",
            "ct_01h455vb4pex5vsknk084sn02",
            "ct_01h455vb4pex5vsknk084sn02l",
            "ct01h455vb4pex5vsknk084sn02q",
            "",
        ] {
            assert_eq!(bad.parse::<LeadId>(), Err(IdError), "{bad}");
        }
    }
}
