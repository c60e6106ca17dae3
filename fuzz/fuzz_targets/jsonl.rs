//! JSON Lines of any bytes: no panic, and every line is a record, a refusal or blank.

#![no_main]

use leadvault_vault::import::encoding;
use leadvault_vault::import::jsonl::{JsonLines, Parsed, detect};
use leadvault_vault::import::lines::{Line, LineReader};
use leadvault_vault::import::mapping::Wanted;
use leadvault_vault::import::plan::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = LineReader::new(encoding::detect(bytes, None, true).charset, 0);
    let mut lines: Vec<Line> = Vec::new();
    reader.push(bytes, &mut |line| lines.push(line));
    reader.finish(&mut |line| lines.push(line));
    let format = detect(&lines).unwrap_or(Format::Jsonl);
    let mut jsonl = JsonLines::new(format, Wanted::default(), Vec::new(), 1);
    let mut last_number = 0;
    for line in &lines {
        let number = match jsonl.take(line) {
            Some(Parsed::Row(row)) => row.number,
            Some(Parsed::Refused(row)) => row.number,
            None => continue,
        };
        assert_eq!(number, last_number + 1);
        last_number = number;
    }
});
