//! A vault in a temporary directory, its server as another process, and a client.

mod answer;
mod bucket;
mod caller;
mod collector;
mod files;
mod fixture;
mod program;
mod stores;
mod tenant;
mod vault;

pub use answer::Answer;
pub use bucket::bucket_program;
pub use caller::Caller;
pub use collector::{Collector, Manner, Posted};
pub use files::{copy_database, copy_dir, files};
pub use fixture::fixture;
pub use program::{binary, run, until};
pub use stores::{Stores, on_postgres};
pub use tenant::{Tenant, attestation, instruction};
pub use vault::{Node, Vault};
