//! Checks a file of known answers against the constructions of this crate (`vectors --check`).
//!
//! Every value comes from the file; a checker without numbers of its own accepts a file made from other
//! seeds and refuses a file in which one value was changed. Names of sections and members carry their
//! parameters (`ggm_after_puncture_5`, `tag_24_part3`). What a section lacks (`root`, `tenant`,
//! `dataset`, `record`, `N`, `leaf_key`) is that of `ggm` and `record`. Unknown sections and members fail.
//!
//! Each answer is compared piece by piece. A member that only goes in (a key, an id) cannot be compared;
//! it fails when every piece it goes into fails, so that a changed input is named as well.

mod keyed;
mod sealed;
mod section;
mod tree;

use serde::Serialize;
use serde_json::Value;

use section::Section;
pub use section::SectionReport;

/// The section that belongs to the log, not to this crate.
const LOG_SECTION: &str = "log";

/// Result of checking a file; its serialisation is the command's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether something was checked and nothing failed.
    pub ok: bool,
    /// Number of values looked at.
    pub checked: usize,
    /// `section.member` of what is wrong; a section's name alone where it is unknown.
    pub failed: Vec<String>,
}

/// The sections whose values others fall back on.
#[derive(Debug, Clone, Copy)]
pub struct Base<'f> {
    ggm: Option<&'f Value>,
    record: Option<&'f Value>,
}

impl<'f> Base<'f> {
    /// Finds them in a file.
    pub fn of(file: &'f Value) -> Self {
        Self { ggm: file.get("ggm"), record: file.get("record") }
    }

    fn value(&self, member: &str) -> Option<&'f Value> {
        let section = if member == "root" { self.ggm } else { self.record };
        section?.get(member)
    }
}

/// Checks this crate's sections of a file and leaves the log's alone.
pub fn check(file: &Value) -> Report {
    check_with(file, |name, _| {
        (name == LOG_SECTION).then(|| SectionReport { checked: 0, failed: Vec::new() })
    })
}

/// Checks a file; `others` answers for sections this crate does not know.
pub fn check_with(file: &Value, others: impl Fn(&str, &Value) -> Option<SectionReport>) -> Report {
    let base = Base::of(file);
    let mut report = Report { ok: false, checked: 0, failed: Vec::new() };
    for (name, section) in file.as_object().into_iter().flatten() {
        match check_section(name, section, &base).or_else(|| others(name, section)) {
            Some(part) => {
                report.checked += part.checked;
                report.failed.extend(part.failed);
            }
            None => report.failed.push(name.clone()),
        }
    }
    report.ok = report.checked > 0 && report.failed.is_empty();
    report
}

/// Checks one section; nothing where its name is none of this crate's.
pub fn check_section(name: &str, section: &Value, base: &Base<'_>) -> Option<SectionReport> {
    let check: fn(&mut Section<'_>) = match name {
        "ggm" => tree::fresh,
        "record" => sealed::record,
        "wrap" => sealed::wrap,
        "blind_index" => keyed::blind_index,
        "suppression" => keyed::suppression,
        "log_ref" => keyed::log_ref,
        _ => tree::punctured(name)?,
    };
    let mut section = Section::new(name, section, base);
    check(&mut section);
    Some(section.finish())
}
