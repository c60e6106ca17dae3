//! Names of places that may be told to a caller: members the schema knows, never text of the request.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use leadvault_domain::FIELDS;
use leadvault_vault::Fault;
use serde_path_to_error::{Path, Segment};

/// Every member of every schema of the document, and every lead field.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut known = BTreeSet::new();
    collect(crate::document::json(), &mut known);
    known.extend(FIELDS.iter().map(|field| field.name.to_owned()));
    known
});

fn collect(value: &serde_json::Value, known: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::Object(properties)) = members.get("properties") {
                known.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| collect(member, known));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, known)),
        _ => {}
    }
}

/// Whether a name comes from the schema.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(name)
}

/// The JSON pointer of a place (`#/fields/email`), cut before the first name that is not the schema's.
pub(super) fn pointer(path: &Path) -> String {
    let mut pointer = "#".to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } if is_known(key) => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } => {}
            Segment::Map { .. } | Segment::Unknown => break,
        }
    }
    pointer
}

/// The fault a message of serde stands for. The message is looked at and dropped: of it, only the name of
/// a missing member is passed on, which is the schema's.
pub(super) fn fault_at(pointer: String, message: &str) -> Fault {
    if message.starts_with("unknown field") {
        return Fault::UnknownField(pointer);
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let name = rest.split('`').next().filter(|name| is_known(name));
        return Fault::bad(format!("{pointer}/{}", name.unwrap_or_default()), "required");
    }
    let code = match message {
        m if m.starts_with("invalid type") => "wrong_type",
        m if m.starts_with("duplicate field") => "repeated",
        _ => "invalid",
    };
    Fault::bad(pointer, code)
}
