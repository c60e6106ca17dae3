//! What handlers share: the cell and the bounds. Private to this crate; use cases take the cell alone.

use std::sync::Arc;

use leadvault_vault::Cell;

use crate::settings::ApiSettings;

/// State of the router.
#[derive(Debug, Clone)]
pub(crate) struct ApiState {
    /// The cell whose use cases are served.
    pub(crate) cell: Arc<Cell>,
    /// Bounds.
    pub(crate) settings: ApiSettings,
}
