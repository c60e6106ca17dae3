//! The dimension of data: what is covered, left out, denied.

use leadvault_domain::{
    Category as C, CategorySet, DecisionCode as Code, FieldNo, Masking, Operation as Op, Purpose,
};

use crate::kit::{World, dataset};

const UNMAPPED: FieldNo = FieldNo(1007);

fn looking(categories: &[C]) -> World {
    let mut world = World::plain();
    world.ask.operations = vec![Op::Display];
    world.ask.fields.clear();
    world.ask.explicit_fields = false;
    world.ask.categories = categories.iter().copied().collect();
    world
}

fn asking(fields: &[(FieldNo, C)]) -> World {
    let mut world = World::plain();
    world.ask = world.ask.clone().with_fields(fields.iter().copied());
    world
}

#[test]
fn a_field_not_covered_is_left_out_unless_it_was_asked_for() {
    let rule = looking(&[C::Contact, C::Location]).allowed().fields;
    assert!(rule.covers(FieldNo::EMAIL, C::Contact));
    assert!(!rule.covers(FieldNo::STREET, C::Location));
    assert_eq!(asking(&[(FieldNo::STREET, C::Location)]).code(), Code::Category);
}

#[test]
fn unclassified_is_covered_only_where_it_is_named() {
    assert_eq!(asking(&[(UNMAPPED, C::Unclassified)]).code(), Code::Unclassified);
    let rule = looking(&[C::Contact, C::Unclassified]).allowed().fields;
    assert!(!rule.covers(UNMAPPED, C::Unclassified));

    let mut world = asking(&[(UNMAPPED, C::Unclassified)]);
    world.permit().data.categories.push(C::Unclassified);
    assert!(world.allowed().fields.covers(UNMAPPED, C::Unclassified));
}

#[test]
fn unclassified_columns_are_stored_changed_and_erased_without_being_named() {
    for operation in [Op::Store, Op::Collect, Op::Modify, Op::Erase, Op::CopyBackup] {
        let mut world = asking(&[(FieldNo::EMAIL, C::Contact), (UNMAPPED, C::Unclassified)]);
        world.ask.operations = vec![operation];
        assert!(world.allowed().fields.covers(UNMAPPED, C::Unclassified), "{operation}");
    }
}

#[test]
fn handing_on_a_column_nobody_classified_is_denied() {
    let mut world = asking(&[(UNMAPPED, C::Unclassified)]);
    world.ask.operations = vec![Op::Export];
    assert_eq!(world.code(), Code::Unclassified);
}

#[test]
fn a_column_counts_as_what_the_tenant_classified_it() {
    assert_eq!(asking(&[(UNMAPPED, C::Contact)]).code(), Code::Allow);
}

#[test]
fn where_nothing_that_is_there_is_covered_the_call_is_denied() {
    assert_eq!(looking(&[C::Location, C::Tag]).code(), Code::Category);
    assert_eq!(looking(&[C::Unclassified]).code(), Code::Unclassified);
    assert_eq!(looking(&[C::Location, C::Unclassified]).code(), Code::Category);
    assert_eq!(looking(&[]).code(), Code::Allow);
}

#[test]
fn a_call_on_whole_records_can_leave_nothing_out() {
    for operation in [Op::Erase, Op::Store, Op::Transfer, Op::Match] {
        let mut world = looking(&[C::Contact, C::Location]);
        world.ask.operations = vec![operation];
        assert_eq!(world.code(), Code::Category, "{operation}");
    }
}

#[test]
fn lists_of_fields_narrow_the_categories_and_never_widen_them() {
    let mut world = looking(&[C::Contact, C::Identity, C::Location]);
    world.permit().data.fields_include = vec!["email".to_owned(), "street".to_owned()];
    world.permit().data.fields_exclude = vec!["phone".to_owned()];
    let rule = world.allowed().fields;
    assert!(rule.covers(FieldNo::EMAIL, C::Contact));
    assert!(!rule.covers(FieldNo::MOBILE, C::Contact), "not included");
    assert!(!rule.covers(FieldNo::PHONE, C::Contact), "excluded");
    assert!(!rule.covers(FieldNo::STREET, C::Location), "its category is not named");
}

#[test]
fn a_field_outside_the_lists_that_is_asked_for_is_denied() {
    let mut world = asking(&[(FieldNo::EMAIL, C::Contact), (FieldNo::PHONE, C::Contact)]);
    world.permit().data.fields_include = vec!["email".to_owned()];
    let denied = world.denied();
    assert_eq!((denied.code, denied.fields), (Code::Field, vec![FieldNo::PHONE]));
    assert_eq!(denied.pointer, Some("/data/fields_include"));
}

#[test]
fn an_included_field_that_does_not_exist_includes_nothing() {
    let mut world = asking(&[(FieldNo::EMAIL, C::Contact)]);
    world.permit().data.fields_include = vec!["no such field".to_owned()];
    assert_eq!(world.code(), Code::Field);
}

#[test]
fn custom_fields_are_named_by_number() {
    let custom = FieldNo(20_003);
    let mut world = asking(&[(custom, C::Contact)]);
    world.permit().data.fields_include = vec!["custom_3".to_owned()];
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn erasing_under_a_list_of_fields_is_denied_but_a_flag_touches_none() {
    let mut world = looking(&[C::Contact]);
    world.permit().data.fields_include = vec!["email".to_owned()];
    world.ask.operations = vec![Op::Erase];
    assert_eq!(world.code(), Code::Field);
    world.ask.operations = vec![Op::Restrict];
    assert_eq!(world.code(), Code::Allow);
}

#[test]
fn all_datasets_are_not_covered_by_a_permit_for_one() {
    let mut world = World::plain();
    world.permit().data.datasets = vec![dataset(1).to_string()];
    assert_eq!(world.code(), Code::Allow);
    world.ask.dataset = None;
    assert_eq!(world.code(), Code::Dataset);
}

#[test]
fn a_key_limited_to_datasets_reaches_no_other() {
    let mut world = World::plain();
    world.actor.datasets = Some(vec![dataset(1)]);
    assert_eq!(world.code(), Code::Allow);
    world.ask.dataset = Some(dataset(2));
    assert_eq!(world.code(), Code::Dataset);
    world.ask.dataset = None;
    assert_eq!(world.code(), Code::Dataset);
}

#[test]
fn a_list_by_a_limited_key_is_about_the_datasets_of_the_key() {
    let mut world = World::plain();
    world.actor.datasets = Some(vec![dataset(1), dataset(2)]);
    world.ask.dataset = None;
    world.ask.within_key = true;
    assert_eq!(world.code(), Code::Allow);
    world.permit().data.datasets = vec![dataset(1).to_string()];
    assert_eq!(world.code(), Code::Dataset, "one of the two is not in the permit");
    world.permit().data.datasets.push(dataset(2).to_string());
    assert_eq!(world.code(), Code::Allow);
    world.actor.datasets = Some(Vec::new());
    assert_eq!(world.code(), Code::Dataset, "a key for nothing");
    world.actor.datasets = None;
    world.permit().data.datasets.pop();
    assert_eq!(world.code(), Code::Dataset, "a key that is not limited lists everything");
}

#[test]
fn a_dataset_of_special_categories_needs_them_named() {
    let mut world = World::plain();
    world.ask.special_category = true;
    assert_eq!(world.code(), Code::Category);
    world.permit().data.categories.push(C::SpecialCategory);
    assert_eq!(world.code(), Code::Allow);
}

/// R-151, row by row: everything that is not listed is denied whatever the purpose.
#[test]
fn biometric_data_is_there_to_verify_and_to_erase() {
    for operation in Op::ALL {
        for purpose in Purpose::ALL {
            let mut world = asking(&[(FieldNo(20_000), C::Biometric)]);
            world.permit().data.categories = vec![C::Biometric];
            world.permit().purposes = vec![*purpose];
            world.ask.purpose = Some(*purpose);
            world.ask.operations = vec![*operation];
            world.ask.recipient = None;
            let expected = match operation {
                Op::Erase | Op::Restrict | Op::CopyBackup => true,
                Op::Match | Op::Collect | Op::Store => *purpose == Purpose::Security,
                Op::Export => *purpose == Purpose::RightsRequest,
                _ => false,
            };
            let allowed = world.code() == Code::Allow;
            // De-identified research has biometric data on its never-list besides.
            if *purpose == Purpose::DeidentifiedRnd {
                assert_eq!(world.code(), Code::Prohibited, "{operation}");
            } else {
                assert_eq!(allowed, expected, "{operation} for {purpose}");
                assert!(expected || world.code() == Code::Biometric, "{operation} for {purpose}");
            }
        }
    }
}

#[test]
fn biometric_data_nobody_asked_for_is_left_out() {
    let mut world = looking(&[C::Contact, C::Biometric]);
    world.permit().data.categories.push(C::Biometric);
    let rule = world.allowed().fields;
    assert!(rule.covers(FieldNo::EMAIL, C::Contact));
    assert!(!rule.covers(FieldNo(20_000), C::Biometric));
    world.ask.categories = CategorySet::from([C::Biometric]);
    assert_eq!(world.code(), Code::Biometric);
}

#[test]
fn the_strictest_masking_counts() {
    let mut world = World::plain();
    assert_eq!(world.allowed().masking, Masking::None);
    world.ask.masked = true;
    assert_eq!(world.allowed().masking, Masking::Partial);
    world.permit().data.masking = Some(Masking::TokensOnly);
    assert_eq!(world.allowed().masking, Masking::TokensOnly);
    let obligations: Vec<&str> = world.allowed().obligations.iter().map(|o| o.as_str()).collect();
    assert_eq!(obligations, ["mask"]);
}
