//! The demo: every step holds on a real file, and a step that is broken is seen.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use leadvault_tests::kit::{Vault, attestation, binary, files, run, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The steps, in order (surfaces.md 1 pins that each is printed).
const STEPS: &[&str] = &[
    "init",
    "serve",
    "tenant_with_own_keys",
    "instruction_activated",
    "import",
    "read_is_logged_first",
    "search_by_email",
    "no_instruction_no_data",
    "export_and_verify",
    "checkpoint_kept",
    "backup_taken_then_erase",
    "backup_put_back_stays_dead",
    "log_verifies_offline",
];

fn text(path: &Path) -> String {
    path.to_str().expect("utf-8").to_owned()
}

/// A lead file that is imported in a moment.
fn small_file(dir: &Path) -> String {
    let mut file = String::from("Email,First Name\r\n");
    for n in 0..12 {
        write!(file, "p{n}@example.com,Name\r\n").expect("a string");
    }
    let path = dir.join("small.csv");
    std::fs::write(&path, file).expect("a file");
    text(&path)
}

/// A demo that runs, in a temporary directory of its own.
struct Running {
    child: Child,
    home: tempfile::TempDir,
}

impl Running {
    fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let said = std::fs::File::create(home.path().join("said")).expect("a file");
        let tmp = home.path().join("tmp");
        std::fs::create_dir(&tmp).expect("a directory");
        let mut command = Command::new(binary());
        command.arg("demo").args(args).env("TMPDIR", &tmp).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        Self { child: command.spawn().expect("the demo starts"), home }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.path().join("said")).unwrap_or_default()
    }

    /// Waits until it has said something.
    fn says(&mut self, words: &str) {
        until(words, || {
            let said = self.said();
            let ended = self.child.try_wait().expect("the demo");
            assert!(ended.is_none() || said.contains(words), "ended before: {said}");
            said.contains(words).then_some(())
        });
    }

    /// The address of its server: the last one it said.
    fn address(&self) -> String {
        let said = self.said();
        let rest = said.rsplit("http://").next().expect("an address");
        rest.split(['/', ' ', '\n']).next().expect("an address").to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Waits for its end: exit code and result.
    fn ended(&mut self) -> (Option<i32>, Value) {
        let mut out = String::new();
        let stdout = self.child.stdout.take().expect("stdout");
        std::io::Read::read_to_string(&mut { stdout }, &mut out).expect("its output");
        let code = self.child.wait().expect("it ends").code();
        let last = out.lines().last().unwrap_or_default();
        (code, serde_json::from_str(last).unwrap_or(Value::Null))
    }

    /// What is left in the directory for temporary files.
    fn left(&self) -> usize {
        std::fs::read_dir(self.home.path().join("tmp")).expect("a directory").count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_shows_every_promise_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("demo");
    let (code, report, err) = run(&["demo", "--once", "--dir", &text(&dir)]);
    assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{err}");
    let steps = report["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names, STEPS);
    assert!(steps.iter().all(|step| step["ok"] == true && step["ms"].is_u64()), "{report}");
    for member in ["log_dir", "vkey_file", "export_file"] {
        assert!(Path::new(report[member].as_str().expect(member)).exists(), "{member}");
    }
    let log = report["log_dir"].as_str().expect("a directory").to_owned();
    let vkey = report["vkey_file"].as_str().expect("a file").to_owned();
    let verify = || {
        let (code, verdict, _) = run(&["verify", "log", &log, "--vkey", &vkey]);
        (code, verdict["at"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(verify(), (Some(0), String::new()), "the log that the demo leaves behind");
    for name in files(Path::new(&log)) {
        let path = Path::new(&log).join(&name);
        let before = std::fs::read(&path).expect("a file");
        for at in [0, before.len() / 2, before.len() - 1] {
            let mut bytes = before.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).expect("a change");
            assert_eq!(verify(), (Some(1), name.clone()), "byte {at}");
        }
        std::fs::write(&path, &before).expect("mended");
    }
}

#[test]
fn a_step_that_comes_out_otherwise_ends_the_demo_with_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let small = small_file(dir.path());
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        text(&path)
    };
    let no_header = file("no-header.csv", "ada@example.com,+14155552671\n");
    let one_row = file("one.csv", "Email\nada@example.com\n");
    let binary = file("binary.csv", "\u{0}\u{1}\u{2}\n\u{0}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (what, file, environment, step) in [
        ("a file without header", &no_header, vec![], "import"),
        ("a file with one lead", &one_row, vec![], "import"),
        ("a file of zeros", &binary, vec![], "import"),
        ("an address that is taken", &small, vec![("LEADVAULT_LISTEN", address.as_str())], "serve"),
        (
            "a tenant that is never born",
            &small,
            vec![("LEADVAULT_FAILPOINT", "create.rows")],
            "tenant_with_own_keys",
        ),
        (
            "an erasure whose server dies",
            &small,
            vec![("LEADVAULT_FAILPOINT", "erase.punctured")],
            "backup_taken_then_erase",
        ),
    ] {
        let mut demo = Running::start(&["--once", "--file", file], &environment);
        let (code, report) = demo.ended();
        assert_eq!((code, &report["ok"]), (Some(1), &json!(false)), "{what}: {}", demo.said());
        let last = report["steps"].as_array().and_then(|s| s.last()).expect("a step").clone();
        assert_eq!((&last["name"], &last["ok"]), (&json!(step), &json!(false)), "{what}");
        assert!(demo.said().contains(&format!("FAIL {step}")), "{what}: {}", demo.said());
    }
    drop(taken);
}

#[test]
fn a_file_that_changes_under_the_demo_is_seen_by_its_last_steps() {
    let files = tempfile::tempdir().expect("a directory");
    let small = small_file(files.path());
    for (changed, step) in
        [("checkpoint.before", "log_verifies_offline"), ("log.vkey", "export_and_verify")]
    {
        let dir = files.path().join(changed.replace('.', "-"));
        let mut demo = Running::start(&["--once", "--file", &small, "--dir", &text(&dir)], &[]);
        let path = dir.join(changed);
        let good = until("the file is written", || {
            std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))
        });
        let mut bytes = good.into_bytes();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("a change");
        let (code, report) = demo.ended();
        assert_eq!((code, &report["ok"]), (Some(1), &json!(false)), "{}", demo.said());
        let last = report["steps"].as_array().and_then(|s| s.last()).expect("a step").clone();
        assert_eq!(last["name"], step, "{}", demo.said());
    }
}

#[test]
fn a_signal_ends_the_demo_and_leaves_nothing_behind() {
    let files = tempfile::tempdir().expect("a directory");
    let small = small_file(files.path());
    let kept = files.path().join("kept");
    let keep = ["--file", small.as_str(), "--dir", kept.to_str().expect("utf-8")];
    let gone = ["--file", small.as_str()];
    for (args, words, signal, code) in [
        (&gone[..], "The server is running", Signal::INT, 0),
        (&gone[..], "The server is running", Signal::TERM, 0),
        (&gone[..], "ok   tenant_with_own_keys", Signal::INT, 4),
        (&gone[..], "ok   serve", Signal::TERM, 4),
        (&keep[..], "The server is running", Signal::INT, 0),
    ] {
        let mut demo = Running::start(args, &[]);
        demo.says(words);
        let address = demo.address();
        TcpStream::connect(&address).expect("the control: its server is there");
        if !args.contains(&"--dir") {
            assert_eq!(demo.left(), 1, "the control: its directory is there");
        }
        demo.signal(signal);
        let (ended, _) = demo.ended();
        assert_eq!(ended, Some(code), "{words} {signal:?}: {}", demo.said());
        TcpStream::connect(&address).expect_err("its server is gone");
        assert_eq!(demo.left(), 0, "{words} {signal:?}: {}", demo.said());
    }
    for name in ["vault/data.db", "vault/root.key", "controller.key", "log.vkey"] {
        assert!(kept.join(name).exists(), "--dir keeps {name}");
    }
    let log = std::fs::metadata(kept.join("vault/data.db-wal")).map_or(0, |m| m.len());
    assert_eq!(log, 0, "its server ended by itself");
}

#[test]
fn a_demo_that_is_killed_leaves_no_server_running() {
    let files = tempfile::tempdir().expect("a directory");
    let small = small_file(files.path());
    let mut demo = Running::start(&["--file", &small], &[]);
    demo.says("ok   serve");
    let address = demo.address();
    TcpStream::connect(&address).expect("the control: its server is there");
    demo.signal(Signal::KILL);
    let _ = demo.ended();
    until("its server is gone", || TcpStream::connect(&address).err());
}

#[test]
fn what_the_demo_cannot_use_is_named_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| text(&dir.path().join(name));
    std::fs::write(dir.path().join("empty.csv"), "").expect("a file");
    std::fs::write(dir.path().join("file"), "x").expect("a file");
    for (args, names) in [
        (["--file".to_owned(), at("none.csv")], "--file: cannot read"),
        (["--file".to_owned(), text(dir.path())], "--file"),
        (["--file".to_owned(), at("empty.csv")], "is empty"),
        (["--dir".to_owned(), text(dir.path())], "is not empty"),
        (["--dir".to_owned(), at("file/below")], "--dir: cannot make"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut demo = Running::start(&[&["--once"][..], &args[..]].concat(), &[]);
        let (code, _) = demo.ended();
        assert_eq!(code, Some(2), "{args:?}: {}", demo.said());
        assert!(demo.said().contains(names), "{args:?}: {}", demo.said());
        assert_eq!(demo.left(), 0, "{args:?}");
    }
}

#[test]
fn an_import_keeps_every_cell_and_lists_what_it_refuses_without_a_value() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let file = "First Name,Email,Phone,Date of birth,Shoe size\r\n\
                Ada,ada@example.com,(415) 555-2671,1980-01-02,\"=38, or so\"\r\n\
                Kid,kid@example.com,,2015-06-01,30\r\n\
                Grace,grace@example.com,,1975-03-04,\r\n";
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let put = reqwest::Method::PUT;
    let path = format!("/v1/imports/{import}/content");
    let done = caller.send(put, &path, &[], Some(file.as_bytes().to_vec())).expect(200);
    assert_eq!(done.body["state"], "done");
    assert_eq!(
        done.body["rows"],
        json!({ "read": 3, "stored": 2, "updated": 0, "skipped": 0, "rejected": 1 })
    );
    let failures = caller.get(&format!("/v1/imports/{import}/failures")).expect(200).text;
    assert_eq!(failures, "row,column,code\r\n2,3,minor\r\n");
    let body = json!({ "match": { "email": "ada@example.com" }, "limit": 1 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    let lead = found.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    let cells = caller.get(&format!("/v1/leads/{lead}?fields=original")).expect(200);
    assert_eq!(
        cells.body["original"],
        json!([
            ["First Name", "Ada"],
            ["Email", "ada@example.com"],
            ["Phone", "(415) 555-2671"],
            ["Date of birth", "1980-01-02"],
            ["Shoe size", "=38, or so"]
        ])
    );
}
