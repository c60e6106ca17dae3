//! Jobs that a restart takes up again: exports being rendered, shreds being finished.

use std::sync::Arc;

use crate::cell::Cell;
use crate::error::Refusal;
use crate::{export, import, shred};

/// Takes up every open job of the cell.
///
/// # Errors
/// What the store says.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    shred::resume(cell).await?;
    import::undo::resume(cell).await?;
    export::resume(cell).await?;
    tokio::spawn(export::expire_for_ever(Arc::clone(cell)));
    Ok(())
}
