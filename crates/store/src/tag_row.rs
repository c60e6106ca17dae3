//! A row of a tag table to be, and the four tables it may belong to.
//!
//! Tag rows order as the primary keys of their tables do, table by table: whoever inserts them in that
//! order touches each page once.

use leadvault_domain::{TagKind, TenantNo};

use crate::engine::{Connection, Query, query};
use crate::error::{Result, StoreError};
use crate::lead::NewLead;
use crate::statement::{NONE, Sql, statements};

/// Tags in one statement.
const TAGS_AT_ONCE: usize = 64;
/// Bytes of a tag row in a run.
const BYTES: usize = 23;

macro_rules! x4 {
    ($row:expr) => {
        concat!($row, ",", $row, ",", $row, ",", $row)
    };
}
macro_rules! x64 {
    ($row:expr) => {
        x4!(x4!(x4!($row)))
    };
}
macro_rules! emails {
    ($rows:expr) => {
        concat!(
            "INSERT INTO lead_email (tenant_no, dataset_no, tag, dup_no, row_id) VALUES ",
            $rows
        )
    };
}
macro_rules! phones {
    ($rows:expr) => {
        concat!("INSERT INTO lead_phone (tenant_no, dataset_no, tag, row_id) VALUES ", $rows)
    };
}
macro_rules! domains {
    ($rows:expr) => {
        concat!("INSERT INTO lead_domain (tenant_no, dataset_no, tag, row_id) VALUES ", $rows)
    };
}
macro_rules! more {
    ($rows:expr) => {
        concat!("INSERT INTO lead_tag (tenant_no, dataset_no, kind, tag, row_id) VALUES ", $rows)
    };
}

statements! {
    EMAILS = emails!(x64!("(?, ?, ?, ?, ?)")), postgres: NONE;
    EMAIL = emails!("(?, ?, ?, ?, ?)"), postgres: NONE;
    PHONES = phones!(x64!("(?, ?, ?, ?)")), postgres: NONE;
    PHONE = phones!("(?, ?, ?, ?)"), postgres: NONE;
    DOMAINS = domains!(x64!("(?, ?, ?, ?)")), postgres: NONE;
    DOMAIN = domains!("(?, ?, ?, ?)"), postgres: NONE;
    MORES = more!(x64!("(?, ?, ?, ?, ?)")), postgres: NONE;
    MORE = more!("(?, ?, ?, ?, ?)"), postgres: NONE;
}

/// A tag table, in the order in which a pass goes through them. Its number stands in runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TagTable {
    /// First e-mail.
    Email,
    /// First phone.
    Phone,
    /// Domain.
    Domain,
    /// Further values, and the client's own id.
    More,
}

impl TagTable {
    const fn number(self) -> u8 {
        match self {
            Self::Email => 1,
            Self::Phone => 2,
            Self::Domain => 3,
            Self::More => 4,
        }
    }

    const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Email),
            2 => Some(Self::Phone),
            3 => Some(Self::Domain),
            4 => Some(Self::More),
            _ => None,
        }
    }

    /// The table that holds first values of a kind, where there is one.
    pub(crate) const fn of_first(kind: TagKind) -> Option<Self> {
        match kind {
            TagKind::EMAIL => Some(Self::Email),
            TagKind::PHONE => Some(Self::Phone),
            TagKind::DOMAIN => Some(Self::Domain),
            _ => None,
        }
    }

    const fn statements(self) -> (Sql, Sql) {
        match self {
            Self::Email => (EMAILS, EMAIL),
            Self::Phone => (PHONES, PHONE),
            Self::Domain => (DOMAINS, DOMAIN),
            Self::More => (MORES, MORE),
        }
    }

    fn bind(self, insert: Query, tenant: TenantNo, row: TagRow) -> Query {
        let insert = insert.bind(i64::from(tenant.0)).bind(i64::from(row.dataset));
        match self {
            Self::Email => insert.bind(row.tag).bind(i64::from(row.dup_no)),
            Self::Phone | Self::Domain => insert.bind(row.tag),
            Self::More => insert.bind(i64::from(row.kind)).bind(row.tag),
        }
        .bind(row.row_id)
    }
}

/// A row of a tag table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TagRow {
    pub(crate) table: TagTable,
    pub(crate) dataset: u32,
    /// 0 where the table holds one kind.
    pub(crate) kind: u16,
    pub(crate) tag: i64,
    /// 0 where the table has none.
    pub(crate) dup_no: u32,
    pub(crate) row_id: i64,
}

impl TagRow {
    /// Of a new lead's first e-mail.
    pub(crate) fn of_email(row_id: i64, lead: &NewLead) -> Option<Self> {
        let row = |tag| Self {
            dup_no: lead.tags.dup_no,
            ..Self::first(TagTable::Email, row_id, lead, tag)
        };
        lead.tags.email.map(row)
    }

    /// Every tag row of a new lead but for its first e-mail, each once.
    pub(crate) fn of_rest(row_id: i64, lead: &NewLead) -> impl Iterator<Item = Self> {
        let first = |table, tag: Option<i64>| tag.map(|tag| Self::first(table, row_id, lead, tag));
        let phone = first(TagTable::Phone, lead.tags.phone);
        let domain = first(TagTable::Domain, lead.tags.domain);
        let mut more: Vec<Self> = lead
            .tags
            .more
            .iter()
            .map(|(kind, tag)| Self {
                kind: kind.0,
                ..Self::first(TagTable::More, row_id, lead, *tag)
            })
            .collect();
        more.sort_unstable();
        more.dedup();
        phone.into_iter().chain(domain).chain(more)
    }

    const fn first(table: TagTable, row_id: i64, lead: &NewLead, tag: i64) -> Self {
        Self { table, dataset: lead.at.dataset.0, kind: 0, tag, dup_no: 0, row_id }
    }

    /// Its bytes in a run that begins with lead row `base`.
    pub(crate) fn write(&self, base: i64, into: &mut Vec<u8>) -> Result<()> {
        let offset = u32::try_from(self.row_id - base).map_err(|_| StoreError::OutOfRange)?;
        into.push(self.table.number());
        into.extend(self.dataset.to_be_bytes());
        into.extend(self.kind.to_be_bytes());
        into.extend(self.tag.to_be_bytes());
        into.extend(self.dup_no.to_be_bytes());
        into.extend(offset.to_be_bytes());
        Ok(())
    }

    /// Reads what [`TagRow::write`] wrote; `None` if it is none.
    pub(crate) fn read(base: i64, bytes: &[u8]) -> Option<Self> {
        let (table, rest) = bytes.split_first()?;
        let (dataset, rest) = rest.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<2>()?;
        let (tag, rest) = rest.split_first_chunk::<8>()?;
        let (dup_no, rest) = rest.split_first_chunk::<4>()?;
        let offset: [u8; 4] = rest.try_into().ok()?;
        Some(Self {
            table: TagTable::of_number(*table)?,
            dataset: u32::from_be_bytes(*dataset),
            kind: u16::from_be_bytes(*kind),
            tag: i64::from_be_bytes(*tag),
            dup_no: u32::from_be_bytes(*dup_no),
            row_id: base.checked_add(u32::from_be_bytes(offset).into())?,
        })
    }

    /// Reads a whole run; `None` if it is none.
    pub(crate) fn read_all(base: i64, bytes: &[u8]) -> Option<Vec<Self>> {
        bytes.chunks(BYTES).map(|bytes| Self::read(base, bytes)).collect()
    }
}

/// Inserts ascending rows into their tables.
///
/// # Errors
/// A row that is there already.
pub(crate) async fn insert_all(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    rows: &[TagRow],
) -> Result<()> {
    for of_table in rows.chunk_by(|a, b| a.table == b.table) {
        for group in groups(of_table, TAGS_AT_ONCE) {
            insert_group(connection, tenant, group).await?;
        }
    }
    Ok(())
}

/// Inserts a whole group of one table, or a single row.
async fn insert_group(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    group: &[TagRow],
) -> Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let (many, one) = first.table.statements();
    let mut insert = query(if group.len() == TAGS_AT_ONCE { many } else { one });
    for row in group {
        insert = first.table.bind(insert, tenant, *row);
    }
    insert.execute(connection).await?;
    Ok(())
}

/// Groups of exactly `size`, and what is left one by one: there are only two statements to prepare.
pub(crate) fn groups<T>(items: &[T], size: usize) -> impl Iterator<Item = &[T]> {
    let whole = items.chunks_exact(size);
    let rest = whole.remainder().chunks(1);
    whole.chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_whole_or_single_and_leave_nothing_out() {
        let items: Vec<u32> = (0..37).collect();
        let sizes: Vec<usize> = groups(&items, 16).map(<[u32]>::len).collect();
        assert_eq!(sizes, [16, 16, 1, 1, 1, 1, 1]);
        let all: Vec<u32> = groups(&items, 16).flatten().copied().collect();
        assert_eq!(all, items);
    }

    #[test]
    fn a_row_reads_back_as_it_was_written_and_other_bytes_are_none() {
        let row = TagRow {
            table: TagTable::More,
            dataset: 7,
            kind: 3,
            tag: i64::MIN + 5,
            dup_no: u32::MAX,
            row_id: 1_000_004_095,
        };
        let mut bytes = Vec::new();
        row.write(1_000_000_000, &mut bytes).unwrap();
        assert_eq!(bytes.len(), BYTES);
        assert_eq!(TagRow::read_all(1_000_000_000, &bytes.repeat(3)), Some(vec![row; 3]));
        assert_eq!(TagRow::read_all(1, &bytes[..BYTES - 1]), None);
        bytes[0] = 9;
        assert_eq!(TagRow::read_all(1, &bytes), None);
        assert_eq!(row.write(row.row_id + 1, &mut bytes), Err(StoreError::OutOfRange));
    }
}
