//! Every cell of a row from the fields of its lead, byte for byte.
//!
//! A column is given back by its field where the field holds the cell as it came: most do. `original`
//! (field 31) holds the other cells as (header, cell): a phone whose field is its E.164 form, a list of
//! tags, a cell that was changed since. Nothing is stored twice.
//!
//! Two rules make that exact. Where a header repeats and one of its columns needs its cell kept, the cells
//! of all of them are kept, in their order. A cell that was not there (a key that a JSON line does not
//! name) but that the fields would give is kept as [`ABSENT`], which no cell can be.
//!
//! The notes of a lead belong to its notes columns in their order, except those columns whose cell is
//! kept. A row of an export keeps its `original` whole, and that alone is given back.

use std::collections::HashMap;

use leadvault_domain::{FieldNo, Fields, Personal, Value};

use super::cells::Cells;
use super::plan::{Format, Plan};

/// Stands in `original` for a cell that was not there: U+0000, which is refused in every cell.
pub(super) const ABSENT: &str = "\0";

/// Gives rows back under one plan.
#[derive(Debug)]
pub struct Rebuild<'a> {
    plan: &'a Plan,
    /// Columns of each header, in their order.
    columns_of: HashMap<&'a str, Vec<usize>>,
    /// A single column of tags gives its cell back if it holds one tag.
    single_tags: bool,
}

/// Every cell of a row with its header.
pub fn rebuild_cells(plan: &Plan, fields: &Fields) -> Vec<(Personal, Personal)> {
    Rebuild::new(plan).pairs(fields)
}

/// The cells of a lead that came by itself: member and value as they were sent, a phone as it was written.
pub fn cells_of_fields(fields: &Fields) -> Vec<(Personal, Personal)> {
    let kept = pairs_of(fields, FieldNo::ORIGINAL);
    let named = |name: &str| kept.iter().any(|(own, _)| own.expose() == name);
    let times = [FieldNo::CREATED_AT, FieldNo::UPDATED_AT];
    let plain = fields.iter().filter_map(|(field, value)| match value {
        Value::Text(text) if !times.contains(field) && !named(&field.name()) => {
            Some((Personal::from(field.name().as_str()), text.clone()))
        }
        _ => None,
    });
    kept.iter().cloned().chain(plain).collect()
}

impl<'a> Rebuild<'a> {
    /// Prepares the plan.
    pub fn new(plan: &'a Plan) -> Self {
        let mut columns_of: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, column) in plan.columns.iter().enumerate() {
            columns_of.entry(column.header.expose().as_str()).or_default().push(index);
        }
        let single_tags = plan.columns_of(FieldNo::TAGS).count() == 1;
        Self { plan, columns_of, single_tags }
    }

    /// Every cell with its header, in the order of the columns.
    pub fn pairs(&self, fields: &Fields) -> Vec<(Personal, Personal)> {
        if self.plan.format == Format::Export {
            return pairs_of(fields, FieldNo::ORIGINAL).to_vec();
        }
        let cells = self.cells(fields);
        let columns = self.plan.columns.iter().enumerate();
        columns
            .filter_map(|(i, column)| Some((column.header.clone(), cells.cell(i)?.into())))
            .collect()
    }

    /// Every cell by column.
    pub fn cells(&self, fields: &Fields) -> Cells {
        let mut kept: Vec<Option<&str>> = vec![None; self.plan.columns.len()];
        let mut used: HashMap<&str, usize> = HashMap::new();
        for (header, cell) in pairs_of(fields, FieldNo::ORIGINAL) {
            let place = used.entry(header.expose()).or_default();
            let columns = self.columns_of.get(header.expose().as_str());
            if let Some(column) = columns.and_then(|columns| columns.get(*place))
                && let Some(slot) = kept.get_mut(*column)
            {
                *slot = Some(cell.expose());
            }
            *place += 1;
        }
        let mut notes = pairs_of(fields, FieldNo::NOTES).iter();
        let mut cells = Cells::default();
        for (index, kept) in kept.into_iter().enumerate() {
            let cell = match kept {
                Some(ABSENT) => None,
                Some(cell) => Some(cell),
                None => self.plain(index, fields, || notes.next().map(|n| n.0.expose().as_str())),
            };
            if let Some(cell) = cell {
                cells.put(index, cell);
            }
        }
        cells
    }

    /// Writes `original` so that `cells` is what [`Rebuild::cells`] gives; any former one is replaced.
    pub fn keep(&self, fields: &mut Fields, cells: &Cells) {
        fields.remove(&FieldNo::ORIGINAL);
        let kept = self.needed(fields, cells);
        let pairs: Vec<(Personal, Personal)> = self
            .plan
            .columns
            .iter()
            .enumerate()
            .filter(|(index, _)| kept.get(*index).copied().unwrap_or(false))
            .map(|(index, column)| {
                (column.header.clone(), cells.cell(index).unwrap_or(ABSENT).into())
            })
            .collect();
        if !pairs.is_empty() {
            fields.insert(FieldNo::ORIGINAL, Value::Pairs(pairs));
        }
    }

    /// The columns whose cell must be kept.
    fn needed(&self, fields: &Fields, cells: &Cells) -> Vec<bool> {
        let mut kept = vec![false; self.plan.columns.len()];
        loop {
            let before = kept.iter().filter(|kept| **kept).count();
            let mut notes = pairs_of(fields, FieldNo::NOTES).iter().peekable();
            for (index, kept) in kept.iter_mut().enumerate().filter(|(_, kept)| !**kept) {
                let next = || notes.peek().map(|note| note.0.expose().as_str());
                let plain = self.plain(index, fields, next);
                let cell = cells.cell(index).or(self.empty());
                *kept = plain != cell;
                if !*kept && self.is_notes(index) {
                    notes.next();
                }
            }
            self.widen_to_repeated_headers(&mut kept);
            // Keeping a notes column moves the notes of the ones after it: look again.
            if kept.iter().filter(|kept| **kept).count() == before {
                return kept;
            }
        }
    }

    fn widen_to_repeated_headers(&self, kept: &mut [bool]) {
        for columns in self.columns_of.values().filter(|columns| columns.len() > 1) {
            if columns.iter().any(|i| kept.get(*i).copied().unwrap_or(false)) {
                for index in columns {
                    if let Some(kept) = kept.get_mut(*index) {
                        *kept = true;
                    }
                }
            }
        }
    }

    /// What the fields alone give back of a column.
    fn plain<'f>(
        &self,
        index: usize,
        fields: &'f Fields,
        note: impl FnOnce() -> Option<&'f str>,
    ) -> Option<&'f str> {
        if self.is_notes(index) {
            return note().or(self.empty());
        }
        let value = self.plan.columns.get(index).and_then(|column| fields.get(&column.field));
        let given = match value {
            Some(Value::Text(text)) => Some(text.expose().as_str()),
            Some(Value::List(tags)) if self.single_tags => match tags.as_slice() {
                [] => Some(""),
                [one] => Some(one.expose().as_str()),
                _ => None,
            },
            _ => None,
        };
        given.or(self.empty())
    }

    fn is_notes(&self, index: usize) -> bool {
        self.plan.columns.get(index).is_some_and(|column| column.field == FieldNo::NOTES)
    }

    /// What an absent cell counts as.
    fn empty(&self) -> Option<&'static str> {
        self.plan.absent_is_empty().then_some("")
    }
}

fn pairs_of(fields: &Fields, field: FieldNo) -> &[(Personal, Personal)] {
    match fields.get(&field) {
        Some(Value::Pairs(pairs)) => pairs,
        _ => &[],
    }
}
