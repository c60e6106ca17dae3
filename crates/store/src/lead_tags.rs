//! The tag tables of one lead: put in, taken out, probed.
//!
//! A tag row exists exactly as long as its lead is live. First e-mail, phone and domain also stand in the
//! lead's row, which is how they are found again when it goes.

use leadvault_domain::{DatasetNo, LeadId, TagKind, TenantNo};

use crate::cells::Cells;
use crate::engine::{Connection, Query, Row, query};
use crate::error::{Result, StoreError};
use crate::lead::{LeadTags, TABLE};
use crate::lead_unnest::push;
use crate::stage::StageTransaction;
use crate::statement::{NONE, statements};
use crate::tag_row::TagTable;

statements! {
    INSERT_EMAIL = "INSERT INTO lead_email (tenant_no, dataset_no, tag, dup_no, row_id) \
                    VALUES ($1, $2, $3, $4, $5)", postgres: NONE;
    INSERT_PHONE = "INSERT INTO lead_phone (tenant_no, dataset_no, tag, row_id) \
                    VALUES ($1, $2, $3, $4)", postgres: NONE;
    INSERT_DOMAIN = "INSERT INTO lead_domain (tenant_no, dataset_no, tag, row_id) \
                     VALUES ($1, $2, $3, $4)", postgres: NONE;
    INSERT_MORE = "INSERT INTO lead_tag (tenant_no, dataset_no, kind, tag, row_id) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    DELETE_EMAIL = "DELETE FROM lead_email WHERE tenant_no = $1 AND dataset_no = $2 AND tag = $3 \
                    AND dup_no = $4 AND row_id = $5", postgres: NONE;
    DELETE_PHONE = "DELETE FROM lead_phone WHERE tenant_no = $1 AND dataset_no = $2 AND tag = $3 \
                    AND row_id = $4", postgres: NONE;
    DELETE_DOMAIN = "DELETE FROM lead_domain WHERE tenant_no = $1 AND dataset_no = $2 AND tag = $3 \
                     AND row_id = $4", postgres: NONE;
    DELETE_MORE = "DELETE FROM lead_tag WHERE tenant_no = $1 AND row_id = $2";
    /// Who has one of these e-mails, as its first or as a further one; $5 = rows that have it staged.
    FIND_HOLDER = "SELECT l.lead FROM (\
                   SELECT e.row_id FROM json_each($3) j CROSS JOIN lead_email e \
                   WHERE e.tenant_no = $1 AND e.dataset_no = $2 AND e.tag = j.value \
                   UNION ALL \
                   SELECT t.row_id FROM json_each($3) j CROSS JOIN lead_tag t \
                   WHERE t.tenant_no = $1 AND t.dataset_no = $2 AND t.kind = 1 AND t.tag = j.value \
                   UNION ALL SELECT value FROM json_each($5)) h CROSS JOIN lead l \
                   WHERE l.row_id = h.row_id AND l.row_id <> $4 AND +l.tenant_no = $1 LIMIT 1",
        postgres: "SELECT l.lead FROM (\
                   SELECT e.row_id FROM unnest($3::bigint[]) j (value) CROSS JOIN LATERAL \
                   (SELECT w.row_id FROM lead w WHERE w.tenant_no = $1 AND w.dataset_no = $2 \
                   AND w.email_tag = j.value OFFSET 0) e \
                   UNION ALL SELECT t.row_id FROM unnest($3::bigint[]) j (value) CROSS JOIN LATERAL \
                   (SELECT w.row_id FROM lead_tag w WHERE w.tenant_no = $1 AND w.dataset_no = $2 \
                   AND w.kind = 1 AND w.tag = j.value OFFSET 0) t) h CROSS JOIN LATERAL \
                   (SELECT w.lead FROM lead w WHERE w.tenant_no = $1 AND w.row_id = h.row_id OFFSET 0) l \
                   WHERE h.row_id <> $4 LIMIT 1";
    /// As [`FIND_HOLDER`], of e-mails of several datasets and tenants, by place.
    FIND_HOLDERS = NONE, postgres: "SELECT j.place - 1 AS place, h.lead FROM unnest($1::bigint[], \
                   $2::bigint[], $3::bigint[]) WITH ORDINALITY AS j (tenant_no, dataset_no, tag, place) \
                   CROSS JOIN LATERAL (SELECT w.lead FROM lead w WHERE w.tenant_no = j.tenant_no \
                   AND w.dataset_no = j.dataset_no AND w.email_tag = j.tag \
                   UNION ALL SELECT l.lead FROM (SELECT w.row_id FROM lead_tag w \
                   WHERE w.tenant_no = j.tenant_no AND w.dataset_no = j.dataset_no AND w.kind = 1 \
                   AND w.tag = j.tag OFFSET 0) t CROSS JOIN LATERAL (SELECT w.lead FROM lead w \
                   WHERE w.tenant_no = j.tenant_no AND w.row_id = t.row_id OFFSET 0) l LIMIT 1) h";
}

/// What is in the tag tables of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) dataset: DatasetNo,
    pub(crate) row_id: i64,
    pub(crate) email: Option<i64>,
    pub(crate) phone: Option<i64>,
    pub(crate) domain: Option<i64>,
    pub(crate) dup_no: i64,
}

/// E-mails that must be free in a dataset: those of a lead, and `probes`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emails<'a> {
    pub(crate) dataset: DatasetNo,
    pub(crate) tags: &'a LeadTags,
    pub(crate) probes: &'a [i64],
    /// The row that may have them; 0 = none.
    pub(crate) own: i64,
}

/// An e-mail that must be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) tenant: TenantNo,
    pub(crate) dataset: DatasetNo,
    pub(crate) tag: i64,
}

/// Live leads that have one of several e-mails (PostgreSQL): place and lead.
pub(crate) async fn find_holders(
    connection: &mut Connection<'_>,
    wanted: &[Wanted],
) -> Result<Vec<(usize, LeadId)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns: [Vec<i64>; 3] = Default::default();
    for Wanted { tenant, dataset, tag } in wanted {
        push(&mut columns, [i64::from(tenant.0), i64::from(dataset.0), *tag]);
    }
    let question = columns.into_iter().fold(query(FIND_HOLDERS), Query::bind);
    let rows = question.fetch_all(connection).await?;
    let decode = |row: &Row| {
        let cells = Cells::new(TABLE, row);
        Ok((cells.number("place")?, LeadId::from_bytes(cells.bytes("lead")?)))
    };
    rows.iter().map(decode).collect()
}

impl Emails<'_> {
    /// The e-mails, each once or more.
    pub(crate) fn all(&self) -> impl Iterator<Item = i64> {
        let more = self.tags.more.iter().filter(|(kind, _)| *kind == TagKind::EMAIL);
        let first = self.tags.email.into_iter();
        first.chain(more.map(|(_, tag)| *tag)).chain(self.probes.iter().copied())
    }

    /// A live lead that has one of them, staged or in the tables.
    pub(crate) async fn find_holder(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Option<LeadId>> {
        let wanted: Vec<i64> = self.all().collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let values: Vec<_> = wanted
            .iter()
            .flat_map(|tag| {
                let (dataset, kind) = (self.dataset.0, TagKind::EMAIL.0);
                [(TagTable::Email, dataset, 0, *tag), (TagTable::More, dataset, kind, *tag)]
            })
            .collect();
        let staged = stage.find(connection, tenant, &values).await?;
        let row = query(FIND_HOLDER)
            .bind(i64::from(tenant.0))
            .bind(i64::from(self.dataset.0))
            .bind(wanted)
            .bind(self.own)
            .bind(staged.iter().map(|row| row.row_id).collect::<Vec<i64>>())
            .fetch_optional(connection)
            .await?;
        row.map(|row| Cells::new(TABLE, &row).bytes("lead").map(LeadId::from_bytes)).transpose()
    }
}

/// Puts the tags of a new or changed row in. The caller has probed: a taken e-mail is an error here. First values
/// have tables of their own on SQLite; on PostgreSQL the row has them.
pub(crate) async fn insert(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    dataset: DatasetNo,
    row_id: i64,
    tags: &LeadTags,
) -> Result<()> {
    let (tenant, dataset) = (i64::from(tenant.0), i64::from(dataset.0));
    if let Connection::Sqlite(_) = connection {
        if let Some(tag) = tags.email {
            let insert = query(INSERT_EMAIL).bind(tenant).bind(dataset).bind(tag);
            insert.bind(i64::from(tags.dup_no)).bind(row_id).execute(connection).await?;
        }
        for (statement, tag) in [(INSERT_PHONE, tags.phone), (INSERT_DOMAIN, tags.domain)] {
            let Some(tag) = tag else { continue };
            let insert = query(statement).bind(tenant).bind(dataset).bind(tag).bind(row_id);
            insert.execute(connection).await?;
        }
    }
    for (kind, tag) in &tags.more {
        let insert = query(INSERT_MORE).bind(tenant).bind(dataset).bind(i64::from(kind.0));
        insert.bind(*tag).bind(row_id).execute(connection).await?;
    }
    Ok(())
}

/// Takes the tags of rows out, staged or not. The rows ascend.
pub(crate) async fn delete_all(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    stage: &StageTransaction<'_>,
    rows: &[Held],
) -> Result<()> {
    let ids: Vec<i64> = rows.iter().map(|held| held.row_id).collect();
    let staged = stage.remove(connection, tenant, &ids).await?;
    for held in rows {
        let email = held.email.filter(|_| !staged.contains(&held.row_id));
        delete(connection, tenant, Held { email, ..*held }).await?;
    }
    Ok(())
}

/// Takes the tags of a row out of the tables.
async fn delete(connection: &mut Connection<'_>, tenant: TenantNo, held: Held) -> Result<()> {
    let (tenant, dataset) = (i64::from(tenant.0), i64::from(held.dataset.0));
    if let Connection::Sqlite(_) = connection {
        if let Some(tag) = held.email {
            let delete = query(DELETE_EMAIL).bind(tenant).bind(dataset).bind(tag);
            let done = delete.bind(held.dup_no).bind(held.row_id).execute(connection).await?;
            if done != 1 {
                return Err(StoreError::Missing { table: "lead_email" });
            }
        }
        for (statement, tag) in [(DELETE_PHONE, held.phone), (DELETE_DOMAIN, held.domain)] {
            let Some(tag) = tag else { continue };
            let delete = query(statement).bind(tenant).bind(dataset).bind(tag).bind(held.row_id);
            delete.execute(connection).await?;
        }
    }
    query(DELETE_MORE).bind(tenant).bind(held.row_id).execute(connection).await?;
    Ok(())
}
