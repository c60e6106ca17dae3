//! Walking many leaves under receipts, portion by portion (protocols.md 3: deep search, export, re-tag).
//!
//! A portion is at most 2^14 leaves; each needs its own committed entry, so a long scan is never covered
//! by one receipt, and each portion starts with a fresh look at the clock.

use std::sync::Arc;

use leadvault_domain::{LeafAddress, LeafRange, Timestamp};
use leadvault_ledger::CommittedReceipt;

use crate::NotCovered;
use crate::keyring::Keyring;
use crate::located::{Opener, opaque};
use crate::page::PAGE_LEAVES;

/// A walk over the live leaves of a range.
pub struct Sweep {
    ring: Arc<Keyring>,
    range: LeafRange,
    next: u64,
}

impl Sweep {
    pub(crate) fn new(ring: Arc<Keyring>, range: LeafRange) -> Self {
        Self { ring, next: u64::from(range.first), range }
    }

    /// The leaves that the next [`Sweep::open`] walks: what its entry must name. `None` at the end.
    pub fn portion(&self) -> Option<LeafRange> {
        let first = u32::try_from(self.next).ok().filter(|_| self.next < self.range.end)?;
        let end = ((self.next / PAGE_LEAVES + 1) * PAGE_LEAVES).min(self.range.end);
        Some(LeafRange { first, end, ..self.range })
    }

    /// Opens the next portion under its receipt, and moves on past it. Punctured leaves are left out; a leaf
    /// that the entry does not name comes as [`NotCovered::NotNamed`].
    ///
    /// # Errors
    /// [`NotCovered`]; the sweep has not moved then.
    pub fn open<'a>(
        &'a mut self,
        receipt: &'a CommittedReceipt,
        now: Timestamp,
    ) -> Result<OpenerIter<'a>, NotCovered> {
        let (Some(portion), Ok((owner, tree))) =
            (self.portion(), self.ring.tree(self.range.dataset, self.range.tree))
        else {
            self.next = self.range.end;
            return Ok(OpenerIter(Box::new(std::iter::empty())));
        };
        owner.check(receipt, now)?;
        self.next = portion.end;
        let leaves = tree.leaves(u64::from(portion.first), portion.end);
        Ok(OpenerIter(Box::new(leaves.map(move |(leaf, key)| {
            let at = LeafAddress { dataset: portion.dataset, tree: portion.tree, leaf };
            let opener = Opener::new(owner, at, key);
            let named = owner.names(receipt, at, &opener.reference());
            if named { Ok(opener) } else { Err(NotCovered::NotNamed) }
        }))))
    }
}

/// The openers of one portion, ascending by leaf.
pub struct OpenerIter<'a>(Box<dyn Iterator<Item = Result<Opener, NotCovered>> + Send + 'a>);

impl Iterator for OpenerIter<'_> {
    type Item = Result<Opener, NotCovered>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

opaque!(Sweep, OpenerIter<'_>);
