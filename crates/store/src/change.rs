//! Which leads an entry of the log changed, sealed: the side rows of the change feed.

use leadvault_domain::{LeadId, LeafRange, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::query::Value;
use crate::engine::{Connection, Query, Row, query};
use crate::error::{Result, StoreError};
use crate::import_slice::WholeSlice;
use crate::lead_unnest::push;
use crate::scope::TenantScope;
use crate::sealed::Sealed;
use crate::statement::{NONE, statements};
use crate::write::{Conflict, Outcome, Write};

statements! {
    INSERT = "INSERT INTO change (tenant_no, log_index, leads_leaf, leads_revision, leads) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    INSERT_SEVERAL = NONE, postgres: "INSERT INTO change (tenant_no, log_index, leads_leaf, \
              leads_revision, leads) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], \
              $4::bigint[], $5::bytea[]) ON CONFLICT DO NOTHING";
    LIST = "SELECT log_index, leads_leaf, leads_revision, leads FROM change \
            WHERE tenant_no = $1 AND log_index >= $2 AND log_index < $3 ORDER BY log_index";
}

/// The leads that a write changes, as far as it names them. Erasures are told by their own rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedLeads {
    /// Single ones.
    pub ids: Vec<LeadId>,
    /// Those of an import, by their leaves.
    pub ranges: Vec<LeafRange>,
}

impl ChangedLeads {
    /// What a write changes.
    pub fn of(write: &Write) -> Self {
        let mut changed = Self::default();
        changed.collect(write);
        changed
    }

    /// Whether it changes none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.ranges.is_empty()
    }

    fn collect(&mut self, write: &Write) {
        match write {
            Write::Several(parts) => parts.iter().for_each(|part| self.collect(part)),
            Write::InsertLead(insert) => self.ids.push(insert.lead.id),
            Write::UpdateLead(update) => self.ids.push(update.id),
            Write::UpdateLabels(update) => self.ids.push(update.id),
            Write::LeadSlice(slice) | Write::WholeSlice(WholeSlice(slice)) => {
                for row in &slice.rows {
                    self.add_leaf(LeafRange::single(row.at));
                }
            }
            _ => {}
        }
    }

    fn add_leaf(&mut self, leaf: LeafRange) {
        match self.ranges.last_mut() {
            Some(last)
                if last.end == u64::from(leaf.first)
                    && (last.dataset, last.tree) == (leaf.dataset, leaf.tree) =>
            {
                last.end = leaf.end;
            }
            _ => self.ranges.push(leaf),
        }
    }
}

/// Stores the leads that the entry beside it changed.
#[derive(Debug, Clone)]
pub struct InsertChange {
    /// The leads, sealed.
    pub leads: Sealed,
}

impl InsertChange {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        // A change without its entry is in no feed.
        let index = index.ok_or(StoreError::OutOfRange)?;
        let done = query(INSERT)
            .bind(i64::from(tenant.0))
            .bind(stored(index)?)
            .bind(i64::from(self.leads.leaf))
            .bind(i64::from(self.leads.revision))
            .bind(self.leads.blob.clone())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::Exists))
    }
}

/// Stores changes beside several entries, named by log and index; how many rows went in.
pub(crate) async fn insert_several(
    connection: &mut Connection<'_>,
    changes: &[(TenantNo, u64, &InsertChange)],
) -> Result<u64> {
    let (mut numbers, mut blobs) = (<[Vec<i64>; 4]>::default(), Vec::new());
    for (tenant, index, InsertChange { leads }) in changes {
        let (leaf, revision) = (i64::from(leads.leaf), i64::from(leads.revision));
        push(&mut numbers, [i64::from(tenant.0), stored(*index)?, leaf, revision]);
        blobs.push(Some(leads.blob.clone()));
    }
    let insert = numbers.into_iter().fold(query(INSERT_SEVERAL), Query::bind);
    insert.bind(Value::BytesColumn(blobs)).execute(connection).await
}

/// The leads of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The entry.
    pub index: u64,
    /// The leads, sealed.
    pub leads: Sealed,
}

impl DataStore {
    /// The changes of the entries `from..to`, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_changes(
        &self,
        scope: TenantScope,
        from: u64,
        to: u64,
    ) -> Result<Vec<ChangeRow>> {
        let question = query(LIST).bind(scope.no()).bind(stored(from)?).bind(stored(to)?);
        let decode = |row: &Row| {
            let cells = Cells::new("change", row);
            let leads = Sealed::read(cells, "leads_leaf", "leads_revision", "leads")?;
            Ok(ChangeRow {
                index: cells.number("log_index")?,
                leads: leads.ok_or(cells.bad("leads"))?,
            })
        };
        self.engine().list(scope, question, decode).await
    }
}
