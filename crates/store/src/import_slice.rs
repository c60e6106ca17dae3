//! A slice of an import that goes in as a whole or not at all.
//!
//! The importer asks beforehand who is there already, so that its counts, its list of failures and its
//! changes of other leads stand in the same transaction as its new leads. Somebody who takes one of the
//! addresses between the question and the commit undoes the whole slice: the importer asks again.
//!
//! Not the first part of a write: by the time it finds the conflict it has changed rows.

use leadvault_domain::TenantNo;

use crate::engine::Connection;
use crate::error::Result;
use crate::lead_bulk::LeadSlice;
use crate::stage::StageTransaction;
use crate::write::{Conflict, Outcome};

/// New leads of which none may be there already; [`Conflict::Exists`] where one is. Stands behind another
/// part of the same write.
#[derive(Debug, Clone)]
pub struct WholeSlice(pub LeadSlice);

impl WholeSlice {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        stage: &StageTransaction<'_>,
    ) -> Result<Outcome> {
        match self.0.run(connection, tenant, stage).await? {
            Outcome::Slice(slice) if !slice.lost.is_empty() => {
                Ok(Outcome::Conflict(Conflict::Exists))
            }
            outcome => Ok(outcome),
        }
    }
}
