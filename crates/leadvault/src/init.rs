//! `leadvault init`: makes the data directory, root key, operator key and configuration.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use leadvault_crypto::SystemEntropy;
use leadvault_kms::FileRoot;
use leadvault_vault::make_operator_key;
use serde_json::json;

use crate::cli::InitArgs;
use crate::config::{
    Config, Durability, KeysConfig, LimitsConfig, PostgresConfig, TelemetryConfig,
};
use crate::exit::{Done, Stop};
use crate::output::print_json;

/// Runs the command.
///
/// # Errors
/// 2 when the directory is not empty or an argument is wrong; 3 `durability_not_chosen`.
pub(crate) fn run(args: &InitArgs) -> Done {
    if args.durability.is_empty() {
        return Err(Stop::Refused {
            code: "durability_not_chosen",
            detail: "choose what keeps the key store from being lost: --durability mirror=DIR \
                     (a directory on another disk), or --durability accept-total-loss"
                .to_owned(),
        });
    }
    let mut config = Config {
        listen: args.listen.clone(),
        host: args.host.clone(),
        region: "local".parse().context("region")?,
        country: args.country.parse().context("--country: two capital letters")?,
        data: PathBuf::from("."),
        keys: KeysConfig::default(),
        durability: durability(&args.durability)?,
        postgres: postgres(args)?,
        objects: None,
        endpoints: std::collections::BTreeMap::new(),
        tls: None,
        limits: LimitsConfig::default(),
        telemetry: TelemetryConfig::default(),
    };
    config.check()?;
    let data = make_directory(&args.data)?;
    if let Some(mirror) = &mut config.durability.mirror {
        *mirror = make_mirror(mirror, &data)?;
    }
    FileRoot::create(&data.join("root.key")).context("root key")?;
    let operator = make_operator_key(&SystemEntropy).context("operator key")?;
    write_new(&data.join("operator.key"), operator.expose().as_bytes(), 0o600)?;
    let text = toml::to_string(&config).context("configuration")?;
    write_new(&data.join("leadvault.toml"), text.as_bytes(), 0o644)?;
    let made = File::open(&data).and_then(|dir| dir.sync_all());
    made.context("--data: cannot be made durable")?;
    print_json(&json!({
        "config": data.join("leadvault.toml"),
        "operator_key_file": data.join("operator.key"),
        "address": format!("http://{}", args.listen),
    }))
}

/// The databases, where they are named: by files, whose absolute paths stand in the configuration.
fn postgres(args: &InitArgs) -> anyhow::Result<Option<PostgresConfig>> {
    let (Some(data), Some(keys)) = (&args.data_url_file, &args.keys_url_file) else {
        return Ok(None);
    };
    let place = |name: &'static str, path: &Path| path.canonicalize().context(name);
    let (data, keys) = (place("--data-url-file", data)?, place("--keys-url-file", keys)?);
    Ok(Some(PostgresConfig::new(data, keys)))
}

fn durability(choices: &[String]) -> anyhow::Result<Durability> {
    let mut chosen = Durability { choices: Vec::new(), mirror: None };
    for choice in choices {
        match choice.split_once('=') {
            Some(("mirror", dir)) if !dir.is_empty() => {
                ensure!(chosen.mirror.is_none(), "--durability mirror: one directory, not two");
                chosen.mirror = Some(dir.into());
                chosen.choices.push("mirror".to_owned());
            }
            None if choice == "accept-total-loss" => chosen.choices.push(choice.clone()),
            None if matches!(choice.as_str(), "synchronous-standby" | "provider-slot") => {
                anyhow::bail!(
                    "--durability {choice} needs a store or a provider this build does not have"
                )
            }
            Some(("escrow", _)) => anyhow::bail!("--durability escrow is not in this build"),
            _ => anyhow::bail!("--durability: mirror=DIR or accept-total-loss"),
        }
    }
    Ok(chosen)
}

/// Makes the directory of the mirror; its absolute path.
fn make_mirror(mirror: &Path, data: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(mirror).context("--durability mirror")?;
    ensure!(!absolute.starts_with(data), "--durability mirror: a directory outside of --data");
    std::fs::create_dir_all(&absolute).context("--durability mirror: the directory")?;
    absolute.canonicalize().context("--durability mirror: the directory")
}

/// Makes the directory with mode 0700. It may be there if it is empty: a volume that is mounted there.
fn make_directory(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.exists() {
        let entries = std::fs::read_dir(dir);
        let entries = entries.with_context(|| format!("--data: cannot read {}", dir.display()))?;
        for entry in entries {
            let name = entry.context("--data")?.file_name();
            // A fresh ext4 volume has one.
            ensure!(
                name == "lost+found",
                "--data: {} is not empty; init never touches what is there",
                dir.display()
            );
        }
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("--data: cannot set the mode of {}", dir.display()))?;
    } else {
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).context("--data: the directory above")?;
        }
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("--data: cannot make {}", dir.display()))?;
    }
    dir.canonicalize().context("--data")
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(dir: &Path) -> u32 {
        std::fs::metadata(dir).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn an_empty_directory_keeps_its_place_and_is_closed_to_others() {
        use std::os::unix::fs::MetadataExt as _;
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("volume");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let before = std::fs::metadata(&dir).unwrap().ino();
        make_directory(&dir).unwrap();
        assert_eq!((mode(&dir), std::fs::metadata(&dir).unwrap().ino()), (0o700, before));
    }

    #[test]
    fn a_directory_that_holds_something_is_refused_and_a_new_one_is_made_with_its_parents() {
        let outer = tempfile::tempdir().unwrap();
        let new = outer.path().join("a/b");
        make_directory(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        assert!(make_directory(&outer.path().join("a")).is_err());
    }
}
