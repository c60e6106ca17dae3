//! `leadvault serve`: the composition root. Each part of the house is made here, once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use axum_server::Handle;
use leadvault_api::ApiSettings;
use leadvault_crypto::SystemEntropy;
use leadvault_domain::{Clock, Entropy, Observer};
use leadvault_keys::{
    FailPoint, KeyError, KeyServices, RootError, RootKey, Slot, SlotError, restore_from_mirror,
};
use leadvault_kms::{DirMirror, FileRoot, FileSlots};
use leadvault_store::{KeyStore, LogFiles};
use leadvault_vault::{CellParts, Credential, StartError, operator_key_hash};
use serde_json::json;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::data_lock::DataLock;
use crate::exit::{Done, Stop};
use crate::log_keys;
use crate::output::print_json;
use crate::telemetry::Telemetry;
use crate::{secret_file, stores};

mod fail_point;
mod listener;
mod metrics;
mod parent;
mod stop;

pub(crate) use fail_point::from_environment as fail_point;
pub(crate) use parent::PARENT_VARIABLE;
use stop::Signals;

/// Runs the command until SIGINT or SIGTERM.
///
/// # Errors
/// 2 for a bad configuration, 3 for a refusal of surfaces.md 1, 4 when the address cannot be had.
pub(crate) fn run(config: &Path) -> Done {
    parent::end_with_it()?;
    let config = Config::read(config)?;
    let telemetry = Telemetry::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    runtime.block_on(serve(&config, &telemetry))
}

async fn serve(config: &Config, telemetry: &Telemetry) -> Done {
    stop::survive_file_limit()?;
    let listen = config.listen()?;
    let tls =
        config.tls.as_ref().map(|tls| tls_config(&tls.cert_file, &tls.key_file)).transpose()?;
    let _lock = DataLock::serving(&config.data, config.postgres.is_some())?;
    let parts = parts(config, telemetry.observer()).await?;
    let starting = DataLock::starting(&config.data)?;
    let cell = leadvault_vault::start(parts).await.map_err(start_error)?;
    drop(starting);
    telemetry.watch(&cell);
    let _metrics = metrics::offer(config, telemetry)?;
    let settings = ApiSettings {
        concurrent_requests: config.limits.concurrent_requests,
        body_bytes_max: config.limits.body_bytes_max,
        requests_per_minute: config.limits.requests_per_minute,
        https: config.tls.is_some(),
        ..ApiSettings::default()
    };
    let router = leadvault_api::router(Arc::clone(&cell), settings);
    let taken = |error: std::io::Error| {
        Stop::Again(anyhow::Error::new(error).context(format!("listen: cannot listen on {listen}")))
    };
    let listener = std::net::TcpListener::bind(listen).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let handle = Handle::new();
    let cut = Signals::listen()?.stop(handle.clone());
    let connections = listener::connections_that_fit(config.limits.connections);
    print_json(&json!({ "ready": true, "address": format!("{scheme}://{address}") }))?;
    let head = std::time::Duration::from_secs(config.limits.request_head_seconds);
    let service = router.into_make_service();
    let ours = |e: std::io::Error| Stop::Again(anyhow::Error::new(e).context("the server ended"));
    let served = match tls {
        None => {
            let server = axum_server::from_tcp(listener).map_err(ours)?.handle(handle);
            listener::bounded(server, connections, head).serve(service).await
        }
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls).map_err(ours)?.handle(handle);
            listener::bounded(server, connections, head).serve(service).await
        }
    };
    served.map_err(ours)?;
    leadvault_vault::close::close(&cell).await;
    if cut.load(Ordering::Acquire) {
        return Err(Stop::Again(anyhow::anyhow!("open requests were cut by a second signal")));
    }
    Ok(())
}

/// Whether a file with this mode can be used by users who are neither its owner nor of its group.
pub(crate) const fn others_may_read(mode: u32) -> bool {
    mode & 0o007 != 0
}

/// TLS 1.3 and nothing older.
pub(crate) fn tls_config(
    cert: &Path,
    key: &Path,
) -> Result<axum_server::tls_rustls::RustlsConfig, Stop> {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certs: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).context("tls.cert_file")?.collect();
    let certs = certs.context("tls.cert_file")?;
    let holds = |holds: bool, says: &'static str| {
        if holds { Ok(()) } else { Err(Stop::Usage(anyhow::anyhow!(says))) }
    };
    holds(!certs.is_empty(), "tls.cert_file: holds no certificate")?;
    // A group may: certificates are renewed by another user than the server's, into a group they share.
    let mode = std::fs::metadata(key).context("tls.key_file")?.permissions().mode();
    holds(!others_may_read(mode), "tls.key_file: others may read it; chmod o-rwx")?;
    let key = PrivateKeyDer::from_pem_file(key).context("tls.key_file")?;
    let mut config =
        rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_no_client_auth()
            .with_single_cert(certs, key)
            .context("tls.cert_file, tls.key_file")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config)))
}

/// Makes every part of the cell.
///
/// # Errors
/// As [`run`].
pub(crate) async fn parts(config: &Config, observer: Arc<dyn Observer>) -> Result<CellParts, Stop> {
    if config.durability.choices.is_empty() {
        return Err(Stop::Refused {
            code: "durability_not_chosen",
            detail: "durability.choices in the configuration is empty".to_owned(),
        });
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let fail_point = fail_point();
    let root: Arc<dyn RootKey> = Arc::new(root_key(config)?);
    let slot: Arc<dyn Slot> = Arc::new(slots(config, &fail_point)?);
    let data = Arc::new(stores::data(config).await?.with_fail_points(Arc::clone(&fail_point)));
    let key_store = Arc::new(stores::keys(config).await?);
    let node = node(config, entropy.as_ref())?;
    let mut services = services(config, &clock, &entropy, &root, &slot, &key_store)?;
    if let Some(node) = node {
        services = services.with_node(node);
    }
    let services = services
        .with_control(Arc::clone(&data) as _)
        .with_observer(Arc::clone(&observer))
        .with_fail_points(Arc::clone(&fail_point));
    let log_keys = log_keys::open(config, root.as_ref(), &key_store, clock.now()).await?;
    let operator_key = secret_file::read("keys.operator_key_file", &config.keys.operator_key_file)?;
    if !Credential::is_operator_key(operator_key.expose()) {
        return Err(Stop::Usage(anyhow::anyhow!(
            "keys.operator_key_file: holds no operator's key; `leadvault init` makes one"
        )));
    }
    Ok(CellParts {
        region: config.region.clone(),
        endpoints: config.endpoints.clone().into_iter().collect(),
        country: config.country,
        data,
        key_store,
        services,
        root,
        slot,
        log_keys: Arc::new(log_keys),
        log_files: LogFiles::new(config.data.join("log")).with_fail_points(Arc::clone(&fail_point)),
        files_dir: config.data.join("files"),
        operator_key_hash: operator_key_hash(operator_key.expose()),
        durability: config.durability.choices.clone(),
        node,
        open_jobs_per_tenant: config.limits.open_jobs_per_tenant,
        file_bounds: config.limits.files.into(),
        clock,
        entropy,
        observer,
        fail_point,
    })
}

/// Who this process is among the nodes of a cell whose stores are made for several: random, made at its start.
fn node(config: &Config, entropy: &dyn Entropy) -> Result<Option<[u8; 16]>, Stop> {
    if config.postgres.is_none() {
        return Ok(None);
    }
    let mut node = [0; 16];
    entropy.fill(&mut node).context("randomness").map_err(Stop::Again)?;
    Ok(Some(node))
}

fn services(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    root: &Arc<dyn RootKey>,
    slot: &Arc<dyn Slot>,
    key_store: &Arc<KeyStore>,
) -> Result<KeyServices, Stop> {
    let services = KeyServices::new(
        Arc::clone(root),
        Arc::clone(slot),
        Arc::clone(key_store) as _,
        Arc::clone(clock),
        Arc::clone(entropy),
    );
    match &config.durability.mirror {
        None => Ok(services),
        Some(dir) => {
            let mirror = DirMirror::open(dir)
                .map_err(|e| Stop::Again(anyhow::Error::new(e).context("the mirror directory")))?;
            Ok(services.with_mirror(Arc::new(mirror)))
        }
    }
}

fn root_key(config: &Config) -> Result<FileRoot, Stop> {
    let path = &config.keys.root_key_file;
    FileRoot::open(path).map_err(|error| match error {
        RootError::Mode => Stop::Refused {
            code: "root_key_mode",
            detail: format!("{}: group or others may read it; chmod 600", path.display()),
        },
        other => Stop::Usage(
            anyhow::Error::new(other).context(format!("keys.root_key_file: {}", path.display())),
        ),
    })
}

fn slots(config: &Config, fail_point: &FailPoint) -> Result<FileSlots, Stop> {
    let dir = config.data.join("slots");
    let slots = FileSlots::open(&dir, config.keys.allow_copy_on_write);
    let slots = slots.map_err(|error| match error {
        SlotError::OnCow => Stop::Refused {
            code: "slot_on_cow",
            detail: format!(
                "{}: this filesystem may keep overwritten bytes; put the data directory on ext4, XFS \
                 or tmpfs, or set keys.allow_copy_on_write and live with level E0",
                dir.display()
            ),
        },
        other => Stop::Again(anyhow::Error::new(other).context("slots")),
    })?;
    Ok(slots.with_fail_points(Arc::clone(fail_point)))
}

/// A cell that does not start.
pub(crate) fn start_error(error: StartError) -> Stop {
    match error {
        StartError::Refused { code, detail } => Stop::Refused { code, detail },
        StartError::Failed(fault) => {
            Stop::Again(anyhow::anyhow!("the cell does not start: {fault}"))
        }
    }
}

/// Rebuilds the key store of every tenant, and the key that signs the logs, from the mirror.
///
/// # Errors
/// 2 without a mirror, or where it holds no set of a tenant that its slot opens; 4 where keys or store fail.
pub(crate) fn restore_keys(mirror: &Path, config: &Path) -> Done {
    let mut config = Config::read(config)?;
    let _alone = DataLock::exclusive(&config.data)?;
    config.durability.mirror = Some(mirror.canonicalize().context("the mirror directory")?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let root: Arc<dyn RootKey> = Arc::new(root_key(&config)?);
        let slot: Arc<dyn Slot> = Arc::new(slots(&config, &fail_point())?);
        let key_store = Arc::new(stores::keys(&config).await?);
        let services = services(&config, &clock, &entropy, &root, &slot, &key_store)?;
        let tenants = slot.list().await.context("slots").map_err(Stop::Again)?;
        for tenant in tenants {
            let epoch = restore_from_mirror(&services, tenant).await;
            let no_set = matches!(epoch, Err(KeyError::NoMirrorSet(_)));
            let stop = if no_set { Stop::Usage } else { Stop::Again };
            let epoch = epoch.with_context(|| tenant.to_string()).map_err(stop)?;
            say!("{tenant}: epoch {epoch}");
        }
        log_keys::restore(mirror, &key_store).await
    })
}

/// For the demo: where the filesystem of the slots is refused, accepts it and says what that means.
///
/// # Errors
/// When the configuration cannot be rewritten.
pub(crate) fn allow_copy_on_write_if_needed(config: &Path) -> anyhow::Result<String> {
    let parsed = Config::read(config)?;
    match FileSlots::open(&parsed.data.join("slots"), false) {
        Ok(_) => Ok("slots on a filesystem that overwrites in place".to_owned()),
        Err(SlotError::OnCow) => {
            let text = std::fs::read_to_string(config)?;
            let text = text.replace("allow_copy_on_write = false", "allow_copy_on_write = true");
            std::fs::write(config, text)?;
            Ok("level E0: this filesystem may keep overwritten bytes".to_owned())
        }
        Err(other) => Err(other.into()),
    }
}
