//! New leads as columns, for PostgreSQL: one statement a table, whatever the number of rows.
//!
//! Row security refuses `COPY` into a table it guards; arrays go through it (protocols.md 5).

use leadvault_domain::{Compartment, TenantNo};

use crate::cells::{stored, stored_len};
use crate::engine::query::Value;
use crate::engine::{Connection, query};
use crate::error::{Result, StoreError};
use crate::lead::{LEAD_PARTS_MAX, NewLead, insert_lead};
use crate::statement::{NONE, statements};

statements! {
    /// Leads whose first e-mail is free.
    INSERT_LEADS = NONE, postgres: concat!(insert_lead!(keep), "SELECT row_id, $1, lead, dataset_no, tree, \
        leaf, 1, labels, email_tag, phone_tag, domain_tag, index_epoch, dup_no, batch, row_no, created_min, \
        created_min, 0, parts, contact_schema, contact_revision, contact, profile_schema, \
        profile_revision, profile FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], \
        $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], \
        $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], \
        $18::bigint[], $19::bytea[], $20::bigint[], $21::bigint[], $22::bytea[]) AS r (row_id, lead, \
        dataset_no, tree, leaf, labels, email_tag, phone_tag, domain_tag, index_epoch, dup_no, batch, \
        row_no, created_min, parts, contact_schema, contact_revision, contact, profile_schema, \
        profile_revision, profile) ON CONFLICT DO NOTHING");
    INSERT_TAGS = NONE, postgres: "INSERT INTO lead_tag (tenant_no, dataset_no, kind, tag, row_id) \
        SELECT $1, r.dataset_no, r.kind, r.tag, r.row_id FROM unnest($2::bigint[], $3::bigint[], \
        $4::bigint[], $5::bigint[]) AS r (dataset_no, kind, tag, row_id) ON CONFLICT DO NOTHING";
    INSERT_PARTS = NONE, postgres: "INSERT INTO lead_part (tenant_no, row_id, compartment, schema, \
        revision, blob) SELECT $1, r.row_id, r.compartment, r.schema, r.revision, r.blob \
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) \
        AS r (row_id, compartment, schema, revision, blob)";
}

/// Inserts leads that have different first e-mails; how many of them were stored.
///
/// # Errors
/// What the engine says; more parts or tags than a lead may have.
pub(crate) async fn insert_leads(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    leads: &[(i64, &NewLead)],
) -> Result<usize> {
    if leads.iter().any(|(_, l)| l.parts.len().max(l.tags.more.len()) > LEAD_PARTS_MAX) {
        return Err(StoreError::OutOfRange);
    }
    let numbers = |of: &dyn Fn(&NewLead) -> Result<Option<i64>>| {
        let column: Result<Vec<_>> = leads.iter().map(|(_, lead)| of(lead)).collect();
        column.map(Value::NumberColumn)
    };
    let mut insert = query(INSERT_LEADS)
        .bind(i64::from(tenant.0))
        .bind(leads.iter().map(|(row_id, _)| *row_id).collect::<Vec<i64>>())
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

fn bytes(leads: &[(i64, &NewLead)], of: impl Fn(&NewLead) -> Option<Vec<u8>>) -> Value {
    Value::BytesColumn(leads.iter().map(|(_, lead)| of(lead)).collect())
}

/// Inserts what leads that are stored have beside their rows: further tags, and compartments of their own.
///
/// # Errors
/// What the engine says.
pub(crate) async fn insert_sides(
    connection: &mut Connection<'_>,
    tenant: TenantNo,
    leads: &[(i64, &NewLead)],
) -> Result<()> {
    let tags = leads.iter().flat_map(|(row_id, lead)| {
        let dataset = i64::from(lead.at.dataset.0);
        let row = move |(kind, tag): &(leadvault_domain::TagKind, i64)| {
            (dataset, i64::from(kind.0), *tag, *row_id)
        };
        lead.tags.more.iter().map(row)
    });
    let (datasets, kinds, values, rows) = tags.collect::<(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>();
    if !rows.is_empty() {
        let insert = query(INSERT_TAGS).bind(i64::from(tenant.0)).bind(datasets).bind(kinds);
        insert.bind(values).bind(rows).execute(connection).await?;
    }
    let parts: Vec<(i64, _)> = leads
        .iter()
        .flat_map(|(row_id, lead)| lead.side_parts().map(|part| (*row_id, part)))
        .collect();
    if !parts.is_empty() {
        query(INSERT_PARTS)
            .bind(i64::from(tenant.0))
            .bind(parts.iter().map(|(row_id, _)| *row_id).collect::<Vec<i64>>())
            .bind(parts.iter().map(|(_, p)| i64::from(p.compartment.0)).collect::<Vec<i64>>())
            .bind(parts.iter().map(|(_, p)| i64::from(p.schema)).collect::<Vec<i64>>())
            .bind(parts.iter().map(|(_, p)| i64::from(p.revision)).collect::<Vec<i64>>())
            .bind(Value::BytesColumn(parts.iter().map(|(_, p)| Some(p.blob.clone())).collect()))
            .execute(connection)
            .await?;
    }
    Ok(())
}
