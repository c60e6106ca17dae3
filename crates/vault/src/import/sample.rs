//! The first bytes of a file, looked at: encoding, format, dialect, header row and mapping become a plan.

use leadvault_domain::Personal;

use super::cells::{Cells, RawBody, RawRow};
use super::code::FileFault;
use super::csv::{Split, Splitter, Width};
use super::dialect::{self, Dialect};
use super::encoding;
use super::header;
use super::jsonl::{self, JsonLines, Parsed};
use super::lines::{Line, LineReader};
use super::magic;
use super::mapping::{self, Wanted};
use super::plan::{Column, Format, Plan};
use super::reader::{Options, WantedFormat};

/// What a sample says.
pub(super) struct Found {
    pub(super) plan: Plan,
    pub(super) bom_bytes: usize,
    pub(super) sep_line: bool,
}

/// Finds the plan in a sample; `None` if it does not hold the whole header row.
pub(super) fn find(
    sample: &[u8],
    whole: bool,
    options: &Options,
) -> Result<Option<Found>, FileFault> {
    if magic::binary_kind(sample).is_some() {
        return Err(FileFault::Binary);
    }
    let detected = encoding::detect(sample, options.charset, whole);
    let mut lines = sample_lines(sample, detected, whole);
    let format = match options.format {
        WantedFormat::Csv => Format::Csv,
        WantedFormat::Jsonl => jsonl::detect(&lines).unwrap_or(Format::Jsonl),
        WantedFormat::Auto => jsonl::detect(&lines).unwrap_or(Format::Csv),
    };
    let sep = lines.first().and_then(dialect::sep_line).filter(|_| format == Format::Csv);
    let sep_line = sep.is_some();
    lines.drain(..usize::from(sep_line));
    let plan = Plan {
        format,
        charset: detected.charset,
        dialect: Dialect::RFC_4180,
        header: !options.wanted.without_header(),
        columns: Vec::new(),
    };
    let plan = match format {
        Format::Csv => csv_plan(&plan, &lines, sep, whole, options)?,
        _ => Some(jsonl_plan(plan, &lines, options)?),
    };
    Ok(plan.map(|plan| Found { plan, bom_bytes: detected.bom_bytes, sep_line }))
}

fn sample_lines(sample: &[u8], detected: encoding::Detected, whole: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut reader = LineReader::new(detected.charset, detected.bom_bytes as u64);
    let text = sample.get(detected.bom_bytes..).unwrap_or_default();
    reader.push(text, &mut |line| lines.push(line));
    if whole {
        reader.finish(&mut |line| lines.push(line));
    }
    lines
}

fn csv_plan(
    plan: &Plan,
    lines: &[Line],
    sep: Option<u8>,
    whole: bool,
    options: &Options,
) -> Result<Option<Plan>, FileFault> {
    let dialect = dialect::detect(lines, sep);
    let (mut head, mut rows) = (None, Vec::new());
    let mut splitter = Splitter::new(dialect, Width::OfHeader, 1);
    let mut sink = |split: Split| match split {
        Split::Header(cells) => {
            head.get_or_insert(cells);
        }
        Split::Row(RawRow { body: RawBody::Cells(cells), .. }) => rows.push(cells),
        _ => {}
    };
    for line in lines {
        splitter.push(line.clone(), &mut sink);
    }
    if whole {
        splitter.finish(&mut sink);
    }
    // An unreadable first row and a file without rows are the same to the caller.
    let Some(head) = head else {
        return if whole { Err(FileFault::NoHeaderRow) } else { Ok(None) };
    };
    let head = head.ok_or(FileFault::NoHeaderRow)?;
    if plan.header && !header::is_header_row(&head) {
        return Err(FileFault::NoHeaderRow);
    }
    let headers = if plan.header {
        head.iter().map(|(_, cell)| cell.unwrap_or_default().into()).collect()
    } else {
        index_headers(head.len())
    };
    if plan.header && !options.wanted.names_only(&headers) {
        return Err(FileFault::BadMapping);
    }
    let columns = mapping::map(&headers, &options.wanted, &rows)?;
    Ok(Some(Plan { dialect, columns, ..plan.clone() }))
}

/// Headers of a file that has none: the index of each column.
fn index_headers(columns: usize) -> Vec<Personal> {
    (0..columns).map(|index| Personal::new(index.to_string())).collect()
}

fn jsonl_plan(plan: Plan, lines: &[Line], options: &Options) -> Result<Plan, FileFault> {
    if plan.format == Format::Export {
        return Ok(plan);
    }
    let mut reader = JsonLines::new(plan.format, Wanted::Nothing, Vec::new(), 1);
    let mut rows: Vec<Cells> = Vec::new();
    for line in lines {
        if let Some(Parsed::Row(RawRow { body: RawBody::Cells(cells), .. })) = reader.take(line) {
            rows.push(cells);
        }
    }
    let headers: Vec<Personal> =
        reader.columns().iter().map(|column: &Column| column.header.clone()).collect();
    let columns = mapping::map(&headers, &options.wanted, &rows)?;
    Ok(Plan { columns, ..plan })
}
