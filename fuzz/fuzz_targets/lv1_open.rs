//! A sealed container of any bytes: no panic, and nothing opens that was not sealed under this key.

#![no_main]

use leadvault_crypto::{Context, Header, Kind, SecretKey, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|blob: &[u8]| {
    let key = SecretKey::from_bytes([7; 32]);
    let context = Context { tenant: [1; 16], dataset: [2; 16], record: [3; 16] };
    for kind in [Kind::Compartment, Kind::Chunk, Kind::Page] {
        let header = Header { kind, schema: 1, compartment: 1, revision: 1, tree: 1, leaf: 5 };
        assert!(open(&key, &header, &context, blob).is_err());
    }
});
