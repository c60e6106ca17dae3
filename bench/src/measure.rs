//! What is measured, one file each.

pub(crate) mod baseline;
pub(crate) mod erase;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod neighbour;
pub(crate) mod throughput;
