//! Exports: extents and late leads, parts that are rendered again, the file that stands on all of them.

use leadvault_domain::{ExportId, LeafRange, OperationId};
use leadvault_store::{
    CloseExportPart, Conflict, DropExportParts, ExportFile, ExportRow, ExportState, ExportStep,
    InsertExport, LeadTags, ObjectName, OpenExportPart, Outcome, PartHolds, PartState, RowsSeen,
    SpoilExportParts, TenantScope, TombstoneLead, UpdateExport,
};

use crate::kit::{
    DATASET, NOW, TestCell, append, apply, done, id, lead, lead_id, stored, tenant, write,
};

const MOVED: Outcome = Outcome::Conflict(Conflict::StateMoved);
const OBJECT: ObjectName = ObjectName([3; 16]);

fn export() -> ExportRow {
    ExportRow {
        id: ExportId::from_bytes(id(5, 1)),
        operation: OperationId::from_bytes(id(4, 1)),
        dataset: None,
        state: ExportState::Running,
        encrypted: true,
        delivered: 0,
        created_at: NOW,
        expires_at: NOW.plus_seconds(99),
        leaf: 3,
        begun_index: None,
        file_leaf: None,
        object: None,
        file: None,
        meta: None,
    }
}

fn range(first: u32, end: u64) -> LeafRange {
    LeafRange { dataset: DATASET, tree: 1, first, end }
}

/// An export over what is stored, whose entry is the next of the log.
async fn begun(cell: &TestCell, scope: TenantScope) -> ExportRow {
    let insert = InsertExport { row: export(), trees: vec![(DATASET, 1), (DATASET, 2)] };
    append(&cell.data, vec![write(scope, "export", insert)]).await;
    cell.data.find_export(scope, export().id).await.unwrap().unwrap()
}

fn open(no: u32, range: LeafRange, leaf: u32) -> OpenExportPart {
    OpenExportPart { id: export().id, no, range, leaf, object: ObjectName(id(6, no.into())) }
}

fn close(no: u32, leaf: u32, end: u64) -> CloseExportPart {
    let seen = RowsSeen { rows: 2, versions: 2 };
    let holds = PartHolds { chunks: 1, bytes: 70, leads: 2, withheld: 0, seen };
    CloseExportPart { id: export().id, no, leaf, end, holds }
}

fn step(step: ExportStep) -> UpdateExport {
    UpdateExport { id: export().id, step }
}

fn ready(leaf: u32) -> UpdateExport {
    let file = ExportFile { object: OBJECT, sha256: [4; 32], bytes: 65_000, leads: 9, index: None };
    step(ExportStep::Ready { leaf, file, expires_at: NOW.plus_seconds(500) })
}

pub(crate) async fn what_was_stored_when_an_export_began_is_told_from_what_came_later(
    cell: &TestCell,
) {
    let scope = tenant(&cell.data).await;
    for leaf in [0, 1, 7] {
        stored(&cell.data, scope, lead(leaf, LeadTags::default())).await;
    }
    let row = begun(cell, scope).await;
    assert_eq!(row.begun_index, Some(1), "its own entry");
    assert_eq!(cell.data.list_export_extents(scope, row.id).await, Ok(vec![range(0, 8)]));
    // Into a gap, and behind the end.
    for leaf in [3, 8] {
        stored(&cell.data, scope, lead(leaf, LeadTags::default())).await;
    }
    let late = cell.data.list_export_late(scope, row.id, range(0, 9)).await;
    assert_eq!(late, Ok(vec![range(3, 4)]));
    assert_eq!(cell.data.list_export_late(scope, row.id, range(4, 9)).await, Ok(vec![]));
    done(&cell.data, scope, step(ExportStep::Expired)).await;
    assert_eq!(cell.data.list_export_extents(scope, row.id).await, Ok(vec![]));
    stored(&cell.data, scope, lead(4, LeadTags::default())).await;
    assert_eq!(cell.data.list_export_late(scope, row.id, range(0, 9)).await, Ok(vec![]));
}

pub(crate) async fn a_part_that_was_spoilt_is_rendered_under_another_leaf(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let id = begun(cell, scope).await.id;
    let states = || async {
        let parts = cell.data.list_export_parts(scope, id).await.unwrap();
        parts.iter().map(|p| (p.leaf, p.state, p.range.end)).collect::<Vec<_>>()
    };
    done(&cell.data, scope, open(0, range(0, 10), 20)).await;
    assert_eq!(states().await, [(Some(20), PartState::Open, 10)]);
    let spoil = SpoilExportParts { id, parts: vec![0], file_leaf: None };
    done(&cell.data, scope, spoil.clone()).await;
    assert_eq!(apply(&cell.data, scope, close(0, 20, 6)).await, MOVED, "a lead of it was erased");
    done(&cell.data, scope, open(0, range(0, 10), 21)).await;
    assert_eq!(apply(&cell.data, scope, close(0, 20, 6)).await, MOVED, "the leaf before");
    done(&cell.data, scope, close(0, 21, 6)).await;
    assert_eq!(states().await, [(Some(21), PartState::Rendered, 6)]);
    let moment = cell.data.find_export_moment(scope, id).await.unwrap();
    assert_eq!((moment.log_size, moment.unrendered, moment.erasing), (2, 0, 0));
    assert_eq!(moment.leads, 2);
    done(&cell.data, scope, spoil).await;
    assert_eq!(cell.data.find_export_moment(scope, id).await.unwrap().unrendered, 1);
    assert_eq!(cell.data.list_exports_with_parts(scope).await, Ok(vec![id]));
    done(&cell.data, scope, DropExportParts { id }).await;
    assert_eq!(states().await, [(None, PartState::Dropped, 6)]);
    assert_eq!(cell.data.list_exports_with_parts(scope).await, Ok(vec![]));
}

pub(crate) async fn a_file_is_ready_only_while_all_parts_it_was_made_of_hold(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let id = begun(cell, scope).await.id;
    done(&cell.data, scope, open(0, range(0, 10), 20)).await;
    done(&cell.data, scope, close(0, 20, 10)).await;
    assert_eq!(apply(&cell.data, scope, ready(30)).await, MOVED, "nothing was assembled");
    done(&cell.data, scope, step(ExportStep::Assemble { leaf: 30, object: OBJECT })).await;
    let spoil = |file_leaf| SpoilExportParts { id, parts: vec![0], file_leaf };
    assert_eq!(apply(&cell.data, scope, spoil(None)).await, MOVED, "another file was begun");
    done(&cell.data, scope, spoil(Some(30))).await;
    assert_eq!(apply(&cell.data, scope, ready(30)).await, MOVED, "a part is spoilt");
    done(&cell.data, scope, open(0, range(0, 10), 21)).await;
    done(&cell.data, scope, close(0, 21, 10)).await;
    assert_eq!(apply(&cell.data, scope, ready(30)).await, MOVED, "the file before");
    done(&cell.data, scope, step(ExportStep::Assemble { leaf: 31, object: OBJECT })).await;
    append(&cell.data, vec![write(scope, "export.ready", ready(31))]).await;
    done(&cell.data, scope, step(ExportStep::Delivered)).await;
    let row = cell.data.find_export(scope, id).await.unwrap().unwrap();
    assert_eq!((row.state, row.delivered, row.file_leaf), (ExportState::Ready, 1, Some(31)));
    assert_eq!(row.file.and_then(|file| file.index), Some(2));
    assert_eq!(apply(&cell.data, scope, spoil(Some(31))).await, MOVED, "it is ready");
    assert_eq!(apply(&cell.data, scope, step(ExportStep::Removed)).await, MOVED, "it is not over");
    done(&cell.data, scope, step(ExportStep::Stale)).await;
    assert_eq!(apply(&cell.data, scope, step(ExportStep::Delivered)).await, MOVED);
    done(&cell.data, scope, step(ExportStep::Removed)).await;
    assert_eq!(cell.data.find_export(scope, id).await.unwrap().unwrap().file_leaf, None);
    assert_eq!(cell.data.list_exports(scope).await.unwrap().len(), 1);
}

pub(crate) async fn a_page_ends_by_rows_or_by_bytes_and_a_change_is_seen_in_the_versions(
    cell: &TestCell,
) {
    let scope = tenant(&cell.data).await;
    for leaf in 0..6 {
        stored(&cell.data, scope, lead(leaf, LeadTags::default())).await;
    }
    let end = |first, rows, bytes| {
        let data = &cell.data;
        async move { data.find_page_end(scope, range(first, 9), rows, bytes).await.unwrap() }
    };
    assert_eq!(end(0, 4, 1 << 20).await, Some(3));
    assert_eq!(end(4, 4, 1 << 20).await, Some(5));
    // Two compartments of 100 bytes each.
    assert_eq!(end(0, 4, 599).await, Some(1));
    assert_eq!(end(2, 4, 1).await, Some(2), "one in any case");
    assert_eq!(end(6, 4, 1 << 20).await, None);
    let seen = || async { cell.data.count_rows_seen(scope, range(0, 6)).await.unwrap() };
    assert_eq!(seen().await, RowsSeen { rows: 6, versions: 6 });
    done(&cell.data, scope, TombstoneLead { id: lead_id(2), base: None }).await;
    assert_eq!(seen().await, RowsSeen { rows: 5, versions: 5 });
}
