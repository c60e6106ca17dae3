//! Removal of rows whose keys are gone, in steps: the calls of other tenants go between.

use leadvault_domain::{LeafRange, OperationId};
use leadvault_store::{DeleteLeadRange, Outcome as Written, TenantScope};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::jobs;
use crate::room::Room;

/// Steps between two reports of progress.
const REPORT_STEPS: u32 = 20;

/// Removes every row in the ranges, and tells the operation how far it is. Idempotent.
///
/// # Errors
/// What the store says.
pub(crate) async fn remove(
    cell: &Cell,
    room: &Room,
    operation: OperationId,
    ranges: &[LeafRange],
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    // A former run may have been cut off: its count is a floor.
    let row = cell.data().find_operation(scope, operation).await?;
    let mut done = row.map_or(0, |row| row.done);
    let mut steps = 0_u32;
    for range in ranges {
        let step = DeleteLeadRange { range: *range };
        while let Written::Count(rows @ 1..) = cell.data().apply(scope, step).await? {
            done += rows;
            steps += 1;
            if steps.is_multiple_of(REPORT_STEPS) {
                jobs::report(cell, scope, operation, done).await?;
            }
        }
    }
    jobs::report(cell, scope, operation, done).await
}
