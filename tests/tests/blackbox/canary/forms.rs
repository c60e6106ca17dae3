//! The forms in which a text may lie in a file: as it is, in UTF-16, in hexadecimal, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Shorter texts are found by chance.
pub(super) const TEXT_BYTES_MIN: usize = 8;
/// Number of forms.
pub(super) const FORMS: usize = 8;

/// One form of a text.
pub(super) fn form(text: &str, no: usize) -> Vec<u8> {
    match no {
        0 => text.as_bytes().to_vec(),
        1 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        2 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        3 => hex::encode(text).into_bytes(),
        4 => hex::encode_upper(text).into_bytes(),
        _ => base64_inside(text, no - 5),
    }
}

/// The characters of base64 that a text alone decides when `before` bytes stand before it in its group.
/// Letters, digits and the signs of addresses give neither `+` nor `/` here often enough to matter: both
/// alphabets agree on everything else.
fn base64_inside(text: &str, before: usize) -> Vec<u8> {
    let padded = [vec![b'x'; before], text.as_bytes().to_vec()].concat();
    let encoded = STANDARD_NO_PAD.encode(&padded);
    // Characters that hold a bit of a neighbour are left out, at both ends.
    let from = (before * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    encoded.as_bytes()[from..to].to_vec()
}

#[test]
fn every_form_of_a_text_is_found_where_it_stands_among_others() {
    let text = "fstephens@shepherd.info";
    for before in 0..3 {
        let whole = [&b"abc"[before..], text.as_bytes(), b"tail"].concat();
        let whole = STANDARD_NO_PAD.encode(whole);
        let found = (5..FORMS).filter(|no| {
            let form = String::from_utf8(form(text, *no)).expect("ascii");
            whole.contains(&form)
        });
        assert_eq!(found.count(), 1, "{before}");
    }
    assert_eq!(form("ab", 1), b"a\0b\0");
    assert_eq!(form("ab", 2), b"\0a\0b");
    assert_eq!((form("az", 3), form("jz", 4)), (b"617a".to_vec(), b"6A7A".to_vec()));
}
