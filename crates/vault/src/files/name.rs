//! Names of files: a text for people, never a path.

use crate::error::Fault;

/// Most bytes of a name, as file systems have it.
const NAME_BYTES_MAX: usize = 255;

/// Characters that turn the direction of a text: with them `gpj.exe` reads as something else.
const BIDI: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Checks a name.
///
/// # Errors
/// [`Fault::Invalid`] at `#/name`: `empty`, `too_long`, `bad_name`.
pub(super) fn check(name: &str) -> Result<(), Fault> {
    if name.trim().is_empty() {
        return Err(Fault::invalid("#/name", "empty"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Fault::invalid("#/name", "too_long"));
    }
    if matches!(name, "." | "..") || name.chars().any(is_forbidden) {
        return Err(Fault::invalid("#/name", "bad_name"));
    }
    Ok(())
}

/// What no name of a file holds anywhere: separators, controls, and marks that change how it reads.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}') || BIDI.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_text_and_no_path() {
        for good in ["Vertrag Müller.pdf", "契約.docx", ".env", "a..b", &"x".repeat(255)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let code = |name: &str| match check(name) {
            Err(Fault::Invalid(places)) => {
                assert_eq!(places[0].pointer, "#/name");
                places[0].code
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(code(" "), "empty");
        assert_eq!(code(&"ü".repeat(128)), "too_long");
        for bad in ["..", "a/b", "a\\b", "a\nb", "a\0", "photo_\u{202e}gpj.exe", "a\u{2028}b"] {
            assert_eq!(code(bad), "bad_name", "{bad:?}");
        }
    }
}
