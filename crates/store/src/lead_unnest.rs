//! New leads as columns, for PostgreSQL: one statement a table, whatever the number of rows and of tenants.
//!
//! Row security refuses `COPY` into a table it guards; arrays go through it (protocols.md 5).

use leadvault_domain::{Compartment, TenantNo};

use crate::cells::{stored, stored_len};
use crate::engine::query::Value;
use crate::engine::{Connection, Query, query};
use crate::error::{Result, StoreError};
use crate::lead::{LEAD_PARTS_MAX, NewLead, insert_lead};
use crate::statement::{NONE, statements};

statements! {
    /// Leads whose first e-mail is free.
    INSERT_LEADS = NONE, postgres: concat!(insert_lead!(keep), "SELECT row_id, tenant_no, lead, dataset_no, \
        tree, leaf, 1, labels, email_tag, phone_tag, domain_tag, index_epoch, dup_no, batch, row_no, \
        created_min, created_min, 0, parts, contact_schema, contact_revision, contact, profile_schema, \
        profile_revision, profile FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], \
        $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], \
        $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], \
        $17::bigint[], $18::bigint[], $19::bytea[], $20::bigint[], $21::bigint[], $22::bytea[]) \
        AS r (tenant_no, row_id, lead, dataset_no, tree, leaf, labels, email_tag, phone_tag, domain_tag, \
        index_epoch, dup_no, batch, row_no, created_min, parts, contact_schema, contact_revision, \
        contact, profile_schema, profile_revision, profile) ON CONFLICT DO NOTHING");
    INSERT_TAGS = NONE, postgres: "INSERT INTO lead_tag (tenant_no, dataset_no, kind, tag, row_id) \
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
        ON CONFLICT DO NOTHING";
    INSERT_PARTS = NONE, postgres: "INSERT INTO lead_part (tenant_no, row_id, compartment, schema, \
        revision, blob) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], \
        $5::bigint[], $6::bytea[])";
}

/// A lead on its way into the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'l> {
    /// Whose it is.
    pub(crate) tenant: TenantNo,
    /// The number of its row.
    pub(crate) row_id: i64,
    /// What it is.
    pub(crate) lead: &'l NewLead,
}

/// Inserts leads that have different first e-mails; how many of them were stored.
///
/// # Errors
/// What the engine says; more parts or tags than a lead may have.
pub(crate) async fn insert_leads(
    connection: &mut Connection<'_>,
    leads: &[Placed<'_>],
) -> Result<usize> {
    let too_many = |l: &NewLead| l.parts.len().max(l.tags.more.len()) > LEAD_PARTS_MAX;
    if leads.iter().any(|placed| too_many(placed.lead)) {
        return Err(StoreError::OutOfRange);
    }
    let numbers = |of: &dyn Fn(&NewLead) -> Result<Option<i64>>| {
        let column: Result<Vec<_>> = leads.iter().map(|placed| of(placed.lead)).collect();
        column.map(Value::NumberColumn)
    };
    let mut insert = query(INSERT_LEADS)
        .bind(leads.iter().map(|placed| i64::from(placed.tenant.0)).collect::<Vec<i64>>())
        .bind(leads.iter().map(|placed| placed.row_id).collect::<Vec<i64>>())
        .bind(bytes(leads, |lead| Some(lead.id.bytes().to_vec())))
        .bind(numbers(&|lead| Ok(Some(lead.at.dataset.0.into())))?)
        .bind(numbers(&|lead| Ok(Some(lead.at.tree.into())))?)
        .bind(numbers(&|lead| Ok(Some(lead.at.leaf.into())))?)
        .bind(numbers(&|lead| Ok(Some(lead.labels.bits())))?)
        .bind(numbers(&|lead| Ok(lead.tags.email))?)
        .bind(numbers(&|lead| Ok(lead.tags.phone))?)
        .bind(numbers(&|lead| Ok(lead.tags.domain))?)
        .bind(numbers(&|lead| Ok(Some(lead.tags.index_epoch.into())))?)
        .bind(numbers(&|lead| Ok(Some(lead.tags.dup_no.into())))?)
        .bind(numbers(&|lead| Ok(lead.batch.map(i64::from)))?)
        .bind(numbers(&|lead| lead.row_no.map(stored).transpose())?)
        .bind(numbers(&|lead| Ok(Some(lead.created.to_minute().micros())))?)
        .bind(numbers(&|lead| stored_len(lead.side_parts().count()).map(Some))?);
    for compartment in [Compartment::CONTACT, Compartment::PROFILE] {
        insert = insert
            .bind(numbers(&|l| Ok(Some(l.part(compartment).map_or(0, |p| p.schema.into()))))?)
            .bind(numbers(&|l| Ok(Some(l.part(compartment).map_or(0, |p| p.revision.into()))))?)
            .bind(bytes(leads, |lead| lead.part(compartment).map(|p| p.blob.clone())));
    }
    let done = insert.execute(connection).await?;
    usize::try_from(done).map_err(|_| StoreError::OutOfRange)
}

fn bytes(leads: &[Placed<'_>], of: impl Fn(&NewLead) -> Option<Vec<u8>>) -> Value {
    Value::BytesColumn(leads.iter().map(|placed| of(placed.lead)).collect())
}

/// Inserts what leads that are stored have beside their rows: further tags, and compartments of their own.
///
/// # Errors
/// What the engine says.
pub(crate) async fn insert_sides(
    connection: &mut Connection<'_>,
    leads: &[Placed<'_>],
) -> Result<()> {
    let mut tags: [Vec<i64>; 5] = Default::default();
    let mut parts: [Vec<i64>; 5] = Default::default();
    let mut blobs = Vec::new();
    for Placed { tenant, row_id, lead } in leads.iter().copied() {
        let (tenant, dataset) = (i64::from(tenant.0), i64::from(lead.at.dataset.0));
        for (kind, tag) in &lead.tags.more {
            push(&mut tags, [tenant, dataset, i64::from(kind.0), *tag, row_id]);
        }
        for part in lead.side_parts() {
            let (schema, revision) = (i64::from(part.schema), i64::from(part.revision));
            push(&mut parts, [tenant, row_id, i64::from(part.compartment.0), schema, revision]);
            blobs.push(Some(part.blob.clone()));
        }
    }
    if tags.iter().any(|column| !column.is_empty()) {
        let insert = tags.into_iter().fold(query(INSERT_TAGS), Query::bind);
        insert.execute(connection).await?;
    }
    if !blobs.is_empty() {
        let insert = parts.into_iter().fold(query(INSERT_PARTS), Query::bind);
        insert.bind(Value::BytesColumn(blobs)).execute(connection).await?;
    }
    Ok(())
}

/// Adds a row to columns.
pub(crate) fn push<const N: usize>(columns: &mut [Vec<i64>; N], row: [i64; N]) {
    columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
}
