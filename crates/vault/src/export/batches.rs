//! Imports that leads of an export came with: their ids, and the plans their cells are rebuilt by.

use std::collections::HashMap;
use std::sync::Arc;

use leadvault_domain::{Fields, ImportId, Personal};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::import::{Plan, cells_of_fields, job, rebuild_cells};
use crate::room::Room;

/// One import.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) id: Option<ImportId>,
    plan: Option<Arc<Plan>>,
}

impl Batch {
    /// Header and cell of every cell of a row, byte for byte. A lead that came with no import has those it
    /// was made with.
    pub(crate) fn cells(&self, fields: &Fields) -> Vec<(Personal, Personal)> {
        match &self.plan {
            Some(plan) => rebuild_cells(plan, fields),
            None => cells_of_fields(fields),
        }
    }
}

/// Imports seen so far: read once each.
#[derive(Debug, Default)]
pub(crate) struct Batches(HashMap<u32, Batch>);

impl Batches {
    /// Reads an import that was not seen yet.
    ///
    /// # Errors
    /// What store and keys say.
    pub(crate) async fn see(
        &mut self,
        cell: &Cell,
        room: &Room,
        batch: Option<u32>,
    ) -> Result<(), Refusal> {
        let Some(no) = batch.filter(|no| !self.0.contains_key(no)) else { return Ok(()) };
        let id = job::id_of(cell, room, batch).await?;
        let plan = job::plan_of(cell, room, no).await?.map(Arc::new);
        self.0.insert(no, Batch { id, plan });
        Ok(())
    }

    /// An import that was seen.
    pub(crate) fn get(&self, batch: Option<u32>) -> Batch {
        batch.and_then(|no| self.0.get(&no).cloned()).unwrap_or_default()
    }
}
