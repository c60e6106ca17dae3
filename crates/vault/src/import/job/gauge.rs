//! How fast an upload goes: where it began and when, in memory only, for as long as it runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use leadvault_domain::{ImportId, Timestamp};
use leadvault_store::ImportRow;

/// Uploads that run in this process.
pub(crate) type Gauges = Mutex<HashMap<ImportId, Gauge>>;

/// Where one upload began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauge {
    since: Timestamp,
    first_byte: u64,
    first_row: u64,
    /// Bytes of the whole file, where the client said so.
    total: Option<u64>,
}

/// Rows a second and seconds to go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) rows_per_second: Option<f64>,
    pub(super) remaining_seconds: Option<f64>,
}

/// Takes its gauge away when the upload ends, however it ends.
pub(super) struct Running {
    gauges: Arc<Gauges>,
    id: ImportId,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Begins to measure an upload.
pub(super) fn begin(
    gauges: &Arc<Gauges>,
    row: &ImportRow,
    now: Timestamp,
    total: Option<u64>,
) -> Running {
    let gauge = Gauge { since: now, first_byte: row.next_byte, first_row: row.rows.read, total };
    gauges.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, gauge);
    Running { gauges: Arc::clone(gauges), id: row.id }
}

/// The pace of an import, if it is being uploaded.
pub(super) fn pace(gauges: &Gauges, row: &ImportRow, now: Timestamp) -> Pace {
    let gauges = gauges.lock().unwrap_or_else(PoisonError::into_inner);
    gauges.get(&row.id).map(|gauge| gauge.pace(row, now)).unwrap_or_default()
}

impl Gauge {
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    fn pace(&self, row: &ImportRow, now: Timestamp) -> Pace {
        let micros = now.micros().saturating_sub(self.since.micros());
        let rows = row.rows.read.saturating_sub(self.first_row);
        let bytes = row.next_byte.saturating_sub(self.first_byte);
        if micros <= 0 || bytes == 0 {
            return Pace::default();
        }
        let seconds = micros as f64 / 1e6;
        let left = self.total.map(|total| total.saturating_sub(row.next_byte));
        Pace {
            rows_per_second: Some(rows as f64 / seconds),
            remaining_seconds: left.map(|left| left as f64 * seconds / bytes as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use leadvault_domain::DatasetNo;
    use leadvault_store::{ImportRows, ImportState};

    use super::*;

    #[test]
    fn the_pace_is_that_of_this_upload_alone() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let row = |next_byte, read| ImportRow {
            no: 1,
            id: ImportId::from_bytes([7; 16]),
            dataset: DatasetNo(1),
            state: ImportState::Running,
            created_at: at(0),
            expires_at: None,
            next_byte,
            next_row: read + 1,
            rows: ImportRows { read, ..ImportRows::default() },
            meta: None,
            cursor: None,
        };
        let gauges = Arc::new(Gauges::default());
        let before = row(1_000, 10);
        let running = begin(&gauges, &before, at(100), Some(9_000));
        assert_eq!(pace(&gauges, &before, at(101)), Pace::default());
        let now = pace(&gauges, &row(3_000, 30), at(104));
        assert_eq!(now.rows_per_second, Some(5.0));
        assert_eq!(now.remaining_seconds, Some(12.0));
        drop(running);
        assert_eq!(pace(&gauges, &row(3_000, 30), at(104)), Pace::default());
    }
}
