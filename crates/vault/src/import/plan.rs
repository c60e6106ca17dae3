//! The plan of an import: how the file is read, and which column goes to which field.
//!
//! Headers are the customer's words: they are [`Personal`], they leave this type only through the
//! sealed mapping of the batch ([`Plan::to_bytes`]) and for callers who may read the dataset. A plan
//! plus an offset and a row number are all that reading needs to go on after an interruption.

use leadvault_domain::{Category, FieldNo, Personal, TagKind};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::dialect::Dialect;
use super::encoding::Charset;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited text.
    Csv,
    /// One JSON object a line, keys are columns.
    Jsonl,
    /// The lines of an export of the vault (surfaces.md 7).
    Export,
}

/// Who decided what a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The header dictionary or a recognised set.
    Dictionary,
    /// The caller's mapping.
    Caller,
    /// Nobody: the column is `x_<n>`.
    None,
}

impl By {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dictionary => "dictionary",
            Self::Caller => "caller",
            Self::None => "none",
        }
    }
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its header exactly as it came; its index where the file has none.
    pub header: Personal,
    /// Its field; `x_<n>` where nothing is known.
    pub field: FieldNo,
    /// Who decided.
    pub by: By,
    /// Kind of its tag where the field's own row has none: a third e-mail or phone.
    pub tag: Option<TagKind>,
}

impl Column {
    /// The field, unless the column is unmapped.
    pub fn mapped(&self) -> Option<FieldNo> {
        (self.by != By::None).then_some(self.field)
    }

    /// Category of the column before any classification by the tenant.
    pub fn category(&self) -> Category {
        self.field.category()
    }
}

/// How a file is read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is.
    pub format: Format,
    /// Its encoding.
    pub charset: Charset,
    /// How cells are told apart; for JSON Lines without meaning.
    pub dialect: Dialect,
    /// Whether it has a header row.
    pub header: bool,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A plan that cannot be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a plan of an import")]
pub struct PlanMalformed;

impl Plan {
    /// Whether a cell that is not there counts as an empty one: every row of a CSV file has every
    /// column, so nothing is stored for an empty cell. A JSON line tells the two apart.
    pub fn absent_is_empty(&self) -> bool {
        self.format == Format::Csv
    }

    /// Columns of a field, with their index.
    pub fn columns_of(&self, field: FieldNo) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(move |(_, column)| column.field == field)
    }

    /// The plan as it is sealed with the batch: JSON.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let columns = self.columns.iter().map(|column| ColumnForm {
            header: column.header.expose().as_str().into(),
            field: column.field.0,
            by: column.by,
            tag: column.tag.map(|kind| kind.0),
        });
        let form = PlanForm {
            v: FORM_VERSION,
            format: self.format,
            charset: self.charset.name(),
            delimiter: self.dialect.delimiter,
            quote: self.dialect.quote,
            header: self.header,
            columns: columns.collect(),
        };
        // A form of plain strings and numbers always serialises.
        Zeroizing::new(serde_json::to_vec(&form).unwrap_or_default())
    }

    /// The plan from [`Plan::to_bytes`].
    ///
    /// # Errors
    /// [`PlanMalformed`] if the bytes are not those of a plan.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanMalformed> {
        let form: PlanForm<'_> = serde_json::from_slice(bytes).map_err(|_| PlanMalformed)?;
        let charset = Charset::by_name(&form.charset).ok_or(PlanMalformed)?;
        let ascii = form.delimiter.is_ascii() && form.quote.is_ascii();
        if form.v != FORM_VERSION || !ascii {
            return Err(PlanMalformed);
        }
        let columns = form.columns.into_iter().map(|column| Column {
            header: Personal::new(column.header.into_owned()),
            field: FieldNo(column.field),
            by: column.by,
            tag: column.tag.map(TagKind),
        });
        Ok(Self {
            format: form.format,
            charset,
            dialect: Dialect { delimiter: form.delimiter, quote: form.quote },
            header: form.header,
            columns: columns.collect(),
        })
    }
}

const FORM_VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct PlanForm<'a> {
    v: u8,
    format: Format,
    charset: String,
    delimiter: u8,
    quote: u8,
    header: bool,
    #[serde(borrow)]
    columns: Vec<ColumnForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ColumnForm<'a> {
    #[serde(borrow)]
    header: std::borrow::Cow<'a, str>,
    field: u16,
    by: By,
    tag: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_back_from_its_bytes() {
        let plan = Plan {
            format: Format::Csv,
            charset: Charset::CP1252,
            dialect: Dialect { delimiter: b';', quote: b'"' },
            header: true,
            columns: vec![
                Column {
                    header: "E-mail \"work\"\n".into(),
                    field: FieldNo::EMAIL,
                    by: By::Caller,
                    tag: None,
                },
                Column {
                    header: "".into(),
                    field: FieldNo(1001),
                    by: By::None,
                    tag: Some(TagKind::PHONE),
                },
            ],
        };
        let back = Plan::from_bytes(&plan.to_bytes()).unwrap();
        assert_eq!(format!("{plan:?}"), format!("{back:?}"));
        assert_eq!(back.columns[0].header, plan.columns[0].header);
        assert_eq!(back.to_bytes(), plan.to_bytes());
        assert_eq!(Plan::from_bytes(b"{}").unwrap_err(), PlanMalformed);
        assert!(!format!("{plan:?}").contains("work"));
    }
}
