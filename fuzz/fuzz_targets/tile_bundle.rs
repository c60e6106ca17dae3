//! An entry bundle and a tile path of any bytes: what decodes encodes to the same bytes.

#![no_main]

use leadvault_ledger::tile::{TilePath, decode_bundle, encode_bundle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(entries) = decode_bundle(bytes) {
        assert_eq!(encode_bundle(entries).as_deref(), Some(bytes));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = TilePath::parse(text);
    }
});
