//! A full export: the job that renders the sealed package, and its download.

use std::time::Duration;

use anyhow::bail;
use hyper::Method;
use serde_json::json;

use crate::embedded::World;
use crate::process::Server;
use crate::report::{Goal, Report};
use crate::stopwatch::Stopwatch;
use crate::tenant::text;

/// How often the job is asked how far it is.
const POLL: Duration = Duration::from_millis(100);
/// Resident memory an export may take.
const MEMORY_BYTES_MAX: f64 = 256.0;

/// Exports the large dataset; leads a second, until the last byte is here.
///
/// # Errors
/// What the server says.
pub(crate) async fn run(
    world: &World,
    server: &Server,
    report: &mut Report,
) -> anyhow::Result<f64> {
    let mut http = world.tenant.plain(server.address).await?;
    let watch = Stopwatch::start();
    let body = json!({ "dataset": world.large, "plain": false });
    let begun =
        http.json(Method::POST, "/v1/exports", Some(&body), Some("bench-export"), 202).await?;
    let operation = format!("/v1/operations/{}", text(&begun, "operation")?);
    let result = loop {
        let state = http.json(Method::GET, &operation, None, None, 200).await?;
        match state["state"].as_str() {
            Some("done") => break state["result"].clone(),
            Some("failed") => bail!("the export failed: {}", state["error"]),
            _ => tokio::time::sleep(POLL).await,
        }
    };
    let rendered = watch.seconds();
    let export = format!("/v1/exports/{}", text(&result, "id")?);
    let view = http.json(Method::GET, &export, None, None, 200).await?;
    let bytes = http.download(&format!("{export}/content")).await?;
    let seconds = watch.seconds();
    #[expect(clippy::cast_precision_loss, reason = "a count of rows, of bytes")]
    let (rows, megabytes) = (view["leads"].as_u64().unwrap_or(0) as f64, bytes as f64 / 1e6);
    report.add("export, job and download", "rows/s", vec![rows / seconds]).note(format!(
        "{rows} leads, {megabytes:.0} MB, {rendered:.1} s rendered and sealed, {:.1} s downloaded",
        seconds - rendered
    ));
    let (_, peak) = server.memory()?;
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    let peak = peak as f64 / f64::from(1 << 20);
    report
        .add("peak memory of a server that exported", "MiB", vec![peak])
        .goal(Goal::AtMost(MEMORY_BYTES_MAX));
    Ok(rows / seconds)
}
