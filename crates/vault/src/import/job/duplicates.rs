//! Who is there already: the rows of a slice against the dataset and against each other. Pure.
//!
//! A row is a duplicate if one of its keys belongs to a lead of the dataset or to an earlier row of the file:
//! the first wins. Keys are asked in the order the caller named their kinds. A row whose keys belong to two
//! different leads is never merged into either: it is rejected, whatever was asked for, unless it is skipped.

use std::collections::{BTreeMap, HashMap};

use leadvault_domain::LeadId;

use super::super::RowCode;
use super::press::{Key, Ready, ReadyRow};
use super::request::DuplicateAction;
use crate::suppression::Suppressed;

/// The leads of the dataset that have one of the keys.
pub(super) type Holders = HashMap<Key, LeadId>;

/// Whom a row met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// A lead of the dataset.
    Held(LeadId),
    /// The row at this place of the slice, which is new.
    Row(usize),
}

/// What is to be done with the rows of a slice. Rows are named by their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// New leads.
    pub(super) new: Vec<usize>,
    /// Later rows to be merged into a new one, in the order of the file.
    pub(super) into_new: BTreeMap<usize, Vec<usize>>,
    /// Rows to be merged into leads of the dataset, in the order of the file.
    pub(super) into_held: BTreeMap<LeadId, Vec<usize>>,
    /// Rows left out.
    pub(super) skipped: u64,
    /// Rows refused here.
    pub(super) refused: Vec<(usize, RowCode)>,
}

/// The keys of a slice that must be looked up, each once.
pub(super) fn keys_of(rows: &[Ready]) -> Vec<Key> {
    let mut keys: Vec<Key> =
        rows.iter().filter_map(row_of).flat_map(|row| row.keys.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn row_of(ready: &Ready) -> Option<&ReadyRow> {
    match ready {
        Ready::Row(row) => Some(row),
        Ready::Refused(_) => None,
    }
}

/// Sorts the rows of a slice. Rows that were refused before are passed over.
pub(super) fn sort(
    rows: &[Ready],
    holders: &Holders,
    suppressed: &Suppressed,
    action: DuplicateAction,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen: HashMap<Key, Met> = HashMap::new();
    for (place, row) in rows.iter().enumerate().filter_map(|(p, r)| Some((p, row_of(r)?))) {
        if suppressed.holds(&row.suppression) {
            sorted.refused.push((place, RowCode::Suppressed));
            continue;
        }
        let met = |key: &Key| {
            holders.get(key).map(|lead| Met::Held(*lead)).or_else(|| seen.get(key).copied())
        };
        let mut all = row.keys.iter().filter_map(met);
        let first = all.next();
        let ambiguous = all.any(|other| Some(other) != first);
        let target = match first {
            None => {
                sorted.new.push(place);
                Met::Row(place)
            }
            Some(target) => {
                match (action, target) {
                    (DuplicateAction::Skip, _) => sorted.skipped += 1,
                    (DuplicateAction::Update, _) if ambiguous => {
                        sorted.refused.push((place, RowCode::Duplicate));
                    }
                    (DuplicateAction::Update, Met::Row(new)) => {
                        sorted.into_new.entry(new).or_default().push(place);
                    }
                    (DuplicateAction::Update, Met::Held(lead)) => {
                        sorted.into_held.entry(lead).or_default().push(place);
                    }
                    (DuplicateAction::Reject, _) => {
                        sorted.refused.push((place, RowCode::Duplicate));
                    }
                }
                // Only a merge hands its further keys on to the lead it met.
                if ambiguous || action != DuplicateAction::Update {
                    continue;
                }
                target
            }
        };
        for key in &row.keys {
            seen.entry(*key).or_insert(target);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use leadvault_domain::{DatasetNo, Fields, Labels, LeafAddress, TagKind, Timestamp};
    use leadvault_store::{LeadTags, NewLead};

    use super::*;

    const EMAIL: TagKind = TagKind::EMAIL;
    const PHONE: TagKind = TagKind::PHONE;

    fn row(number: u64, keys: &[Key]) -> Ready {
        let lead = NewLead {
            id: LeadId::from_bytes([0; 16]),
            at: LeafAddress { dataset: DatasetNo(1), tree: 1, leaf: 0 },
            labels: Labels::default(),
            tags: LeadTags::default(),
            batch: None,
            row_no: None,
            created: Timestamp::from_micros(0),
            parts: Vec::new(),
        };
        Ready::Row(Box::new(ReadyRow {
            number,
            fields: Fields::new(),
            lead,
            keys: keys.to_vec(),
            suppression: Vec::new(),
        }))
    }

    fn lead(n: u8) -> LeadId {
        LeadId::from_bytes([n; 16])
    }

    fn sorted(rows: &[Ready], holders: &[(Key, LeadId)], action: DuplicateAction) -> Sorted {
        sort(rows, &holders.iter().copied().collect(), &Suppressed::default(), action)
    }

    #[test]
    fn the_first_of_the_file_wins_and_a_row_without_keys_is_always_new() {
        let rows = [row(1, &[(EMAIL, 5)]), row(2, &[(EMAIL, 5)]), row(3, &[]), row(4, &[])];
        let skip = sorted(&rows, &[], DuplicateAction::Skip);
        assert_eq!((skip.new, skip.skipped), (vec![0, 2, 3], 1));
        let reject = sorted(&rows, &[], DuplicateAction::Reject);
        assert_eq!(reject.refused, [(1, RowCode::Duplicate)]);
        let update = sorted(&rows, &[], DuplicateAction::Update);
        assert_eq!(update.into_new, BTreeMap::from([(0, vec![1])]));
    }

    #[test]
    fn a_lead_of_the_dataset_is_met_by_any_key() {
        let holders = [((EMAIL, 5), lead(1)), ((PHONE, 9), lead(1))];
        let rows =
            [row(1, &[(EMAIL, 6), (PHONE, 9)]), row(2, &[(EMAIL, 5)]), row(3, &[(EMAIL, 7)])];
        let update = sorted(&rows, &holders, DuplicateAction::Update);
        assert_eq!(update.into_held, BTreeMap::from([(lead(1), vec![0, 1])]));
        assert_eq!(update.new, [2]);
    }

    #[test]
    fn a_merged_row_hands_its_other_keys_on() {
        let rows =
            [row(1, &[(EMAIL, 5)]), row(2, &[(EMAIL, 5), (PHONE, 9)]), row(3, &[(PHONE, 9)])];
        let update = sorted(&rows, &[], DuplicateAction::Update);
        assert_eq!(update.into_new, BTreeMap::from([(0, vec![1, 2])]));
        // A skipped one does not: nothing of it is stored.
        let skip = sorted(&rows, &[], DuplicateAction::Skip);
        assert_eq!((skip.new, skip.skipped), (vec![0, 2], 1));
    }

    #[test]
    fn a_row_that_belongs_to_two_leads_is_merged_into_neither() {
        let holders = [((EMAIL, 5), lead(1)), ((PHONE, 9), lead(2))];
        let rows = [row(1, &[(EMAIL, 5), (PHONE, 9)])];
        let update = sorted(&rows, &holders, DuplicateAction::Update);
        assert_eq!((update.refused, update.into_held.len()), (vec![(0, RowCode::Duplicate)], 0));
        assert_eq!(sorted(&rows, &holders, DuplicateAction::Skip).skipped, 1);
    }

    #[test]
    fn keys_are_looked_up_once() {
        let rows = [row(1, &[(EMAIL, 5), (PHONE, 9)]), row(2, &[(EMAIL, 5)])];
        assert_eq!(keys_of(&rows), [(EMAIL, 5), (PHONE, 9)]);
    }
}
