//! A CSV file of any bytes, in any chunking: no panic, no record beyond its bound, and every line's end
//! lies inside the file.

#![no_main]

use leadvault_vault::import::csv::{ROW_BYTES_MAX, Split, Splitter, Width};
use leadvault_vault::import::lines::{Line, LineReader};
use leadvault_vault::import::{dialect, encoding};
use libfuzzer_sys::fuzz_target;

/// Bytes handed over at once: small, so that cells and line ends are cut everywhere.
const CHUNK_BYTES: usize = 7;

fuzz_target!(|bytes: &[u8]| {
    let detected = encoding::detect(bytes, None, true);
    let mut reader = LineReader::new(detected.charset, 0);
    let mut lines: Vec<Line> = Vec::new();
    for chunk in bytes.chunks(CHUNK_BYTES) {
        reader.push(chunk, &mut |line| lines.push(line));
    }
    reader.finish(&mut |line| lines.push(line));
    assert!(lines.iter().all(|line| line.end_byte <= bytes.len() as u64));
    let mut splitter = Splitter::new(dialect::detect(&lines, None), Width::OfHeader, 1);
    let mut sink = |split: Split| {
        if let Split::Header(Some(cells)) = split {
            assert!(cells.bytes() <= ROW_BYTES_MAX);
        }
    };
    for line in lines {
        splitter.push(line, &mut sink);
    }
    splitter.finish(&mut sink);
});
