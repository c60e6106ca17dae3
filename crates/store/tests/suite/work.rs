//! Jobs, imports, exports, replays, erasures.

use leadvault_domain::{ImportId, LeafAddress, NoticeId, OperationId, Timestamp};
use leadvault_store::{
    AcknowledgeNotice, ClaimOperation, Conflict, DeleteErases, DeleteReplays, DeleteSuppression,
    EraseState, EraseStep, FinishOperation, ImportFailure, InsertErase, InsertImport,
    InsertImportFailures, InsertNotice, InsertOperation, InsertReplay, InsertSuppression,
    LeaseImport, NoticeState, OperationState, Outcome, PostponeOperation, ReplayRow, Sealed,
    SuppressionRow, TenantScope, UpdateErase, UpdateProgress,
};

use crate::kit::{DATASET, NOW, TestCell, append, apply, done, id, lead_id, sealed, tenant, write};

fn later(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn operation(n: u64, run_at: Timestamp) -> InsertOperation {
    InsertOperation {
        id: OperationId::from_bytes(id(4, n)),
        kind: "export",
        subject: Some(id(5, n)),
        total: None,
        created_at: NOW,
        run_at,
        payload: Some(sealed(1)),
    }
}

pub(crate) async fn an_operation_is_claimed_by_one_node_until_its_lease_ends(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let new = operation(1, NOW);
    done(&cell.data, scope, new.clone()).await;
    let claim = |node: u8, now, until| ClaimOperation { id: new.id, node: [node; 16], now, until };
    let claimed = apply(&cell.data, scope, claim(1, NOW, later(10))).await;
    let Outcome::Claimed(Some(row)) = claimed else { panic!("{claimed:?}") };
    assert_eq!((row.attempts, row.payload.as_ref()), (1, Some(&sealed(1))));
    let busy = apply(&cell.data, scope, claim(2, later(5), later(15))).await;
    assert_eq!(busy, Outcome::Claimed(None));

    let progress = |node: u8| UpdateProgress {
        id: new.id,
        node: Some([node; 16]),
        done: 3,
        total: Some(9),
        until: Some(later(20)),
        payload: None,
    };
    done(&cell.data, scope, progress(1)).await;
    let moved = Outcome::Conflict(Conflict::StateMoved);
    assert_eq!(apply(&cell.data, scope, progress(2)).await, moved);
    let over = apply(&cell.data, scope, claim(2, later(20), later(30))).await;
    assert!(matches!(over, Outcome::Claimed(Some(row)) if row.attempts == 2 && row.done == 3));
    assert_eq!(apply(&cell.data, scope, progress(1)).await, moved, "the first node lost it");

    let finish = |node: u8| FinishOperation {
        id: new.id,
        node: Some([node; 16]),
        error: None,
        result: Some(sealed(2)),
    };
    assert_eq!(apply(&cell.data, scope, finish(1)).await, moved);
    done(&cell.data, scope, finish(2)).await;
    let row = cell.data.find_operation(scope, new.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.payload, row.result), (OperationState::Done, None, Some(sealed(2))));
    assert_eq!(cell.data.count_open_operations(scope).await, Ok(0));
    let gone = apply(&cell.data, scope, claim(3, later(99), later(100))).await;
    assert_eq!(gone, Outcome::Claimed(None));
}

pub(crate) async fn due_operations_take_turns_between_tenants(cell: &TestCell) {
    let (a, b) = (tenant(&cell.data).await, tenant(&cell.data).await);
    for n in 1..=3 {
        done(&cell.data, a, operation(n, NOW)).await;
    }
    done(&cell.data, b, operation(1, later(1))).await;
    done(&cell.data, b, operation(2, later(60))).await;
    let due = cell.data.list_due_operations(later(1), 3).await.unwrap();
    let order: Vec<(u32, OperationId)> = due.iter().map(|d| (d.tenant.0, d.id)).collect();
    let of = |scope: TenantScope, n| (scope.0.0, OperationId::from_bytes(id(4, n)));
    assert_eq!(order, [of(a, 1), of(b, 1), of(a, 2)]);
    let node = [1; 16];
    let (first, until) = (operation(1, NOW).id, later(10));
    done(&cell.data, a, ClaimOperation { id: first, node, now: NOW, until }).await;
    let due = cell.data.list_due_operations(later(1), 9).await.unwrap();
    assert_eq!(due.len(), 3, "what is claimed is not due");
    done(&cell.data, a, PostponeOperation { id: first, node, run_at: later(5) }).await;
    assert_eq!(cell.data.list_due_operations(later(5), 9).await.unwrap().len(), 4);
    assert_eq!(cell.data.list_open_operations(a).await.unwrap().len(), 3);
}

fn import(n: u64) -> InsertImport {
    InsertImport {
        id: ImportId::from_bytes(id(9, n)),
        dataset: DATASET,
        created_at: NOW,
        expires_at: None,
        meta: None,
    }
}

pub(crate) async fn one_import_of_a_dataset_has_the_lease(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let mut elsewhere = import(3);
    elsewhere.dataset.0 += 1;
    for new in [import(1), import(2), elsewhere] {
        done(&cell.data, scope, new).await;
    }
    let lease = |n, node: u8, now, until| LeaseImport {
        id: ImportId::from_bytes(id(9, n)),
        node: [node; 16],
        now,
        until,
    };
    let moved = Outcome::Conflict(Conflict::StateMoved);
    done(&cell.data, scope, lease(1, 1, NOW, later(10))).await;
    assert_eq!(apply(&cell.data, scope, lease(2, 1, NOW, later(10))).await, moved);
    assert_eq!(apply(&cell.data, scope, lease(1, 2, later(5), later(15))).await, moved);
    done(&cell.data, scope, lease(1, 1, later(5), later(20))).await;
    done(&cell.data, scope, lease(3, 2, later(5), later(20))).await;
    done(&cell.data, scope, lease(1, 1, later(6), later(6))).await;
    done(&cell.data, scope, lease(2, 2, later(6), later(16))).await;
}

pub(crate) async fn an_import_counts_and_lists_its_failures(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    done(&cell.data, scope, import(1)).await;
    done(&cell.data, scope, import(2)).await;
    let failure = |row, column, code| ImportFailure { row, column, code };
    let failures = vec![
        failure(9, None, "minor"),
        failure(2, Some(1), "bad_email"),
        failure(2, None, "too_few_columns"),
    ];
    let insert = InsertImportFailures { id: import(2).id, failures };
    assert_eq!(apply(&cell.data, scope, insert.clone()).await, Outcome::Count(3));
    assert_eq!(apply(&cell.data, scope, insert).await, Outcome::Count(0), "again is fine");
    let second = cell.data.find_import_by_no(scope, 2).await.unwrap().unwrap();
    assert_eq!(second.id, import(2).id);
    assert_eq!(cell.data.list_imports(scope).await.unwrap().len(), 2);
    let rows = cell.data.list_import_failures(scope, 2, None).await.unwrap();
    let shown: Vec<(u64, Option<u32>, &str)> =
        rows.iter().map(|f| (f.row, f.column, f.code.as_str())).collect();
    let expected = [(2, None, "too_few_columns"), (2, Some(1), "bad_email"), (9, None, "minor")];
    assert_eq!(shown, expected);
    let rest = cell.data.list_import_failures(scope, 2, rows.first()).await.unwrap();
    assert_eq!(rest, rows[1..]);
    assert_eq!(cell.data.list_import_failures(scope, 1, None).await, Ok(Vec::new()));
}

pub(crate) async fn a_used_idempotency_key_tells_what_it_was_used_for(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let row = ReplayRow {
        key: [1; 32],
        body: [2; 32],
        status: 201,
        created_at: NOW,
        expires_at: later(10),
        index: None,
        answer: Some(sealed(5)),
    };
    done(&cell.data, scope, InsertReplay { row: row.clone() }).await;
    assert_eq!(cell.data.find_replay(scope, row.key).await, Ok(Some(row.clone())));
    let other = InsertReplay { row: ReplayRow { body: [3; 32], ..row.clone() } };
    let used = apply(&cell.data, scope, other).await;
    assert_eq!(used, Outcome::Conflict(Conflict::Replayed(Box::new(row.clone()))));
    assert_eq!(cell.data.list_replay_leaves(scope, later(9)).await, Ok(Vec::new()));
    assert_eq!(cell.data.list_replay_leaves(scope, later(10)).await, Ok(vec![sealed(5).leaf]));
    let beside = InsertReplay { row: ReplayRow { key: [4; 32], ..row.clone() } };
    append(&cell.data, vec![write(scope, "beside", beside)]).await;
    let found = cell.data.find_replay(scope, [4; 32]).await.unwrap().unwrap();
    assert_eq!(found.index, Some(1), "the entry beside it");
    done(&cell.data, scope, InsertReplay { row: ReplayRow { key: [5; 32], ..found } }).await;
    assert_eq!(apply(&cell.data, scope, DeleteReplays { now: later(9) }).await, Outcome::Count(0));
    assert_eq!(apply(&cell.data, scope, DeleteReplays { now: later(10) }).await, Outcome::Count(3));
    assert_eq!(cell.data.find_replay(scope, row.key).await, Ok(None));
}

pub(crate) async fn an_erasure_keeps_its_reference_only_until_it_is_logged(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let at = LeafAddress { dataset: DATASET, tree: 1, leaf: 4 };
    let request = InsertErase {
        lead: lead_id(4),
        at,
        reference: [7; 16],
        requested_at: NOW,
        operation: None,
    };
    assert!(cell.data.apply(scope, request).await.is_err(), "not without its entry");
    append(&cell.data, vec![write(scope, "erase.requested", request)]).await;
    let row = cell.data.find_erase(scope, lead_id(4)).await.unwrap().unwrap();
    assert_eq!((row.requested_index, row.reference, row.at), (1, Some([7; 16]), at));
    assert_eq!(cell.data.list_open_erases(scope, 9).await, Ok(vec![row]));

    let step = |step| UpdateErase { lead: lead_id(4), step };
    done(&cell.data, scope, step(EraseStep::Punctured { epoch: 8 })).await;
    let completed = step(EraseStep::Completed { epoch: 8 });
    append(&cell.data, vec![write(scope, "erase.completed", completed.clone())]).await;
    let again = append(&cell.data, vec![write(scope, "again", completed)]).await;
    assert!(matches!(
        again.results[..],
        [leadvault_ledger::OpResult::Committed { conflict: true, .. }]
    ));
    done(&cell.data, scope, step(EraseStep::Receipt(sealed(6)))).await;
    let row = cell.data.find_erase(scope, lead_id(4)).await.unwrap().unwrap();
    assert_eq!((row.state, row.reference), (EraseState::Completed, None));
    assert_eq!((row.epoch, row.completed_index), (Some(8), Some(2)));
    assert_eq!(row.receipt, Some(sealed(6)));
    assert_eq!(cell.data.list_open_erases(scope, 9).await, Ok(Vec::new()));
    let sweep = |before| DeleteErases { before };
    assert_eq!(apply(&cell.data, scope, sweep(NOW)).await, Outcome::Count(0));
    assert_eq!(apply(&cell.data, scope, sweep(later(1))).await, Outcome::Count(1));
}

pub(crate) async fn suppressed_values_expire(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let row = |tag: u8, expires_at| SuppressionRow {
        tag: [tag; 16],
        month: 24_310,
        reason: "objection".to_owned(),
        expires_at,
    };
    let rows = vec![row(3, None), row(1, Some(later(10))), row(2, Some(later(20)))];
    assert_eq!(apply(&cell.data, scope, InsertSuppression { rows }).await, Outcome::Count(3));
    assert_eq!(cell.data.list_suppression(scope, later(10)).await, Ok(vec![[2; 16], [3; 16]]));
    assert_eq!(cell.data.find_suppression(scope, [3; 16]).await, Ok(Some(row(3, None))));
    done(&cell.data, scope, DeleteSuppression { tag: [3; 16] }).await;
    assert_eq!(cell.data.list_suppression(scope, later(10)).await, Ok(vec![[2; 16]]));
}

pub(crate) async fn notices_are_seen_once(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let notice = |n| InsertNotice { id: NoticeId::from_bytes(id(8, n)), kind: "k", at: NOW };
    append(&cell.data, vec![write(scope, "restrict", notice(1))]).await;
    done(&cell.data, scope, notice(2)).await;
    done(&cell.data, scope, AcknowledgeNotice { id: notice(1).id }).await;
    let new = cell.data.list_notices(scope, Some(NoticeState::New)).await.unwrap();
    assert_eq!(new.iter().map(|n| n.id).collect::<Vec<_>>(), [notice(2).id]);
    let all = cell.data.list_notices(scope, None).await.unwrap();
    assert_eq!(all.iter().map(|n| n.index).collect::<Vec<_>>(), [None, Some(1)]);
}

pub(crate) async fn the_largest_system_leaf_is_that_of_any_row(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    assert_eq!(cell.data.find_largest_system_leaf(scope).await, Ok(Some(3)), "the tenant's own");
    assert_eq!(cell.data.find_largest_system_leaf(TenantScope::OPERATOR).await, Ok(None));
    let operation = InsertOperation {
        payload: Some(Sealed { leaf: u32::MAX, ..sealed(0) }),
        ..operation(1, NOW)
    };
    done(&cell.data, scope, operation).await;
    assert_eq!(cell.data.find_largest_system_leaf(scope).await, Ok(Some(u32::MAX)));
}
