//! The body of a problem, and its entry in the OpenAPI document.

use leadvault_domain::RequestId;
use leadvault_vault::Fault;
use serde::Serialize;
use utoipa::{ToResponse, ToSchema};

use super::{Problem, Shape};

/// Media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error (RFC 9457). It never holds a submitted value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#DENY_PURPOSE")]
    kind: String,
    /// The same for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 403)]
    status: u16,
    /// Stable code.
    #[schema(example = "DENY_PURPOSE")]
    code: &'static str,
    /// Id of the request, as in the `Request-Id` header.
    #[schema(example = "req_01kb0000000000000000000000")]
    request_id: String,
    /// The instruction that was considered, if one was.
    #[schema(required = true)]
    instruction: Option<InstructionBody>,
    /// Places and what is wrong there.
    errors: Vec<PlaceBody>,
    /// With `mapping_needed`: the columns to ask about.
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<Vec<QuestionBody>>,
    /// With `wrong_region`: where the tenant lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

/// One version of an instruction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemInstruction)]
struct InstructionBody {
    /// Its id.
    #[schema(example = "ins_01kb0000000000000000000000")]
    id: String,
    /// Its version.
    version: u32,
}

/// A place in the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemPlace)]
struct PlaceBody {
    /// JSON pointer into the body (`#/…`), or `header:`, `query:`, `path:` and a name.
    #[schema(example = "#/agreement/sha256")]
    pointer: String,
    /// Stable code.
    #[schema(example = "required")]
    code: &'static str,
}

/// An ambiguous column.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemQuestion)]
struct QuestionBody {
    /// Index of the column, from 0.
    column: usize,
    /// Fields it may be.
    choices: Vec<String>,
}

/// The answer of every call that is not done.
#[derive(Debug, ToResponse)]
#[response(description = "Not done, and why", content_type = "application/problem+json")]
#[expect(dead_code, reason = "stands for the answer in the document; the edge renders the body")]
pub(crate) struct Refused(ProblemBody);

impl ProblemBody {
    /// What a problem says, under the id of its request.
    pub(super) fn new(problem: &Problem, shape: Shape, request: RequestId) -> Self {
        let mut body = Self {
            kind: format!("/docs/errors#{}", shape.code),
            title: shape.title,
            status: shape.status,
            code: shape.code,
            request_id: request.to_string(),
            instruction: None,
            errors: Vec::new(),
            questions: None,
            endpoint: None,
        };
        if let Problem::Refused(refusal) = problem {
            body.instruction = refusal
                .instruction
                .map(|(id, version)| InstructionBody { id: id.to_string(), version });
            body.detail(&refusal.fault);
        }
        body
    }

    /// Adds what some faults say beside their code.
    fn detail(&mut self, fault: &Fault) {
        match fault {
            Fault::BadRequest(places) | Fault::Invalid(places) => {
                self.errors.extend(
                    places.iter().map(|place| PlaceBody {
                        pointer: place.pointer.clone(),
                        code: place.code,
                    }),
                );
            }
            Fault::UnknownField(pointer) => {
                self.errors.push(PlaceBody { pointer: pointer.clone(), code: "unknown_field" });
            }
            Fault::MappingNeeded(questions) => {
                let asked = questions.iter().map(|question| QuestionBody {
                    column: question.column,
                    choices: question.choices.clone(),
                });
                self.questions = Some(asked.collect());
            }
            Fault::WrongRegion { endpoint } => self.endpoint = Some(endpoint.clone()),
            _ => {}
        }
    }

    /// The bytes of the body.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and lists serialise; an empty body would still carry its status.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
