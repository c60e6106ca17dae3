//! What calls ask one by one, and a store behind a network answers together ([`crate::gather`]).

use std::sync::Arc;

use leadvault_domain::SPANS;
use tracing::Instrument as _;

use crate::api_key::ShownKey;
use crate::data_store::DataStore;
use crate::engine::Engine;
use crate::error::{Result, StoreError};
use crate::gather::{Gather, Question};
use crate::lead_find::LiveLead;
use crate::scope::TenantScope;
use crate::suppression::Tagged;

/// The questions that nearly every call asks.
#[derive(Debug)]
pub(crate) struct Together {
    keys: Gather<ShownKey>,
    leads: Gather<LiveLead>,
    suppressed: Gather<Tagged>,
}

impl Together {
    /// Starts to answer on the current tokio runtime.
    pub(crate) fn start(engine: &Arc<Engine>) -> Self {
        Self {
            keys: Gather::start(Arc::clone(engine)),
            leads: Gather::start(Arc::clone(engine)),
            suppressed: Gather::start(Arc::clone(engine)),
        }
    }
}

/// A question of one of these kinds.
pub(crate) trait Asked: Question + Sized {
    /// Where it is asked.
    fn place(together: &Together) -> &Gather<Self>;
}

macro_rules! asked {
    ($($question:ty => $place:ident;)+) => {
        $(impl Asked for $question {
            fn place(together: &Together) -> &Gather<Self> { &together.$place }
        })+
    };
}

asked! {
    ShownKey => keys;
    LiveLead => leads;
    Tagged => suppressed;
}

impl DataStore {
    /// Asks, together with others where that helps: SQLite answers each by itself, on a thread of its own.
    pub(crate) async fn ask<Q: Asked>(&self, scope: TenantScope, question: Q) -> Result<Q::Answer> {
        let asked = self.ask_now(scope, question);
        asked.instrument(tracing::info_span!(target: SPANS, "store.read")).await
    }

    async fn ask_now<Q: Asked>(&self, scope: TenantScope, question: Q) -> Result<Q::Answer> {
        match self.together() {
            Some(together) => Q::place(together).ask(scope.0, question).await,
            None => {
                let answers = Q::answer(self.engine(), scope.0, vec![question]).await?;
                answers.into_iter().next().ok_or(StoreError::OutOfRange)
            }
        }
    }
}
