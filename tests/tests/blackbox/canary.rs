//! No plaintext at rest, in logs, in telemetry or in errors: no text of the input of eight bytes or more is anywhere in the
//! data directory, in what the server prints at its most talkative and sends to a collector, or in an answer that is an error; after
//! imports, reads, searches, failures, exports, crashes and a shred.

mod forms;
mod haystack;

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};

use leadvault_test_postgres::{OWNER, psql};
use leadvault_tests::corpus;
use leadvault_tests::kit::{
    Answer, Caller, Collector, Manner, Stores, Tenant, Vault, attestation, on_postgres, until,
};
use reqwest::Method;
use serde_json::{Value, json};

use haystack::{Haystack, Needles};

/// Texts that stand in no file, by the call that brings them.
const EXTRA: &[&str] = &[
    "canary.bird@aviary-example.org",
    "Quetzalcoatl Montezuma",
    "4155552671",
    "a note nobody else may read",
    "patched-canary-company",
    "canary-in-an-unknown-member",
    "canary-in-a-query@example.org",
    "canary-in-a-header-value",
    "canary-that-is-no-json",
    "canary.minor@example.org",
];

/// The list that is imported, and its texts.
fn list() -> (Vec<u8>, Vec<String>) {
    let file = std::env::var_os("LEADVAULT_SAMPLES")
        .map(|dir| std::path::PathBuf::from(dir).join("leads-10000.csv"))
        .filter(|path| path.exists());
    let (bytes, rows) = match file {
        Some(path) => {
            let bytes = std::fs::read(path).expect("the sample");
            let rows = cells(&String::from_utf8(bytes.clone()).expect("utf-8"));
            (bytes, rows.into_iter().skip(1).collect())
        }
        None => (corpus::leads(2_000, 11).into_bytes(), corpus::lead_rows(2_000, 11)),
    };
    // Owner, source and stage are words of the tenant's trade and stand in no list of persons.
    let texts = rows.iter().flat_map(|row| {
        let column = |name: &str| {
            let at = corpus::LEAD_HEADERS.iter().position(|h| *h == name).expect("a column");
            row[at].clone()
        };
        let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let full = format!("{} {}", column("First Name"), column("Last Name"));
        let mut all = vec![full, column("Email 1"), column("Email 2"), column("Notes")];
        for phone in ["Phone 1", "Phone 2"] {
            all.extend([digits(column(phone)), column(phone)]);
        }
        all
    });
    (bytes, texts.collect())
}

/// Cells of a well-formed file.
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    rows
}

/// A vault under watch: what it holds, printed and refused.
struct Watched {
    vault: Vault,
    tenant: Tenant,
    texts: Vec<String>,
    needles: Needles,
    errors: Vec<String>,
    collector: Collector,
}

impl Watched {
    fn start(texts: Vec<String>) -> Self {
        let talkative = [
            ("LEADVAULT_LOG", "trace"),
            ("RUST_LOG", "trace"),
            // What was said is sent before the next look.
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ];
        let mut vault = Vault::init().with_env(&talkative);
        let collector = Collector::start(Manner::Takes);
        let endpoint = collector.endpoint();
        vault.configure_more(&format!(
            "[telemetry.otlp]\nendpoint = \"{endpoint}\"\ntraces = 1.0\ninterval_seconds = 1\n\
             [telemetry.prometheus]\nlisten = \"127.0.0.1:0\""
        ));
        vault.up();
        let tenant = vault.tenant();
        let texts: Vec<_> =
            texts.into_iter().chain(EXTRA.iter().map(|t| (*t).to_owned())).collect();
        let needles = Needles::new(&texts);
        Self { vault, tenant, texts, needles, errors: Vec::new(), collector }
    }

    /// Keeps what an error said.
    #[track_caller]
    fn refused(&mut self, answer: Answer, status: u16) {
        let answer = answer.expect(status);
        self.errors.push(format!("{} {:?} {:?}", answer.text, answer.etag, answer.location));
    }

    fn haystack(&self) -> Haystack {
        let mut all = Haystack::default();
        all.read_vault(&self.vault);
        all.add("stderr", &self.vault.stderr());
        all.add("stdout", &self.vault.stdout());
        for error in &self.errors {
            all.add("an error", error);
        }
        all.read_collector(&self.collector);
        all
    }

    /// Looks everywhere, with the server at work and after its death.
    #[track_caller]
    fn look(&mut self, after: &str) {
        let metrics = reqwest::blocking::get(self.vault.metrics_url()).expect("metrics");
        self.errors.push(metrics.text().expect("text"));
        // A last call, whose id is sent behind everything before it; and metrics that are newer.
        let last = self.caller().get("/v1/leads?limit=1");
        let id = last.header("request-id").to_owned();
        let measured = self.collector.bodies("metrics").len() + 1;
        let tells = |signal: &str| {
            let bodies = self.collector.bodies(signal);
            bodies.iter().any(|body| body.windows(id.len()).any(|part| part == id.as_bytes()))
        };
        until("telemetry of each kind", || {
            let newer = self.collector.bodies("metrics").len() > measured;
            (tells("traces") && tells("logs") && newer).then_some(())
        });
        assert_eq!(self.haystack().find(&self.needles), Vec::<String>::new(), "after {after}");
        self.vault.kill();
        assert_eq!(
            self.haystack().find(&self.needles),
            Vec::<String>::new(),
            "dead, after {after}"
        );
        self.vault.up();
    }

    fn caller(&self) -> Caller {
        self.vault.acting(&self.tenant)
    }

    fn open_import(&self, dataset: &str) -> String {
        let attestation = attestation();
        let body = json!({ "dataset": dataset, "attestation": attestation });
        self.caller().post("/v1/imports", &body).expect(201).text_of("id")
    }

    fn put(&self, import: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v1/imports/{import}/content");
        self.caller().send(Method::PUT, &path, &[], Some(bytes.to_vec()))
    }

    fn export(&self, key: &str) -> Answer {
        let body = json!({ "plain": true });
        self.vault.plain(&self.tenant).try_post("/v1/exports", &body, key).expect("an answer")
    }
}

/// A body that comes in two pieces, the second when it is let go.
struct Halting {
    first: std::io::Cursor<Vec<u8>>,
    go_on: Receiver<()>,
}

impl Read for Halting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.first.read(buffer)? {
            0 => {
                // The sender is dropped when the server is dead.
                let _ = self.go_on.recv();
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            n => Ok(n),
        }
    }
}

#[test]
fn no_value_of_a_lead_lies_anywhere_in_clear() {
    let (file, texts) = list();
    let mut watched = Watched::start(texts);
    // An import, read in every way.
    let import = watched.open_import(&watched.tenant.dataset);
    watched.put(&import, &file).expect(200);
    let caller = watched.caller();
    let page = caller.get("/v1/leads?limit=50").expect(200);
    let lead = page.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    let one = format!("/v1/leads/{lead}");
    let all = "email,phone,first_name,last_name,notes,company,original";
    let read = caller.get(&format!("{one}?fields={all}")).expect(200);
    // The control of the whole: the values are there, and the reader gets them.
    let email = read.body["fields"]["email"].as_str().expect("an e-mail").to_owned();
    assert!(watched.texts.contains(&email));
    let body = json!({ "match": { "email": email }, "fields": ["email", "notes"], "limit": 5 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    assert_eq!(found.body["data"][0]["id"], lead.as_str());
    watched.look("import, read and search");
    refusals(&mut watched, &one);
    watched.look("failed imports and refused calls");
    attach(&mut watched, &lead, &file);
    watched.look("files of a lead");
    crash_in_the_middle(&mut watched, &file);
    watched.look("crashes");
    // An export that is made and fetched: outside it is the tenant's, inside it is sealed.
    let begun = watched.export("whole").expect(202);
    let plain = watched.vault.plain(&watched.tenant);
    let made = plain.finished(&begun.text_of("operation"));
    let export = made["id"].as_str().expect("an id");
    let package = plain.get(&format!("/v1/exports/{export}/content")).expect(200);
    assert!(package.text.contains("leads-0001.csv"), "a plain package");
    watched.look("an export");
    let plain = watched.vault.plain(&watched.tenant);
    let path = format!("/v1/datasets/{}/shred", watched.tenant.dataset);
    let body = json!({ "confirm": watched.tenant.dataset });
    plain.try_post(&path, &body, "shred").expect("an answer").expect(202);
    watched.look("a shred");
}

/// Calls and files that are refused, each with a text of its own.
fn refusals(watched: &mut Watched, one: &str) {
    let caller = watched.caller();
    let dataset = watched.tenant.dataset.clone();
    let lead = watched.vault.lead(&watched.tenant, EXTRA[0]);
    let again = json!({ "dataset": dataset, "fields": { "email": EXTRA[0] } });
    watched.refused(caller.post("/v1/leads", &again), 409);
    let young = json!({ "dataset": dataset,
        "fields": { "email": EXTRA[9], "birth_date": "2015-01-01", "full_name": EXTRA[1] } });
    watched.refused(caller.post("/v1/leads", &young), 422);
    watched.refused(caller.post("/v1/leads", &json!({ EXTRA[5]: 1 })), 400);
    let unknown = json!({ "dataset": dataset, "fields": { EXTRA[5]: "x" } });
    watched.refused(caller.post("/v1/leads", &unknown), 400);
    let wrong = json!({ "dataset": EXTRA[6], "fields": {} });
    watched.refused(caller.post("/v1/leads", &wrong), 400);
    let json = [("content-type", "application/json")];
    let text = Some(format!("{{ \"fields\": {} }}", EXTRA[8]).into_bytes());
    watched.refused(caller.send(Method::POST, "/v1/leads", &json, text), 400);
    watched.refused(caller.get(&format!("{one}?fields={}", EXTRA[6])), 400);
    watched.refused(caller.get(&format!("/v1/leads/{}", EXTRA[6])), 400);
    watched.refused(caller.get(&format!("/v1/{}", EXTRA[6])), 404);
    let canary = Method::from_bytes(EXTRA[5].as_bytes()).expect("a token");
    let odd = caller.send(canary, one, &[], None);
    watched.errors.push(odd.text);
    for header in [
        "instruction",
        "idempotency-key",
        "purpose",
        "if-match",
        "user-agent",
        "baggage",
        "tracestate",
    ] {
        let headers = [(header, EXTRA[7]), ("content-type", "application/merge-patch+json")];
        let answer = caller.send(Method::PATCH, one, &headers, Some(b"{}".to_vec()));
        watched.errors.push(answer.text);
    }
    let merge = [("content-type", "application/merge-patch+json"), ("if-match", "\"v1\"")];
    let patch = json!({ "fields": { "company": EXTRA[4] }, "notes": [{ "text": EXTRA[3] }] });
    let patch = Some(patch.to_string().into_bytes());
    caller.send(Method::PATCH, &format!("/v1/leads/{lead}"), &merge, patch).expect(200);
    let search = json!({ "match": { "email": EXTRA[1] }, "limit": 5 });
    watched.refused(caller.post("/v1/leads/search", &search), 422);
    // Files: without a header, with an ambiguous one, with rows that are refused.
    let headless = format!("{},{}\n{},2\n", EXTRA[0], EXTRA[2], EXTRA[9]);
    let open = watched.open_import(&dataset);
    watched.refused(watched.put(&open, headless.as_bytes()), 422);
    let asks = format!("Name,Email,Phone\n{},{},{}\n", EXTRA[1], EXTRA[9], EXTRA[2]);
    watched.refused(watched.put(&open, asks.as_bytes()), 422);
    let rows =
        format!("Email,Notes,Birthday\n{},{},2015-01-01\nx,\"{}\n", EXTRA[9], EXTRA[3], EXTRA[1]);
    let done = watched.put(&open, rows.as_bytes()).expect(200);
    assert_eq!(done.body["rows"]["rejected"], 2, "{}", done.text);
    let listed = caller.get(&format!("/v1/imports/{open}/failures")).expect(200);
    watched.errors.push(listed.text);
    let notices = watched.vault.plain(&watched.tenant).get("/v1/notices").expect(200);
    watched.errors.push(notices.text);
}

/// Files of a lead, whose names and contents are texts of people: kept, cut off, refused, and one erased.
fn attach(watched: &mut Watched, lead: &str, content: &[u8]) {
    let caller = watched.caller();
    let path = format!("/v1/leads/{lead}/files");
    let made = |name: &str, size: usize| {
        let body = json!({ "name": name, "size": size });
        caller.post(&path, &body).expect(201).text_of("id")
    };
    let of = |id: &str| format!("/v1/files/{id}/content");
    let kept = made(EXTRA[1], content.len());
    caller.send(Method::PUT, &of(&kept), &[], Some(content.to_vec())).expect(200);
    let (status, headers, back) = caller.fetch(&of(&kept), &[]);
    assert!(status == 200 && back == content && headers.contains_key("content-disposition"));
    let open = made(EXTRA[8], 2 * content.len());
    let piece = format!("bytes 0-{}/{}", content.len() - 1, 2 * content.len());
    let headers = [("content-range", piece.as_str())];
    caller.send(Method::PUT, &of(&open), &headers, Some(content.to_vec())).expect(308);
    let bad = format!("{}/{}", EXTRA[1], EXTRA[0]);
    watched.refused(caller.post(&path, &json!({ "name": bad, "size": 1 })), 422);
    watched.refused(caller.post(&path, &json!({ "name": EXTRA[0], "size": EXTRA[9] })), 400);
    let mut other = content.to_vec();
    other.reverse();
    watched.refused(caller.send(Method::PUT, &of(&kept), &[], Some(other)), 409);
    let erased = made(EXTRA[3], content.len());
    caller.send(Method::PUT, &of(&erased), &[], Some(content.to_vec())).expect(200);
    let plain = watched.vault.plain(&watched.tenant);
    plain.send(Method::DELETE, &format!("/v1/files/{erased}"), &[], None).expect(204);
}

/// Killed with half a file stored, and killed with an export begun.
fn crash_in_the_middle(watched: &mut Watched, file: &[u8]) {
    let plain = watched.vault.plain(&watched.tenant);
    let second = plain.post("/v1/datasets", &json!({ "name": "second" })).expect(201).text_of("id");
    let import = watched.open_import(&second);
    let half = file.len() / 2;
    let (hold, go_on) = channel::<()>();
    let body = Halting { first: std::io::Cursor::new(file[..half].to_vec()), go_on };
    let (caller, path) = (watched.caller(), format!("/v1/imports/{import}/content"));
    let upload = std::thread::spawn(move || caller.put_stream(&path, body));
    // Rows of the first half are stored before the second half comes.
    let caller = watched.caller();
    for n in 0.. {
        let read = caller.get(&format!("/v1/imports/{import}")).expect(200);
        if read.body["rows"]["read"].as_u64() > Some(0) {
            break;
        }
        assert!(n < 1_200, "nothing of the first half is stored");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    watched.vault.kill();
    drop(hold);
    assert!(upload.join().expect("the upload ends").is_err());
    watched.vault.up();
    watched.put(&import, file).expect(200);
    watched.export("killed").expect(202);
    watched.vault.kill();
    watched.vault.up();
}

/// The control: a text that is planted in any place, in any form, is found there.
#[test]
fn a_planted_text_is_found_in_each_place_and_each_form() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    vault.kill();
    let texts = ["somebody@else-example.org".to_owned(), EXTRA[0].to_owned()];
    let needles = Needles::new(&texts);
    let log = format!("log/{}/planted", tenant.uuid);
    let all = ["slots/planted", "files/planted", log.as_str(), "data.db", "data.db-wal", "keys.db"];
    let places = if on_postgres() { &all[..3] } else { &all[..] };
    for no in 0..forms::FORMS {
        let planted = [b"..".to_vec(), forms::form(EXTRA[0], no), b"..".to_vec()].concat();
        for place in places {
            let path = vault.data().join(place);
            let before = std::fs::read(&path).ok();
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            let whole = [before.clone().unwrap_or_default(), planted.clone()].concat();
            std::fs::write(&path, whole).expect("planted");
            let hits = found_in(&vault, &needles);
            let there = |hit: &String| hit.contains(place);
            assert!(!hits.is_empty() && hits.iter().all(there), "{place}, form {no}: {hits:?}");
            match before {
                Some(bytes) => std::fs::write(&path, bytes).expect("mended"),
                None => std::fs::remove_file(&path).expect("removed"),
            }
        }
        let mut said = Haystack::default();
        said.0.push(("stderr".to_owned(), planted));
        assert!(!said.find(&needles).is_empty(), "stderr, form {no}");
    }
    let mut named = Haystack::default();
    named.add(&format!("files/{}", EXTRA[0]), "");
    assert_eq!(named.find(&needles).len(), 1, "the name of a file");
    assert_eq!(found_in(&vault, &needles), Vec::<String>::new(), "and nothing where nothing is");
}

/// The control for databases: what stands in a row of one, in whichever table, is found in its files.
#[test]
fn a_text_planted_in_a_database_is_found() {
    let mut vault = Vault::start();
    let Stores::Databases(pair) = vault.stores() else { return };
    let texts = ["somebody@else-example.org".to_owned(), EXTRA[0].to_owned()];
    let needles = Needles::new(&texts);
    assert_eq!(found_in(&vault, &needles), Vec::<String>::new());
    let plant = [
        (pair.data_url(OWNER), "INSERT INTO cell_counter (name, value) VALUES", "1"),
        (
            pair.keys_url(OWNER),
            "INSERT INTO cell_secret (name, generation, wrapped, created_at) VALUES",
            "1, '', 1",
        ),
    ];
    for (url, insert, rest) in plant {
        psql(&url, &format!("{insert} ('{}', {rest})", EXTRA[0]));
        assert!(!found_in(&vault, &needles).is_empty(), "{insert}");
        psql(&url, insert.replace("INSERT INTO", "TRUNCATE").split(" (").next().expect("a table"));
    }
    vault.kill();
}

fn found_in(vault: &Vault, needles: &Needles) -> Vec<String> {
    let mut all = Haystack::default();
    all.read_vault(vault);
    all.find(needles)
}

/// The control for telemetry: a text in a route, which stands in spans, metrics and lines, is found in what is sent.
#[test]
fn a_text_planted_in_telemetry_is_found() {
    let collector = Collector::start(Manner::Takes);
    let mut vault = Vault::init();
    vault.configure_more(&format!(
        "[telemetry.otlp]\nendpoint = \"{}\"\ntraces = 1.0\ninterval_seconds = 1",
        collector.endpoint()
    ));
    vault.up();
    let caller = Caller::nobody(&vault.url());
    let found = |text: &str| {
        let mut all = Haystack::default();
        all.read_collector(&collector);
        let hits = all.find(&Needles::new(&[text.to_owned()]));
        let in_signal = |signal: &str| hits.iter().any(|hit| hit.contains(signal));
        ["traces", "metrics", "logs"].into_iter().all(in_signal)
    };
    assert!(!found("/v1/datasets/{id}/leads"));
    caller.get("/v1/imports/imp_01h455vb4pex5vsknk084sn02q").expect(401);
    until("the route is found in each signal", || found("/v1/imports/{id}").then_some(()));
}

/// Secrets are in no line either: neither the key of a caller nor the operator's.
#[test]
fn no_credential_is_printed_or_stored() {
    let mut vault = Vault::init().with_env(&[("LEADVAULT_LOG", "trace"), ("RUST_LOG", "trace")]);
    vault.up();
    let tenant = vault.tenant();
    let reader = vault.key(&tenant, "reader", &Value::Null);
    vault.plain(&tenant).get("/v1/keys").expect(200);
    let secret = |key: &str| key.rsplit('_').next().expect("a secret").to_owned();
    let secrets = [secret(&tenant.key), secret(&reader.text_of("secret"))];
    let mut all = Haystack::default();
    all.read_vault(&vault);
    all.add("stderr", &vault.stderr());
    all.add("stdout", &vault.stdout());
    assert_eq!(all.find(&Needles::new(&secrets)), Vec::<String>::new());
}
