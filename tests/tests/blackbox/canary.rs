//! No plaintext at rest: strings of a lead are in no file of the data directory and in no line of the log, in
//! any of the forms a leak would have.

use std::path::Path;

use base64::Engine as _;
use leadvault_tests::kit::Vault;
use serde_json::json;

const CANARIES: &[&str] = &[
    "canary.bird@aviary-example.org",
    "Quetzalcoatl",
    "4155552671",
    "a note nobody else may read",
];

/// The forms in which a text may lie in a file.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let utf16 = |be: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| if be { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    };
    let mut all = vec![
        text.as_bytes().to_vec(),
        utf16(true),
        utf16(false),
        hex::encode(text).into_bytes(),
        hex::encode_upper(text).into_bytes(),
    ];
    // Three alignments; the characters at the edges depend on the neighbours and are left out.
    for pad in 0..3 {
        let padded = [vec![b'x'; pad], text.as_bytes().to_vec()].concat();
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        let from = if pad == 0 { 0 } else { pad + 1 };
        all.push(encoded.as_bytes()[from..encoded.len() - 2].to_vec());
    }
    all
}

fn files(dir: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            files(&entry.path(), out);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            // The ballast beside each database is sixty-four MiB of one byte.
            if entry.file_name().to_string_lossy().contains("ballast") {
                let first = bytes.first().copied().unwrap_or(0);
                assert!(bytes.iter().all(|b| *b == first), "the ballast is not empty");
                continue;
            }
            out.push((entry.path().display().to_string(), bytes));
        }
    }
}

/// Where a canary is found: in the name of a file or inside.
fn found(dir: &Path, stderr: &str) -> Vec<String> {
    let mut all = Vec::new();
    files(dir, &mut all);
    all.push(("stderr".to_owned(), stderr.as_bytes().to_vec()));
    let mut hits = Vec::new();
    for canary in CANARIES {
        for form in forms(canary) {
            for (name, bytes) in &all {
                let inside = bytes.windows(form.len()).any(|w| w == form);
                if inside || name.as_bytes().windows(form.len()).any(|w| w == form) {
                    hits.push(name.clone());
                }
            }
        }
    }
    hits
}

#[test]
fn no_value_of_a_lead_lies_anywhere_in_clear() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, CANARIES[0]);
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{lead}?fields=email,phone,last_name,notes")).expect(200);
    let body = json!({ "match": { "email": CANARIES[0] }, "fields": ["email"], "limit": 5 });
    caller.post("/v1/leads/search", &body).expect(200);
    // Refused calls echo nothing either.
    let bad = json!({ "dataset": tenant.dataset, "fields": { "email": CANARIES[0], "birth_date": "2015-01-01" } });
    let refused = caller.post("/v1/leads", &bad).expect(422);
    assert!(CANARIES.iter().all(|c| !refused.text.contains(c)));
    caller.post("/v1/leads", &json!({ CANARIES[0]: 1 })).expect(400);
    assert_eq!(found(&vault.data(), &vault.stderr()), Vec::<String>::new());
    vault.kill();
    assert_eq!(found(&vault.data(), &vault.stderr()), Vec::<String>::new());
    // The control: planted in a file, in each form, it is found.
    for form in CANARIES.iter().flat_map(|c| forms(c)) {
        let small = vault.beside("planted");
        std::fs::create_dir_all(&small).expect("a directory");
        std::fs::write(small.join("f"), [b"xx".to_vec(), form, b"yy".to_vec()].concat())
            .expect("planted");
        assert!(!found(&small, "").is_empty());
    }
    assert!(!found(&vault.beside("planted"), "x Quetzalcoatl y").is_empty());
}
