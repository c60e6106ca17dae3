//! A journal in memory, for the one thing only a journal makes: receipts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use leadvault_crypto::{LeadRef, SecretKey, SigningKey};
use leadvault_domain::{
    Clock, DecisionCode, InstructionId, LeafRange, Operation, Purpose, ReasonCode, ServiceId,
    TenantNo, Timestamp, Unobserved,
};
use leadvault_ledger::{
    Actor, AppendChunks, AppendError, Appended, Batch, CommittedChunk, CommittedReceipt,
    EntryDraft, InstructionStamp, Journal, LogKeys, LogOperation, OpResult, ResourceType,
};

use crate::world::{NO, TENANT, World};

struct OneByOne {
    key_epoch: AtomicU32,
}

#[async_trait]
impl AppendChunks for OneByOne {
    type Write = ();
    type Outcome = ();

    async fn append(&self, batch: Batch<()>) -> Result<Appended<()>, AppendError> {
        let (mut results, mut chunks) = (Vec::new(), Vec::new());
        for op in batch.0 {
            let leaf_hash = op.entry.leaf_hash();
            chunks.push(CommittedChunk { log: op.log, first: 0, leaf_hashes: vec![leaf_hash] });
            let key_epoch = self.key_epoch.load(Ordering::SeqCst);
            let (outcome, conflict) = (None, false);
            results.push(OpResult::Committed { index: 0, leaf_hash, key_epoch, outcome, conflict });
        }
        Ok(Appended { results, chunks })
    }
}

/// Commits entries and hands out receipts at a key epoch of the test's choice.
pub(crate) struct Receipts {
    world: Arc<World>,
    store: Arc<OneByOne>,
    journal: Journal<OneByOne>,
}

impl Receipts {
    pub(crate) fn of(world: &Arc<World>, key_epoch: u32) -> Self {
        let store = Arc::new(OneByOne { key_epoch: AtomicU32::new(key_epoch) });
        let signing = SigningKey::from_seed(&SecretKey::from_bytes([4; 32]));
        let keys = LogKeys::new("vault.example", signing).unwrap();
        keys.add_log(NO, TENANT);
        keys.add_log(TenantNo(9), leadvault_domain::TenantId::from_bytes([9; 16]));
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let journal =
            Journal::start(Arc::clone(&store), Arc::new(keys), clock, Arc::new(Unobserved));
        Self { world: Arc::clone(world), store, journal }
    }

    pub(crate) fn at_epoch(&self, epoch: u32) {
        self.store.key_epoch.store(epoch, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn draft(&self) -> EntryDraft {
        EntryDraft::new(
            self.now(),
            Actor::service(ServiceId::from_bytes([1; 16])),
            ReasonCode::SystemOperation,
            LogOperation::Data(Operation::Read),
            ResourceType::Record,
            DecisionCode::Allow,
        )
        .purpose(Purpose::CrmOperations)
        .instruction(InstructionStamp {
            id: InstructionId::from_bytes([2; 16]),
            version: 1,
            hash: None,
        })
    }

    pub(crate) async fn naming(&self, log: TenantNo, refs: &[LeadRef]) -> CommittedReceipt {
        let entry = self.draft().refs(refs.iter().copied()).finish().unwrap();
        self.journal.commit(log, entry, None).await.unwrap()
    }

    pub(crate) async fn covering(&self, log: TenantNo, ranges: Vec<LeafRange>) -> CommittedReceipt {
        let draft = self.draft().refs_sha256([7; 32]).covering_ranges(ranges);
        self.journal.commit(log, draft.finish().unwrap(), None).await.unwrap()
    }
}
