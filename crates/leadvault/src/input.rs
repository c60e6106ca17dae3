//! Files that the user names: read whole, and only as far as such a file can sensibly go.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::exit::Stop;

/// Largest key, verifier key, identity or checkpoint, in bytes.
pub(crate) const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// Largest receipt, certificate, mapping or attestation, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A text file of at most `bytes_max`. It may hold a secret: it is wiped when it is dropped.
///
/// # Errors
/// 2 where it cannot be read, is larger, or is no text. The message never holds the contents.
pub(crate) fn text(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, Stop> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {}", name()))?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(bytes_max.saturating_add(1)).read_to_string(&mut text);
    if matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::InvalidData) {
        return Err(Stop::Usage(anyhow::anyhow!("{}: not a text file", name())));
    }
    let length = read.with_context(|| format!("cannot read {}", name()))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > bytes_max {
        return Err(Stop::Usage(anyhow::anyhow!("{}: larger than {bytes_max} bytes", name())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("named");
        std::fs::write(&path, "secret").unwrap();
        assert_eq!(text(&path, 6).unwrap().as_str(), "secret");
        for (bytes, says) in
            [(&b"secret+"[..], "larger than 6 bytes"), (b"se\xffret", "not a text")]
        {
            std::fs::write(&path, bytes).unwrap();
            let Err(Stop::Usage(error)) = text(&path, 6) else { panic!("it was read") };
            let said = format!("{error:#}");
            assert!(said.contains(says) && !said.contains("secret+"), "{said}");
        }
        assert!(matches!(text(&dir.path().join("none"), 6), Err(Stop::Usage(_))));
    }
}
