//! Where the rows of a vault lie: two files in its data directory, or a pair of databases. The suite runs on either:
//! `LEADVAULT_TEST_ENGINE=postgres` chooses the second.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use leadvault_test_postgres::{APP, Databases, Store};

use super::{Vault, copy_database, copy_dir, run};

/// Which engine the vaults of this run have.
const VARIABLE: &str = "LEADVAULT_TEST_ENGINE";

/// Whether the vaults of this run lie in PostgreSQL.
pub fn on_postgres() -> bool {
    std::env::var(VARIABLE).is_ok_and(|engine| engine == "postgres")
}

/// The stores of a vault.
#[derive(Debug)]
pub enum Stores {
    /// `data.db` and `keys.db`, made at the first start.
    Files,
    /// Two databases with the schema of this program.
    Databases(Databases),
}

impl Stores {
    /// Those of the engine of this run.
    pub(super) fn fresh() -> Self {
        if on_postgres() { Self::databases() } else { Self::Files }
    }

    /// A pair of databases with the schema of this program, whatever the engine of this run.
    pub fn databases() -> Self {
        Self::Databases(Databases::fresh(migrate))
    }

    /// What `init` and `move-store` are told of them; files with URLs go to `dir`.
    pub fn init_arguments(&self, dir: &Path) -> Vec<String> {
        let Self::Databases(databases) = self else { return Vec::new() };
        let data = secret(dir, "data.url", &databases.data_url(APP));
        let keys = secret(dir, "keys.url", &databases.keys_url(APP));
        vec!["--data-url-file".to_owned(), data, "--keys-url-file".to_owned(), keys]
    }
}

/// The database that has the place of a file of the embedded store.
fn store_of(name: &str) -> Option<Store> {
    match name {
        "data.db" => Some(Store::Data),
        "keys.db" => Some(Store::Keys),
        _ => None,
    }
}

impl Vault {
    /// Copies parts of a stopped vault, by the names they have in the data directory of an embedded one.
    pub fn keep(&self, names: &[&str], copy: &str) {
        let (data, kept) = (self.data(), self.beside(copy));
        std::fs::create_dir_all(&kept).expect("a directory");
        for name in names {
            match (self.stores(), store_of(name)) {
                (Stores::Databases(pair), Some(store)) => pair.keep(store, copy),
                _ if *name == "files" => copy_part(&self.objects_dir(), &kept.join(name)),
                _ => copy_part(&data.join(name), &kept.join(name)),
            }
        }
    }

    /// Puts such copies back.
    pub fn put_back(&self, names: &[&str], copy: &str) {
        let (data, kept) = (self.data(), self.beside(copy));
        for name in names {
            match (self.stores(), store_of(name)) {
                (Stores::Databases(pair), Some(store)) => pair.put_back(store, copy),
                _ if *name == "files" => copy_part(&kept.join(name), &self.objects_dir()),
                _ => copy_part(&kept.join(name), &data.join(name)),
            }
        }
    }

    /// Loses the key store of a stopped vault.
    pub fn lose_keys(&self) {
        match self.stores() {
            Stores::Databases(pair) => pair.lose(Store::Keys),
            Stores::Files => {
                for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
                    let _ = std::fs::remove_file(self.data().join(name));
                }
            }
        }
    }
}

fn copy_part(from: &Path, to: &Path) {
    if from.is_dir() {
        let _ = std::fs::remove_dir_all(to);
        copy_dir(from, to);
    } else {
        copy_database(from, to);
    }
}

/// Makes the schema as an operator does.
pub(super) fn migrate(data: &str, keys: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data, keys) = (secret(dir.path(), "data", data), secret(dir.path(), "keys", keys));
    let (code, _, err) = run(&["migrate", "--data-url-file", &data, "--keys-url-file", &keys]);
    assert_eq!(code, Some(0), "{err}");
}

/// A file that its owner alone may read.
pub(super) fn secret(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path.to_str().expect("utf-8").to_owned()
}
