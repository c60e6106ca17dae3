//! Every fault has its status and code, and its body says no more than it may.

use std::collections::BTreeSet;

use axum::body::to_bytes;
use leadvault_domain::InstructionId;
use leadvault_vault::{Pointed, Question, Stamp};
use serde_json::{Value, json};

use super::*;

/// One of every fault, with the status and code of surfaces.md 2.
fn every_fault() -> Vec<(Fault, u16, &'static str)> {
    vec![
        (Fault::bad("#/name", "required"), 400, "bad_request"),
        (Fault::LimitTooLarge, 400, "limit_too_large"),
        (Fault::PurposeRequired, 400, "purpose_required"),
        (Fault::PurposeUnknown, 400, "purpose_unknown"),
        (Fault::IdempotencyKeyRequired, 400, "idempotency_key_required"),
        (Fault::UnknownField("#/fields".to_owned()), 400, "unknown_field"),
        (Fault::Unauthenticated, 401, "unauthenticated"),
        (Fault::RoleInsufficient, 403, "role_insufficient"),
        (Fault::Denied(DecisionCode::Purpose), 403, "DENY_PURPOSE"),
        (Fault::NotFound, 404, "not_found"),
        (Fault::InProgress, 409, "in_progress"),
        (Fault::Duplicate, 409, "duplicate"),
        (Fault::ContentDiffers, 409, "content_differs"),
        (Fault::StateConflict, 409, "state_conflict"),
        (Fault::KeyDestroyed, 409, "key_destroyed"),
        (Fault::NoRecipient, 409, "no_recipient"),
        (Fault::ExportStale, 410, "export_stale"),
        (Fault::ExportExpired, 410, "export_expired"),
        (Fault::Erased, 410, "erased"),
        (Fault::VersionConflict, 412, "version_conflict"),
        (Fault::IfMatchRequired, 428, "if_match_required"),
        (Fault::TooLarge, 413, "too_large"),
        (Fault::MediaType, 415, "media_type"),
        (Fault::RangeNotSatisfiable { total: 10 }, 416, "range_not_satisfiable"),
        (Fault::WrongRegion { endpoint: "https://eu.example".to_owned() }, 421, "wrong_region"),
        (
            Fault::MappingNeeded(vec![Question {
                column: 2,
                choices: vec!["full_name".to_owned(), "company".to_owned()],
            }]),
            422,
            "mapping_needed",
        ),
        (Fault::NoHeaderRow, 422, "no_header_row"),
        (Fault::Invalid(vec![Pointed::new("#/region", "unknown")]), 422, "invalid"),
        (Fault::FilterLabelUnknown, 422, "filter_label_unknown"),
        (Fault::IdempotencyMismatch, 422, "idempotency_mismatch"),
        (Fault::RateLimited { retry_after_seconds: 17 }, 429, "rate_limited"),
        (Fault::JournalUnwritable, 503, "journal_unwritable"),
        (Fault::Overloaded, 503, "overloaded"),
        (Fault::NotReady, 503, "not_ready"),
        (Fault::Internal("place"), 500, "internal"),
        (Fault::ContentDamaged, 500, "content_damaged"),
        (Fault::Stale, 500, "internal"),
    ]
}

/// Every code a problem can carry, for the page that explains them.
pub(crate) fn every_code() -> BTreeSet<&'static str> {
    let faults = every_fault().into_iter().map(|(fault, ..)| fault);
    let denials = DecisionCode::ALL.iter().map(|code| Fault::Denied(*code));
    let mut codes: BTreeSet<_> = faults.chain(denials).map(|fault| shape(&fault).code).collect();
    codes.insert(Problem::MethodNotAllowed.shape().code);
    codes
}

fn id() -> RequestId {
    RequestId::from_bytes([1; 16])
}

async fn body_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 16).await.unwrap()).unwrap()
}

#[test]
fn every_fault_has_its_status_and_code() {
    for (fault, status, code) in every_fault() {
        let shape = shape(&fault);
        assert_eq!((shape.status, shape.code), (status, code));
        assert!(!shape.title.is_empty());
    }
}

#[test]
fn the_table_of_faults_is_whole() {
    // A new variant does not compile here until it has a number, and fails until it is in the table.
    let number = |fault: &Fault| match fault {
        Fault::BadRequest(_) => 0,
        Fault::LimitTooLarge => 1,
        Fault::PurposeRequired => 2,
        Fault::PurposeUnknown => 3,
        Fault::IdempotencyKeyRequired => 4,
        Fault::UnknownField(_) => 5,
        Fault::Unauthenticated => 6,
        Fault::RoleInsufficient => 7,
        Fault::Denied(_) => 8,
        Fault::NotFound => 9,
        Fault::InProgress => 10,
        Fault::Duplicate => 11,
        Fault::ContentDiffers => 12,
        Fault::StateConflict => 13,
        Fault::KeyDestroyed => 14,
        Fault::NoRecipient => 15,
        Fault::ExportStale => 16,
        Fault::ExportExpired => 17,
        Fault::Erased => 18,
        Fault::VersionConflict => 19,
        Fault::IfMatchRequired => 20,
        Fault::TooLarge => 21,
        Fault::MediaType => 22,
        Fault::WrongRegion { .. } => 23,
        Fault::MappingNeeded(_) => 24,
        Fault::NoHeaderRow => 25,
        Fault::Invalid(_) => 26,
        Fault::FilterLabelUnknown => 27,
        Fault::IdempotencyMismatch => 28,
        Fault::RateLimited { .. } => 29,
        Fault::JournalUnwritable => 30,
        Fault::Overloaded => 31,
        Fault::NotReady => 32,
        Fault::Internal(_) => 33,
        Fault::Stale => 34,
        Fault::RangeNotSatisfiable { .. } => 35,
        Fault::ContentDamaged => 36,
    };
    let seen: BTreeSet<u8> = every_fault().iter().map(|(fault, ..)| number(fault)).collect();
    assert_eq!(seen, (0..=36).collect());
}

#[test]
fn every_denial_is_403_but_for_the_key_and_the_two_words_of_the_log() {
    for code in DecisionCode::ALL {
        let shape = denied(*code);
        let expected = match code {
            DecisionCode::KeyDestroyed
            | DecisionCode::KeyDisabled
            | DecisionCode::KeyUnreachable => 423,
            DecisionCode::NotFound => 404,
            DecisionCode::Allow => 500,
            _ => 403,
        };
        assert_eq!(shape.status, expected, "{code}");
        if code.as_str().starts_with("DENY_") && *code != DecisionCode::RoleInsufficient {
            assert_eq!(shape.code, code.as_str());
        }
    }
    assert_eq!(denied(DecisionCode::RoleInsufficient).code, "role_insufficient");
}

#[tokio::test]
async fn a_denial_says_its_code_its_instruction_and_its_entry() {
    let instruction = InstructionId::from_bytes([2; 16]);
    let stamp = Stamp { index: 41, leaf: [0xcd; 32], receipt: "signed".to_owned() };
    let refusal = Refusal {
        fault: Fault::Denied(DecisionCode::Purpose),
        instruction: Some((instruction, 3)),
        stamp: Some(Box::new(stamp)),
    };
    let response = Problem::from(refusal).render(id());
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("ledger-index"), "41");
    assert_eq!(header("ledger-leaf"), "cd".repeat(32));
    assert_eq!(header("ledger-receipt"), "signed");
    let expected = json!({
        "type": "/docs/errors#DENY_PURPOSE",
        "title": "The instruction does not cover this purpose",
        "status": 403,
        "code": "DENY_PURPOSE",
        "request_id": id().to_string(),
        "instruction": {"id": instruction.to_string(), "version": 3},
        "errors": [],
    });
    assert_eq!(body_of(response).await, expected);
}

#[tokio::test]
async fn a_malformed_request_names_the_places() {
    let body =
        body_of(Problem::from(Fault::bad("#/agreement/sha256", "required")).render(id())).await;
    assert_eq!(body["errors"], json!([{"pointer": "#/agreement/sha256", "code": "required"}]));
    assert_eq!(body["instruction"], Value::Null);
    let body =
        body_of(Problem::from(Fault::UnknownField("#/fields".to_owned())).render(id())).await;
    assert_eq!(body["errors"], json!([{"pointer": "#/fields", "code": "unknown_field"}]));
}

#[tokio::test]
async fn questions_and_the_right_endpoint_stand_in_the_body() {
    let questions =
        vec![Question { column: 2, choices: vec!["full_name".to_owned(), "company".to_owned()] }];
    let body = body_of(Problem::from(Fault::MappingNeeded(questions)).render(id())).await;
    assert_eq!(body["questions"], json!([{"column": 2, "choices": ["full_name", "company"]}]));
    let wrong = Fault::WrongRegion { endpoint: "https://eu.example".to_owned() };
    let body = body_of(Problem::from(wrong).render(id())).await;
    assert_eq!(body["endpoint"], "https://eu.example");
}

#[test]
fn what_may_be_tried_again_says_when() {
    for (fault, status, _) in every_fault() {
        let response = Problem::from(fault).render(id());
        let told = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(told, matches!(status, 429 | 503), "{status}");
        let asked = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(asked, status == 401, "{status}");
    }
}

#[tokio::test]
async fn a_fault_of_ours_does_not_say_where() {
    let body = body_of(Problem::from(Fault::Internal("secret_place")).render(id())).await;
    assert!(!body.to_string().contains("secret_place"));
    assert_eq!(
        Problem::from(Fault::Internal("secret_place")).internal_place(),
        Some("secret_place")
    );
}
