//! A lead as a package carries it: one JSON line, and the cells of one CSV row.
//!
//! ```text
//! {"id","dataset","external_id","fields":{},"tags":[],"notes":[],"original":[["header","cell"]…],"import","row","created_at","updated_at"}
//! ```
//! `fields` holds every text field by name, the client's own id excepted, which stands at the top. `original`
//! are pairs, because headers may repeat; every cell is byte for byte as it came.

use leadvault_domain::{DatasetId, FieldNo, Fields, ImportId, LeadId, Personal, Timestamp, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use zeroize::Zeroizing;

use super::columns::{Columns, FIXED, Layout};
use super::csv;

/// A lead whose values may go out.
#[derive(Debug)]
pub(crate) struct LeadOut {
    pub(crate) id: LeadId,
    pub(crate) dataset: DatasetId,
    pub(crate) import: Option<ImportId>,
    pub(crate) row: Option<u64>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// What the instruction covers, field 31 never among it.
    pub(crate) fields: Fields,
    /// Header and cell of the row it came as.
    pub(crate) original: Vec<(Personal, Personal)>,
}

impl LeadOut {
    fn text(&self, field: FieldNo) -> Option<&str> {
        match self.fields.get(&field) {
            Some(Value::Text(text)) => Some(text.expose()),
            _ => None,
        }
    }

    /// Appends the JSON line.
    ///
    /// # Errors
    /// What serialisation says; it cannot fail for values of these types.
    pub(crate) fn push_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(&mut *out, self)?;
        out.push(b'\n');
        Ok(())
    }

    /// Takes note of the columns it needs.
    pub(crate) fn see(&self, columns: &mut Columns) {
        for field in self.fields.keys() {
            columns.see_field(*field);
        }
        columns.see_headers(self.original.iter().map(|(header, _)| header.expose().as_str()));
    }

    /// Appends the CSV row.
    ///
    /// # Errors
    /// As [`LeadOut::push_json`]: tags and notes are JSON texts.
    pub(crate) fn push_csv(
        &self,
        layout: &Layout,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let plain = [
            self.id.to_string(),
            self.dataset.to_string(),
            String::new(),
            self.import.map(|id| id.to_string()).unwrap_or_default(),
            self.row.map(|row| row.to_string()).unwrap_or_default(),
            self.created.rfc3339(),
            self.updated.rfc3339(),
        ];
        let tags = Zeroizing::new(serde_json::to_string(&Tags(self))?);
        let notes = Zeroizing::new(serde_json::to_string(&Notes(self))?);
        let mut cells: Vec<&str> = plain.iter().map(String::as_str).collect();
        if let Some(slot) = cells.get_mut(EXTERNAL_ID_PLACE) {
            *slot = self.text(FieldNo::EXTERNAL_ID).unwrap_or_default();
        }
        cells.extend(layout.fields.iter().map(|field| match *field {
            FieldNo::TAGS if self.fields.contains_key(field) => tags.as_str(),
            FieldNo::NOTES if self.fields.contains_key(field) => notes.as_str(),
            field => self.text(field).unwrap_or_default(),
        }));
        cells.extend(layout.place(&self.original));
        csv::push_row(out, cells);
        Ok(())
    }
}

/// Place of `external_id` in [`FIXED`].
const EXTERNAL_ID_PLACE: usize = 2;
const _: () = assert!(FIXED.len() == 7);

impl Serialize for LeadOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("dataset", &self.dataset)?;
        map.serialize_entry("external_id", &self.text(FieldNo::EXTERNAL_ID))?;
        map.serialize_entry("fields", &Texts(self))?;
        map.serialize_entry("tags", &Tags(self))?;
        map.serialize_entry("notes", &Notes(self))?;
        map.serialize_entry("original", &Pairs(&self.original))?;
        map.serialize_entry("import", &self.import)?;
        map.serialize_entry("row", &self.row)?;
        map.serialize_entry("created_at", &self.created)?;
        map.serialize_entry("updated_at", &self.updated)?;
        map.end()
    }
}

struct Texts<'a>(&'a LeadOut);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in &self.0.fields {
            if let (Value::Text(text), true) = (value, *field != FieldNo::EXTERNAL_ID) {
                map.serialize_entry(&field.name(), text.expose())?;
            }
        }
        map.end()
    }
}

struct Tags<'a>(&'a LeadOut);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tags: &[Personal] = match self.0.fields.get(&FieldNo::TAGS) {
            Some(Value::List(tags)) => tags,
            _ => &[],
        };
        serializer.collect_seq(tags.iter().map(Personal::expose))
    }
}

struct Notes<'a>(&'a LeadOut);

impl Serialize for Notes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let notes: &[(Personal, Personal)] = match self.0.fields.get(&FieldNo::NOTES) {
            Some(Value::Pairs(notes)) => notes,
            _ => &[],
        };
        let mut seq = serializer.serialize_seq(Some(notes.len()))?;
        for (text, at) in notes {
            let at = Some(at.expose().as_str()).filter(|at| !at.is_empty());
            seq.serialize_element(&NoteOut { text: text.expose(), at })?;
        }
        seq.end()
    }
}

#[derive(serde::Serialize)]
struct NoteOut<'a> {
    text: &'a str,
    at: Option<&'a str>,
}

struct Pairs<'a>(&'a [(Personal, Personal)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(h, c)| (h.expose(), c.expose())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead() -> LeadOut {
        LeadOut {
            id: LeadId::from_bytes([1; 16]),
            dataset: DatasetId::from_bytes([2; 16]),
            import: None,
            row: Some(7),
            created: Timestamp::from_micros(0),
            updated: Timestamp::from_micros(60_000_000),
            fields: [
                (FieldNo::EMAIL, Value::Text("a@b.example".into())),
                (FieldNo::EXTERNAL_ID, Value::Text("=A1".into())),
                (FieldNo::TAGS, Value::List(vec!["vip".into()])),
                (FieldNo::NOTES, Value::Pairs(vec![("hello".into(), "".into())])),
            ]
            .into(),
            original: vec![("Email".into(), "A@b.example ".into()), ("Email".into(), "".into())],
        }
    }

    #[test]
    fn a_line_carries_every_member_in_the_order_of_the_format() {
        let mut out = Vec::new();
        lead().push_json(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("}\n"));
        let members = [
            "\"id\":\"ct_",
            "\"dataset\":\"ds_",
            "\"external_id\":\"=A1\"",
            "\"fields\":{\"email\":\"a@b.example\"}",
            "\"tags\":[\"vip\"]",
            "\"notes\":[{\"text\":\"hello\",\"at\":null}]",
            "\"original\":[[\"Email\",\"A@b.example \"],[\"Email\",\"\"]]",
            "\"import\":null",
            "\"row\":7",
            "\"created_at\":\"1970-01-01T00:00:00.000000Z\"",
            "\"updated_at\":\"1970-01-01T00:01:00.000000Z\"",
        ];
        let places: Vec<_> = members.iter().map(|m| text.find(m).expect(m)).collect();
        assert!(places.is_sorted());
    }

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let lead = lead();
        let mut columns = Columns::default();
        lead.see(&mut columns);
        let layout = columns.layout();
        let mut out = Vec::new();
        lead.push_csv(&layout, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let names: Vec<_> = layout.names().iter().map(|n| n.expose().clone()).collect();
        assert_eq!(
            names[FIXED.len()..],
            ["email", "notes", "tags", "original:Email", "original:Email:2"].map(str::to_owned)
        );
        assert!(text.contains(",'=A1,,7,1970-01-01T00:00:00.000000Z,1970-01-01T00:01:00.000000Z,"));
        let tail = "a@b.example,\"[{\"\"text\"\":\"\"hello\"\",\"\"at\"\":null}]\",\"[\"\"vip\"\"]\",A@b.example ,\r\n";
        assert!(text.ends_with(tail), "{text}");
    }
}
