//! What a caller can take: a permit out of a fixed number, a time, and a task of its own.
//!
//! The work of a call runs in its own task, because the future of a connection is dropped when the
//! caller hangs up, and a use case between two commits must reach the second one. So hanging up, or the
//! deadline, ends the *answer*; the work ends by itself and keeps its permit until then. A panic in the
//! work becomes 500 `internal`. What comes in has the same deadline, so that a body that never ends does
//! not keep a permit; what one tenant may hold of the permits is [`crate::share`]'s.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use leadvault_vault::Fault;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tower_http::timeout::TimeoutBody;
use tracing::Instrument as _;

use crate::problem::Problem;
use crate::settings::ApiSettings;

/// A number of permits and a rule about time.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    time: Time,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
enum Time {
    /// As a whole, until the answer begins.
    Whole(Duration),
    /// Between two pieces of the body that comes in.
    Idle(Duration),
}

impl Budget {
    /// For JSON calls.
    pub(crate) fn calls(settings: &ApiSettings) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(settings.concurrent_requests)),
            time: Time::Whole(settings.request_timeout),
        }
    }

    /// For calls that wait for something to happen: the wait comes on top.
    pub(crate) fn waits(settings: &ApiSettings) -> Self {
        let wait = Duration::from_secs(leadvault_vault::changes::WAIT_SECONDS_MAX);
        Self {
            permits: Arc::new(Semaphore::new(settings.concurrent_waits)),
            time: Time::Whole(settings.request_timeout.saturating_add(wait)),
        }
    }

    /// For uploads and downloads.
    pub(crate) fn streams(settings: &ApiSettings) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(settings.concurrent_streams)),
            time: Time::Idle(settings.stream_idle_timeout),
        }
    }
}

/// Runs a call within its budget.
pub(crate) async fn within(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    let Ok(permit) = budget.permits.try_acquire_owned() else {
        return refused(Fault::Overloaded);
    };
    let request = match budget.time {
        Time::Whole(most) => request.map(|body| until(Instant::now() + most, body)),
        Time::Idle(idle) => request.map(|body| Body::new(TimeoutBody::new(idle, body))),
    };
    let work = async move {
        let response = next.run(request).await;
        drop(permit);
        response
    };
    let work = tokio::spawn(work.in_current_span());
    let done = match budget.time {
        Time::Idle(_) => work.await,
        Time::Whole(most) => match tokio::time::timeout(most, work).await {
            Ok(done) => done,
            Err(_) => return refused(Fault::Overloaded),
        },
    };
    // The task is never aborted, so what is left is a panic; the hook has logged its place.
    done.unwrap_or_else(|_| refused(Fault::Internal("panic")))
}

/// A body that fails once its time is over.
fn until(deadline: Instant, body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::from_stream(stream::unfold(body.into_data_stream(), move |mut pieces| async move {
        match timeout_at(deadline, pieces.next()).await {
            Ok(piece) => piece.map(|piece| (piece, pieces)),
            Err(late) => Some((Err(axum::Error::new(late)), pieces)),
        }
    }))
}

fn refused(fault: Fault) -> Response {
    Problem::from(fault).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::sync::{Notify, oneshot};
    use tower::ServiceExt as _;

    use super::*;

    fn app(handler: axum::routing::MethodRouter, settings: &ApiSettings) -> Router {
        let budget = Budget::calls(settings);
        Router::new().route("/", handler).layer(from_fn_with_state(budget, within))
    }

    fn ask() -> Request {
        Request::new(Body::empty())
    }

    #[tokio::test]
    async fn one_call_above_the_limit_is_refused_and_the_next_is_served() {
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (signal, wait) = (Arc::clone(&begun), Arc::clone(&gate));
        let handler = get(async move || {
            signal.notify_one();
            wait.notified().await;
        });
        let settings = ApiSettings { concurrent_requests: 1, ..ApiSettings::default() };
        let app = app(handler, &settings);
        let first = tokio::spawn(app.clone().oneshot(ask()));
        begun.notified().await;
        let second = app.clone().oneshot(ask()).await.unwrap();
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.extensions().get(), Some(&Problem::from(Fault::Overloaded)));
        gate.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        gate.notify_one();
        assert_eq!(app.oneshot(ask()).await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_caller_that_hangs_up_does_not_stop_the_work() {
        let (begun, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (done, finished) = oneshot::channel();
        let done = Arc::new(std::sync::Mutex::new(Some(done)));
        let (signal, wait) = (Arc::clone(&begun), Arc::clone(&gate));
        let handler = get(async move || {
            signal.notify_one();
            wait.notified().await;
            let done = done.lock().unwrap().take();
            done.unwrap().send(()).unwrap();
        });
        let call = tokio::spawn(app(handler, &ApiSettings::default()).oneshot(ask()));
        begun.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gate.notify_one();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn the_deadline_ends_the_answer() {
        let handler = get(async || std::future::pending::<()>().await);
        let request_timeout = Duration::from_millis(1);
        let settings = ApiSettings { request_timeout, ..ApiSettings::default() };
        let response = app(handler, &settings).oneshot(ask()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_gives_its_permit_back() {
        let (done, finished) = oneshot::channel();
        let done = Arc::new(std::sync::Mutex::new(Some(done)));
        let handler = axum::routing::post(async move |body: axum::body::Bytes| {
            // Not reached: the body never comes as a whole.
            drop(body);
        });
        let handler = handler.layer(axum::middleware::from_fn(move |request, next: Next| {
            let done = Arc::clone(&done);
            async move {
                let response = next.run(request).await;
                done.lock().unwrap().take().unwrap().send(response.status()).unwrap();
                response
            }
        }));
        let request_timeout = Duration::from_millis(20);
        let settings =
            ApiSettings { concurrent_requests: 1, request_timeout, ..ApiSettings::default() };
        let app = app(handler, &settings);
        let endless =
            Body::from_stream(stream::pending::<Result<axum::body::Bytes, axum::Error>>());
        let request = Request::post("/").body(endless).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(!response.status().is_success());
        // The work itself has ended, not only its answer.
        assert!(!finished.await.unwrap().is_success());
        let served = app.oneshot(Request::post("/").body(Body::empty()).unwrap()).await;
        assert_ne!(served.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_ours() {
        let handler = get(async || {
            let _: u8 = "no number".parse().unwrap();
        });
        let response = app(handler, &ApiSettings::default()).oneshot(ask()).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&Problem::from(Fault::Internal("panic"))));
    }
}
