//! A row becomes a lead: fields, search terms, labels; or it is refused with a code and no value.
//!
//! Pure and synchronous, one parser per worker. What a row is refused for: a person under 18, a card or a
//! government number, unless an instruction enables it; nothing that tells whose
//! lead it is; a compartment above its bound. A bad e-mail or a phone nobody can parse is kept as it came
//! and noted.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use leadvault_crypto::normalise::PhoneParser;
use leadvault_domain::{Compartment, FieldNo, Fields, LabelFlag, Labels, Personal, Value};
use leadvault_policy::{card, government_id, minor};

use super::cells::{Cells, RawBody, RawRow};
use super::code::{RefusedRow, RowCode};
use super::csv::CELL_BYTES_MAX;
use super::enabled::Enabled;
use super::fill::{Filled, fill_cells, fill_lead};
use super::plan::{Column, Plan};
use super::rebuild::Rebuild;
use super::terms::{self, Term};
use crate::lead_codec::COMPARTMENT_BYTES_MAX;

/// What an instruction enables, and the day it is judged on.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Today, for ages.
    pub today: Date,
    /// Persons under 18 are taken in, and labelled so.
    pub accept_minors: bool,
    /// Card numbers are taken in.
    pub accept_cards: bool,
    /// Government numbers are taken in.
    pub accept_government_ids: bool,
    /// Custom fields of category identity or contact: they lie in compartment 1.
    pub contact: BTreeSet<FieldNo>,
    /// Custom fields that can be searched.
    pub searchable: BTreeSet<FieldNo>,
}

impl Rules {
    /// Nothing enabled.
    pub fn strict(today: Date) -> Self {
        Self {
            today,
            accept_minors: false,
            accept_cards: false,
            accept_government_ids: false,
            contact: BTreeSet::new(),
            searchable: BTreeSet::new(),
        }
    }

    /// What an instruction enables.
    pub(super) fn enabling(today: Date, enabled: Enabled) -> Self {
        Self {
            accept_cards: enabled.cards,
            accept_government_ids: enabled.government_ids,
            ..Self::strict(today)
        }
    }
}

/// A row that is taken in.
#[derive(Debug)]
pub struct ParsedRow {
    /// Number of the data record, from 1.
    pub number: u64,
    /// Offset in the file right after the row, in bytes.
    pub end_byte: u64,
    /// The lead.
    pub fields: Fields,
    /// What it is found by.
    pub terms: Vec<Term>,
    /// Categories present, and the flags the row itself sets.
    pub labels: Labels,
    /// What is kept though it does not normalise.
    pub noted: Vec<Noted>,
}

/// A value that is kept as it came and has no search term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// An e-mail address that does not normalise; its column, where it has one.
    BadEmail(Option<usize>),
    /// A phone number nobody can parse.
    BadPhone(Option<usize>),
}

/// Turns rows into leads.
pub struct RowParser {
    plan: Arc<Plan>,
    rules: Rules,
    phones: PhoneParser,
    /// Per column: whether it tells an age, by its header or its field.
    ages: Vec<Option<minor::Column>>,
    /// Whether any column identifies a lead.
    identifies: bool,
}

impl std::fmt::Debug for RowParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowParser({} columns)", self.plan.columns.len())
    }
}

impl RowParser {
    /// A parser under a plan. `region` is the default region of phones, two letters.
    pub fn new(plan: Arc<Plan>, rules: Rules, region: Option<&str>) -> Self {
        let ages = plan.columns.iter().map(age_column).collect();
        let identifies = identifies(&plan);
        Self { plan, rules, phones: PhoneParser::new(region), ages, identifies }
    }

    /// Goes on under a later plan of the same file: one with more columns.
    pub fn follow(&mut self, plan: Arc<Plan>) {
        self.ages = plan.columns.iter().map(age_column).collect();
        self.identifies = identifies(&plan);
        self.plan = plan;
    }

    /// Turns a row into a lead.
    ///
    /// # Errors
    /// [`RefusedRow`]: number, column and code.
    pub fn parse(&mut self, row: RawRow) -> Result<ParsedRow, RefusedRow> {
        let RawRow { number, end_byte, body } = row;
        self.lead(number, end_byte, &body).map_err(|(column, code)| RefusedRow {
            number,
            column,
            code,
            end_byte,
        })
    }

    fn lead(&mut self, number: u64, end_byte: u64, body: &RawBody) -> Result<ParsedRow, Refusal> {
        let minor = self.refuse_minors(body)?;
        let filled = match body {
            RawBody::Cells(cells) => fill_cells(&self.plan, cells, &mut self.phones),
            RawBody::Lead(lead) => fill_lead(&self.plan, lead, &mut self.phones)?,
        };
        self.refuse_numbers(body, &filled)?;
        let Filled { mut fields, noted, forms, .. } = filled;
        if let RawBody::Cells(cells) = body {
            self.refuse_unidentified(cells)?;
            Rebuild::new(&self.plan).keep(&mut fields, cells);
        } else if !fields.keys().any(|field| terms::identifies(*field)) {
            return Err((None, RowCode::NoIdentifier));
        }
        self.refuse_too_large(&fields)?;
        let terms = terms::of(&self.plan, &fields, &self.rules.searchable, &forms);
        let labels = labels(&fields, minor);
        Ok(ParsedRow { number, end_byte, fields, terms, labels, noted })
    }

    /// Refuses a person under 18; true if there is one and an instruction takes it in.
    fn refuse_minors(&self, body: &RawBody) -> Result<bool, Refusal> {
        let mut known = false;
        let mut check = |column: Option<usize>, kind: Option<minor::Column>, cell: &str| {
            let hit = kind.and_then(|kind| minor::check(kind, cell, self.rules.today)).is_some();
            known |= hit;
            if hit && !self.rules.accept_minors { Err((column, RowCode::Minor)) } else { Ok(()) }
        };
        let age_of = |column: usize| self.ages.get(column).copied().flatten();
        match body {
            RawBody::Cells(cells) => {
                for (column, cell) in cells.iter() {
                    check(Some(column), age_of(column), cell.unwrap_or_default())?;
                }
            }
            RawBody::Lead(lead) => {
                for (column, cell) in &lead.fields {
                    check(Some(*column), age_of(*column), cell.expose())?;
                }
                for (header, cell) in lead.original.iter().flatten() {
                    check(None, minor::Column::of_header(header.expose()), cell.expose())?;
                }
            }
        }
        Ok(known)
    }

    /// Refuses card and government numbers, wherever they stand. A cell that is a valid phone number is
    /// none, whatever its digits.
    fn refuse_numbers(&self, body: &RawBody, filled: &Filled) -> Result<(), Refusal> {
        match body {
            RawBody::Cells(cells) => {
                for (column, cell) in cells.iter() {
                    if !filled.phones.contains(&column) {
                        self.refuse_number(Some(column), cell.unwrap_or_default())?;
                    }
                }
            }
            RawBody::Lead(lead) => {
                for (column, cell) in &lead.fields {
                    if !filled.phones.contains(column) {
                        self.refuse_number(Some(*column), cell.expose())?;
                    }
                }
                let notes = lead.notes.iter().flatten().map(|(text, _)| text);
                for text in notes.chain(lead.tags.iter().flatten()).chain(&lead.external_id) {
                    self.refuse_number(None, text.expose())?;
                }
                // A phone among the cells it once had may look like anything: its field was judged.
                let phones = |cell: &Personal| super::shape::is_phone(cell.expose());
                for (_, cell) in lead.original.iter().flatten().filter(|(_, cell)| !phones(cell)) {
                    self.refuse_number(None, cell.expose())?;
                }
            }
        }
        Ok(())
    }

    fn refuse_number(&self, column: Option<usize>, cell: &str) -> Result<(), Refusal> {
        if !self.rules.accept_cards && card::check(cell).is_some() {
            return Err((column, RowCode::CardNumber));
        }
        if !self.rules.accept_government_ids && government_id::check(cell).is_some() {
            return Err((column, RowCode::GovernmentId));
        }
        Ok(())
    }

    /// Refuses a row without anything that tells whose lead it is. Where no column of the file does, a row
    /// is refused only if it is blank.
    fn refuse_unidentified(&self, cells: &Cells) -> Result<(), Refusal> {
        let tells = |column: usize| {
            let column = self.plan.columns.get(column);
            !self.identifies
                || column.is_some_and(|c| terms::identifies(c.field) || c.tag.is_some())
        };
        let found = cells.iter().any(|(column, cell)| {
            tells(column) && cell.is_some_and(|cell| !cell.trim().is_empty())
        });
        if found { Ok(()) } else { Err((None, RowCode::NoIdentifier)) }
    }

    /// Refuses a lead that no compartment holds. Long notes and cells have compartments of their own, each
    /// far larger than a cell may be.
    fn refuse_too_large(&self, fields: &Fields) -> Result<(), Refusal> {
        let (mut contact, mut profile) = (0_usize, 0_usize);
        for (field, value) in fields {
            if largest_text(value) > CELL_BYTES_MAX {
                let column = self.plan.columns_of(*field).next().map(|(index, _)| index);
                return Err((column, RowCode::CellTooLarge));
            }
            let in_contact =
                field.compartment() == Compartment::CONTACT || self.rules.contact.contains(field);
            *(if in_contact { &mut contact } else { &mut profile }) += stored_bytes(value);
        }
        let fits = contact.max(profile) <= COMPARTMENT_BYTES_MAX - COMPARTMENT_HEAD_BYTES;
        if fits { Ok(()) } else { Err((None, RowCode::RowTooLarge)) }
    }
}

/// Bytes of a compartment before its first value.
const COMPARTMENT_HEAD_BYTES: usize = 1;
/// Bytes before each value or element, at most: number, length, count, place.
const ELEMENT_HEAD_BYTES: usize = 16;
/// Notes and kept cells above this lie in compartments of their own (fields.md 1).
const PART_BYTES_MIN: usize = 4 << 10;

fn stored_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => ELEMENT_HEAD_BYTES + text.expose().len(),
        Value::List(items) => {
            let item = |item: &Personal| ELEMENT_HEAD_BYTES + item.expose().len();
            ELEMENT_HEAD_BYTES + items.iter().map(item).sum::<usize>()
        }
        Value::Pairs(pairs) => {
            let sizes = pairs.iter().map(|(a, b)| a.expose().len() + b.expose().len());
            let inline = sizes.filter(|bytes| *bytes <= PART_BYTES_MIN);
            ELEMENT_HEAD_BYTES + inline.map(|bytes| ELEMENT_HEAD_BYTES + bytes).sum::<usize>()
        }
    }
}

fn largest_text(value: &Value) -> usize {
    let length = |text: &Personal| text.expose().len();
    match value {
        Value::Text(text) => length(text),
        Value::List(items) => items.iter().map(length).max().unwrap_or(0),
        Value::Pairs(pairs) => {
            pairs.iter().map(|(a, b)| length(a).max(length(b))).max().unwrap_or(0)
        }
    }
}

/// Column and code.
pub(super) type Refusal = (Option<usize>, RowCode);

fn identifies(plan: &Plan) -> bool {
    plan.columns.iter().any(|column| terms::identifies(column.field) || column.tag.is_some())
}

fn age_column(column: &Column) -> Option<minor::Column> {
    if column.field == FieldNo::BIRTH_DATE {
        return Some(minor::Column::BirthDate);
    }
    minor::Column::of_header(column.header.expose())
}

/// The labels a row carries by itself. A signal of the Global Privacy Control sets three flags.
pub(super) fn labels(fields: &Fields, minor: bool) -> Labels {
    let filled = |value: &Value| match value {
        Value::Text(text) => !text.expose().is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Pairs(pairs) => !pairs.is_empty(),
    };
    let present = fields
        .iter()
        .filter(|(field, value)| **field != FieldNo::ORIGINAL && filled(value))
        .map(|(field, _)| field.category());
    let gpc = match fields.get(&FieldNo::GPC) {
        Some(Value::Text(text)) => is_yes(text.expose()),
        _ => false,
    };
    Labels::default()
        .with_categories(present)
        .with(LabelFlag::Minor, minor)
        .with(LabelFlag::OptoutSale, gpc)
        .with(LabelFlag::OptoutShare, gpc)
        .with(LabelFlag::OptoutTargetedAds, gpc)
}

fn is_yes(text: &str) -> bool {
    ["1", "true", "yes", "y", "on"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
}
