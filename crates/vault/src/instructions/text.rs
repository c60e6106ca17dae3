//! What is sealed of a version: the instruction, and the first of two approvers while the second is awaited.

use leadvault_domain::Instruction;
use serde_json::Value as Json;

use crate::canonical::canonical;
use crate::error::Fault;

/// The member that is not the instruction's.
const FIRST_APPROVER: &str = "first_approver";

/// The bytes that are sealed.
///
/// # Errors
/// [`Fault::Internal`] for what JSON cannot hold; ours never is.
pub(super) fn write(
    instruction: &Instruction,
    first_approver: Option<&str>,
) -> Result<Vec<u8>, Fault> {
    let mut text = serde_json::to_value(instruction).map_err(|_| Fault::Internal("instruction"))?;
    if let (Some(person), Some(members)) = (first_approver, text.as_object_mut()) {
        members.insert(FIRST_APPROVER.to_owned(), person.into());
    }
    canonical(&text)
}

/// What [`write`] wrote.
///
/// # Errors
/// [`Fault::Internal`] for what it did not write.
pub(crate) fn read(bytes: &[u8]) -> Result<(Instruction, Option<String>), Fault> {
    let broken = |_| Fault::Internal("instruction");
    let mut text: Json = serde_json::from_slice(bytes).map_err(broken)?;
    let first = text.as_object_mut().and_then(|members| members.remove(FIRST_APPROVER));
    let first = first.and_then(|person| person.as_str().map(str::to_owned));
    Ok((serde_json::from_value(text).map_err(broken)?, first))
}
