//! Queries for leads by id, by leaf and how many they are; those by tag are in [`crate::lead_by_tag`]. Erased leads
//! are in none of them.
//!
//! Pages go by leaf address: the order in which leaf keys are derived fastest, and one that an erasure
//! between two pages does not disturb.

use std::collections::BTreeMap;

use leadvault_domain::{Compartment, DatasetNo, LeadId, LeafAddress, LeafRange, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::query::Value;
use crate::engine::{Connection, Engine, Query, Row, query};
use crate::error::{Result, StoreError};
use crate::gather::Question;
use crate::lead::{self, LeadRow, Part, TABLE, lead_columns};
use crate::scope::TenantScope;
use crate::statement::{NONE, statements};

statements! {
    FIND = concat!("SELECT ", lead_columns!(),
        " FROM lead l WHERE l.tenant_no = $1 AND l.lead = $2 AND l.tombstone = 0");
    FIND_SEVERAL = NONE, postgres: concat!("SELECT ", lead_columns!(),
        " FROM unnest($2::bytea[]) j (lead) CROSS JOIN LATERAL (SELECT * FROM lead w \
        WHERE w.tenant_no = $1 AND w.lead = j.lead AND w.tombstone = 0 LIMIT 1) l");
    FIND_LEAF = "SELECT dataset_no, tree, leaf FROM lead WHERE tenant_no = $1 AND lead = $2";
    LIST_PARTS = "SELECT row_id, compartment, schema, revision, blob FROM lead_part \
                  WHERE tenant_no = $1 AND row_id IN (SELECT value FROM json_each($2)) \
                  ORDER BY row_id, compartment",
        postgres: "SELECT row_id, compartment, schema, revision, blob FROM lead_part \
                  WHERE tenant_no = $1 AND row_id = ANY ($2) ORDER BY row_id, compartment";
    LIST = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND (l.dataset_no, l.tree, l.leaf) > ($2, $3, $4) AND l.tombstone = 0 \
        ORDER BY l.dataset_no, l.tree, l.leaf LIMIT $5"),
        postgres: concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND l.row_id > lead_row($2, $3, $4) AND l.tombstone = 0 ORDER BY l.row_id LIMIT $5");
    LIST_DATASET = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND l.dataset_no = $2 AND (l.tree, l.leaf) > ($3, $4) AND l.tombstone = 0 \
        ORDER BY l.tree, l.leaf LIMIT $5"),
        postgres: concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND l.row_id > lead_row($2, $3, $4) AND l.row_id >= lead_row($2, 0, 0) \
        AND l.row_id < lead_row($2 + 1, 0, 0) AND l.tombstone = 0 ORDER BY l.row_id LIMIT $5");
    LIST_RANGE = concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND l.dataset_no = $2 AND l.tree = $3 AND l.leaf >= $4 AND l.leaf < $5 AND l.tombstone = 0 \
        ORDER BY l.leaf LIMIT $6"),
        postgres: concat!("SELECT ", lead_columns!(), " FROM lead l WHERE l.tenant_no = $1 \
        AND l.row_id >= lead_row($2, $3, $4) AND l.row_id < lead_row($2, $3, $5) \
        AND l.tombstone = 0 ORDER BY l.row_id LIMIT $6");
    LIST_ADDRESSES = "SELECT lead, dataset_no, tree, leaf FROM lead WHERE tenant_no = $1 \
        AND dataset_no = $2 AND tree = $3 AND leaf >= $4 AND leaf < $5 ORDER BY leaf LIMIT $6",
        postgres: "SELECT lead, dataset_no, tree, leaf FROM lead WHERE tenant_no = $1 \
        AND row_id >= lead_row($2, $3, $4) AND row_id < lead_row($2, $3, $5) \
        ORDER BY row_id LIMIT $6";
    MAX_LEAF = "SELECT MAX(leaf) FROM lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3",
        postgres: "SELECT MAX(row_id) - lead_row($2, $3, 0) FROM lead WHERE tenant_no = $1 \
        AND row_id >= lead_row($2, $3, 0) AND row_id < lead_row($2, $3 + 1, 0)";
    COUNT = "SELECT (SELECT COUNT(*) FROM lead INDEXED BY lead_by_leaf WHERE tenant_no = $1) \
             - (SELECT COUNT(*) FROM lead WHERE tenant_no = $1 AND tombstone = 1)",
        postgres: "SELECT (SELECT COUNT(*) FROM lead WHERE tenant_no = $1) \
             - (SELECT COUNT(*) FROM lead WHERE tenant_no = $1 AND tombstone = 1)";
    COUNT_DATASET = "SELECT (SELECT COUNT(*) FROM lead INDEXED BY lead_by_leaf WHERE tenant_no = $1 \
                     AND dataset_no = $2) - (SELECT COUNT(*) FROM lead WHERE tenant_no = $1 \
                     AND dataset_no = $2 AND tombstone = 1)",
        postgres: "SELECT (SELECT COUNT(*) FROM lead WHERE tenant_no = $1 \
                     AND row_id >= lead_row($2, 0, 0) AND row_id < lead_row($2 + 1, 0, 0)) \
                     - (SELECT COUNT(*) FROM lead WHERE tenant_no = $1 AND dataset_no = $2 \
                     AND tombstone = 1)";
    COUNT_RANGE = "SELECT COUNT(*) FROM lead WHERE tenant_no = $1 AND dataset_no = $2 AND tree = $3 \
                   AND leaf >= $4 AND leaf < $5 AND tombstone = 0",
        postgres: "SELECT COUNT(*) FROM lead WHERE tenant_no = $1 \
                   AND row_id >= lead_row($2, $3, $4) AND row_id < lead_row($2, $3, $5) \
                   AND tombstone = 0";
}

/// Rows of one page or step, whatever the caller asks for: about 64 MiB of the largest leads.
pub const PAGE_ROWS_MAX: u32 = 16_384;
impl DataStore {
    /// A live lead with all its compartments: one round trip, two if it has parts of its own rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_lead(&self, scope: TenantScope, id: LeadId) -> Result<Option<LeadRow>> {
        self.ask(scope, LiveLead(id)).await
    }

    /// Where a lead's key grows, erasure requested or not; `None` once its row is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_leaf(&self, scope: TenantScope, id: LeadId) -> Result<Option<LeafAddress>> {
        let question = query(FIND_LEAF).bind(scope.no()).bind(id.bytes().to_vec());
        let decode = |row: &Row| address(Cells::new(TABLE, row));
        self.engine().find(scope, question, decode).await
    }

    /// Live leads of a dataset, or of all, in leaf order behind `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_leads(
        &self,
        scope: TenantScope,
        dataset: Option<DatasetNo>,
        after: Option<LeafAddress>,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        let (in_dataset, tree, leaf) = behind(after);
        let question = match dataset {
            None => query(LIST).bind(scope.no()).bind(in_dataset),
            Some(dataset) => query(LIST_DATASET).bind(scope.no()).bind(i64::from(dataset.0)),
        };
        let limit = i64::from(limit.min(PAGE_ROWS_MAX));
        self.list(scope, question.bind(tree).bind(leaf).bind(limit)).await
    }

    /// Live leads of a leaf range, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_leads_in_range(
        &self,
        scope: TenantScope,
        range: LeafRange,
        limit: u32,
    ) -> Result<Vec<LeadRow>> {
        let question = bind_range(query(LIST_RANGE), scope, range)?;
        self.list(scope, question.bind(i64::from(limit.min(PAGE_ROWS_MAX)))).await
    }

    /// Ids and leaves of a leaf range, ascending, erasure requested or not: reconciliation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_addresses(
        &self,
        scope: TenantScope,
        range: LeafRange,
        limit: u32,
    ) -> Result<Vec<(LeadId, LeafAddress)>> {
        let question = bind_range(query(LIST_ADDRESSES), scope, range)?
            .bind(i64::from(limit.min(PAGE_ROWS_MAX)));
        let decode = |row: &Row| {
            let cells = Cells::new(TABLE, row);
            Ok((LeadId::from_bytes(cells.bytes("lead")?), address(cells)?))
        };
        self.engine().list(scope, question, decode).await
    }

    /// The largest leaf of a tree that a lead has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_largest_leaf(
        &self,
        scope: TenantScope,
        dataset: DatasetNo,
        tree: u32,
    ) -> Result<Option<u32>> {
        let mut reader = self.engine().reader(scope).await?;
        let leaf: Option<i64> = query(MAX_LEAF)
            .bind(scope.no())
            .bind(i64::from(dataset.0))
            .bind(i64::from(tree))
            .scalar(&mut reader.connection())
            .await?;
        let bad = StoreError::Inconsistent { table: TABLE, column: "leaf" };
        leaf.map(|l| u32::try_from(l).map_err(|_| bad)).transpose()
    }

    /// The number of live leads of a dataset, or of all. Reads each of them: for jobs, not for answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_leads(&self, scope: TenantScope, dataset: Option<DatasetNo>) -> Result<u64> {
        let question = match dataset {
            None => query(COUNT).bind(scope.no()),
            Some(no) => query(COUNT_DATASET).bind(scope.no()).bind(i64::from(no.0)),
        };
        let mut reader = self.engine().reader(scope).await?;
        count(question.scalar(&mut reader.connection()).await?)
    }

    /// The number of live leads of a leaf range.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_leads_in_range(&self, scope: TenantScope, range: LeafRange) -> Result<u64> {
        let mut reader = self.engine().reader(scope).await?;
        let n: i64 = query(COUNT_RANGE)
            .bind(scope.no())
            .bind(i64::from(range.dataset.0))
            .bind(i64::from(range.tree))
            .bind(i64::from(range.first))
            .bind(stored(range.end)?)
            .scalar(&mut reader.connection())
            .await?;
        count(n)
    }

    async fn list(&self, scope: TenantScope, question: Query) -> Result<Vec<LeadRow>> {
        list(&mut self.engine().reader(scope).await?.connection(), scope, question).await
    }
}

pub(crate) async fn list(
    connection: &mut Connection<'_>,
    scope: TenantScope,
    question: Query,
) -> Result<Vec<LeadRow>> {
    let rows = question.fetch_all(connection).await?;
    let mut leads = rows.iter().map(lead::decode).collect::<Result<Vec<_>>>()?;
    add_parts(connection, scope, &mut leads).await?;
    Ok(leads)
}

/// A live lead with all its compartments.
#[derive(Debug)]
pub(crate) struct LiveLead(LeadId);

impl Question for LiveLead {
    type Answer = Option<LeadRow>;

    async fn answer(
        engine: &Engine,
        tenant: TenantNo,
        all: Vec<Self>,
    ) -> Result<Vec<Option<LeadRow>>> {
        let scope = TenantScope(tenant);
        let mut reader = engine.reader(scope).await?;
        let question = match all.as_slice() {
            [one] => query(FIND).bind(scope.no()).bind(one.0.bytes().to_vec()),
            all => {
                let ids = all.iter().map(|question| Some(question.0.bytes().to_vec())).collect();
                query(FIND_SEVERAL).bind(scope.no()).bind(Value::BytesColumn(ids))
            }
        };
        let rows = question.fetch_all(&mut reader.connection()).await?;
        let mut leads: Vec<LeadRow> = rows.iter().map(lead::decode).collect::<Result<_>>()?;
        add_parts(&mut reader.connection(), scope, &mut leads).await?;
        let leads: BTreeMap<LeadId, LeadRow> = leads.into_iter().map(|l| (l.id, l)).collect();
        Ok(all.iter().map(|question| leads.get(&question.0).cloned()).collect())
    }
}

/// Adds the compartments that have rows of their own, where there are any.
async fn add_parts(
    connection: &mut Connection<'_>,
    scope: TenantScope,
    leads: &mut [LeadRow],
) -> Result<()> {
    let wanted: Vec<i64> = leads.iter().filter(|l| l.side_parts > 0).map(|l| l.row_id).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = query(LIST_PARTS).bind(scope.no()).bind(wanted).fetch_all(connection).await?;
    let mut parts: BTreeMap<i64, Vec<Part>> = BTreeMap::new();
    for row in &rows {
        let cells = Cells::new("lead_part", row);
        parts.entry(cells.value("row_id")?).or_default().push(Part {
            compartment: Compartment(cells.number("compartment")?),
            schema: cells.number("schema")?,
            revision: cells.number("revision")?,
            blob: cells.value("blob")?,
        });
    }
    for lead in leads {
        lead.parts.extend(parts.remove(&lead.row_id).unwrap_or_default());
    }
    Ok(())
}

fn bind_range(question: Query, scope: TenantScope, range: LeafRange) -> Result<Query> {
    Ok(question
        .bind(scope.no())
        .bind(i64::from(range.dataset.0))
        .bind(i64::from(range.tree))
        .bind(i64::from(range.first))
        .bind(stored(range.end)?))
}

fn address(cells: Cells<'_>) -> Result<LeafAddress> {
    Ok(LeafAddress {
        dataset: DatasetNo(cells.number("dataset_no")?),
        tree: cells.number("tree")?,
        leaf: cells.number("leaf")?,
    })
}

/// The place behind which a page begins; before every place without one.
pub(crate) fn behind(after: Option<LeafAddress>) -> (i64, i64, i64) {
    after.map_or((-1, -1, -1), |at| (at.dataset.0.into(), at.tree.into(), at.leaf.into()))
}

pub(crate) fn count(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| StoreError::Inconsistent { table: TABLE, column: "count" })
}
