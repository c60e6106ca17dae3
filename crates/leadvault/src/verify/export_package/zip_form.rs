//! The form of a package's ZIP file: members one after the other from the first byte on, the directory behind
//! the last of them, nothing else. Bytes that no member holds are bytes that nothing signs, and a name that
//! differs between a member and the directory lets two programs unpack two packages.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use zip::ZipArchive;

/// Length of a local header without its name and extra field (APPNOTE 4.3.7).
const LOCAL_BYTES: usize = 30;
/// Lengths of what may stand behind the data of a member: nothing, or a data descriptor (APPNOTE 4.3.9).
const DESCRIPTOR_BYTES: [u64; 3] = [0, 16, 24];
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// The end of the directory, without a comment (APPNOTE 4.3.16).
const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
/// Where the end of a directory with large numbers is (APPNOTE 4.3.15), right before the end.
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_BYTES: usize = 20;
/// That end (APPNOTE 4.3.14), without further fields.
const LARGE_END: [u8; 4] = *b"PK\x06\x06";
const LARGE_END_BYTES: usize = 56;

/// Where the file is not of that form: the name of a member, or `zip` for the whole; nothing where it is.
///
/// # Errors
/// A member that cannot be read.
pub(super) fn flaw(
    zip: &mut ZipArchive<File>,
    file: &mut File,
) -> zip::result::ZipResult<Option<String>> {
    if zip.offset() != 0 || !zip.comment().is_empty() || !directory_reaches_the_end(file)? {
        return Ok(Some("zip".to_owned()));
    }
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index)?;
        let name = member.name_raw().to_vec();
        if !member.comment().is_empty() {
            return Ok(Some(String::from_utf8_lossy(&name).into_owned()));
        }
        members.push((member.header_start(), member.compressed_size(), name));
    }
    members.sort();
    let ends = members.iter().skip(1).map(|member| member.0).chain([zip.central_directory_start()]);
    let mut expected = 0;
    for ((start, size, name), end) in members.iter().zip(ends) {
        let shown = || Some(String::from_utf8_lossy(name).into_owned());
        if *start != expected {
            return Ok(shown());
        }
        let Some(data) = data_of(file, *start, name)? else { return Ok(shown()) };
        let rest = end.checked_sub(data.saturating_add(*size));
        if !rest.is_some_and(|rest| DESCRIPTOR_BYTES.contains(&rest))
            || (rest != Some(0) && read_at(file, data.saturating_add(*size))? != DESCRIPTOR)
        {
            return Ok(shown());
        }
        expected = end;
    }
    Ok(None)
}

/// Whether directory, its end and the end of the file follow each other without a gap.
fn directory_reaches_the_end(file: &mut File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let Some(end_at) = length.checked_sub(bytes_of(END_BYTES)) else { return Ok(false) };
    let end: [u8; END_BYTES] = read_at(file, end_at)?;
    if !end.starts_with(&END) {
        return Ok(false);
    }
    let (size, offset) = (number(&end, 12, 4), number(&end, 16, 4));
    if offset.checked_add(size) == Some(end_at) {
        return Ok(true);
    }
    let large = bytes_of(LOCATOR_BYTES + LARGE_END_BYTES);
    let Some(large_at) = end_at.checked_sub(large) else { return Ok(false) };
    let large: [u8; LARGE_END_BYTES] = read_at(file, large_at)?;
    let locator: [u8; LOCATOR_BYTES] = read_at(file, large_at + bytes_of(LARGE_END_BYTES))?;
    let (size, offset) = (number(&large, 40, 8), number(&large, 48, 8));
    Ok(large.starts_with(&LARGE_END)
        && locator.starts_with(&LOCATOR)
        && number(&locator, 8, 8) == large_at
        && offset.checked_add(size) == Some(large_at))
}

fn bytes_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn read_at<const N: usize>(file: &mut File, at: u64) -> std::io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A number of `width` bytes, the lowest first.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let part = bytes.get(at..at + width).unwrap_or_default();
    part.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Where the data of a member begins; nothing where its own header has another name than the directory.
fn data_of(file: &mut File, start: u64, name: &[u8]) -> std::io::Result<Option<u64>> {
    let header: [u8; LOCAL_BYTES] = read_at(file, start)?;
    let length = |at| usize::try_from(number(&header, at, 2)).unwrap_or(usize::MAX);
    let (name_length, extra_length) = (length(26), length(28));
    let mut own = vec![0_u8; name_length];
    file.read_exact(&mut own)?;
    let data = start.saturating_add(bytes_of(LOCAL_BYTES + name_length + extra_length));
    Ok((own == name).then_some(data))
}
