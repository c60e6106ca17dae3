//! Reading an entry back: what jobs, reports and the verifier may know of one.

use leadvault_domain::Timestamp;

use crate::operation::LogOperation;
use crate::shape::{OwnValue, Shape};
use crate::words::EntryOutcome;

/// An entry of known shape: valid under the schema, and byte for byte its own RFC 8785 form.
#[derive(Debug, Clone)]
pub struct EntryView(Shape);

impl EntryView {
    /// Reads the bytes of a leaf; `None` if the shape is unknown.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let shape: Shape = serde_json::from_slice(bytes).ok()?;
        shape.check().ok()?;
        // An absent member that must be there, a null that may not, a number written otherwise: all of
        // them come out different.
        let canonical = serde_json_canonicalizer::to_vec(&shape).ok()?;
        (canonical == bytes).then_some(Self(shape))
    }

    /// The time of the entry; 0 where the text has the form of a time and is none.
    pub fn time(&self) -> Timestamp {
        Timestamp::parse_rfc3339(&self.0.time).unwrap_or_default()
    }

    /// What was done.
    pub fn operation(&self) -> LogOperation {
        self.0.operation
    }

    /// The code of the decision.
    pub fn decision(&self) -> &str {
        &self.0.decision.code
    }

    /// Whether the decision let data out.
    pub fn is_allow(&self) -> bool {
        self.0.is_allow()
    }

    /// Whether what was decided was done: its write met no conflict.
    pub fn is_done(&self) -> bool {
        self.0.outcome != Some(EntryOutcome::Error)
    }

    /// References of the leads it names, 32 hex digits each.
    pub fn refs(&self) -> impl Iterator<Item = &str> {
        self.0.resource.refs.iter().flatten().map(String::as_str)
    }

    /// How many leads it concerns: `n`, else the references.
    pub fn lead_count(&self) -> u64 {
        let named = self.0.resource.refs.as_ref().map_or(0, Vec::len);
        self.0.resource.n.unwrap_or(u64::try_from(named).unwrap_or(u64::MAX))
    }

    /// Id of the thing that is not a lead.
    pub fn resource_id(&self) -> Option<&str> {
        self.0.resource.id.as_deref()
    }

    /// The dataset, as text.
    pub fn dataset(&self) -> Option<&str> {
        self.0.resource.dataset.as_deref()
    }

    /// Id of the actor.
    pub fn actor_id(&self) -> &str {
        &self.0.actor.id
    }

    /// Id and version of the instruction.
    pub fn instruction(&self) -> Option<(&str, u64)> {
        self.0.instruction.as_ref().map(|i| (i.id.as_str(), i.version))
    }

    /// Key epoch of an erasure or rotation.
    pub fn epoch(&self) -> Option<u64> {
        self.0.epoch
    }

    /// A number in `own`.
    pub fn own_number(&self, name: &str) -> Option<u64> {
        match self.0.own.as_ref()?.get(name)? {
            OwnValue::Number(n) => Some(*n),
            OwnValue::Text(_) => None,
        }
    }

    /// A text in `own`.
    pub fn own_text(&self, name: &str) -> Option<&str> {
        match self.0.own.as_ref()?.get(name)? {
            OwnValue::Number(_) => None,
            OwnValue::Text(text) => Some(text),
        }
    }
}
