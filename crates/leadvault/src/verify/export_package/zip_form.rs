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
const END_BYTES: i64 = 22;
const END: [u8; 4] = *b"PK\x05\x06";

/// Where the file is not of that form: the name of a member, or `zip` for the whole; nothing where it is.
///
/// # Errors
/// A member that cannot be read.
pub(super) fn flaw(
    zip: &mut ZipArchive<File>,
    file: &mut File,
) -> zip::result::ZipResult<Option<String>> {
    if zip.offset() != 0 || !zip.comment().is_empty() || !ends_with_its_directory(file)? {
        return Ok(Some("zip".to_owned()));
    }
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let member = zip.by_index_raw(index)?;
        let name = member.name_raw().to_vec();
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
            || (rest != Some(0) && !stands_at(file, data.saturating_add(*size), DESCRIPTOR)?)
        {
            return Ok(shown());
        }
        expected = end;
    }
    Ok(None)
}

fn ends_with_its_directory(file: &mut File) -> std::io::Result<bool> {
    let mut end = [0_u8; 4];
    if file.metadata()?.len() < END_BYTES.unsigned_abs() {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-END_BYTES))?;
    file.read_exact(&mut end)?;
    Ok(end == END)
}

fn stands_at(file: &mut File, at: u64, bytes: [u8; 4]) -> std::io::Result<bool> {
    let mut found = [0_u8; 4];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut found)?;
    Ok(found == bytes)
}

/// Where the data of a member begins; nothing where its own header has another name than the directory.
fn data_of(file: &mut File, start: u64, name: &[u8]) -> std::io::Result<Option<u64>> {
    let mut header = [0_u8; LOCAL_BYTES];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut header)?;
    let length = |at: usize| {
        let bytes = [header.get(at).copied(), header.get(at + 1).copied()];
        u16::from_le_bytes(bytes.map(Option::unwrap_or_default))
    };
    let (name_length, extra_length) = (length(26), length(28));
    let mut own = vec![0_u8; usize::from(name_length)];
    file.read_exact(&mut own)?;
    let header = LOCAL_BYTES + usize::from(name_length) + usize::from(extra_length);
    let data = start.saturating_add(u64::try_from(header).unwrap_or(u64::MAX));
    Ok((own == name).then_some(data))
}
