//! A small JSON reader (RFC 8259) for the lines of an import.
//!
//! It keeps what a general one loses: the order of members, repeated names, and numbers exactly as they
//! are written. Texts are wiped when they are dropped. Depth and size are bounded.

use leadvault_domain::Personal;

/// Deepest nesting: an export's line has three levels; more is refused anyway.
const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(Personal),
    /// A text.
    Text(Personal),
    /// An array.
    List(Vec<Json>),
    /// An object, members in their order.
    Object(Vec<(Personal, Json)>),
}

/// Not JSON, or nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadJson;

/// Reads a text that is one JSON value.
///
/// # Errors
/// [`BadJson`].
pub(super) fn parse(text: &str) -> Result<Json, BadJson> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(BadJson) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), BadJson> {
        if self.peek() != Some(byte) {
            return Err(BadJson);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, BadJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(BadJson);
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Json, BadJson> {
        if depth > DEPTH_MAX {
            return Err(BadJson);
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(BadJson),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, BadJson> {
        self.expect(b'{')?;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(Json::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, BadJson> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(Json::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn digits(&mut self) -> Result<(), BadJson> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(BadJson) }
    }

    fn number(&mut self) -> Result<Json, BadJson> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(self.text.get(from..self.at).unwrap_or_default().into()))
    }

    fn string(&mut self) -> Result<Personal, BadJson> {
        self.expect(b'"')?;
        // A text is never longer than it is written: no growth, so no copy left behind by it.
        let mut text = String::with_capacity(self.plain_bytes());
        loop {
            let run = self.plain_bytes();
            text.push_str(self.text.get(self.at..self.at + run).ok_or(BadJson)?);
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Personal::new(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                // A control character, or the end of the line.
                _ => return Err(BadJson),
            }
        }
    }

    fn plain_bytes(&self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len())
    }

    fn escape(&mut self) -> Result<char, BadJson> {
        let escaped = self.peek().ok_or(BadJson)?;
        self.at += 1;
        Ok(match escaped {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                if (0xd800..0xdc00).contains(&first) {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    let units = [first, self.hex4()?];
                    let mut decoded = char::decode_utf16(units);
                    return decoded.next().and_then(Result::ok).ok_or(BadJson);
                }
                char::from_u32(u32::from(first)).ok_or(BadJson)?
            }
            _ => return Err(BadJson),
        })
    }

    fn hex4(&mut self) -> Result<u16, BadJson> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(BadJson)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadJson);
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| BadJson)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(json: &Json) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(n) => serde_json::from_str(n.expose()).unwrap(),
            Json::Text(t) => t.expose().as_str().into(),
            Json::List(items) => items.iter().map(plain).collect(),
            Json::Object(members) => serde_json::Value::Object(
                members.iter().map(|(k, v)| (k.expose().clone(), plain(v))).collect(),
            ),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_the_same(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(plain(&parse(&text).unwrap()), value.clone());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(plain(&parse(&pretty).unwrap()), value);
        }

        #[test]
        fn any_text_is_judged_as_serde_judges_it(text in "[\\[\\]{}\",:0-9eE+.\\-truefalsn\\\\u ]{0,24}") {
            let ours = parse(&text);
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json refuses numbers beyond f64; here they stay text.
            if theirs.is_ok() || !text.contains(['e', 'E']) {
                prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn numbers_stay_as_written_and_names_may_repeat() {
        let Json::Object(members) = parse(r#"{"a":1.50e2,"a":12345678901234567890123}"#).unwrap()
        else {
            panic!("an object")
        };
        assert_eq!(members[0].1, Json::Number("1.50e2".into()));
        assert_eq!(members[1].1, Json::Number("12345678901234567890123".into()));
    }

    #[test]
    fn faults_are_refused() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "01",
            "\"a\nb\"",
            "nul",
            "1 2",
            &deep,
        ] {
            assert_eq!(parse(bad), Err(BadJson));
        }
        assert_eq!(parse(r#""\ud83d\ude00""#), Ok(Json::Text("\u{1f600}".into())));
    }
}
