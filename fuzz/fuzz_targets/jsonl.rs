//! JSON Lines of any bytes.

#![no_main]

use leadvault_vault::import::WantedFormat;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| leadvault_fuzz::holds(bytes, WantedFormat::Jsonl));
