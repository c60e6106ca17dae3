//! An export package as a file: what is inside of age, and the leads inside of that.
//!
//! What must be unpacked to be read lies in a file that has no name and goes with the process: on the machine of
//! the one who holds the identity, at their wish.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use leadvault_crypto::age::{Decryptor, Identity};
use zip::ZipArchive;

use super::export_package;
use crate::exit::Stop;
use crate::input;

/// First bytes of an age file.
const AGE: &[u8] = b"age-encryption.org/v1\n";
/// First bytes of a ZIP file.
const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Why there is nothing inside.
pub(crate) enum Unopened {
    /// It does not decrypt: another identity, or changed bytes.
    Undecryptable,
    /// The input cannot be read.
    Stop(Stop),
}

impl From<anyhow::Error> for Unopened {
    fn from(error: anyhow::Error) -> Self {
        Self::Stop(Stop::Usage(error))
    }
}

/// The ZIP: the file itself, or what is inside of age.
///
/// # Errors
/// [`Unopened`].
pub(crate) fn plain_of(mut file: File, identity: Option<&Path>) -> Result<File, Unopened> {
    if !begins_with(&mut file, AGE)? {
        return Ok(file);
    }
    let Some(identity) = identity else {
        return Err(anyhow::anyhow!("the package is encrypted: --identity is needed").into());
    };
    let text = input::text(identity, input::SMALL_BYTES_MAX).map_err(Unopened::Stop)?;
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'));
    let identity: Identity =
        line.unwrap_or_default().parse().ok().context("not an age X25519 identity")?;
    let mut decryptor = Decryptor::new(identity);
    let mut out = unnamed_file().context("cannot make a temporary file")?;
    let mut piece = vec![0_u8; PIECE_BYTES];
    let mut plain = Vec::new();
    loop {
        let n = file.read(&mut piece).context("cannot read the package")?;
        let Some(bytes) = piece.get(..n).filter(|b| !b.is_empty()) else { break };
        plain.clear();
        decryptor.push(bytes, &mut plain).map_err(|_| Unopened::Undecryptable)?;
        out.write_all(&plain).context("cannot write a temporary file")?;
    }
    plain.clear();
    decryptor.finish(&mut plain).map_err(|_| Unopened::Undecryptable)?;
    out.write_all(&plain).context("cannot write a temporary file")?;
    out.seek(SeekFrom::Start(0)).context("cannot read a temporary file")?;
    Ok(out)
}

/// What an import uploads: the JSON Lines of a package that verifies, one part after the other, or the file as
/// it is.
///
/// # Errors
/// 1 for a package that does not verify; 2 for a file that cannot be read, does not decrypt, or cannot be unpacked.
pub(crate) fn leads_or_file(
    path: &Path,
    identity: Option<&Path>,
    vkey: Option<&Path>,
) -> Result<File, Stop> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut plain = plain_of(file, identity).map_err(|error| match error {
        Unopened::Stop(stop) => stop,
        Unopened::Undecryptable => {
            Stop::Usage(anyhow::anyhow!("the package does not decrypt with this identity"))
        }
    })?;
    if !begins_with(&mut plain, ZIP)? {
        return Ok(plain);
    }
    let again = plain.try_clone().context("cannot read the file")?;
    export_package::whole(again, vkey)?;
    plain.seek(SeekFrom::Start(0)).context("cannot read the file")?;
    let mut zip = ZipArchive::new(plain).context("not an export package")?;
    let names: Result<Vec<String>, _> =
        zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned)).collect();
    let mut parts = names.context("not an export package")?;
    parts.retain(|name| is_leads(name));
    parts.sort();
    if parts.is_empty() {
        return Err(Stop::Usage(anyhow::anyhow!("there are no leads in this package")));
    }
    let mut out = unnamed_file().context("cannot make a temporary file")?;
    for name in parts {
        let mut part = zip.by_name(&name).context("not an export package")?;
        io::copy(&mut part, &mut out).context("cannot unpack the package")?;
    }
    out.seek(SeekFrom::Start(0)).context("cannot read a temporary file")?;
    Ok(out)
}

/// `<exp id>/data/leads-0001.jsonl`.
fn is_leads(name: &str) -> bool {
    let part = name.split_once('/').and_then(|(_, inside)| inside.strip_prefix("data/leads-"));
    part.is_some_and(|part| part.strip_suffix(".jsonl").is_some())
}

fn begins_with(file: &mut File, head: &[u8]) -> anyhow::Result<bool> {
    let mut bytes = Vec::with_capacity(head.len());
    let mut start = (&*file).take(head.len() as u64);
    start.read_to_end(&mut bytes).context("cannot read the file")?;
    file.seek(SeekFrom::Start(0)).context("cannot read the file")?;
    Ok(bytes == head)
}

/// A file in the temporary directory that is removed before anything is written to it.
fn unnamed_file() -> io::Result<File> {
    let mut name = [0_u8; 16];
    leadvault_domain::Entropy::fill(&leadvault_crypto::SystemEntropy, &mut name)
        .map_err(io::Error::other)?;
    let path = std::env::temp_dir().join(format!("leadvault-{}", hex::encode(name)));
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_are_the_json_lines_of_a_package_and_nothing_else() {
        assert!(is_leads("exp_01/data/leads-0001.jsonl"));
        for other in [
            "exp_01/data/leads-0001.csv",
            "data/leads-0001.jsonl.x",
            "exp_01/data/instructions.jsonl",
            "exp_01/leads-0001.jsonl",
        ] {
            assert!(!is_leads(other), "{other}");
        }
    }
}
