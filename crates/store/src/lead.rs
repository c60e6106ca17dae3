//! A lead as it lies in the store: sealed compartments, labels, tags, leaf address. And a new one, alone.
//!
//! Changes are in [`crate::lead_change`], imports in [`crate::lead_bulk`], queries in [`crate::lead_find`] and
//! [`crate::lead_by_tag`], tags in [`crate::lead_tags`].

use leadvault_domain::{
    Compartment, DatasetNo, Labels, LeadId, LeafAddress, TagKind, TenantNo, Timestamp,
};

use crate::cells::{Cells, stored, stored_len};
use crate::engine::{Connection, Query, Row, query};
use crate::error::{Result, StoreError};
use crate::export_extent;
use crate::lead_tags::{self, Emails};
use crate::stage::StageTransaction;
use crate::statement::{NONE, statements};
use crate::write::{Conflict, Outcome};

/// Columns of an insertion, up to `VALUES`. A row of values has a place for each.
macro_rules! insert_lead {
    () => {
        concat!(insert_lead!(keep), "VALUES ")
    };
    (keep) => {
        "INSERT INTO lead (row_id, tenant_no, lead, dataset_no, tree, leaf, version, labels, \
         email_tag, phone_tag, domain_tag, index_epoch, dup_no, batch, row_no, created_min, \
         updated_min, tombstone, parts, contact_schema, contact_revision, contact, \
         profile_schema, profile_revision, profile) "
    };
}
/// One row of values for [`insert_lead`]: 24 of them are bound, `tombstone` is 0.
macro_rules! insert_lead_row {
    () => {
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)"
    };
}
pub(crate) use {insert_lead, insert_lead_row};

statements! {
    /// Never a row that a run has had: a stage goes by the order of lead rows, and outlives the leads.
    NEXT_ROW = "SELECT MAX(COALESCE((SELECT MAX(row_id) FROM lead), 0), \
                COALESCE((SELECT MAX(last_row) FROM lead_stage), 0)) + 1", postgres: NONE;
    INSERT = concat!(insert_lead!(), "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15, $16, $17, 0, $18, $19, $20, $21, $22, $23, $24)");
    INSERT_PART = "INSERT INTO lead_part (tenant_no, row_id, compartment, schema, revision, blob) \
                   VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (tenant_no, row_id, compartment) DO UPDATE SET \
                   schema = excluded.schema, revision = excluded.revision, blob = excluded.blob";
    DELETE_PART = "DELETE FROM lead_part WHERE tenant_no = $1 AND row_id = $2 AND compartment = $3";
    COUNT_PARTS = "UPDATE lead SET parts = (SELECT COUNT(*) FROM lead_part p \
                   WHERE p.tenant_no = $1 AND p.row_id = $2) WHERE tenant_no = $1 AND row_id = $2";
}

pub(crate) const TABLE: &str = "lead";
/// Further tags and parts of one lead; above this the row is refused.
pub const LEAD_PARTS_MAX: usize = 1_024;

/// A sealed compartment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which one; part of its header.
    pub compartment: Compartment,
    /// Schema of its content; part of its header.
    pub schema: u16,
    /// How often it was sealed; part of its header.
    pub revision: u32,
    /// The LV1 container.
    pub blob: Vec<u8>,
}

/// The tags a lead is found by. 64 bits each, meaningless without the tenant's tag key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadTags {
    /// Of the first e-mail.
    pub email: Option<i64>,
    /// Of the first phone.
    pub phone: Option<i64>,
    /// Of the domain.
    pub domain: Option<i64>,
    /// Of further values, and of the client's own id.
    pub more: Vec<(TagKind, i64)>,
    /// Epoch of the tag key.
    pub index_epoch: u32,
    /// 0 where duplicates are refused, else the leaf.
    pub dup_no: u32,
}

/// A lead to be stored.
#[derive(Debug, Clone)]
pub struct NewLead {
    /// Its id.
    pub id: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
    /// What policy reads before a key.
    pub labels: Labels,
    /// What it is found by.
    pub tags: LeadTags,
    /// Number of the import it came with.
    pub batch: Option<u32>,
    /// Its data record in the file, from 1.
    pub row_no: Option<u64>,
    /// When it came; cut to the minute here.
    pub created: Timestamp,
    /// Its compartments, ascending.
    pub parts: Vec<Part>,
}

/// A lead that is stored and not erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadRow {
    pub(crate) row_id: i64,
    /// Its id.
    pub id: LeadId,
    /// Its leaf.
    pub at: LeafAddress,
    /// ETag.
    pub version: u32,
    /// What policy reads before a key.
    pub labels: Labels,
    /// Epoch of the tag key its tags were made with.
    pub index_epoch: u32,
    /// Number of the import it came with.
    pub batch: Option<u32>,
    /// Its data record in the file, from 1.
    pub row_no: Option<u64>,
    /// When it came, to the minute.
    pub created: Timestamp,
    /// When it last changed, to the minute.
    pub updated: Timestamp,
    pub(crate) side_parts: u32,
    /// Its compartments, ascending.
    pub parts: Vec<Part>,
}

impl LeadRow {
    /// A compartment, if it is there.
    pub fn part(&self, compartment: Compartment) -> Option<&Part> {
        self.parts.iter().find(|p| p.compartment == compartment)
    }
}

/// Columns of a [`LeadRow`], of a table named `l`.
macro_rules! lead_columns {
    () => {
        "l.row_id, l.lead, l.dataset_no, l.tree, l.leaf, l.version, l.labels, l.index_epoch, \
         l.batch, l.row_no, l.created_min, l.updated_min, l.parts, l.contact_schema, \
         l.contact_revision, l.contact, l.profile_schema, l.profile_revision, l.profile"
    };
}
pub(crate) use lead_columns;

/// Reads the columns of [`lead_columns`]; parts beside contact and profile are not among them.
pub(crate) fn decode(row: &Row) -> Result<LeadRow> {
    let cells = Cells::new(TABLE, row);
    let mut parts = Vec::with_capacity(2);
    if let Some(blob) = cells.value::<Option<Vec<u8>>>("contact")? {
        let (schema, revision) =
            (cells.number("contact_schema")?, cells.number("contact_revision")?);
        parts.push(Part { compartment: Compartment::CONTACT, schema, revision, blob });
    }
    if let Some(blob) = cells.value::<Option<Vec<u8>>>("profile")? {
        let (schema, revision) =
            (cells.number("profile_schema")?, cells.number("profile_revision")?);
        parts.push(Part { compartment: Compartment::PROFILE, schema, revision, blob });
    }
    Ok(LeadRow {
        row_id: cells.value("row_id")?,
        id: LeadId::from_bytes(cells.bytes("lead")?),
        at: LeafAddress {
            dataset: DatasetNo(cells.number("dataset_no")?),
            tree: cells.number("tree")?,
            leaf: cells.number("leaf")?,
        },
        version: cells.number("version")?,
        labels: Labels::from_bits(cells.value("labels")?),
        index_epoch: cells.number("index_epoch")?,
        batch: cells.number_or_null("batch")?,
        row_no: cells.number_or_null("row_no")?,
        created: cells.time("created_min")?,
        updated: cells.time("updated_min")?,
        side_parts: cells.number("parts")?,
        parts,
    })
}

impl NewLead {
    /// A compartment, if it is there.
    pub(crate) fn part(&self, compartment: Compartment) -> Option<&Part> {
        self.parts.iter().find(|p| p.compartment == compartment)
    }

    /// The compartments that have rows of their own.
    pub(crate) fn side_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|p| is_side(p.compartment))
    }

    /// Binds the values of [`insert_lead_row`], in its order.
    pub(crate) fn bind(&self, insert: Query, tenant: TenantNo, row_id: i64) -> Result<Query> {
        if self.parts.len() > LEAD_PARTS_MAX || self.tags.more.len() > LEAD_PARTS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let created = self.created.to_minute().micros();
        let mut insert = insert
            .bind(row_id)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(i64::from(self.at.dataset.0))
            .bind(i64::from(self.at.tree))
            .bind(i64::from(self.at.leaf))
            .bind(1_i64)
            .bind(self.labels.bits())
            .bind(self.tags.email)
            .bind(self.tags.phone)
            .bind(self.tags.domain)
            .bind(i64::from(self.tags.index_epoch))
            .bind(i64::from(self.tags.dup_no))
            .bind(self.batch.map(i64::from))
            .bind(self.row_no.map(stored).transpose()?)
            .bind(created)
            .bind(created)
            .bind(stored_len(self.side_parts().count())?);
        for part in [self.part(Compartment::CONTACT), self.part(Compartment::PROFILE)] {
            insert = insert
                .bind(part.map_or(0, |p| i64::from(p.schema)))
                .bind(part.map_or(0, |p| i64::from(p.revision)))
                .bind(part.map(|p| p.blob.clone()));
        }
        Ok(insert)
    }
}

/// Whether a compartment has a row of its own.
pub(crate) fn is_side(compartment: Compartment) -> bool {
    compartment != Compartment::CONTACT && compartment != Compartment::PROFILE
}

/// The numbers the rows of new leads get: the next ones on SQLite, where the write lock is held and nobody else
/// takes them; their leaf addresses on PostgreSQL.
pub(crate) async fn number<'l>(
    connection: &mut Connection<'_>,
    leads: &'l [NewLead],
) -> Result<Vec<(i64, &'l NewLead)>> {
    if let Connection::Postgres(_) = connection {
        return leads.iter().map(|lead| Ok((leaf_row(lead.at)?, lead))).collect();
    }
    let first: i64 = query(NEXT_ROW).scalar(connection).await?;
    Ok((first..).zip(leads).collect())
}

/// Datasets of a tenant that a row number has room for.
const ROW_DATASETS: u32 = 1 << 19;
/// Trees of a dataset that a row number has room for.
const ROW_TREES: u32 = 1 << 12;

/// `lead_row` of the PostgreSQL schema: the order of rows is the order of leaves.
fn leaf_row(at: LeafAddress) -> Result<i64> {
    if at.dataset.0 >= ROW_DATASETS || at.tree >= ROW_TREES {
        return Err(StoreError::OutOfRange);
    }
    let tree = i64::from(at.dataset.0) * i64::from(ROW_TREES) + i64::from(at.tree);
    Ok((tree << 32) + i64::from(at.leaf))
}

/// Stores or replaces a compartment that has a row of its own.
pub(crate) async fn upsert_part(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    row_id: i64,
    part: &Part,
) -> Result<()> {
    query(INSERT_PART)
        .bind(i64::from(tenant.0))
        .bind(row_id)
        .bind(i64::from(part.compartment.0))
        .bind(i64::from(part.schema))
        .bind(i64::from(part.revision))
        .bind(part.blob.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a compartment that has a row of its own.
pub(crate) async fn delete_part(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    row_id: i64,
    compartment: Compartment,
) -> Result<()> {
    query(DELETE_PART)
        .bind(i64::from(tenant.0))
        .bind(row_id)
        .bind(i64::from(compartment.0))
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts the compartments with rows of their own again.
pub(crate) async fn count_parts(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    row_id: i64,
) -> Result<()> {
    query(COUNT_PARTS).bind(i64::from(tenant.0)).bind(row_id).execute(connection).await?;
    Ok(())
}

/// Stores one lead. [`Conflict::Duplicate`] if a live lead of the dataset has one of its e-mails, unless
/// `dup_no` allows it.
#[derive(Debug, Clone)]
pub struct InsertLead {
    /// The lead.
    pub lead: NewLead,
    /// More e-mail tags that must be free: those under the tag key before, while it is being replaced.
    pub probes: Vec<i64>,
}

impl InsertLead {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        let lead = &self.lead;
        let dataset = lead.at.dataset;
        if lead.tags.dup_no == 0 {
            let wanted = Emails { dataset, tags: &lead.tags, probes: &self.probes, own: 0 };
            if let Some(holder) = wanted.find_holder(connection, tenant, stage).await? {
                return Ok(Outcome::Conflict(Conflict::Duplicate { lead: holder }));
            }
        }
        let numbered = number(connection, std::slice::from_ref(lead)).await?;
        let (row_id, _) = *numbered.first().ok_or(StoreError::OutOfRange)?;
        lead.bind(query(INSERT), tenant, row_id)?.execute(connection).await?;
        lead_tags::insert(connection, tenant, dataset, row_id, &lead.tags).await?;
        for part in lead.side_parts() {
            upsert_part(connection, tenant, row_id, part).await?;
        }
        export_extent::insert_late(connection, tenant, &[lead.at]).await?;
        Ok(Outcome::Done)
    }
}
