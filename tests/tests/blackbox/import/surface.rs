//! Imports over HTTP: duplicates, resuming, what is refused as a whole, what the import says of itself.

use leadvault_tests::kit::{Caller, Tenant, Vault, attestation};
use serde_json::{Value, json};

use super::kit;

fn duplicates(by: &[&str], action: &str) -> Value {
    json!({ "duplicates": { "by": by, "action": action } })
}

/// stored, updated, skipped, rejected.
fn counts(import: &Value) -> [u64; 4] {
    ["stored", "updated", "skipped", "rejected"]
        .map(|k| import["rows"][k].as_u64().expect("a count"))
}

fn company_of(vault: &Vault, tenant: &Tenant, field: &str, value: &str) -> Vec<String> {
    let body = json!({ "dataset": tenant.dataset, "match": { field: value }, "fields": ["company"],
        "limit": 9 });
    let found = vault.acting(tenant).post("/v1/leads/search", &body).expect(200);
    let leads = found.body["data"].as_array().expect("leads").clone();
    leads.iter().map(|lead| lead["fields"]["company"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn a_row_is_a_duplicate_by_each_of_the_named_values_in_the_file_and_against_the_dataset() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let cases = [
        ("email", "a@example.com", "A@Example.com"),
        ("phone", "+14155552671", "(415) 555-2671"),
        ("external_id", "c-17", "c-17"),
    ];
    for (by, value, again) in cases {
        let header = match by {
            "email" => "Email",
            "phone" => "Phone",
            _ => "External Id",
        };
        let dataset = json!({ "name": by, "default_region": "US", "origin": ["US-CA"] });
        let dataset = vault.plain(&tenant).post("/v1/datasets", &dataset).expect(201).text_of("id");
        let tenant = Tenant { dataset, ..tenant.clone() };
        // In the file: the first wins.
        let file = format!("{header},Company\n{value},first\n{again},second\n");
        let skip = kit::import(&vault, &tenant, file.as_bytes(), duplicates(&[by], "skip"));
        assert_eq!(counts(&skip.body), [1, 0, 1, 0], "{by}: {}", skip.text);
        assert_eq!(company_of(&vault, &tenant, by, value), ["first"]);
        // Against the dataset.
        let third = format!("{header},Company\n{again},third\n");
        let reject = kit::import(&vault, &tenant, third.as_bytes(), duplicates(&[by], "reject"));
        assert_eq!(counts(&reject.body), [0, 0, 0, 1], "{by}");
        let path = format!("/v1/imports/{}/failures", reject.text_of("id"));
        let failures = vault.acting(&tenant).get(&path).expect(200).text;
        assert_eq!(failures, "row,column,code\r\n1,,duplicate\r\n");
        assert_eq!(company_of(&vault, &tenant, by, value), ["first"]);
        let update = kit::import(&vault, &tenant, third.as_bytes(), duplicates(&[by], "update"));
        assert_eq!(counts(&update.body), [0, 1, 0, 0], "{by}");
        assert_eq!(company_of(&vault, &tenant, by, value), ["third"]);
        // Two rows of one file, the second merged into the first before either is stored.
        let other = "Email,Phone,External Id,Company\n\
                     b@example.com,+14155552672,c-18,one\nb@example.com,+14155552672,c-18,two\n";
        let update = kit::import(&vault, &tenant, other.as_bytes(), duplicates(&[by], "update"));
        assert_eq!(counts(&update.body), [1, 1, 0, 0], "{by}");
        assert_eq!(company_of(&vault, &tenant, "email", "b@example.com"), ["two"]);
    }
}

#[test]
fn an_address_twice_is_no_duplicate_where_duplicates_go_by_phone() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "Email,Phone\na@example.com,+14155552671\na@example.com,+14155552672\n";
    let import = kit::import(&vault, &tenant, file.as_bytes(), duplicates(&["phone"], "skip"));
    assert_eq!(counts(&import.body), [2, 0, 0, 0]);
    assert_eq!(company_of(&vault, &tenant, "email", "a@example.com").len(), 2);
    // The control: by e-mail it is one.
    let other = vault.tenant();
    let import = kit::import(&vault, &other, file.as_bytes(), duplicates(&["email"], "skip"));
    assert_eq!(counts(&import.body), [1, 0, 1, 0]);
}

#[test]
fn a_word_duplicates_cannot_go_by_is_refused() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    for by in [json!(["name"]), json!([]), json!(["email", "email"])] {
        let body = json!({ "dataset": tenant.dataset, "attestation": attestation(),
            "duplicates": { "by": by, "action": "skip" } });
        let refused = vault.acting(&tenant).post("/v1/imports", &body).expect(422);
        assert_eq!(refused.body["errors"][0]["pointer"], "#/duplicates/by");
    }
}

/// A file of several slices.
fn long_file() -> String {
    let rows = (0..1_000).map(|n| format!("p{n}@example.com,{}\n", "x".repeat(200)));
    std::iter::once("Email,Company\n".to_owned()).chain(rows).collect()
}

#[test]
fn an_upload_in_parts_goes_on_where_the_import_says_and_other_bytes_are_found_out() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = long_file();
    let id = kit::open_import(&vault, &tenant, json!({}));
    let (caller, path) = (vault.acting(&tenant), format!("/v1/imports/{id}/content"));
    let half = file.len() / 2;
    let range = format!("bytes 0-{}/{}", half - 1, file.len());
    let part = kit::put(&caller, &path, &file.as_bytes()[..half], Some(&range)).expect(200);
    assert_eq!(part.body["state"], "running");
    let next = usize::try_from(part.body["next_byte"].as_u64().expect("a number")).expect("fits");
    assert!(next > 0 && next <= half, "whole rows of the part are stored: {next} of {half}");
    // Elsewhere it does not go on.
    let elsewhere = format!("bytes {}-{}/{}", next + 1, file.len() - 1, file.len());
    let differs = kit::put(&caller, &path, &file.as_bytes()[next + 1..], Some(&elsewhere));
    assert_eq!((differs.status, differs.code()), (409, "content_differs"));
    // From the start, with one byte of what is stored changed: found out, and nothing more is stored.
    let mut other = file.clone().into_bytes();
    other[20] = b'q';
    let differs = kit::put(&caller, &path, &other, None);
    assert_eq!((differs.status, differs.code()), (409, "content_differs"));
    let state = caller.get(&format!("/v1/imports/{id}")).expect(200);
    assert_eq!(state.body["next_byte"], next);
    // The control: the same bytes again are taken, and each row is there once.
    let done = kit::put(&caller, &path, file.as_bytes(), None).expect(200);
    assert_eq!(counts(&done.body), [1_000, 0, 0, 0]);
    assert_eq!(done.body["bytes"], file.len());
    let over = kit::put(&caller, &path, file.as_bytes(), None);
    assert_eq!((over.status, over.code()), (409, "state_conflict"));
}

#[test]
fn a_file_that_must_be_asked_about_or_has_no_header_leaves_nothing() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let id = kit::open_import(&vault, &tenant, json!({}));
    let path = format!("/v1/imports/{id}/content");
    let asked = kit::put(&caller, &path, b"Name,Email\nQuetzalcoatl,q@example.com\n", None);
    assert_eq!((asked.status, asked.code()), (422, "mapping_needed"));
    assert_eq!(
        asked.body["questions"],
        json!([{ "column": 0, "choices": ["full_name", "company"] }])
    );
    let headless =
        kit::put(&caller, &path, b"Quetzalcoatl,q@example.com\nOther,o@example.com\n", None);
    assert_eq!((headless.status, headless.code()), (422, "no_header_row"));
    assert!(!headless.text.contains("Quetzalcoatl") && !asked.text.contains("Quetzalcoatl"));
    let state = caller.get(&format!("/v1/imports/{id}")).expect(200);
    assert_eq!((&state.body["state"], &state.body["next_byte"]), (&json!("open"), &json!(0)));
    assert_eq!((&state.body["detected"], &state.body["mapping"]), (&Value::Null, &json!([])));
    // The control: the same import takes a file it understands.
    let done = kit::put(&caller, &path, b"Full name,Email\nQuetzalcoatl,q@example.com\n", None)
        .expect(200);
    assert_eq!(counts(&done.body), [1, 0, 0, 0]);
}

#[test]
fn an_import_says_what_it_detected_and_headers_only_to_those_who_may_read() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "E-Mail Address;Shoe size;Firm\r\na@example.com;43;Acme\r\n";
    let import =
        kit::import(&vault, &tenant, file.as_bytes(), json!({ "mapping": { "Firm": "company" } }));
    let path = format!("/v1/imports/{}", import.text_of("id"));
    assert_eq!(
        import.body["detected"],
        json!({ "encoding": "utf-8", "delimiter": ";", "quote": "\"", "header": true })
    );
    let mapping = json!([
        { "index": 0, "column": "E-Mail Address", "field": "email", "category": "contact",
          "by": "dictionary" },
        { "index": 1, "column": "Shoe size", "field": null, "category": "unclassified", "by": "none" },
        { "index": 2, "column": "Firm", "field": "company", "category": "company_role",
          "by": "caller" },
    ]);
    assert_eq!(import.body["mapping"], mapping);
    let auditor = json!({ "name": "audit", "role": "auditor", "principal": "p2", "employer": "tenant",
        "country": "DE" });
    let auditor = vault.plain(&tenant).post("/v1/keys", &auditor).expect(201).text_of("secret");
    // Who reads no content sees where a column went and not what it is called.
    let seen = Caller::new(&vault.url(), &auditor).get(&path).expect(200);
    assert_eq!(seen.body["mapping"][1]["column"], Value::Null);
    assert!(!seen.text.contains("Shoe size"));
}

#[test]
fn the_cells_of_a_lead_stay_as_they_came_when_a_later_file_updates_it() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let first = "Email,Phone,Company,Score\nA@example.com,(415) 555-2671,Old,7\n";
    kit::import(&vault, &tenant, first.as_bytes(), json!({}));
    let second = "Email,Company\na@example.com,New\n";
    kit::import(&vault, &tenant, second.as_bytes(), duplicates(&["email"], "update"));
    let body = json!({ "match": { "email": "a@example.com" }, "limit": 5 });
    let found = vault.acting(&tenant).post("/v1/leads/search", &body).expect(200);
    let id = found.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    let path = format!("/v1/leads/{id}?fields=company,phone,original");
    let lead = vault.acting(&tenant).get(&path).expect(200);
    assert_eq!(lead.body["fields"]["company"], "New");
    let cells = json!([
        ["Email", "A@example.com"],
        ["Phone", "(415) 555-2671"],
        ["Company", "Old"],
        ["Score", "7"]
    ]);
    assert_eq!(lead.body["original"], cells);
}

#[test]
fn the_cells_of_a_lead_made_by_itself_are_the_members_as_they_were_sent() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let body = json!({ "dataset": tenant.dataset,
        "fields": { "email": "Ada@Example.com", "phone": "(415) 555-2671" } });
    let id = vault.acting(&tenant).post("/v1/leads", &body).expect(201).text_of("id");
    let path = format!("/v1/leads/{id}?fields=phone,original");
    let lead = vault.acting(&tenant).get(&path).expect(200);
    assert_eq!(lead.body["fields"]["phone"], "+14155552671");
    let mut cells = lead.body["original"].as_array().expect("cells").clone();
    cells.sort_by_key(Value::to_string);
    assert_eq!(cells, [json!(["email", "Ada@Example.com"]), json!(["phone", "(415) 555-2671"])]);
}

#[test]
fn card_and_government_numbers_come_in_only_where_the_instruction_names_them() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "Email,Note\na@example.com,4111 1111 1111 1111\nb@example.com,078-05-1120\n\
                c@example.com,nothing\n";
    let strict = kit::import(&vault, &tenant, file.as_bytes(), json!({}));
    assert_eq!(counts(&strict.body), [1, 0, 0, 2]);
    let path = format!("/v1/imports/{}/failures", strict.text_of("id"));
    let failures = vault.acting(&tenant).get(&path).expect(200).text;
    assert_eq!(failures, "row,column,code\r\n1,1,card_number\r\n2,1,government_id\r\n");
    for (category, counted) in
        [("financial_hint", [1, 0, 1, 1]), ("special_category", [1, 0, 2, 0])]
    {
        let mut wide = leadvault_tests::kit::instruction();
        let categories = wide["data"]["categories"].as_array_mut().expect("categories");
        categories.push(json!(category));
        if category == "special_category" {
            categories.push(json!("financial_hint"));
        }
        let wide = vault.plain(&tenant).post("/v1/instructions", &wide).expect(201).text_of("id");
        let activate = format!("/v1/instructions/{wide}/activate");
        vault.plain(&tenant).post(&activate, &json!({ "version": 1 })).expect(200);
        let tenant = Tenant { instruction: wide, ..tenant.clone() };
        let import = kit::import(&vault, &tenant, file.as_bytes(), json!({}));
        assert_eq!(counts(&import.body), counted, "{category}: {}", import.text);
    }
}
