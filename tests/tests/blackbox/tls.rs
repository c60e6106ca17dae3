//! TLS as it is configured: 1.3 and nothing older, and files that do not fit are named.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use leadvault_tests::kit::Vault;
use reqwest::blocking::Client;

/// A certificate of its own for `127.0.0.1`: PEM of certificate and key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A vault that is configured with these files, not started.
fn vault_with(cert: &str, key: &str) -> (Vault, PathBuf) {
    let vault = Vault::init();
    let (cert_file, key_file) = (vault.beside("cert.pem"), vault.beside("key.pem"));
    std::fs::write(&cert_file, cert).expect("written");
    std::fs::write(&key_file, key).expect("written");
    std::fs::set_permissions(&key_file, Permissions::from_mode(0o600)).expect("closed to others");
    let text = std::fs::read_to_string(vault.config()).expect("configuration");
    let (cert, key) = (cert_file.display(), key_file.display());
    let tls = format!("\n[tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n");
    std::fs::write(vault.config(), format!("{text}{tls}")).expect("configuration");
    (vault, key_file)
}

/// A ClientHello of TLS 1.2 (RFC 5246 7.4.1.2): it names no other version, and two suites that any server
/// of that version knows.
const HELLO_1_2: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x4b, 0x01, 0x00, 0x00, 0x47, 0x03, 0x03, //
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    27, 28, 29, 30, 31, 32,   // random
    0x00, // no session
    0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2f, // ECDHE with AES-128-GCM
    0x01, 0x00, // no compression
    0x00, 0x1a, // extensions
    0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17, // supported_groups: secp256r1
    0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, // ec_point_formats
    0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04,
    0x01, // signature_algorithms
];

#[test]
fn tls_1_3_is_spoken_and_1_2_is_refused() {
    let (cert, key) = certificate();
    let (mut vault, _) = vault_with(&cert, &key);
    vault.up();
    let url = vault.url();
    let address = url.strip_prefix("https://").expect("https");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(cert.as_bytes()).expect("a certificate");
    let client =
        Client::builder().tls_certs_only([root]).https_only(true).build().expect("a client");
    let answer = client.get(format!("{url}/healthz")).send().expect("an answer");
    assert_eq!(answer.status(), 200);
    let hsts = answer.headers()["strict-transport-security"].to_str().expect("text").to_owned();
    assert!(hsts.starts_with("max-age="), "{hsts}");
    let strange = Client::builder().tls_certs_only([]).build().expect("a client");
    strange.get(format!("{url}/healthz")).send().expect_err("nobody vouches for the certificate");

    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(HELLO_1_2).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed");
    // Alert (21), fatal (2), protocol_version (70).
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    assert_eq!(answer.get(5..7), Some(&[2, 70][..]), "{answer:?}");

    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "nothing is served in clear");
}

#[test]
fn files_that_do_not_fit_are_named_and_nothing_is_served() {
    let ((cert, key), (_, other)) = (certificate(), certificate());
    for (cert, key, named) in [
        (cert.as_str(), other.as_str(), "tls.key_file"),
        (cert.as_str(), "no key", "tls.key_file"),
        ("no certificate", key.as_str(), "tls.cert_file"),
    ] {
        let (mut vault, _) = vault_with(cert, key);
        let (code, err) = vault.up_with(None).expect_err("it does not start");
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(named), "{named}: {err}");
    }
    let (mut vault, key_file) = vault_with(&cert, &key);
    std::fs::remove_file(key_file).expect("removed");
    let (code, err) = vault.up_with(None).expect_err("it does not start");
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("tls.key_file"), "{err}");
    assert!(!err.contains("PRIVATE KEY"), "{err}");
}

#[test]
fn the_page_of_the_documentation_loads_nothing_from_elsewhere() {
    let vault = Vault::start();
    let nobody = leadvault_tests::kit::Caller::nobody(&vault.url());
    for page in ["/docs", "/docs/errors"] {
        let answer = nobody.get(page).expect(200);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("http") && !policy.contains("unsafe"), "{policy}");
        let mut loaded = 0;
        for attribute in ["src=\"", "href=\""] {
            for rest in answer.text.split(attribute).skip(1) {
                let target = rest.split('"').next().expect("a target");
                let own = target.starts_with('/') || target.starts_with('#');
                assert!(own && !target.starts_with("//"), "{page} loads {target}");
                if target.starts_with("/docs/docs.") {
                    nobody.get(target).expect(200);
                    loaded += 1;
                }
            }
        }
        assert!(loaded > 0, "{page} has a style of its own");
    }
    for asset in ["/docs/docs.js", "/docs/docs.css"] {
        let text = nobody.get(asset).expect(200).text;
        assert!(!text.contains("http://") && !text.contains("https://"), "{asset}");
    }
}
