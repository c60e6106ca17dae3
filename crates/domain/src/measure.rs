//! What is measured, as a parameter beside clock and randomness.
//!
//! The vocabulary is closed: numbers, and words that stand in the program. No value, name or id of anybody
//! can be said in it, so none can reach a metric (docs/TELEMETRY.md).

use std::time::Duration;

/// Target of the spans that telemetry takes, and of nothing else. Their names and attributes are an interface
/// (docs/TELEMETRY.md); lines of the log are not made inside of any other span.
pub const SPANS: &str = "leadvault::span";

/// Where measurements go. The composition root hands it down; without telemetry it is [`Unobserved`].
///
/// An implementation never blocks and never fails: it is called on every path, inside of commits too.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// Takes one measurement.
    fn observe(&self, measured: &Measured<'_>);
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Measured<'_>) {}
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured<'a> {
    /// A request has come.
    RequestBegan,
    /// The last byte of an answer has gone, or its caller has.
    RequestEnded {
        /// A method of RFC 9110, or `other`.
        method: &'static str,
        /// The matched route, such as `/v1/leads/{id}`, or `unmatched`; never the URI.
        route: &'a str,
        /// HTTP status.
        status: u16,
        /// Code of the problem, where the answer is one.
        code: Option<&'static str>,
        /// From the start of the request to the end of the answer.
        took: Duration,
    },
    /// A lane of the journal has done with a batch.
    Batch {
        /// Which lane.
        lane: Lane,
        /// Entries that were gathered.
        entries: u64,
        /// Whether the store acknowledged it.
        acknowledged: bool,
        /// From the last entry gathered to the answers.
        took: Duration,
    },
    /// An API key was checked.
    Credential {
        /// It was recalled from memory; otherwise the store was asked.
        recalled: bool,
    },
    /// The keys of a tenant moved to their next epoch, or did not.
    KeysAdvanced {
        /// The slot has forgotten.
        done: bool,
        /// From the call to its answer.
        took: Duration,
    },
    /// A job has begun on this node.
    JobBegan(JobKind),
    /// A job did not get through and is tried again.
    JobAgain(JobKind),
    /// A job has ended on this node, or its node has given it up.
    JobEnded {
        /// What it does.
        kind: JobKind,
        /// From its start on this node.
        took: Duration,
    },
    /// Rows of a list were stored, refused, and so on; by outcome, in one commit.
    Rows {
        /// What became of them.
        outcome: RowOutcome,
        /// How many.
        rows: u64,
    },
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that stands in a metric.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// A lane of the journal.
    Lane {
        /// Reads and denials: entries alone.
        Journal = "journal",
        /// Entries with the rows they change.
        Write = "write",
    }
}

words! {
    /// What a job does.
    JobKind {
        /// Takes in a list that is uploaded.
        Import = "import",
        /// Takes an import back.
        ImportUndo = "import_undo",
        /// Renders a package.
        Export = "export",
        /// Removes the rows of a dataset whose keys are gone.
        DatasetShred = "dataset_shred",
        /// Removes what is left of a tenant whose keys are gone.
        TenantShred = "tenant_shred",
    }
}

words! {
    /// What became of a row of a list.
    RowOutcome {
        /// A new lead.
        Stored = "stored",
        /// A lead was there already, and was changed.
        Updated = "updated",
        /// A lead was there already, and stayed.
        Skipped = "skipped",
        /// Refused, with a code.
        Rejected = "rejected",
    }
}
