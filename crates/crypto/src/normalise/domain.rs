//! Domains: ASCII form, registrable part, and the mail providers that say nothing about an employer.

use std::borrow::Cow;

/// Longest host name in text form (RFC 1035 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label (RFC 1035 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Registrable domains of mail providers for private persons; sorted.
const FREEMAIL: &[&str] = &[
    "126.com",
    "139.com",
    "163.com",
    "aim.com",
    "alice.it",
    "aliyun.com",
    "aol.com",
    "arcor.de",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "charter.net",
    "comcast.net",
    "cox.net",
    "daum.net",
    "duck.com",
    "earthlink.net",
    "email.com",
    "email.cz",
    "fastmail.com",
    "fastmail.fm",
    "foxmail.com",
    "free.fr",
    "freenet.de",
    "googlemail.com",
    "hanmail.net",
    "hey.com",
    "home.nl",
    "hotmail.com",
    "hushmail.com",
    "icloud.com",
    "inbox.com",
    "inbox.ru",
    "interia.pl",
    "juno.com",
    "kpnmail.nl",
    "laposte.net",
    "libero.it",
    "list.ru",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "neuf.fr",
    "o2.pl",
    "onet.pl",
    "optonline.net",
    "orange.fr",
    "outlook.com",
    "pm.me",
    "posteo.de",
    "posteo.net",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "rocketmail.com",
    "sapo.pt",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "shaw.ca",
    "sina.com",
    "sky.com",
    "skynet.be",
    "sohu.com",
    "sympatico.ca",
    "t-online.de",
    "telenet.be",
    "terra.com.br",
    "tiscali.it",
    "tuta.com",
    "tutanota.com",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "virginmedia.com",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "ya.ru",
    "yandex.com",
    "yandex.ru",
    "yeah.net",
    "ymail.com",
    "zoho.com",
];

/// Providers under many endings (`yahoo.co.uk`, `gmx.net`, `hotmail.fr`); sorted.
const FREEMAIL_NAMES: &[&str] = &[
    "aol",
    "gmail",
    "gmx",
    "googlemail",
    "hotmail",
    "live",
    "outlook",
    "yahoo",
    "yandex",
    "ymail",
];

/// The registrable domain of a URL, host or e-mail address, in lower-case ASCII; nothing for an IP
/// address, a bare suffix or what is no host.
pub fn registrable_domain(text: &str) -> Option<String> {
    let host = ascii_domain(host_of(text.trim()))?;
    let is_number = host.rsplit('.').next()?.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        return None;
    }
    psl::domain_str(&host).map(str::to_owned)
}

/// Whether a registrable domain belongs to a provider of private mailboxes: such a domain gets no tag.
pub fn is_freemail(domain: &str) -> bool {
    let name = domain.split('.').next().unwrap_or(domain);
    FREEMAIL.binary_search(&domain).is_ok() || FREEMAIL_NAMES.binary_search(&name).is_ok()
}

/// The host inside `scheme://user@host:port/path?query#fragment`, each part but the host optional.
fn host_of(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let text = text.split(['/', '?', '#', '\\']).next().unwrap_or(text);
    let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

/// A host name as the DNS compares it: strict UTS 46, lower case, no trailing dot.
pub(super) fn ascii_domain(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if is_plain(text) {
        let has_upper = text.bytes().any(|b| b.is_ascii_uppercase());
        return Some(if has_upper { text.to_ascii_lowercase().into() } else { text.into() });
    }
    let ascii = idna::domain_to_ascii_strict(text).ok()?;
    (!ascii.is_empty() && ascii.len() <= DOMAIN_BYTES_MAX)
        .then(|| ascii.to_ascii_lowercase().into())
}

/// Whether UTS 46 would only lower the case: letters, digits and inner hyphens, nothing that could be
/// Punycode.
fn is_plain(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=LABEL_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.get(2..4) != Some(b"--")
    };
    text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_hosts_and_addresses_of_one_firm_share_a_domain() {
        for text in [
            "https://www.Example.co.uk/path?q=1#f",
            "example.co.uk",
            "http://user:pw@shop.example.co.uk:8080",
            "ada@mail.example.co.uk",
            "EXAMPLE.CO.UK.",
            "www.example.co.uk/a@b",
            "mailto:ada@example.co.uk",
        ] {
            assert_eq!(registrable_domain(text).as_deref(), Some("example.co.uk"), "{text}");
        }
        assert_eq!(
            registrable_domain("https://shop.b\u{fc}cher.de/").as_deref(),
            Some("xn--bcher-kva.de")
        );
    }

    #[test]
    fn addresses_of_machines_suffixes_and_nonsense_have_no_domain() {
        for text in
            ["", "http://10.0.0.1/", "10.0.0.1", "[::1]", "co.uk", "com", "n/a", "-", "a b.com"]
        {
            assert_eq!(registrable_domain(text), None, "{text}");
        }
    }

    #[test]
    fn free_mail_providers_are_known_under_their_national_endings() {
        for domain in ["gmail.com", "yahoo.co.uk", "gmx.net", "web.de", "hotmail.fr", "qq.com"] {
            assert!(is_freemail(domain), "{domain}");
        }
        for domain in ["example.com", "gmailx.com", "mygmx.de"] {
            assert!(!is_freemail(domain), "{domain}");
        }
    }

    #[test]
    fn the_lists_are_sorted_for_the_search() {
        assert!(FREEMAIL.is_sorted() && FREEMAIL_NAMES.is_sorted());
    }

    proptest! {
        #[test]
        fn the_short_way_answers_as_uts_46_does(text in "[a-zA-Z0-9.-]{1,30}|[a-zA-Z-]{55,66}\\.com") {
            if is_plain(&text) {
                let full = idna::domain_to_ascii_strict(&text).ok();
                prop_assert_eq!(ascii_domain(&text).map(Cow::into_owned), full);
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = registrable_domain(&text);
        }
    }
}
