//! Flags of the subject and the dimension of subjects.

use leadvault_domain::{
    Conditions, DecisionCode as Code, HonourFlag, LabelFlag as Flag, Labels, Operation as Op,
    Purpose as P, Regime, SubjectKind,
};

use crate::kit::{World, lead};

/// The plain call on a subject with this flag, for this purpose.
fn flagged(flag: Flag, operation: Op, purpose: P) -> World {
    let mut world = World::plain();
    world.permit().purposes = vec![purpose];
    world.ask.purpose = Some(purpose);
    world.ask.operations = vec![operation];
    world.ask.labels = world.ask.labels.map(|labels| labels.with(flag, true));
    if operation == Op::Disclose {
        let tight = World::tight();
        world.ask.recipient = tight.ask.recipient;
        world.facts.recipients = tight.facts.recipients;
        world.permit().recipients =
            tight.instructions.into_iter().flat_map(|i| i.recipients).collect();
    }
    world
}

fn honouring(mut world: World, flag: HonourFlag) -> World {
    world.permit().conditions =
        Some(Conditions { honour_flags: vec![flag], ..Conditions::default() });
    world
}

#[test]
fn a_restricted_subject_is_only_stored() {
    for operation in Op::ALL.iter().filter(|o| **o != Op::Disclose) {
        let stays = matches!(operation, Op::Store | Op::CopyBackup | Op::Restrict | Op::Erase);
        let expected = if stays { Code::Allow } else { Code::Restricted };
        assert_eq!(flagged(Flag::Restricted, *operation, P::CrmOperations).code(), expected);
    }
    assert_eq!(flagged(Flag::Restricted, Op::Disclose, P::CrmOperations).code(), Code::Restricted);
}

#[test]
fn legal_claims_and_the_subjects_own_request_pass_a_restriction() {
    for purpose in [P::LegalRequirement, P::RightsRequest] {
        assert_eq!(flagged(Flag::Restricted, Op::Read, purpose).code(), Code::Allow);
    }
}

#[test]
fn a_hold_stops_erasure_whoever_asks_and_nothing_else() {
    assert_eq!(flagged(Flag::Hold, Op::Erase, P::RightsRequest).code(), Code::Hold);
    assert_eq!(flagged(Flag::Hold, Op::Read, P::CrmOperations).code(), Code::Allow);
}

#[test]
fn an_objection_to_marketing_stops_marketing() {
    assert_eq!(
        flagged(Flag::ObjectionMarketing, Op::Read, P::TenantMarketing).code(),
        Code::ObjectionSubject
    );
    assert_eq!(flagged(Flag::ObjectionMarketing, Op::Read, P::CrmOperations).code(), Code::Allow);
}

#[test]
fn a_marketing_push_leaves_objectors_out_and_a_service_message_does_not() {
    let marketing = flagged(Flag::ObjectionMarketing, Op::Disclose, P::TenantMarketing);
    assert_eq!(marketing.code(), Code::ObjectionSubject);
    let service = flagged(Flag::ObjectionMarketing, Op::Disclose, P::ProvideService);
    assert_eq!(service.code(), Code::Allow);
}

#[test]
fn another_objection_stops_what_rests_on_an_interest() {
    for purpose in [P::TenantMarketing, P::TenantAnalytics, P::Enrichment, P::DeidentifiedRnd] {
        assert_eq!(
            flagged(Flag::ObjectionOther, Op::Read, purpose).code(),
            Code::ObjectionSubject,
            "{purpose}"
        );
    }
    let crm = flagged(Flag::ObjectionOther, Op::Read, P::CrmOperations);
    assert_eq!(crm.code(), Code::Allow);
    assert_eq!(honouring(crm, HonourFlag::Object).code(), Code::ObjectionSubject);
}

#[test]
fn opt_outs_stop_handing_on_for_commercial_ends() {
    for flag in [Flag::OptoutSale, Flag::OptoutShare, Flag::OptoutTargetedAds] {
        assert_eq!(flagged(flag, Op::Disclose, P::CrmOperations).code(), Code::Optout);
        assert_eq!(flagged(flag, Op::Disclose, P::ProvideService).code(), Code::Allow);
        assert_eq!(flagged(flag, Op::Read, P::CrmOperations).code(), Code::Allow);
    }
    let service = flagged(Flag::OptoutSale, Op::Disclose, P::ProvideService);
    assert_eq!(honouring(service.clone(), HonourFlag::OptoutSale).code(), Code::Optout);
    assert_eq!(honouring(service, HonourFlag::OptoutShare).code(), Code::Allow);
}

#[test]
fn an_opt_out_of_training_stops_research() {
    let research = |flag| flagged(flag, Op::Anonymise, P::DeidentifiedRnd).code();
    assert_eq!(research(Flag::OptoutTraining), Code::Optout);
    assert_eq!(research(Flag::OptoutSale), Code::Allow);
}

#[test]
fn a_consent_withdrawn_counts_where_the_instruction_promises_it() {
    let mut world = World::plain();
    world.ask.consent_withdrawn = true;
    assert_eq!(world.code(), Code::Allow);
    assert_eq!(honouring(world, HonourFlag::ConsentWithdrawn).code(), Code::Optout);
}

#[test]
fn a_known_minor_is_flagged_and_erased_and_nothing_else() {
    assert_eq!(flagged(Flag::Minor, Op::Read, P::CrmOperations).code(), Code::Minor);
    assert_eq!(flagged(Flag::Minor, Op::Erase, P::RetentionDeletion).code(), Code::Allow);
    assert_eq!(flagged(Flag::Minor, Op::Restrict, P::CrmOperations).code(), Code::Allow);
}

#[test]
fn what_waits_for_its_attestation_comes_in_and_is_not_read() {
    let mut world = flagged(Flag::Quarantined, Op::Store, P::CrmOperations);
    world.ask.operations = vec![Op::Store, Op::Collect];
    assert_eq!(world.code(), Code::Allow);
    assert_eq!(flagged(Flag::Quarantined, Op::Search, P::CrmOperations).code(), Code::Restricted);
}

#[test]
fn every_regime_of_a_subject_must_be_covered() {
    let mut world = World::plain();
    world.permit().subjects.regimes = vec![Regime::Eu];
    assert_eq!(world.code(), Code::Allow);
    world.ask.labels = Some(Labels::default().with_regimes([Regime::Eu, Regime::Uk]));
    assert_eq!(world.code(), Code::Regime);
    world.ask.labels = Some(Labels::default());
    assert_eq!(world.code(), Code::Regime, "of unknown origin");
}

#[test]
fn a_permit_for_single_subjects_covers_no_other() {
    let mut world = World::plain();
    world.permit().subjects.subject_refs = vec![lead(1).to_string()];
    assert_eq!(world.code(), Code::Allow);
    world.ask.lead = Some(lead(2));
    assert_eq!(world.code(), Code::SubjectKind);
    world.ask.subject = SubjectKind::CustomerContact;
    assert_eq!(world.code(), Code::SubjectKind);
}
