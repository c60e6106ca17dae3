//! What no lead may hold unless the instruction names it: card numbers with the category
//! `financial_hint`, government numbers with `special_category`. Nothing enables persons under 18: the schema
//! of instructions knows only `refuse`. docs/adr/0006-what-an-instruction-enables.md

use leadvault_domain::Category;

use crate::gate::Permit;

/// What the instruction of a permit enables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Enabled {
    /// Payment card numbers.
    pub(crate) cards: bool,
    /// Government identity numbers.
    pub(crate) government_ids: bool,
}

impl Enabled {
    /// By the very version the permit was given under.
    pub(crate) fn by(permit: &Permit) -> Self {
        let of = &permit.instruction;
        let instruction = permit.control.register.find((of.id, of.version));
        let names = |category| instruction.is_some_and(|i| i.data.categories.contains(&category));
        Self {
            cards: names(Category::FinancialHint),
            government_ids: names(Category::SpecialCategory),
        }
    }
}
