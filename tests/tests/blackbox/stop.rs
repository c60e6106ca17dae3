//! The end of a server: open requests are answered, nothing acknowledged is lost, and the exit code tells.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use leadvault_tests::account::Account;
use leadvault_tests::fault::{Raw, statuses};
use leadvault_tests::kit::{Vault, attestation, binary, on_postgres, run, until};
use rustix::process::Signal;
use serde_json::json;

/// Callers that write while the server is told to stop.
const CALLERS: usize = 8;
/// Leads made before it is.
const LEADS: usize = 40;

#[test]
fn a_server_that_is_told_to_stop_under_load_answers_and_loses_nothing() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut vault = Vault::start();
        let tenant = vault.tenant();
        let mut account = Account::of(&tenant);
        let (made, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let acknowledged: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let (vault, tenant, made, stop) = (&vault, &tenant, &made, &stop);
                    scope.spawn(move || {
                        let (client, mut told) = (vault.acting(tenant), Vec::new());
                        for n in 0.. {
                            let email = format!("c{caller}n{n}@example.com");
                            let body =
                                json!({ "dataset": tenant.dataset, "fields": { "email": email } });
                            let json = [("content-type", "application/json")];
                            let body = body.to_string().into_bytes();
                            let post = reqwest::Method::POST;
                            // Once the server is told to stop, a new connection is refused.
                            let Ok(answer) = client.try_send(post, "/v1/leads", &json, Some(body))
                            else {
                                assert!(stop.load(Ordering::Acquire), "cut before the signal");
                                break;
                            };
                            told.push((answer.expect(201), email));
                            made.fetch_add(1, Ordering::AcqRel);
                        }
                        told
                    })
                })
                .collect();
            until("the load is on", || (made.load(Ordering::Acquire) >= LEADS).then_some(()));
            stop.store(true, Ordering::Release);
            vault.signal(signal);
            threads.into_iter().flat_map(|thread| thread.join().expect("a caller")).collect()
        });
        assert_eq!(vault.ended(), Some(0), "{signal:?}");
        assert!(acknowledged.len() >= LEADS);
        let data = vault.data();
        for name in ["data.db-wal", "keys.db-wal"] {
            let left = std::fs::metadata(data.join(name)).map_or(0, |m| m.len());
            assert_eq!(left, 0, "a clean end leaves each database in one file: {name}");
        }
        vault.up();
        for (answer, email) in &acknowledged {
            account.acknowledged(answer, email);
        }
        account.assert_kept(&vault, "after a clean end");
        assert!(!vault.stderr().contains("\"bug\""), "{}", vault.stderr());
    }
}

#[test]
fn an_upload_in_flight_ends_before_the_server_does() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = vault.acting(&tenant).post("/v1/imports", &open).expect(201).text_of("id");
    let file = "email\r\nada@example.com\r\ngrace@example.com\r\n";
    let head = format!(
        "PUT /v1/imports/{import}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         instruction: {}\r\npurpose: crm_operations\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        tenant.key,
        tenant.instruction,
        file.len()
    );
    let mut raw = Raw::to(&vault.url());
    let (first, second) = file.split_at(20);
    assert!(raw.send(head.as_bytes()));
    // Said when the use case asks for the body.
    assert_eq!(raw.status_line(), "HTTP/1.1 100 Continue");
    assert!(raw.send(first.as_bytes()));
    vault.signal(Signal::TERM);
    // New connections are refused from now on; the open one goes on.
    let url = vault.url();
    until("the server takes nobody new", || {
        let address = url.strip_prefix("http://").expect("plain HTTP");
        std::net::TcpStream::connect(address).err()
    });
    assert!(raw.send(second.as_bytes()));
    let answer = raw.rest();
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert!(answer.contains("\"stored\":2"), "{answer}");
    assert_eq!(vault.ended(), Some(0));
}

#[test]
fn a_second_signal_does_not_wait_and_says_so() {
    let mut vault = Vault::start();
    // A request that never ends: the head is there, the body is not.
    let tenant = vault.tenant();
    let mut raw = Raw::to(&vault.url());
    let head = format!(
        "POST /v1/leads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: 100\r\n\r\n",
        tenant.key
    );
    assert!(raw.send(head.as_bytes()));
    assert_eq!(raw.status_line(), "HTTP/1.1 100 Continue");
    vault.signal(Signal::INT);
    let url = vault.url();
    until("the server takes nobody new", || {
        let address = url.strip_prefix("http://").expect("plain HTTP");
        std::net::TcpStream::connect(address).err()
    });
    vault.signal(Signal::INT);
    assert_eq!(vault.ended(), Some(4));
    assert!(vault.stderr().contains("second signal"), "{}", vault.stderr());
    vault.up();
}

#[test]
fn one_data_directory_is_served_by_one_process() {
    if on_postgres() {
        // Several nodes share one there.
        return;
    }
    let vault = Vault::start();
    let config = vault.config();
    let (code, _, said) = run(&["serve", "--config", config.to_str().expect("utf-8")]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("another process"), "{said}");
    vault.operator().get("/v1/tenants").expect(200);
}

#[test]
fn a_server_that_the_demo_started_ends_with_it() {
    let vault = Vault::init();
    let out = vault.beside("ready");
    let script = "LEADVAULT_PARENT=$$ \"$0\" serve --config \"$1\" > \"$2\" & wait";
    let mut parent = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(binary())
        .arg(vault.config())
        .arg(&out)
        .spawn()
        .expect("a shell");
    let url = until("the server is ready", || {
        let line = std::fs::read_to_string(&out).ok()?;
        let ready: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
        Some(ready["address"].as_str()?.to_owned())
    });
    let address = url.strip_prefix("http://").expect("plain HTTP").to_owned();
    std::net::TcpStream::connect(&address).expect("the control: it serves");
    parent.kill().expect("killed");
    parent.wait().expect("killed");
    until("the server is gone", || std::net::TcpStream::connect(&address).err());
}
