//! Changes of leads that are stored: values, labels, erasure.
//!
//! Every change adds one to the version. An erasure has two steps: the tombstone, after which nothing finds
//! the lead and its ciphertext is gone from the row, and the removal of the row once its leaf is punctured.

use leadvault_domain::{Compartment, DatasetNo, Labels, LeadId, LeafRange, TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::lead::{self, LeadTags, Part, TABLE, is_side};
use crate::lead_tags::{self, Emails, Held};
use crate::stage::StageTransaction;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT row_id, dataset_no, version, labels, tombstone, email_tag, phone_tag, \
            domain_tag, index_epoch, dup_no FROM lead WHERE tenant_no = $1 AND lead = $2";
    UPDATE = "UPDATE lead SET version = version + 1, labels = $3, email_tag = $4, phone_tag = $5, \
              domain_tag = $6, index_epoch = $7, dup_no = $8, updated_min = $9 \
              WHERE tenant_no = $1 AND row_id = $2";
    UPDATE_CONTACT = "UPDATE lead SET contact_schema = $3, contact_revision = $4, contact = $5 \
                      WHERE tenant_no = $1 AND row_id = $2";
    UPDATE_PROFILE = "UPDATE lead SET profile_schema = $3, profile_revision = $4, profile = $5 \
                      WHERE tenant_no = $1 AND row_id = $2";
    UPDATE_LABELS = "UPDATE lead SET version = version + 1, labels = (labels & ~CAST($4 AS BIGINT)) | $3 \
                     WHERE tenant_no = $1 AND lead = $2 AND tombstone = 0 \
                     AND (version = $5 OR $5 IS NULL)";
    TOMBSTONE = "UPDATE lead SET tombstone = 1, version = version + 1, email_tag = NULL, \
                 phone_tag = NULL, domain_tag = NULL, contact = NULL, profile = NULL, parts = 0 \
                 WHERE tenant_no = $1 AND row_id = $2";
    DELETE_PARTS = "DELETE FROM lead_part WHERE tenant_no = $1 AND row_id = $2";
    DELETE = "DELETE FROM lead WHERE tenant_no = $1 AND lead = $2 AND tombstone = 1";
    /// Rows of a range, oldest leaf first, at most one step.
    RANGE = "SELECT row_id, dataset_no, version, labels, tombstone, email_tag, phone_tag, \
             domain_tag, index_epoch, dup_no FROM lead WHERE tenant_no = $1 AND dataset_no = $2 \
             AND tree = $3 AND leaf >= $4 AND leaf < $5 ORDER BY leaf LIMIT $6",
        postgres: "SELECT row_id, dataset_no, version, labels, tombstone, email_tag, phone_tag, \
             domain_tag, index_epoch, dup_no FROM lead WHERE tenant_no = $1 \
             AND row_id >= lead_row($2, $3, $4) AND row_id < lead_row($2, $3, $5) \
             ORDER BY row_id LIMIT $6";
    DELETE_ROW = "DELETE FROM lead WHERE tenant_no = $1 AND row_id = $2";
}

/// Rows that one [`DeleteLeadRange`] removes: about 15 ms of the write lock.
pub const RANGE_STEP_ROWS: u32 = 250;

/// The row as a change finds it.
struct Current {
    held: Held,
    version: u32,
    labels: i64,
    index_epoch: i64,
    tombstone: bool,
}

fn decode(row: &Row) -> Result<Current> {
    let cells = Cells::new(TABLE, row);
    Ok(Current {
        held: Held {
            dataset: DatasetNo(cells.number("dataset_no")?),
            row_id: cells.value("row_id")?,
            email: cells.value("email_tag")?,
            phone: cells.value("phone_tag")?,
            domain: cells.value("domain_tag")?,
            dup_no: cells.value("dup_no")?,
        },
        version: cells.number("version")?,
        labels: cells.value("labels")?,
        index_epoch: cells.value("index_epoch")?,
        tombstone: cells.value::<i64>("tombstone")? != 0,
    })
}

async fn find_live(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    id: LeadId,
) -> Result<Option<Current>> {
    let row = query(FIND)
        .bind(i64::from(tenant.0))
        .bind(id.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(decode).transpose()?.filter(|c| !c.tombstone))
}

/// Replaces compartments, and tags and labels where given. [`Conflict::VersionMoved`] if the lead changed
/// since `base`; [`Conflict::Duplicate`] if another live lead has one of the new e-mails.
#[derive(Debug, Clone)]
pub struct UpdateLead {
    /// The lead.
    pub id: LeadId,
    /// The version it must have; `None` takes any.
    pub base: Option<u32>,
    /// Compartments to store or replace.
    pub parts: Vec<Part>,
    /// Compartments to remove.
    pub removed: Vec<Compartment>,
    /// All tags anew; `None` leaves them.
    pub tags: Option<LeadTags>,
    /// More e-mail tags that must be free, as in [`crate::InsertLead`].
    pub probes: Vec<i64>,
    /// All labels anew; `None` leaves them.
    pub labels: Option<Labels>,
    /// When; cut to the minute here.
    pub updated: Timestamp,
}

impl UpdateLead {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        let Some(current) = find_live(connection, tenant, self.id).await? else {
            return Ok(Outcome::Conflict(Conflict::Missing));
        };
        if self.base.is_some_and(|base| base != current.version) {
            return Ok(Outcome::Conflict(Conflict::VersionMoved { version: current.version }));
        }
        let held = current.held;
        if let Some(tags) = self.tags.as_ref().filter(|t| t.dup_no == 0) {
            let wanted =
                Emails { dataset: held.dataset, tags, probes: &self.probes, own: held.row_id };
            if let Some(lead) = wanted.find_holder(connection, tenant, stage).await? {
                return Ok(Outcome::Conflict(Conflict::Duplicate { lead }));
            }
        }
        if let Some(tags) = &self.tags {
            lead_tags::delete_all(connection, tenant, stage, &[held]).await?;
            lead_tags::insert(connection, tenant, held.dataset, held.row_id, tags).await?;
        }
        self.update_row(connection, tenant, &current).await?;
        self.update_parts(connection, tenant, held.row_id).await?;
        Ok(Outcome::Done)
    }

    async fn update_row(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        current: &Current,
    ) -> Result<()> {
        let held = current.held;
        let (email, phone, domain, index_epoch, dup_no) = match &self.tags {
            Some(t) => (t.email, t.phone, t.domain, t.index_epoch.into(), t.dup_no.into()),
            None => (held.email, held.phone, held.domain, current.index_epoch, held.dup_no),
        };
        query(UPDATE)
            .bind(i64::from(tenant.0))
            .bind(held.row_id)
            .bind(self.labels.map_or(current.labels, Labels::bits))
            .bind(email)
            .bind(phone)
            .bind(domain)
            .bind(index_epoch)
            .bind(dup_no)
            .bind(self.updated.to_minute().micros())
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn update_parts(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        row_id: i64,
    ) -> Result<()> {
        let gone = self.removed.iter().map(|c| (*c, None));
        let kept = self.parts.iter().map(|p| (p.compartment, Some(p)));
        let mut sides_changed = false;
        for (compartment, part) in gone.chain(kept) {
            if is_side(compartment) {
                sides_changed = true;
                match part {
                    Some(part) => lead::upsert_part(connection, tenant, row_id, part).await?,
                    None => lead::delete_part(connection, tenant, row_id, compartment).await?,
                }
                continue;
            }
            let statement =
                if compartment == Compartment::CONTACT { UPDATE_CONTACT } else { UPDATE_PROFILE };
            query(statement)
                .bind(i64::from(tenant.0))
                .bind(row_id)
                .bind(part.map_or(0, |p| i64::from(p.schema)))
                .bind(part.map_or(0, |p| i64::from(p.revision)))
                .bind(part.map(|p| p.blob.clone()))
                .execute(&mut *connection)
                .await?;
        }
        if sides_changed {
            lead::count_parts(connection, tenant, row_id).await?;
        }
        Ok(())
    }
}

/// Sets and clears labels of a live lead.
#[derive(Debug, Clone, Copy)]
pub struct UpdateLabels {
    /// The lead.
    pub id: LeadId,
    /// The version it must have; `None` takes any.
    pub base: Option<u32>,
    /// Bits to set.
    pub set: Labels,
    /// Bits to clear.
    pub clear: Labels,
}

impl UpdateLabels {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(UPDATE_LABELS)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .bind(self.set.bits())
            .bind(self.clear.bits())
            .bind(self.base.map(i64::from))
            .execute(&mut *connection)
            .await?;
        if done == 1 {
            return Ok(Outcome::Done);
        }
        let conflict = find_live(connection, tenant, self.id)
            .await?
            .map_or(Conflict::Missing, |c| Conflict::VersionMoved { version: c.version });
        Ok(Outcome::Conflict(conflict))
    }
}

/// The first step of an erasure: from here on nothing finds the lead. Its ciphertext and tags go from the
/// row; id and leaf stay until the leaf is punctured.
#[derive(Debug, Clone, Copy)]
pub struct TombstoneLead {
    /// The lead.
    pub id: LeadId,
    /// The version it must have, where something was read from it; `None` for whichever it has.
    pub base: Option<u32>,
}

impl TombstoneLead {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        let Some(current) = find_live(connection, tenant, self.id).await? else {
            return Ok(Outcome::Conflict(Conflict::Missing));
        };
        if self.base.is_some_and(|base| base != current.version) {
            return Ok(Outcome::Conflict(Conflict::VersionMoved { version: current.version }));
        }
        let row_id = current.held.row_id;
        lead_tags::delete_all(connection, tenant, stage, &[current.held]).await?;
        for statement in [DELETE_PARTS, TOMBSTONE] {
            let query = query(statement).bind(i64::from(tenant.0)).bind(row_id);
            query.execute(&mut *connection).await?;
        }
        Ok(Outcome::Done)
    }
}

/// The last step of an erasure: removes the row of a lead that has a tombstone.
#[derive(Debug, Clone, Copy)]
pub struct DeleteLead {
    /// The lead.
    pub id: LeadId,
}

impl DeleteLead {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(DELETE)
            .bind(i64::from(tenant.0))
            .bind(self.id.bytes().to_vec())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Missing))
    }
}

/// Removes rows of a leaf range, live or not, with their tags: undo of an import, shred of a dataset,
/// retention, reconciliation. At most [`RANGE_STEP_ROWS`] at once; repeat until [`Outcome::Count`] is 0.
#[derive(Debug, Clone, Copy)]
pub struct DeleteLeadRange {
    /// The leaves.
    pub range: LeafRange,
}

impl DeleteLeadRange {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        let rows = query(RANGE)
            .bind(i64::from(tenant.0))
            .bind(i64::from(self.range.dataset.0))
            .bind(i64::from(self.range.tree))
            .bind(i64::from(self.range.first))
            .bind(stored(self.range.end)?)
            .bind(i64::from(RANGE_STEP_ROWS))
            .fetch_all(&mut *connection)
            .await?;
        let mut rows: Vec<Held> =
            rows.iter().map(|row| decode(row).map(|c| c.held)).collect::<Result<_>>()?;
        rows.sort_unstable_by_key(|held| held.row_id);
        lead_tags::delete_all(connection, tenant, stage, &rows).await?;
        for held in &rows {
            for statement in [DELETE_PARTS, DELETE_ROW] {
                let query = query(statement).bind(i64::from(tenant.0)).bind(held.row_id);
                query.execute(&mut *connection).await?;
            }
        }
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Outcome::Count(count))
    }
}
