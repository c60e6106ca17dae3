//! Batches of new leads alone, which PostgreSQL stores as columns.

use leadvault_domain::{TagKind, TenantNo, Timestamp};
use leadvault_ledger::{Op, OpResult};
use leadvault_store::{
    Conflict, InsertChange, InsertLead, InsertReplay, LeadTags, Outcome, ReplayRow, TenantScope,
    Write,
};

use crate::kit::{
    NOW, TestCell, append, asserting, email, insert, lead, lead_id, part, sealed, stored, tenant,
    texts, write,
};

/// A lead with what stands beside it.
fn creation(scope: TenantScope, n: u32, tags: LeadTags, key: Option<u8>) -> Op<Write> {
    let mut new = lead(n, tags);
    if n.is_multiple_of(3) {
        new.parts.push(part(0x0100, 1, 9));
    }
    creation_of(scope, n, insert(new), key)
}

fn creation_of(scope: TenantScope, n: u32, insert: InsertLead, key: Option<u8>) -> Op<Write> {
    let mut parts: Vec<Write> = Vec::new();
    parts.extend(key.map(|key| Write::from(InsertReplay { row: replay(key) })));
    parts.push(insert.into());
    parts.push(InsertChange { leads: sealed(n) }.into());
    write(scope, &format!("create {n}"), parts)
}

fn replay(key: u8) -> ReplayRow {
    ReplayRow {
        key: [key; 32],
        body: [1; 32],
        status: 201,
        created_at: NOW,
        expires_at: Timestamp::from_micros(NOW.micros() + 1),
        index: None,
        answer: Some(sealed(2)),
    }
}

fn outcome_of(result: &OpResult<Outcome>) -> Outcome {
    match result {
        OpResult::Committed { outcome: Some(outcome), .. } => outcome.clone(),
        other => panic!("{other:?}"),
    }
}

fn more(first: i64, second: i64) -> LeadTags {
    LeadTags { more: vec![(TagKind::EMAIL, second)], ..email(first) }
}

pub(crate) async fn a_batch_of_new_leads_is_as_if_each_came_alone(cell: &TestCell) {
    let mut told = Vec::new();
    for together in [true, false] {
        let scope = tenant(&cell.data).await;
        stored(&cell.data, scope, lead(1_000, more(5, 50))).await;
        let mut numbered = lead(12, email(5));
        numbered.tags.dup_no = 12;
        let old_key = InsertLead { lead: lead(13, email(1_300)), probes: vec![5] };
        let ops = vec![
            creation(scope, 1, email(1), None),
            creation(scope, 2, email(1), None),     // of the batch
            creation(scope, 3, email(5), None),     // of before, by its first e-mail
            creation(scope, 4, email(50), None),    // … by its second
            creation(scope, 5, more(500, 5), None), // by its own second
            creation(scope, 6, more(600, 601), None),
            creation(scope, 7, email(601), None), // the second of one of the batch
            creation(scope, 8, LeadTags::default(), Some(1)),
            creation(scope, 9, email(9), Some(2)),
            creation(scope, 10, more(1, 1_000), None),
            creation(scope, 11, more(1_100, 1_100), None),
            creation_of(scope, 12, insert(numbered), None), // may share
            creation_of(scope, 13, old_key, None),          // under the tag key of before
        ];
        let count = ops.len();
        let mut results = Vec::new();
        if together {
            results = append(&cell.data, ops).await.results;
        } else {
            for op in ops {
                results.extend(append(&cell.data, vec![op]).await.results);
            }
        }
        let indices: Vec<u64> = results
            .iter()
            .map(|result| match result {
                OpResult::Committed { index, .. } => *index,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(indices, (1..=u64::try_from(count).unwrap()).collect::<Vec<_>>());
        let outcomes: Vec<Outcome> = results.iter().map(outcome_of).collect();
        let mut kept = Vec::new();
        for n in 1..=13_u32 {
            let found = cell.data.find_lead(scope, lead_id(n.into())).await.unwrap();
            kept.push(found.map(|found| (found.id, found.at, found.parts)));
        }
        let changes = cell.data.list_changes(scope, 0, 100).await.unwrap();
        let replays = [
            cell.data.find_replay(scope, [1; 32]).await.unwrap(),
            cell.data.find_replay(scope, [2; 32]).await.unwrap(),
        ];
        told.push((outcomes, kept, changes, replays, texts(&cell.data, scope).await));
    }
    assert_eq!(told.first(), told.last());
    let (outcomes, ..) = told.first().unwrap();
    let met = |outcome: &Outcome| match outcome {
        Outcome::Conflict(Conflict::Duplicate { lead }) => Some(*lead),
        _ => None,
    };
    let met: Vec<_> = outcomes.iter().map(met).collect();
    let (first, before, sixth) = (Some(lead_id(1)), Some(lead_id(1_000)), Some(lead_id(6)));
    let expected =
        [None, first, before, before, before, None, sixth, None, None, first, None, None, before];
    assert_eq!(met, expected);
}

pub(crate) async fn a_used_key_in_a_batch_of_new_leads_is_told_as_alone(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    append(&cell.data, vec![creation(scope, 1, email(1), Some(7))]).await;
    let ops = vec![
        creation(scope, 2, email(2), None),
        creation(scope, 1, email(1), Some(7)), // the same request again: its own lead stands in its way
        creation(scope, 3, email(3), Some(7)),
        creation(scope, 4, email(4), Some(8)),
        creation(scope, 5, email(5), Some(8)), // the same key twice in one batch
    ];
    let results = append(&cell.data, ops).await.results;
    let replayed = |at: usize| {
        let outcome = outcome_of(results.get(at).unwrap());
        matches!(outcome, Outcome::Conflict(Conflict::Replayed(_)))
    };
    assert_eq!([0, 1, 2, 3, 4].map(replayed), [false, true, true, false, true]);
    assert_eq!(cell.data.count_leads(scope, None).await, Ok(3));
    let log = texts(&cell.data, scope).await;
    let entries = ["create 2", "create 1: conflict", "create 3: conflict", "create 4"];
    assert_eq!(log.get(2..6).unwrap(), entries);
}

pub(crate) async fn new_leads_of_many_tenants_go_together_and_stale_ones_stay_out(cell: &TestCell) {
    let mut scopes = Vec::new();
    for _ in 0..5 {
        scopes.push(tenant(&cell.data).await);
    }
    let mut ops = Vec::new();
    for (at, scope) in (0_u32..).zip(&scopes) {
        for n in 0..4 {
            let op = creation(*scope, n, email(i64::from(n)), None);
            // A tenant whose control state moved since the decision.
            ops.push(if at == 2 { asserting(op, 99, None) } else { op });
        }
    }
    // One that does not exist.
    ops.push(creation(TenantScope(TenantNo(9_999)), 1, email(1), None));
    let results = append(&cell.data, ops).await.results;
    for (at, result) in results.iter().enumerate() {
        match at / 4 {
            2 => assert!(matches!(result, OpResult::Stale), "{at}: {result:?}"),
            5 => assert!(matches!(result, OpResult::Failed), "{at}: {result:?}"),
            _ => assert!(matches!(result, OpResult::Committed { conflict: false, .. }), "{at}"),
        }
    }
    for (at, scope) in scopes.iter().enumerate() {
        let expected = if at == 2 { 0 } else { 4 };
        assert_eq!(cell.data.count_leads(*scope, None).await, Ok(expected), "{at}");
        assert_eq!(texts(&cell.data, *scope).await.len(), 1 + usize::try_from(expected).unwrap());
    }
}
