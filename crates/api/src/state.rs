//! What handlers share: the cell and the bounds. Private to this crate; use cases take the cell alone.

use std::sync::Arc;

use leadvault_domain::{Clock, Entropy, EntropyFailed, Measured, Observer, Timestamp};
use leadvault_vault::Cell;

use crate::rate::Rate;
use crate::settings::ApiSettings;

/// State of the router.
#[derive(Debug, Clone)]
pub(crate) struct ApiState {
    /// The cell whose use cases are served.
    pub(crate) cell: Arc<Cell>,
    /// Bounds.
    pub(crate) settings: ApiSettings,
    /// Requests by tenant.
    pub(crate) rate: Rate,
}

/// Clock, randomness and observer of a cell, for layers that must not see the rest of it.
#[derive(Debug, Clone)]
pub(crate) struct OfCell(pub(crate) Arc<Cell>);

impl Clock for OfCell {
    fn now(&self) -> Timestamp {
        self.0.clock().now()
    }
}

impl Entropy for OfCell {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
        self.0.entropy().fill(bytes)
    }
}

impl Observer for OfCell {
    fn observe(&self, measured: &Measured<'_>) {
        self.0.observer().observe(measured);
    }
}
