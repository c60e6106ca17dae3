//! What the machine does with memory, disk and network that the promises depend on.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};

use crate::config::Config;
use crate::doctor::Report;

/// Below this much room an import can fill the disk before anybody looks.
const ROOM_BYTES_MIN: u64 = 512 << 20;

/// Looks at the choice of durability, the disk, the network and core dumps.
pub(super) fn look(config: &Config, report: &mut Report) {
    let choices = &config.durability.choices;
    if choices.is_empty() {
        report.find("durability_not_chosen", "nothing keeps the key store from being lost", None);
    }
    if choices.iter().any(|c| c == "accept-total-loss") {
        let says = "losing the slots or the key store loses every tenant";
        report.find("accept_total_loss", says, None);
    }
    if let Some(mirror) = &config.durability.mirror {
        if !mirror.is_dir() {
            report.find("mirror_unusable", "the directory of the mirror is not there", None);
        } else if same_device(mirror, &config.data) {
            report.find("mirror_same_disk", "the mirror lies on the disk it is to survive", None);
        }
    }
    let is_loopback = config.listen().is_ok_and(|address| address.ip().is_loopback());
    if config.tls.is_none() && !is_loopback {
        report.find("plain_http", "listens beyond loopback without TLS", None);
    }
    if getrlimit(Resource::Core).current != Some(0) {
        report.find("core_dumps", "a crash may write memory to disk: ulimit -c 0", None);
    }
    if room(&config.data).is_some_and(|bytes| bytes < ROOM_BYTES_MIN) {
        report.find("disk_nearly_full", "less than 512 MiB are free for the data directory", None);
    }
}

fn room(path: &Path) -> Option<u64> {
    statvfs(path).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

fn same_device(a: &Path, b: &Path) -> bool {
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev(),
        _ => false,
    }
}
