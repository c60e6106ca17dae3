//! Slices of an import.

use leadvault_domain::{ImportId, LeafRange, TagKind};
use leadvault_store::{
    Conflict, ImportRows, ImportState, InsertImport, LeadSlice, LeadTags, LostAs, LostRow, NewLead,
    Outcome, SLICE_ROWS_MAX, SliceOutcome, StepImport, TenantScope, UpdateImport,
};

use crate::kit::{
    DATASET, NOW, TestCell, apply, done, email, id, lead, lead_id, part, sealed, stored, tenant,
};
use crate::lead::by_tag;

fn slice(rows: Vec<NewLead>) -> LeadSlice {
    LeadSlice { rows, step: None, lost_as: LostAs::Skipped }
}

async fn running_import(cell: &TestCell, scope: TenantScope) -> ImportId {
    let id = ImportId::from_bytes(id(9, 1));
    let insert = InsertImport {
        id,
        dataset: DATASET,
        created_at: NOW,
        expires_at: None,
        meta: Some(sealed(1)),
    };
    done(&cell.data, scope, insert).await;
    let run = UpdateImport {
        id,
        from: ImportState::Open,
        to: ImportState::Running,
        expires_at: None,
        meta: None,
    };
    done(&cell.data, scope, run).await;
    id
}

pub(crate) async fn a_slice_is_stored_whole_and_found_by_every_tag(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    // More than whole groups of every statement, and tags that are not in the order of the leaves.
    let rows: Vec<NewLead> = (0..150_u32)
        .map(|n| {
            let tag = i64::from((n * 37) % 150);
            let tags = LeadTags {
                phone: (n % 2 == 0).then_some(-tag),
                domain: Some(tag % 7),
                more: vec![(TagKind::EXTERNAL_ID, tag), (TagKind::EMAIL, 10_000 + tag)],
                ..email(tag)
            };
            let mut lead = lead(n, tags);
            if n == 3 {
                lead.parts.push(part(0x0100, 1, 9));
            }
            lead
        })
        .collect();
    let outcome = apply(&cell.data, scope, slice(rows.clone())).await;
    assert_eq!(outcome, Outcome::Slice(SliceOutcome { stored: 150, lost: Vec::new() }));
    assert_eq!(cell.data.count_leads(scope, Some(DATASET)).await, Ok(150));
    for row in &rows {
        let found = cell.data.find_lead(scope, row.id).await.unwrap().unwrap();
        assert_eq!(found.parts, row.parts);
        let tag = row.tags.email.unwrap();
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, tag).await, [row.id]);
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 10_000 + tag).await, [row.id]);
        assert_eq!(by_tag(&cell.data, scope, TagKind::EXTERNAL_ID, tag).await, [row.id]);
        let by_phone = by_tag(&cell.data, scope, TagKind::PHONE, -tag).await;
        assert_eq!(by_phone.len(), usize::from(row.tags.phone.is_some()));
    }
    let tags = cell.data.list_email_tags(scope, DATASET, None, 1_000).await.unwrap();
    assert_eq!(tags, (0..150).collect::<Vec<i64>>());
}

pub(crate) async fn rows_that_lose_are_named_with_whom_they_met(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1_000, email(7))).await;
    let mut rows: Vec<NewLead> = (0..70).map(|n| lead(n, email(i64::from(n)))).collect();
    rows.push(lead(70, email(69)));
    rows.push(lead(71, LeadTags::default()));
    let outcome = apply(&cell.data, scope, slice(rows)).await;
    let lost = vec![
        LostRow { place: 7, holder: Some(lead_id(1_000)) },
        LostRow { place: 70, holder: None },
    ];
    assert_eq!(outcome, Outcome::Slice(SliceOutcome { stored: 70, lost }));
    assert_eq!(cell.data.find_lead(scope, lead_id(7)).await, Ok(None));
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 7).await, [lead_id(1_000)]);
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 69).await, [lead_id(69)]);
    assert_eq!(cell.data.count_leads(scope, None).await, Ok(71));
}

pub(crate) async fn a_slice_moves_its_import_or_stores_nothing(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1_000, email(2))).await;
    let import = running_import(cell, scope).await;
    let range = LeafRange { dataset: DATASET, tree: 1, first: 0, end: 3 };
    let step = StepImport {
        id: import,
        from_row: 1,
        next_byte: 900,
        next_row: 6,
        rows: ImportRows { read: 5, stored: 3, rejected: 2, ..ImportRows::default() },
        ranges: vec![range],
        cursor: Some(sealed(8)),
    };
    let rows: Vec<NewLead> = (0..3).map(|n| lead(n, email(i64::from(n)))).collect();
    let with_step = LeadSlice { rows: rows.clone(), step: Some(step), lost_as: LostAs::Skipped };
    let outcome = apply(&cell.data, scope, with_step.clone()).await;
    assert!(matches!(outcome, Outcome::Slice(SliceOutcome { stored: 2, .. })));
    let row = cell.data.find_import(scope, import).await.unwrap().unwrap();
    assert_eq!((row.next_byte, row.next_row, row.no), (900, 6, 1));
    let counts = ImportRows { read: 5, stored: 2, updated: 0, skipped: 1, rejected: 2 };
    assert_eq!((row.rows, row.cursor), (counts, Some(sealed(8))));
    assert_eq!(cell.data.list_import_ranges(scope, 1).await, Ok(vec![range]));

    // The same slice again, after a crash before its acknowledgement: nothing twice.
    let again = apply(&cell.data, scope, with_step).await;
    assert_eq!(again, Outcome::Conflict(Conflict::StateMoved));
    assert_eq!(cell.data.count_leads(scope, None).await, Ok(3));
}

pub(crate) async fn a_slice_above_its_bound_is_refused(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let rows = vec![lead(1, LeadTags::default()); SLICE_ROWS_MAX + 1];
    assert!(cell.data.apply(scope, slice(rows)).await.is_err());
    assert_eq!(cell.data.count_leads(scope, None).await, Ok(0));
}
