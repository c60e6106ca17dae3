//! Tenants, generations, registers.

use leadvault_domain::{
    ApiKeyId, DatasetId, Employer, InstructionId, InstructionStatus, KeyState, PrincipalId,
    Purpose, RecipientId, Role, TenantNo, TenantState,
};
use leadvault_keys::EpochControl as _;
use leadvault_ledger::Generations;
use leadvault_store::{
    ApiKeyRow, BumpDir, Conflict, DataStore, DatasetRow, DatasetState, DeleteTenantRows,
    ExitPermitRow, InsertApiKey, InsertDataset, InsertExitPermit, InsertInstruction,
    InsertPrincipal, InsertTenant, InstructionRow, Outcome, PrincipalRow, RevokeApiKey,
    SHRED_STEP_ROWS, TenantScope, UpdateDataset, UpdateInstruction, UpdateTenantMeta,
    UpdateTenantState,
};

use crate::kit::{
    NOW, TestCell, apply, done, email, id, lead, lead_id, sealed, stored, tenant, tenant_row,
};

pub(crate) async fn a_tenant_is_found_by_number_and_by_id(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let row = tenant_row(scope.0);
    assert_eq!(cell.data.find_tenant(scope).await.unwrap(), Some(row.clone()));
    assert_eq!(cell.data.list_tenants().await, Ok(vec![row.clone()]));
    let again = apply(&cell.data, scope, InsertTenant { row }).await;
    assert_eq!(again, Outcome::Conflict(Conflict::Exists));
    let update = UpdateTenantMeta { facts: "{\"a\":1}".to_owned(), meta: None };
    done(&cell.data, scope, update).await;
    let found = cell.data.find_tenant(scope).await.unwrap().unwrap();
    assert_eq!((found.facts.as_str(), found.meta), ("{\"a\":1}", None));
}

pub(crate) async fn numbers_are_never_given_out_again(cell: &TestCell) {
    let first = cell.data.reserve_tenant_no().await.unwrap();
    assert_eq!(cell.data.reserve_tenant_no().await, Ok(TenantNo(first.0 + 1)));
    let scope = tenant(&cell.data).await;
    let dataset = cell.data.reserve_dataset_no(scope).await.unwrap();
    assert_eq!(dataset.0, 1, "0 is the system tree");
    assert_eq!(cell.data.reserve_dataset_no(scope).await.unwrap().0, 2);
    assert!(cell.data.reserve_dataset_no(TenantScope(TenantNo(999))).await.is_err());
}

pub(crate) async fn a_state_change_bumps_the_generation(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let before = cell.data.find_control(scope).await.unwrap().unwrap();
    assert_eq!((before.state_gen, before.dir_gen, before.key_epoch), (1, 1, 1));
    let update =
        UpdateTenantState { state: TenantState::Restricted, key_state: KeyState::Disabled };
    done(&cell.data, scope, update).await;
    done(&cell.data, scope, BumpDir).await;
    let after = cell.data.find_control(scope).await.unwrap().unwrap();
    assert_eq!((after.state_gen, after.dir_gen), (2, 2));
    assert_eq!(after.state, TenantState::Restricted);
    let row = cell.data.find_tenant(scope).await.unwrap().unwrap();
    assert_eq!((row.state, row.key_state), (TenantState::Restricted, KeyState::Disabled));
}

pub(crate) async fn an_epoch_only_rises_and_bumps_dir_gen_only_for_structure(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let raise = |epoch, structural| cell.data.raise_key_epoch(scope.0, epoch, structural);
    for (epoch, structural, expected) in
        [(2, 1, (2, 1)), (4, 3, (4, 2)), (4, 4, (4, 2)), (3, 3, (4, 2)), (5, 5, (5, 3))]
    {
        raise(epoch, structural).await.unwrap();
        let row = cell.data.find_control(scope).await.unwrap().unwrap();
        assert_eq!((row.key_epoch, row.dir_gen), expected);
    }
    cell.data.raise_key_epoch(TenantNo(999), 2, 2).await.unwrap();
}

pub(crate) async fn generations_are_lifted_after_a_restore(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let floor = |state_gen, dir_gen| Generations { state_gen, dir_gen };
    cell.data.raise_generations(scope, floor(9, Some(5))).await.unwrap();
    cell.data.raise_generations(scope, floor(4, None)).await.unwrap();
    let row = cell.data.find_control(scope).await.unwrap().unwrap();
    assert_eq!((row.state_gen, row.dir_gen), (9, 5));
    assert!(cell.data.raise_generations(TenantScope(TenantNo(999)), floor(1, None)).await.is_err());
}

pub(crate) async fn registers_read_back_what_was_written(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let other = tenant(&cell.data).await;
    let data = &cell.data;

    let mut dataset = DatasetRow {
        no: data.reserve_dataset_no(scope).await.unwrap(),
        id: DatasetId::from_bytes(id(2, 1)),
        tree: 1,
        state: DatasetState::Active,
        created_at: NOW,
        meta: Some(sealed(1)),
        columns: None,
    };
    done(data, scope, InsertDataset { row: dataset.clone() }).await;
    dataset.columns = Some(sealed(2));
    dataset.state = DatasetState::Shredding;
    done(data, scope, UpdateDataset { row: dataset.clone() }).await;
    assert_eq!(data.find_dataset(scope, dataset.id).await.unwrap(), Some(dataset.clone()));
    assert_eq!(data.list_datasets(scope).await, Ok(vec![dataset.clone()]));
    assert_eq!(data.find_dataset(other, dataset.id).await, Ok(None));

    let mut version = InstructionRow {
        id: InstructionId::from_bytes(id(3, 1)),
        version: 1,
        status: InstructionStatus::Draft,
        hash: [9; 32],
        created_at: NOW,
        activated_at: None,
        body: Some(sealed(4)),
    };
    done(data, scope, InsertInstruction { row: version.clone() }).await;
    let activate = UpdateInstruction {
        id: version.id,
        version: 1,
        from: InstructionStatus::Draft,
        to: InstructionStatus::Active,
        activated_at: Some(NOW),
        body: None,
    };
    done(data, scope, activate.clone()).await;
    assert_eq!(apply(data, scope, activate).await, Outcome::Conflict(Conflict::StateMoved));
    version.status = InstructionStatus::Active;
    version.activated_at = Some(NOW);
    assert_eq!(data.find_instruction(scope, version.id).await, Ok(vec![version.clone()]));
    assert_eq!(data.list_instructions(scope).await.unwrap(), [version]);
    assert_eq!(data.list_instructions(other).await.unwrap(), []);

    exit_permits_read_back(data, scope, other).await;

    let mut key = ApiKeyRow {
        id: ApiKeyId::from_bytes(id(4, 1)),
        secret_hash: [5; 32],
        role: Role::Editor,
        principal: PrincipalId::from_bytes(id(5, 1)),
        employer: Employer::Recipient(RecipientId::from_bytes(id(6, 1))),
        country: "DE".parse().unwrap(),
        default_instruction: Some(InstructionId::from_bytes(id(3, 1))),
        default_purpose: Some(Purpose::CrmOperations),
        datasets: Some(vec![dataset.id, DatasetId::from_bytes(id(2, 2))]),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        meta: Some(sealed(5)),
    };
    done(data, scope, InsertApiKey { row: key.clone() }).await;
    assert_eq!(data.find_api_key(scope, key.id).await.unwrap(), Some(key.clone()));
    assert_eq!(data.find_api_key(other, key.id).await, Ok(None));
    done(data, scope, RevokeApiKey { id: key.id, at: NOW }).await;
    let again = apply(data, scope, RevokeApiKey { id: key.id, at: NOW }).await;
    assert_eq!(again, Outcome::Conflict(Conflict::Missing));
    key.revoked_at = Some(NOW);
    assert_eq!(data.list_api_keys(scope).await.unwrap(), [key]);

    let principal = PrincipalRow {
        id: PrincipalId::from_bytes(id(5, 1)),
        handle: [6; 32],
        created_at: NOW,
        expires_at: Some(NOW),
        name: Some(sealed(6)),
    };
    done(data, scope, InsertPrincipal { row: principal.clone() }).await;
    let second = PrincipalRow { id: PrincipalId::from_bytes(id(5, 2)), ..principal.clone() };
    let taken = apply(data, scope, InsertPrincipal { row: second }).await;
    assert_eq!(taken, Outcome::Conflict(Conflict::Exists));
    assert_eq!(data.find_principal(scope, [6; 32]).await.unwrap(), Some(principal.clone()));
    assert_eq!(data.list_principals(scope).await.unwrap(), [principal]);
}

async fn exit_permits_read_back(data: &DataStore, scope: TenantScope, other: TenantScope) {
    let permit = |n, body| ExitPermitRow {
        id: InstructionId::from_bytes(id(7, n)),
        hash: [8; 32],
        created_at: NOW,
        body,
    };
    let (first, second) = (permit(1, Some(sealed(7))), permit(2, None));
    for row in [&first, &second] {
        done(data, scope, InsertExitPermit { row: row.clone() }).await;
    }
    let again = apply(data, scope, InsertExitPermit { row: first.clone() }).await;
    assert_eq!(again, Outcome::Conflict(Conflict::Exists));
    assert_eq!(data.find_exit_permit(scope, first.id).await, Ok(Some(first.clone())));
    assert_eq!(data.find_exit_permit(other, first.id).await, Ok(None));
    let newest_first = data.list_exit_permits(scope, None, 9).await.unwrap();
    assert_eq!(newest_first, [second.clone(), first.clone()]);
    assert_eq!(data.list_exit_permits(scope, Some(second.id), 9).await.unwrap(), [first]);
    assert_eq!(data.list_exit_permits(scope, None, 1).await.unwrap(), [second]);
    assert_eq!(data.list_exit_permits(other, None, 9).await.unwrap(), []);
}

pub(crate) async fn a_shred_leaves_no_content_and_no_other_tenant_loses_any(cell: &TestCell) {
    let (gone, kept) = (tenant(&cell.data).await, tenant(&cell.data).await);
    for scope in [gone, kept] {
        stored(&cell.data, scope, lead(1, email(11))).await;
    }
    let n = SHRED_STEP_ROWS + 3;
    for leaf in 2..=n {
        stored(&cell.data, gone, lead(leaf, email(100 + i64::from(leaf)))).await;
    }
    let mut left = u64::from(n);
    while left > 0 {
        let step = left.min(SHRED_STEP_ROWS.into());
        let Outcome::Count(rows) = apply(&cell.data, gone, DeleteTenantRows).await else {
            panic!("a step counts its rows");
        };
        assert!(rows >= step, "a step removes its leads and their tags");
        left -= step;
        assert_eq!(cell.data.count_leads(gone, None).await, Ok(left));
    }
    assert_eq!(apply(&cell.data, gone, DeleteTenantRows).await, Outcome::Count(0));
    assert_eq!(cell.data.find_lead(gone, lead_id(1)).await, Ok(None));
    assert_eq!(cell.data.count_leads(gone, None).await, Ok(0));
    assert!(cell.data.find_tenant(gone).await.unwrap().is_some(), "its row stays");
    assert_eq!(cell.data.find_log_size(gone).await, Ok(1), "its log stays");
    assert!(cell.data.find_lead(kept, lead_id(1)).await.unwrap().is_some());
    // The e-mail is free again: its tag is gone with the lead.
    stored(&cell.data, gone, lead(2, email(11))).await;
}
