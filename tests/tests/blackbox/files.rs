//! Files of leads: uploaded in one go or in pieces, downloaded whole or in spans, and nothing of them in clear.

pub(crate) mod kit;

use std::io::Read;
use std::sync::mpsc;

use leadvault_tests::kit::{Vault, bucket_program, instruction, run, until};
use reqwest::Method;
use serde_json::{Value, json};

use self::kit::{CHUNK, Files, content, sha256_hex};

/// Operations of the entries that name a file, and the bytes they say.
fn told(files: &Files<'_>, id: &str) -> Vec<(String, u64)> {
    let of = |entry: &&Value| entry["resource"]["id"] == id;
    let word = |entry: &Value| entry["operation"].as_str().expect("a word").to_owned();
    let bytes = |entry: &Value| entry["resource"]["bytes"].as_u64().unwrap_or(0);
    files.entries().iter().filter(of).map(|entry| (word(entry), bytes(entry))).collect()
}

#[test]
fn a_file_goes_up_and_comes_back_whole_and_in_spans() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    // Over several chunks and a bit, exactly one chunk, one byte, none.
    for size in [3 * CHUNK + 77, CHUNK, 1, 0] {
        let bytes = content(size);
        let id = files.make(&lead, "Vertrag Müller.pdf", size);
        let stored = files.put(&id, bytes.clone()).expect(200);
        assert_eq!(stored.body["size"], json!(size));
        assert_eq!(stored.body["sha256"], json!(sha256_hex(&bytes)), "{size}");
        let (status, headers, whole) = files.fetch(&id, &[]);
        assert_eq!((status, whole == bytes), (200, true), "{size}");
        assert_eq!(headers["content-length"], size.to_string());
        assert_eq!(
            headers["content-disposition"],
            "attachment; filename=\"Vertrag M_ller.pdf\"; \
             filename*=UTF-8''Vertrag%20M%C3%BCller.pdf"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-security-policy"], "sandbox");
        assert_eq!(told(&files, &id).len(), 3, "made, stored, read");
    }
    let (size, id) =
        (3 * CHUNK + 77, files.list(&lead)[0]["id"].as_str().expect("an id").to_owned());
    let bytes = content(size);
    let (_, headers, _) = files.fetch(&id, &[]);
    assert_eq!(headers["content-type"], "application/pdf");
    let etag = headers["etag"].to_str().expect("a tag").to_owned();
    for (range, first, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=65530-65540", 65_530, 65_541),
        ("bytes=65534-131070", 65_534, 131_071),
        ("bytes=196600-", 196_600, size),
        ("bytes=-7", size - 7, size),
        ("bytes=10-99999999", 10, size),
    ] {
        let (status, headers, part) =
            files.fetch(&id, &[("range", range), ("if-range", etag.as_str())]);
        assert_eq!((status, part == bytes[first..end]), (206, true), "{range}");
        assert_eq!(headers["content-range"], format!("bytes {first}-{}/{size}", end - 1));
        let last = told(&files, &id).pop().expect("an entry");
        assert_eq!(last, ("read".to_owned(), (end - first) as u64), "{range}");
    }
    let before = told(&files, &id).len();
    let (status, _, problem) = files.fetch(&id, &[("range", format!("bytes={size}-").as_str())]);
    let problem: Value = serde_json::from_slice(&problem).expect("a problem");
    assert_eq!((status, &problem["code"]), (416, &json!("range_not_satisfiable")));
    assert_eq!(told(&files, &id).len(), before, "nothing was released");
    // A listing says what is known, and is an entry of its own.
    let listed = files.list(&lead);
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[0]["name"], "Vertrag Müller.pdf");
    assert_eq!(listed[0]["sha256"], json!(sha256_hex(&bytes)));
    assert_eq!(
        (&listed[0]["state"], &listed[0]["type"], &listed[0]["erase_with"], &listed[0]["leads"]),
        (&json!("complete"), &json!("application/pdf"), &json!("last"), &json!([lead]))
    );
}

#[test]
fn an_upload_in_pieces_goes_on_where_it_stands() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let size = 2 * CHUNK + 1_000;
    let bytes = content(size);
    let id = files.make(&lead, "scan.bin", size);
    assert_eq!(files.offset(&id), (0, size as u64));
    // Whole chunks alone are kept of a piece that is not the last.
    let piece = files.put_range(&id, &bytes, 0..100_000).expect(308);
    assert_eq!(piece.header("range"), format!("bytes=0-{}", CHUNK - 1));
    assert!(piece.index.is_some(), "a piece is an entry");
    assert_eq!(files.offset(&id), (CHUNK as u64, size as u64));
    files.fetch_code(&id, 409, "state_conflict");
    let nothing = files.put_range(&id, &bytes, CHUNK..CHUNK + 10).expect(308);
    assert_eq!(nothing.header("upload-offset"), CHUNK.to_string(), "less than a chunk");
    assert!(nothing.index.is_some());
    // Not where it stands, of another length, too long.
    for (first, code) in [(CHUNK + 1, "content_differs"), (100, "content_differs")] {
        let refused = files.put_range(&id, &bytes, first..size);
        assert_eq!((refused.status, refused.code()), (409, code), "{first}");
    }
    let path = format!("/v1/files/{id}/content");
    let other = [("content-range", "bytes 65535-65536/65537")];
    let refused = files.caller.send(Method::PUT, &path, &other, Some(vec![0; 2])).expect(400);
    assert_eq!(refused.body["errors"][0]["code"], "size_differs");
    let refused = files.caller.send(Method::PUT, &path, &[], Some(vec![0; size + 1])).expect(400);
    assert_eq!(refused.body["errors"][0]["code"], "size_differs");
    let endless = files.caller.put_stream(&path, std::io::Cursor::new(vec![0; size + 1]));
    let endless = endless.expect("an answer");
    assert_eq!((endless.status, endless.code()), (409, "content_differs"), "other bytes");
    // From the beginning: what is stored is compared.
    let mut others = bytes.clone();
    others[5] ^= 1;
    let refused = files.put(&id, others);
    assert_eq!((refused.status, refused.code()), (409, "content_differs"));
    assert_eq!(files.offset(&id), (CHUNK as u64, size as u64), "nothing of it was kept");
    let rest = files.put_range(&id, &bytes, CHUNK..size).expect(200);
    assert_eq!(rest.body["sha256"], json!(sha256_hex(&bytes)), "over all pieces");
    assert_eq!(files.offset(&id), (size as u64, size as u64));
    assert!(files.fetch(&id, &[]).2 == bytes);
    // A client that did not hear the answer sends it again; another file does not take its place.
    let again = files.put(&id, bytes.clone()).expect(200);
    assert_eq!(again.body, rest.body);
    let refused = files.put(&id, content(size + 1)[1..].to_vec());
    assert_eq!((refused.status, refused.code()), (409, "content_differs"));
    assert!(files.fetch(&id, &[]).2 == bytes);
    let streamed = files.make(&lead, "streamed", size);
    let path = format!("/v1/files/{streamed}/content");
    let endless = std::io::Cursor::new(content(size + 1));
    let refused = files.caller.put_stream(&path, endless).expect("an answer").expect(413);
    assert_eq!(refused.code(), "too_large");
    assert_ne!(files.offset(&streamed).0, size as u64, "its end was not taken");
}

/// A body that waits at a place.
struct Halting {
    bytes: std::io::Cursor<Vec<u8>>,
    halt: u64,
    go_on: mpsc::Receiver<()>,
}

impl Read for Halting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.bytes.position() >= self.halt {
            // The sender is dropped when the server is dead.
            let _ = self.go_on.recv();
        }
        self.bytes.read(buffer)
    }
}

#[test]
fn an_upload_that_a_crash_cuts_goes_on_behind_what_was_stored() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let size = 9 << 20;
    let bytes = content(size);
    let id = Files::of(&vault, &tenant).make(&lead, "large.bin", size);
    let (go, go_on) = mpsc::channel();
    let halting = Halting { bytes: std::io::Cursor::new(bytes.clone()), halt: 6 << 20, go_on };
    let path = format!("/v1/files/{id}/content");
    let caller = vault.acting(&tenant);
    let sending = std::thread::spawn(move || caller.put_stream(&path, halting).is_ok());
    let stored = until("parts are stored while the body waits", || {
        let (offset, _) = Files::of(&vault, &tenant).offset(&id);
        (offset > 5 << 20).then_some(offset)
    });
    vault.kill();
    drop(go);
    assert!(!sending.join().expect("the sender"), "no answer came");
    vault.up();
    let files = Files::of(&vault, &tenant);
    let offset = files.offset(&id).0;
    assert!(offset >= stored, "{offset} of {stored} that were told");
    let from = usize::try_from(offset).expect("small");
    let done = files.put_range(&id, &bytes, from..size).expect(200);
    assert_eq!(done.body["sha256"], json!(sha256_hex(&bytes)));
    assert!(files.fetch(&id, &[]).2 == bytes);
}

#[test]
fn a_kill_at_any_step_of_an_upload_loses_nothing_that_was_told() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let bytes = content(CHUNK + 10);
    let steps = ["file.object_written", "write.committing", "write.committed", "file.part_stored"];
    for step in steps {
        let files = Files::of(&vault, &tenant);
        let id = files.make(&lead, step, bytes.len());
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let files = Files::of(&vault, &tenant);
        assert!(files.try_put(&id, bytes.clone()).is_err(), "{step} was not reached");
        vault.wait_dead();
        vault.up();
        let files = Files::of(&vault, &tenant);
        let done = files.put(&id, bytes.clone()).expect(200);
        assert_eq!(done.body["sha256"], json!(sha256_hex(&bytes)), "{step}");
        assert!(files.fetch(&id, &[]).2 == bytes, "{step}");
    }
}

#[test]
fn what_no_file_may_be_is_refused_and_said_where() {
    let mut vault = Vault::init();
    for (from, to) in [
        ("bytes_of_file = 5368709120", "bytes_of_file = 100000"),
        ("of_lead = 100", "of_lead = 3"),
        ("files = 1000000", "files = 5"),
        ("bytes = 1099511627776", "bytes = 400000"),
    ] {
        vault.configure(from, to);
    }
    vault.up();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let stranger = vault.tenant();
    let foreign = vault.lead(&stranger, "eve@example.com");
    let path = format!("/v1/leads/{ada}/files");
    let post = |body: Value| files.caller.post(&path, &body);
    for (body, pointer, code) in [
        (json!({ "name": "", "size": 1 }), "#/name", "empty"),
        (json!({ "name": "x".repeat(256), "size": 1 }), "#/name", "too_long"),
        (json!({ "name": "../../etc/passwd", "size": 1 }), "#/name", "bad_name"),
        (json!({ "name": "a\r\nSet-Cookie: b", "size": 1 }), "#/name", "bad_name"),
        (json!({ "name": "a", "size": 1, "leads": [foreign] }), "#/leads/0", "unknown_lead"),
    ] {
        let refused = post(body).expect(422);
        let at = &refused.body["errors"][0];
        assert_eq!((&at["pointer"], &at["code"]), (&json!(pointer), &json!(code)));
    }
    post(json!({ "name": "a", "size": -1 })).expect(400);
    post(json!({ "name": "a", "size": 100_001 })).expect(413);
    files
        .caller
        .post(&format!("/v1/leads/{foreign}/files"), &json!({ "name": "a", "size": 1 }))
        .expect(404);
    // Three files of a lead; bytes are counted in whole chunks, so that six chunks are all there are.
    let large = |lead: &str| {
        let body = json!({ "name": "l", "size": 100_000 });
        files.caller.post(&format!("/v1/leads/{lead}/files"), &body)
    };
    let first = large(&ada).expect(201).text_of("id");
    large(&grace).expect(201);
    large(&ada).expect(201);
    let full = large(&grace).expect(422);
    assert_eq!(full.body["errors"][0]["code"], "too_many");
    // What is erased makes room.
    files.delete(&first).expect(204);
    large(&grace).expect(201);
    // The same request is done once.
    let once = json!({ "name": "once", "size": 0 });
    files.delete(files.list(&grace)[0]["id"].as_str().expect("an id")).expect(204);
    let made = files.caller.try_post(&path, &once, "key").expect("an answer").expect(201);
    let again = files.caller.try_post(&path, &once, "key").expect("an answer").expect(201);
    assert_eq!(made.text_of("id"), again.text_of("id"));
    files.delete(&made.text_of("id")).expect(204);
    let gone = files.caller.try_post(&path, &once, "key").expect("an answer").expect(410);
    assert_eq!(gone.code(), "erased");
}

/// A file has no masked form, and its category must be covered.
#[test]
fn an_instruction_that_masks_gives_no_content_out() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let id = files.upload(&lead, "a.txt", b"plain text".to_vec());
    let (mut masked, mut without) = (instruction(), instruction());
    masked["data"]["masking"] = json!("partial");
    without["data"]["categories"] = json!(["identity", "contact"]);
    for body in [masked, without] {
        let plain = vault.plain(&tenant);
        let other = plain.post("/v1/instructions", &body).expect(201).text_of("id");
        let path = format!("/v1/instructions/{other}/activate");
        plain.post(&path, &json!({ "version": 1 })).expect(200);
        let caller = vault.plain(&tenant).under(&other, "crm_operations");
        for path in [format!("/v1/files/{id}/content"), format!("/v1/leads/{lead}/files")] {
            let denied = caller.get(&path).expect(403);
            assert_eq!(denied.code(), "DENY_CATEGORY", "{path}");
            assert!(denied.index.is_some(), "it stands in the log");
        }
    }
    // The control: the instruction of before.
    assert_eq!(files.fetch(&id, &[]).2, b"plain text");
}

#[test]
fn stored_bytes_that_were_changed_are_never_given_out() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let bytes = content(CHUNK + 100);
    let id = files.upload(&lead, "a.bin", bytes.clone());
    let object = files.objects().pop().expect("an object");
    let twin = files.upload(&lead, "a.bin", bytes.clone());
    let other = files.objects().into_iter().find(|path| *path != object).expect("another");
    let sealed = std::fs::read(&object).expect("the object");
    let all_of_it = |id: &str| files.fetch(id, &[]);
    for at in [0, 40, 1_000, 65_631] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        std::fs::write(&object, changed).expect("a write");
        files.fetch_code(&id, 500, "content_damaged");
    }
    // The same bytes under another file's key, the chunks in another order, a file that was cut, none.
    std::fs::copy(&other, &object).expect("a copy");
    files.fetch_code(&id, 500, "content_damaged");
    let (first, second) = sealed.split_at(65_632);
    std::fs::write(&object, [second, first].concat()).expect("a write");
    files.fetch_code(&id, 500, "content_damaged");
    std::fs::write(&object, first).expect("a write");
    let path = format!("/v1/files/{id}/content");
    assert!(files.caller.try_fetch(&path, &[]).is_err(), "it breaks off, and says no end");
    std::fs::remove_file(&object).expect("a removal");
    files.fetch_code(&id, 500, "content_damaged");
    // The control: the bytes of before, and the file beside it all the time.
    std::fs::write(&object, &sealed).expect("a write");
    assert!(all_of_it(&id).2 == bytes);
    assert!(all_of_it(&twin).2 == bytes);
}

/// The bucket checks signatures: with another key nothing is stored, and the refusal says nothing of it. Runs where the
/// run has buckets (`cargo xtask test --full`).
#[test]
fn a_bucket_that_refuses_the_key_stores_nothing() {
    if bucket_program().is_none() {
        eprintln!("no bucket in this run");
        return;
    }
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let id = Files::of(&vault, &tenant).make(&lead, "a", 10);
    vault.kill();
    let secret = vault.data().join("objects.key");
    let right = std::fs::read(&secret).expect("the key");
    std::fs::write(&secret, "another").expect("a write");
    vault.up();
    let refused = Files::of(&vault, &tenant).put(&id, content(10)).expect(503);
    assert_eq!(refused.code(), "not_ready");
    assert!(kit::objects(&vault, &tenant).is_empty());
    let config = vault.config();
    let doctor = || run(&["doctor", "--config", config.to_str().expect("utf-8")]).1;
    let finds = |report: &Value| report["findings"].to_string().contains("bucket_unreachable");
    assert!(finds(&doctor()));
    // The control.
    vault.kill();
    std::fs::write(&secret, right).expect("a write");
    vault.up();
    assert!(!finds(&doctor()));
    let files = Files::of(&vault, &tenant);
    files.put(&id, content(10)).expect(200);
    assert_eq!(files.objects().len(), 1);
    assert!(!vault.data().join("files").exists(), "nothing lies in the data directory");
}

/// What one lead of a file keeps back, another does not show.
#[test]
fn a_file_is_decided_for_each_of_its_leads() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let shared = json!({ "name": "shared", "size": 1, "leads": [grace] });
    let shared = files.make_with(&ada, &shared);
    files.put(&shared, vec![1]).expect(200);
    let own = files.upload(&ada, "own", vec![2]);
    let names = || {
        let listed = files.list(&ada);
        listed
            .iter()
            .map(|file| file["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["shared", "own"]);
    let restrict = |verb: &str| {
        files.caller.post(&format!("/v1/leads/{grace}/{verb}"), &json!({})).expect(200);
    };
    restrict("restrict");
    files.fetch_code(&shared, 403, "DENY_RESTRICTED");
    assert_eq!(names(), ["own"]);
    assert_eq!(files.fetch(&own, &[]).0, 200);
    restrict("unrestrict");
    assert_eq!(names(), ["shared", "own"], "the control");
}
