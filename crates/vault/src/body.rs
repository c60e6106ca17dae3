//! Reading request bodies with places: what is wrong is named by pointer and code, never by value.

use leadvault_domain::Sensitive;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::error::{Fault, Pointed};

/// Reads a JSON body into a type that denies unknown members.
///
/// # Errors
/// [`Fault::UnknownField`] with the pointer of the parent of a member the schema does not know;
/// [`Fault::BadRequest`] with the place and `required`, `invalid` or `not_json`.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed: T = serde_path_to_error::deserialize(&mut json).map_err(|e| explain(&e))?;
    json.end().map_err(|_| Fault::bad("#", "not_json"))?;
    Ok(parsed)
}

/// The fault that an error stands for. serde's message may hold the value, so only its fixed beginning
/// is looked at.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let message: Sensitive<String> = error.inner().to_string().into();
    if !error.inner().is_data() {
        return Fault::bad("#", "not_json");
    }
    if message.expose().starts_with("unknown field") {
        return Fault::UnknownField(pointer(error.path(), true));
    }
    let missing =
        message.expose().strip_prefix("missing field `").and_then(|m| m.split('`').next());
    if let Some(member) = missing {
        let place = format!("{}/{member}", pointer(error.path(), false));
        return Fault::BadRequest(vec![Pointed::new(place, "required")]);
    }
    Fault::BadRequest(vec![Pointed::new(pointer(error.path(), false), "invalid")])
}

/// The path as a JSON pointer. `parent` leaves out the last member, which is the caller's own word.
fn pointer(path: &serde_path_to_error::Path, parent: bool) -> String {
    let segments: Vec<_> = path.iter().collect();
    let shown = segments.len().saturating_sub(usize::from(parent));
    let mut out = "#".to_owned();
    for segment in segments.iter().take(shown) {
        match segment {
            Segment::Seq { index } => {
                out.push('/');
                out.push_str(&index.to_string());
            }
            Segment::Map { key }
                if key
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
                    && key.len() <= 40 =>
            {
                out.push('/');
                out.push_str(key);
            }
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its form matters")]
        n: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its form matters")]
        inner: Vec<Inner>,
    }

    fn fault(text: &str) -> Fault {
        parse_body::<Outer>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn faults_name_the_place_and_never_the_value() {
        assert_eq!(
            fault(r#"{"inner":[{"n":"ada@example.com"}]}"#),
            Fault::bad("#/inner/0/n", "invalid")
        );
        assert_eq!(fault(r#"{"inner":[{}]}"#), Fault::bad("#/inner/0/n", "required"));
        assert_eq!(
            fault(r#"{"inner":[{"n":1,"ada@example.com":2}]}"#),
            Fault::UnknownField("#/inner/0".to_owned())
        );
        assert_eq!(fault("{"), Fault::bad("#", "not_json"));
        assert_eq!(fault(r#"{"inner":[]} x"#), Fault::bad("#", "not_json"));
    }
}
