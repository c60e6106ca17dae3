//! Entries against access-log-entry.schema.json.

use std::sync::LazyLock;

use jsonschema::Validator;
use leadvault_crypto::LeadRef;
use leadvault_domain::{
    ApiKeyId, Caller, Category, DatasetId, DatasetNo, DecisionCode, Employer, FieldNo, LeafAddress,
    LeafRange, Masking, Operation, OperationId, PrincipalId, Purpose, ReasonCode, RecipientId,
    Regime, RequestId, Role, ServiceId,
};
use leadvault_ledger::{
    Actor, ActorKind, Auth, Deferred, Entry, EntryDraft, EntryError, EntryOutcome, EntryView,
    LogOperation, Obligation, ResourceType, tree, verify_carried_over,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{NOW, country, draft, read_draft, tenant};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../testdata/access-log-entry.schema.json")).unwrap()
});
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&SCHEMA).unwrap());

const DIGITS: &str = "01h455vb4pex5vsknk084sn02q";

fn reference(n: u8) -> LeadRef {
    LeadRef::from_bytes([n; 16])
}

fn entity(prefix: &str) -> leadvault_ledger::EntityId {
    format!("{prefix}_{DIGITS}").parse().unwrap()
}

/// A draft with every member that a draft can have.
fn full_draft() -> EntryDraft {
    read_draft()
        .tenant(Some(tenant()))
        .request(RequestId::from_bytes([5; 16]))
        .count(3)
        .warnings(["W_TRANSFER_REVIEW", "W_2"])
        .obligations(Obligation::ALL.iter().map(|o| o.as_str()))
        .policy_version([0xab, 0xcd, 0xef, 0x01])
        .register_snapshot([6; 32])
        .resource_id(OperationId::from_bytes([7; 16]))
        .refs((0..=255).map(reference))
        .refs_sha256([8; 32])
        .fields([FieldNo(1), FieldNo(65_535)])
        .categories(Category::ALL.iter().copied())
        .regimes(Regime::ALL.iter().copied())
        .n(256)
        .bytes(9_007_199_254_740_991)
        .sha256([9; 32])
        .plain()
        .masking(Masking::TokensOnly)
        .detail_sha256([10; 32])
        .grant(&entity("gr"))
        .dsr(&entity("dsr"))
        .legal(&entity("leg"))
        .job(OperationId::from_bytes([11; 16]))
        .data_region(&"eu-north-1".parse().unwrap())
        .actor_office_country(country("DE"))
        .egress(&"US-CA".parse().unwrap())
        .recipient(RecipientId::from_bytes([12; 16]))
        .mechanism(&entity("mec"))
        .outcome(EntryOutcome::Partial)
        .epoch(4_294_967_295, [13; 32])
        .own_number("pruned_to", 0)
        .own_text("key", "AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs")
}

/// One draft of every form: each operation allowed and denied, each kind of actor, reason and resource.
fn forms() -> Vec<EntryDraft> {
    let mut forms = vec![full_draft(), read_draft(), read_draft().tenant(None)];
    for operation in LogOperation::all() {
        for code in DecisionCode::ALL {
            let form = draft(operation, *code).epoch(1, [1; 32]);
            let stamp = leadvault_ledger::InstructionStamp {
                id: leadvault_domain::InstructionId::from_bytes([2; 16]),
                version: 1,
                hash: None,
            };
            forms.push(form.purpose(Purpose::Security).instruction(stamp));
        }
    }
    for kind in ActorKind::ALL {
        for reason in ReasonCode::ALL {
            for on in ResourceType::ALL {
                let actor = Actor::new(*kind, PrincipalId::from_bytes([1; 16]))
                    .role(Role::Support)
                    .auth(Auth::Mfa)
                    .employed_by(RecipientId::from_bytes([2; 16]))
                    .on_behalf_of(PrincipalId::from_bytes([3; 16]));
                let operation = LogOperation::Data(Operation::Read);
                let code = DecisionCode::Allow;
                let form = EntryDraft::new(NOW, actor, *reason, operation, *on, code);
                let stamp = leadvault_ledger::InstructionStamp {
                    id: leadvault_domain::InstructionId::from_bytes([2; 16]),
                    version: 1,
                    hash: None,
                };
                let form = form.purpose(Purpose::Security).instruction(stamp);
                forms.push(form.actor_country(country("NO")).legal(&entity("leg")));
            }
        }
    }
    forms
}

fn value(entry: &Entry) -> Value {
    serde_json::from_slice(entry.bytes()).unwrap()
}

#[test]
fn every_form_of_a_draft_is_valid_under_the_schema_and_reads_back() {
    for form in forms() {
        let entry = form.finish().unwrap();
        let shown = value(&entry);
        let errors: Vec<_> = VALIDATOR.iter_errors(&shown).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{shown}");
        let view = EntryView::parse(entry.bytes()).expect("known shape");
        assert_eq!(view.time(), NOW);
        assert_eq!(entry.leaf_hash(), tree::leaf_hash(entry.bytes()));
    }
    let full = value(&full_draft().finish().unwrap());
    let members = |v: &Value| v.as_object().unwrap().len();
    let listed = |at: &str| SCHEMA.pointer(at).unwrap().as_object().unwrap().len();
    // Control: the full draft leaves out no member of the schema but `deferred`.
    assert_eq!(members(&full), listed("/properties") - 1);
    for part in ["reason", "resource", "decision", "place"] {
        assert_eq!(
            members(&full[part]),
            listed(&format!("/properties/{part}/properties")),
            "{part}"
        );
    }
}

#[test]
fn the_vocabularies_are_those_of_the_schema() {
    let words = |at: &str| SCHEMA.pointer(at).unwrap().clone();
    let ours = |words: Vec<&'static str>| json!(words);
    let operations: Vec<_> = LogOperation::all().map(LogOperation::as_str).collect();
    assert_eq!(words("/properties/operation/enum"), ours(operations));
    let kinds = ActorKind::ALL.iter().map(|w| w.as_str()).collect();
    assert_eq!(words("/properties/actor/properties/kind/enum"), ours(kinds));
    let auth = Auth::ALL.iter().map(|w| w.as_str()).collect();
    assert_eq!(words("/properties/actor/properties/auth/enum"), ours(auth));
    let types = ResourceType::ALL.iter().map(|w| w.as_str()).collect();
    assert_eq!(words("/properties/resource/properties/type/enum"), ours(types));
    let outcomes = EntryOutcome::ALL.iter().map(|w| w.as_str()).collect();
    assert_eq!(words("/properties/outcome/enum"), ours(outcomes));
    let obligations = Obligation::ALL.iter().map(|w| w.as_str()).collect();
    let at = "/properties/decision/properties/obligations/items/enum";
    assert_eq!(words(at), ours(obligations));
}

#[test]
fn a_typical_read_stays_small() {
    let entry = read_draft().request(RequestId::from_bytes([5; 16])).refs([reference(1)]);
    let bytes = entry.finish().unwrap().bytes().len();
    assert!(bytes < 640, "{bytes}");
}

#[test]
fn what_the_schema_demands_is_demanded() {
    let read = LogOperation::Data(Operation::Read);
    let refused = |draft: EntryDraft| draft.finish().unwrap_err();
    assert_eq!(refused(draft(read, DecisionCode::Allow)), EntryError::MissingPurpose);
    let purpose = draft(read, DecisionCode::Allow).purpose(Purpose::Security);
    assert_eq!(refused(purpose), EntryError::MissingInstruction);
    assert!(draft(read, DecisionCode::Purpose).finish().is_ok());
    let completed = draft(LogOperation::EraseCompleted, DecisionCode::Allow);
    assert_eq!(refused(completed), EntryError::MissingEpoch);
    let staff = |reason| {
        let actor = Actor::new(ActorKind::OperatorStaff, entity("stf"));
        EntryDraft::new(NOW, actor, reason, read, ResourceType::Record, DecisionCode::NoGrant)
    };
    let review = ReasonCode::SecurityReview;
    assert_eq!(refused(staff(review)), EntryError::MissingCountry);
    assert_eq!(refused(staff(review).actor_country(country("US"))), EntryError::MissingGrant);
    let legal = staff(ReasonCode::LegalProcess).actor_country(country("US")).grant(&entity("gr"));
    assert_eq!(refused(legal.clone()), EntryError::MissingLegalId);
    assert!(legal.legal(&entity("leg")).finish().is_ok());
    let too_many = read_draft().refs((0..257_u32).map(|_| reference(1)));
    assert_eq!(refused(too_many), EntryError::Member("resource.refs"));
    assert_eq!(refused(read_draft().n(1 << 53)), EntryError::Member("resource.n"));
    assert_eq!(refused(read_draft().own_text("note", "ada lovelace")), EntryError::Member("own"));
    assert!(read_draft().obligations(["sing"]).finish().is_err());
    assert!(read_draft().warnings(["w_low"]).finish().is_err());
}

#[test]
fn only_an_allowance_covers_leads() {
    let denied = draft(LogOperation::Data(Operation::Read), DecisionCode::Restricted);
    assert!(denied.refs([reference(1)]).finish().unwrap().covered_refs().is_empty());
    let allowed = read_draft().refs([reference(1)]).finish().unwrap();
    assert_eq!(allowed.covered_refs(), [reference(1)]);
    let back = Entry::from_bundle(allowed.bytes().to_vec()).unwrap();
    assert!(back.covered_refs().is_empty());
    assert_eq!((back.leaf_hash(), back.time()), (allowed.leaf_hash(), allowed.time()));
}

#[test]
fn ranges_are_covered_only_beside_their_digest() {
    let at = LeafAddress { dataset: DatasetNo(1), tree: 1, leaf: 7 };
    let ranges = vec![LeafRange::single(at)];
    let naked = read_draft().covering_ranges(ranges.clone()).finish();
    assert_eq!(naked.unwrap_err(), EntryError::RangesWithoutDigest);
    assert!(read_draft().refs_sha256([1; 32]).covering_ranges(ranges).finish().is_ok());
}

#[test]
fn an_api_key_is_the_actor_of_a_call() {
    let caller = Caller {
        tenant: tenant(),
        key: ApiKeyId::from_bytes([1; 16]),
        principal: PrincipalId::from_bytes([2; 16]),
        role: Role::Editor,
        employer: Employer::Operator,
        country: country("NO"),
        default_instruction: None,
        default_purpose: None,
        datasets: None,
    };
    let of = |actor| {
        let (reason, on) = (ReasonCode::TenantApiCall, ResourceType::Key);
        let draft =
            EntryDraft::new(NOW, actor, reason, LogOperation::KeyCreate, on, DecisionCode::Allow);
        value(&draft.finish().unwrap())["actor"].clone()
    };
    let expected = json!({"kind": "tenant_api", "id": caller.key.to_string(), "role": "editor",
        "auth": "api_key", "employer": "operator"});
    assert_eq!(of(Actor::of(&caller)), expected);
    let service = of(Actor::service(ServiceId::from_bytes([1; 16])));
    assert_eq!(service["kind"], "operator_service");
}

#[test]
fn a_deferred_entry_is_the_operator_logs_leaf_and_its_proof() {
    let leaf = read_draft().tenant(Some(tenant())).finish().unwrap();
    let leaves = [[1; 32], leaf.leaf_hash(), [2; 32]];
    let deferred = Deferred {
        until: NOW,
        index: 1,
        path: tree::inclusion(1, &leaves).unwrap(),
        checkpoint: "note\n".to_owned(),
    };
    let carried = deferred.carry_over(leaf.bytes()).unwrap();
    assert!(VALIDATOR.is_valid(&value(&carried)));
    assert!(EntryView::parse(carried.bytes()).is_some());
    let root = tree::root(&leaves);
    let checkpoint = leadvault_ledger::Checkpoint { origin: "o".to_owned(), size: 3, root };
    assert_eq!(verify_carried_over(carried.bytes(), &checkpoint).as_deref(), Some(leaf.bytes()));
    let other = leadvault_ledger::Checkpoint { root: [0; 32], ..checkpoint };
    assert_eq!(verify_carried_over(carried.bytes(), &other), None);
    assert_eq!(verify_carried_over(leaf.bytes(), &other), None);
    assert!(deferred.carry_over(carried.bytes()).is_err());
}

/// Every pointer into a JSON value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, v)| pointers(v, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

fn some_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        any::<bool>().prop_map(Value::from),
        (0_u64..70_000).prop_map(Value::from),
        Just(json!(-1)),
        Just(json!(1.5)),
        "[a-z]{0,4}_[0-9a-z]{26}".prop_map(Value::from),
        "[0-9a-f]{8}|[0-9a-f]{32}|[0-9a-f]{64}|[A-Z?]{2}|(ALLOW|DENY)(_[A-Z]*){0,2}|W_[A-Z0-9_]{0,3}"
            .prop_map(Value::from),
        "[A-Z]{2}(-[A-Z0-9]{0,4})?|tenant|operator|[a-z0-9-]{0,33}".prop_map(Value::from),
        Just(json!("2026-11-24T00:00:00.000000Z")),
        Just(json!("LEGAL_PROCESS")),
        Just(json!("operator_staff")),
        Just(json!("erase.completed")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The verifier's idea of a known shape is the schema's, for whatever is changed in a full entry.
    #[test]
    fn a_changed_entry_is_known_exactly_if_the_schema_allows_it(
        place in any::<prop::sample::Index>(),
        new in some_value(),
        remove in any::<bool>(),
        extra in prop::option::of("[a-z]{1,6}"),
    ) {
        let mut entry = value(&full_draft().finish().unwrap());
        let mut all = Vec::new();
        pointers(&entry, "", &mut all);
        let at = place.get(&all).clone();
        let (parent, name) = at.rsplit_once('/').unwrap_or(("", ""));
        match entry.pointer_mut(if remove { parent } else { &at }) {
            Some(Value::Object(members)) if remove => { members.remove(name); }
            Some(slot) if !remove => *slot = new,
            _ => {}
        }
        if let (Some(name), Some(Value::Object(members))) = (extra, entry.pointer_mut(parent)) {
            members.insert(name, json!(1));
        }
        let bytes = serde_json_canonicalizer::to_vec(&entry).unwrap();
        let known = EntryView::parse(&bytes).is_some();
        prop_assert_eq!(known, VALIDATOR.is_valid(&entry), "{}", entry);
    }

    #[test]
    fn random_bytes_are_no_entry_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(EntryView::parse(&bytes).is_none());
    }
}

#[test]
fn an_entry_in_another_spelling_is_unknown() {
    let entry = read_draft().finish().unwrap();
    let text = String::from_utf8(entry.bytes().to_vec()).unwrap();
    assert!(EntryView::parse(text.as_bytes()).is_some());
    for other in [
        text.replacen('{', "{ ", 1),
        text.replace("\"v\":1", "\"v\":1.0"),
        text.replace("\"v\":1", "\"purpose\":null,\"v\":1"),
        text.replace("{\"actor\"", "{\"v\":1,\"actor\""),
    ] {
        assert!(EntryView::parse(other.as_bytes()).is_none(), "{other}");
    }
}

#[test]
fn a_view_shows_what_jobs_need() {
    let entry = full_draft().finish().unwrap();
    let view = EntryView::parse(entry.bytes()).unwrap();
    assert_eq!(view.refs().count(), 256);
    assert_eq!(view.refs().next(), Some(reference(0).to_string().as_str()));
    assert_eq!(view.lead_count(), 256);
    assert_eq!(view.epoch(), Some(4_294_967_295));
    assert_eq!((view.own_number("pruned_to"), view.own_number("key")), (Some(0), None));
    assert_eq!(view.dataset(), Some(DatasetId::from_bytes([4; 16]).to_string().as_str()));
    assert_eq!(view.instruction().map(|(_, version)| version), Some(2));
}
