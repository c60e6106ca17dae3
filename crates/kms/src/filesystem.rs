//! Whether overwriting a file on a filesystem overwrites its bytes.

use std::path::Path;

/// Filesystems that write in place, by the magic number of statfs(2). Anything else is refused: copy on
/// write (btrfs, zfs, bcachefs, overlay over who knows what), network, FUSE, and what is not known.
const IN_PLACE: &[i64] = &[
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS; files made by reflink share blocks, and slots are never made so
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
];

/// Whether `dir` lies on a filesystem that overwrites in place.
///
/// # Errors
/// When statfs(2) fails.
pub(crate) fn overwrites_in_place(dir: &Path) -> Result<bool, rustix::io::Errno> {
    let stat = rustix::fs::statfs(dir)?;
    // The width of `f_type` differs between targets; the magic numbers fit 32 bits.
    let magic = i64::try_from(stat.f_type).unwrap_or(-1) & 0xFFFF_FFFF;
    Ok(IN_PLACE.contains(&magic))
}
