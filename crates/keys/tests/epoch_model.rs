//! The kernel of the epoch protocol, searched exhaustively (protocols.md 10.3).
//!
//! Two nodes, one change each, two kills, every interleaving, both slot copies. With head and hop no state
//! is bad; the naive single-slot protocol loses changes and erasures, and the search must find that: it is
//! the control. The number of states is frozen, so that the model cannot shrink unseen.
//! `epoch_model_extended.rs` adds hygiene, KEK rotation, torn copies and the loss of the key store.

#![expect(clippy::expect_used, reason = "a state that cannot be is a failed model")]

use std::collections::{BTreeSet, HashSet};

type Key = u8;
/// Bit i = the change of node i.
type Changes = u8;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Record {
    epoch: u8,
    dir: Key,
    key: Key,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Dir {
    id: Key,
    epoch: u8,
    key: Key,
    changes: Changes,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Hop {
    to: Record,
    under: Key,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// Has read the head and holds the old key; decides next.
    Decide {
        head: (u8, Key),
        old: Key,
        new: Key,
    },
    /// Writes the older slot copy until the slot is at `epoch`.
    WriteOlder(u8),
    WriteOther(u8),
    Acknowledge(u8),
    /// The naive protocol: directory, older copy, other copy, answer.
    NaiveDirectory {
        base: Record,
        changes: Changes,
        new: Key,
    },
    NaiveOlder {
        base: Record,
        record: Record,
    },
    NaiveOther(Record),
    NaiveAcknowledge,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    head: (u8, Key),
    dirs: Vec<Dir>,
    hops: Vec<Hop>,
    slot: [Option<Record>; 2],
    acked: Changes,
    nodes: [Step; 2],
    kills: u8,
    next_key: Key,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bad {
    TotalLoss,
    AckedChangeLost,
    AckedErasureOpens,
}

impl State {
    fn start() -> Self {
        let first = Record { epoch: 0, dir: 0, key: 0 };
        Self {
            head: (0, 0),
            dirs: vec![Dir { id: 0, epoch: 0, key: 0, changes: 0 }],
            hops: Vec::new(),
            slot: [Some(first), None],
            acked: 0,
            nodes: [Step::Idle; 2],
            kills: 2,
            next_key: 1,
        }
    }

    /// The valid copy with the higher epoch; of two equals the first.
    fn best(&self) -> Record {
        let [a, b] = self.slot;
        match (a, b) {
            (Some(a), Some(b)) if b.epoch > a.epoch => b,
            (Some(a), _) => a,
            (None, b) => b.expect("one copy is always whole in the kernel"),
        }
    }

    fn dir(&self, id: Key) -> Option<Dir> {
        self.dirs.iter().find(|d| d.id == id).copied()
    }

    fn hop_from(&self, at: Record) -> Option<Record> {
        self.hops.iter().find(|h| h.to.epoch == at.epoch + 1 && h.under == at.key).map(|h| h.to)
    }

    /// What a restart would open.
    fn openable(&self, hop: bool) -> Option<Dir> {
        let mut at = self.best();
        if !hop {
            return self.dirs.iter().find(|d| d.epoch == at.epoch && d.key == at.key).copied();
        }
        while at.epoch < self.head.0 {
            at = self.hop_from(at)?;
        }
        self.dir(self.head.1)
            .filter(|d| at.epoch == self.head.0 && d.key == at.key && d.epoch == at.epoch)
    }

    /// Overwrites the copy that is not `newest`.
    fn write_older(&mut self, newest: Record, record: Record) {
        let older = usize::from(self.slot[1] != Some(newest));
        self.slot[older] = Some(record);
    }

    fn successors(&self, hop: bool) -> Vec<Self> {
        let mut next = Vec::new();
        for i in 0..2 {
            if self.kills > 0 && self.nodes[i] != Step::Idle {
                let mut killed = self.with(i, Step::Idle);
                killed.kills -= 1;
                next.push(killed);
            }
            next.extend(if hop { self.advance(i) } else { self.naive(i) });
        }
        next
    }

    fn with(&self, i: usize, step: Step) -> Self {
        let mut next = self.clone();
        next.nodes[i] = step;
        next
    }

    /// One step of node `i` of protocols.md 1.1.
    fn advance(&self, i: usize) -> Option<Self> {
        let own: Changes = 1 << i;
        Some(match self.nodes[i] {
            Step::Idle if self.acked & own != 0 => return None,
            Step::Idle => {
                let best = self.best();
                let decided = self.dir(self.head.1).is_some_and(|d| d.changes & own != 0);
                if best.epoch < self.head.0 || decided {
                    self.with(i, Step::WriteOlder(self.head.0))
                } else {
                    let step = Step::Decide { head: self.head, old: best.key, new: self.next_key };
                    let mut next = self.with(i, step);
                    next.next_key += 1;
                    next
                }
            }
            Step::Decide { head, .. } if head != self.head => self.with(i, Step::Idle),
            Step::Decide { head, old, new } => {
                let epoch = head.0 + 1;
                let changes = self.dir(head.1).map_or(0, |d| d.changes) | own;
                let mut next = self.with(i, Step::WriteOlder(epoch));
                next.head = (epoch, new);
                next.dirs.push(Dir { id: new, epoch, key: new, changes });
                next.hops.push(Hop { to: Record { epoch, dir: new, key: new }, under: old });
                next
            }
            Step::WriteOlder(epoch) => {
                let best = self.best();
                if best.epoch >= epoch {
                    return Some(self.with(i, Step::WriteOther(epoch)));
                }
                let mut next = self.clone();
                next.write_older(best, self.hop_from(best).expect("a decision stores its hop"));
                next
            }
            Step::WriteOther(epoch) => {
                let mut next = self.with(i, Step::Acknowledge(epoch));
                next.slot = [Some(self.best()); 2];
                next
            }
            Step::Acknowledge(_) => {
                let done = self.dir(self.head.1).is_some_and(|d| d.changes & own != 0)
                    && self.best().epoch == self.head.0
                    && self.slot[0] == self.slot[1];
                let mut next = self.with(i, Step::Idle);
                next.acked |= if done { own } else { 0 };
                next
            }
            _ => return None,
        })
    }

    /// One step of the naive protocol: no head, no hop.
    fn naive(&self, i: usize) -> Option<Self> {
        let own: Changes = 1 << i;
        Some(match self.nodes[i] {
            Step::Idle if self.acked & own != 0 => return None,
            Step::Idle => {
                let base = self.best();
                let changes = self.openable(false).map_or(0, |d| d.changes);
                if changes & own != 0 {
                    return Some(self.with(i, Step::NaiveOther(base)));
                }
                let step = Step::NaiveDirectory { base, changes, new: self.next_key };
                let mut next = self.with(i, step);
                next.next_key += 1;
                next
            }
            Step::NaiveDirectory { base, changes, new } => {
                let record = Record { epoch: base.epoch + 1, dir: new, key: new };
                let mut next = self.with(i, Step::NaiveOlder { base, record });
                let changes = changes | own;
                next.dirs.push(Dir { id: new, epoch: record.epoch, key: new, changes });
                next
            }
            Step::NaiveOlder { base, record } => {
                let mut next = self.with(i, Step::NaiveOther(record));
                next.write_older(base, record);
                next
            }
            Step::NaiveOther(record) => {
                let mut next = self.with(i, Step::NaiveAcknowledge);
                next.slot = [Some(record); 2];
                next
            }
            Step::NaiveAcknowledge => {
                let mut next = self.with(i, Step::Idle);
                next.acked |= own;
                next
            }
            _ => return None,
        })
    }

    fn check(&self, hop: bool) -> Result<Option<Bad>, Bad> {
        let open = self.openable(hop).ok_or(Bad::TotalLoss)?;
        if self.acked & !open.changes != 0 {
            return Err(Bad::AckedChangeLost);
        }
        let resurrects = self.slot.iter().flatten().any(|copy| {
            self.dirs.iter().any(|d| d.key == copy.key && self.acked & !d.changes != 0)
        });
        Ok(resurrects.then_some(Bad::AckedErasureOpens))
    }
}

/// Every reachable state; how many, in how many nothing can move, and what was found bad.
fn search(hop: bool) -> (usize, usize, BTreeSet<Bad>) {
    let (mut seen, mut bad, mut ends) = (HashSet::new(), BTreeSet::new(), 0);
    let mut stack = vec![State::start()];
    while let Some(state) = stack.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        match state.check(hop) {
            Err(lost) => {
                bad.insert(lost);
                continue;
            }
            Ok(found) => bad.extend(found),
        }
        let next = state.successors(hop);
        ends += usize::from(next.is_empty());
        stack.extend(next);
    }
    (seen.len(), ends, bad)
}

#[test]
fn with_head_and_hop_no_reachable_state_is_bad() {
    assert_eq!(search(true), (3_879, 38, BTreeSet::new()));
}

#[test]
fn without_head_and_hop_the_search_finds_lost_changes_and_lost_erasures() {
    let bad = BTreeSet::from([Bad::AckedChangeLost, Bad::AckedErasureOpens]);
    assert_eq!(search(false), (10_169, 86, bad));
}
