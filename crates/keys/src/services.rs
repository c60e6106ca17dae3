//! What the keys of a tenant need from outside, handed over by the composition root.

use std::sync::Arc;

use leadvault_domain::{Clock, Entropy, Observer, Unobserved};

use crate::{Assurance, EpochControl, KeyBlobs, Mirror, RootKey, Slot};

/// Called with the name of each step as it is reached, so that a test can stop the process there.
pub type FailPoint = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Every fail point, in the order of protocols.md 1.1 and 1.2. Each is called *after* its step.
pub const FAIL_POINTS: &[&str] = &[
    "create.slot",
    "create.rows",
    "advance.1.read",
    "advance.2.applied",
    "advance.3.decided",
    "advance.3.mirrored",
    "advance.4.control",
    "advance.5.slot",
    "advance.6.forgotten",
    "advance.6.confirmed",
    "advance.7.swept",
    "destroy.keks",
    "destroy.slot",
    "destroy.mirror",
    "destroy.rows",
];

/// Root, slot, key store and the rest. Cheap to clone.
#[derive(Clone)]
pub struct KeyServices {
    /// Wraps KEKs.
    pub root: Arc<dyn RootKey>,
    /// Forgets.
    pub slot: Arc<dyn Slot>,
    /// Decides.
    pub blobs: Arc<dyn KeyBlobs>,
    /// Copies, durable before the slot forgets.
    pub mirror: Option<Arc<dyn Mirror>>,
    /// Learns of each epoch before the slot forgets. `None` only where there is no data store.
    pub control: Option<Arc<dyn EpochControl>>,
    /// This node among several; `None` = the cell has one node, nothing is confirmed or waited for.
    pub node: Option<[u8; 16]>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where measurements go.
    pub observer: Arc<dyn Observer>,
    /// Called at each step.
    pub fail_point: FailPoint,
}

impl KeyServices {
    /// The parts every cell has.
    pub fn new(
        root: Arc<dyn RootKey>,
        slot: Arc<dyn Slot>,
        blobs: Arc<dyn KeyBlobs>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let fail_point: FailPoint = Arc::new(|_| {});
        Self {
            root,
            slot,
            blobs,
            mirror: None,
            control: None,
            node: None,
            clock,
            entropy,
            observer: Arc::new(Unobserved),
            fail_point,
        }
    }

    /// With a mirror.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Arc<dyn Mirror>) -> Self {
        self.mirror = Some(mirror);
        self
    }

    /// With the data store's control rows.
    #[must_use]
    pub fn with_control(mut self, control: Arc<dyn EpochControl>) -> Self {
        self.control = Some(control);
        self
    }

    /// As one of several nodes; `node` is random, made at the start of the process.
    #[must_use]
    pub fn with_node(mut self, node: [u8; 16]) -> Self {
        self.node = Some(node);
        self
    }

    /// With somebody who measures.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// With a hook at each step.
    #[must_use]
    pub fn with_fail_points(mut self, fail_point: FailPoint) -> Self {
        self.fail_point = fail_point;
        self
    }

    /// Level of an erasure here: the weaker of slot and root.
    pub fn level(&self) -> Assurance {
        self.slot.level().min(self.root.level())
    }

    pub(crate) fn reached(&self, step: &'static str) {
        (self.fail_point)(step);
    }
}

impl std::fmt::Debug for KeyServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyServices")
            .field("root", &self.root.provider())
            .field("level", &self.level())
            .field("mirror", &self.mirror.is_some())
            .finish_non_exhaustive()
    }
}
