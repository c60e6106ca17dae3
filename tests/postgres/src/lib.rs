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

/// One of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Rows and journal.
    Data,
    /// Key-store blobs.
    Keys,
}

impl Store {
    const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Keys => "keys",
        }
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

    /// Keeps a copy of a database under a name; nobody may be connected to it.
    ///
    /// # Panics
    /// When somebody is.
    pub fn keep(&self, store: Store, copy: &str) {
        self.replace(&format!("{}_{}_{copy}", self.name, store.name()), &self.named(store));
    }

    /// Puts the copy of that name in the place of a database.
    ///
    /// # Panics
    /// Without the copy.
    pub fn put_back(&self, store: Store, copy: &str) {
        self.replace(&self.named(store), &format!("{}_{}_{copy}", self.name, store.name()));
    }

    /// Puts the copy of that name of another pair in the place of a database.
    ///
    /// # Panics
    /// Without the copy.
    pub fn put_in(&self, store: Store, other: &Self, copy: &str) {
        self.replace(&self.named(store), &format!("{}_{}_{copy}", other.name, store.name()));
    }

    /// Puts an empty database with the schema of this program in the place of one.
    ///
    /// # Panics
    /// Before [`Databases::fresh`] was ever called.
    pub fn lose(&self, store: Store) {
        let template = format!("template_{}_{}", std::process::id(), store.name());
        self.replace(&self.named(store), &template);
    }

    /// Makes a database refuse every write, or take them again. Connections of before are cut.
    ///
    /// # Panics
    /// Without the database.
    pub fn refuse_writes(&self, store: Store, refuse: bool) {
        let name = self.named(store);
        let setting = if refuse { "SET default_transaction_read_only = on" } else { "RESET ALL" };
        let cut = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        let any = url(&self.socket, "postgres", OWNER);
        psql(&any, &format!("ALTER DATABASE {name} {setting}"));
        psql(&any, &cut);
    }

    /// Files of a database as they lie on the disk, after everything that is in memory was written there.
    ///
    /// # Panics
    /// When this user may not read them.
    pub fn files(&self, store: Store) -> PathBuf {
        let name = self.named(store);
        let any = url(&self.socket, "postgres", OWNER);
        psql(&any, "CHECKPOINT");
        let place = "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database";
        PathBuf::from(psql(&any, &format!("{place} WHERE datname = '{name}'")).trim())
    }

    fn named(&self, store: Store) -> String {
        format!("{}_{}", self.name, store.name())
    }

    fn replace(&self, name: &str, template: &str) {
        let any = url(&self.socket, "postgres", OWNER);
        psql(&any, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        psql(&any, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
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
        // The pair and its copies. A database that stays goes with the cluster.
        let any = url(&self.socket, "postgres", OWNER);
        let own = format!(
            "SELECT datname FROM pg_database WHERE datname LIKE '{0}\\_data%' OR datname LIKE '{0}\\_keys%'",
            self.name.replace('_', "\\_")
        );
        for name in try_psql(&any, &own).unwrap_or_default().lines() {
            let _ = try_psql(&any, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}
