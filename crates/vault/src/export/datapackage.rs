//! `datapackage.json` (Frictionless Data Package) and `schema.json` of a package.

use leadvault_domain::{FIELDS, Timestamp};
use serde_json::{Value as Json, json};

use super::bag::{Member, PAYLOAD};
use super::columns::{FIXED, Layout};

/// Directory of files of leads, inside the payload.
const FILES: &str = "files/";

/// What the description says beside its resources.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) export: String,
    pub(crate) tenant: String,
    pub(crate) dataset: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) leads: u64,
    /// Leads that are stored and not in the package.
    pub(crate) withheld: u64,
    /// Index of the entry that allowed it: leads stored before are in it.
    pub(crate) log_index: u64,
    /// Entries in the log when its leads were last compared: those erased by then are not in it.
    pub(crate) log_size: u64,
}

/// The description of the payload files among `members`, the log's excepted. `rows` are the leads in the lead
/// files of each number.
pub(crate) fn describe(about: &About, members: &[Member], rows: &[u64], layout: &Layout) -> Json {
    let resources: Vec<Json> = members
        .iter()
        .filter_map(|m| Some((m, m.path.strip_prefix(PAYLOAD)?)))
        .filter(|(_, path)| !path.starts_with("log/"))
        .map(|(member, path)| resource(member, path, rows_of(path, rows), layout))
        .collect();
    json!({
        "profile": "data-package",
        "name": about.export,
        "id": about.export,
        "title": "Leads of a tenant",
        "created": about.created,
        "leadvault": { "tenant": about.tenant, "dataset": about.dataset, "leads": about.leads,
                       "withheld": about.withheld, "log_index": about.log_index,
                       "log_size": about.log_size },
        "resources": resources,
    })
}

/// Leads in a lead file, by the number in its name.
fn rows_of(path: &str, rows: &[u64]) -> Option<u64> {
    let (number, _) = path.strip_prefix("leads-")?.split_once('.')?;
    rows.get(number.parse::<usize>().ok()?.checked_sub(1)?).copied()
}

fn resource(member: &Member, path: &str, leads: Option<u64>, layout: &Layout) -> Json {
    let name = path.replace('.', "-");
    let mut resource = json!({
        "name": name,
        "path": path,
        "bytes": member.bytes,
        "hash": format!("sha256:{}", hex::encode(member.sha256)),
    });
    if path.starts_with(FILES) {
        // What its owner calls it, and what it is, stands in `files.jsonl`.
        resource["mediatype"] = json!("application/octet-stream");
        resource["type"] = json!("file");
        return resource;
    }
    resource["encoding"] = json!("utf-8");
    let more = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv") => json!({
            "type": "table",
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "rows": leads,
            "dialect": { "delimiter": ",", "lineTerminator": "\r\n", "quoteChar": "\"",
                         "doubleQuote": true, "header": true, "skipInitialSpace": false },
            "schema": { "fields": fields(layout), "missingValues": [] },
            "guard": "one ' stands before every cell that starts with = + - @ TAB CR LF or '",
        }),
        // Files to a reader of tables: their lines hold lists and pairs.
        Some("jsonl") if path.starts_with("leads-") => json!({
            "type": "file", "format": "jsonl", "mediatype": "application/jsonl", "lines": leads,
            "jsonSchema": "schema.json",
        }),
        Some("jsonl") => {
            json!({ "type": "file", "format": "jsonl", "mediatype": "application/jsonl" })
        }
        _ => json!({ "type": "file", "format": "json", "mediatype": "application/json" }),
    };
    if let (Some(all), Json::Object(more)) = (resource.as_object_mut(), more) {
        all.extend(more);
    }
    resource
}

/// The columns of the CSV; a column of cells says which header it is of, and which of its times.
fn fields(layout: &Layout) -> Vec<Json> {
    let plain = FIXED.iter().map(|name| (*name).to_owned());
    let plain = plain.chain(layout.fields.iter().map(|field| field.name()));
    let mut fields: Vec<Json> =
        plain.map(|name| json!({ "name": name, "type": "string" })).collect();
    fields.extend(layout.originals.iter().map(|column| {
        json!({
            "name": column.name.expose(),
            "type": "string",
            "header": column.header.expose(),
            "occurrence": column.occurrence,
        })
    }));
    fields
}

/// JSON Schema of a line of `leads-0001.jsonl`, with the table of fields.
pub(crate) fn schema() -> Json {
    let text = json!({ "type": "string" });
    let text_or_null = json!({ "type": ["string", "null"] });
    let table: Vec<Json> = FIELDS
        .iter()
        .map(|f| json!({ "number": f.no.0, "name": f.name, "category": f.category.as_str() }))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A lead of an export",
        "type": "object",
        "required": ["id", "dataset", "external_id", "fields", "tags", "notes", "original",
                     "import", "row", "created_at", "updated_at"],
        "properties": {
            "id": text,
            "dataset": text,
            "external_id": text_or_null,
            "fields": { "type": "object", "additionalProperties": text },
            "tags": { "type": "array", "items": text },
            "notes": { "type": "array", "items": { "type": "object",
                "properties": { "text": text, "at": text_or_null }, "required": ["text", "at"] } },
            "original": { "type": "array", "items": { "type": "array", "items": text,
                "minItems": 2, "maxItems": 2 } },
            "import": text_or_null,
            "row": { "type": ["integer", "null"], "minimum": 1 },
            "created_at": { "type": "string", "format": "date-time" },
            "updated_at": { "type": "string", "format": "date-time" },
        },
        "fields": table,
    })
}

#[cfg(test)]
mod tests {
    use super::super::columns::Columns;
    use super::*;

    #[test]
    fn the_description_names_rows_hash_and_every_column() {
        let mut columns = Columns::default();
        columns.see_headers(["E-mail", "E-mail"]);
        let member = |path: &str| Member { path: path.to_owned(), sha256: [1; 32], bytes: 5 };
        let about = About {
            export: "exp_1".to_owned(),
            tenant: "tn_1".to_owned(),
            dataset: None,
            created: Timestamp::from_micros(0),
            leads: 3,
            withheld: 0,
            log_index: 4,
            log_size: 5,
        };
        let members = [
            member("data/leads-0001.csv"),
            member("data/leads-0001.jsonl"),
            member("data/files/file_1"),
            member("data/log/checkpoint"),
        ];
        let text = describe(&about, &members, &[3], &columns.layout());
        let resources = text["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 3);
        assert_eq!(resources[2]["mediatype"], "application/octet-stream");
        assert_eq!(resources[2].get("encoding"), None);
        assert_eq!(resources[0]["hash"], format!("sha256:{}", "01".repeat(32)));
        assert_eq!(resources[0]["rows"], 3);
        let fields = resources[0]["schema"]["fields"].as_array().unwrap();
        assert_eq!(fields.len(), FIXED.len() + 2);
        assert_eq!(fields[FIXED.len() + 1]["name"], "original:E-mail:2");
        assert_eq!(fields[FIXED.len() + 1]["occurrence"], 1);
        assert_eq!(resources[1]["lines"], 3);
    }
}
