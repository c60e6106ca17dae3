//! Directories and databases of a vault, as an operator lists and copies them.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::path::{Path, PathBuf};

/// Every file below a directory, by its path inside.
pub fn files(root: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(root).expect("below the root");
                found.push(inside.to_str().expect("utf-8").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Copies a directory, files and all.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Copies a SQLite database of a stopped server, its log of writes included.
pub fn copy_database(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let (from, to) = (with(from), with(to));
        if to.exists() {
            std::fs::remove_file(&to).expect("removed");
        }
        if from.exists() && suffix != "-shm" {
            std::fs::copy(&from, &to).expect("a copy");
        }
    }
}
