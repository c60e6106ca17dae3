//! The tree as the checks see it: the paths git knows and the text of those that are text.
//!
//! Not a file system: checks are pure functions over a [`Repo`], so a test plants a fault by
//! listing the files it wants to exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// One text file. Paths are relative to the root and written with `/`.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The tracked tree, and what is new in it and not ignored.
#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<TextFile>,
    paths: BTreeSet<String>,
}

impl Repo {
    /// Reads the tree this program was started in.
    ///
    /// # Errors
    /// git is missing, or this is not a checkout.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let root = root();
        let output = Command::new("git")
            // A checkout owned by somebody else (a mounted volume) is still only read here.
            .args(["-c", "safe.directory=*", "-c", "core.quotePath=false"])
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .context("`check` needs git: apt-get install git")?;
        if !output.status.success() {
            bail!("not a git checkout: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let listing = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut repo = Self { root, files: Vec::new(), paths: BTreeSet::new() };
        for path in listing.lines() {
            // Listed but deleted in the work tree: not there. Not UTF-8: there, but not text.
            let Ok(bytes) = std::fs::read(repo.root.join(path)) else { continue };
            repo.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                repo.files.push(TextFile { path: path.to_owned(), text });
            }
        }
        Ok(repo)
    }

    /// The text of one file, if it exists and is text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether a file or a directory of this path exists.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.paths.contains(path)
            || self.paths.range(folder.clone()..).next().is_some_and(|p| p.starts_with(&folder))
    }

    /// All text files whose name ends with `.extension`.
    pub(crate) fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = &'a TextFile> {
        self.files.iter().filter(move |file| has_extension(&file.path, extension))
    }

    /// The Rust sources under these folders.
    pub(crate) fn rust_under<'a>(
        &'a self,
        folders: &'a [&str],
    ) -> impl Iterator<Item = &'a TextFile> {
        self.with_extension("rs")
            .filter(move |file| folders.iter().any(|folder| file.path.starts_with(folder)))
    }

    /// A tree that exists only in a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self {
            root: PathBuf::new(),
            files: files
                .iter()
                .map(|(path, text)| TextFile { path: (*path).into(), text: (*text).into() })
                .collect(),
            paths: files.iter().map(|(path, _)| (*path).into()).collect(),
        }
    }
}

impl TextFile {
    /// Whether the whole file is test code: a folder or a module kept for tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| part == "tests" || part == "benches" || part == "fuzz")
            || matches!(name, "tests.rs" | "test_util.rs" | "testing.rs" | "test_kit.rs")
            || name.ends_with("_tests.rs")
            || name.ends_with("_test.rs")
    }

    /// The product part: everything before the test module, which house style puts last.
    pub(crate) fn product_text(&self) -> &str {
        if self.is_test() {
            return "";
        }
        self.text.split("\n#[cfg(test)]\n").next().unwrap_or_default()
    }

    /// Lines of code with their numbers from 1: no blank lines, no line comments.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
    }
}

/// Whether a path ends with `.extension`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// The root of the workspace: the parent of this package, as cargo tells it.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_exists_through_the_files_in_it() {
        let repo = Repo::of(&[("docs/A.md", ""), ("docs2/B.md", "")]);
        assert!(repo.exists("docs") && repo.exists("docs/") && repo.exists("docs/A.md"));
        assert!(!repo.exists("doc") && !repo.exists("docs/B.md"));
    }

    #[test]
    fn the_product_part_ends_where_the_test_module_begins() {
        let repo = Repo::of(&[
            ("crates/a/src/lib.rs", "fn a() {}\n\n#[cfg(test)]\nmod tests { fn b() {} }\n"),
            ("crates/a/tests/b.rs", "fn c() {}\n"),
        ]);
        let product: Vec<_> = repo.files.iter().map(TextFile::product_text).collect();
        assert_eq!(product, ["fn a() {}\n", ""]);
    }
}
