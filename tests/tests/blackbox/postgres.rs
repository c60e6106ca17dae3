//! A service on PostgreSQL: what it says where its databases do not fit. That it does what it does on files is the rest
//! of the suite, run with vaults in PostgreSQL.

use leadvault_test_postgres::{APP, Databases, OWNER, psql};
use leadvault_tests::kit::{on_postgres, run};

const SECRET: &str = "s3cret-of-the-database";

/// A file with a URL, as `init` and `migrate` take it.
fn file(dir: &std::path::Path, name: &str, url: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    std::fs::write(&path, url).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path.to_str().expect("utf-8").to_owned()
}

/// With a password in it, which the cluster of the suite does not ask for.
fn url(url: &str) -> String {
    format!("{url}&password={SECRET}")
}

#[test]
fn a_service_says_what_its_database_lacks() {
    if !on_postgres() {
        return;
    }
    let databases = Databases::empty();
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str, of: &str| file(dir.path(), name, &url(of));
    let owner_data = place("owner-data.url", &databases.data_url(OWNER));
    let owner_keys = place("owner-keys.url", &databases.keys_url(OWNER));
    let data = place("data.url", &databases.data_url(APP));
    let keys = place("keys.url", &databases.keys_url(APP));
    let vault = dir.path().join("vault");
    let (code, made, said) = run(&[
        "init",
        "--data",
        vault.to_str().expect("utf-8"),
        "--durability",
        "accept-total-loss",
        "--listen",
        "127.0.0.1:0",
        "--data-url-file",
        &data,
        "--keys-url-file",
        &keys,
    ]);
    assert_eq!(code, Some(0), "{said}");
    let config = made["config"].as_str().expect("a path");
    let text = std::fs::read_to_string(config).expect("configuration");
    let text = text.replace("allow_copy_on_write = false", "allow_copy_on_write = true");
    std::fs::write(config, text).expect("configuration");
    let serve = |expected: i32, says: &str| {
        let (code, _, said) = run(&["serve", "--config", config]);
        assert_eq!(code, Some(expected), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    };
    let migrate = |data: &str, keys: &str| {
        let done = run(&["migrate", "--data-url-file", data, "--keys-url-file", keys]);
        assert!(!done.2.contains(SECRET), "{}", done.2);
        done
    };
    // One database for both, and a file that is no URL.
    let (code, _, said) = migrate(&owner_data, &owner_data);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--keys-url-file"), "{said}");
    let nothing = file(dir.path(), "nothing.url", SECRET);
    let (code, _, said) = migrate(&nothing, &owner_keys);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--data-url-file"), "{said}");

    let (code, done, said) = migrate(&owner_data, &owner_keys);
    assert_eq!((code, &done["ok"]), (Some(0), &serde_json::json!(true)), "{said}");
    assert_eq!(migrate(&owner_data, &owner_keys).0, Some(0), "again");
    databases.make_login();
    // As the owner, behind the schema, before it, with a URL that is none, and where nobody is.
    let wrong = |of: &str| std::fs::write(&data, of).expect("a file");
    wrong(&url(&databases.data_url(OWNER)));
    serve(2, "lv_app");
    wrong("not a url");
    serve(2, "postgres.data_url_file");
    wrong("postgres:///data?host=/nowhere-at-all&user=vault");
    serve(4, "the store");
    wrong(&url(&databases.data_url(APP)));
    let version = "UPDATE _sqlx_migrations SET version = version";
    psql(&databases.data_url(OWNER), &format!("{version} - 1000"));
    serve(2, "leadvault migrate");
    psql(&databases.data_url(OWNER), &format!("{version} + 5000"));
    serve(3, "schema_newer");
    let (code, _, said) = migrate(&owner_data, &owner_keys);
    assert_eq!(code, Some(3), "{said}");
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("its mode");
    serve(2, "chmod 600");
}
