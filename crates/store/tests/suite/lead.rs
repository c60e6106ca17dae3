//! One lead at a time, and pages of many.

use leadvault_domain::{Compartment, LabelFlag, Labels, LeadId, LeafAddress, LeafRange, TagKind};
use leadvault_store::{
    Conflict, DataStore, DatasetTag, DeleteLead, DeleteLeadRange, InsertLead, LeadTags, Outcome,
    RANGE_STEP_ROWS, TenantScope, TombstoneLead, UpdateLabels, UpdateLead,
};

use crate::kit::{
    DATASET, NOW, TestCell, apply, done, duplicate_of, email, insert, lead, lead_id, part, stored,
    tenant,
};

/// Ids found by a tag of the one dataset.
pub(crate) async fn by_tag(
    data: &DataStore,
    scope: TenantScope,
    kind: TagKind,
    tag: i64,
) -> Vec<LeadId> {
    let tags = [DatasetTag { dataset: DATASET, tag }];
    let rows = data.list_leads_by_tag(scope, kind, &tags, None, 100).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

fn change(n: u64, base: Option<u32>) -> UpdateLead {
    UpdateLead {
        id: lead_id(n),
        base,
        parts: Vec::new(),
        removed: Vec::new(),
        tags: None,
        probes: Vec::new(),
        labels: None,
        updated: NOW.plus_seconds(60),
    }
}

fn range(first: u32, end: u64) -> LeafRange {
    LeafRange { dataset: DATASET, tree: 1, first, end }
}

pub(crate) async fn a_lead_reads_back_with_every_compartment(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let mut new = lead(7, email(1));
    new.parts.push(part(0x0100, 3, 0xa1));
    new.parts.push(part(0x0101, 1, 0xa2));
    new.labels = Labels::default().with(LabelFlag::Hold, true);
    (new.batch, new.row_no) = (Some(4), Some(17));
    stored(&cell.data, scope, new.clone()).await;
    let row = cell.data.find_lead(scope, new.id).await.unwrap().unwrap();
    assert_eq!((row.id, row.at, row.version, row.labels), (new.id, new.at, 1, new.labels));
    assert_eq!((row.batch, row.row_no, row.index_epoch), (Some(4), Some(17), 1));
    assert_eq!((row.created, row.updated), (NOW.to_minute(), NOW.to_minute()));
    assert_eq!(row.parts, new.parts);
    assert_eq!(row.part(Compartment(0x0100)), Some(&new.parts[2]));
    assert_eq!(cell.data.find_leaf(scope, new.id).await, Ok(Some(new.at)));
    assert_eq!(cell.data.find_largest_leaf(scope, DATASET, 1).await, Ok(Some(7)));
    assert_eq!(cell.data.find_largest_leaf(scope, DATASET, 2).await, Ok(None));
}

pub(crate) async fn a_second_lead_with_the_same_email_is_refused(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1, email(5))).await;
    assert_eq!(apply(&cell.data, scope, insert(lead(2, email(5)))).await, duplicate_of(1));
    assert_eq!(cell.data.count_leads(scope, Some(DATASET)).await, Ok(1));
    // Another dataset, another tenant and no e-mail at all are no duplicates.
    let mut elsewhere = lead(3, email(5));
    elsewhere.at.dataset.0 += 1;
    stored(&cell.data, scope, elsewhere).await;
    stored(&cell.data, scope, lead(4, LeadTags::default())).await;
    stored(&cell.data, scope, lead(5, LeadTags::default())).await;
    let other = tenant(&cell.data).await;
    stored(&cell.data, other, lead(6, email(5))).await;
}

pub(crate) async fn further_emails_and_probes_count_as_well(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let second = LeadTags { more: vec![(TagKind::EMAIL, 6)], ..email(5) };
    stored(&cell.data, scope, lead(1, second)).await;
    assert_eq!(apply(&cell.data, scope, insert(lead(2, email(6)))).await, duplicate_of(1));
    let overlapping = LeadTags { more: vec![(TagKind::EMAIL, 5)], ..email(7) };
    assert_eq!(apply(&cell.data, scope, insert(lead(2, overlapping))).await, duplicate_of(1));
    let probing = InsertLead { lead: lead(2, email(8)), probes: vec![6] };
    assert_eq!(apply(&cell.data, scope, probing).await, duplicate_of(1));
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 6).await, [lead_id(1)]);
    let probes = cell
        .data
        .probe_tags(scope, DATASET, TagKind::EMAIL, &[5, 6, 7], Labels::default())
        .await
        .unwrap();
    assert_eq!(probes, [(5, lead_id(1)), (6, lead_id(1))]);
    // A phone that equals an e-mail's tag is no duplicate.
    let phone = LeadTags { phone: Some(5), more: vec![(TagKind::PHONE, 6)], ..email(9) };
    stored(&cell.data, scope, lead(2, phone)).await;
}

pub(crate) async fn duplicates_are_allowed_where_they_are_numbered(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    for n in [1, 2, 3] {
        stored(&cell.data, scope, lead(n, LeadTags { dup_no: n, ..email(5) })).await;
    }
    let found = by_tag(&cell.data, scope, TagKind::EMAIL, 5).await;
    assert_eq!(found, [lead_id(1), lead_id(2), lead_id(3)]);
    assert_eq!(apply(&cell.data, scope, insert(lead(4, email(5)))).await, duplicate_of(1));
    assert_eq!(cell.data.list_email_tags(scope, DATASET, None, 10).await, Ok(vec![5, 5, 5]));
    assert_eq!(cell.data.list_email_tags(scope, DATASET, Some(5), 10).await, Ok(Vec::new()));
}

pub(crate) async fn a_change_needs_the_version_it_was_made_from(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1, email(5))).await;
    let update = UpdateLead { parts: vec![part(1, 2, 0xd0)], ..change(1, Some(1)) };
    done(&cell.data, scope, update.clone()).await;
    let moved = Outcome::Conflict(Conflict::VersionMoved { version: 2 });
    assert_eq!(apply(&cell.data, scope, update).await, moved);
    let row = cell.data.find_lead(scope, lead_id(1)).await.unwrap().unwrap();
    assert_eq!((row.version, &row.parts), (2, &vec![part(1, 2, 0xd0), part(2, 1, 0xb0)]));
    assert_eq!(row.updated, NOW.plus_seconds(60).to_minute());
    let missing = apply(&cell.data, scope, change(99, None)).await;
    assert_eq!(missing, Outcome::Conflict(Conflict::Missing));
}

pub(crate) async fn changed_tags_are_found_and_old_ones_are_not(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let full = LeadTags {
        phone: Some(50),
        domain: Some(500),
        more: vec![(TagKind::EXTERNAL_ID, 5_000)],
        ..email(5)
    };
    stored(&cell.data, scope, lead(1, full)).await;
    stored(&cell.data, scope, lead(2, email(6))).await;
    let kinds = [TagKind::EMAIL, TagKind::PHONE, TagKind::DOMAIN, TagKind::EXTERNAL_ID];
    for (kind, tag) in kinds.into_iter().zip([5, 50, 500, 5_000]) {
        assert_eq!(by_tag(&cell.data, scope, kind, tag).await, [lead_id(1)], "{kind:?}");
    }
    let taken = UpdateLead { tags: Some(email(6)), ..change(1, None) };
    assert_eq!(apply(&cell.data, scope, taken).await, duplicate_of(2));
    let own = LeadTags { index_epoch: 2, phone: Some(51), ..email(5) };
    done(&cell.data, scope, UpdateLead { tags: Some(own), ..change(1, None) }).await;
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 5).await, [lead_id(1)]);
    assert_eq!(by_tag(&cell.data, scope, TagKind::PHONE, 51).await, [lead_id(1)]);
    for (kind, tag) in kinds.into_iter().skip(1).zip([50, 500, 5_000]) {
        assert_eq!(by_tag(&cell.data, scope, kind, tag).await, [], "{kind:?}");
    }
    assert_eq!(cell.data.count_old_tags(scope, DATASET, 2).await, Ok(1), "lead 2");
}

pub(crate) async fn compartments_come_and_go(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1, email(5))).await;
    let note =
        UpdateLead { parts: vec![part(0x0100, 1, 1), part(0x0101, 1, 2)], ..change(1, None) };
    done(&cell.data, scope, note).await;
    let drop = UpdateLead {
        removed: vec![Compartment(0x0100), Compartment::PROFILE],
        ..change(1, Some(2))
    };
    done(&cell.data, scope, drop).await;
    let row = cell.data.find_lead(scope, lead_id(1)).await.unwrap().unwrap();
    assert_eq!(row.parts, [part(1, 1, 0xc0), part(0x0101, 1, 2)]);
}

pub(crate) async fn labels_are_set_and_cleared(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    stored(&cell.data, scope, lead(1, email(5))).await;
    let flag = |flag| Labels::default().with(flag, true);
    let set = UpdateLabels {
        id: lead_id(1),
        base: Some(1),
        set: flag(LabelFlag::Restricted),
        clear: flag(LabelFlag::Hold),
    };
    done(&cell.data, scope, set).await;
    let moved = Outcome::Conflict(Conflict::VersionMoved { version: 2 });
    assert_eq!(apply(&cell.data, scope, set).await, moved);
    let row = cell.data.find_lead(scope, lead_id(1)).await.unwrap().unwrap();
    assert_eq!((row.version, row.labels), (2, flag(LabelFlag::Restricted)));
    let missing = apply(&cell.data, scope, UpdateLabels { id: lead_id(2), ..set }).await;
    assert_eq!(missing, Outcome::Conflict(Conflict::Missing));
}

pub(crate) async fn a_tombstone_hides_everything_and_frees_the_email(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let tags = LeadTags {
        phone: Some(50),
        domain: Some(500),
        more: vec![(TagKind::EMAIL, 6)],
        ..email(5)
    };
    let mut new = lead(1, tags);
    new.parts.push(part(0x0100, 1, 1));
    stored(&cell.data, scope, new).await;
    let early = apply(&cell.data, scope, DeleteLead { id: lead_id(1) }).await;
    assert_eq!(early, Outcome::Conflict(Conflict::Missing), "not before its tombstone");
    done(&cell.data, scope, TombstoneLead { id: lead_id(1), base: None }).await;
    let again = apply(&cell.data, scope, TombstoneLead { id: lead_id(1), base: None }).await;
    assert_eq!(again, Outcome::Conflict(Conflict::Missing));

    assert_eq!(cell.data.find_lead(scope, lead_id(1)).await, Ok(None));
    let kinds = [TagKind::EMAIL, TagKind::EMAIL, TagKind::PHONE, TagKind::DOMAIN];
    for (kind, tag) in kinds.into_iter().zip([5, 6, 50, 500]) {
        assert_eq!(by_tag(&cell.data, scope, kind, tag).await, []);
    }
    assert_eq!(cell.data.list_leads(scope, None, None, 10).await, Ok(Vec::new()));
    assert_eq!(cell.data.list_leads_in_range(scope, range(0, 10), 10).await, Ok(Vec::new()));
    assert_eq!(cell.data.count_leads(scope, None).await, Ok(0));
    assert_eq!(
        cell.data.probe_tags(scope, DATASET, TagKind::EMAIL, &[5, 6], Labels::default()).await,
        Ok(Vec::new())
    );
    let at = LeafAddress { dataset: DATASET, tree: 1, leaf: 1 };
    assert_eq!(cell.data.find_leaf(scope, lead_id(1)).await, Ok(Some(at)), "for the puncture");
    let addresses = cell.data.list_addresses(scope, range(0, 10), 10).await.unwrap();
    assert_eq!(addresses, [(lead_id(1), at)]);

    stored(&cell.data, scope, lead(2, email(5))).await;
    done(&cell.data, scope, DeleteLead { id: lead_id(1) }).await;
    assert_eq!(cell.data.find_leaf(scope, lead_id(1)).await, Ok(None));
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 5).await, [lead_id(2)]);
}

pub(crate) async fn a_range_is_removed_in_steps(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let n = RANGE_STEP_ROWS + 20;
    let leads = (0..n).map(|i| insert(lead(i, email(i64::from(i)))).into()).collect::<Vec<_>>();
    done(&cell.data, scope, leads).await;
    done(&cell.data, scope, TombstoneLead { id: lead_id(12), base: None }).await;
    let delete = DeleteLeadRange { range: range(10, u64::from(n)) };
    let step = |rows| Outcome::Count(rows);
    assert_eq!(apply(&cell.data, scope, delete).await, step(RANGE_STEP_ROWS.into()));
    assert_eq!(apply(&cell.data, scope, delete).await, step(10));
    assert_eq!(apply(&cell.data, scope, delete).await, step(0));
    assert_eq!(cell.data.count_leads(scope, Some(DATASET)).await, Ok(10));
    assert_eq!(cell.data.count_leads_in_range(scope, range(5, 1 << 32)).await, Ok(5));
    let tags = cell.data.list_email_tags(scope, DATASET, None, 1_000).await.unwrap();
    assert_eq!(tags, (0..10).collect::<Vec<i64>>());
}

pub(crate) async fn pages_go_by_leaf_and_survive_an_erasure_between_them(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    for n in [5, 1, 4, 2, 3] {
        stored(&cell.data, scope, lead(n, LeadTags { domain: Some(9), ..email(n.into()) })).await;
    }
    let mut elsewhere = lead(6, email(6));
    elsewhere.at = LeafAddress { dataset: leadvault_domain::DatasetNo(2), tree: 1, leaf: 0 };
    stored(&cell.data, scope, elsewhere).await;

    let first = cell.data.list_leads(scope, Some(DATASET), None, 2).await.unwrap();
    assert_eq!(first.iter().map(|r| r.at.leaf).collect::<Vec<_>>(), [1, 2]);
    done(&cell.data, scope, TombstoneLead { id: lead_id(2), base: None }).await;
    let after = Some(first[1].at);
    let rest = cell.data.list_leads(scope, Some(DATASET), after, 9).await.unwrap();
    assert_eq!(rest.iter().map(|r| r.at.leaf).collect::<Vec<_>>(), [3, 4, 5]);
    let all = cell.data.list_leads(scope, None, after, 9).await.unwrap();
    assert_eq!(all.last().map(|r| r.id), Some(lead_id(6)));

    let tags = [DatasetTag { dataset: DATASET, tag: 9 }];
    let list = |after| cell.data.list_leads_by_tag(scope, TagKind::DOMAIN, &tags, after, 2);
    let hits = list(None).await.unwrap();
    assert_eq!(hits.iter().map(|r| r.at.leaf).collect::<Vec<_>>(), [1, 3]);
    let hits = list(Some(hits[1].at)).await.unwrap();
    assert_eq!(hits.iter().map(|r| r.at.leaf).collect::<Vec<_>>(), [4, 5]);
    let swept = cell.data.list_leads_in_range(scope, range(2, 5), 9).await.unwrap();
    assert_eq!(swept.iter().map(|r| r.at.leaf).collect::<Vec<_>>(), [3, 4]);
}

pub(crate) async fn another_tenants_scope_finds_nothing(cell: &TestCell) {
    let (own, foreign) = (tenant(&cell.data).await, tenant(&cell.data).await);
    let tags = LeadTags { phone: Some(50), more: vec![(TagKind::EMAIL, 6)], ..email(5) };
    stored(&cell.data, own, lead(1, tags)).await;
    let reads = |scope| async move {
        let data = &cell.data;
        [
            data.find_lead(scope, lead_id(1)).await.unwrap().is_some(),
            data.find_leaf(scope, lead_id(1)).await.unwrap().is_some(),
            !data.list_leads(scope, None, None, 9).await.unwrap().is_empty(),
            !data.list_leads(scope, Some(DATASET), None, 9).await.unwrap().is_empty(),
            !data.list_leads_in_range(scope, range(0, 9), 9).await.unwrap().is_empty(),
            !data.list_addresses(scope, range(0, 9), 9).await.unwrap().is_empty(),
            !by_tag(data, scope, TagKind::EMAIL, 5).await.is_empty(),
            !by_tag(data, scope, TagKind::EMAIL, 6).await.is_empty(),
            !by_tag(data, scope, TagKind::PHONE, 50).await.is_empty(),
            !data
                .probe_tags(scope, DATASET, TagKind::EMAIL, &[5, 6], Labels::default())
                .await
                .unwrap()
                .is_empty(),
            !data.list_email_tags(scope, DATASET, None, 9).await.unwrap().is_empty(),
            data.count_leads(scope, None).await.unwrap() > 0,
            data.count_leads(scope, Some(DATASET)).await.unwrap() > 0,
            data.count_leads_in_range(scope, range(0, 9)).await.unwrap() > 0,
            data.find_largest_leaf(scope, DATASET, 1).await.unwrap().is_some(),
        ]
    };
    assert_eq!(reads(own).await, [true; 15], "the control");
    assert_eq!(reads(foreign).await, [false; 15]);
    let missing = Outcome::Conflict(Conflict::Missing);
    assert_eq!(
        apply(&cell.data, foreign, TombstoneLead { id: lead_id(1), base: None }).await,
        missing
    );
    assert_eq!(apply(&cell.data, foreign, change(1, None)).await, missing);
    let range = DeleteLeadRange { range: range(0, 9) };
    assert_eq!(apply(&cell.data, foreign, range).await, Outcome::Count(0));
    assert_eq!(reads(own).await, [true; 15]);
}
