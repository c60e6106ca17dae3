//! A bucket for sealed objects, served by `s3s-fs`: a server of the S3 protocol that somebody else wrote, and that checks
//! signatures. `LEADVAULT_TEST_S3` names the program; without it objects lie in the data directory.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::until;

/// Names the program.
const VARIABLE: &str = "LEADVAULT_TEST_S3";
const NAME: &str = "leads";
const ACCESS_KEY: &str = "vault";
const SECRET_KEY: &str = "a key of tests, and of nothing else";

/// The program, where this run has buckets.
pub fn bucket_program() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// A server with one bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    server: Child,
    root: PathBuf,
    port: u16,
}

impl Bucket {
    /// Starts a server whose bucket lies in `root`, where this run has buckets.
    pub(super) fn start(root: PathBuf) -> Option<Self> {
        let program = bucket_program()?;
        std::fs::create_dir_all(root.join(NAME)).expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut server = Command::new(program);
        server.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        server.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(&root);
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = server.expect("the S3 server starts");
        until("the S3 server listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { server, root, port })
    }

    /// Its directory.
    pub(super) fn dir(&self) -> PathBuf {
        self.root.join(NAME)
    }

    /// The section of a configuration; the secret goes to a file in `data`.
    pub(super) fn section(&self, data: &Path) -> String {
        let secret = data.join("objects.key");
        std::fs::write(&secret, SECRET_KEY).expect("a file");
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&secret, closed).expect("permissions");
        format!(
            "\n[objects]\nendpoint = \"http://127.0.0.1:{}\"\nbucket = \"{NAME}\"\nregion = \"eu\"\n\
             access_key_id = \"{ACCESS_KEY}\"\nsecret_key_file = \"objects.key\"\n",
            self.port
        )
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
