//! A line of an export of the vault (surfaces.md 7), so that an export of one vault imports into another.
//!
//! ```text
//! {"id","dataset","external_id","fields":{},"tags":[],"notes":[],"original":[["header","cell"]…],"import","row","created_at","updated_at"}
//! ```
//! `id`, `dataset`, `import` and `row` belong to the vault that wrote it and are dropped. `original` is
//! kept whole: it is all that gives the row's cells back, whatever `fields` says.

use leadvault_domain::Personal;

use super::code::RowCode;
use super::json::Json;

/// What the line says about a lead.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeadLine {
    /// Members of `fields`: name of the column, value.
    pub fields: Vec<(usize, Personal)>,
    /// The client's own id.
    pub external_id: Option<Personal>,
    /// Tags, if the member is there.
    pub tags: Option<Vec<Personal>>,
    /// Notes: text, and time or empty.
    pub notes: Option<Vec<(Personal, Personal)>>,
    /// Header and cell of every cell of the row it once was.
    pub original: Option<Vec<(Personal, Personal)>>,
    /// RFC 3339.
    pub created_at: Option<Personal>,
    /// RFC 3339.
    pub updated_at: Option<Personal>,
}

/// Whether an object is such a line rather than a row of cells.
pub(super) fn is_lead_line(members: &[(Personal, Json)]) -> bool {
    let find = |name: &str| members.iter().find(|(key, _)| key.expose() == name).map(|m| &m.1);
    matches!(find("fields"), Some(Json::Object(_)))
        && matches!(find("tags"), None | Some(Json::Null | Json::List(_)))
        && matches!(find("notes"), None | Some(Json::Null | Json::List(_)))
}

/// Reads the members of a line; `column_of` gives a name of `fields` its column.
///
/// # Errors
/// The code the row is refused with.
pub(super) fn read(
    members: Vec<(Personal, Json)>,
    column_of: &mut dyn FnMut(&Personal) -> Option<usize>,
) -> Result<LeadLine, RowCode> {
    let mut line = LeadLine::default();
    let given = members.into_iter().filter(|(_, value)| *value != Json::Null);
    for (name, value) in given {
        match (name.expose().as_str(), value) {
            ("fields", Json::Object(fields)) => {
                for (name, value) in fields {
                    let column = column_of(&name).ok_or(RowCode::TooManyColumns)?;
                    if line.fields.iter().any(|(other, _)| *other == column) {
                        return Err(RowCode::BadJson);
                    }
                    if let Some(text) = scalar(value)? {
                        line.fields.push((column, text));
                    }
                }
            }
            ("external_id", value) => line.external_id = scalar(value)?,
            ("created_at", value) => line.created_at = scalar(value)?,
            ("updated_at", value) => line.updated_at = scalar(value)?,
            ("tags", value) => line.tags = Some(list(value)?.map(text).collect::<Result<_, _>>()?),
            ("notes", value) => {
                line.notes = Some(list(value)?.map(note).collect::<Result<_, _>>()?);
            }
            ("original", value) => {
                line.original = Some(list(value)?.map(pair).collect::<Result<_, _>>()?);
            }
            // Members of the other vault alone, and what may be added to the format.
            _ => {}
        }
    }
    Ok(line)
}

/// The text of a plain value; `None` for null.
pub(super) fn scalar(value: Json) -> Result<Option<Personal>, RowCode> {
    match value {
        Json::Null => Ok(None),
        Json::Bool(true) => Ok(Some("true".into())),
        Json::Bool(false) => Ok(Some("false".into())),
        Json::Number(text) | Json::Text(text) => Ok(Some(text)),
        Json::List(_) | Json::Object(_) => Err(RowCode::NestedValue),
    }
}

fn list(value: Json) -> Result<std::vec::IntoIter<Json>, RowCode> {
    let Json::List(items) = value else { return Err(RowCode::NestedValue) };
    Ok(items.into_iter())
}

fn text(value: Json) -> Result<Personal, RowCode> {
    let Json::Text(text) = value else { return Err(RowCode::NestedValue) };
    Ok(text)
}

fn note(value: Json) -> Result<(Personal, Personal), RowCode> {
    let Json::Object(members) = value else { return Ok((text(value)?, Personal::default())) };
    let mut note = (Personal::default(), Personal::default());
    for (name, value) in members {
        match name.expose().as_str() {
            "text" => note.0 = scalar(value)?.unwrap_or_default(),
            "at" => note.1 = scalar(value)?.unwrap_or_default(),
            _ => {}
        }
    }
    Ok(note)
}

fn pair(value: Json) -> Result<(Personal, Personal), RowCode> {
    let mut items = list(value)?;
    match (items.next(), items.next(), items.next()) {
        (Some(header), Some(cell), None) => Ok((text(header)?, text(cell)?)),
        _ => Err(RowCode::NestedValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::json::parse;

    fn members(text: &str) -> Vec<(Personal, Json)> {
        match parse(text) {
            Ok(Json::Object(members)) => members,
            other => panic!("{other:?}"),
        }
    }

    fn read_line(text: &str) -> Result<LeadLine, RowCode> {
        let mut names: Vec<String> = Vec::new();
        read(members(text), &mut |name| {
            let known = names.iter().position(|n| n == name.expose());
            Some(known.unwrap_or_else(|| {
                names.push(name.expose().clone());
                names.len() - 1
            }))
        })
    }

    #[test]
    fn an_exported_lead_is_read_back() {
        let line = read_line(
            r#"{"id":"ct_1","dataset":"ds_1","external_id":"A1","fields":{"email":"a@b.example","x_0":"1"},
                "tags":["vip"],"notes":[{"text":"hello","at":"2026-01-01T00:00:00Z"},{"text":"again"}],
                "original":[["Email","a@b.example"],["Index","1"]],"import":"imp_1","row":17,
                "created_at":"2026-01-01T00:00:00Z","updated_at":null}"#,
        )
        .unwrap();
        assert_eq!(line.fields[1], (1, "1".into()));
        assert_eq!(line.external_id, Some("A1".into()));
        assert_eq!(line.notes.unwrap()[1], ("again".into(), "".into()));
        assert_eq!(line.original.unwrap()[1], ("Index".into(), "1".into()));
        assert_eq!(line.updated_at, None);
    }

    #[test]
    fn other_shapes_are_refused_or_are_no_such_line() {
        assert!(!is_lead_line(&members(r#"{"fields":"a, b","email":"x"}"#)));
        assert!(is_lead_line(&members(r#"{"fields":{}}"#)));
        assert_eq!(read_line(r#"{"fields":{"a":[1]}}"#), Err(RowCode::NestedValue));
        assert_eq!(read_line(r#"{"fields":{"a":1,"a":2}}"#), Err(RowCode::BadJson));
        assert_eq!(read_line(r#"{"fields":{},"original":[["h"]]}"#), Err(RowCode::NestedValue));
        assert_eq!(read_line(r#"{"fields":{},"tags":[7]}"#), Err(RowCode::NestedValue));
    }
}
