//! Identical denials of one key within a second are one entry with a count (protocols.md 2.2).
//!
//! The first denial commits its own entry before it is answered. Those that repeat it within the second are
//! answered at once, under the place of that first entry, and counted; when the second is over one entry
//! says how many they were. A crash in between loses their number and nothing else: a denial hands out
//! nothing. Identical means all that the entry says but time and request, and one generation of the control
//! state.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use leadvault_domain::{ApiKeyId, DecisionCode, InstructionId, Purpose, Timestamp};
use leadvault_ledger::{EntryDraft, LogOperation, ResourceType};

use crate::call::Stamp;

/// How long a denial stands for those that repeat it.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_MICROS: i64 = 1_000_000;

/// What makes two denials identical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Denied {
    pub(crate) key: ApiKeyId,
    pub(crate) code: DecisionCode,
    pub(crate) operation: LogOperation,
    pub(crate) on: ResourceType,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) instruction: Option<(InstructionId, u32)>,
    pub(crate) state_gen: u32,
}

#[derive(Debug)]
struct Open {
    since: Timestamp,
    stamp: Stamp,
    repeated: u64,
    last: Option<EntryDraft>,
}

/// The denials of a tenant in the running second.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<Denied, Open>>);

/// A denial that repeats another.
#[derive(Debug)]
pub(crate) struct Repeated {
    /// The entry of the first one.
    pub(crate) stamp: Stamp,
    /// Whether it is the first that repeats: then the count has to be written when the second is over.
    pub(crate) begins: bool,
}

impl Denials {
    /// Counts a denial in; `None` where it repeats none and makes its own entry.
    pub(crate) fn repeat(
        &self,
        denied: &Denied,
        at: Timestamp,
        entry: &EntryDraft,
    ) -> Option<Repeated> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.get_mut(denied)?;
        if !is_open(open.since, at) {
            return None;
        }
        open.repeated = open.repeated.saturating_add(1);
        open.last = Some(entry.clone());
        Some(Repeated { stamp: open.stamp.clone(), begins: open.repeated == 1 })
    }

    /// Remembers a denial that made its own entry.
    pub(crate) fn first(&self, denied: Denied, at: Timestamp, stamp: Stamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody repeated are forgotten here, so that the map stays as small as one second.
        all.retain(|_, open| open.repeated > 0 || is_open(open.since, at));
        // One that waits for its count to be written keeps its place.
        all.entry(denied).or_insert(Open { since: at, stamp, repeated: 0, last: None });
    }

    /// Takes what was counted, when the second is over: the entry to commit.
    pub(crate) fn take(&self, denied: &Denied) -> Option<EntryDraft> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.remove(denied)?;
        open.last.map(|entry| entry.count(open.repeated))
    }
}

fn is_open(since: Timestamp, at: Timestamp) -> bool {
    (0..WINDOW_MICROS).contains(&at.micros().saturating_sub(since.micros()))
}

#[cfg(test)]
mod tests {
    use leadvault_domain::{ReasonCode, ServiceId};
    use leadvault_ledger::Actor;

    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(START + millis * 1000)
    }

    fn denied(key: u8) -> Denied {
        Denied {
            key: ApiKeyId::from_bytes([key; 16]),
            code: DecisionCode::NoInstruction,
            operation: LogOperation::Data(leadvault_domain::Operation::Read),
            on: ResourceType::Record,
            purpose: None,
            instruction: None,
            state_gen: 1,
        }
    }

    fn entry() -> EntryDraft {
        EntryDraft::new(
            at(0),
            Actor::service(ServiceId::from_bytes([1; 16])),
            ReasonCode::TenantApiCall,
            LogOperation::Data(leadvault_domain::Operation::Read),
            ResourceType::Record,
            DecisionCode::NoInstruction,
        )
    }

    fn stamp(index: u64) -> Stamp {
        Stamp { index, leaf: [0; 32], receipt: String::new() }
    }

    #[test]
    fn repetitions_within_the_second_are_counted_into_one_entry() {
        let denials = Denials::default();
        assert!(
            denials.repeat(&denied(1), at(0), &entry()).is_none(),
            "the first is its own entry"
        );
        denials.first(denied(1), at(0), stamp(7));
        for (millis, begins) in [(1, true), (500, false), (999, false)] {
            let repeated = denials.repeat(&denied(1), at(millis), &entry()).unwrap();
            assert_eq!((repeated.stamp.index, repeated.begins), (7, begins));
        }
        assert!(denials.repeat(&denied(2), at(5), &entry()).is_none(), "another key");
        let moved = Denied { state_gen: 2, ..denied(1) };
        assert!(denials.repeat(&moved, at(5), &entry()).is_none(), "decided under another state");
        let counted = denials.take(&denied(1)).unwrap().finish().unwrap();
        assert!(String::from_utf8_lossy(counted.bytes()).contains("\"count\":3"));
        assert!(denials.take(&denied(1)).is_none());
    }

    #[test]
    fn a_denial_after_the_second_makes_its_own_entry_again() {
        let denials = Denials::default();
        denials.first(denied(1), at(0), stamp(7));
        assert!(denials.repeat(&denied(1), at(1000), &entry()).is_none());
        denials.first(denied(2), at(1000), stamp(8));
        assert!(denials.take(&denied(1)).is_none(), "nobody repeated it: nothing to say");
    }
}
