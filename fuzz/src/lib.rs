//! What the targets for uploaded files share.

use leadvault_vault::import::{Event, Options, Reader, WantedFormat};

/// What reading a file gave: for each record its number, where it ends and whether it was taken in; and
/// the code, where the file was not taken in at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    records: Vec<(u64, u64, bool)>,
    fault: Option<&'static str>,
}

/// Reads `bytes` handed over in pieces of `piece` bytes.
pub fn read(bytes: &[u8], format: WantedFormat, piece: usize) -> Read {
    let mut records = Vec::new();
    let mut sink = |event: Event| match event {
        Event::Row(row) => records.push((row.number, row.end_byte, true)),
        Event::Refused(row) => records.push((row.number, row.end_byte, false)),
        _ => {}
    };
    let mut reader = Reader::new(Options { format, ..Options::default() });
    let mut whole = || {
        for part in bytes.chunks(piece) {
            reader.push(part, &mut sink)?;
        }
        reader.finish(&mut sink)
    };
    let fault = whole().err().map(|fault| fault.code());
    Read { records, fault }
}

/// The properties of the importer's front half: no panic, records are numbered from 1 without a gap, end
/// inside the file in order, and do not depend on how the bytes are cut.
pub fn holds(bytes: &[u8], format: WantedFormat) {
    let whole = read(bytes, format, bytes.len().max(1));
    let mut end = 0;
    for (at, (number, end_byte, _)) in whole.records.iter().enumerate() {
        assert_eq!(*number, at as u64 + 1);
        assert!(*end_byte >= end && *end_byte <= bytes.len() as u64);
        end = *end_byte;
    }
    assert_eq!(read(bytes, format, 7), whole);
}
