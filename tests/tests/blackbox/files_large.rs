//! A large file goes up and down through little memory.

use std::io::Read;

use leadvault_crypto::Sha256Stream;
use leadvault_tests::kit::Vault;
use serde_json::json;

use crate::files::kit::Files;

/// 64 MiB; with `cargo xtask test --full` 512 MiB, which a debug build seals in a minute.
fn size() -> u64 {
    if std::env::var_os("LEADVAULT_FULL").is_some() { 512 << 20 } else { 64 << 20 }
}

/// What a transfer may add to the largest memory the server ever had, MiB: a few parts of 4 MiB, plain and sealed. Less
/// than the file, so that a server that held it would be found out.
const MORE_MIB: u64 = 48;

/// Bytes that no two chunks share, and that compress to nothing.
struct Counting {
    at: u64,
    end: u64,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let n = left.min(buffer.len());
        for byte in &mut buffer[..n] {
            *byte = (self.at / 251 + self.at).to_le_bytes()[0];
            self.at += 1;
        }
        Ok(n)
    }
}

/// The largest memory the server had so far, MiB.
fn peak_mib(vault: &Vault) -> u64 {
    let path = format!("/proc/{}/status", vault.pid().as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the status of the server");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024
}

#[test]
fn a_large_file_goes_up_and_down_through_little_memory() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let small = files.upload(&lead, "small", vec![7; 5 << 20]);
    assert_eq!(files.fetch(&small, &[]).0, 200);
    let before = peak_mib(&vault);
    let size = size();
    let id = files.make_with(&lead, &json!({ "name": "large", "size": size }));
    let path = format!("/v1/files/{id}/content");
    let stored = files.caller.put_stream(&path, Counting { at: 0, end: size });
    let stored = stored.expect("an answer").expect(200);
    let mut digest = Sha256Stream::new();
    let mut piece = vec![0; 1 << 20];
    let mut whole = Counting { at: 0, end: size };
    while let Ok(n @ 1..) = whole.read(&mut piece) {
        digest.update(&piece[..n]);
    }
    let digest = hex::encode(digest.finish());
    assert_eq!(stored.body["sha256"], json!(digest));
    let (status, bytes, came) = files.caller.digest(&path).expect("it comes to its end");
    assert_eq!((status, bytes), (200, size));
    assert_eq!(hex::encode(came), digest);
    let after = peak_mib(&vault);
    assert!(after.saturating_sub(before) < MORE_MIB, "{before} MiB before, {after} MiB after");
}
