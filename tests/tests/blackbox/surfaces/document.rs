//! openapi.json as a referee: which operations there are, and what each answer must look like.

use std::cell::RefCell;
use std::collections::BTreeSet;

use leadvault_tests::kit::{Answer, run};
use serde_json::{Value, json};

/// The document, and what was called of it.
pub(super) struct Document {
    pub(super) json: Value,
    called: RefCell<BTreeSet<String>>,
}

impl Document {
    /// As `leadvault openapi` prints it; the file in the repository says the same.
    pub(super) fn read() -> Self {
        let (code, json, err) = run(&["openapi"]);
        assert_eq!(code, Some(0), "{err}");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");
        let committed = std::fs::read_to_string(file).expect("openapi.json");
        let committed: Value = serde_json::from_str(&committed).expect("JSON");
        assert!(committed == json, "openapi.json is not what this build says: see docs/API.md");
        Self { json, called: RefCell::default() }
    }

    /// `METHOD /path` of every operation.
    fn operations(&self) -> BTreeSet<String> {
        let paths = self.json["paths"].as_object().expect("paths");
        let methods = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        methods.collect()
    }

    /// Operations that nothing has called so far.
    pub(super) fn not_called(&self) -> Vec<String> {
        self.operations().difference(&self.called.borrow()).cloned().collect()
    }

    /// Holds an answer against the schema of its status, and against what all answers have.
    #[track_caller]
    pub(super) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let name = format!("{method} {path}");
        self.called.borrow_mut().insert(name.clone());
        let id = answer.header("request-id");
        assert!(id.starts_with("req_") && id.len() == 30, "{name}: Request-Id {id}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        let operation = &self.json["paths"][path][method.to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{name}: {} is not in the document", answer.status);
        let response = self.resolved(response);
        if answer.status >= 400 && path != "/readyz" {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
            assert_eq!(answer.body["request_id"], id, "{name}");
            assert_eq!(answer.body["status"], answer.status, "{name}");
            let page = format!("/docs/errors#{}", answer.code());
            assert_eq!(answer.body["type"], page, "{name}");
        }
        let Some(content) = response["content"].as_object() else {
            assert!(answer.text.is_empty(), "{name}: a body that is not in the document");
            return;
        };
        let essence = answer.header("content-type").split(';').next().unwrap_or_default();
        let media = content.get(essence).or_else(|| content.get("*/*"));
        let media = media.unwrap_or_else(|| panic!("{name}: {essence} is not in the document"));
        if essence == "application/json" || essence.ends_with("+json") {
            let wrong = self.wrong(&media["schema"], &answer.body);
            assert!(wrong.is_empty(), "{name} {}: {wrong:?}\n{}", answer.status, answer.text);
        }
    }

    /// What of a value does not fit a schema of the document.
    pub(super) fn wrong(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.json["components"],
            "allOf": [schema],
        });
        let validator = jsonschema::validator_for(&whole).expect("a schema");
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.json.pointer(pointer).expect("a reference that leads somewhere"),
            None => value,
        }
    }
}

#[test]
fn an_answer_that_lacks_a_member_does_not_pass_the_referee() {
    let document = Document::read();
    let schema = json!({ "$ref": "#/components/schemas/Tenant" });
    assert!(!document.wrong(&schema, &json!({})).is_empty());
    assert!(!document.wrong(&schema, &json!([])).is_empty());
}

#[test]
fn an_operation_that_is_not_called_is_named() {
    let document = Document::read();
    let all = document.not_called();
    assert!(all.len() > 50 && all.contains(&"GET /v1/tenant".to_owned()), "{all:?}");
}
