//! The one configuration file: TOML, unknown keys are errors, secrets are named by file.
//!
//! Relative paths are relative to the directory of the file. A key that names an
//! environment variable may be overridden by it; docs/OPERATIONS.md lists what else the process reads there.

mod telemetry;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use leadvault_domain::{Country, Region};
use leadvault_vault::files::FileBounds;
use serde::{Deserialize, Serialize};

pub(crate) use telemetry::{OtlpConfig, TelemetryConfig};

/// Most requests worked on at once: each may wait in the journal's queue, which holds as many.
const REQUESTS_MAX: usize = 4_096;
/// Most connections of one kind to one database.
const CONNECTIONS_MAX: u32 = 256;
/// Chunks of a file are numbered with 32 bits, of 65,535 bytes each; this is a round number below.
const FILE_BYTES_MAX: u64 = 1 << 47;
/// Largest JSON body: each is held in memory as a whole.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Address to listen on; port 0 takes a free one. Default `127.0.0.1:8620`. `LEADVAULT_LISTEN`.
    #[serde(default = "default_listen")]
    pub(crate) listen: String,
    /// Name of the deployment in the origin of every log. It cannot change later without closing the
    /// logs. Default `localhost`. `LEADVAULT_HOST`.
    #[serde(default = "default_host")]
    pub(crate) host: String,
    /// Region of this cell. Default `local`.
    #[serde(default = "default_region")]
    pub(crate) region: Region,
    /// Country the machine stands in: the place where data of this cell lies.
    #[serde(default = "default_country")]
    pub(crate) country: Country,
    /// Data directory. Default: the directory of this file. `LEADVAULT_DATA`.
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    /// Keys and slots.
    #[serde(default)]
    pub(crate) keys: KeysConfig,
    /// How the key store survives the loss of a disk; chosen at `init`.
    pub(crate) durability: Durability,
    /// PostgreSQL for both stores; absent = SQLite in the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<PostgresConfig>,
    /// A bucket that speaks the S3 protocol, for files of leads and exports; absent = `files/` in the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) objects: Option<ObjectsConfig>,
    /// Where the cells of other regions are reached, by region: a key of such a region is answered 421 with
    /// its endpoint, a key of any other region 401.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) endpoints: BTreeMap<Region, String>,
    /// TLS 1.3; absent = plain HTTP, for loopback or behind a proxy that ends TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<TlsConfig>,
    /// Bounds on what one caller can take.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// Where telemetry goes; nothing is sent or offered without it (docs/TELEMETRY.md).
    #[serde(default, skip_serializing_if = "TelemetryConfig::is_off")]
    pub(crate) telemetry: TelemetryConfig,
}

/// A bucket that speaks the S3 protocol. It holds sealed chunks under random names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectsConfig {
    /// `https://host[:port]`; `http://` on loopback alone.
    pub(crate) endpoint: String,
    /// Its name. It belongs to this cell alone, and lies in the cell's region.
    pub(crate) bucket: String,
    /// Region that requests are signed for.
    pub(crate) region: String,
    /// Id of the access key: it may put, get, delete and list objects of the bucket.
    pub(crate) access_key_id: String,
    /// File of the access key; mode 0600 or the start is refused.
    pub(crate) secret_key_file: PathBuf,
}

impl ObjectsConfig {
    /// Chunks are sealed, but names, sizes and times are not, and neither is the id of the access key.
    fn check(&self) -> anyhow::Result<()> {
        check_endpoint("objects.endpoint", &self.endpoint)?;
        anyhow::ensure!(!self.bucket.is_empty(), "objects.bucket: must not be empty");
        Ok(())
    }
}

/// Whether what goes there is sealed on its way.
fn check_endpoint(key: &str, endpoint: &str) -> anyhow::Result<()> {
    let url: reqwest::Url = endpoint.parse().with_context(|| format!("{key}: no URL"))?;
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    anyhow::ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback),
        "{key}: https, or http on loopback"
    );
    Ok(())
}

/// Keys and slots.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeysConfig {
    /// File of the root key. Default `root.key`; mode 0600 or the start is refused.
    pub(crate) root_key_file: PathBuf,
    /// File of the operator's API key. Default `operator.key`.
    pub(crate) operator_key_file: PathBuf,
    /// Accept a slot on a filesystem that may keep old bytes. Certificates then say E0. Default false.
    pub(crate) allow_copy_on_write: bool,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            root_key_file: "root.key".into(),
            operator_key_file: "operator.key".into(),
            allow_copy_on_write: false,
        }
    }
}

/// What keeps the key store from being lost (protocols.md 1.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Durability {
    /// One or more of `mirror`, `accept-total-loss`; the others of protocols.md 1.3 need a provider
    /// this build does not have and are refused.
    pub(crate) choices: Vec<String>,
    /// Directory on another disk, for `mirror`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirror: Option<PathBuf>,
}

/// The databases of PostgreSQL. Each URL is a secret, so it stands in a file that others may not read; its login is
/// a member of `lv_app` and of nothing else. `leadvault migrate` makes the schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresConfig {
    /// File that holds the URL of the data store's database.
    pub(crate) data_url_file: PathBuf,
    /// File that holds the URL of the key store's database: another one, with its own backups, for it is
    /// replicated and never restored.
    pub(crate) keys_url_file: PathBuf,
    /// Connections of each store that read. Default 16.
    #[serde(default = "default_readers")]
    pub(crate) readers: u32,
    /// Connections of each store that write. Default 8.
    #[serde(default = "default_writers")]
    pub(crate) writers: u32,
}

/// Certificate and key, PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// Certificate chain.
    pub(crate) cert_file: PathBuf,
    /// Private key.
    pub(crate) key_file: PathBuf,
}

/// Bounds on what one caller can take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Requests worked on at once; more are answered 503 `overloaded`. Default 512. One tenant has a
    /// quarter of them; its next one is answered 429 `rate_limited`.
    pub(crate) concurrent_requests: usize,
    /// Connections held open at once; more are closed at once. Default 1,024, and never more than the limit
    /// on open files leaves.
    pub(crate) connections: usize,
    /// Seconds in which the head of a request must have come, the wait for it included. Default 30.
    pub(crate) request_head_seconds: u64,
    /// Bytes of a JSON body. Default 1 MiB.
    pub(crate) body_bytes_max: usize,
    /// Requests of one tenant in a minute; more are answered 429 `rate_limited`. Default 1,200,000, what one
    /// node can serve at all: it keeps a tenant from taking the turns of all others.
    pub(crate) requests_per_minute: u32,
    /// Jobs a tenant may have open at once. Default 16.
    pub(crate) open_jobs_per_tenant: u32,
    /// Files attached to leads.
    pub(crate) files: FilesConfig,
}

/// What a tenant may have of files; what goes beyond is answered 413 or 422 `too_many`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilesConfig {
    /// Bytes of one file. Default 5 GiB, at most 128 TiB.
    pub(crate) bytes_of_file: u64,
    /// Files of one lead. Default 100.
    pub(crate) of_lead: u64,
    /// Files in all. Default 1,000,000.
    pub(crate) files: u64,
    /// Bytes in all, each file rounded up to whole chunks of 65,535 bytes. Default 1 TiB.
    pub(crate) bytes: u64,
}

impl Default for FilesConfig {
    fn default() -> Self {
        let FileBounds { bytes_of_file, of_lead, files, bytes } = FileBounds::default();
        Self { bytes_of_file, of_lead, files, bytes }
    }
}

impl From<FilesConfig> for FileBounds {
    fn from(config: FilesConfig) -> Self {
        let FilesConfig { bytes_of_file, of_lead, files, bytes } = config;
        Self { bytes_of_file, of_lead, files, bytes }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            concurrent_requests: 512,
            connections: 1_024,
            request_head_seconds: 30,
            body_bytes_max: 1 << 20,
            requests_per_minute: 1_200_000,
            open_jobs_per_tenant: 16,
            files: FilesConfig::default(),
        }
    }
}

fn default_listen() -> String {
    "127.0.0.1:8620".to_owned()
}

fn default_host() -> String {
    "localhost".to_owned()
}

#[expect(clippy::expect_used, reason = "a literal of the right form")]
fn default_region() -> Region {
    "local".parse().expect("`local` is a region")
}

#[expect(clippy::expect_used, reason = "a literal of the right form")]
fn default_country() -> Country {
    "DE".parse().expect("two capital letters")
}

impl PostgresConfig {
    /// With as many connections as the defaults say.
    pub(crate) const fn new(data_url_file: PathBuf, keys_url_file: PathBuf) -> Self {
        let (readers, writers) = (default_readers(), default_writers());
        Self { data_url_file, keys_url_file, readers, writers }
    }
}

const fn default_readers() -> u32 {
    16
}

const fn default_writers() -> u32 {
    8
}

fn default_data() -> PathBuf {
    PathBuf::from(".")
}

impl Config {
    /// Reads the file, applies the environment, and makes paths absolute.
    ///
    /// # Errors
    /// When the file cannot be read or says something it may not. The message names the key.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let mut config: Self = parse(&text)
            .with_context(|| format!("the configuration {} is not valid", path.display()))?;
        if let Ok(listen) = std::env::var("LEADVAULT_LISTEN") {
            config.listen = listen;
        }
        if let Ok(host) = std::env::var("LEADVAULT_HOST") {
            config.host = host;
        }
        if let Ok(data) = std::env::var("LEADVAULT_DATA") {
            config.data = data.into();
        }
        config.telemetry.listen_as_the_environment_says();
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = dir.canonicalize().context("the directory of the configuration")?;
        config.data = dir.join(&config.data);
        config.keys.root_key_file = config.data.join(&config.keys.root_key_file);
        config.keys.operator_key_file = config.data.join(&config.keys.operator_key_file);
        config.durability.mirror = config.durability.mirror.map(|m| config.data.join(m));
        if let Some(objects) = &mut config.objects {
            objects.secret_key_file = config.data.join(&objects.secret_key_file);
        }
        config.telemetry.make_absolute(&config.data);
        if let Some(postgres) = &mut config.postgres {
            postgres.data_url_file = config.data.join(&postgres.data_url_file);
            postgres.keys_url_file = config.data.join(&postgres.keys_url_file);
        }
        if let Some(tls) = &mut config.tls {
            tls.cert_file = dir.join(&tls.cert_file);
            tls.key_file = dir.join(&tls.key_file);
        }
        config.check()?;
        Ok(config)
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn listen(&self) -> anyhow::Result<SocketAddr> {
        self.listen
            .parse()
            .ok()
            .context("listen: an IP address and a port, such as 127.0.0.1:8620 or [::1]:0")
    }

    /// Whether everything in it goes together.
    ///
    /// # Errors
    /// The message names the key.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.listen()?;
        if let Some(objects) = &self.objects {
            objects.check()?;
        }
        self.telemetry.check()?;
        let limits = &self.limits;
        for (key, value) in [
            ("limits.concurrent_requests", limits.concurrent_requests),
            ("limits.connections", limits.connections),
            ("limits.request_head_seconds", usize::try_from(limits.request_head_seconds)?),
            ("limits.body_bytes_max", limits.body_bytes_max),
            ("limits.open_jobs_per_tenant", usize::try_from(limits.open_jobs_per_tenant)?),
        ] {
            anyhow::ensure!(value > 0, "{key}: at least 1");
        }
        if let Some(postgres) = &self.postgres {
            let fits = |connections: u32| (2..=CONNECTIONS_MAX).contains(&connections);
            for (key, value) in
                [("postgres.readers", postgres.readers), ("postgres.writers", postgres.writers)]
            {
                anyhow::ensure!(fits(value), "{key}: 2 to {CONNECTIONS_MAX}");
            }
        }
        anyhow::ensure!(
            limits.concurrent_requests <= REQUESTS_MAX,
            "limits.concurrent_requests: at most {REQUESTS_MAX}"
        );
        for (key, value) in [
            ("limits.files.bytes_of_file", limits.files.bytes_of_file),
            ("limits.files.bytes", limits.files.bytes),
        ] {
            anyhow::ensure!(value <= FILE_BYTES_MAX, "{key}: at most {FILE_BYTES_MAX}");
        }
        anyhow::ensure!(
            limits.body_bytes_max <= BODY_BYTES_MAX,
            "limits.body_bytes_max: at most {BODY_BYTES_MAX}"
        );
        let host_ok = !self.host.is_empty()
            && self.host.len() <= 253
            && self.host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b));
        anyhow::ensure!(host_ok, "host: letters, digits, `.`, `-`, `:`; at most 253 characters");
        for endpoint in self.endpoints.values() {
            anyhow::ensure!(
                endpoint.starts_with("https://") || endpoint.starts_with("http://"),
                "endpoints: each is a URL that begins with https:// or http://"
            );
        }
        for choice in &self.durability.choices {
            let known = matches!(choice.as_str(), "mirror" | "accept-total-loss");
            anyhow::ensure!(
                known,
                "durability.choices: this build offers `mirror` and `accept-total-loss`"
            );
        }
        let mirrored = self.durability.choices.iter().any(|c| c == "mirror");
        anyhow::ensure!(
            mirrored == self.durability.mirror.is_some(),
            "durability: `mirror` needs a directory, and a directory needs `mirror`"
        );
        Ok(())
    }
}

/// Reads the text. An error says line and key, and of a value only what was expected in its place: a secret
/// that was written here by mistake is not shown.
fn parse(text: &str) -> anyhow::Result<Config> {
    let place = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        before
            .map_or(String::new(), |before| format!("line {}: ", before.matches('\n').count() + 1))
    };
    let read = toml::de::Deserializer::parse(text)
        .map_err(|error| anyhow::anyhow!("{}{}", place(&error), error.message()))?;
    serde_path_to_error::deserialize(read).map_err(|error| {
        let key = error.path().to_string();
        let (inner, says) = (error.inner(), without_value(error.inner().message()));
        // An unknown or missing key is named by what serde says already.
        let key = if key == "." || says.contains('`') { String::new() } else { key + ": " };
        anyhow::anyhow!("{}{key}{says}", place(inner))
    })
}

/// What serde says, without the value it fell over.
fn without_value(message: &str) -> String {
    let about_keys = ["unknown field", "missing field", "duplicate"];
    if about_keys.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "not a value that this key takes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_line_and_key_and_shows_no_value() {
        let good = "[durability]\nchoices = ['accept-total-loss']\n";
        for (text, names) in [
            (format!("root_key = 's3cret'\n{good}"), "line 1: unknown field `root_key`"),
            (format!("listen = 7\n{good}"), "line 1: listen: "),
            (format!("{good}[limits]\nconnections = 's3cret'\n"), "line 4: limits.connections: "),
            (format!("country = 's3cret'\n{good}"), "line 1: country: "),
            (format!("{good}[keys\n"), "line 3: "),
            (String::new(), "missing field `durability`"),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(names), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn limits_and_addresses_are_checked_by_name() {
        let good = "[durability]\nchoices = ['accept-total-loss']\n";
        parse(good).unwrap().check().unwrap();
        for (text, names) in [
            (format!("listen = 'nowhere'\n{good}"), "listen"),
            (format!("host = 'two words'\n{good}"), "host"),
            (format!("{good}[limits]\nconnections = 0\n"), "limits.connections"),
            (format!("{good}[limits]\nbody_bytes_max = 99999999\n"), "limits.body_bytes_max"),
            ("[durability]\nchoices = ['hope']\n".to_owned(), "durability.choices"),
            ("[durability]\nchoices = ['mirror']\n".to_owned(), "mirror"),
        ] {
            let error = parse(&text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_errors_at_every_level() {
        let good = "[durability]\nchoices = ['accept-total-loss']\n";
        assert!(parse(good).is_ok());
        for bad in [
            "lisen = 'x'\n[durability]\nchoices = []\n",
            "[durability]\nchoices = []\nmiror = 'x'\n",
            "[durability]\nchoices = []\n[keys]\nroot = 'x'\n",
            "[durability]\nchoices = []\n[limits]\nbody = 1\n",
            "[durability]\nchoices = []\n[tls]\ncert = 'x'\n",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
