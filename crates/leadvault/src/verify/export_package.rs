//! `leadvault verify export`: an export package, with nothing but its file, the log's verifier key and, where
//! it is encrypted, the recipient's identity.
//!
//! Checked, in this order: age; the ZIP; the key inside is one of those given; the signature over
//! `tagmanifest-sha256.txt`; every hash of both manifests, and that the manifests name every file; rows of the
//! lead files against the description; the log inside and the entry the export was made under; and that as
//! many leads are in it or said to be withheld as the log says were stored and not erased, where the export is of
//! the whole tenant and the log tells (module `live`).

mod live;
mod zip_form;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use leadvault_crypto::{Sha256Stream, minisign};
use leadvault_ledger::proof::TlogProof;
use leadvault_ledger::{LogSource, SourceError, Vkey, tree, verify_log};
use serde_json::Value;
use zip::ZipArchive;

use crate::exit::{Done, Stop};
use crate::input;
use crate::verify::Found;
use crate::verify::package::{Unopened, plain_of};

/// Largest tag file or description that is read into memory.
const TEXT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Said of a file that has not the form of a package.
const NOT_A_PACKAGE: &str = "not_a_package";
/// Bytes read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A check that did not hold, or a file that cannot be read.
enum Halt {
    Bad(Found),
    Stop(Stop),
}

impl Halt {
    fn bad(failure: &'static str, at: impl Into<String>) -> Self {
        Self::Bad(Found::bad(failure, at))
    }
}

/// Runs the command.
///
/// # Errors
/// 1 when it does not hold, 2 for unreadable input.
pub(crate) fn run(file: &Path, vkey: &Path, identity: Option<&Path>) -> Done {
    let vkey = input::text(vkey, input::SMALL_BYTES_MAX)?;
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let plain = plain_of(opened, identity).map_err(|error| match error {
        Unopened::Undecryptable => Halt::bad("decryption_failed", "age"),
        Unopened::Stop(stop) => Halt::Stop(stop),
    });
    let checked = plain.and_then(|plain| check(plain, &vkey));
    match checked {
        Ok(()) => Found::good().finish(),
        Err(Halt::Bad(found)) => found.finish(),
        Err(Halt::Stop(stop)) => Err(stop),
    }
}

/// A package that was opened.
struct Package {
    zip: ZipArchive<File>,
    /// Directory of the package, with its `/`.
    root: String,
    /// Paths of its files inside of it.
    names: Vec<String>,
}

/// What the description says, compared with the lead files.
struct About {
    /// Leads in the package, and those withheld: stored and not in it.
    leads: u64,
    /// Index of the entry that allowed the export.
    log_index: u64,
    /// Entries in the log when its leads were last compared.
    log_size: u64,
}

/// Checks that a package is whole and signed, before anything of it goes to a server: by the log's key that
/// `vkey` holds, else by the one inside, which says that nothing was changed and not who made it.
///
/// # Errors
/// 1 when it does not hold, named on stderr; 2 for a file that is no package, or cannot be read.
pub(super) fn whole(plain: File, vkey: Option<&Path>) -> Done {
    let given = vkey.map(|path| input::text(path, input::SMALL_BYTES_MAX)).transpose()?;
    let checked = (|| {
        let mut package = Package::open(plain)?;
        let text = match given {
            Some(text) => text.to_string(),
            None => package.text("log.vkey")?,
        };
        let keys = Vkey::parse_all(&text).map_err(|_| Halt::bad("malformed", "log.vkey"))?;
        package.signature(&keys)?;
        package.manifests()
    })();
    match checked {
        Ok(()) => Ok(()),
        Err(Halt::Bad(Found { failure, at, .. })) => {
            let (failure, at) = (failure.unwrap_or("bad"), at.unwrap_or_default());
            if failure == NOT_A_PACKAGE {
                return Err(Stop::Usage(anyhow::anyhow!(
                    "this is a ZIP file and no export package; save a workbook as CSV"
                )));
            }
            say!("the package does not verify: {failure} at {at}; nothing was sent");
            Err(Stop::No)
        }
        Err(Halt::Stop(stop)) => Err(stop),
    }
}

fn check(plain: File, vkey: &str) -> Result<(), Halt> {
    let mut package = Package::open(plain)?;
    let keys = Vkey::parse_all(vkey)
        .context("the verifier key")
        .map_err(|error| Halt::Stop(Stop::Usage(error)))?;
    package.signature(&keys)?;
    package.manifests()?;
    let about = package.rows()?;
    package.log(vkey, &keys, &about)
}

impl Package {
    fn open(mut plain: File) -> Result<Self, Halt> {
        let no_package = |_| Halt::bad(NOT_A_PACKAGE, "zip");
        let unreadable = |error: io::Error| Halt::Stop(Stop::Usage(error.into()));
        let again = plain.try_clone().map_err(unreadable)?;
        let mut zip = ZipArchive::new(again).map_err(no_package)?;
        if let Some(at) =
            zip_form::flaw(&mut zip, &mut plain).map_err(|_| Halt::bad("bad_file", "zip"))?
        {
            return Err(Halt::bad("not_in_manifest", at));
        }
        let names: Result<Vec<String>, _> =
            zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned)).collect();
        let names = names.map_err(|_| Halt::bad(NOT_A_PACKAGE, "zip"))?;
        let root = names.first().and_then(|name| name.split_once('/')).map(|(root, _)| root);
        let root = format!("{}/", root.unwrap_or_default());
        let inside = |name: &String| name.strip_prefix(&root).map(str::to_owned);
        // One directory, named, and nothing beside it: an archive of another form is no package.
        match names.iter().map(inside).collect::<Option<Vec<_>>>() {
            Some(names) if root.len() > 1 => Ok(Self { zip, root, names }),
            _ => Err(Halt::bad(NOT_A_PACKAGE, "zip")),
        }
    }

    /// A file read whole; `None` if there is no such file.
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Halt> {
        let full = format!("{}{path}", self.root);
        let file = match self.zip.by_name(&full) {
            Ok(file) => file,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(_) => return Err(Halt::bad("bad_file", path)),
        };
        let mut bytes = Vec::new();
        let read = file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|_| Halt::bad("bad_file", path))?;
        Ok(Some(bytes))
    }

    fn text(&mut self, path: &str) -> Result<String, Halt> {
        let bytes = self.read(path)?.ok_or_else(|| Halt::bad("missing", path))?;
        String::from_utf8(bytes).map_err(|_| Halt::bad("malformed", path))
    }

    fn signature(&mut self, keys: &[Vkey]) -> Result<(), Halt> {
        let at = "tagmanifest-sha256.txt";
        let (tags, signature) = (self.text(at)?, self.text("tagmanifest-sha256.txt.minisig")?);
        let verified =
            keys.iter().any(|k| minisign::verify(k.key(), tags.as_bytes(), &signature).is_ok());
        if !verified {
            return Err(Halt::bad("bad_signature", at));
        }
        let inside = Vkey::parse_all(&self.text("log.vkey")?);
        let inside = inside.map_err(|_| Halt::bad("malformed", "log.vkey"))?;
        let known = |k: &Vkey| keys.iter().any(|g| g.to_string() == k.to_string());
        if inside.iter().any(known) { Ok(()) } else { Err(Halt::bad("unknown_key", "log.vkey")) }
    }

    /// Every hash, and that nothing is beside what the manifests name. Tag files first: the payload is judged by
    /// a manifest that holds.
    fn manifests(&mut self) -> Result<(), Halt> {
        let tags = self.manifest("tagmanifest-sha256.txt", |path| !path.starts_with("data/"))?;
        if !tags.contains_key("manifest-sha256.txt") {
            return Err(Halt::bad("not_in_manifest", "manifest-sha256.txt"));
        }
        let payload = self.manifest("manifest-sha256.txt", |path| path.starts_with("data/"))?;
        let unsigned = ["tagmanifest-sha256.txt", "tagmanifest-sha256.txt.minisig"];
        for path in &self.names {
            let named = tags.contains_key(path) || payload.contains_key(path);
            if !named && !unsigned.contains(&path.as_str()) {
                return Err(Halt::bad("not_in_manifest", path.as_str()));
            }
        }
        Ok(())
    }

    /// Reads a manifest and checks every file it names.
    fn manifest(
        &mut self,
        at: &str,
        belongs: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, String>, Halt> {
        let named: BTreeMap<String, String> =
            parse_manifest(&self.text(at)?, at)?.into_iter().collect();
        for (path, digest) in &named {
            if !belongs(path) {
                return Err(Halt::bad("malformed", at));
            }
            if self.digest(path)? != *digest {
                return Err(Halt::bad("bad_hash", path.as_str()));
            }
        }
        Ok(named)
    }

    fn digest(&mut self, path: &str) -> Result<String, Halt> {
        let full = format!("{}{path}", self.root);
        let mut file = self.zip.by_name(&full).map_err(|_| Halt::bad("missing", path))?;
        let mut digest = Sha256Stream::new();
        let mut piece = vec![0_u8; PIECE_BYTES];
        loop {
            let n = file.read(&mut piece).map_err(|_| Halt::bad("bad_file", path))?;
            let Some(bytes) = piece.get(..n).filter(|b| !b.is_empty()) else { break };
            digest.update(bytes);
        }
        Ok(hex::encode(digest.finish()))
    }

    /// Rows of the lead files against the description: of each file, and of all together.
    fn rows(&mut self) -> Result<About, Halt> {
        let at = "data/datapackage.json";
        let text = self.text(at)?;
        let about: Value = serde_json::from_str(&text).map_err(|_| Halt::bad("malformed", at))?;
        let mut sums = BTreeMap::from([("csv", 0_u64), ("jsonl", 0)]);
        for resource in about["resources"].as_array().into_iter().flatten() {
            let rows = resource["rows"].as_u64().or_else(|| resource["lines"].as_u64());
            let (Some(path), Some(rows)) = (resource["path"].as_str(), rows) else { continue };
            if self.count(&format!("data/{path}"))? != rows {
                return Err(Halt::bad("rows_differ", format!("data/{path}")));
            }
            let sum = path.rsplit_once('.').and_then(|(_, ending)| sums.get_mut(ending));
            let sum = sum.ok_or_else(|| Halt::bad("malformed", at))?;
            *sum = sum.saturating_add(rows);
        }
        let own = &about["leadvault"];
        let number = |name: &str| own[name].as_u64().ok_or_else(|| Halt::bad("malformed", at));
        let leads = number("leads")?;
        if sums.values().any(|sum| *sum != leads) {
            return Err(Halt::bad("rows_differ", at));
        }
        // Leads that wait in quarantine, or that the instruction does not cover, are stored and not in it.
        let leads = leads.saturating_add(number("withheld")?);
        Ok(About { leads, log_index: number("log_index")?, log_size: number("log_size")? })
    }

    fn count(&mut self, path: &str) -> Result<u64, Halt> {
        let full = format!("{}{path}", self.root);
        let file = self.zip.by_name(&full).map_err(|_| Halt::bad("missing", path))?;
        let reader = BufReader::with_capacity(PIECE_BYTES, file);
        let counted = if Path::new(path).extension().is_some_and(|e| e == "csv") {
            count_csv(reader)
        } else {
            count_lines(reader)
        };
        counted.map_err(|_| Halt::bad("bad_file", path))
    }

    fn log(mut self, vkey: &str, keys: &[Vkey], about: &About) -> Result<(), Halt> {
        let mut files = BTreeMap::new();
        for path in self.names.clone() {
            if let Some(inside) = path.strip_prefix("data/log/").map(str::to_owned) {
                let bytes = self.read(&path)?.unwrap_or_default();
                files.insert(inside, bytes);
            }
        }
        let unreadable = |_: SourceError| Halt::bad("missing", "data/log/checkpoint");
        let verdict = verify_log(&files, vkey, None).map_err(unreadable)?;
        if !verdict.ok {
            let at = verdict.at.unwrap_or_default();
            return Err(Halt::bad("bad_log", format!("data/log/{at}")));
        }
        let at = "access.tlog-proof";
        let proof = TlogProof::parse(&self.text(at)?).ok_or_else(|| Halt::bad("malformed", at))?;
        let Some(entry) = entry_at(&files, proof.index, verdict.size) else {
            return Err(Halt::bad("missing", "data/log/tile/entries"));
        };
        if !proof.verify(&tree::leaf_hash(&entry), keys) {
            return Err(Halt::bad("not_in_log", at));
        }
        let entry: Value = serde_json::from_slice(&entry).unwrap_or_default();
        let root = self.root.trim_end_matches('/');
        let same = entry["resource"]["id"] == root
            && entry["operation"] == "export"
            && proof.index == about.log_index;
        if !same {
            return Err(Halt::bad("not_in_log", at));
        }
        let whole = entry["resource"]["dataset"].is_null();
        let live = live::live_leads(&files, verdict.size, about.log_index, about.log_size);
        match live.filter(|_| whole) {
            Some(live) if live != about.leads => {
                Err(Halt::bad("leads_differ", "data/datapackage.json"))
            }
            _ => Ok(()),
        }
    }
}

/// Path and digest of each line.
fn parse_manifest(text: &str, at: &str) -> Result<Vec<(String, String)>, Halt> {
    let line = |line: &str| {
        let (digest, path) = line.split_once("  ")?;
        let hex = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| (path.to_owned(), digest.to_owned()))
    };
    text.lines().map(|l| line(l).ok_or_else(|| Halt::bad("malformed", at))).collect()
}

fn count_lines(mut reader: impl io::BufRead) -> io::Result<u64> {
    let mut count = 0;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        count += 1;
        line.clear();
    }
    Ok(count)
}

/// Rows of an RFC 4180 file without its header.
fn count_csv(mut reader: impl io::BufRead) -> io::Result<u64> {
    let (mut rows, mut quoted) = (0_u64, false);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(rows.saturating_sub(1));
        }
        for byte in piece {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' if !quoted => rows += 1,
                _ => {}
            }
        }
        let length = piece.len();
        reader.consume(length);
    }
}

/// The bytes of an entry of the log.
fn entry_at(files: &impl LogSource, index: u64, size: u64) -> Option<Vec<u8>> {
    use leadvault_ledger::tile::{TILE_WIDTH, bundle_path, decode_bundle};
    if index >= size {
        return None;
    }
    let bundle = index / TILE_WIDTH as u64;
    let first = bundle * TILE_WIDTH as u64;
    let width = usize::try_from((size - first).min(TILE_WIDTH as u64)).ok()?;
    let bytes = files.read(&bundle_path(bundle, width)).ok()??;
    let place = usize::try_from(index - first).ok()?;
    Some(decode_bundle(&bytes)?.get(place)?.to_vec())
}
