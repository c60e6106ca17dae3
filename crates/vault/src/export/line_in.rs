//! A line of a part read back: the inverse of the JSON lines of [`super::line`].

use std::collections::BTreeMap;

use leadvault_domain::{DatasetId, FieldNo, Fields, ImportId, LeadId, Personal, Timestamp, Value};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::line::LeadOut;

/// The members of a line.
#[derive(Deserialize)]
struct Line {
    id: LeadId,
    dataset: DatasetId,
    external_id: Option<String>,
    fields: BTreeMap<String, String>,
    tags: Vec<String>,
    notes: Vec<Note>,
    original: Vec<(String, String)>,
    import: Option<ImportId>,
    row: Option<u64>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Note {
    text: String,
    at: Option<String>,
}

/// Reads a line; `None` for anything that was not written as one.
pub(crate) fn parse(line: &[u8]) -> Option<LeadOut> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let mut fields = Fields::new();
    for (name, text) in line.fields {
        fields.insert(field_of(&name)?, Value::Text(text.into()));
    }
    if let Some(text) = line.external_id {
        fields.insert(FieldNo::EXTERNAL_ID, Value::Text(text.into()));
    }
    if !line.tags.is_empty() {
        let tags = line.tags.into_iter().map(Personal::new).collect();
        fields.insert(FieldNo::TAGS, Value::List(tags));
    }
    if !line.notes.is_empty() {
        let pair =
            |note: Note| (Personal::new(note.text), Personal::new(note.at.unwrap_or_default()));
        fields.insert(FieldNo::NOTES, Value::Pairs(line.notes.into_iter().map(pair).collect()));
    }
    let pair = |(header, cell)| (Personal::new(header), Personal::new(cell));
    Some(LeadOut {
        id: line.id,
        dataset: line.dataset,
        import: line.import,
        row: line.row,
        created: line.created_at,
        updated: line.updated_at,
        fields,
        original: line.original.into_iter().map(pair).collect(),
    })
}

/// The field of a name as lines write it.
fn field_of(name: &str) -> Option<FieldNo> {
    let custom = || {
        let k: u16 = name.strip_prefix("custom_")?.parse().ok()?;
        FieldNo::FIRST_CUSTOM.checked_add(k).map(FieldNo)
    };
    FieldNo::by_name(name).or_else(custom)
}

/// Cuts a stream of pieces into whole lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Zeroizing<Vec<u8>>,
}

impl Lines {
    /// Takes a piece; gives back everything up to the last line end, if there is one.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') else {
            self.held.extend_from_slice(piece);
            return None;
        };
        let (whole, begun) = piece.split_at(last + 1);
        let mut lines = std::mem::take(&mut self.held);
        lines.extend_from_slice(whole);
        self.held.extend_from_slice(begun);
        Some(lines)
    }

    /// Whether nothing is left over.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(lead: &LeadOut) -> Vec<u8> {
        let mut out = Vec::new();
        lead.push_json(&mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn a_line_reads_back_as_it_was_written(
            texts in proptest::collection::vec("\\PC{0,8}|[\"\\\\\r\n\t\u{0}\u{2028}]{0,4}", 7),
            number in any::<u16>(),
        ) {
            let text = |n: usize| Personal::new(texts[n].clone());
            let lead = LeadOut {
                id: LeadId::from_bytes([1; 16]),
                dataset: DatasetId::from_bytes([2; 16]),
                import: Some(ImportId::from_bytes([3; 16])),
                row: Some(u64::from(number) + 1),
                created: Timestamp::from_micros(i64::from(number) * 60_000_000),
                updated: Timestamp::from_micros(0),
                fields: [
                    (FieldNo::EMAIL, Value::Text(text(0))),
                    (FieldNo::EXTERNAL_ID, Value::Text(text(1))),
                    (FieldNo(1_000 + number % 19_000), Value::Text(text(2))),
                    (FieldNo(20_000 + number % 40_000), Value::Text(text(3))),
                    (FieldNo::TAGS, Value::List(vec![text(4)])),
                    (FieldNo::NOTES, Value::Pairs(vec![(text(5), "".into())])),
                ]
                .into(),
                original: vec![(text(6), text(0)), (text(6), text(1))],
            };
            let line = written(&lead);
            let back = parse(&line).unwrap();
            prop_assert_eq!(&back.fields, &lead.fields);
            prop_assert_eq!(&back.original, &lead.original);
            prop_assert_eq!(written(&back), line);
        }

        #[test]
        fn lines_come_whole_however_they_are_cut(text in "[ab\n]{0,60}", cut in 1_usize..9) {
            let mut lines = Lines::default();
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(cut) {
                if let Some(whole) = lines.push(piece) {
                    prop_assert!(whole.ends_with(b"\n"));
                    out.extend_from_slice(&whole);
                }
            }
            prop_assert_eq!(lines.is_empty(), text.is_empty() || text.ends_with('\n'));
            prop_assert!(text.as_bytes().starts_with(&out));
        }
    }
}
