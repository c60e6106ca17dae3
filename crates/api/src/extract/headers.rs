//! The request headers of surfaces.md 2 that say under what a call runs.

use axum::http::HeaderMap;
use leadvault_domain::{Purpose, Sensitive, TenantId};
use leadvault_policy::Named;
use leadvault_vault::Fault;

/// The longest idempotency key; longer ones are refused rather than cut.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// `Instruction: ins_…`, with `;v=3` to pin a version.
pub(super) fn instruction(headers: &HeaderMap) -> Result<Option<Named>, Fault> {
    const PLACE: &str = "header:Instruction";
    one(headers, "instruction", PLACE)?.map(|text| named(text, PLACE)).transpose()
}

/// An instruction as text, with or without a pinned version.
///
/// # Errors
/// [`Fault::BadRequest`] at `place`.
pub(crate) fn named(text: &str, place: &'static str) -> Result<Named, Fault> {
    let mut parts = text.split(';').map(|part| part.trim_matches(' '));
    let id = parts.next().unwrap_or_default();
    let id = id.parse().map_err(|_| Fault::bad(place, "id"))?;
    let version = match (parts.next(), parts.next()) {
        (None, _) => None,
        (Some(pin), None) => {
            let digits = pin.strip_prefix("v=").filter(|d| is_number(d));
            let version = digits.and_then(|d| d.parse::<u32>().ok()).filter(|v| *v > 0);
            Some(version.ok_or_else(|| Fault::bad(place, "version"))?)
        }
        _ => return Err(Fault::bad(place, "version")),
    };
    Ok(Named { id, version })
}

/// `Tenant: tn_…`: whom the operator acts for; with a tenant's key it can only confirm it.
pub(super) fn tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Fault> {
    const PLACE: &str = "header:Tenant";
    let text = one(headers, "tenant", PLACE)?;
    text.map(|text| text.parse().map_err(|_| Fault::bad(PLACE, "id"))).transpose()
}

/// `Purpose: crm_operations`.
pub(super) fn purpose(headers: &HeaderMap) -> Result<Option<Purpose>, Fault> {
    let Some(text) = one(headers, "purpose", "header:Purpose")? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::PurposeUnknown)
}

/// `Idempotency-Key`: a string of RFC 8941 in double quotes, or bare.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Sensitive<String>>, Fault> {
    const PLACE: &str = "header:Idempotency-Key";
    let Some(text) = one(headers, "idempotency-key", PLACE)? else { return Ok(None) };
    let key = match text.strip_prefix('"') {
        Some(rest) => unquote(rest).ok_or_else(|| Fault::bad(PLACE, "malformed"))?,
        None if text.bytes().all(|b| b.is_ascii_graphic()) => Sensitive::new(text.to_owned()),
        None => return Err(Fault::bad(PLACE, "malformed")),
    };
    match key.expose().len() {
        0 => Err(Fault::bad(PLACE, "empty")),
        n if n > IDEMPOTENCY_KEY_CHARS_MAX => Err(Fault::bad(PLACE, "too_long")),
        _ => Ok(Some(key)),
    }
}

/// The inside of a quoted string, given what follows its opening quote.
fn unquote(rest: &str) -> Option<Sensitive<String>> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then(|| Sensitive::new(key)),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c @ ' '..='~' => key.push(c),
            _ => return None,
        }
    }
}

/// The value of a header that may stand once, without the blanks around it.
pub(super) fn one<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
    place: &'static str,
) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::bad(place, "repeated"));
    }
    let text = value.to_str().map_err(|_| Fault::bad(place, "malformed"))?;
    Ok(Some(text.trim_matches(' ')))
}

/// Digits only: `parse` would take a sign.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use leadvault_domain::InstructionId;
    use proptest::prelude::*;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        HeaderMap::from_iter([(HeaderName::from_static(name), value)])
    }

    #[test]
    fn an_instruction_is_named_with_or_without_a_version() {
        let id = InstructionId::from_bytes([9; 16]);
        for (text, version) in [
            (format!("{id}"), None),
            (format!("{id};v=3"), Some(3)),
            (format!("{id} ; v=3"), Some(3)),
        ] {
            let named = instruction(&with("instruction", &text)).unwrap().unwrap();
            assert_eq!((named.id, named.version), (id, version), "{text}");
        }
        assert!(instruction(&HeaderMap::new()).unwrap().is_none());
    }

    #[test]
    fn a_malformed_instruction_is_a_bad_request() {
        let id = InstructionId::from_bytes([9; 16]);
        for bad in [
            String::new(),
            "ins_x".to_owned(),
            format!("{id};v=0"),
            format!("{id};v=+1"),
            format!("{id};v="),
            format!("{id};w=1"),
            format!("{id};v=1;v=2"),
            format!("{id};"),
            format!("{id};v=4294967296"),
        ] {
            let fault = instruction(&with("instruction", &bad)).unwrap_err();
            assert!(matches!(fault, Fault::BadRequest(_)), "{bad}");
        }
    }

    #[test]
    fn a_purpose_is_a_word_of_the_vocabulary() {
        let known = purpose(&with("purpose", "crm_operations")).unwrap();
        assert_eq!(known, Some(Purpose::CrmOperations));
        assert_eq!(purpose(&with("purpose", "sell")), Err(Fault::PurposeUnknown));
        assert_eq!(purpose(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_quoted_and_a_bare_idempotency_key_are_the_same() {
        let read = |text: &str| idempotency_key(&with("idempotency-key", text)).unwrap().unwrap();
        assert_eq!(read("abc").expose(), "abc");
        assert_eq!(read("\"abc\"").expose(), "abc");
        assert_eq!(read("\"a \\\"b\\\\\"").expose(), "a \"b\\");
    }

    #[test]
    fn an_idempotency_key_has_a_form_and_a_length() {
        let long = "k".repeat(256);
        for bad in ["", "\"\"", "\"abc", "\"a\"b", "\"a\\x\"", "a b", long.as_str()] {
            assert!(idempotency_key(&with("idempotency-key", bad)).is_err(), "{bad}");
        }
        assert!(idempotency_key(&with("idempotency-key", &"k".repeat(255))).is_ok());
    }

    #[test]
    fn a_header_may_stand_once() {
        let mut headers = with("purpose", "security");
        headers.append("purpose", HeaderValue::from_static("security"));
        assert!(matches!(purpose(&headers), Err(Fault::BadRequest(_))));
    }

    proptest! {
        #[test]
        fn every_printable_key_survives_quoting(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            let read = idempotency_key(&with("idempotency-key", &quoted)).unwrap().unwrap();
            prop_assert_eq!(read.expose(), &key);
        }
    }
}
