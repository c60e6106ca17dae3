//! A vault as an earlier version left it, kept in the repository: its data directory, and dumps of its databases.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use leadvault_test_postgres::{APP, Databases, OWNER};
use serde_json::Value;

use super::stores::{Stores, migrate, secret};
use super::{Vault, copy_dir, files};

/// Stands in a kept configuration for the directory that the vault lies in.
const PLACE: &str = "@PLACE@";
/// What each start makes again, and nobody wants in a repository.
const REMADE: [&str; 3] = ["ballast", "-shm", "lock"];

/// The directory of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

impl Vault {
    /// Keeps a stopped vault as a fixture, with what is known of it.
    pub fn keep_as_fixture(&self, name: &str, known: &Value) {
        let kept = fixture(name);
        let _ = std::fs::remove_dir_all(&kept);
        copy_dir(&self.data(), &kept.join("vault"));
        for file in files(&kept.join("vault")) {
            if REMADE.iter().any(|remade| file.ends_with(remade)) {
                std::fs::remove_file(kept.join("vault").join(file)).expect("removed");
            }
        }
        let config = kept.join("vault").join("leadvault.toml");
        let text = std::fs::read_to_string(&config).expect("configuration");
        let place = self.beside("").to_str().expect("utf-8").trim_end_matches('/').to_owned();
        std::fs::write(&config, text.replace(&place, PLACE)).expect("configuration");
        let known = serde_json::to_string_pretty(known).expect("JSON");
        std::fs::write(kept.join("known.json"), known + "\n").expect("what is known");
        if let Stores::Databases(pair) = self.stores() {
            for (store, url) in [("data", pair.data_url(OWNER)), ("keys", pair.keys_url(OWNER))] {
                let dump = kept.join(format!("{store}.dump"));
                let mut command = Command::new("pg_dump");
                command
                    .args(["--format=custom", "--no-owner", "--file"])
                    .arg(dump)
                    .arg("-d")
                    .arg(url);
                assert!(command.status().expect("pg_dump").success());
            }
        }
    }

    /// A vault that is not started, as a fixture has it, and what is known of it.
    pub fn of_fixture(name: &str) -> (Self, Value) {
        let kept = fixture(name);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("vault");
        copy_dir(&kept.join("vault"), &data);
        let place = dir.path().to_str().expect("utf-8");
        // A repository keeps no modes.
        for file in files(&data) {
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(data.join(file), private).expect("its mode");
        }
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("its mode");
        let config = data.join("leadvault.toml");
        let text = std::fs::read_to_string(&config).expect("configuration");
        std::fs::write(&config, text.replace(PLACE, place)).expect("configuration");
        let stores = if kept.join("data.dump").exists() {
            Stores::Databases(restored(&kept, dir.path()))
        } else {
            Stores::Files
        };
        let known = std::fs::read(kept.join("known.json")).expect("what is known");
        (Self::lying_in(dir, data, stores), serde_json::from_slice(&known).expect("JSON"))
    }
}

/// The dumps in a pair of databases of this cluster, brought up to the schema of this program.
fn restored(kept: &Path, dir: &Path) -> Databases {
    // The roles that the dump names belong to the cluster: whichever vault comes first makes them.
    drop(Stores::databases());
    let pair = Databases::empty();
    for (store, url) in [("data", pair.data_url(OWNER)), ("keys", pair.keys_url(OWNER))] {
        let mut command = Command::new("pg_restore");
        command.args(["--no-owner", "--exit-on-error", "-d"]).arg(url);
        let status = command.arg(kept.join(format!("{store}.dump"))).status();
        assert!(status.expect("pg_restore").success());
    }
    migrate(&pair.data_url(OWNER), &pair.keys_url(OWNER));
    pair.make_login();
    secret(dir, "data.url", &pair.data_url(APP));
    secret(dir, "keys.url", &pair.keys_url(APP));
    pair
}
