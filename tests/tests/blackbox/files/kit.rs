//! A client that works with files.

use std::ops::Range;
use std::path::PathBuf;

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, files};
use leadvault_tests::package;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// Plaintext bytes of a chunk.
pub(crate) const CHUNK: usize = 65_535;

/// So many bytes that begin as a PDF does and then do not repeat.
pub(crate) fn content(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    });
    b"%PDF-1.7\n".iter().copied().chain(noise.flatten()).take(size).collect()
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(leadvault_crypto::sha256(&[bytes]))
}

/// A tenant's client.
pub(crate) struct Files<'a> {
    vault: &'a Vault,
    tenant: &'a Tenant,
    pub(crate) caller: Caller,
}

impl<'a> Files<'a> {
    pub(crate) fn of(vault: &'a Vault, tenant: &'a Tenant) -> Self {
        Self { vault, tenant, caller: vault.acting(tenant) }
    }

    /// Makes a file of a lead.
    pub(crate) fn make(&self, lead: &str, name: &str, size: usize) -> String {
        self.make_with(lead, &json!({ "name": name, "size": size }))
    }

    pub(crate) fn make_with(&self, lead: &str, body: &Value) -> String {
        let made = self.caller.post(&format!("/v1/leads/{lead}/files"), body).expect(201);
        assert!(made.index.is_some());
        made.text_of("id")
    }

    /// Makes a file and uploads it.
    pub(crate) fn upload(&self, lead: &str, name: &str, bytes: Vec<u8>) -> String {
        let id = self.make(lead, name, bytes.len());
        self.put(&id, bytes).expect(200);
        id
    }

    pub(crate) fn put(&self, id: &str, bytes: Vec<u8>) -> Answer {
        self.try_put(id, bytes).expect("an answer")
    }

    pub(crate) fn try_put(&self, id: &str, bytes: Vec<u8>) -> reqwest::Result<Answer> {
        let path = format!("/v1/files/{id}/content");
        self.caller.try_send(Method::PUT, &path, &[], Some(bytes))
    }

    /// Uploads a range of the whole.
    pub(crate) fn put_range(&self, id: &str, whole: &[u8], range: Range<usize>) -> Answer {
        let span = format!("bytes {}-{}/{}", range.start, range.end - 1, whole.len());
        let path = format!("/v1/files/{id}/content");
        let body = whole[range].to_vec();
        self.caller.send(Method::PUT, &path, &[("content-range", span.as_str())], Some(body))
    }

    /// Where an upload stands, and the length of the whole.
    pub(crate) fn offset(&self, id: &str) -> (u64, u64) {
        let path = format!("/v1/files/{id}/content");
        let told = self.caller.send(Method::HEAD, &path, &[], None).expect(200);
        let number = |name| told.header(name).parse().expect("a number");
        (number("upload-offset"), number("upload-length"))
    }

    pub(crate) fn fetch(&self, id: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        self.caller.fetch(&format!("/v1/files/{id}/content"), headers)
    }

    /// A download that has begun and is not read.
    pub(crate) fn begin(&self, id: &str) -> impl std::io::Read + use<> {
        self.caller.begin(&format!("/v1/files/{id}/content")).expect("an answer")
    }

    /// A download that is refused.
    #[track_caller]
    pub(crate) fn fetch_code(&self, id: &str, status: u16, code: &str) {
        let refused = self.caller.get(&format!("/v1/files/{id}/content")).expect(status);
        assert_eq!(refused.code(), code);
    }

    /// Erases a file, as its controller may without an instruction.
    pub(crate) fn delete(&self, id: &str) -> Answer {
        let caller = self.vault.plain(self.tenant);
        caller.send(Method::DELETE, &format!("/v1/files/{id}"), &[], None)
    }

    pub(crate) fn list(&self, lead: &str) -> Vec<Value> {
        let listed = self.caller.get(&format!("/v1/leads/{lead}/files")).expect(200);
        listed.body["data"].as_array().expect("a list").clone()
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        package::entries(&self.vault.plain(self.tenant))
    }

    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        objects(self.vault, self.tenant)
    }
}

/// The objects of a tenant.
pub(crate) fn objects(vault: &Vault, tenant: &Tenant) -> Vec<PathBuf> {
    let dir = vault.objects_dir().join(&tenant.uuid);
    if !dir.exists() {
        return Vec::new();
    }
    let is_object = |name: &String| name.len() == 32;
    files(&dir).into_iter().filter(is_object).map(|name| dir.join(name)).collect()
}
