//! The schema of an instruction, as components of the document: the whole object, and the draft a caller
//! sends, which lacks what the server sets. The file is instruction.schema.json as it is published.

use serde_json::{Map, Value};

const SOURCE: &str = include_str!("../../assets/instruction.schema.json");
/// What the server sets.
const SERVER_SETS: &[&str] = &[
    "id",
    "version",
    "supersedes",
    "tenant_id",
    "status",
    "created_at",
    "salt",
    "hash",
    "signature",
];

/// Puts the schemas among the components.
pub(super) fn put(schemas: &mut Map<String, Value>) {
    // The file is ours and read by a test; without it the placeholders of the routes stay.
    let Ok(Value::Object(mut whole)) = serde_json::from_str(SOURCE) else { return };
    for member in ["$schema", "$id", "title"] {
        whole.remove(member);
    }
    let definitions = whole.remove("$defs");
    for (name, definition) in definitions.as_ref().and_then(Value::as_object).into_iter().flatten()
    {
        schemas.insert(format!("Instruction_{name}"), referred(definition.clone()));
    }
    let draft = draft_of(whole.clone());
    schemas.insert("InstructionDraft".to_owned(), referred(Value::Object(draft)));
    schemas.insert("Instruction".to_owned(), referred(Value::Object(whole)));
}

/// The same without what the server sets.
fn draft_of(mut whole: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(properties)) = whole.get_mut("properties") {
        properties.retain(|name, _| !SERVER_SETS.contains(&name.as_str()));
        if let Some(Value::Object(issuer)) = properties.get_mut("issuer") {
            without(issuer, &["actor_id", "second_approver_id"]);
        }
    }
    if let Some(Value::Array(required)) = whole.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(|n| SERVER_SETS.contains(&n)));
    }
    whole
}

fn without(object: &mut Map<String, Value>, names: &[&str]) {
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.retain(|name, _| !names.contains(&name.as_str()));
    }
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(|n| names.contains(&n)));
    }
}

/// The value with its references turned from the file's own definitions to components.
fn referred(value: Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("#/$defs/") {
            Some(name) => Value::String(format!("#/components/schemas/Instruction_{name}")),
            None => Value::String(text),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(referred).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, v)| (name, referred(v))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_the_whole_without_what_the_server_sets() {
        let mut schemas = Map::new();
        put(&mut schemas);
        let members = |name: &str| schemas[name]["properties"].as_object().unwrap().clone();
        let (whole, draft) = (members("Instruction"), members("InstructionDraft"));
        assert_eq!(whole.len(), draft.len() + SERVER_SETS.len());
        assert!(draft.contains_key("agreement") && !draft.contains_key("hash"));
        assert!(draft["issuer"]["properties"]["authority"].is_object());
        assert!(draft["issuer"]["properties"]["actor_id"].is_null());
        assert!(!serde_json::to_string(&schemas).unwrap().contains("$defs"));
    }
}
