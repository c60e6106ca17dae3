//! The name of the policy bundle is the digest of its sources.

use std::fs;
use std::path::Path;

use leadvault_policy::policy_version;

/// FIPS 180-4, for this test alone: the product's digests are those of `crypto`, which policy does not
/// know.
fn sha256(message: &[u8]) -> [u8; 32] {
    let primes = |count: usize| (2_u128..).filter(|n| (2..*n).all(|d| n % d != 0)).take(count);
    let k: Vec<u32> = primes(64).map(|p| root_fraction(p, 3)).collect();
    let mut state: Vec<u32> = primes(8).map(|p| root_fraction(p, 2)).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w: Vec<u32> = block
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes(b.try_into().expect("four bytes")))
            .collect();
        for t in 16..64 {
            let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
            let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
            w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for (wt, kt) in w.iter().zip(&k) {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let ch = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7].wrapping_add(s1).wrapping_add(ch).wrapping_add(*kt).wrapping_add(*wt);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0.wrapping_add(maj));
        }
        for (s, v) in state.iter_mut().zip(&v) {
            *s = s.wrapping_add(*v);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|s| s.to_be_bytes()).collect();
    bytes.try_into().expect("32 bytes")
}

/// The first 32 bits of the fraction of a root: the root of `n` shifted left by 32 bits of it.
fn root_fraction(n: u128, degree: u32) -> u32 {
    let scaled = n << (32 * degree);
    let root = (0..40).rev().fold(0_u128, |root, bit| {
        let next = root | 1 << bit;
        if next.pow(degree) <= scaled { next } else { root }
    });
    u32::try_from(root & 0xffff_ffff).expect("32 bits")
}

fn hex8(digest: [u8; 32]) -> String {
    let [a, b, c, d, ..] = digest;
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}

#[test]
fn the_version_is_the_digest_of_the_rules() {
    assert_eq!(hex8(sha256(b"abc")), "ba7816bf", "FIPS 180-4 example");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names: Vec<String> = fs::read_dir(&dir)
        .expect("the sources")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "rs"))
        .filter(|name| name != "version.rs")
        .collect();
    names.sort();
    assert!(names.len() > 20, "control: the sources are there");
    let mut bundle = Vec::new();
    for name in names {
        bundle.extend(name.as_bytes());
        bundle.push(0);
        bundle.extend(fs::read(dir.join(&name)).expect("a source"));
        bundle.push(0);
    }
    let found = hex8(sha256(&bundle));
    assert_eq!(policy_version(), found, "a rule changed: set VERSION in version.rs to {found}");
}
