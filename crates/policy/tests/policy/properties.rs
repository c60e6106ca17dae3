//! What holds of every decision: it ends, it is the same again, and it only ever narrows.

use leadvault_domain::{
    Category, Conditions, Effect, FieldNo, Instruction, InstructionStatus, KeyState, LabelFlag,
    Labels, Operation, Purpose, Regime, SubjectKind, TenantApproval, TenantState,
};
use leadvault_policy::filter::Filter;
use leadvault_policy::time_window::TimeWindow;
use leadvault_policy::{Named, Row, RowCode, Verdict, card, government_id, hash_form, minor};
use leadvault_policy::{high_risk, validate_draft};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;

use crate::kit::{World, batch, dataset, instruction, instruction_id, lead, place, principal};

fn words<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> BoxedStrategy<Vec<T>> {
    subsequence(all, 0..=all.len()).boxed()
}

prop_compose! {
    fn labels()(bits in any::<i64>(), plain in any::<bool>()) -> Option<Labels> {
        let clean = Labels::default().with_regimes([Regime::Eu]);
        if plain { Some(clean) } else { (bits % 3 != 0).then(|| Labels::from_bits(bits & 0x3_ffff_ffff_03ff)) }
    }
}

prop_compose! {
    fn any_instruction()(
        n in 1..4_u8,
        version in 1..3_u32,
        status in select(InstructionStatus::ALL),
        active in prop::bool::weighted(0.8),
        effect in select(Effect::ALL),
        purposes in words(Purpose::ALL),
        operations in words(Operation::ALL),
        categories in words(Category::ALL),
        regimes in prop::option::weighted(0.2, words(Regime::ALL)),
        filter in select(vec![None, Some("hold"), Some("not restricted"), Some("broken (")]),
        window in select(vec![None, Some("Mon-Fri 00:00-24:00 UTC"), Some("broken")]),
        include in select(vec![vec![], vec!["email".to_owned()]]),
        dataset_too in prop::bool::weighted(0.2),
        dual in any::<Option<bool>>(),
        approval in select(TenantApproval::ALL),
        abroad in prop::bool::weighted(0.2),
        ended in prop::bool::weighted(0.1),
    ) -> Instruction {
        let mut out = instruction(n);
        out.version = version;
        out.status = if active { InstructionStatus::Active } else { status };
        out.effect = effect;
        out.purposes = purposes;
        out.operations = operations;
        out.data.categories = categories;
        out.data.filter = filter.map(str::to_owned);
        out.data.fields_include = include;
        if dataset_too { out.data.datasets = vec![dataset(1).to_string()]; }
        out.subjects.regimes = regimes.unwrap_or_default();
        out.subjects.categories = SubjectKind::ALL.to_vec();
        if abroad { out.locations.access = vec![place("US")]; }
        if ended { out.validity.until = Some(out.validity.from); }
        out.conditions = Some(Conditions {
            dual_control: dual,
            tenant_approval: Some(approval),
            time_window: window.map(str::to_owned),
            ..Conditions::default()
        });
        out
    }
}

prop_compose! {
    fn worlds()(
        operations in words(Operation::ALL),
        purpose in select(Purpose::ALL),
        state_purpose in prop::bool::weighted(0.8),
        named in prop::option::of((1..5_u8, prop::option::of(1..3_u32))),
        fields in prop::collection::vec((1..40_u16, select(Category::ALL)), 0..3),
        explicit in any::<bool>(),
        categories in words(Category::ALL),
        flags in any::<[bool; 6]>(),
        labels in labels(),
        instructions in prop::collection::vec(any_instruction(), 0..5),
        tenant_state in select(TenantState::ALL),
        key_state in select(KeyState::ALL),
        healthy in prop::bool::weighted(0.8),
        second in prop::option::of(1..3_u8),
    ) -> World {
        let [exit, masked, special, staff, session, request] = flags;
        let mut world = World::plain();
        world.ask.operations = if healthy && operations.len() > 3 {
            operations.into_iter().take(1).collect()
        } else {
            operations
        };
        world.ask.purpose = state_purpose.then_some(purpose);
        world.ask.named = named.map(|(n, version)| Named { id: instruction_id(n), version });
        world.ask.fields = fields.into_iter().map(|(no, c)| (FieldNo(no), c)).collect();
        world.ask.explicit_fields = explicit;
        world.ask.categories = categories.into_iter().collect();
        world.ask.labels = labels;
        world.ask.exit = exit;
        world.ask.masked = masked;
        world.ask.special_category = special && !healthy;
        world.actor.staff = staff && !healthy;
        world.facts.approvals.session = session;
        world.facts.approvals.request = request;
        world.facts.approvals.second = second.map(principal);
        if !healthy {
            world.facts.tenant_state = tenant_state;
            world.facts.key_state = key_state;
        }
        world.instructions = instructions;
        world
    }
}

/// A permit that covers nearly everything, so that allowances are not rare.
fn generous(mut world: World) -> World {
    let mut permit = instruction(1);
    permit.purposes = Purpose::ALL.to_vec();
    permit.data.categories = Category::ALL.to_vec();
    permit.subjects.categories = SubjectKind::ALL.to_vec();
    permit.conditions = world.instructions.first().and_then(|i| i.conditions.clone());
    world.instructions.retain(|i| i.id != permit.id);
    world.instructions.push(permit);
    world.ask.named = Some(Named { id: instruction_id(1), version: None });
    world
}

fn either() -> impl Strategy<Value = World> {
    (worlds(), any::<bool>()).prop_map(|(w, g)| if g { generous(w) } else { w })
}

fn is_allowed(world: &World) -> bool {
    matches!(world.decide(), Verdict::Allow(_))
}

/// Control: properties of allowances say nothing if nothing is ever allowed.
#[test]
fn the_worlds_tried_hold_enough_of_each_verdict() {
    const TRIED: usize = 2_000;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let allowed = (0..TRIED)
        .filter(|_| is_allowed(&either().new_tree(&mut runner).expect("a world").current()))
        .count();
    assert!((TRIED / 20..TRIED / 2).contains(&allowed), "{allowed} of {TRIED}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_decision_always_ends_and_is_the_same_again(world in either()) {
        let first = format!("{:?}", world.decide());
        prop_assert_eq!(first, format!("{:?}", world.decide()));
    }

    #[test]
    fn a_denial_always_says_what_would_be_needed(world in either()) {
        if let Verdict::Deny(denied) = world.decide() {
            prop_assert_eq!(denied.would_need.first().map(|need| need.code), Some(denied.code));
            let mut codes: Vec<_> = denied.would_need.iter().map(|need| need.code).collect();
            let found = codes.clone();
            codes.sort();
            prop_assert_eq!(codes, found, "in the order in which they win");
            for need in &denied.would_need {
                prop_assert!(!need.to_string().is_empty());
            }
        }
    }

    #[test]
    fn without_an_instruction_nothing_is_allowed(mut world in either()) {
        world.instructions.retain(|i| i.effect == Effect::Prohibit);
        prop_assert!(!is_allowed(&world));
    }

    #[test]
    fn another_prohibit_never_allows(world in either(), mut more in any_instruction()) {
        more.effect = Effect::Prohibit;
        more.id = instruction_id(9);
        let mut narrower = world.clone();
        narrower.instructions.push(more);
        prop_assert!(is_allowed(&world) || !is_allowed(&narrower));
    }

    #[test]
    fn another_prohibit_never_widens_the_fields_or_the_rows(
        world in either(), mut more in any_instruction(), bits in any::<i64>(),
    ) {
        more.effect = Effect::Prohibit;
        more.id = instruction_id(9);
        let mut narrower = world.clone();
        narrower.instructions.push(more);
        if let (Verdict::Allow(wide), Verdict::Allow(narrow)) = (world.decide(), narrower.decide()) {
            for no in 1..34 {
                let no = FieldNo(no);
                let covered = narrow.fields.covers(no, no.category());
                prop_assert!(!covered || wide.fields.covers(no, no.category()));
            }
            let labels = Labels::from_bits(bits & 0x3_ffff_ffff_03ff);
            let row = Row { lead: Some(lead(1)), dataset: dataset(1), batch: Some(batch(1)), labels };
            prop_assert!(narrow.rows.denial(&row).is_some() || wide.rows.denial(&row).is_none());
        }
    }

    #[test]
    fn an_approval_less_never_allows(world in either(), which in 0..3_u8) {
        let mut fewer = world.clone();
        match which {
            0 => fewer.facts.approvals.session = false,
            1 => fewer.facts.approvals.request = false,
            _ => fewer.facts.approvals.second = None,
        }
        prop_assert!(is_allowed(&world) || !is_allowed(&fewer));
    }

    #[test]
    fn another_flag_of_the_subject_never_allows(world in either(), which in 0..4_usize) {
        let flags = [LabelFlag::Hold, LabelFlag::Restricted, LabelFlag::Minor, LabelFlag::OptoutSale];
        let mut flagged = world.clone();
        // Filters may ask for a flag; what is tested here are the flags themselves.
        for i in &mut flagged.instructions { i.data.filter = None; }
        let plain = flagged.clone();
        flagged.ask.labels = flagged.ask.labels.map(|l| l.with(flags[which], true));
        prop_assert!(is_allowed(&plain) || !is_allowed(&flagged));
    }

    #[test]
    fn parsers_and_row_rules_end_on_every_text(text in ".{0,80}", grammar in "[a-z\"=!\\[\\](), ]{0,60}") {
        for text in [text.as_str(), grammar.as_str()] {
            let _ = text.parse::<Filter>();
            let _ = text.parse::<TimeWindow>();
            let today = jiff::civil::date(2026, 11, 23);
            for column in [minor::Column::BirthDate, minor::Column::Age, minor::Column::SchoolGrade,
                minor::Column::MinorFlag] {
                let code = minor::check(column, text, today);
                prop_assert!(code.is_none_or(|c| c == RowCode::Minor));
            }
            let _ = (card::check(text), government_id::check(text));
            let _ = minor::Column::of_header(text);
        }
    }

    #[test]
    fn drafts_are_judged_and_hashed_without_fail(draft in any_instruction()) {
        let _ = (validate_draft(&draft), high_risk(&draft));
        prop_assert!(hash_form(&draft).is_object());
    }
}
