//! The tag files of a bag (RFC 8493): what makes the directory of a package a bag.
//!
//! `manifest-sha256.txt` names every payload file, `tagmanifest-sha256.txt` every tag file but itself and its
//! signature; both are read by `sha256sum -c` from inside the directory.

use std::fmt::Write as _;

/// First tag file of every bag.
pub(crate) const BAGIT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
/// Directory of payload files, in the paths of manifests.
pub(crate) const PAYLOAD: &str = "data/";

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Path inside the directory of the package.
    pub(crate) path: String,
    /// SHA-256 of its contents.
    pub(crate) sha256: [u8; 32],
    /// Length of its contents in bytes.
    pub(crate) bytes: u64,
}

/// Lines of a manifest over the files that `of` picks.
pub(crate) fn manifest(members: &[Member], of: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for member in members.iter().filter(|m| of(&m.path)) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  {}", hex::encode(member.sha256), member.path);
    }
    text
}

/// Facts of `bag-info.txt`; no personal data.
#[derive(Debug)]
pub(crate) struct BagInfo {
    pub(crate) export: String,
    pub(crate) tenant: String,
    pub(crate) instruction: String,
    /// Index of the entry that allowed the export.
    pub(crate) log_index: u64,
    /// `age1…` of whom it is encrypted to; none for a plain package.
    pub(crate) recipient: Option<String>,
    /// `YYYY-MM-DD`.
    pub(crate) date: String,
    pub(crate) leads: u64,
    /// The signature's key as `minisign -P` takes it: that of `log.vkey`.
    pub(crate) signing_key: String,
}

impl BagInfo {
    /// The text of the file, over the payload among `members`.
    pub(crate) fn text(&self, members: &[Member]) -> String {
        let payload = members.iter().filter(|m| m.path.starts_with(PAYLOAD));
        let (count, bytes) = payload.fold((0_u64, 0_u64), |(n, b), m| (n + 1, b + m.bytes));
        let recipient =
            self.recipient.as_deref().map_or_else(|| "none (plain)".to_owned(), fingerprint);
        format!(
            "Bag-Software-Agent: leadvault {version}\n\
             Bagging-Date: {date}\n\
             External-Identifier: {export}\n\
             Payload-Oxum: {bytes}.{count}\n\
             Leadvault-Tenant: {tenant}\n\
             Leadvault-Instruction: {instruction}\n\
             Leadvault-Log-Index: {index}\n\
             Leadvault-Recipient: {recipient}\n\
             Leadvault-Leads: {leads}\n\
             Leadvault-Signing-Key: {signing_key}\n",
            version = env!("CARGO_PKG_VERSION"),
            date = self.date,
            export = self.export,
            tenant = self.tenant,
            instruction = self.instruction,
            index = self.log_index,
            leads = self.leads,
            signing_key = self.signing_key,
        )
    }
}

/// How a recipient is named: `sha256:` over its text.
fn fingerprint(recipient: &str) -> String {
    format!("sha256:{}", hex::encode(leadvault_crypto::sha256(&[recipient.as_bytes()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, bytes: u64) -> Member {
        Member { path: path.to_owned(), sha256: [0xab; 32], bytes }
    }

    #[test]
    fn a_manifest_has_the_lines_that_sha256sum_reads() {
        let members = [member("data/a", 3), member("bagit.txt", 4)];
        let text = manifest(&members, |p| p.starts_with(PAYLOAD));
        assert_eq!(text, format!("{}  data/a\n", "ab".repeat(32)));
    }

    #[test]
    fn the_oxum_counts_the_payload_alone() {
        let info = BagInfo {
            export: "exp_1".to_owned(),
            tenant: "tn_1".to_owned(),
            instruction: "ins_1;v=1".to_owned(),
            log_index: 9,
            recipient: None,
            date: "2026-01-02".to_owned(),
            leads: 2,
            signing_key: "RW1".to_owned(),
        };
        let text = info.text(&[member("data/a", 3), member("data/b", 4), member("bagit.txt", 99)]);
        assert!(text.contains("\nPayload-Oxum: 7.2\n"));
        assert!(text.contains("\nLeadvault-Recipient: none (plain)\n"));
        assert!(text.lines().all(|line| line.contains(": ")));
    }
}
