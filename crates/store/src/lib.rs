//! The only crate that names sqlx. Sees sealed bytes, tags and numbers, never plaintext and never a key.
//!
//! - [`DataStore`] (`data.db`): one file per noun, each with its row struct, its statements, its reads as
//!   methods of the store, and its changes as [`Write`]s. It implements [`leadvault_ledger::AppendChunks`]:
//!   a write and its entry commit together. Behind its callers a keeper merges staged tags and moves the
//!   write-ahead log.
//! - [`KeyStore`] (`keys.db`): implements [`leadvault_keys::KeyBlobs`].
//! - [`LogFiles`] (`log/`), [`Objects`] (`files/`, or a bucket): what lies in files.
//!
//! # Adding to it
//! 1. A column or table: a new file in `migrations/sqlite/data`; never change one that ran.
//! 2. A read: a `const` in the file's `statements!` and a method that takes a [`TenantScope`].
//! 3. A change: a struct with `run` in the file of its noun, and a line in `write.rs`.
//! 4. A file: a line here, and its `STATEMENTS` in `inventory.rs`.

pub mod fail_point;

mod api_key;
mod append;
mod append_creations;
mod ballast;
mod cell_secret;
mod cells;
mod certificate;
mod change;
mod control;
mod data_store;
mod dataset;
mod disk;
mod engine;
mod erase;
mod error;
mod exit_permit;
mod export;
mod export_extent;
mod export_part;
mod file;
mod file_link;
mod file_part;
mod gather;
mod head_watch;
mod import;
mod import_failure;
mod import_slice;
mod instruction;
#[cfg(test)]
mod inventory;
mod journal;
mod keeper;
mod key_blobs;
mod key_rows;
mod key_store;
mod lead;
mod lead_bulk;
mod lead_by_tag;
mod lead_change;
mod lead_find;
mod lead_tags;
mod lead_unnest;
mod log_end;
mod log_files;
mod log_head;
mod log_tree;
mod log_upkeep;
mod move_store;
mod notice;
mod objects;
mod operation;
mod principal;
mod replay;
mod scope;
mod sealed;
mod stage;
mod stage_merge;
mod statement;
mod suppression;
mod system_leaf;
mod tag_row;
mod tenant;
mod together;
mod words;
mod write;

pub use api_key::{ApiKeyRow, InsertApiKey, RevokeApiKey};
pub use cell_secret::CellSecretRow;
pub use certificate::{CertificateRow, CompleteCertificate, InsertCertificate, IssueCertificate};
pub use change::{ChangeRow, ChangedLeads, InsertChange};
pub use control::{BumpDir, BumpState, ControlRow};
pub use data_store::DataStore;
pub use dataset::{DatasetRow, InsertDataset, UpdateDataset};
pub use engine::{PoolGauge, PostgresOptions, StoreOptions};
pub use erase::{DeleteErases, EraseRow, EraseStep, InsertErase, UpdateErase};
pub use error::{EngineCode, Result, StoreError};
pub use exit_permit::{ExitPermitRow, InsertExitPermit};
pub use export::{ExportFile, ExportRow, ExportStep, InsertExport, UpdateExport};
pub use export_part::{
    CloseExportPart, DropExportParts, ExportMoment, ExportPartRow, OpenExportPart, PartHolds,
    RowsSeen, SpoilExportParts,
};
pub use file::{
    DeleteFile, EraseFile, EraseIdleFile, FileLimits, FileRow, InsertFile, InsertFileBlock,
};
pub use file_link::{FileLink, UNLINK_STEP, UnlinkFiles};
pub use file_part::{AppendFilePart, FilePart};
pub use head_watch::HeadWatch;
pub use import::{
    DeleteImportRanges, ImportRow, ImportRows, InsertImport, LeaseImport, StepImport, UpdateImport,
};
pub use import_failure::{FAILURES_MAX, FailureRow, ImportFailure, InsertImportFailures};
pub use import_slice::WholeSlice;
pub use instruction::{InsertInstruction, InstructionRow, UpdateInstruction};
pub use journal::{AppendBundle, ChunkRow, DeleteChunks};
pub use key_store::KeyStore;
pub use lead::{InsertLead, LEAD_PARTS_MAX, LeadRow, LeadTags, NewLead, Part};
pub use lead_bulk::{LeadSlice, LostAs, LostRow, SLICE_ROWS_MAX, SliceOutcome};
pub use lead_by_tag::{DatasetTag, TAGS_MAX};
pub use lead_change::{
    DeleteLead, DeleteLeadRange, RANGE_STEP_ROWS, TombstoneLead, UpdateLabels, UpdateLead,
};
pub use lead_find::PAGE_ROWS_MAX;
pub use log_files::{CHECKPOINT, LogFiles, LogLock, VKEY};
pub use log_head::LogHeadRow;
pub use log_tree::{LogTreeRow, UpsertLogTree};
pub use log_upkeep::{LogUpkeepRow, UpsertLogUpkeep};
pub use move_store::MovedTable;
pub use notice::{AcknowledgeNotice, InsertNotice, NOTICES_MAX, NoticeRow};
pub use objects::{Bucket, ObjectName, ObjectWriter, Objects};
pub use operation::{
    ClaimOperation, DeleteOperations, DueOperation, FinishOperation, InsertOperation, NodeId,
    OperationRow, PostponeOperation, UpdateProgress,
};
pub use principal::{InsertPrincipal, PrincipalRow};
pub use replay::{DeleteReplays, InsertReplay, ReplayRow};
pub use scope::TenantScope;
pub use sealed::Sealed;
pub use suppression::{DeleteSuppression, InsertSuppression, SuppressionRow};
pub use tenant::{
    DeleteTenantRows, InsertTenant, SHRED_STEP_ROWS, TenantRow, UpdateTenantMeta, UpdateTenantState,
};
pub use words::{
    DatasetState, EraseState, EraseWith, ExportState, FileState, ImportState, NoticeState,
    OperationState, PartState,
};
pub use write::{Conflict, Outcome, PARTS_MAX, Write};
