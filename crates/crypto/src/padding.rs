//! Padding of record kinds: ISO/IEC 7816-4 (`80 00 …`) up to a bucket.
//!
//! Buckets are 256, 512, 1024, 2048, 4096 bytes and multiples of 4096, so that the length of an ordinary
//! lead says at most three bits. Nothing is ever compressed before it is padded (crypto.md 1.5).

/// Buckets below the point where multiples of the last one take over.
const BUCKETS: [usize; 5] = [256, 512, 1024, 2048, 4096];
/// Step above the last bucket.
const STEP_BYTES: usize = 4096;
/// First byte of the padding; the rest is zero.
const MARK: u8 = 0x80;

/// Length of `plain` bytes after padding: the smallest bucket that leaves room for the mark.
pub fn padded_len(plain: usize) -> usize {
    let need = plain.saturating_add(1);
    BUCKETS
        .into_iter()
        .find(|bucket| need <= *bucket)
        .unwrap_or_else(|| need.div_ceil(STEP_BYTES).saturating_mul(STEP_BYTES))
}

/// Appends the padding to `out`, which ends with `plain` bytes to be padded.
pub(crate) fn pad(out: &mut Vec<u8>, plain: usize) {
    let end = out.len() + (padded_len(plain) - plain);
    out.push(MARK);
    out.resize(end, 0);
}

/// Length of the plaintext inside `padded`, or nothing where a writer of this format would not have
/// padded so: no mark, or another bucket than the smallest.
pub(crate) fn unpadded_len(padded: &[u8]) -> Option<usize> {
    let mark = padded.iter().rposition(|byte| *byte != 0)?;
    (padded.get(mark) == Some(&MARK) && padded_len(mark) == padded.len()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_around_a_bucket_edge_pads_to_the_smallest_bucket_and_back() {
        for bucket in [256, 512, 1024, 2048, 4096, 8192, 12288, 1 << 20] {
            for (plain, want) in [(bucket - 2, bucket), (bucket - 1, bucket)] {
                assert_eq!(padded_len(plain), want);
            }
            assert!(padded_len(bucket) > bucket);
        }
        for plain in (0..=9000).chain([65_535, 65_536]) {
            let mut out = vec![0x80; plain];
            pad(&mut out, plain);
            assert_eq!(out.len(), padded_len(plain));
            assert_eq!(unpadded_len(&out), Some(plain));
        }
    }

    #[test]
    fn text_ending_like_padding_is_kept() {
        let mut out = b"x\x80\0\0".to_vec();
        pad(&mut out, 4);
        assert_eq!(unpadded_len(&out), Some(4));
    }

    #[test]
    fn missing_mark_wrong_mark_and_wrong_bucket_are_refused() {
        assert_eq!(unpadded_len(&[]), None);
        assert_eq!(unpadded_len(&[0; 256]), None);
        let mut wrong = vec![0; 256];
        wrong[3] = 0x81;
        assert_eq!(unpadded_len(&wrong), None);
        let mut larger = vec![0; 512];
        larger[3] = MARK;
        assert_eq!(unpadded_len(&larger), None);
    }
}
