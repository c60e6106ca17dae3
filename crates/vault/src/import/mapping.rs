//! Which column goes to which field: the caller's word first, then a recognised set, then the
//! dictionary. What could mean several things is asked about, never guessed (fields.md 5).

use leadvault_domain::{FieldNo, Personal, TagKind};

use super::cells::Cells;
use super::code::{Ask, FileFault};
use super::dictionary::{self, Set};
use super::header::normalise;
use super::plan::{By, Column};
use super::shape;

/// Most columns of a file. Spreadsheets end at 16,384; above 10,000 lie the fields of an export's
/// custom values ([`super::jsonl`]).
pub const COLUMNS_MAX: usize = 10_000;

/// The caller's mapping.
#[derive(Debug, Clone, Default)]
pub enum Wanted {
    /// None: headers speak for themselves.
    #[default]
    Nothing,
    /// By header; `None` leaves the column unmapped. A CSV file must have every one that is named.
    ByHeader(Vec<(Personal, Option<FieldNo>)>),
    /// By index: says that the file has no header row.
    ByIndex(Vec<(usize, Option<FieldNo>)>),
}

impl Wanted {
    /// From the members of a mapping: by index if every name is one. `field` finds fields by their name
    /// in the API, custom fields of the dataset included.
    ///
    /// # Errors
    /// [`FileFault::BadMapping`] for a name that is no field.
    pub fn parse<'a>(
        members: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
        field: impl Fn(&str) -> Option<FieldNo>,
    ) -> Result<Self, FileFault> {
        let mut named = Vec::new();
        for (key, value) in members {
            let target = match value {
                None => None,
                Some(name) => Some(field(name).ok_or(FileFault::BadMapping)?),
            };
            named.push((key, target));
        }
        if named.is_empty() {
            return Ok(Self::Nothing);
        }
        let is_index = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
        if named.iter().all(|(key, _)| is_index(key)) {
            let by_index: Option<Vec<_>> =
                named.iter().map(|(key, to)| Some((key.parse().ok()?, *to))).collect();
            return by_index.map(Self::ByIndex).ok_or(FileFault::BadMapping);
        }
        Ok(Self::ByHeader(named.into_iter().map(|(key, to)| (key.into(), to)).collect()))
    }

    /// Whether it says that there is no header row.
    pub fn without_header(&self) -> bool {
        matches!(self, Self::ByIndex(_))
    }

    /// Whether a CSV file with these headers has every column that is named. Lines of JSON may bring a key
    /// later than the first ones do.
    pub(super) fn names_only(&self, headers: &[Personal]) -> bool {
        let Self::ByHeader(wanted) = self else { return true };
        let compared: Vec<String> = headers.iter().map(|h| normalise(h.expose())).collect();
        let is_there = |name: &str| {
            headers.iter().any(|h| h.expose() == name) || compared.contains(&normalise(name))
        };
        wanted.iter().all(|(name, _)| is_there(name.expose()))
    }

    fn of(&self, index: usize, header: &str, compared: &str) -> Wish {
        let found = match self {
            Self::Nothing => None,
            Self::ByIndex(wanted) => {
                wanted.iter().find(|(column, _)| *column == index).map(|(_, field)| *field)
            }
            Self::ByHeader(wanted) => {
                let exact = wanted.iter().find(|(name, _)| name.expose() == header);
                let alike = || wanted.iter().find(|(name, _)| normalise(name.expose()) == compared);
                exact.or_else(alike).map(|(_, field)| *field)
            }
        };
        match found {
            None => Wish::Silent,
            Some(None) => Wish::Leave,
            Some(Some(field)) => Wish::Field(field),
        }
    }
}

/// What the caller says about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Silent,
    Leave,
    Field(FieldNo),
}

/// Maps the columns of a file. `sample` holds its first records, to see what a column holds.
///
/// # Errors
/// [`FileFault::MappingNeeded`] with every column that must be asked about, [`FileFault::BadMapping`],
/// [`FileFault::TooManyColumns`].
pub(super) fn map(
    headers: &[Personal],
    wanted: &Wanted,
    sample: &[Cells],
) -> Result<Vec<Column>, FileFault> {
    if headers.len() > COLUMNS_MAX {
        return Err(FileFault::TooManyColumns);
    }
    if let Wanted::ByIndex(named) = wanted
        && named.iter().any(|(column, _)| *column >= headers.len())
    {
        return Err(FileFault::BadMapping);
    }
    let mut mapper = Mapper::new(headers, sample);
    mapper.follow_caller(wanted)?;
    if wanted.without_header() {
        mapper.answered.fill(true);
    }
    let asks = mapper.settle();
    if asks.is_empty() { Ok(mapper.columns) } else { Err(FileFault::MappingNeeded(asks)) }
}

/// Adds a column that appears after the others were mapped: a key that a later JSON line brings. It can
/// no longer be asked about, so an ambiguous one stays unmapped.
pub(super) fn append(columns: &mut Vec<Column>, header: Personal, wanted: &Wanted) {
    let index = columns.len();
    let compared = normalise(header.expose());
    let mut taken = Taken(columns.iter().filter_map(Column::mapped).collect());
    let mut column = unmapped(header, index);
    match wanted.of(index, column.header.expose(), &compared) {
        Wish::Field(field) if may_be_target(field) && taken.take(field) => {
            column.field = field;
            column.by = By::Caller;
        }
        Wish::Silent if dictionary::choices_of(&compared).is_none() => {
            if let Some(field) = dictionary::field_of(&compared) {
                taken.assign(&mut column, field);
            }
        }
        Wish::Silent | Wish::Leave | Wish::Field(_) => {}
    }
    columns.push(column);
}

fn unmapped(header: Personal, index: usize) -> Column {
    // Beyond the last x_<n> there is no field; the bound of the columns lies far below.
    let field = FieldNo::unmapped(index).unwrap_or(FieldNo(FieldNo::FIRST_CUSTOM - 1));
    Column { header, field, by: By::None, tag: None }
}

/// Fields that a column may be mapped to: not the ones the vault makes itself, not `x_<n>`.
fn may_be_target(field: FieldNo) -> bool {
    let own = [FieldNo::ORIGINAL, FieldNo::CREATED_AT, FieldNo::UPDATED_AT];
    let unmapped = (FieldNo::FIRST_UNMAPPED..FieldNo::FIRST_CUSTOM).contains(&field.0);
    !own.contains(&field) && !unmapped
}

/// The fields that have their column.
struct Taken(Vec<FieldNo>);

impl Taken {
    /// Lists take any number of columns.
    fn take(&mut self, field: FieldNo) -> bool {
        let list = field == FieldNo::NOTES || field == FieldNo::TAGS;
        let free = list || !self.0.contains(&field);
        self.0.push(field);
        free
    }

    /// The first column takes the field, a second e-mail or phone the `_2` field, a third one keeps its
    /// `x_<n>` and gets a tag of its kind.
    fn assign(&mut self, column: &mut Column, field: FieldNo) {
        let second = match field {
            FieldNo::EMAIL => Some(FieldNo::EMAIL_2),
            FieldNo::PHONE => Some(FieldNo::PHONE_2),
            _ => None,
        };
        if let Some(field) = [Some(field), second].into_iter().flatten().find(|f| self.take(*f)) {
            column.field = field;
            column.by = By::Dictionary;
        } else {
            let kind = field.info().and_then(|info| info.tag);
            column.tag = kind.filter(|k| [TagKind::EMAIL, TagKind::PHONE].contains(k));
        }
    }
}

struct Mapper<'a> {
    columns: Vec<Column>,
    compared: Vec<String>,
    /// Columns that the caller has decided.
    answered: Vec<bool>,
    taken: Taken,
    set: Option<&'static Set>,
    sample: &'a [Cells],
}

impl<'a> Mapper<'a> {
    fn new(headers: &[Personal], sample: &'a [Cells]) -> Self {
        let columns = headers.iter().enumerate().map(|(i, h)| unmapped(h.clone(), i)).collect();
        let compared: Vec<String> = headers.iter().map(|h| normalise(h.expose())).collect();
        let set = dictionary::recognise(&compared);
        let answered = vec![false; headers.len()];
        Self { columns, compared, answered, taken: Taken(Vec::new()), set, sample }
    }

    fn follow_caller(&mut self, wanted: &Wanted) -> Result<(), FileFault> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let compared = self.compared.get(index).map_or("", String::as_str);
            let wish = wanted.of(index, column.header.expose(), compared);
            if wish == Wish::Silent {
                continue;
            }
            if let Some(answered) = self.answered.get_mut(index) {
                *answered = true;
            }
            // `x_<n>` of the column itself is how a question is answered with "leave it".
            let Wish::Field(field) = wish else { continue };
            if field == column.field {
                continue;
            }
            if !may_be_target(field) || !self.taken.take(field) {
                return Err(FileFault::BadMapping);
            }
            column.field = field;
            column.by = By::Caller;
        }
        Ok(())
    }

    /// Goes through the columns the caller left open; gives the ones that must be asked about.
    fn settle(&mut self) -> Vec<Ask> {
        let mut asks = Vec::new();
        for index in 0..self.columns.len() {
            if self.answered.get(index).copied().unwrap_or(true) {
                continue;
            }
            match self.meaning(index) {
                Meaning::Unknown => {}
                Meaning::Field(field) => {
                    if let Some(column) = self.columns.get_mut(index) {
                        self.taken.assign(column, field);
                    }
                }
                Meaning::Several(choices) => asks.push(Ask { column: index, choices }),
            }
        }
        asks
    }

    fn meaning(&self, index: usize) -> Meaning {
        let Some(compared) = self.compared.get(index) else { return Meaning::Unknown };
        let settled = |set: &Set| set.settles.iter().find(|(h, _)| h == compared).map(|s| s.1);
        if let Some(settled) = self.set.and_then(settled) {
            return settled.map_or(Meaning::Unknown, Meaning::Field);
        }
        if compared == "state" && self.has_place() {
            return Meaning::Field(FieldNo::STATE);
        }
        if let Some(choices) = dictionary::choices_of(compared) {
            return Meaning::Several(choices.to_vec());
        }
        let Some(field) = dictionary::field_of(compared) else { return Meaning::Unknown };
        let leave = FieldNo::unmapped(index);
        let ask =
            |choices: &[FieldNo]| Meaning::Several(choices.iter().copied().chain(leave).collect());
        match field {
            FieldNo::EXTERNAL_ID
                if compared == "id" && self.others(index, field).next().is_some() =>
            {
                ask(&[FieldNo::EXTERNAL_ID])
            }
            FieldNo::MOBILE if self.repeats_a_phone(index) => ask(&[FieldNo::MOBILE]),
            FieldNo::OWNER if self.holds_addresses(index) => ask(&[FieldNo::OWNER, FieldNo::EMAIL]),
            FieldNo::EMAIL | FieldNo::EMAIL_2 if self.has_twin(index) => {
                ask(&[FieldNo::EMAIL, FieldNo::EMAIL_2])
            }
            _ => Meaning::Field(field),
        }
    }

    /// Open columns other than `index` whose header means `field`.
    fn others(&self, index: usize, field: FieldNo) -> impl Iterator<Item = usize> {
        self.compared.iter().enumerate().filter_map(move |(other, compared)| {
            let open = !self.answered.get(other).copied().unwrap_or(true);
            let same = dictionary::field_of(compared) == Some(field);
            (other != index && open && same).then_some(other)
        })
    }

    fn has_place(&self) -> bool {
        let place =
            |c: &String| matches!(dictionary::field_of(c), Some(FieldNo::STREET | FieldNo::CITY));
        let taken = |field| self.taken.0.contains(&field);
        self.compared.iter().any(place) || taken(FieldNo::STREET) || taken(FieldNo::CITY)
    }

    /// Whether another open column has the same header once compared.
    fn has_twin(&self, index: usize) -> bool {
        let own = self.compared.get(index);
        self.compared.iter().enumerate().any(|(other, compared)| {
            let open = !self.answered.get(other).copied().unwrap_or(true);
            other != index && open && Some(compared) == own
        })
    }

    /// Whether the column holds the same values as a phone column, wherever both hold one.
    fn repeats_a_phone(&self, index: usize) -> bool {
        self.others(index, FieldNo::PHONE).any(|phone| {
            let both = self.sample.iter().filter_map(|row| {
                let pair = (row.cell(index)?.trim(), row.cell(phone)?.trim());
                (!pair.0.is_empty() && !pair.1.is_empty()).then_some(pair)
            });
            let mut pairs = both.peekable();
            pairs.peek().is_some() && pairs.all(|(mobile, phone)| mobile == phone)
        })
    }

    /// Whether most values of the column are e-mail addresses.
    fn holds_addresses(&self, index: usize) -> bool {
        let values = || {
            self.sample.iter().filter_map(|row| row.cell(index)).filter(|c| !c.trim().is_empty())
        };
        let addresses = values().filter(|cell| shape::is_email(cell)).count();
        addresses > 0 && addresses * 2 >= values().count()
    }
}

enum Meaning {
    Unknown,
    Field(FieldNo),
    Several(Vec<FieldNo>),
}

#[cfg(test)]
mod tests;
