//! The use cases: the only place where decision, receipt, key and row meet.

mod import;
mod lead_codec;
mod mask;
