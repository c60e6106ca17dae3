//! The columns of the CSV of an export, gathered while its JSON lines are written.
//!
//! ```text
//! id, dataset, external_id, import, row, stored_at, changed_at      always
//! <field name> …                                                     each field some lead has, by number
//! original:<header> …                                                each header some lead came with
//! ```
//! `tags` and `notes` are JSON texts. A header that a row repeats has a column for each time:
//! `original:<header>`, then `original:<header>:2` and so on, or the next number that is no other column's
//! name. A cell that was not there and an empty one look the same here; the JSON lines tell them apart.

use std::collections::{BTreeSet, HashMap, HashSet};

use leadvault_domain::{FieldNo, Personal};

/// Columns every row has.
pub(crate) const FIXED: [&str; 7] =
    ["id", "dataset", "external_id", "import", "row", "stored_at", "changed_at"];
/// Before the header in the name of a column of cells.
const ORIGINAL: &str = "original:";

/// A column of cells as they came.
#[derive(Debug, Clone)]
pub(crate) struct OriginalColumn {
    /// The header as it came.
    pub(crate) header: Personal,
    /// Which of the columns of that header, from 0.
    pub(crate) occurrence: usize,
    /// Its name in the CSV.
    pub(crate) name: Personal,
}

/// What the leads of an export were seen to have.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    fields: BTreeSet<FieldNo>,
    headers: Vec<(Personal, usize)>,
    place_of: HashMap<String, usize>,
}

impl Columns {
    /// Takes note of a field. What has a column of its own already gets no second one.
    pub(crate) fn see_field(&mut self, field: FieldNo) {
        if field != FieldNo::EXTERNAL_ID && field != FieldNo::ORIGINAL {
            self.fields.insert(field);
        }
    }

    /// Takes note of the headers of a row.
    pub(crate) fn see_headers<'a>(&mut self, headers: impl IntoIterator<Item = &'a str>) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for header in headers {
            let times = seen.entry(header).or_default();
            *times += 1;
            match self.place_of.get(header).and_then(|place| self.headers.get_mut(*place)) {
                Some((_, most)) => *most = (*most).max(*times),
                None => {
                    self.place_of.insert(header.to_owned(), self.headers.len());
                    self.headers.push((header.into(), *times));
                }
            }
        }
    }

    /// The layout of the CSV.
    pub(crate) fn layout(&self) -> Layout {
        let mut taken: HashSet<String> = HashSet::new();
        let named = |header: &str| format!("{ORIGINAL}{header}");
        taken.extend(self.headers.iter().map(|(header, _)| named(header.expose())));
        let mut originals = Vec::new();
        let mut place_of = HashMap::new();
        for (header, times) in &self.headers {
            for occurrence in 0..*times {
                // The first keeps the plain name; a later one takes the next number that is free.
                let numbered = |n: usize| format!("{}:{n}", named(header.expose()));
                let name = match occurrence {
                    0 => Some(named(header.expose())),
                    _ => (occurrence + 1..usize::MAX)
                        .map(numbered)
                        .find(|name| taken.insert(name.clone())),
                };
                let Some(name) = name else { continue };
                place_of.insert((header.expose().clone(), occurrence), originals.len());
                let name = Personal::new(name);
                originals.push(OriginalColumn { header: header.clone(), occurrence, name });
            }
        }
        Layout { fields: self.fields.iter().copied().collect(), originals, place_of }
    }
}

/// The columns of the CSV, in order.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Fields, ascending.
    pub(crate) fields: Vec<FieldNo>,
    /// Cells as they came, in the order in which their headers were first seen.
    pub(crate) originals: Vec<OriginalColumn>,
    place_of: HashMap<(String, usize), usize>,
}

impl Layout {
    /// Names of all columns.
    pub(crate) fn names(&self) -> Vec<Personal> {
        let fixed = FIXED.iter().map(|name| Personal::from(*name));
        let fields = self.fields.iter().map(|field| Personal::new(field.name()));
        fixed.chain(fields).chain(self.originals.iter().map(|c| c.name.clone())).collect()
    }

    /// The cells of a row by column; a header that no layout pass has seen is left out.
    pub(crate) fn place<'a>(&self, original: &'a [(Personal, Personal)]) -> Vec<&'a str> {
        let mut cells = vec![""; self.originals.len()];
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (header, cell) in original {
            let times = seen.entry(header.expose()).or_default();
            let place = self.place_of.get(&(header.expose().clone(), *times));
            if let Some(slot) = place.and_then(|place| cells.get_mut(*place)) {
                *slot = cell.expose();
            }
            *times += 1;
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(layout: &Layout) -> Vec<String> {
        layout.names().iter().skip(FIXED.len()).map(|n| n.expose().clone()).collect()
    }

    #[test]
    fn a_repeated_header_has_a_column_for_each_time_and_names_never_repeat() {
        let mut columns = Columns::default();
        columns.see_field(FieldNo::EMAIL);
        columns.see_field(FieldNo::EXTERNAL_ID);
        columns.see_headers(["Phone", "Phone", "Phone:2"]);
        columns.see_headers(["Note", "Phone"]);
        let layout = columns.layout();
        assert_eq!(
            names(&layout),
            ["email", "original:Phone", "original:Phone:3", "original:Phone:2", "original:Note"]
        );
        let row: Vec<(Personal, Personal)> = [("Phone", "1"), ("Phone:2", "x"), ("Phone", "2")]
            .map(|(h, c)| (h.into(), c.into()))
            .into();
        assert_eq!(layout.place(&row), ["1", "2", "x", ""]);
    }
}
