//! Files of the data directory that must be there, be readable, and be readable by nobody else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use leadvault_keys::RootError;
use leadvault_kms::FileRoot;
use leadvault_vault::Credential;

use crate::config::Config;
use crate::doctor::Report;
use crate::exit::Stop;
use crate::{secret_file, serve};

/// Looks at directory, keys and certificate.
pub(super) fn look(config: &Config, report: &mut Report) {
    if mode(&config.data).is_some_and(|mode| mode & 0o077 != 0) {
        report.find(
            "data_dir_mode",
            "group or others may enter the data directory: chmod 700",
            None,
        );
    }
    match FileRoot::open(&config.keys.root_key_file) {
        Ok(_) => {}
        Err(RootError::Mode) => {
            report.find("root_key_mode", "group or others may read the root key: chmod 600", None);
        }
        Err(_) => report.find("root_key_unreadable", "the root key cannot be read", None),
    }
    operator_key(config, report);
    if let Some(tls) = &config.tls {
        if mode(&tls.key_file).is_some_and(serve::others_may_read) {
            report.find("tls_key_mode", "others may read the key of the certificate", None);
        }
        if serve::tls_config(&tls.cert_file, &tls.key_file).is_err() {
            report.find("tls_unusable", "certificate and key cannot be used together", None);
        }
    }
}

fn operator_key(config: &Config, report: &mut Report) {
    let path = &config.keys.operator_key_file;
    if mode(path).is_some_and(|mode| mode & 0o077 != 0) {
        let says = "group or others may read the operator's key: chmod 600";
        return report.find("operator_key_mode", says, None);
    }
    let read: Result<_, Stop> = secret_file::read("keys.operator_key_file", path);
    if !read.is_ok_and(|key| Credential::is_operator_key(key.expose())) {
        report.find("operator_key_unreadable", "the operator's key cannot be read", None);
    }
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|m| m.permissions().mode())
}
