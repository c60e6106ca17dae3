//! Questions that are asked while others are being answered go together: one statement for all that wait.
//!
//! The journal does the same with entries, and for the same reason: a round trip costs more than what it asks
//! for. Nothing waits for company. A question that finds a place goes at once; those that come meanwhile are
//! the next batch. Each batch is about one tenant, so that its transaction reaches exactly one (protocols.md 5).

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use leadvault_domain::TenantNo;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::error::{Result, StoreError};

/// Questions of one batch.
const BATCH_MAX: usize = 128;
/// Batches of one kind that are being answered at once. More would be smaller, and cost more.
const AT_ONCE: usize = 2;
/// Questions that wait before askers do.
const QUEUE_MAX: usize = 4_096;

/// What can be asked together with others of its kind and tenant.
pub(crate) trait Question: Send + 'static {
    /// What it is answered with.
    type Answer: Send + 'static;

    /// Answers all, in their order.
    ///
    /// # Errors
    /// What the engine says, to each of them.
    fn answer(
        engine: &Engine,
        tenant: TenantNo,
        all: Vec<Self>,
    ) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send
    where
        Self: Sized;
}

/// A question and who waits for its answer.
struct Asked<Q: Question> {
    tenant: TenantNo,
    question: Q,
    reply: oneshot::Sender<Result<Q::Answer>>,
}

/// Where questions of one kind are asked.
#[derive(Debug)]
pub(crate) struct Gather<Q: Question> {
    queue: mpsc::Sender<Asked<Q>>,
}

impl<Q: Question> Gather<Q> {
    /// Starts to answer on the current tokio runtime, until it is dropped.
    pub(crate) fn start(engine: Arc<Engine>) -> Self {
        let (queue, asked) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(engine, asked));
        Self { queue }
    }

    /// Asks. Waits where very many do.
    ///
    /// # Errors
    /// What the engine says; [`StoreError::Unavailable`] where nobody answers any more.
    pub(crate) async fn ask(&self, tenant: TenantNo, question: Q) -> Result<Q::Answer> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { tenant, question, reply };
        self.queue.send(asked).await.map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

async fn run<Q: Question>(engine: Arc<Engine>, mut queue: mpsc::Receiver<Asked<Q>>) {
    let mut waiting = VecDeque::new();
    let mut running = JoinSet::new();
    let mut open = true;
    while open || !waiting.is_empty() || !running.is_empty() {
        while let Ok(asked) = queue.try_recv() {
            waiting.push_back(asked);
        }
        while running.len() < AT_ONCE
            && let Some((tenant, batch)) = take(&mut waiting)
        {
            running.spawn(answer(Arc::clone(&engine), tenant, batch));
        }
        tokio::select! {
            asked = queue.recv(), if open && waiting.len() < QUEUE_MAX => match asked {
                Some(asked) => waiting.push_back(asked),
                None => open = false,
            },
            // A panic below is told by the replies that were dropped.
            Some(_) = running.join_next(), if !running.is_empty() => {}
        }
    }
}

/// The longest waiting question and what waits with it of its tenant.
fn take<Q: Question>(waiting: &mut VecDeque<Asked<Q>>) -> Option<(TenantNo, Vec<Asked<Q>>)> {
    let tenant = waiting.front()?.tenant;
    let mut batch = Vec::new();
    let mut others = VecDeque::new();
    for asked in waiting.drain(..) {
        if asked.tenant == tenant && batch.len() < BATCH_MAX {
            batch.push(asked);
        } else {
            others.push_back(asked);
        }
    }
    *waiting = others;
    Some((tenant, batch))
}

async fn answer<Q: Question>(engine: Arc<Engine>, tenant: TenantNo, batch: Vec<Asked<Q>>) {
    // Whoever hung up does not want to know.
    let (questions, replies): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .filter(|asked| !asked.reply.is_closed())
        .map(|asked| (asked.question, asked.reply))
        .unzip();
    if questions.is_empty() {
        return;
    }
    let (expected, answers) = (questions.len(), Q::answer(&engine, tenant, questions).await);
    let answers = match answers {
        Ok(answers) if answers.len() == expected => answers.into_iter().map(Ok).collect(),
        // One answer too few would give somebody the answer of another.
        Ok(_) => vec![],
        Err(error) => replies.iter().map(|_| Err(error)).collect::<Vec<_>>(),
    };
    for (reply, answer) in replies.into_iter().zip(answers) {
        drop(reply.send(answer));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::{SqliteEngine, StoreOptions};

    /// Answers with itself, and writes down who was asked together.
    struct Echo(u32, Batches);
    type Batches = Arc<Mutex<Vec<(TenantNo, Vec<u32>)>>>;

    impl Question for Echo {
        type Answer = u32;

        async fn answer(_: &Engine, tenant: TenantNo, all: Vec<Self>) -> Result<Vec<u32>> {
            let numbers: Vec<u32> = all.iter().map(|q| q.0).collect();
            let first = all.first().map(|q| Arc::clone(&q.1));
            let log = first.ok_or(StoreError::OutOfRange)?;
            log.lock().unwrap().push((tenant, numbers.clone()));
            tokio::task::yield_now().await;
            if numbers.contains(&13) { Err(StoreError::Unwritable) } else { Ok(numbers) }
        }
    }

    async fn engine() -> (Arc<Engine>, tempfile::TempDir) {
        static NOTHING: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite/data");
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { ballast_bytes: 0, readers: 1, pages_max: None };
        let engine = SqliteEngine::open(&dir.path().join("e.db"), &NOTHING, options).await.unwrap();
        (Arc::new(Engine::Sqlite(Box::new(engine))), dir)
    }

    #[tokio::test]
    async fn each_hears_its_own_answer_and_no_batch_holds_two_tenants() {
        let (engine, _dir) = engine().await;
        let (gather, log) = (Gather::start(engine), Arc::new(Mutex::new(Vec::new())));
        let asked = (100..400_u32).map(|n| {
            let question = Echo(n, Arc::clone(&log));
            gather.ask(TenantNo(n % 3), question)
        });
        let answers = futures::future::join_all(asked).await;
        assert_eq!(answers, (100..400).map(Ok).collect::<Vec<_>>());
        let batches = log.lock().unwrap();
        assert!(batches.len() < 100, "questions went together: {}", batches.len());
        for (tenant, numbers) in batches.iter() {
            assert!(numbers.iter().all(|n| n % 3 == tenant.0), "{tenant:?}: {numbers:?}");
            assert!(numbers.len() <= BATCH_MAX);
        }
    }

    #[tokio::test]
    async fn an_error_is_told_to_those_it_concerns_and_the_next_are_answered() {
        let (engine, _dir) = engine().await;
        let (gather, log) = (Gather::start(engine), Arc::new(Mutex::new(Vec::new())));
        let ask = |tenant, n| gather.ask(TenantNo(tenant), Echo(n, Arc::clone(&log)));
        assert_eq!(ask(1, 13).await, Err(StoreError::Unwritable));
        assert_eq!(ask(1, 14).await, Ok(14));
        let (bad, good) = tokio::join!(ask(1, 13), ask(2, 15));
        assert_eq!((bad, good), (Err(StoreError::Unwritable), Ok(15)));
    }
}
