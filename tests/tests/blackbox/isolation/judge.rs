//! The detector: what a caller may learn of another tenant from one call, and what the call may leave there.

use leadvault_tests::kit::Answer;
use serde_json::Value;

/// One call on things of another tenant, beside the same call on things of nobody.
pub(super) struct Trial<'a> {
    pub(super) foreign: &'a Answer,
    pub(super) unknown: &'a Answer,
    /// Ids and values of the other tenant.
    pub(super) secrets: &'a [String],
    /// Entries in the other tenant's log, before and after.
    pub(super) log: (usize, usize),
}

/// What is wrong with a call that names things of another tenant; nothing, if it is not found like things
/// of nobody.
pub(super) fn leaks(trial: &Trial<'_>) -> Vec<&'static str> {
    let (foreign, unknown) = (trial.foreign, trial.unknown);
    let mut found = traces(foreign, trial.secrets, trial.log);
    let tests = [
        (foreign.status != 404, "it is not a 404"),
        (foreign.status != unknown.status, "another status than for an unknown id"),
        (told(foreign) != told(unknown), "another body than for an unknown id"),
        (foreign.text.len() != unknown.text.len(), "another length than for an unknown id"),
        (
            foreign.index.is_some() != unknown.index.is_some(),
            "another entry than for an unknown id",
        ),
        (foreign.etag.is_some() || foreign.location.is_some(), "a header tells of it"),
    ];
    found.extend(tests.into_iter().filter_map(|(met, what)| met.then_some(what)));
    found
}

/// What a call that names nothing of another tenant may have told or left all the same.
pub(super) fn traces(
    answer: &Answer,
    secrets: &[String],
    log: (usize, usize),
) -> Vec<&'static str> {
    let whole = format!("{}{:?}{:?}", answer.text, answer.location, answer.etag);
    let tests = [
        (answer.status >= 500, "it is a fault of ours"),
        (secrets.iter().any(|secret| whole.contains(secret)), "it tells of the other tenant"),
        (log.0 != log.1, "it left something in the other tenant's log"),
    ];
    tests.into_iter().filter_map(|(met, what)| met.then_some(what)).collect()
}

/// A body without what is another in every answer.
fn told(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    body
}
