//! Everything that changes rows of the data store.
//!
//! A [`Write`] runs inside a transaction that somebody else begins: that of the journal, next to its entry
//! ([`leadvault_ledger::AppendChunks`]), or one of its own where it carries no entry ([`DataStore::apply`]).
//!
//! The contract of `run`:
//! - what the content may cause is an [`Outcome`], not an error: `ON CONFLICT DO NOTHING … RETURNING`,
//!   `WHERE version = ?`. An error rolls the whole transaction back.
//! - a write that reports a [`Conflict`] has changed nothing.
//! - it may run more than once: only rows, no clock, no randomness, nothing outside the transaction.
//!
//! A write that stores the index of its own entry takes it as a third parameter and is listed as `indexed`;
//! one that reads or changes tags takes the transaction's stage and is listed as `staged`.
//!
//! Adding one: a public struct with `pub(crate) async fn run(&self, &mut Connection<'_>, TenantNo)
//! -> Result<Outcome>` in the file of its noun, and its name in the list below.

use leadvault_domain::{LeadId, TenantNo};

use crate::data_store::DataStore;
use crate::engine::Connection;
use crate::error::{Result, StoreError};
use crate::log_end::{End, LogEnd};
use crate::scope::TenantScope;
use crate::stage::StageTransaction;
use crate::{
    api_key, certificate, change, control, dataset, erase, exit_permit, export, export_part, file,
    file_link, file_part, import, import_failure, instruction, journal, lead, lead_bulk,
    lead_change, log_tree, log_upkeep, notice, operation, principal, replay, suppression, tenant,
};

/// Most parts of one write: a mass erasure marks at most this many leads in one transaction.
pub const PARTS_MAX: usize = 1_024;

macro_rules! writes {
    (@run $write:ident $connection:ident $spot:ident) => {
        Box::pin($write.run($connection, $spot.tenant)).await
    };
    (@run $write:ident $connection:ident $spot:ident indexed) => {
        {
            let index = $spot.index($connection).await?;
            Box::pin($write.run($connection, $spot.tenant, index)).await
        }
    };
    (@run $write:ident $connection:ident $spot:ident staged) => {
        Box::pin($write.run($connection, $spot.tenant, $spot.stage)).await
    };
    ($($name:ident = $place:path $(, $needs:ident)?;)+) => {
        /// One change of rows, or several that stand or fall together.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum Write {
            /// All of them, in order; the first conflict undoes those before it.
            Several(Vec<Write>),
            $(#[doc = concat!("[`", stringify!($place), "`]")] $name($place),)+
        }

        $(impl From<$place> for Write {
            fn from(write: $place) -> Self { Self::$name(write) }
        })+

        impl Write {
            async fn run_one(
                &self,
                connection: &mut Connection<'_>,
                spot: Spot<'_>,
            ) -> Result<Outcome> {
                match self {
                    Self::Several(_) => Err(StoreError::OutOfRange),
                    $(Self::$name(write) => writes!(@run write connection spot $($needs)?),)+
                }
            }
        }
    };
}

writes! {
    BumpState = control::BumpState;
    BumpDir = control::BumpDir;
    InsertTenant = tenant::InsertTenant;
    UpdateTenantState = tenant::UpdateTenantState;
    UpdateTenantMeta = tenant::UpdateTenantMeta;
    DeleteTenantRows = tenant::DeleteTenantRows;
    AppendBundle = journal::AppendBundle;
    DeleteChunks = journal::DeleteChunks;
    UpsertLogTree = log_tree::UpsertLogTree;
    UpsertLogUpkeep = log_upkeep::UpsertLogUpkeep, indexed;
    InsertDataset = dataset::InsertDataset;
    UpdateDataset = dataset::UpdateDataset;
    InsertInstruction = instruction::InsertInstruction;
    UpdateInstruction = instruction::UpdateInstruction;
    InsertExitPermit = exit_permit::InsertExitPermit;
    InsertApiKey = api_key::InsertApiKey;
    RevokeApiKey = api_key::RevokeApiKey;
    InsertPrincipal = principal::InsertPrincipal;
    InsertCertificate = certificate::InsertCertificate, indexed;
    CompleteCertificate = certificate::CompleteCertificate, indexed;
    IssueCertificate = certificate::IssueCertificate;
    InsertLead = lead::InsertLead, staged;
    LeadSlice = lead_bulk::LeadSlice, staged;
    WholeSlice = crate::import_slice::WholeSlice, staged;
    UpdateLead = lead_change::UpdateLead, staged;
    UpdateLabels = lead_change::UpdateLabels;
    TombstoneLead = lead_change::TombstoneLead, staged;
    DeleteLead = lead_change::DeleteLead;
    DeleteLeadRange = lead_change::DeleteLeadRange, staged;
    InsertImport = import::InsertImport;
    UpdateImport = import::UpdateImport;
    StepImport = import::StepImport;
    LeaseImport = import::LeaseImport;
    DeleteImportRanges = import::DeleteImportRanges;
    InsertImportFailures = import_failure::InsertImportFailures;
    InsertOperation = operation::InsertOperation;
    ClaimOperation = operation::ClaimOperation;
    UpdateProgress = operation::UpdateProgress;
    PostponeOperation = operation::PostponeOperation;
    FinishOperation = operation::FinishOperation;
    DeleteOperations = operation::DeleteOperations;
    InsertChange = change::InsertChange, indexed;
    InsertNotice = notice::InsertNotice, indexed;
    AcknowledgeNotice = notice::AcknowledgeNotice;
    InsertReplay = replay::InsertReplay, indexed;
    DeleteReplays = replay::DeleteReplays;
    InsertErase = erase::InsertErase, indexed;
    UpdateErase = erase::UpdateErase, indexed;
    DeleteErases = erase::DeleteErases;
    InsertSuppression = suppression::InsertSuppression;
    DeleteSuppression = suppression::DeleteSuppression;
    InsertExport = export::InsertExport, indexed;
    UpdateExport = export::UpdateExport, indexed;
    OpenExportPart = export_part::OpenExportPart;
    CloseExportPart = export_part::CloseExportPart;
    SpoilExportParts = export_part::SpoilExportParts;
    DropExportParts = export_part::DropExportParts;
    InsertFile = file::InsertFile;
    InsertFileBlock = file::InsertFileBlock;
    AppendFilePart = file_part::AppendFilePart;
    EraseFile = file::EraseFile;
    EraseIdleFile = file::EraseIdleFile;
    UnlinkFiles = file_link::UnlinkFiles;
    DeleteFile = file::DeleteFile;
}

/// What a write that met no trouble returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done, and nothing to tell.
    Done,
    /// How many rows were changed.
    Count(u64),
    /// What became of a slice of an import.
    Slice(lead_bulk::SliceOutcome),
    /// An operation that was claimed, if there was one.
    Claimed(Option<Box<operation::OperationRow>>),
    /// One for each part.
    Several(Vec<Outcome>),
    /// Nothing was changed.
    Conflict(Conflict),
}

/// Why nothing was changed: a fact the caller answers with, not a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// A live lead of the dataset has this e-mail.
    Duplicate {
        /// That lead.
        lead: LeadId,
    },
    /// The row has another version by now.
    VersionMoved {
        /// The one it has.
        version: u32,
    },
    /// There is no such row, or it is erased.
    Missing,
    /// The row is in a state that does not allow this.
    StateMoved,
    /// A limit of the tenant is reached.
    Full,
    /// The row is there already.
    Exists,
    /// The idempotency key was used: this is what it was used for.
    Replayed(Box<replay::ReplayRow>),
}

impl Outcome {
    /// Whether nothing was changed.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// `Done` if exactly one row was changed, else the conflict.
    pub(crate) fn one(rows: u64, otherwise: Conflict) -> Self {
        if rows == 1 { Self::Done } else { Self::Conflict(otherwise) }
    }
}

/// Where a write runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// Whose rows.
    pub(crate) tenant: TenantNo,
    /// Where its entry goes, where it carries one.
    pub(crate) place: Option<Place<'a>>,
    /// The stage as the transaction sees it.
    pub(crate) stage: &'a StageTransaction<'a>,
}

/// Where an entry goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Where its log ends.
    pub(crate) end: &'a LogEnd,
    /// Entries of the same transaction before it.
    pub(crate) offset: u64,
}

impl Spot<'_> {
    /// The index that the entry beside the write gets; `None` where there is no entry.
    async fn index(&self, connection: &mut Connection<'_>) -> Result<Option<u64>> {
        let Some(place) = self.place else { return Ok(None) };
        let end = place.end.get(connection).await?;
        Ok(Some(end.map_or(0, End::size) + place.offset))
    }
}

/// What became of a write inside a transaction.
pub(crate) enum Ran {
    /// The transaction may go on.
    Clean(Outcome),
    /// A later part met a conflict after an earlier one had changed rows: the transaction must be begun
    /// again without this write.
    Undo(Conflict),
}

impl Write {
    /// Runs the write. Nothing of it stays if the transaction is rolled back.
    pub(crate) async fn run(&self, connection: &mut Connection<'_>, spot: Spot<'_>) -> Result<Ran> {
        let Self::Several(parts) = self else {
            return self.run_one(connection, spot).await.map(Ran::Clean);
        };
        if parts.len() > PARTS_MAX {
            return Err(StoreError::OutOfRange);
        }
        let mut outcomes = Vec::with_capacity(parts.len());
        for part in parts {
            match part.run_one(connection, spot).await? {
                Outcome::Conflict(conflict) if outcomes.is_empty() => {
                    return Ok(Ran::Clean(Outcome::Conflict(conflict)));
                }
                Outcome::Conflict(conflict) => return Ok(Ran::Undo(conflict)),
                outcome => outcomes.push(outcome),
            }
        }
        Ok(Ran::Clean(Outcome::Several(outcomes)))
    }

    /// Whether this makes the tenant, and with it entry 0 of its log.
    pub(crate) fn makes_tenant(&self) -> bool {
        match self {
            Self::Several(parts) => parts.iter().any(Self::makes_tenant),
            Self::InsertTenant(_) => true,
            _ => false,
        }
    }

    /// Whether `tenant_control` is certainly as it was: what most batches consist of.
    pub(crate) fn keeps_control(&self) -> bool {
        match self {
            Self::Several(parts) => parts.iter().all(Self::keeps_control),
            Self::InsertLead(_)
            | Self::LeadSlice(_)
            | Self::WholeSlice(_)
            | Self::InsertImportFailures(_)
            | Self::UpdateLead(_)
            | Self::TombstoneLead(_)
            | Self::DeleteLead(_)
            | Self::StepImport(_)
            | Self::InsertReplay(_)
            | Self::InsertErase(_)
            | Self::InsertChange(_) => true,
            _ => false,
        }
    }
}

impl From<Vec<Self>> for Write {
    fn from(parts: Vec<Self>) -> Self {
        Self::Several(parts)
    }
}

impl DataStore {
    /// Runs a write that carries no entry, in a transaction of its own, durable when it returns.
    ///
    /// # Errors
    /// [`StoreError`]; a conflict is an [`Outcome`].
    pub async fn apply(
        &self,
        scope: TenantScope,
        write: impl Into<Write> + Send,
    ) -> Result<Outcome> {
        let write = write.into();
        self.engine().write(|| self.apply_once(scope, &write)).await
    }

    async fn apply_once(&self, scope: TenantScope, write: &Write) -> Result<Outcome> {
        let mut held = self.engine().writer(scope).await?;
        let mut transaction = held.begin().await?;
        let stage = StageTransaction::new(self.stage());
        let spot = Spot { tenant: scope.0, place: None, stage: &stage };
        match write.run(&mut transaction.connection(), spot).await? {
            Ran::Clean(outcome) => {
                transaction.commit().await?;
                drop(held);
                self.keeper().committed();
                Ok(outcome)
            }
            Ran::Undo(conflict) => {
                transaction.rollback().await?;
                Ok(Outcome::Conflict(conflict))
            }
        }
    }
}
