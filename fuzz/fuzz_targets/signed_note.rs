//! A checkpoint of any bytes, under any verifier key the input names: no panic, and the key of somebody
//! who signed nothing verifies nothing.

#![no_main]

use leadvault_crypto::{SecretKey, SigningKey};
use leadvault_ledger::note::Note;
use leadvault_ledger::{Checkpoint, Vkey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let silent = SigningKey::from_seed(&SecretKey::from_bytes([9; 32])).verifying_key();
    let _ = Vkey::parse(&String::from_utf8_lossy(bytes));
    let Ok(note) = Note::parse(bytes) else { return };
    let origin = note.text().lines().next().unwrap_or_default();
    if let Ok(key) = Vkey::new(origin, silent) {
        assert!(Checkpoint::open(bytes, &[key]).is_err());
    }
});
