//! The root key file.

use std::fs::{Permissions, read, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;

use leadvault_crypto::SecretKey;
use leadvault_domain::TenantId;
use leadvault_keys::{Assurance, RootError, RootKey, WrapContext};
use leadvault_kms::FileRoot;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

#[tokio::test]
async fn a_created_file_is_closed_to_others_and_opens_to_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let made = FileRoot::create(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let context = WrapContext::tenant_kek(TENANT, 1);
    let wrapped = made.wrap(&context, &SecretKey::from_bytes([7; 32])).await.unwrap();
    let opened = FileRoot::open(&path).unwrap();
    let key = opened.unwrap(&context, &wrapped).await.unwrap();
    assert!(key.ct_eq(&SecretKey::from_bytes([7; 32])));
    assert_eq!((opened.level(), opened.provider()), (Assurance::E1Local, "file"));
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    FileRoot::create(&path).unwrap();
    let before = read(&path).unwrap();
    assert_eq!(FileRoot::create(&path).err(), Some(RootError::Exists));
    assert_eq!(read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished is left");
}

#[test]
fn a_file_open_to_group_or_others_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    FileRoot::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o610, 0o644] {
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(FileRoot::open(&path).err(), Some(RootError::Mode), "{mode:o}");
    }
    set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(FileRoot::open(&path).is_ok(), "control");
}

#[tokio::test]
async fn raw_and_hex_files_are_the_same_key_and_anything_else_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let open = |bytes: &[u8]| {
        write(&path, bytes).unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        FileRoot::open(&path)
    };
    let context = WrapContext::log_signing_key(1);
    let raw = open(&[0xab; 32]).unwrap();
    let wrapped = raw.wrap(&context, &SecretKey::from_bytes([7; 32])).await.unwrap();
    for text in
        ["ab".repeat(32), format!("{}\n", "AB".repeat(32)), format!("{}\r\n", "ab".repeat(32))]
    {
        assert!(open(text.as_bytes()).unwrap().unwrap(&context, &wrapped).await.is_ok());
    }
    for bad in [
        &[][..],
        &[0; 31],
        &[0; 33],
        "ab".repeat(31).as_bytes(),
        "xy".repeat(32).as_bytes(),
        &[b' '; 4_096],
    ] {
        assert_eq!(open(bad).err(), Some(RootError::Malformed));
    }
    assert_eq!(FileRoot::open(&dir.path().join("none")).err(), Some(RootError::Unavailable));
}

#[tokio::test]
async fn a_wrap_opens_in_its_own_context_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = FileRoot::create(&dir.path().join("root.key")).unwrap();
    let context = WrapContext::tenant_kek(TENANT, 3);
    let wrapped = root.wrap(&context, &SecretKey::from_bytes([7; 32])).await.unwrap();
    assert!(root.unwrap(&context, &wrapped).await.is_ok(), "control");
    for other in [
        WrapContext::tenant_kek(TENANT, 2),
        WrapContext::tenant_kek(TenantId::from_bytes([2; 16]), 3),
        WrapContext { tenant: None, ..context },
        WrapContext::log_signing_key(3),
    ] {
        let opened = root.unwrap(&other, &wrapped).await;
        assert_eq!(opened.err(), Some(RootError::Unopenable), "{other:?}");
    }
}
