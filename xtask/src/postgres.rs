//! A private PostgreSQL cluster for the suite and the benchmarks: on a socket only, gone when it is dropped.
//!
//! `cargo xtask postgres` starts one and stays, for whoever runs tests by hand.
//!
//! An ordinary user's data lies under `target/`. PostgreSQL refuses to run as root: root's cluster runs as an
//! unprivileged account, with its data in a temporary directory that this account can reach.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::repo;

/// Where tests find the cluster: the directory of its socket.
pub(crate) const VARIABLE: &str = "LEADVAULT_TEST_POSTGRES";
/// The oldest version the product supports.
const VERSION_MIN: u32 = 15;
/// Accounts that run root's cluster, the first that exists.
const ACCOUNTS: &[&str] = &["postgres", "nobody"];
/// The superuser of the cluster; nothing of the product ever connects as it.
const SUPERUSER: &str = "owner";
/// Pause between two looks at the server.
const LOOK: Duration = Duration::from_millis(20);
/// Looks until it must have started: a minute.
const START_LOOKS: u32 = 3_000;
/// Looks until it must have ended: half a minute.
const STOP_LOOKS: u32 = 1_500;

/// Whether what the server says is durable is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// It is, as in production: for measurements.
    Synced,
    /// It is in the operating system: tests kill nodes, not the machine.
    Unsynced,
}

/// A running cluster.
pub(crate) struct Cluster {
    server: Child,
    /// Removed at the end: sockets, and root's data.
    temporary: PathBuf,
    data: PathBuf,
    /// Who it runs as, in words.
    pub(crate) runs_as: String,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// In one line what is missing and how to get it; or what the server's log says.
    pub(crate) fn start(disk: Disk) -> anyhow::Result<Self> {
        let programs = programs()?;
        let temporary = temporary_directory()?;
        let account = account()?;
        let (data, runs_as) = match &account {
            None => {
                let data = repo::root().join("target").join("postgres");
                (data, "this user, with its data under target/".to_owned())
            }
            Some(account) => {
                chown(&temporary, Some(account.uid), Some(account.gid))?;
                let place = temporary.display();
                (
                    temporary.join("data"),
                    format!("the account {}, with its data in {place}", account.name),
                )
            }
        };
        if data.exists() {
            fs::remove_dir_all(&data).context("a cluster of before")?;
        }
        let mut initdb = as_account(account.as_ref(), &programs.join("initdb"));
        initdb.arg("-D").arg(&data);
        initdb.args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.current_dir("/").output().context("initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        let mut server = as_account(account.as_ref(), &programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&temporary);
        for setting in settings(disk) {
            server.arg("-c").arg(setting);
        }
        server.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let server = server.spawn().context("postgres")?;
        let mut cluster = Self { server, temporary, data, runs_as };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// The directory of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.temporary
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        // The server says there how far it is.
        let said = self.data.join("postmaster.pid");
        for _ in 0..START_LOOKS {
            if self.server.try_wait()?.is_some() {
                let mut log = String::new();
                if let Some(stderr) = &mut self.server.stderr {
                    stderr.read_to_string(&mut log)?;
                }
                bail!("the server ended: {log}");
            }
            if fs::read_to_string(&said).is_ok_and(|text| text.trim_end().ends_with("ready")) {
                // Nobody reads on: a full pipe would hold the server up.
                drop(self.server.stderr.take());
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        bail!("the server did not answer within a minute")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is its fast shutdown: connections are cut, nothing is lost.
        let pid = self.server.id().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status();
        let is_told = told.is_ok_and(|status| status.success());
        for _ in 0..STOP_LOOKS {
            if !is_told || !matches!(self.server.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        // It has ended, or will not.
        let _ = self.server.kill();
        let _ = self.server.wait();
        for directory in [&self.data, &self.temporary] {
            // Data inside the temporary directory is gone with it.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// `cargo xtask postgres`: a cluster until the command is interrupted.
///
/// # Errors
/// As [`Cluster::start`].
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let disk = match arguments {
        [] => Disk::Unsynced,
        [option] if option == "--synced" => Disk::Synced,
        _ => bail!("usage: cargo xtask postgres [--synced]"),
    };
    let mut cluster = Cluster::start(disk)?;
    eprintln!("PostgreSQL runs as {}, until Ctrl-C", cluster.runs_as);
    println!("export {VARIABLE}='{}'", cluster.socket().display());
    // Ctrl-C reaches both; what is left of the directory then goes with the next start.
    cluster.server.wait()?;
    Ok(ExitCode::SUCCESS)
}

fn settings(disk: Disk) -> Vec<&'static str> {
    let mut settings = vec![
        "listen_addresses=",
        "max_connections=300",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
        "log_min_messages=fatal",
        "log_min_error_statement=panic",
        "log_parameter_max_length_on_error=0",
    ];
    if disk == Disk::Unsynced {
        settings.extend(["fsync=off", "full_page_writes=off"]);
    }
    settings
}

/// The directory of the programs of the newest PostgreSQL that is installed.
fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    found.extend(debian.map(|entry| entry.path().join("bin")));
    let versions = found.into_iter().filter_map(|dir| Some((version(&dir)?, dir)));
    let newest = versions.max_by_key(|(version, _)| *version);
    match newest {
        Some((version, dir)) if version >= VERSION_MIN => Ok(dir),
        _ => bail!(
            "PostgreSQL {VERSION_MIN} or later is missing (the suite runs on it as well): \
             apt-get install postgresql"
        ),
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian …)`
fn version(dir: &Path) -> Option<u32> {
    let said = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&said.stdout))
}

fn parse_version(said: &str) -> Option<u32> {
    let number = said.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// An account that root's cluster runs as.
struct Account {
    name: &'static str,
    uid: u32,
    gid: u32,
}

/// Which one; `None` where the caller is not root.
fn account() -> anyhow::Result<Option<Account>> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let known = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let found = ACCOUNTS.iter().find_map(|name| find_account(&known, name));
    found.map(Some).context("PostgreSQL refuses to run as root, and there is no account `nobody`")
}

fn find_account(known: &str, name: &'static str) -> Option<Account> {
    let line = known.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    let uid = numbers.next()?.parse().ok()?;
    let gid = numbers.next()?.parse().ok()?;
    Some(Account { name, uid, gid })
}

/// A program that ends when this process does, as another account where one is given.
fn as_account(account: Option<&Account>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(Account { uid, gid, .. }) = account {
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}

/// What the names of temporary directories begin with; the number of the process that made one follows.
const PREFIX: &str = "leadvault-pg-";

/// A new directory, short enough for a socket in it, and open to nobody else. Those of commands that were killed go:
/// their servers have ended with them.
fn temporary_directory() -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok());
        if process.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // One of another user stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir(&path).with_context(|| format!("{}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_the_server_says_it() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_version("postgres (PostgreSQL) 18devel"), Some(18));
        assert_eq!(parse_version("sh: not found"), None);
    }

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let known = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n";
        let found = find_account(known, "nobody").map(|a| (a.uid, a.gid));
        assert_eq!(found, Some((65534, 65533)));
        assert!(find_account(known, "no").is_none());
    }
}
