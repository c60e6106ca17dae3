//! The header of an age file: one X25519 stanza written, any stanzas read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use leadvault_domain::Entropy;
use zeroize::Zeroizing;

use super::{AgeError, FILE_KEY_BYTES, Identity, Recipient};
use crate::SecretKey;
use crate::hazmat::chacha::ChaCha;
use crate::hazmat::hash::{constant_time_eq, hmac_sha256};
use crate::hazmat::hkdf::extract_and_expand;
use crate::hazmat::x25519;

const VERSION_LINE: &str = "age-encryption.org/v1";
const STANZA: &str = "-> ";
const MAC: &str = "---";
/// Width at which other writers break the body of a stanza.
const BODY_COLUMNS: usize = 64;
/// File key and tag.
const WRAPPED_BYTES: usize = FILE_KEY_BYTES + 16;
/// The key of a stanza wraps one file key, so its nonce is fixed (C2SP age).
const WRAP_NONCE: [u8; 12] = [0; 12];

pub(super) type FileKey = Zeroizing<[u8; FILE_KEY_BYTES]>;

/// Makes a file key and the header that hands it to `recipient`.
pub(super) fn make(
    recipient: &Recipient,
    entropy: &dyn Entropy,
) -> Result<(FileKey, String), AgeError> {
    let mut file_key = FileKey::default();
    entropy.fill(file_key.as_mut_slice())?;
    let ephemeral = SecretKey::make(entropy)?;
    let share = x25519::public_key(&ephemeral);
    let wrap = wrap_key(&ephemeral, &recipient.0, &share, recipient).ok_or(AgeError::Recipient)?;
    let mut body = file_key.to_vec();
    let tag = ChaCha::new(&wrap).seal_in_place(WRAP_NONCE, &mut body);
    body.extend_from_slice(&tag);
    let (share, body) = (BASE64.encode(share), BASE64.encode(body));
    let text = format!("{VERSION_LINE}\n{STANZA}X25519 {share}\n{body}\n{MAC}");
    let mac = BASE64.encode(mac(&file_key, text.as_bytes()));
    Ok((file_key, format!("{text} {mac}\n")))
}

/// Length of the header at the start of `bytes`, once it is all there.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mac_line = bytes.windows(5).position(|w| w == b"\n--- ")? + 1;
    let rest = bytes.get(mac_line..)?;
    Some(mac_line + rest.iter().position(|b| *b == b'\n')? + 1)
}

/// Finds the stanza for `identity` and checks the whole header under the file key it gives.
pub(super) fn open(header: &[u8], identity: &Identity) -> Result<FileKey, AgeError> {
    let text = std::str::from_utf8(header).map_err(|_| AgeError::Header)?;
    let (stanzas, given) = text.rsplit_once("\n--- ").ok_or(AgeError::Header)?;
    let given = given.strip_suffix('\n').and_then(decode::<32>).ok_or(AgeError::Header)?;
    let mut file_key = None;
    for stanza in Stanzas::new(stanzas)? {
        let (args, body) = stanza?;
        if args.first() == Some(&"X25519") && file_key.is_none() {
            file_key = unwrap(&args, &body, identity)?;
        }
    }
    let file_key = file_key.ok_or(AgeError::NoMatch)?;
    let covered = header.get(..stanzas.len() + 1 + MAC.len()).ok_or(AgeError::Header)?;
    if constant_time_eq(&mac(&file_key, covered), &given) {
        Ok(file_key)
    } else {
        Err(AgeError::Mac)
    }
}

/// The file key, where the stanza is for this identity.
fn unwrap(args: &[&str], body: &str, identity: &Identity) -> Result<Option<FileKey>, AgeError> {
    let [_, share] = args else { return Err(AgeError::Header) };
    let share = decode::<32>(share).ok_or(AgeError::Header)?;
    let mut wrapped = Zeroizing::new(decode::<WRAPPED_BYTES>(body).ok_or(AgeError::Header)?);
    let recipient = identity.recipient();
    let Some(wrap) = wrap_key(&identity.0, &share, &share, &recipient) else {
        return Err(AgeError::Header);
    };
    let opened = ChaCha::new(&wrap).open_in_place(WRAP_NONCE, wrapped.as_mut_slice());
    let mut file_key = FileKey::default();
    Ok(opened.ok().map(|plain| {
        file_key.copy_from_slice(plain);
        file_key
    }))
}

/// The key that wraps the file key: from the shared secret of `secret` and `public`.
fn wrap_key(
    secret: &SecretKey,
    public: &[u8; 32],
    share: &[u8; 32],
    recipient: &Recipient,
) -> Option<SecretKey> {
    let shared = x25519::agree(secret, public)?;
    let salt = [*share, recipient.0];
    Some(extract_and_expand(
        salt.as_flattened(),
        shared.as_slice(),
        b"age-encryption.org/v1/X25519",
    ))
}

fn mac(file_key: &[u8; FILE_KEY_BYTES], text: &[u8]) -> [u8; 32] {
    hmac_sha256(extract_and_expand(b"", file_key, b"header").expose(), &[text])
}

/// Canonical Base64 of exactly `N` bytes.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// The stanzas of a header without its last line: arguments and the joined body of each.
struct Stanzas<'t> {
    lines: std::iter::Peekable<std::str::Split<'t, char>>,
}

impl<'t> Stanzas<'t> {
    fn new(text: &'t str) -> Result<Self, AgeError> {
        let mut lines = text.split('\n').peekable();
        if lines.next() == Some(VERSION_LINE) { Ok(Self { lines }) } else { Err(AgeError::Header) }
    }

    /// A body is full lines and one shorter line, which may be empty.
    fn body(&mut self) -> Option<String> {
        let mut body = String::new();
        loop {
            let line = self.lines.next()?;
            let is_base64 =
                line.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
            if !is_base64 || line.len() > BODY_COLUMNS {
                return None;
            }
            body.push_str(line);
            if line.len() < BODY_COLUMNS {
                return Some(body);
            }
        }
    }
}

impl<'t> Iterator for Stanzas<'t> {
    type Item = Result<(Vec<&'t str>, String), AgeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let Some(args) = line.strip_prefix(STANZA) else { return Some(Err(AgeError::Header)) };
        let args: Vec<_> = args.split(' ').collect();
        let printable = |arg: &&str| !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_graphic());
        if !args.iter().all(printable) {
            return Some(Err(AgeError::Header));
        }
        Some(self.body().map(|body| (args, body)).ok_or(AgeError::Header))
    }
}
