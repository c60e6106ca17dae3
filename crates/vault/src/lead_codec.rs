//! Serialisation of a lead's compartments (fields.md 2). Frozen: a change is a new format byte.
//!
//! ```text
//! compartment  u8 1 (format), then per value, ascending by field: u16 field ‖ u32 length ‖ bytes
//! text         UTF-8 exactly as it came
//! list         u16 count, then u32 length ‖ bytes each
//! pair         two such strings, one after the other
//! part         compartments from 0x0100 on hold one element of a list of pairs: u16 field ‖ u16 place ‖ pair
//! ```
//! Integers are big-endian. Empty and absent are different. A compartment without values is not written.

use std::collections::BTreeMap;

use leadvault_domain::{Compartment, FieldNo, Fields, Personal, Value};
use zeroize::Zeroizing;

/// The format byte.
const FORMAT: u8 = 1;
/// The format byte of a part.
const PART_FORMAT: u8 = 2;
/// Version that stands in the header of every sealed compartment.
pub(crate) const SCHEMA: u16 = 1;
/// Largest compartment, in bytes (crypto.md 1.3); a row above it is refused as `row_too_large`.
pub(crate) const COMPARTMENT_BYTES_MAX: usize = 900 * 1024;
/// Elements of `notes` and `original` above this many bytes get a compartment of their own (fields.md 1).
const PART_BYTES_MIN: usize = 4 * 1024;

/// Why bytes and fields do not become each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// A compartment above [`COMPARTMENT_BYTES_MAX`], or a list above 65,535 elements.
    #[error("too large")]
    TooLarge,
    /// The bytes are not of the format.
    #[error("malformed")]
    Malformed,
}

/// Bytes of one compartment.
pub(crate) type Encoded = (Compartment, Zeroizing<Vec<u8>>);

/// Cuts the fields of a lead into compartments. `compartment_of` knows the tenant's custom fields.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub(crate) fn encode(
    fields: &Fields,
    compartment_of: impl Fn(FieldNo) -> Compartment,
) -> Result<Vec<Encoded>, CodecError> {
    let mut out: BTreeMap<Compartment, Zeroizing<Vec<u8>>> = BTreeMap::new();
    let mut next_part = Compartment::FIRST_PART;
    for (field, value) in fields {
        let home =
            out.entry(compartment_of(*field)).or_insert_with(|| Zeroizing::new(vec![FORMAT]));
        let Value::Pairs(pairs) = value else {
            push_value(home, *field, value)?;
            continue;
        };
        let (large, small): (Vec<_>, Vec<_>) =
            (0_u16..).zip(pairs).partition(|(_, pair)| is_large(pair));
        if pairs.len() > usize::from(u16::MAX) {
            return Err(CodecError::TooLarge);
        }
        // Places of what lies elsewhere are left as gaps: each element names its own place.
        push_places(home, *field, &small)?;
        for (place, pair) in large {
            let mut part = Zeroizing::new(vec![PART_FORMAT]);
            part.extend_from_slice(&field.0.to_be_bytes());
            part.extend_from_slice(&place.to_be_bytes());
            push_pair(&mut part, pair)?;
            out.insert(Compartment(next_part), part);
            next_part = next_part.checked_add(1).ok_or(CodecError::TooLarge)?;
        }
    }
    out.retain(|_, bytes| bytes.len() > 1);
    if out.values().any(|bytes| bytes.len() > COMPARTMENT_BYTES_MAX) {
        return Err(CodecError::TooLarge);
    }
    Ok(out.into_iter().collect())
}

fn is_large(pair: &(Personal, Personal)) -> bool {
    pair.0.expose().len() + pair.1.expose().len() > PART_BYTES_MIN
}

fn push_value(out: &mut Vec<u8>, field: FieldNo, value: &Value) -> Result<(), CodecError> {
    let mut bytes = Zeroizing::new(Vec::new());
    match value {
        Value::Text(text) => bytes.extend_from_slice(text.expose().as_bytes()),
        Value::List(list) => {
            let count = u16::try_from(list.len()).map_err(|_| CodecError::TooLarge)?;
            bytes.extend_from_slice(&count.to_be_bytes());
            for text in list {
                push_text(&mut bytes, text.expose())?;
            }
        }
        Value::Pairs(_) => return Err(CodecError::Malformed),
    }
    push_field(out, field, &bytes)
}

fn push_places(
    out: &mut Vec<u8>,
    field: FieldNo,
    pairs: &[(u16, &(Personal, Personal))],
) -> Result<(), CodecError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let count = u16::try_from(pairs.len()).map_err(|_| CodecError::TooLarge)?;
    bytes.extend_from_slice(&count.to_be_bytes());
    for (place, pair) in pairs {
        bytes.extend_from_slice(&place.to_be_bytes());
        push_pair(&mut bytes, pair)?;
    }
    push_field(out, field, &bytes)
}

fn push_field(out: &mut Vec<u8>, field: FieldNo, bytes: &[u8]) -> Result<(), CodecError> {
    let length = u32::try_from(bytes.len()).map_err(|_| CodecError::TooLarge)?;
    out.extend_from_slice(&field.0.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn push_pair(out: &mut Vec<u8>, pair: &(Personal, Personal)) -> Result<(), CodecError> {
    push_text(out, pair.0.expose())?;
    push_text(out, pair.1.expose())
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Result<(), CodecError> {
    let length = u32::try_from(text.len()).map_err(|_| CodecError::TooLarge)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// What was read of a lead so far: fields, and elements of lists by their places.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    fields: Fields,
    pairs: BTreeMap<FieldNo, BTreeMap<u16, (Personal, Personal)>>,
}

impl Decoder {
    /// Reads one compartment.
    ///
    /// # Errors
    /// [`CodecError::Malformed`].
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut rest = Reader(bytes);
        match rest.take(1)? {
            [FORMAT] => {
                while !rest.0.is_empty() {
                    let field = FieldNo(rest.u16()?);
                    let length = rest.u32()?;
                    let value = rest.take(length)?;
                    self.value(field, value)?;
                }
            }
            [PART_FORMAT] => {
                let field = FieldNo(rest.u16()?);
                let place = rest.u16()?;
                let pair = rest.pair()?;
                self.pairs.entry(field).or_default().insert(place, pair);
                if !rest.0.is_empty() {
                    return Err(CodecError::Malformed);
                }
            }
            _ => return Err(CodecError::Malformed),
        }
        Ok(())
    }

    fn value(&mut self, field: FieldNo, bytes: &[u8]) -> Result<(), CodecError> {
        let mut rest = Reader(bytes);
        match shape(field) {
            Shape::Text => {
                let text = rest.text_of(bytes.len())?;
                self.fields.insert(field, Value::Text(text));
            }
            Shape::List => {
                let count = rest.u16()?;
                let list: Result<Vec<_>, _> = (0..count).map(|_| rest.text()).collect();
                self.fields.insert(field, Value::List(list?));
            }
            Shape::Pairs => {
                let places = self.pairs.entry(field).or_default();
                for _ in 0..rest.u16()? {
                    let place = rest.u16()?;
                    places.insert(place, rest.pair()?);
                }
            }
        }
        if rest.0.is_empty() { Ok(()) } else { Err(CodecError::Malformed) }
    }

    /// Everything that was read.
    pub(crate) fn finish(mut self) -> Fields {
        for (field, places) in self.pairs {
            self.fields.insert(field, Value::Pairs(places.into_values().collect()));
        }
        self.fields
    }
}

enum Shape {
    Text,
    List,
    Pairs,
}

/// Which form the value of a field has; by number, so that it is known without the value.
const fn shape(field: FieldNo) -> Shape {
    match field {
        FieldNo::TAGS => Shape::List,
        FieldNo::NOTES | FieldNo::ORIGINAL => Shape::Pairs,
        _ => Shape::Text,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: impl TryInto<usize>) -> Result<&'a [u8], CodecError> {
        let count = count.try_into().map_err(|_| CodecError::Malformed)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, CodecError> {
        let bytes = self.take(2_usize)?.try_into().map_err(|_| CodecError::Malformed)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        let bytes = self.take(4_usize)?.try_into().map_err(|_| CodecError::Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn text_of(&mut self, length: impl TryInto<usize>) -> Result<Personal, CodecError> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| CodecError::Malformed)?;
        Ok(Personal::from(text))
    }

    fn text(&mut self) -> Result<Personal, CodecError> {
        let length = self.u32()?;
        self.text_of(length)
    }

    fn pair(&mut self) -> Result<(Personal, Personal), CodecError> {
        Ok((self.text()?, self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(fields: &Fields) -> Fields {
        let mut decoder = Decoder::default();
        for (_, bytes) in encode(fields, FieldNo::compartment).unwrap() {
            decoder.read(&bytes).unwrap();
        }
        decoder.finish()
    }

    fn text(s: &str) -> Value {
        Value::Text(s.into())
    }

    fn pairs(list: &[(&str, &str)]) -> Value {
        Value::Pairs(list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
    }

    #[test]
    fn the_format_is_frozen() {
        let fields: Fields = [
            (FieldNo::EMAIL, text("a@b.c")),
            (FieldNo::COMPANY, text("")),
            (FieldNo::NOTES, pairs(&[("n", "")])),
            (FieldNo::TAGS, Value::List(vec!["x".into()])),
        ]
        .into();
        let encoded = encode(&fields, FieldNo::compartment).unwrap();
        let hex: Vec<_> = encoded.iter().map(|(c, b)| (c.0, hex::encode(b.as_slice()))).collect();
        assert_eq!(hex[0], (1, "01000100000005614062 2e63".replace(' ', "")));
        assert_eq!(
            hex[1],
            (
                2,
                [
                    "01",
                    "000d00000000",
                    "00190000000d",
                    "00010000000000016e00000000",
                    "001a00000007",
                    "00010000000178",
                ]
                .concat()
            )
        );
    }

    #[test]
    fn long_notes_get_a_compartment_each_and_keep_their_places() {
        let long = "x".repeat(PART_BYTES_MIN + 1);
        let fields: Fields =
            [(FieldNo::NOTES, pairs(&[("a", ""), (&long, ""), ("c", ""), (&long, "t")]))].into();
        let encoded = encode(&fields, FieldNo::compartment).unwrap();
        let compartments: Vec<_> = encoded.iter().map(|(c, _)| c.0).collect();
        assert_eq!(compartments, [2, 0x0100, 0x0101]);
        assert_eq!(round_trip(&fields), fields);
    }

    #[test]
    fn a_compartment_above_its_limit_is_refused() {
        let fields: Fields = [(FieldNo::COMPANY, text(&"x".repeat(COMPARTMENT_BYTES_MAX)))].into();
        assert_eq!(encode(&fields, FieldNo::compartment).err(), Some(CodecError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            texts in proptest::collection::btree_map(1_u16..25, ".{0,40}", 0..8),
            tags in proptest::option::of(proptest::collection::vec(".{0,9}", 0..5)),
            notes in proptest::option::of(proptest::collection::vec((".{0,5000}", ".{0,9}"), 0..4)),
        ) {
            let mut fields: Fields =
                texts.iter().map(|(n, t)| (FieldNo(*n), text(t))).collect();
            if let Some(tags) = tags {
                let list = tags.iter().map(|t| t.as_str().into()).collect();
                fields.insert(FieldNo::TAGS, Value::List(list));
            }
            if let Some(notes) = notes {
                let list = notes.iter().map(|(a, b)| (a.as_str().into(), b.as_str().into())).collect();
                fields.insert(FieldNo::NOTES, Value::Pairs(list));
            }
            prop_assert_eq!(round_trip(&fields), fields);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Decoder::default().read(&bytes);
        }
    }
}
