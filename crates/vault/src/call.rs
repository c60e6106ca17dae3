//! One call of a use case: who calls, under what, and what comes back beside the answer.

use leadvault_domain::{ApiKeyId, Caller, Purpose, RequestId, Sensitive};
use leadvault_ledger::CommittedReceipt;
use leadvault_policy::Named;

use crate::error::Refusal;

/// The circumstances of a call, as `api` reads them from the headers.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Whether that is yet to be confirmed by the commit of the call ([`crate::Proof::AtCommit`]).
    pub open: bool,
    /// The instruction the call names (header `Instruction`).
    pub instruction: Option<Named>,
    /// The purpose it names (header `Purpose`).
    pub purpose: Option<Purpose>,
    /// Id of the request.
    pub request: RequestId,
    /// Header `Idempotency-Key`, at most 255 characters.
    pub idempotency_key: Option<Sensitive<String>>,
    /// Method and matched path, the scope of the idempotency key; never the URI.
    pub route: &'static str,
    /// SHA-256 over method, path and body: the evidence of a built-in exit instruction.
    pub fingerprint: [u8; 32],
}

/// The circumstances of a call by the operator's key, of which there is one.
#[derive(Debug, Clone)]
pub struct Act {
    /// Header `Idempotency-Key`, at most 255 characters.
    pub idempotency_key: Option<Sensitive<String>>,
    /// As of a [`Call`].
    pub route: &'static str,
    /// As of a [`Call`].
    pub fingerprint: [u8; 32],
}

impl Call {
    /// The key that was shown.
    pub fn key(&self) -> ApiKeyId {
        self.caller.key
    }
}

/// Where the entry of a call stands, for the `Ledger-*` headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Position in the tenant's log.
    pub index: u64,
    /// Leaf hash of the entry.
    pub leaf: [u8; 32],
    /// The signed `Ledger-Receipt`.
    pub receipt: String,
}

impl From<&CommittedReceipt> for Stamp {
    fn from(receipt: &CommittedReceipt) -> Self {
        Self { index: receipt.index(), leaf: receipt.leaf_hash(), receipt: receipt.header() }
    }
}

/// An answer and the entry that stands for it. Calls that make no entry (decisions.md 3) have no stamp.
#[derive(Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The entry of the call.
    pub stamp: Option<Stamp>,
}

impl<T> Answer<T> {
    /// An answer under a receipt.
    pub fn stamped(value: T, receipt: &CommittedReceipt) -> Self {
        Self { value, stamp: Some(receipt.into()) }
    }

    /// An answer that makes no entry.
    pub fn plain(value: T) -> Self {
        Self { value, stamp: None }
    }
}

/// What every use case returns.
pub type Outcome<T> = Result<Answer<T>, Refusal>;
