//! Faults that a test brings about: a disk without space, a write that fails, bytes no client would send.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::kit::Vault;

/// Size of the small filesystem: two ballasts of 64 MiB, as much again for one of them to be made anew, and
/// room for what the test does.
const SMALL_BYTES: u64 = 260 << 20;
/// Bytes written at a time to fill a disk.
const CHUNK: usize = 64 * 1024;

/// How the store of a running vault is kept from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The data directory lies on a small tmpfs in a mount namespace of the server, and a file fills it.
    Tmpfs(&'static [&'static str]),
    /// No file of the server may grow (`RLIMIT_FSIZE`): the way where namespaces are not allowed.
    FileLimit,
}

/// A program that starts another in a mount namespace of its own, where this machine allows one in which
/// `probe` can be mounted: arguments of `mount` for the directory `$0`.
pub fn namespace(probe: &str) -> Option<&'static [&'static str]> {
    let ways: [&'static [&'static str]; 2] = [&["unshare", "-m"], &["unshare", "-r", "-m"]];
    ways.into_iter().find(|way| {
        let dir = tempfile::tempdir().expect("a directory");
        let done = Command::new(way[0])
            .args(way.iter().skip(1))
            .args(["sh", "-c", &format!("mount {probe} \"$0\"")])
            .arg(dir.path())
            .output();
        done.is_ok_and(|output| output.status.success())
    })
}

impl Full {
    /// The strongest way this machine allows, and which it is.
    pub fn way() -> Self {
        namespace("-t tmpfs -o size=1m none").map_or(Self::FileLimit, Self::Tmpfs)
    }

    /// Starts a vault that [`Full::fill`] can fill.
    pub fn start(self) -> Vault {
        let mut vault = Vault::init();
        match self {
            Self::FileLimit => vault.up(),
            Self::Tmpfs(way) => {
                let small = vault.beside("small");
                std::fs::create_dir(&small).expect("a directory");
                let script = format!(
                    "mount -t tmpfs -o size={SMALL_BYTES},mode=0700 none \"$1\" && cp -a \"$2\"/. \"$1\"/ \
                     && shift 2 && exec \"$@\""
                );
                let (at, from) = (small.display().to_string(), vault.data().display().to_string());
                let mut wrapper: Vec<&str> = way.to_vec();
                wrapper.extend(["sh", "-c", &script, "sh", &at, &from]);
                let config = small.join("leadvault.toml");
                vault.up_inside(&wrapper, &config).expect("the server becomes ready");
                // The namespace of the server, seen from here.
                let root = PathBuf::from(format!("/proc/{}/root", vault.pid().as_raw_pid()));
                vault.lies_at(root.join(small.strip_prefix("/").expect("an absolute path")));
            }
        }
        vault
    }

    /// Leaves no room. Space that the server gives up afterwards is room again.
    pub fn fill(self, vault: &Vault) {
        match self {
            Self::Tmpfs(_) => {
                let file =
                    std::fs::OpenOptions::new().create(true).append(true).open(filler(vault));
                let mut file = file.expect("a file that fills");
                for size in [CHUNK, 4_096, 1] {
                    while file.write(&vec![0; size]).is_ok_and(|n| n > 0) {}
                }
            }
            Self::FileLimit => {
                let log = std::fs::metadata(vault.data().join("data.db-wal")).expect("the WAL");
                limit_files(vault.pid(), Some(log.len()));
            }
        }
    }

    /// Makes room again.
    pub fn free(self, vault: &Vault) {
        match self {
            Self::Tmpfs(_) => std::fs::remove_file(filler(vault)).expect("the filler goes"),
            Self::FileLimit => limit_files(vault.pid(), None),
        }
    }
}

fn filler(vault: &Vault) -> PathBuf {
    vault.data().join("filler")
}

fn limit_files(pid: Pid, bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit { current: bytes.or(maximum), maximum };
    prlimit(Some(pid), Resource::Fsize, limit).expect("a limit on file size");
}

/// Makes a file refuse every write, and takes it back: the immutable flag of ext4, which holds for files
/// that are open too. `false` where that is not to be had.
pub fn refuse_writes(file: &Path, refuse: bool) -> bool {
    let flag = if refuse { "+i" } else { "-i" };
    Command::new("chattr").arg(flag).arg(file).output().is_ok_and(|output| output.status.success())
}

/// A connection that sends whatever it is told.
#[derive(Debug)]
pub struct Raw(TcpStream);

impl Raw {
    /// To the server at `url`.
    pub fn to(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("plain HTTP");
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        Self(stream)
    }

    /// Sends bytes; `false` where the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends no more.
    pub fn finish(&self) {
        // A connection that is closed already is finished.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }

    /// Everything until the server closes the connection, or says nothing for a minute.
    pub fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // A reset after the answer is an end as well.
        let _ = self.0.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Whether something has come back, without reading it and without waiting for it.
    pub fn answered(&self) -> bool {
        self.0.set_nonblocking(true).expect("sockets have modes");
        let first = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).expect("sockets have modes");
        first.is_ok_and(|bytes| bytes > 0)
    }

    /// The first line that comes back, without its end; empty where the connection ends first.
    pub fn status_line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.0.read(&mut byte).is_ok_and(|n| n == 1) && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line).trim().to_owned()
    }
}

/// The status codes of the answers in a stream of HTTP/1.1, in order.
pub fn statuses(text: &str) -> Vec<u16> {
    // A body without a line end stands right before the next status line.
    text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

/// Lets this process open as many files as it may: a flood from inside the suite must not take those of the tests
/// beside it. A user's first limit is often 1,024.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
}

/// Memory a process holds now, in bytes.
pub fn resident_bytes(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid()));
    let text = text.expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
