//! The journal's transaction: no gap, no fork, nothing half done.

use leadvault_domain::TenantNo;
use leadvault_keys::EpochControl as _;
use leadvault_ledger::{AppendChunks as _, OpResult};
use leadvault_store::{
    AppendBundle, BumpState, Conflict, DeleteChunks, InsertNotice, InsertReplay, InsertTenant,
    LogTreeRow, Outcome, PARTS_MAX, ReplayRow, TenantScope, UpsertLogTree, Write,
};

use crate::kit::{
    NOW, TestCell, append, apply, asserting, done, duplicate_of, email, entry, id, insert, lead,
    lead_id, read, stored, tenant, tenant_row, texts, write,
};

pub(crate) async fn entries_of_many_logs_come_back_in_order(cell: &TestCell) {
    let (a, b) = (tenant(&cell.data).await, tenant(&cell.data).await);
    for round in 0..3 {
        let text = |n: u32| format!("{round}.{n}");
        let ops = vec![
            read(b, &text(0)),
            read(a, &text(1)),
            read(b, &text(2)),
            read(TenantScope::OPERATOR, &text(3)),
        ];
        let done = append(&cell.data, ops).await;
        assert_eq!(done.chunks.len(), 3, "one chunk per log");
        let indices: Vec<u64> = done.results.iter().map(index).collect();
        assert_eq!(indices, [1 + 2 * round, 1 + round, 2 + 2 * round, round]);
        for chunk in &done.chunks {
            assert_eq!(chunk.leaf_hashes.len(), if chunk.log == b.0 { 2 } else { 1 });
        }
    }
    assert_eq!(texts(&cell.data, a).await, ["tenant.create", "0.1", "1.1", "2.1"]);
    let of_b = ["tenant.create", "0.0", "0.2", "1.0", "1.2", "2.0", "2.2"];
    assert_eq!(texts(&cell.data, b).await, of_b);
    let middle = cell.data.list_chunks(b, 4, 5).await.unwrap();
    assert_eq!(middle.len(), 1);
    assert_eq!((middle[0].first, middle[0].end()), (3, 5));
    assert_eq!((middle[0].state_gen, middle[0].key_epoch), (1, 1));
}

pub(crate) fn index(result: &OpResult<Outcome>) -> u64 {
    match result {
        OpResult::Committed { index, .. } => *index,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_log_begins_with_its_tenant_and_not_before(cell: &TestCell) {
    let known = tenant(&cell.data).await;
    let no = cell.data.reserve_tenant_no().await.unwrap();
    let unknown = TenantScope(no);
    let done = append(&cell.data, vec![read(unknown, "early"), read(known, "fine")]).await;
    assert!(matches!(done.results[..], [OpResult::Failed, OpResult::Committed { .. }]));
    assert_eq!(cell.data.find_log_size(unknown).await, Ok(0));
    let make = write(unknown, "tenant.create", InsertTenant { row: tenant_row(no) });
    let done = append(&cell.data, vec![make, read(unknown, "first read")]).await;
    assert_eq!(done.results.iter().map(index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(texts(&cell.data, unknown).await, ["tenant.create", "first read"]);
}

pub(crate) async fn a_stale_operation_is_taken_out_alone(cell: &TestCell) {
    let (a, b) = (tenant(&cell.data).await, tenant(&cell.data).await);
    done(&cell.data, a, BumpState).await;
    let lead = write(a, "stale write", insert(lead(1, email(1))));
    let ops = vec![
        asserting(read(a, "stale"), 1, None),
        asserting(read(a, "current"), 2, None),
        asserting(read(b, "other"), 1, Some(1)),
        asserting(read(b, "other stale"), 1, Some(2)),
        asserting(lead, 1, Some(1)),
    ];
    let done = append(&cell.data, ops).await;
    let stale: Vec<bool> = done.results.iter().map(|r| matches!(r, OpResult::Stale)).collect();
    assert_eq!(stale, [true, false, false, true, true]);
    assert_eq!(texts(&cell.data, a).await, ["tenant.create", "current"]);
    assert_eq!(texts(&cell.data, b).await, ["tenant.create", "other"]);
    assert_eq!(cell.data.find_lead(a, lead_id(1)).await, Ok(None));
}

pub(crate) async fn a_bump_makes_later_operations_of_its_batch_stale(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    cell.data.raise_key_epoch(scope.0, 7, 0).await.unwrap();
    let ops = vec![
        asserting(read(scope, "before"), 1, None),
        asserting(write(scope, "revoke", BumpState), 1, None),
        asserting(read(scope, "after"), 1, None),
    ];
    let done = append(&cell.data, ops).await;
    assert!(matches!(
        done.results[..],
        [
            OpResult::Committed { index: 1, key_epoch: 7, .. },
            OpResult::Committed { index: 2, key_epoch: 7, .. },
            OpResult::Stale
        ]
    ));
    let chunk = cell.data.list_chunks(scope, 1, 3).await.unwrap();
    assert_eq!(chunk[0].state_gen, 2, "the generation at the commit");
}

pub(crate) async fn a_conflict_appends_the_other_entry_and_changes_nothing(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let first = append(&cell.data, vec![write(scope, "one", insert(lead(1, email(5))))]).await;
    assert!(matches!(first.results[..], [OpResult::Committed { conflict: false, .. }]));
    let ops = vec![
        write(scope, "two", insert(lead(2, email(5)))),
        write(scope, "three", insert(lead(3, email(6)))),
    ];
    let done = append(&cell.data, ops).await;
    let [
        OpResult::Committed { conflict: true, outcome: Some(met), leaf_hash, .. },
        OpResult::Committed { conflict: false, outcome: Some(Outcome::Done), .. },
    ] = &done.results[..]
    else {
        panic!("{:?}", done.results)
    };
    assert_eq!(*met, duplicate_of(1));
    assert_eq!(*leaf_hash, entry("two: conflict").leaf_hash());
    assert_eq!(cell.data.find_lead(scope, lead_id(2)).await, Ok(None));
    let expected = ["tenant.create", "one", "two: conflict", "three"];
    assert_eq!(texts(&cell.data, scope).await, expected);
}

pub(crate) async fn a_later_conflict_undoes_the_parts_before_it(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1, email(5))).await;
    let replay = InsertReplay {
        row: ReplayRow {
            key: [1; 32],
            body: [2; 32],
            status: 201,
            created_at: NOW,
            expires_at: NOW.plus_seconds(60),
            index: None,
            answer: None,
        },
    };
    let parts =
        |n, tag| Write::from(vec![replay.clone().into(), insert(lead(n, email(tag))).into()]);
    let ops = vec![
        write(scope, "neighbour", insert(lead(9, email(9)))),
        write(scope, "both", parts(2, 5)),
        read(scope, "last"),
    ];
    let done = append(&cell.data, ops).await;
    assert_eq!(done.results.iter().map(index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(cell.data.find_replay(scope, [1; 32]).await, Ok(None), "the first part is undone");
    assert!(cell.data.find_lead(scope, lead_id(9)).await.unwrap().is_some());
    let expected = ["tenant.create", "neighbour", "both: conflict", "last"];
    assert_eq!(texts(&cell.data, scope).await, expected);
    // The control: without the conflict both parts stay; then the first part is the one that conflicts.
    let fine = apply(&cell.data, scope, parts(3, 7)).await;
    assert_eq!(fine, Outcome::Several(vec![Outcome::Done, Outcome::Done]));
    let replayed = apply(&cell.data, scope, parts(4, 8)).await;
    assert_eq!(replayed, Outcome::Conflict(Conflict::Replayed(Box::new(replay.row.clone()))));
    assert_eq!(
        apply(
            &cell.data,
            scope,
            Write::from(vec![
                InsertNotice {
                    id: leadvault_domain::NoticeId::from_bytes(id(8, 1)),
                    kind: "k",
                    at: NOW
                }
                .into(),
                insert(lead(4, email(5))).into(),
            ])
        )
        .await,
        duplicate_of(1)
    );
    assert_eq!(cell.data.list_notices(scope, None).await, Ok(Vec::new()));
}

pub(crate) async fn a_refused_operation_does_not_fail_the_others(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let too_many: Vec<Write> = (0..=PARTS_MAX).map(|_| BumpState.into()).collect();
    let ops = vec![
        read(scope, "a"),
        write(scope, "refused", Write::from(too_many)),
        read(scope, "b"),
        write(scope, "c", insert(lead(1, email(1)))),
        read(scope, "d"),
    ];
    let done = append(&cell.data, ops).await;
    assert!(matches!(done.results[1], OpResult::Failed));
    let others: Vec<u64> = [0, 2, 3, 4].iter().map(|i| index(&done.results[*i])).collect();
    assert_eq!(others, [1, 2, 3, 4]);
    assert_eq!(texts(&cell.data, scope).await, ["tenant.create", "a", "b", "c", "d"]);
    assert!(cell.data.find_lead(scope, lead_id(1)).await.unwrap().is_some());
}

pub(crate) async fn an_empty_batch_and_a_probe_leave_nothing_behind(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    assert!(append(&cell.data, Vec::new()).await.results.is_empty());
    cell.data.probe().await.unwrap();
    assert_eq!(cell.data.find_log_size(scope).await, Ok(1));
    assert_eq!(cell.data.find_log_size(TenantScope::OPERATOR).await, Ok(0));
}

pub(crate) async fn pruning_never_takes_the_last_chunk(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    for text in ["1", "2", "3"] {
        append(&cell.data, vec![read(scope, text)]).await;
    }
    assert_eq!(apply(&cell.data, scope, DeleteChunks { before: 2 }).await, Outcome::Count(2));
    assert_eq!(cell.data.find_log_start(scope).await, Ok(Some(2)));
    assert_eq!(apply(&cell.data, scope, DeleteChunks { before: 99 }).await, Outcome::Count(1));
    assert_eq!(cell.data.find_log_start(scope).await, Ok(Some(3)));
    let done = append(&cell.data, vec![read(scope, "4")]).await;
    assert_eq!(index(&done.results[0]), 4);
    let rest = cell.data.list_chunks(scope, 0, 99).await.unwrap();
    assert_eq!(rest.iter().map(|c| c.first).collect::<Vec<_>>(), [3, 4]);
}

pub(crate) async fn bundles_are_appended_only_at_the_end(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let bundle = |first, n: u32| AppendBundle {
        first,
        entries: (0..n).map(|i| entry(&format!("b{i}"))).collect(),
    };
    for elsewhere in [0, 2] {
        let refused = apply(&cell.data, scope, bundle(elsewhere, 1)).await;
        assert_eq!(refused, Outcome::Conflict(Conflict::StateMoved));
    }
    assert_eq!(apply(&cell.data, scope, bundle(1, 600)).await, Outcome::Count(600));
    let texts = texts(&cell.data, scope).await;
    assert_eq!((texts.len(), texts[1].as_str(), texts[600].as_str()), (601, "b0", "b599"));
    let done = append(&cell.data, vec![read(scope, "next")]).await;
    assert_eq!(index(&done.results[0]), 601);
    assert_eq!(cell.data.find_log_generation(scope).await, Ok(1));
}

pub(crate) async fn the_operators_log_needs_no_tenant(cell: &TestCell) {
    let done = append(&cell.data, vec![read(TenantScope::OPERATOR, "started")]).await;
    assert_eq!(index(&done.results[0]), 0);
    assert_eq!(texts(&cell.data, TenantScope(TenantNo(0))).await, ["started"]);
}

pub(crate) async fn the_builders_tree_only_grows(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    assert_eq!(cell.data.find_log_tree(scope).await, Ok(None));
    let row = |built| LogTreeRow { built, frontier: vec![1; 32], checkpoint: Some("c".to_owned()) };
    done(&cell.data, scope, UpsertLogTree { row: row(5) }).await;
    done(&cell.data, scope, UpsertLogTree { row: row(6) }).await;
    let back = apply(&cell.data, scope, UpsertLogTree { row: row(5) }).await;
    assert_eq!(back, Outcome::Conflict(Conflict::StateMoved));
    assert_eq!(cell.data.find_log_tree(scope).await, Ok(Some(row(6))));
}
