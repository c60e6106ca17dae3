//! Flags of the subject that an operation or a purpose must honour.
//!
//! | flag | stops |
//! |---|---|
//! | hold | erase, always |
//! | restricted, quarantined | everything but keeping, flagging, erasing |
//! | objection to marketing | the purpose `tenant_marketing` |
//! | objection of another kind | the purposes that rest on an interest of the tenant |
//! | opt-out of sale, sharing, targeted ads | handing on, unless the purpose serves the subject or the law |
//! | opt-out of training | the purpose `deidentified_rnd` |
//! | minor | everything but keeping, flagging, erasing |
//!
//! Rights requests, legal requirements and the tenant's own exit pass the flags, but never a hold. An
//! instruction may promise more (`honour_flags`): then the flag named counts for every purpose.

use leadvault_domain::{DecisionCode, HonourFlag, LabelFlag, Labels, Operation, Purpose};

/// What is done to a subject, as far as its flags depend on it.
#[derive(Debug, Clone)]
pub struct Handling {
    /// The operations of the call.
    pub operations: Vec<Operation>,
    /// Its purpose, if it is known.
    pub purpose: Option<Purpose>,
    /// The tenant's own exit.
    pub exit: bool,
    /// A consent was withdrawn.
    pub consent_withdrawn: bool,
    /// What the permit promises.
    pub honour: Vec<HonourFlag>,
}

/// Keeping, flagging and erasing: what restriction leaves possible.
const KEEPING: &[Operation] =
    &[Operation::Store, Operation::CopyBackup, Operation::Restrict, Operation::Erase];

/// Purposes that rest on an interest which an objection outweighs.
const INTEREST: &[Purpose] = &[
    Purpose::TenantMarketing,
    Purpose::TenantAnalytics,
    Purpose::Enrichment,
    Purpose::DeidentifiedRnd,
];

/// Purposes under which handing on can be a sale or sharing.
const COMMERCIAL: &[Purpose] = &[
    Purpose::CrmOperations,
    Purpose::TenantMarketing,
    Purpose::TenantAnalytics,
    Purpose::Enrichment,
    Purpose::DeidentifiedRnd,
];

const OUTWARD: &[Operation] = &[Operation::Disclose, Operation::Transfer, Operation::ShareInternal];

impl Handling {
    /// The codes the flags of a subject answer, in the order in which they win; none = nothing against it.
    pub fn denials(&self, labels: Labels) -> Vec<DecisionCode> {
        let tests = [
            (self.meets_hold(labels), DecisionCode::Hold),
            (self.meets_restriction(labels), DecisionCode::Restricted),
            (self.meets_objection(labels), DecisionCode::ObjectionSubject),
            (self.meets_optout(labels), DecisionCode::Optout),
            (
                labels.has(LabelFlag::Minor) && !self.only(KEEPING) && !self.passes(),
                DecisionCode::Minor,
            ),
        ];
        tests.into_iter().filter_map(|(met, code)| met.then_some(code)).collect()
    }

    fn meets_hold(&self, labels: Labels) -> bool {
        labels.has(LabelFlag::Hold) && self.operations.contains(&Operation::Erase)
    }

    fn meets_restriction(&self, labels: Labels) -> bool {
        if self.passes() {
            return false;
        }
        // What comes in without an attestation is stored as quarantined: collecting is how it got here.
        let comes_in =
            self.operations.iter().all(|o| KEEPING.contains(o) || *o == Operation::Collect);
        (labels.has(LabelFlag::Restricted) && !self.only(KEEPING))
            || (labels.has(LabelFlag::Quarantined) && !comes_in)
    }

    fn meets_objection(&self, labels: Labels) -> bool {
        if self.passes() || self.only(KEEPING) {
            return false;
        }
        let marketing = labels.has(LabelFlag::ObjectionMarketing)
            && (self.has_purpose(&[Purpose::TenantMarketing])
                || (self.honours(HonourFlag::OptoutMarketing) && self.any(OUTWARD)));
        let other = labels.has(LabelFlag::ObjectionOther)
            && (self.has_purpose(INTEREST) || self.honours(HonourFlag::Object));
        marketing || other
    }

    fn meets_optout(&self, labels: Labels) -> bool {
        if self.passes() || self.only(KEEPING) {
            return false;
        }
        let handed_on = [
            (LabelFlag::OptoutSale, HonourFlag::OptoutSale),
            (LabelFlag::OptoutShare, HonourFlag::OptoutShare),
            (LabelFlag::OptoutTargetedAds, HonourFlag::OptoutTargetedAds),
        ]
        .into_iter()
        .any(|(label, promise)| {
            labels.has(label)
                && self.any(OUTWARD)
                && (self.has_purpose(COMMERCIAL) || self.honours(promise))
        });
        let training = labels.has(LabelFlag::OptoutTraining)
            && (self.has_purpose(&[Purpose::DeidentifiedRnd])
                || (self.honours(HonourFlag::OptoutTraining) && self.any(&[Operation::Derive])));
        let withdrawn = self.consent_withdrawn && self.honours(HonourFlag::ConsentWithdrawn);
        handed_on || training || withdrawn
    }

    fn passes(&self) -> bool {
        self.exit || self.has_purpose(&[Purpose::RightsRequest, Purpose::LegalRequirement])
    }

    fn has_purpose(&self, purposes: &[Purpose]) -> bool {
        self.purpose.is_some_and(|p| purposes.contains(&p))
    }

    fn honours(&self, flag: HonourFlag) -> bool {
        self.honour.contains(&flag)
    }

    fn only(&self, operations: &[Operation]) -> bool {
        self.operations.iter().all(|o| operations.contains(o))
    }

    fn any(&self, operations: &[Operation]) -> bool {
        self.operations.iter().any(|o| operations.contains(o))
    }
}
