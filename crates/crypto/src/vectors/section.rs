//! One section under check: typed reading of its members, and the book of what was compared.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Base;
use crate::SecretKey;

/// A piece this long agrees by chance once in 2^32; a shorter one says little about its inputs.
const TELLING_BYTES: usize = 4;

/// Result of checking one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionReport {
    /// Number of values looked at.
    pub checked: usize,
    /// `section.member` of what is wrong.
    pub failed: Vec<String>,
}

/// A section and what is known of its members so far.
pub(super) struct Section<'f> {
    name: &'f str,
    value: &'f Value,
    base: &'f Base<'f>,
    /// Members that were read or compared.
    seen: RefCell<BTreeSet<String>>,
    failed: BTreeSet<String>,
    /// Of each input: whether the pieces it goes into agree, the telling ones and the short ones.
    pieces: BTreeMap<&'static str, [Vec<bool>; 2]>,
    readable: bool,
}

impl<'f> Section<'f> {
    pub(super) fn new(name: &'f str, value: &'f Value, base: &'f Base<'f>) -> Self {
        Self {
            name,
            value,
            base,
            seen: RefCell::default(),
            failed: BTreeSet::new(),
            pieces: BTreeMap::new(),
            readable: true,
        }
    }

    pub(super) fn name(&self) -> &'f str {
        self.name
    }

    /// Members of the section in the file's order.
    pub(super) fn members(&self) -> Vec<(&'f str, &'f Value)> {
        self.value.as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v)).collect()
    }

    pub(super) fn member(&self, name: &str) -> Option<&'f Value> {
        let value = self.value.get(name)?;
        self.seen.borrow_mut().insert(name.to_owned());
        Some(value)
    }

    /// A member of the section, else of the base.
    fn given(&self, name: &str) -> Option<&'f Value> {
        self.member(name).or_else(|| self.base.value(name))
    }

    pub(super) fn bytes(&mut self, name: &'static str) -> Option<Vec<u8>> {
        let bytes =
            self.given(name).and_then(Value::as_str).and_then(|text| hex::decode(text).ok());
        self.needed(name, bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, name: &'static str) -> Option<[u8; N]> {
        let bytes = self.bytes(name).and_then(|bytes| bytes.try_into().ok());
        self.needed(name, bytes)
    }

    pub(super) fn key(&mut self, name: &'static str) -> Option<SecretKey> {
        self.array(name).map(SecretKey::from_bytes)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<&'f str> {
        let text = self.given(name).and_then(Value::as_str);
        self.needed(name, text)
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, name: &'static str) -> Option<T> {
        let number = self.given(name).and_then(Value::as_u64).and_then(|n| T::try_from(n).ok());
        self.needed(name, number)
    }

    /// Whether the section itself states a member, rather than falling back on the base.
    pub(super) fn states(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    fn needed<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.unreadable(name);
        }
        value
    }

    /// Notes an input without which nothing of the section can be computed.
    pub(super) fn unreadable(&mut self, member: &str) {
        self.readable = false;
        self.fail(member);
    }

    pub(super) fn fail(&mut self, member: &str) {
        self.failed.insert(member.to_owned());
    }

    /// Notes that a piece of `member`, computed from `inputs`, agrees or not.
    pub(super) fn piece(&mut self, member: &str, agrees: bool, inputs: &[&'static str]) {
        self.note(member, agrees, inputs, false);
    }

    fn note(&mut self, member: &str, agrees: bool, inputs: &[&'static str], short: bool) {
        self.seen.borrow_mut().insert(member.to_owned());
        if !agrees {
            self.fail(member);
        }
        for input in inputs {
            let [telling, others] = self.pieces.entry(input).or_default();
            if short { others } else { telling }.push(agrees);
        }
    }

    /// Compares a member, where the section has it, with what was computed, in two halves.
    pub(super) fn compare(&mut self, member: &str, computed: &[u8], inputs: &[&'static str]) {
        self.compare_at(
            member,
            computed,
            &[(computed.len() / 2, inputs), (computed.len(), inputs)],
        );
    }

    /// Compares a member in pieces: each entry is the end of a piece and the inputs it depends on.
    pub(super) fn compare_at(
        &mut self,
        member: &str,
        computed: &[u8],
        pieces: &[(usize, &[&'static str])],
    ) {
        let Some(value) = self.member(member) else { return };
        let text = hex::encode(computed);
        let given = value.as_str().unwrap_or_default();
        if given.len() != text.len() {
            self.fail(member);
        }
        let mut start = 0;
        for (end, inputs) in pieces {
            let (from, to) = (start * 2, end * 2);
            if from < to {
                let piece = text.get(from..to);
                let agrees = piece.is_some() && given.get(from..to) == piece;
                self.note(member, agrees, inputs, end - start < TELLING_BYTES);
            }
            start = *end;
        }
    }

    pub(super) fn finish(mut self) -> SectionReport {
        for (input, [telling, short]) in std::mem::take(&mut self.pieces) {
            let evidence = if telling.is_empty() { short } else { telling };
            if !evidence.contains(&true) && self.states(input) {
                self.fail(input);
            }
        }
        let unseen: Vec<_> = {
            let seen = self.seen.borrow();
            let members = self.members();
            members
                .iter()
                .filter(|(m, _)| !seen.contains(*m))
                .map(|(m, _)| (*m).to_owned())
                .collect()
        };
        // With an input unreadable nothing could be computed; nothing is said of the answers then.
        if self.readable {
            for member in unseen {
                self.fail(&member);
            }
        }
        if !self.value.is_object() {
            return SectionReport { checked: 0, failed: vec![self.name.to_owned()] };
        }
        let failed = self.failed.iter().map(|member| format!("{}.{member}", self.name));
        SectionReport { checked: count(self.value), failed: failed.collect() }
    }
}

/// Number of single values in a tree of values.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 1,
    }
}
