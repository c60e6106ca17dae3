//! What a cell does about its disk behind the requests: the space kept for a full disk is made again once
//! there is room.

use std::sync::Arc;
use std::time::Duration;

use crate::cell::Cell;

/// Time between two looks. Room comes back when somebody makes it, which takes longer.
const LOOK: Duration = Duration::from_secs(10);

/// Looks for as long as the cell lives.
pub(crate) async fn run(cell: Arc<Cell>) {
    loop {
        tokio::time::sleep(LOOK).await;
        cell.data().fill_ballast().await;
        cell.parts().key_store.fill_ballast().await;
    }
}
