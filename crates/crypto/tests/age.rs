//! age files in both directions with another implementation, and what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use std::io::{Read as _, Write as _};

use age::secrecy::ExposeSecret as _;
use leadvault_crypto::SystemEntropy;
use leadvault_crypto::age::{AgeError, Decryptor, Encryptor, Identity, Recipient};

const LENGTHS: [usize; 9] = [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000];

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

/// Encrypts in pieces of `step` bytes.
fn encrypt(recipient: &Recipient, plain: &[u8], step: usize) -> Vec<u8> {
    let (mut out, mut file) = Encryptor::new(recipient, &SystemEntropy).unwrap();
    plain.chunks(step).for_each(|piece| file.push(piece, &mut out));
    file.finish(&mut out);
    out
}

/// Decrypts in pieces of `step` bytes.
fn decrypt(identity: &Identity, bytes: &[u8], step: usize) -> Result<Vec<u8>, AgeError> {
    let mut file = Decryptor::new(identity.clone());
    let mut out = Vec::new();
    for piece in bytes.chunks(step) {
        file.push(piece, &mut out)?;
    }
    file.finish(&mut out)?;
    Ok(out)
}

#[test]
fn what_we_write_the_other_implementation_reads() {
    let theirs = age::x25519::Identity::generate();
    let recipient: Recipient = theirs.to_public().to_string().parse().unwrap();
    for length in LENGTHS {
        for step in [1000, 65_536, 1 << 20] {
            let file = encrypt(&recipient, &text(length), step);
            let reader = age::Decryptor::new(file.as_slice()).unwrap();
            let mut plain = Vec::new();
            let identities = std::iter::once(&theirs as &dyn age::Identity);
            reader.decrypt(identities).unwrap().read_to_end(&mut plain).unwrap();
            assert!(plain == text(length), "{length} in steps of {step}");
        }
    }
}

#[test]
fn what_the_other_implementation_writes_we_read_among_several_recipients() {
    let other = age::x25519::Identity::generate();
    let theirs = age::x25519::Identity::generate();
    let ours: Identity = theirs.to_string().expose_secret().parse().unwrap();
    for length in LENGTHS {
        let recipients = [other.to_public(), theirs.to_public()];
        let writer = age::Encryptor::with_recipients(
            recipients.iter().map(|recipient| recipient as &dyn age::Recipient),
        );
        let mut file = Vec::new();
        let mut writer = writer.unwrap().wrap_output(&mut file).unwrap();
        writer.write_all(&text(length)).unwrap();
        writer.finish().unwrap();
        for step in [1, 777, 65_552, 1 << 20] {
            if step > 1 || length < 2 {
                assert!(decrypt(&ours, &file, step).unwrap() == text(length), "{length}, {step}");
            }
        }
    }
}

fn own_file(length: usize) -> (Identity, Vec<u8>, usize) {
    let identity = Identity::make(&SystemEntropy).unwrap();
    let file = encrypt(&identity.recipient(), &text(length), 1 << 20);
    let payload = file.len() - (length + 16 * length.div_ceil(65_536).max(1)) - 16;
    (identity, file, payload)
}

#[test]
fn a_stranger_opens_nothing() {
    let (_, file, _) = own_file(10);
    let stranger = Identity::make(&SystemEntropy).unwrap();
    assert_eq!(decrypt(&stranger, &file, 100), Err(AgeError::NoMatch));
}

#[test]
fn each_flipped_byte_is_refused() {
    let (identity, file, header) = own_file(100);
    for at in 0..file.len() {
        let mut file = file.clone();
        file[at] ^= 1;
        let error = decrypt(&identity, &file, 1 << 20).unwrap_err();
        assert_eq!(error == AgeError::Payload, at >= header, "byte {at}: {error:?}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_and_so_are_cut_moved_and_added_chunks() {
    let (identity, file, header) = own_file(200_000);
    let (nonce, chunk) = (header + 16, 65_536 + 16);
    let whole = decrypt(&identity, &file, 4096).unwrap();
    assert!(whole == text(200_000));
    for end in [
        0,
        10,
        header - 1,
        header,
        nonce,
        nonce + 5,
        nonce + chunk,
        nonce + 3 * chunk,
        file.len() - 1,
    ] {
        assert!(decrypt(&identity, &file[..end], 4096).is_err(), "cut at {end}");
    }
    let mut swapped = file.clone();
    let (first, second) = swapped[nonce..].split_at_mut(chunk);
    first.swap_with_slice(&mut second[..chunk]);
    assert_eq!(decrypt(&identity, &swapped, 4096), Err(AgeError::Payload));
    for extra in [1, 16, 17] {
        let longer = [file.as_slice(), &vec![0; extra]].concat();
        assert_eq!(decrypt(&identity, &longer, 4096), Err(AgeError::Payload), "{extra} more");
    }
    let dropped = [&file[..nonce], &file[nonce + chunk..]].concat();
    assert_eq!(decrypt(&identity, &dropped, 4096), Err(AgeError::Payload));
}

#[test]
fn what_is_no_header_is_refused_early() {
    let identity = Identity::make(&SystemEntropy).unwrap();
    let mut file = Decryptor::new(identity.clone());
    let mut out = Vec::new();
    assert_eq!(file.push(&vec![b'a'; 20_000], &mut out), Err(AgeError::Header));
    for text in [
        "age-encryption.org/v2\n-> X25519 AA\nAA\n--- AA\n0123456789abcdef0123456789abcdef",
        "age-encryption.org/v1\r\n-> X25519 AA\nAA\n--- AA\n0123456789abcdef0123456789abcdef",
        "age-encryption.org/v1\n-> X25519\n\n--- AA\n0123456789abcdef0123456789abcdef",
        "age-encryption.org/v1\n-> scrypt a b\nAA\n--- AA\n0123456789abcdef0123456789abcdef",
        "\n--- \n0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(decrypt(&identity, text.as_bytes(), 1 << 20), Err(AgeError::Header), "{text}");
    }
}

#[test]
fn a_recipient_of_low_order_is_refused() {
    // All zeros, as any tool would write it.
    let zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    let recipient: Recipient = zero.parse().unwrap();
    assert_eq!(Encryptor::new(&recipient, &SystemEntropy).err(), Some(AgeError::Recipient));
}
