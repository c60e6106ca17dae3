//! The text of a `Ledger-Receipt`: what parses has one spelling, and nobody's signature verifies.

#![no_main]

use leadvault_crypto::{SecretKey, SigningKey};
use leadvault_ledger::LedgerReceipt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(receipt) = LedgerReceipt::parse(text) else { return };
    assert_eq!(receipt.to_string(), text);
    let silent = SigningKey::from_seed(&SecretKey::from_bytes([9; 32])).verifying_key();
    assert!(receipt.verify("host/t/x", &[0; 32], std::slice::from_ref(&silent)).is_err());
    assert!(receipt.verify_chunk("host/t/x", &[silent]).is_err());
});
