//! Keys, entries and logs that the tests share.

use std::collections::BTreeMap;

use leadvault_crypto::{SecretKey, SigningKey, sha256};
use leadvault_domain::{
    ApiKeyId, Country, DatasetId, DecisionCode, InstructionId, Purpose, ReasonCode, TenantId,
    Timestamp,
};
use leadvault_ledger::publish::{Plan, Tail};
use leadvault_ledger::{
    Actor, ActorKind, EntryDraft, InstructionStamp, LogKeys, LogOperation, ResourceType, Vkey,
};

/// The origin of the reference's log.
pub(crate) const ORIGIN: &str = "vault.example/t/11111111-1111-4111-8111-111111111111";
/// A moment of the tests.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

/// The files of one log.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn tenant() -> TenantId {
    TenantId::from_bytes(0x1111_1111_1111_4111_8111_1111_1111_1111_u128.to_be_bytes())
}

/// The reference's signing key: a seed of 32 bytes 7.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([seed; 32]))
}

pub(crate) fn keys() -> LogKeys {
    LogKeys::new("vault.example", key(7)).unwrap()
}

pub(crate) fn vkey() -> String {
    keys().vkey(ORIGIN)
}

pub(crate) fn vkeys() -> Vec<Vkey> {
    Vkey::parse_all(&vkey()).unwrap()
}

/// The same entries as the reference makes.
pub(crate) fn demo_entry(i: u32) -> Vec<u8> {
    let instruction = hex::encode(sha256(&[b"instruction 42"]));
    let reference = hex::encode(sha256(&[&i.to_be_bytes()]));
    let time = 1_790_000_000 + u64::from(i);
    format!(
        r#"{{"actor":"key:ak_7f3a","dataset":"22222222-2222-4222-8222-222222222222","fields":["contact"],"instr":"ins_0042","instr_sha256":"{instruction}","n":1,"op":"read","refs":"{reference}","res":"ok","seq":{i},"t":{time},"v":1}}"#
    )
    .into_bytes()
}

pub(crate) fn demo_entries(n: u32) -> Vec<Vec<u8>> {
    (0..n).map(demo_entry).collect()
}

/// Publishes one more plan into `files`.
pub(crate) fn publish(files: &mut Files, tail: Tail, entries: &[Vec<u8>]) -> Plan {
    let plan = tail.plan(entries.iter().map(Vec::as_slice)).unwrap();
    for file in &plan.files {
        let before = files.insert(file.path.clone(), file.bytes.clone());
        assert!(before.is_none_or(|b| b == file.bytes), "{} changed", file.path);
    }
    let checkpoint = plan.checkpoint(&keys(), ORIGIN, NOW).unwrap();
    files.insert(checkpoint.path, checkpoint.bytes);
    plan
}

/// A log that was published after every `step` entries, and its edge.
pub(crate) fn log_in_steps(entries: &[Vec<u8>], step: usize) -> (Files, Tail) {
    let (mut files, mut tail) = (Files::new(), Tail::default());
    for chunk in entries.chunks(step) {
        tail = publish(&mut files, tail, chunk).tail;
    }
    (files, tail)
}

/// A log that was published once.
pub(crate) fn log_of(entries: &[Vec<u8>]) -> Files {
    let mut files = Files::new();
    publish(&mut files, Tail::default(), entries);
    files
}

/// A read by an API key that was allowed.
pub(crate) fn read_draft() -> EntryDraft {
    draft(LogOperation::Data(leadvault_domain::Operation::Read), DecisionCode::Allow)
        .purpose(Purpose::CrmOperations)
        .instruction(InstructionStamp {
            id: InstructionId::from_bytes([3; 16]),
            version: 2,
            hash: Some("ab".repeat(32)),
        })
        .dataset(DatasetId::from_bytes([4; 16]))
        .actor_country(country("NO"))
}

pub(crate) fn draft(operation: LogOperation, code: DecisionCode) -> EntryDraft {
    let actor = Actor::new(ActorKind::TenantApi, ApiKeyId::from_bytes([1; 16]));
    let (reason, on) = (ReasonCode::TenantApiCall, ResourceType::Record);
    EntryDraft::new(NOW, actor, reason, operation, on, code)
}

pub(crate) fn country(text: &str) -> Country {
    text.parse().unwrap()
}
