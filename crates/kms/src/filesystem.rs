//! Which filesystems a slot may lie on (protocols.md 1.3).
//!
//! A slot forgets by overwriting in place. Copy-on-write and log-structured filesystems write elsewhere
//! and keep the old blocks; network and user-space ones do what their server likes; an overlay may copy
//! the file up. So only filesystems known to overwrite in place are taken, and an unknown one is refused.
//! XFS overwrites in place unless the file was reflinked; nothing here reflinks, and a snapshot of the
//! volume is outside what any file slot can promise.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// ext2, ext3 and ext4 share one number.
const EXT: i64 = 0xEF53;
const XFS: i64 = 0x5846_5342;
const TMPFS: i64 = 0x0102_1994;

/// Whether a file in `dir` is overwritten in place.
pub(crate) fn overwrites_in_place(dir: &Path) -> io::Result<bool> {
    let opened = File::open(dir)?;
    let magic = rustix::fs::fstatfs(&opened)?.f_type;
    if !is_known(magic) {
        return Ok(false);
    }
    if magic != EXT {
        return Ok(true);
    }
    let dev = opened.metadata()?.dev();
    let device = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(!journals_data(&mounts, &device))
}

fn is_known(magic: i64) -> bool {
    matches!(magic, EXT | XFS | TMPFS)
}

/// Whether the filesystem of `device` is mounted with `data=journal`: file contents then pass through the
/// journal, where the old record stays.
fn journals_data(mountinfo: &str, device: &str) -> bool {
    mountinfo.lines().any(|line| {
        let mut words = line.split(' ');
        words.nth(2) == Some(device)
            && words.any(|word| word.split(',').any(|option| option == "data=journal"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_that_write_elsewhere_and_unknown_ones_are_refused() {
        let refused = [
            ("btrfs", 0x9123_683E),
            ("zfs", 0x2FC1_2FC1),
            ("overlayfs", 0x794C_7630),
            ("nfs", 0x6969),
            ("smb", 0x517B),
            ("cifs", 0xFF53_4D42),
            ("smb2", 0xFE53_4D42),
            ("fuse", 0x6573_5546),
            ("f2fs", 0xF2F5_2010),
            ("bcachefs", 0xCA45_1A4E),
            ("unknown", 0x1234),
        ];
        for (name, magic) in refused {
            assert!(!is_known(magic), "{name}");
        }
        assert!([EXT, XFS, TMPFS].into_iter().all(is_known));
    }

    #[test]
    fn a_journal_that_holds_data_is_found_on_its_own_device_only() {
        let lines = "36 35 8:1 / / rw,noatime shared:1 - ext4 /dev/sda1 rw,data=journal\n\
                     37 35 8:2 / /var rw - ext4 /dev/sda2 rw,errors=remount-ro\n";
        assert!(journals_data(lines, "8:1"));
        assert!(!journals_data(lines, "8:2"));
        assert!(!journals_data(lines, "8:3"));
    }
}
