//! The address where Prometheus fetches metrics: its own, so that no caller of the API reaches it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use axum_server::Handle;

use super::listener::bounded;
use crate::config::Config;
use crate::exit::Stop;
use crate::telemetry::Telemetry;

/// Connections held open at once: one or two fetch, now and then.
const CONNECTIONS: usize = 8;
/// How long the head of a request may be on its way.
const HEAD: Duration = Duration::from_secs(10);

/// Offers metrics until it is dropped.
#[derive(Debug)]
pub(super) struct Offered(Handle<SocketAddr>);

impl Drop for Offered {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// Listens where the configuration says so.
///
/// # Errors
/// 4 when the address cannot be had.
pub(super) fn offer(config: &Config, telemetry: &Telemetry) -> Result<Option<Offered>, Stop> {
    let (Some(prometheus), Some(scraped)) = (&config.telemetry.prometheus, &telemetry.scraped)
    else {
        return Ok(None);
    };
    let address = prometheus.address()?;
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener)?.handle(handle.clone());
        std::io::Result::Ok((server, bound, handle))
    };
    let taken = || format!("telemetry.prometheus.listen: cannot listen on {address}");
    let (server, bound, handle) = bind().with_context(taken).map_err(Stop::Again)?;
    let scraped = scraped.clone();
    let router = leadvault_api::metrics_router(move || scraped.text());
    tokio::spawn(bounded(server, CONNECTIONS, HEAD).serve(router.into_make_service()));
    tracing::info!(address = %bound, "metrics are offered");
    Ok(Some(Offered(handle)))
}
