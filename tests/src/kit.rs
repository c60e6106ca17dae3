//! A vault in a temporary directory, its server as another process, and a client.
//!
//! A stop is SIGKILL; a start opens the files from disk.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a kit of tests: what is unexpected fails the test"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

/// The binary under test, beside the test binary's own directory. `cargo xtask test` builds it first.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("the test binary has a path");
    let profile = here.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let binary = profile.join("leadvault");
    assert!(binary.exists(), "build it first: cargo build -p leadvault");
    binary
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(binary()).args(args).output().expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = stdout.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last).unwrap_or(Value::Null);
    (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body, or null.
    pub body: Value,
    /// Body as text.
    pub text: String,
    /// `Ledger-Index`.
    pub index: Option<u64>,
    /// `Ledger-Leaf`.
    pub leaf: Option<String>,
    /// `Ledger-Receipt`.
    pub receipt: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// All header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Answer {
    fn of(response: Response) -> Self {
        let header = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let (index, receipt) = (header("ledger-index"), header("ledger-receipt"));
        let (leaf, retry_after) = (header("ledger-leaf"), header("retry-after"));
        let (etag, location) = (header("etag"), header("location"));
        let headers = response.headers().iter();
        let headers = headers
            .map(|(n, v)| {
                (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())
            })
            .collect();
        let status = response.status().as_u16();
        let text = response.text().unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let index = index.and_then(|i| i.parse().ok());
        Self { status, body, text, index, leaf, receipt, retry_after, etag, location, headers }
    }

    /// A header field, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Asserts a status and gives the answer back.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A text member of the body.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member}: {}", self.text))
            .to_owned()
    }
}

/// A vault.
#[derive(Debug)]
pub struct Vault {
    dir: tempfile::TempDir,
    data: PathBuf,
    server: Option<(Child, String)>,
    /// Environment variables of the server.
    env: Vec<(String, String)>,
}

impl Vault {
    /// Makes a vault that is not started.
    pub fn init() -> Self {
        Self::init_in(tempfile::tempdir().expect("a temporary directory"), "accept-total-loss")
    }

    /// Makes a vault whose key store is mirrored, and starts it.
    pub fn mirrored() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let durability = format!("mirror={}", dir.path().join("mirror").display());
        let mut vault = Self::init_in(dir, &durability);
        vault.up();
        vault
    }

    fn init_in(dir: tempfile::TempDir, durability: &str) -> Self {
        let place = dir.path().join("vault");
        let data = place.to_str().expect("utf-8");
        let (code, _, err) =
            run(&["init", "--data", data, "--durability", durability, "--listen", "127.0.0.1:0"]);
        assert_eq!(code, Some(0), "{err}");
        let vault = Self { dir, data: place, server: None, env: Vec::new() };
        // The suite also runs where the temporary directory is on a filesystem that a slot refuses.
        let text = std::fs::read_to_string(vault.config()).expect("configuration");
        let text = text.replace("allow_copy_on_write = false", "allow_copy_on_write = true");
        std::fs::write(vault.config(), text).expect("configuration");
        vault
    }

    /// Changes the configuration of a vault that is not started: `from` stands in it as it is.
    pub fn configure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).expect("configuration");
        assert!(text.contains(from), "no {from} in the configuration");
        std::fs::write(self.config(), text.replace(from, to)).expect("configuration");
    }

    /// Makes a vault and starts it.
    pub fn start() -> Self {
        let mut vault = Self::init();
        vault.up();
        vault
    }

    /// With environment variables for its server.
    #[must_use]
    pub fn with_env(mut self, env: &[(&str, &str)]) -> Self {
        self.env.extend(env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        self
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// From now on the data directory is seen there.
    pub fn lies_at(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// A place beside it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.data().join("leadvault.toml")
    }

    /// Starts the server and waits until it is ready.
    pub fn up(&mut self) {
        self.up_with(None).expect("the server becomes ready");
    }

    /// Starts the server with a fail point; the exit code where it does not become ready.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_with(&mut self, fail_point: Option<&str>) -> Result<(), (Option<i32>, String)> {
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(self.config());
        if let Some(name) = fail_point {
            command.env("LEADVAULT_FAILPOINT", name);
        }
        self.up_by(command)
    }

    /// Starts the server behind a program that becomes it, with a configuration of its own.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_inside(
        &mut self,
        wrapper: &[&str],
        config: &Path,
    ) -> Result<(), (Option<i32>, String)> {
        let (program, args) = wrapper.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(args).arg(binary()).arg("serve").arg("--config").arg(config);
        self.up_by(command)
    }

    /// Starts the server by a command.
    ///
    /// # Errors
    /// The exit code and what it said on stderr.
    pub fn up_by(&mut self, mut command: Command) -> Result<(), (Option<i32>, String)> {
        let err = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("stderr.log"))
            .expect("stderr file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its first line");
        let mut rest = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.beside("stdout.log"))
            .expect("stdout file");
        let first = line.clone();
        // Ends with the server.
        std::thread::spawn(move || {
            let _ = rest.write_all(first.as_bytes());
            let _ = std::io::copy(&mut stdout, &mut rest);
        });
        let ready: Value = serde_json::from_str(line.trim()).unwrap_or(Value::Null);
        match ready["address"].as_str() {
            Some(address) => {
                self.server = Some((child, address.to_owned()));
                Ok(())
            }
            None => {
                let code = child.wait().expect("it ends").code();
                Err((code, self.stderr()))
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits for a server that kills itself.
    pub fn wait_dead(&mut self) {
        if let Some((mut child, _)) = self.server.take() {
            let _ = child.wait();
        }
    }

    /// The checkpoint of a tenant's log, once it covers `size` entries.
    pub fn published(&self, tenant: &Tenant, size: u64) -> String {
        let path = self.data().join("log").join(&tenant.uuid).join("checkpoint");
        until("the checkpoint covers the entries", || {
            let text = std::fs::read_to_string(&path).ok()?;
            let covers: u64 = text.lines().nth(1)?.parse().ok()?;
            (covers >= size).then_some(text)
        })
    }

    /// The server's process.
    pub fn pid(&self) -> rustix::process::Pid {
        let (child, _) = self.server.as_ref().expect("the server runs");
        rustix::process::Pid::from_child(child)
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("a signal");
    }

    /// Waits for the end of the server; its exit code, `None` after a signal.
    pub fn ended(&mut self) -> Option<i32> {
        let (mut child, _) = self.server.take().expect("the server runs");
        child.wait().expect("it ends").code()
    }

    /// Whether the server has ended.
    pub fn is_dead(&mut self) -> bool {
        self.server.as_mut().is_none_or(|(child, _)| !matches!(child.try_wait(), Ok(None)))
    }

    /// What the server wrote on stderr so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.beside("stderr.log")).unwrap_or_default()
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.beside("stdout.log")).unwrap_or_default()
    }

    /// Base URL.
    pub fn url(&self) -> String {
        self.server.as_ref().map(|(_, url)| url.clone()).expect("the server runs")
    }

    /// A caller with the operator's key.
    pub fn operator(&self) -> Caller {
        let key = std::fs::read_to_string(self.data().join("operator.key")).expect("operator key");
        Caller::new(&self.url(), key.trim())
    }

    /// Makes a tenant with a dataset and an instruction in force.
    pub fn tenant(&self) -> Tenant {
        let body = json!({
            "name": "Example Leads", "region": "local", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE", "US"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
            "export_recipient": null,
        });
        let made = self.operator().post("/v1/tenants", &body).expect(201);
        let key = made.body["key"]["secret"].as_str().expect("a key").to_owned();
        let vkey = made.body["log"]["vkey"].as_str().expect("a vkey").to_owned();
        let origin = made.body["log"]["origin"].as_str().expect("an origin").to_owned();
        let caller = Caller::new(&self.url(), &key);
        let dataset = json!({ "name": "fair", "default_region": "US", "origin": ["US-CA"] });
        let dataset = caller.post("/v1/datasets", &dataset).expect(201).text_of("id");
        let drafted = caller.post("/v1/instructions", &instruction()).expect(201);
        let instruction = drafted.text_of("id");
        let activate = format!("/v1/instructions/{instruction}/activate");
        caller.post(&activate, &json!({ "version": 1 })).expect(200);
        Tenant {
            id: made.text_of("id"),
            uuid: origin.rsplit('/').next().expect("a uuid").to_owned(),
            key,
            vkey,
            dataset,
            instruction,
        }
    }

    /// A caller of a tenant that acts under its instruction.
    pub fn acting(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url(), &tenant.key).under(&tenant.instruction, "crm_operations")
    }

    /// A caller of a tenant that names nothing.
    pub fn plain(&self, tenant: &Tenant) -> Caller {
        Caller::new(&self.url(), &tenant.key)
    }

    /// Makes a key of a tenant, with the members of `with` in the place of the usual ones.
    pub fn key(&self, tenant: &Tenant, role: &str, with: &Value) -> Answer {
        let mut body = json!({ "name": role, "role": role, "principal": role, "employer": "tenant",
            "country": "DE", "default_instruction": null, "default_purpose": null, "datasets": null,
            "expires_at": null });
        for (member, value) in with.as_object().into_iter().flatten() {
            body[member] = value.clone();
        }
        self.plain(tenant).post("/v1/keys", &body).expect(201)
    }

    /// Makes a lead; its id.
    pub fn lead(&self, tenant: &Tenant, email: &str) -> String {
        let body = json!({
            "dataset": tenant.dataset,
            "fields": { "email": email, "first_name": "Canary", "last_name": "Quetzalcoatl",
                        "phone": "+14155552671", "company": "Analytical Engines" },
            "notes": [{ "text": "a note nobody else may read" }],
        });
        self.acting(tenant).post("/v1/leads", &body).expect(201).text_of("id")
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A tenant of a vault.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its UUID, as its files are named.
    pub uuid: String,
    /// Its controller's key.
    pub key: String,
    /// Its log's verifier key.
    pub vkey: String,
    /// A dataset.
    pub dataset: String,
    /// An instruction in force.
    pub instruction: String,
}

/// An instruction that permits CRM work on leads.
pub fn instruction() -> Value {
    json!({
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        "kind": "standing", "effect": "permit", "purposes": ["crm_operations"],
        "operations": ["collect", "store", "read", "search", "display", "modify", "restrict"],
        "data": { "categories": ["identity", "contact", "company_role", "note_text", "tag",
                  "activity_log", "preference", "location", "unclassified"] },
        "subjects": { "categories": ["lead"], "minors": "refuse" },
        "recipients": [],
        "locations": { "store": ["DE"], "access": ["DE", "US"] },
        "validity": { "from": "2026-01-01T00:00:00Z" },
        "evidence": [{ "type": "contract_annex", "ref": "annex-1", "sha256": "1".repeat(64) }],
        "issuer": { "party": "controller", "authority": "contract_signatory" },
    })
}

/// A client with a key.
#[derive(Debug, Clone)]
pub struct Caller {
    http: Client,
    url: String,
    key: Option<String>,
    instruction: Option<String>,
    purpose: Option<String>,
}

impl Caller {
    /// With a key.
    pub fn new(url: &str, key: &str) -> Self {
        // The second caller finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(std::time::Duration::from_mins(1)).build();
        Self {
            http: http.expect("an HTTP client"),
            url: url.to_owned(),
            key: Some(key.to_owned()),
            instruction: None,
            purpose: None,
        }
    }

    /// Without a key.
    pub fn nobody(url: &str) -> Self {
        Self { key: None, ..Self::new(url, "") }
    }

    /// The same, under an instruction and a purpose.
    pub fn under(mut self, instruction: &str, purpose: &str) -> Self {
        self.instruction = Some(instruction.to_owned());
        self.purpose = Some(purpose.to_owned());
        self
    }

    /// The same, naming neither.
    pub fn without_instruction(mut self) -> Self {
        self.instruction = None;
        self.purpose = None;
        self
    }

    /// Sends a request with further headers.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path, headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().map(Answer::of)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::blocking::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(instruction) = &self.instruction {
            request = request.header("Instruction", instruction);
        }
        if let Some(purpose) = &self.purpose {
            request = request.header("Purpose", purpose);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    /// As [`Caller::try_send`], of a server that lives.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        self.try_send(method, path, headers, body).expect("the server answers")
    }

    /// PUT of a body as it comes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn put_stream(
        &self,
        path: &str,
        body: impl std::io::Read + Send + 'static,
    ) -> reqwest::Result<Answer> {
        self.stream(Method::PUT, path, &[], body)
    }

    /// A request with a body as it comes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl std::io::Read + Send + 'static,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path, headers);
        request = request.body(reqwest::blocking::Body::new(body));
        request.send().map(Answer::of)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None)
    }

    /// GET of bytes: status, headers and what came.
    pub fn fetch(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().expect("a body").to_vec())
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, Some(body.to_string().into_bytes()))
    }

    /// POST of JSON with an idempotency key.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn try_post(&self, path: &str, body: &Value, key: &str) -> reqwest::Result<Answer> {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.try_send(Method::POST, path, &headers, Some(body.to_string().into_bytes()))
    }
}

/// Waits until `look` finds something. Fails the test after a time in which nothing honest takes so long.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("still not so: {what}");
}

/// Every file below a directory, by its path inside.
pub fn files(root: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(root).expect("below the root");
                found.push(inside.to_str().expect("utf-8").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Copies a directory, files and all.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Copies a SQLite database of a stopped server, its log of writes included.
pub fn copy_database(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let (from, to) = (with(from), with(to));
        if to.exists() {
            std::fs::remove_file(&to).expect("removed");
        }
        if from.exists() && suffix != "-shm" {
            std::fs::copy(&from, &to).expect("a copy");
        }
    }
}
