//! `init` and the configuration: each mistake ends with the code it deserves and names its key, and no
//! value is shown.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use leadvault_tests::fault::namespace;
use leadvault_tests::kit::{Caller, Vault, run};
use rustix::process::Signal;

/// A text that must never be shown.
const SECRET: &str = "c4n4ry-s3cret";

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// Runs `init` with a listen address that is always free.
fn init(data: &Path, more: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let mut args = vec!["init", "--data", text(data), "--listen", "127.0.0.1:0"];
    args.extend(more);
    run(&args)
}

/// Asserts that the server does not start with a configuration, and how it says so.
#[track_caller]
fn assert_refused(vault: &mut Vault, code: i32, names: &str) {
    let (ended, said) = vault.up_with(None).expect_err("it must not start");
    let said = said.lines().last().unwrap_or_default().to_owned();
    assert_eq!(ended, Some(code), "{said}");
    assert!(said.contains(names), "{names}: {said}");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn telemetry_that_goes_nowhere_safe_is_refused() {
    for (section, names) in [
        (
            "[telemetry.otlp]\nendpoint = \"http://collector.example:4318\"",
            "telemetry.otlp.endpoint",
        ),
        ("[telemetry.otlp]\nendpoint = \"c4n4ry-s3cret\"", "telemetry.otlp.endpoint"),
        (
            "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:1\"\ntraces = 2.0",
            "telemetry.otlp.traces",
        ),
        (
            "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:1\"\ninterval_seconds = 0",
            "telemetry.otlp.interval_seconds",
        ),
        (
            "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:1\"\nca_file = \"none.pem\"",
            "telemetry.otlp.ca_file",
        ),
        ("[telemetry.prometheus]\nlisten = \"c4n4ry-s3cret\"", "telemetry.prometheus.listen"),
        ("[telemetry.prometheus]\naddress = \"127.0.0.1:0\"", "unknown field `address`"),
    ] {
        let mut vault = Vault::init();
        vault.configure_more(section);
        assert_refused(&mut vault, 2, names);
    }
}

#[test]
fn init_asks_for_durability_and_never_touches_what_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("vault");
    let (code, _, said) = init(&data, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("durability_not_chosen") && said.contains("mirror=DIR"), "{said}");
    assert!(!data.exists(), "nothing was made");
    for (choice, names) in [
        ("escrow=age1x", "escrow"),
        ("synchronous-standby", "synchronous-standby"),
        ("provider-slot", "provider-slot"),
        ("hope", "--durability"),
        ("mirror=", "--durability"),
    ] {
        let (code, _, said) = init(&data, &["--durability", choice]);
        assert_eq!(code, Some(2), "{choice}: {said}");
        assert!(said.contains(names) && !data.exists(), "{choice}: {said}");
    }
    let (code, made, said) = init(&data, &["--durability", "accept-total-loss"]);
    assert_eq!(code, Some(0), "{said}");
    for member in ["config", "operator_key_file", "address"] {
        assert!(made[member].is_string(), "{made}");
    }
    let mode =
        |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for key in ["root.key", "operator.key"] {
        assert_eq!(mode(&data.join(key)), 0o600, "{key}");
    }
    let before = std::fs::read(data.join("root.key")).expect("the root key");
    let (code, _, said) = init(&data, &["--durability", "accept-total-loss"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not empty"), "{said}");
    assert_eq!(std::fs::read(data.join("root.key")).expect("the root key"), before);
    // An empty directory that is there already, as a mounted volume is.
    let volume = dir.path().join("volume");
    std::fs::create_dir_all(volume.join("lost+found")).expect("a directory");
    let (code, _, said) = init(&volume, &["--durability", "accept-total-loss"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(mode(&volume), 0o700);
    let inside = format!("mirror={}", dir.path().join("third/mirror").display());
    let (code, _, said) = init(&dir.path().join("third"), &["--durability", &inside]);
    assert_eq!(code, Some(2), "a mirror inside of what it is to survive: {said}");
}

#[test]
fn a_mistake_in_the_configuration_is_named_by_its_key() {
    let mut vault = Vault::init();
    let good = std::fs::read_to_string(vault.config()).expect("configuration");
    let listen = "listen = \"127.0.0.1:0\"";
    for (from, to, names) in [
        (listen, "lisen = \"127.0.0.1:0\"".to_owned(), "lisen"),
        (listen, format!("root_key = \"{SECRET}\""), "root_key"),
        (listen, format!("listen = \"{SECRET}\""), "listen"),
        (listen, "listen = 8620".to_owned(), "listen"),
        (
            "concurrent_requests = 512",
            format!("concurrent_requests = \"{SECRET}\""),
            "limits.concurrent_requests",
        ),
        (
            "concurrent_requests = 512",
            "concurrent_requests = 0".to_owned(),
            "limits.concurrent_requests",
        ),
        ("country = \"DE\"", format!("country = \"{SECRET}\""), "country"),
        ("[limits]", "[limmits]".to_owned(), "limmits"),
        ("[limits]", format!("[tls]\ncert_file = \"{SECRET}\"\nkey = \"x\"\n[limits]"), "key"),
        ("\"accept-total-loss\"", "\"hope\"".to_owned(), "durability.choices"),
        ("\"accept-total-loss\"", "\"mirror\"".to_owned(), "mirror"),
        ("[limits]", "[limits".to_owned(), "line "),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(vault.config(), good.replacen(from, &to, 1)).expect("configuration");
        assert_refused(&mut vault, 2, names);
    }
    std::fs::write(vault.config(), good.replace("[\"accept-total-loss\"]", "[]")).expect("written");
    assert_refused(&mut vault, 3, "durability_not_chosen");
    std::fs::write(vault.config(), &good).expect("configuration");
    vault.up();
}

#[test]
fn secrets_that_others_may_read_or_that_are_none_are_refused() {
    let mut vault = Vault::init();
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    for wide in [0o640, 0o604, 0o660, 0o644] {
        for (key, code, names) in
            [("root.key", 3, "root_key_mode"), ("operator.key", 2, "keys.operator_key_file")]
        {
            let file = vault.data().join(key);
            mode(&file, wide);
            assert_refused(&mut vault, code, names);
            mode(&file, 0o600);
        }
    }
    for (key, code, names) in
        [("root.key", 2, "keys.root_key_file"), ("operator.key", 2, "keys.operator_key_file")]
    {
        let file = vault.data().join(key);
        let good = std::fs::read(&file).expect("a key");
        for bad in ["", SECRET] {
            std::fs::write(&file, bad).expect("written");
            assert_refused(&mut vault, code, names);
        }
        std::fs::remove_file(&file).expect("removed");
        assert_refused(&mut vault, code, names);
        std::fs::write(&file, good).expect("written");
        mode(&file, 0o600);
    }
    vault.up();
}

#[test]
fn each_refusal_to_start_has_its_code() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let index = vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).index;
    vault.published(&tenant, index.expect("an index") + 1);
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
    // A published log that says something else than the database.
    let checkpoint = vault.data().join("log").join(&tenant.uuid).join("checkpoint");
    let good = std::fs::read_to_string(&checkpoint).expect("a checkpoint");
    let size: u64 = good.lines().nth(1).and_then(|n| n.parse().ok()).expect("a size");
    std::fs::write(&checkpoint, good.replacen(&size.to_string(), &(size + 1).to_string(), 1))
        .expect("written");
    assert_refused(&mut vault, 3, "log_behind_checkpoint");
    std::fs::write(&checkpoint, good).expect("written");
    // A slot that is not there.
    let slot = vault.data().join("slots").join(&tenant.uuid);
    let aside = vault.beside("slot");
    std::fs::rename(&slot, &aside).expect("moved");
    assert_refused(&mut vault, 3, "slot_behind_log");
    std::fs::rename(&aside, &slot).expect("moved back");
    vault.up();
}

#[test]
fn a_filesystem_that_keeps_old_bytes_is_refused_until_it_is_accepted() {
    let Some(way) = namespace("-t tmpfs none") else {
        eprintln!("skipped: no mount namespaces here");
        return;
    };
    let mut vault = Vault::init();
    let (over, lower) = (vault.beside("over"), vault.beside("lower"));
    for dir in [&over, &lower] {
        std::fs::create_dir(dir).expect("a directory");
    }
    // Upper and work directory lie on a tmpfs: an overlay cannot lie on an overlay, as in a container.
    let script = "mount -t tmpfs none \"$2\" && mkdir \"$2/l\" \"$2/u\" \"$2/w\" && \
                  mount -t overlay -o lowerdir=\"$2/l\",upperdir=\"$2/u\",workdir=\"$2/w\" none \"$1\" && \
                  cp -a \"$3\"/. \"$1\"/ && shift 3 && exec \"$@\"";
    let [at, low, from] = [&over, &lower, &vault.data()].map(|path| path.display().to_string());
    let mut wrapper: Vec<&str> = way.to_vec();
    wrapper.extend(["sh", "-c", script, "sh", &at, &low, &from]);
    let config = over.join("leadvault.toml");
    vault.configure("allow_copy_on_write = true", "allow_copy_on_write = false");
    let refused = vault.up_inside(&wrapper, &config).expect_err("it must not start");
    if refused.1.contains("mount:") {
        eprintln!("skipped: no overlay here");
        return;
    }
    assert_eq!(refused.0, Some(3), "{}", refused.1);
    assert!(refused.1.contains("slot_on_cow"), "{}", refused.1);
    vault.configure("allow_copy_on_write = false", "allow_copy_on_write = true");
    vault.up_inside(&wrapper, &config).expect("accepted, it starts");
    let ready = Caller::nobody(&vault.url()).get("/readyz").expect(200);
    assert_eq!(ready.body["level"], "E0", "and says what that means");
}

#[test]
fn a_port_that_is_taken_is_named_and_may_be_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut vault = Vault::init();
    vault.configure("127.0.0.1:0", &address);
    assert_refused(&mut vault, 4, &address);
    drop(taken);
    vault.up();
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let (code, _, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for command in [
        &["init"][..],
        &["serve"],
        &["demo"],
        &["import"],
        &["export"],
        &["verify", "log"],
        &["verify", "export"],
        &["verify", "receipt"],
        &["log", "watch"],
        &["doctor"],
        &["openapi"],
        &["health"],
        &["keys", "restore"],
    ] {
        let output = std::process::Command::new(leadvault_tests::kit::binary())
            .args(command)
            .arg("--help")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let words = command.join(" ");
        assert!(said.contains(&format!("leadvault {words}")), "{command:?} has no example: {said}");
        assert!(said.contains("Example"), "{command:?} has no example: {said}");
    }
    let wrong: [&[&str]; 5] =
        [&[], &["nonsense"], &["serve"], &["demo", "--onse"], &["verify", "log"]];
    for wrong in wrong {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
}
