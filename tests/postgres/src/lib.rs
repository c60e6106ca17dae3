//! Databases for tests, in the private cluster that `cargo xtask test` starts; whoever runs a test by hand starts
//! one with `cargo xtask postgres`. A test gets a pair of its own, a data store and a key store, and drops it.
//!
//! Roles as in production: an owner who makes the schema, and a login that is a member of `lv_app` and of
//! nothing else. Statements of tests go through `psql`, so that what they see is what an operator would see.

#![expect(clippy::panic, reason = "a test without its database fails")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Where the cluster's socket lies.
const VARIABLE: &str = "LEADVAULT_TEST_POSTGRES";
/// The superuser of the cluster, who owns the tables.
pub const OWNER: &str = "owner";
/// The application's login.
pub const APP: &str = "vault";

/// The directory of the cluster's socket.
fn socket() -> PathBuf {
    match std::env::var_os(VARIABLE) {
        Some(directory) => directory.into(),
        None => panic!(
            "{VARIABLE} is not set: run `cargo xtask test`, or `cargo xtask postgres` in another terminal"
        ),
    }
}

/// The URL of a database, for a role.
fn url(socket: &Path, database: &str, role: &str) -> String {
    format!("postgres:///{database}?host={}&user={role}", socket.display())
}

/// Runs statements as the cluster's superuser, and returns what they say, unaligned.
///
/// # Panics
/// When `psql` is not there or the statements fail.
pub fn psql(url: &str, statements: &str) -> String {
    match try_psql(url, statements) {
        Ok(said) => said,
        Err(refused) => panic!("psql: {refused}"),
    }
}

/// Runs statements; what they say, or what the server says against them.
///
/// # Errors
/// The server's message.
///
/// # Panics
/// When `psql` is not there.
pub fn try_psql(url: &str, statements: &str) -> Result<String, String> {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statements]);
    let done = match command.output() {
        Ok(done) => done,
        Err(error) => panic!("psql cannot be started: {error}"),
    };
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

/// A pair of databases, gone when it is dropped.
#[derive(Debug)]
pub struct Databases {
    socket: PathBuf,
    name: String,
}

/// The template of this process: `false` until its schema is made.
static TEMPLATE: OnceLock<Mutex<bool>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Databases {
    /// A fresh pair with the schema of this program. `migrate` makes it, once for the process, in the databases
    /// whose URLs it is given: data, then keys.
    ///
    /// # Panics
    /// Without the cluster.
    pub fn fresh(migrate: impl FnOnce(&str, &str)) -> Self {
        let socket = socket();
        let process = std::process::id();
        let template = Self { socket: socket.clone(), name: format!("template_{process}") };
        let made = TEMPLATE.get_or_init(|| Mutex::new(false));
        let mut is_made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_made {
            template.create(None);
            migrate(&template.data_url(OWNER), &template.keys_url(OWNER));
            template.make_login();
            *is_made = true;
        }
        drop(is_made);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pair = Self { socket, name: format!("test_{process}_{number}") };
        pair.create(Some(&template.name));
        // The template stays for the next test; the cluster goes with the test command.
        std::mem::forget(template);
        pair
    }

    /// An empty pair, for whoever makes the schema himself.
    ///
    /// # Panics
    /// Without the cluster.
    pub fn empty() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pair =
            Self { socket: socket(), name: format!("empty_{}_{number}", std::process::id()) };
        pair.create(None);
        pair
    }

    /// URL of the data store's database for a role.
    pub fn data_url(&self, role: &str) -> String {
        url(&self.socket, &format!("{}_data", self.name), role)
    }

    /// URL of the key store's database for a role.
    pub fn keys_url(&self, role: &str) -> String {
        url(&self.socket, &format!("{}_keys", self.name), role)
    }

    /// Makes the application's login, once the schema has made the role it is a member of.
    ///
    /// # Panics
    /// Without that role.
    pub fn make_login(&self) {
        psql(
            &self.data_url(OWNER),
            "DO $$ BEGIN CREATE ROLE vault LOGIN IN ROLE lv_app; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        );
    }

    fn create(&self, template: Option<&str>) {
        for store in ["data", "keys"] {
            let of = template.map(|t| format!(" TEMPLATE {t}_{store}")).unwrap_or_default();
            let statement = format!("CREATE DATABASE {}_{store}{of}", self.name);
            psql(&url(&self.socket, "postgres", OWNER), &statement);
        }
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for store in ["data", "keys"] {
            let statement = format!("DROP DATABASE IF EXISTS {}_{store} WITH (FORCE)", self.name);
            // A database that stays goes with the cluster.
            let _ = try_psql(&url(&self.socket, "postgres", OWNER), &statement);
        }
    }
}
