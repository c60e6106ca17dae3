//! Bytes in, rows out: the front half of an import.
//!
//! The first [`SAMPLE_BYTES`] are looked at to find encoding, format, dialect, header row and mapping;
//! then rows come as the bytes come. Memory is bounded by the sample and one row, whatever the size of
//! the file, and the events do not depend on how the bytes are cut.
//!
//! After an interruption, [`Reader::resume`] goes on from the end of any row with the plan of the first
//! part: the state between two rows is empty.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::cells::RawRow;
use super::code::{FileFault, RefusedRow};
use super::csv::{Split, Splitter, Width};
use super::encoding::Charset;
use super::jsonl::{JsonLines, Parsed};
use super::lines::{Line, LineReader};
use super::mapping::Wanted;
use super::plan::{Format, Plan};
use super::sample::{Found, find};

/// Bytes in which encoding, dialect and mapping are found.
pub(super) const SAMPLE_BYTES: usize = 64 << 10;

/// Largest header row, in bytes of the file: the sample grows to it where the header row needs it.
pub(super) const HEADER_BYTES_MAX: usize = 1 << 20;

/// The format a caller names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WantedFormat {
    /// Found in the first line.
    #[default]
    Auto,
    /// Delimited text.
    Csv,
    /// JSON Lines.
    Jsonl,
}

/// What a caller says about a file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its format.
    pub format: WantedFormat,
    /// Its encoding; found where not named.
    pub charset: Option<Charset>,
    /// Its mapping.
    pub wanted: Wanted,
}

/// What reading gives.
#[derive(Debug)]
pub enum Event {
    /// The plan: once before the first row, again whenever a JSON line brings a new column. A later
    /// plan only adds columns, so it also serves for earlier rows.
    Plan(Arc<Plan>),
    /// A row.
    Row(RawRow),
    /// A row that is not taken in.
    Refused(RefusedRow),
}

/// Reads a file pushed in pieces.
#[derive(Debug)]
pub struct Reader {
    options: Options,
    stage: Stage,
}

enum Stage {
    Sampling { bytes: Zeroizing<Vec<u8>>, target: usize },
    Running(Box<Running>),
    Failed(FileFault),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sampling { bytes, .. } => write!(f, "Sampling({} bytes)", bytes.len()),
            Self::Running(_) => f.write_str("Running"),
            Self::Failed(fault) => write!(f, "Failed({fault:?})"),
        }
    }
}

struct Running {
    lines: LineReader,
    body: Body,
    plan: Arc<Plan>,
    /// A `sep=` line still to be dropped.
    skip_line: bool,
}

enum Body {
    Csv(Splitter),
    Jsonl(JsonLines),
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new(options: Options) -> Self {
        let bytes = Zeroizing::new(Vec::new());
        Self { options, stage: Stage::Sampling { bytes, target: SAMPLE_BYTES } }
    }

    /// A reader that goes on at `next_byte` of the file, the end of a row, with row `next_number`.
    pub fn resume(options: Options, plan: Plan, next_byte: u64, next_number: u64) -> Self {
        let body = match plan.format {
            Format::Csv => {
                let width = Width::Cells(plan.columns.len());
                Body::Csv(Splitter::new(plan.dialect, width, next_number))
            }
            format => Body::Jsonl(JsonLines::new(
                format,
                options.wanted.clone(),
                plan.columns.clone(),
                next_number,
            )),
        };
        let lines = LineReader::new(plan.charset, next_byte);
        let running = Running { lines, body, plan: Arc::new(plan), skip_line: false };
        Self { options, stage: Stage::Running(Box::new(running)) }
    }

    /// The plan, once the sample was read.
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        match &self.stage {
            Stage::Running(running) => Some(&running.plan),
            _ => None,
        }
    }

    /// Bytes of the file that are kept for later.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        match &self.stage {
            Stage::Sampling { bytes, .. } => bytes.len(),
            Stage::Failed(_) => 0,
            Stage::Running(running) => {
                let body = match &running.body {
                    Body::Csv(splitter) => splitter.held_bytes(),
                    Body::Jsonl(reader) => {
                        reader.columns().iter().map(|column| column.header.expose().len()).sum()
                    }
                };
                running.lines.held_bytes() + body
            }
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A [`FileFault`] if the file is not taken in at all; then no row was given.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event)) -> Result<(), FileFault> {
        let mut rest = bytes;
        while let Stage::Sampling { bytes, target } = &mut self.stage {
            let room = target.saturating_sub(bytes.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            bytes.extend_from_slice(now);
            rest = later;
            if bytes.len() < *target {
                return Ok(());
            }
            self.look(false, sink)?;
        }
        self.run(rest, sink)
    }

    /// The end of the file.
    ///
    /// # Errors
    /// As [`Reader::push`].
    pub fn finish(&mut self, sink: &mut dyn FnMut(Event)) -> Result<(), FileFault> {
        if matches!(self.stage, Stage::Sampling { .. }) {
            self.look(true, sink)?;
        }
        match &mut self.stage {
            Stage::Running(running) => {
                running.finish(sink);
                Ok(())
            }
            Stage::Failed(fault) => Err(fault.clone()),
            Stage::Sampling { .. } => Ok(()),
        }
    }

    fn run(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event)) -> Result<(), FileFault> {
        match &mut self.stage {
            Stage::Running(running) => {
                running.push(bytes, sink);
                Ok(())
            }
            Stage::Failed(fault) => Err(fault.clone()),
            Stage::Sampling { .. } => Ok(()),
        }
    }

    /// Looks at the sample: goes on to running, asks for a larger sample, or fails.
    fn look(&mut self, whole: bool, sink: &mut dyn FnMut(Event)) -> Result<(), FileFault> {
        let Stage::Sampling { bytes, target } = &mut self.stage else { return Ok(()) };
        let found = match find(bytes, whole, &self.options) {
            Ok(Some(found)) => found,
            Ok(None) if !whole && *target < HEADER_BYTES_MAX => {
                *target *= 2;
                return Ok(());
            }
            Ok(None) => return self.fail(FileFault::NoHeaderRow),
            Err(fault) => return self.fail(fault),
        };
        let bytes = std::mem::take(bytes);
        sink(Event::Plan(Arc::new(found.plan.clone())));
        let mut running = Box::new(Running::start(found, &self.options));
        running.push(bytes.get(running.bom_bytes()..).unwrap_or_default(), sink);
        self.stage = Stage::Running(running);
        Ok(())
    }

    fn fail(&mut self, fault: FileFault) -> Result<(), FileFault> {
        self.stage = Stage::Failed(fault.clone());
        Err(fault)
    }
}

impl Running {
    fn start(found: Found, options: &Options) -> Self {
        let plan = Arc::new(found.plan);
        let body = match plan.format {
            Format::Csv => {
                let width =
                    if plan.header { Width::OfHeader } else { Width::Cells(plan.columns.len()) };
                Body::Csv(Splitter::new(plan.dialect, width, 1))
            }
            format => {
                let columns = plan.columns.clone();
                Body::Jsonl(JsonLines::new(format, options.wanted.clone(), columns, 1))
            }
        };
        let lines = LineReader::new(plan.charset, found.bom_bytes as u64);
        Self { lines, body, plan, skip_line: found.sep_line }
    }

    /// Where the reading starts: nothing was pushed yet.
    fn bom_bytes(&self) -> usize {
        usize::try_from(self.lines.position()).unwrap_or(0)
    }

    fn push(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event)) {
        let Self { lines, body, plan, skip_line } = self;
        lines.push(bytes, &mut |line| take_line(body, plan, skip_line, line, sink));
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event)) {
        let Self { lines, body, plan, skip_line } = self;
        lines.finish(&mut |line| take_line(body, plan, skip_line, line, sink));
        if let Body::Csv(splitter) = body {
            splitter.finish(&mut |split| give(split, sink));
        }
    }
}

fn take_line(
    body: &mut Body,
    plan: &mut Arc<Plan>,
    skip_line: &mut bool,
    line: Line,
    sink: &mut dyn FnMut(Event),
) {
    if std::mem::take(skip_line) {
        return;
    }
    match body {
        Body::Csv(splitter) => splitter.push(line, &mut |split| give(split, sink)),
        Body::Jsonl(reader) => {
            let Some(parsed) = reader.take(&line) else { return };
            if reader.columns().len() > plan.columns.len() {
                let columns = reader.columns().to_vec();
                *plan = Arc::new(Plan { columns, ..Plan::clone(plan) });
                sink(Event::Plan(Arc::clone(plan)));
            }
            sink(match parsed {
                Parsed::Row(row) => Event::Row(row),
                Parsed::Refused(refused) => Event::Refused(refused),
            });
        }
    }
}

fn give(split: Split, sink: &mut dyn FnMut(Event)) {
    match split {
        // The header was read from the sample; here it only sets the width.
        Split::Header(_) => {}
        Split::Row(row) => sink(Event::Row(row)),
        Split::Refused(refused) => sink(Event::Refused(refused)),
    }
}
