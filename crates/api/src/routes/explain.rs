//! Explain: what a call would be answered, without doing it.

use axum::extract::State;
use leadvault_domain::{
    DatasetId, FieldNo, InstructionId, LabelFlag, LeadId, Operation, Place, Purpose, RecipientId,
    Timestamp,
};
use leadvault_vault::Fault;
use leadvault_vault::explain::{self, Asked, Explanation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Reply};
use crate::extract::{TenantJson, named};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(explain_call))
}

/// The dimensions of the call that is asked about; whatever is not said is the caller's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Explain {
    /// What would be done: one word of the operations.
    #[schema(value_type = String, example = "read")]
    operation: Operation,
    /// Why: one word of the purposes; without it, the default of the key or the instruction's only one.
    #[serde(default)]
    #[schema(example = "crm_operations")]
    purpose: Option<String>,
    /// Under which instruction; `;v=3` pins a version.
    #[serde(default)]
    #[schema(example = "ins_01kb0000000000000000000000")]
    instruction: Option<String>,
    /// In which dataset; without it, in all of the tenant.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ds_01kb0000000000000000000000")]
    dataset: Option<DatasetId>,
    /// On which lead; its flags count.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "ct_01kb0000000000000000000000")]
    lead: Option<LeadId>,
    /// Names of fields.
    #[serde(default)]
    #[schema(example = json!(["email"]))]
    fields: Option<Vec<String>>,
    /// To whom it would go.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = json!(null))]
    recipient: Option<RecipientId>,
    /// To which place.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = json!(null))]
    dest: Option<Place>,
    /// At which time; without it, now.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = json!(null))]
    as_of: Option<Timestamp>,
}

impl Explain {
    fn read(self) -> Result<Asked, Fault> {
        let field = |name: &String| {
            FieldNo::by_name(name).ok_or_else(|| Fault::UnknownField("#/fields".to_owned()))
        };
        let purpose = |word: String| word.parse::<Purpose>().map_err(|_| Fault::PurposeUnknown);
        let instruction = self.instruction.as_deref();
        Ok(Asked {
            operation: self.operation,
            purpose: self.purpose.map(purpose).transpose()?,
            instruction: instruction.map(|text| named(text, "#/instruction")).transpose()?,
            dataset: self.dataset,
            lead: self.lead,
            fields: self.fields.map(|names| names.iter().map(field).collect()).transpose()?,
            recipient: self.recipient,
            dest: self.dest,
            as_of: self.as_of,
        })
    }
}

/// What the decision would be.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
struct ExplanationView {
    /// `ALLOW` or `DENY`.
    #[schema(example = "DENY")]
    decision: &'static str,
    /// The code: `ALLOW…`, or that of the denial.
    #[schema(example = "DENY_PURPOSE")]
    code: &'static str,
    /// Warnings of an allowance.
    warnings: Vec<&'static str>,
    /// Obligations of an allowance.
    obligations: Vec<&'static str>,
    /// The instruction that decides; null where none does, or where the built-in permit of an exit would
    /// be made for the call.
    #[schema(required = true)]
    instruction: Option<DecidingInstruction>,
    /// Rows of registers the decision read.
    registers: Vec<RegisterRow>,
    /// Flags of the lead.
    #[schema(example = json!(["restricted"]))]
    flags: Vec<&'static str>,
    /// What would have to change.
    #[schema(example = json!(["one of the instruction's purposes: crm_operations"]))]
    would_need: Vec<String>,
}

/// One version of an instruction.
#[derive(Serialize, ToSchema)]
struct DecidingInstruction {
    /// Its id.
    #[schema(value_type = String, example = "ins_01kb0000000000000000000000")]
    id: InstructionId,
    /// Its version.
    version: u32,
}

/// A row of a register that a decision read.
#[derive(Serialize, ToSchema)]
struct RegisterRow {
    /// The register.
    register: String,
    /// The row.
    row: String,
    /// Its state of that time.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
}

impl From<Explanation> for ExplanationView {
    fn from(told: Explanation) -> Self {
        let instruction = told.instruction;
        Self {
            decision: if told.allowed { "ALLOW" } else { "DENY" },
            code: told.code.as_str(),
            warnings: told.warnings,
            obligations: told.obligations,
            instruction: instruction.map(|(id, version)| DecidingInstruction { id, version }),
            // The cell keeps no register of recipients and mechanisms: no decision reads one.
            registers: Vec::new(),
            flags: told.flags.into_iter().map(LabelFlag::as_str).collect(),
            would_need: told.would_need,
        }
    }
}

/// Decides a call without doing it, and says what would have to change. No entry is made.
#[utoipa::path(post, path = "/v1/explain", tag = "instructions", request_body = Explain,
    responses((status = 200, body = ExplanationView), (status = 404, response = crate::problem::Refused)))]
async fn explain_call(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<Explain>,
) -> Handled {
    let asked = body.read()?;
    Reply::ok(explain::explain(&state.cell, &call, &asked).await?, ExplanationView::from)
}
