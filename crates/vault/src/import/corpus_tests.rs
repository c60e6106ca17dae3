//! The whole corpus through reader and parser, in any chunking, from any row on.

use std::sync::{Arc, LazyLock};

use leadvault_domain::{FieldNo, Personal};
use proptest::prelude::*;

use super::corpus::{self, Case, Expected};
use super::*;

/// What a file became.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) fault: Option<FileFault>,
    pub(super) stored: Vec<(u64, Vec<(String, String)>)>,
    pub(super) rejected: Vec<(u64, Option<usize>, &'static str)>,
    /// Number and end of each row, in order.
    pub(super) ends: Vec<(u64, u64)>,
    pub(super) plan: Option<String>,
}

fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(corpus::messy);
    &CASES
}

/// The cases that are quick to read many times; the large ones are read once, whole and in pieces.
fn small_cases() -> impl Iterator<Item = &'static Case> {
    const SMALL_BYTES: usize = 20_000;
    cases().iter().filter(|case| case.bytes.len() < SMALL_BYTES)
}

fn options(case: &Case) -> Options {
    let members = case.mapping.iter().map(|(key, field)| (*key, Some(*field)));
    Options {
        format: WantedFormat::Auto,
        charset: case.named_encoding.map(|name| Charset::by_name(name).unwrap()),
        wanted: Wanted::parse(members, FieldNo::by_name).unwrap(),
    }
}

/// Takes events, parses rows, rebuilds cells.
pub(super) struct Taker {
    parser: Option<RowParser>,
    plan: Option<Arc<Plan>>,
    pub(super) outcome: Outcome,
}

impl Taker {
    pub(super) fn new(plan: Option<Arc<Plan>>) -> Self {
        let mut taker = Self { parser: None, plan: None, outcome: Outcome::default() };
        if let Some(plan) = plan {
            taker.planned(plan);
        }
        taker
    }

    fn planned(&mut self, plan: Arc<Plan>) {
        if let Some(parser) = &mut self.parser {
            parser.follow(Arc::clone(&plan));
        } else {
            let rules = Rules::strict(corpus::TODAY.parse().unwrap());
            self.parser = Some(RowParser::new(Arc::clone(&plan), rules, Some("US")));
        }
        self.plan = Some(plan);
    }

    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Plan(plan) => self.planned(plan),
            Event::Refused(row) => self.refused(row),
            Event::Row(row) => match self.parser.as_mut().unwrap().parse(row) {
                Err(row) => self.refused(row),
                Ok(row) => {
                    let shown = |text: Personal| text.expose().clone();
                    let pairs = rebuild_cells(self.plan.as_ref().unwrap(), &row.fields);
                    let pairs = pairs.into_iter().map(|(h, c)| (shown(h), shown(c))).collect();
                    self.outcome.stored.push((row.number, pairs));
                    self.outcome.ends.push((row.number, row.end_byte));
                }
            },
        }
    }

    fn refused(&mut self, row: RefusedRow) {
        self.outcome.rejected.push((row.number, row.column, row.code.as_str()));
        self.outcome.ends.push((row.number, row.end_byte));
    }

    fn done(mut self) -> Outcome {
        self.outcome.plan = self.plan.map(|plan| format!("{plan:?}"));
        self.outcome
    }
}

/// Reads a file cut at the given places.
pub(super) fn read_cut(case: &Case, cuts: &[usize]) -> Outcome {
    let mut reader = Reader::new(options(case));
    let mut taker = Taker::new(None);
    let mut from = 0;
    let mut read = || -> Result<(), FileFault> {
        for to in cuts.iter().copied().chain([case.bytes.len()]) {
            reader.push(&case.bytes[from..to], &mut |event| taker.take(event))?;
            from = to;
        }
        reader.finish(&mut |event| taker.take(event))
    };
    let fault = read().err();
    let mut outcome = taker.done();
    outcome.fault = fault;
    outcome
}

fn assert_golden(case: &Case, outcome: &Outcome) {
    let name = &case.name;
    match &case.expected {
        Expected::Refused { code, columns } => {
            let fault = outcome.fault.as_ref().unwrap_or_else(|| panic!("{name}: taken in"));
            assert_eq!(fault.code(), *code, "{name}");
            let asked: Vec<usize> = match fault {
                FileFault::MappingNeeded(asks) => asks.iter().map(|ask| ask.column).collect(),
                _ => Vec::new(),
            };
            assert_eq!(&asked, columns, "{name}");
            assert!(outcome.ends.is_empty(), "{name}: rows of a refused file");
        }
        Expected::Read { detected, stored, rejected } => {
            assert_eq!(outcome.fault, None, "{name}");
            assert_eq!(&outcome.rejected, rejected, "{name}");
            let numbers = |rows: &[(u64, Vec<(String, String)>)]| -> Vec<u64> {
                rows.iter().map(|(number, _)| *number).collect()
            };
            assert_eq!(numbers(&outcome.stored), numbers(stored), "{name}");
            for (read, written) in outcome.stored.iter().zip(stored) {
                // Large cells would bury the message.
                assert!(
                    read == written,
                    "{name}: row {} differs: {:.300}",
                    read.0,
                    format!("{read:?}\n{written:?}")
                );
            }
            let plan = outcome.plan.as_ref().unwrap();
            if let Some((encoding, delimiter)) = detected {
                let charset = Charset::by_name(encoding).unwrap();
                let delimiter = u8::try_from(*delimiter).unwrap();
                assert!(plan.contains(&format!("charset: {charset:?}")), "{name}: {plan}");
                assert!(plan.contains(&format!("delimiter: {delimiter},")), "{name}: {plan}");
            }
        }
    }
}

#[test]
fn every_file_of_the_corpus_becomes_what_its_golden_says() {
    assert!(cases().len() >= 60, "{}", cases().len());
    for case in cases() {
        assert_golden(case, &read_cut(case, &[]));
    }
}

#[test]
fn every_file_reads_the_same_byte_by_byte() {
    for case in small_cases() {
        let cuts: Vec<usize> = (1..case.bytes.len()).collect();
        assert_golden(case, &read_cut(case, &cuts));
    }
}

#[test]
fn large_files_read_the_same_in_pieces() {
    for case in cases().iter().filter(|case| case.bytes.len() >= 20_000) {
        let cuts: Vec<usize> = (1..case.bytes.len()).step_by(4_099).collect();
        assert_golden(case, &read_cut(case, &cuts));
    }
}

#[test]
fn reading_goes_on_from_the_end_of_any_row() {
    for case in small_cases() {
        let whole = read_cut(case, &[]);
        let mut reader = Reader::new(options(case));
        if reader.push(&case.bytes, &mut |_| {}).is_err() || reader.finish(&mut |_| {}).is_err() {
            continue;
        }
        // The plan is sealed with the batch and opened again.
        let plan = Plan::from_bytes(&reader.plan().unwrap().to_bytes()).unwrap();
        for (at, (number, end)) in whole.ends.iter().enumerate() {
            let mut resumed = Reader::resume(options(case), plan.clone(), *end, number + 1);
            let mut taker = Taker::new(resumed.plan().cloned());
            let rest = &case.bytes[usize::try_from(*end).unwrap()..];
            resumed.push(rest, &mut |event| taker.take(event)).unwrap();
            resumed.finish(&mut |event| taker.take(event)).unwrap();
            assert_eq!(
                taker.outcome.ends,
                whole.ends[at + 1..],
                "{} after row {number}",
                case.name
            );
            let later = |row: &u64| row > number;
            let stored: Vec<_> = whole.stored.iter().filter(|row| later(&row.0)).collect();
            assert_eq!(taker.outcome.stored.iter().collect::<Vec<_>>(), stored, "{}", case.name);
        }
    }
}

/// Pushes the same bytes again and again; gives the most that was ever kept of them.
fn most_held(start: &[u8], again: &[u8], total_bytes: usize) -> usize {
    let mut reader = Reader::new(Options::default());
    let mut most = 0;
    let mut push = |bytes: &[u8]| {
        let pushed = reader.push(bytes, &mut |_| {});
        most = most.max(reader.held_bytes());
        pushed
    };
    let mut result = push(start);
    for _ in 0..total_bytes / again.len() {
        result = result.and_then(|()| push(again));
    }
    most
}

#[test]
fn what_is_kept_of_a_file_does_not_grow_with_it() {
    const HELD_BYTES_MAX: usize = 8 << 20;
    let keys = |i: usize| format!("{{\"{i}{}\":1}}\n", "k".repeat(30_000));
    let many_keys: String = (0..400).map(keys).collect();
    let row = b"a@b.example,plain row\n".repeat(1_000);
    for (name, start, again) in [
        ("rows", &b"Email,Name of it\n"[..], row.as_slice()),
        ("a quote that never closes", b"Email,Notes\n\"", &b"a line of a note\n".repeat(256)),
        ("a quote that never closes before rows", b"Email,Notes\n\"", &row),
        ("a line that never ends", b"Email,Notes\n", &[b'x'; 4_096]),
        ("a quoted line that never ends", b"Email,Notes\n\"", &[b'x'; 4_096]),
        ("blank lines in a quote that never closes", b"Email,Notes\na,\"", &[b'\n'; 4_096]),
        ("a header row that never ends", b"Email,", &b"more headers,".repeat(256)),
        ("a JSON line that never ends", b"{\"email\":\"", &[b'x'; 4_096]),
        ("new keys for ever", b"{\"email\":\"x\"}\n", many_keys.as_bytes()),
    ] {
        let most = most_held(start, again, 12 << 20);
        assert!(most <= HELD_BYTES_MAX, "{name}: {most} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let cases: Vec<&Case> = small_cases().collect();
        let case = *which.get(&cases);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(case.bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read_cut(case, &cuts), read_cut(case, &[]));
    }

    #[test]
    fn no_bytes_make_the_importer_panic_or_lose_count(
        text in "(Email|,|;|\"|'|\\n|\\r|\\{|\\}|:|a@b.example|x|\\x00|é|\t){0,60}",
        spoiled in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        mapped in any::<bool>(),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in spoiled {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let case = Case {
            name: String::new(),
            bytes,
            named_encoding: None,
            mapping: if mapped { vec![("0", "email")] } else { Vec::new() },
            expected: Expected::Refused { code: "", columns: Vec::new() },
        };
        let outcome = read_cut(&case, &[]);
        let numbers: Vec<u64> = outcome.ends.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(numbers, (1..=outcome.ends.len() as u64).collect::<Vec<_>>());
        prop_assert!(outcome.ends.windows(2).all(|pair| pair[0].1 < pair[1].1));
        prop_assert!(outcome.ends.last().is_none_or(|(_, end)| *end <= case.bytes.len() as u64));
    }
}
