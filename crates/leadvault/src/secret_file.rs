//! Secrets that the configuration names by file: read once, and only where nobody else may read them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use leadvault_domain::Sensitive;
use zeroize::Zeroizing;

use crate::exit::Stop;

/// Permission bits of group and others.
const OPEN_TO_OTHERS: u32 = 0o077;
/// No secret of the configuration is longer.
const BYTES_MAX: u64 = 4096;

/// Reads the secret that the configuration names under `name`, without white space around it.
///
/// # Errors
/// 2 where it cannot be read, group or others may, or it is no text. The message names the key of the
/// configuration and never the contents.
pub(crate) fn read(name: &str, path: &Path) -> Result<Sensitive<String>, Stop> {
    let usage = |says: &str| Stop::Usage(anyhow::anyhow!("{name}: {says}"));
    let file =
        File::open(path).with_context(|| format!("{name}: cannot read {}", path.display()))?;
    // Of the file that was opened, not of whatever the path names a moment later.
    let mode = file.metadata().context(name.to_owned())?.permissions().mode();
    if mode & OPEN_TO_OTHERS != 0 {
        return Err(usage("group or others may read it; chmod 600"));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|_| usage("cannot be read as text"))?;
    Ok(text.trim().to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_refused_by_the_name_of_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, " s3cret\n").unwrap();
        for (mode, fits) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match read("keys.some_file", &path) {
                Ok(secret) => assert!(fits && secret.expose() == "s3cret", "{mode:o}"),
                Err(Stop::Usage(error)) => {
                    let says = format!("{error:#}");
                    assert!(!fits && says.contains("keys.some_file"), "{mode:o}: {says}");
                    assert!(!says.contains("s3cret"));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
