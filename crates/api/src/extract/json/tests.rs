//! Refusals of bodies say where, never what.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, StatusCode};
use leadvault_domain::{DatasetId, Role};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::members;
use super::*;

/// The members that stand in the document as well, so that they may be named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its refusals are looked at")]
struct Sample {
    status: u16,
    title: String,
    instruction: Option<Inner>,
    errors: Option<Vec<Inner>>,
    request_id: Option<BTreeMap<String, u8>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its refusals are looked at")]
struct Inner {
    id: DatasetId,
    code: Option<Role>,
}

fn fault(body: &Value) -> Fault {
    parse::<Sample>(body.to_string().as_bytes()).unwrap_err()
}

#[test]
fn a_member_of_the_schema_is_named() {
    let id = DatasetId::from_bytes([1; 16]).to_string();
    let cases = [
        (json!({"title": "x"}), "#/status", "required"),
        (json!({"status": "x", "title": "x"}), "#/status", "wrong_type"),
        (json!({"status": 70000, "title": "x"}), "#/status", "invalid"),
        (
            json!({"status": 1, "title": "x", "instruction": {"id": "x"}}),
            "#/instruction/id",
            "invalid",
        ),
        (
            json!({"status": 1, "title": "x", "errors": [{"id": id}, {"id": id, "code": "x"}]}),
            "#/errors/1/code",
            "invalid",
        ),
        (
            json!({"status": 1, "title": "x", "request_id": {"canary": "x"}}),
            "#/request_id",
            "wrong_type",
        ),
        (json!([]), "#", "wrong_type"),
        // Serde alone would take an array for an object, member by member.
        (json!([1, "x", null, null, null]), "#", "wrong_type"),
        (
            json!({"status": 1, "title": "x", "instruction": [id, null]}),
            "#/instruction",
            "wrong_type",
        ),
        (json!({"status": 1, "title": "x", "errors": [[id, null]]}), "#/errors/0", "wrong_type"),
    ];
    for (body, pointer, code) in cases {
        assert_eq!(fault(&body), Fault::bad(pointer, code), "{body}");
    }
}

#[test]
fn an_unknown_member_is_named_by_its_parent() {
    let body = json!({"status": 1, "title": "x", "canary": 1});
    assert_eq!(fault(&body), Fault::UnknownField("#".to_owned()));
    let id = DatasetId::from_bytes([1; 16]).to_string();
    let body = json!({"status": 1, "title": "x", "instruction": {"id": id, "canary": 1}});
    assert_eq!(fault(&body), Fault::UnknownField("#/instruction".to_owned()));
}

#[test]
fn what_is_not_json_has_no_place() {
    for bad in ["", "{", "{\"status\":1,}", "canary", "{} canary", "\u{0}"] {
        assert_eq!(
            parse::<Value>(bad.as_bytes()).unwrap_err(),
            Fault::bad("#", "not_json"),
            "{bad:?}"
        );
    }
    let twice = "{\"status\":1,\"status\":1,\"title\":\"x\"}";
    assert_eq!(parse::<Sample>(twice.as_bytes()).unwrap_err(), Fault::bad("#", "repeated"));
}

/// Any JSON, with the canary in names and values.
fn any_json(canary: &'static str) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("status"),
        Just("title"),
        Just("instruction"),
        Just("errors"),
        Just("request_id"),
        Just("id"),
        Just("code"),
        Just(canary),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(canary)),
        Just(Value::from(format!("`{canary}`"))),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const CANARY: &str = "canary4c1f";

proptest! {
    #[test]
    fn no_refusal_of_a_body_repeats_it(body in any_json(CANARY)) {
        if let Err(fault) = parse::<Sample>(body.to_string().as_bytes()) {
            let shown = format!("{fault:?}");
            prop_assert!(!shown.contains(CANARY), "{shown}");
        }
    }
}

#[test]
fn the_parser_itself_would_have_repeated_it() {
    // The control of the property above: without the translation, the canary is found.
    for body in [
        json!({CANARY: 1}),
        json!({"status": CANARY}),
        json!({"status": 1, "title": "x", "errors": [{"code": CANARY}]}),
    ] {
        let text = body.to_string();
        let error = serde_json::from_str::<Sample>(&text).unwrap_err();
        assert!(error.to_string().contains(CANARY), "{error}");
    }
    assert!(!members::is_known(CANARY));
}

mod served {
    use axum::middleware::from_fn;
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::post;
    use leadvault_domain::{ApiKeyId, Caller, Employer, PrincipalId, RequestId, TenantId};
    use leadvault_vault::Credential;
    use tower::ServiceExt as _;

    use super::super::super::credential::Shown;
    use super::*;

    fn tenant() -> Credential {
        Credential::Tenant(Box::new(Caller {
            tenant: TenantId::from_bytes([1; 16]),
            key: ApiKeyId::from_bytes([2; 16]),
            principal: PrincipalId::from_bytes([3; 16]),
            role: Role::Controller,
            employer: Employer::Tenant,
            country: "DE".parse().unwrap(),
            default_instruction: None,
            default_purpose: None,
            datasets: None,
        }))
    }

    async fn ask(credential: Option<Credential>, request: Request) -> (StatusCode, String) {
        let put = move |mut request: Request, next: axum::middleware::Next| {
            let credential = credential.clone();
            async move {
                if let Some(credential) = credential {
                    request
                        .extensions_mut()
                        .insert(Shown { credential: Arc::new(credential), open: false });
                }
                request.extensions_mut().insert(RequestId::from_bytes([4; 16]));
                let response: Response = next.run(request).await;
                response
            }
        };
        let handler = post(async |json: TenantJson<Sample>| drop(json))
            .patch(async |patch: TenantPatch<Sample>| drop(patch))
            .put(async |json: OperatorJson<Sample>| drop(json));
        let app = Router::new().route("/v1/{id}", handler).layer(from_fn(put));
        let app = app.layer(axum::extract::DefaultBodyLimit::max(1_000));
        let response = app.oneshot(request).await.unwrap();
        let response = match response.extensions().get::<Problem>() {
            Some(problem) => problem.render(RequestId::from_bytes([4; 16])),
            None => response.into_response(),
        };
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn send(method: Method, media: &str, body: String) -> Request {
        Request::builder()
            .method(method)
            .uri(format!("/v1/{CANARY}"))
            .header("content-type", media)
            .header("purpose", CANARY)
            .body(Body::from(body))
            .unwrap()
    }

    #[tokio::test]
    async fn the_caller_comes_before_the_body() {
        for (credential, status) in [(None, 401), (Some(Credential::Operator), 403)] {
            let (got, _) = ask(credential, send(Method::POST, JSON, "{".to_owned())).await;
            assert_eq!(got.as_u16(), status);
        }
        let (status, _) = ask(Some(tenant()), send(Method::PUT, JSON, "{".to_owned())).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn the_media_type_and_the_size_are_checked() {
        for (method, media, status) in [
            (Method::POST, "text/plain", 415),
            (Method::POST, MERGE_PATCH, 415),
            (Method::PATCH, JSON, 415),
            (Method::POST, "application/json; charset=utf-8", 413),
            (Method::PATCH, MERGE_PATCH, 413),
        ] {
            let (got, body) = ask(Some(tenant()), send(method, media, CANARY.repeat(200))).await;
            assert_eq!(got.as_u16(), status, "{media}");
            assert!(!body.contains(CANARY), "{body}");
        }
    }

    #[tokio::test]
    async fn no_part_of_a_request_comes_back_in_its_refusal() {
        for body in [format!("{{\"{CANARY}\":1}}"), format!("\"{CANARY}\""), CANARY.to_owned()] {
            let (status, body) = ask(Some(tenant()), send(Method::POST, JSON, body)).await;
            assert!(status.is_client_error());
            assert!(!body.contains(CANARY), "{body}");
        }
    }
}
