//! The form of an instruction that its hash is taken over (decisions.md 1).

use leadvault_domain::Instruction;
use serde_json::Value;

/// The members a hash does not cover: what changes in a version's life, and the hash itself.
const NOT_COVERED: [&str; 4] = ["hash", "signature", "status", "created_at"];

/// The instruction without `hash`, `signature`, `status`, `created_at` and `legal.challenge`. The hash
/// is the SHA-256 over its RFC 8785 form.
///
/// A `legal` that holds nothing once the challenge is gone is left out as a whole: a challenge must not
/// change the hash of an instruction that had no `legal` before.
pub fn hash_form(instruction: &Instruction) -> Value {
    // Strings, integers, booleans and lists alone: serialising cannot fail. A `null` would make a hash
    // that verifies nowhere, so a failure could not pass unseen.
    let mut form = serde_json::to_value(instruction).unwrap_or(Value::Null);
    let Some(members) = form.as_object_mut() else { return form };
    for name in NOT_COVERED {
        members.remove(name);
    }
    let emptied = members.get_mut("legal").and_then(Value::as_object_mut).is_some_and(|legal| {
        legal.remove("challenge");
        legal.is_empty()
    });
    if emptied {
        members.remove("legal");
    }
    form
}
