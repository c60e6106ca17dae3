//! What every operation must say of itself.

use super::*;

fn operations() -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (method, path) in routes() {
        let operation = json()["paths"][path][method.to_ascii_lowercase()].clone();
        all.push((method, path.to_owned(), operation));
    }
    all
}

#[test]
fn it_is_openapi_3_1_under_the_version_of_the_build() {
    assert_eq!(json()["openapi"], "3.1.0");
    assert_eq!(json()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_operation_has_an_id_of_its_own_a_known_tag_and_a_summary() {
    let mut ids = std::collections::BTreeSet::new();
    let tags: Vec<_> = TAGS.iter().map(|(name, _)| *name).collect();
    assert!(!operations().is_empty());
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(id.contains('_'), "{method} {path}: verb_noun, not {id:?}");
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(tags.contains(&tag), "{method} {path}: {tag:?}");
        assert!(operation["summary"].is_string(), "{method} {path}");
    }
}

#[test]
fn every_operation_can_refuse_with_a_problem() {
    for (method, path, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        let refused = responses.iter().filter(|(status, _)| status.starts_with('4'));
        let mut count = 0;
        for (status, response) in refused {
            assert_eq!(
                response["$ref"], "#/components/responses/Refused",
                "{method} {path} {status}"
            );
            count += 1;
        }
        assert!(count > 0, "{method} {path}");
    }
    let refused = &json()["components"]["responses"]["Refused"]["content"];
    assert!(refused["application/problem+json"].is_object());
}

#[test]
fn every_operation_of_a_tenant_or_operator_names_its_credential() {
    for (method, path, operation) in operations() {
        let schemes = operation["security"][0].as_object().unwrap();
        let open = schemes.is_empty();
        assert_eq!(
            open,
            !path.starts_with("/v1/") && !path.starts_with("/compat/"),
            "{method} {path}"
        );
        for scheme in schemes.keys() {
            assert!(json()["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
        }
    }
}

#[test]
fn every_reference_has_its_target() {
    fn check(value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap_or_default();
                    assert!(json().pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(check);
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(json());
}

/// The committed document is the one this build serves. `LEADVAULT_WRITE=1` writes it instead.
#[test]
fn the_committed_openapi_json_is_that_of_this_build() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let mut text = serde_json::to_string_pretty(json()).unwrap();
    text.push('\n');
    if std::env::var_os("LEADVAULT_WRITE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == text, "run LEADVAULT_WRITE=1 cargo test -p leadvault-api openapi");
}
