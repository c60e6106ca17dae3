//! What a file is, told by its first bytes; what the client says is not asked.

/// Bytes of unknown kind.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of a file that begins with these bytes.
pub(super) fn sniff(start: &[u8]) -> &'static str {
    if let Some(kind) = infer::get(start) {
        return kind.mime_type();
    }
    // A piece may end within a character.
    let valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let is_text = valid && !start.is_empty() && !start.iter().any(|byte| is_binary(*byte));
    if is_text { "text/plain" } else { UNKNOWN }
}

/// The type a download is sent with: one that a browser would run is sent as bytes.
pub(super) fn served(media_type: &str) -> &str {
    let kind = media_type.split('/').next().unwrap_or_default();
    match media_type {
        "application/pdf" | "application/zip" | "text/plain" => media_type,
        _ if matches!(kind, "image" | "audio" | "video") && !media_type.contains("svg") => {
            media_type
        }
        _ => UNKNOWN,
    }
}

const fn is_binary(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        assert_eq!(sniff(b"%PDF-1.7\n"), "application/pdf");
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), "image/png");
        assert_eq!(sniff("Grüße\n".as_bytes()), "text/plain");
        assert_eq!(sniff(&"ü".as_bytes()[..1]), "text/plain", "cut within a character");
        for unknown in [&b""[..], b"\x00\x01\x02", b"\xff\xfe\xfd", b"a\x00b"] {
            assert_eq!(sniff(unknown), UNKNOWN, "{unknown:?}");
        }
    }

    #[test]
    fn nothing_is_served_that_a_browser_would_run() {
        assert_eq!(sniff(b"<!DOCTYPE html><script>"), "text/html");
        for active in ["text/html", "text/xml", "image/svg+xml", "application/javascript"] {
            assert_eq!(served(active), UNKNOWN, "{active}");
        }
        for still in ["application/pdf", "image/png", "text/plain"] {
            assert_eq!(served(still), still);
        }
    }
}
