//! What a pool of connections holds at one moment.

use sqlx::{Database, Pool};

/// A pool of connections to one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolGauge {
    /// What its connections are for: `readers`, `writers`.
    pub name: &'static str,
    /// In use now.
    pub used: u64,
    /// Open and waiting for use.
    pub idle: u64,
    /// As many as there may be.
    pub max: u64,
}

impl PoolGauge {
    /// Looks at a pool.
    pub(super) fn of<D: Database>(name: &'static str, pool: &Pool<D>) -> Self {
        let (size, idle) = (u64::from(pool.size()), pool.num_idle() as u64);
        let max = u64::from(pool.options().get_max_connections());
        Self { name, used: size.saturating_sub(idle), idle, max }
    }
}
