//! The OpenAPI 3.1 document: what the routes say of themselves, and what is the same for all of them.
//!
//! A handler describes its own answers. The credential, the common request headers and the errors every
//! call can meet are added here, so that no route can forget them and none repeats them.

mod instruction;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Info, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, Schema, Type,
};
use utoipa::{PartialSchema as _, ToResponse as _, ToSchema as _};

use crate::problem::{ProblemBody, Refused};
use crate::routes;

/// Name of the security scheme of tenants' keys, which a route has unless it says otherwise.
const TENANT_KEY: &str = "tenant_key";
/// Name of the security scheme of the operator's key.
const OPERATOR_KEY: &str = "operator_key";

const DESCRIPTION: &str = "The processor side of a lead platform. Every call that touches tenant data \
runs under a documented instruction of the tenant, is written to the tenant's log before anything is \
released, and answers with the place of its entry (`Ledger-Index`, `Ledger-Leaf`, `Ledger-Receipt`). \
Errors are `application/problem+json` and never repeat a submitted value; `/docs/errors` explains their codes.";

/// Groups of the document, in the order in which a newcomer meets them.
const TAGS: &[(&str, &str)] = &[
    ("tenants", "Tenants, their keys and agreements"),
    ("instructions", "What the vault may do, as the tenant documents it"),
    ("datasets", "Datasets and their columns"),
    ("imports", "Lead files on their way in"),
    ("leads", "Leads: read, search, write, erase"),
    ("files", "Attachments"),
    ("exports", "Everything, on its way out"),
    ("operations", "Work that outlives its call, changes and notices"),
    ("log", "The tenant's log, to be verified without trusting this server"),
    ("service", "Health and documentation"),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    // Strings, lists and maps with string keys: the document always serialises.
    let mut document = serde_json::to_value(assemble()).unwrap_or_default();
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        instruction::put(schemas);
    }
    document
});

/// The document.
pub(crate) fn json() -> &'static Value {
    &DOCUMENT
}

/// Method (upper case) and path of every operation.
pub(crate) fn routes() -> impl Iterator<Item = (String, &'static str)> {
    let paths = json().get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| (method.to_ascii_uppercase(), path.as_str()))
    })
}

/// Names of the query parameters of an operation.
pub(crate) fn query_names(method: &str, path: &str) -> impl Iterator<Item = &'static str> {
    let item = json().get("paths").and_then(|paths| paths.get(path));
    let operation = item.and_then(|item| item.get(method.to_ascii_lowercase()));
    let parameters = operation.and_then(|o| o.get("parameters")).and_then(Value::as_array);
    let in_query = |p: &&Value| p.get("in").and_then(Value::as_str) == Some("query");
    let name = |p: &'static Value| p.get("name").and_then(Value::as_str);
    parameters.into_iter().flatten().filter(in_query).filter_map(name)
}

/// A path as the document has it: the router writes a parameter of many segments `{*path}`.
pub(crate) fn described(path: &str) -> String {
    path.replace("{*", "{")
}

fn assemble() -> OpenApi {
    let groups = routes::groups();
    let mut document = groups.open.into_openapi();
    each_operation(&mut document, complete_open);
    for group in [groups.calls, groups.streams, groups.waits] {
        let mut described = group.into_openapi();
        each_operation(&mut described, complete_guarded);
        document.merge(described);
    }
    document.paths.paths = std::mem::take(&mut document.paths.paths)
        .into_iter()
        .map(|(path, item)| (described(&path), item))
        .collect();
    document.info = Info::new("Leadvault", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    let tags =
        TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)));
    document.tags = Some(tags.map(TagBuilder::build).collect());
    common(document.components.get_or_insert_default());
    document
}

/// What operations refer to by name.
fn common(components: &mut Components) {
    let (name, refused) = Refused::response();
    components.responses.insert(name.to_owned(), with_headers(refused));
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut parts = Vec::new();
    ProblemBody::schemas(&mut parts);
    components.schemas.extend(parts);
    for (name, description) in [
        (TENANT_KEY, "A key of the tenant; its role limits what it may do"),
        (OPERATOR_KEY, "The operator's key; it reads no tenant content"),
    ] {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(description.to_owned());
        components.security_schemes.insert(name.to_owned(), SecurityScheme::Http(scheme).into());
    }
    for (name, parameter) in headers() {
        components.parameters.insert(name.to_owned(), parameter.into());
    }
}

fn with_headers(response: RefOr<Response>) -> RefOr<Response> {
    let RefOr::T(mut response) = response else { return response };
    for (name, description) in [
        ("Request-Id", "Id of the request"),
        ("Retry-After", "Seconds to wait; with 429 and 503"),
        ("Ledger-Index", "Position of the denial's entry in the tenant's log"),
    ] {
        let header =
            HeaderBuilder::new().schema(Some(text())).description(Some(description)).build();
        response.headers.insert(name.to_owned(), header.into());
    }
    RefOr::T(response)
}

/// The request headers of surfaces.md 2.
fn headers() -> [(&'static str, Parameter); 3] {
    let header = |name: &'static str, description: &str, example: &str| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(text()))
            .example(Some(Value::from(example)));
        (name, parameter.build())
    };
    [
        header(
            "Instruction",
            "The instruction the call acts under; `;v=3` pins a version",
            "ins_01kb0000000000000000000000;v=3",
        ),
        header("Purpose", "One word of the purpose vocabulary", "crm_operations"),
        header(
            "Idempotency-Key",
            "At most 255 characters; the same key with the same request answers the same for 24 hours",
            "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
        ),
    ]
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

/// Gives the answers that are not described a word each: OpenAPI wants one.
fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let word = match status.as_str() {
                "201" => "Made",
                "202" => "Begun",
                "204" => "Done; nothing to say",
                _ => "Done",
            };
            word.clone_into(&mut response.description);
        }
    }
}

/// What every operation can answer.
fn complete_open(_: &str, operation: &mut Operation) {
    refuse_with(operation, &["400"]);
    operation.security = Some(vec![SecurityRequirement::default()]);
}

/// What every operation behind a credential can answer, and takes.
fn complete_guarded(method: &str, operation: &mut Operation) {
    // 404 without an id in the path too: the header `Tenant` may name a stranger, a body what is not there.
    refuse_with(operation, &["400", "401", "403", "404", "421", "423", "429", "500", "503"]);
    if operation.request_body.is_some() {
        refuse_with(operation, &["413", "415", "422"]);
    }
    if parameters(operation).any(|p| p.name == "If-Match") {
        refuse_with(operation, &["412", "428"]);
    }
    let tenants = SecurityRequirement::new(TENANT_KEY, Vec::<String>::new());
    let security = operation.security.get_or_insert_with(|| vec![tenants.clone()]);
    if !security.contains(&tenants) {
        return;
    }
    let mut taken = vec!["Instruction", "Purpose"];
    if matches!(method, "post" | "patch") {
        taken.push("Idempotency-Key");
        refuse_with(operation, &["409", "422"]);
    }
    let references =
        taken.iter().map(|name| RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
    operation.parameters.get_or_insert_default().extend(references);
}

fn parameters(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

/// Adds the common refusal for each status the handler has not described itself.
fn refuse_with(operation: &mut Operation, statuses: &[&str]) {
    let (name, _) = Refused::response();
    for status in statuses {
        let refused = RefOr::Ref(Ref::from_response_name(name));
        operation.responses.responses.entry((*status).to_owned()).or_insert(refused);
    }
}

fn each_operation(document: &mut OpenApi, complete: fn(&str, &mut Operation)) {
    for item in document.paths.paths.values_mut() {
        let PathItem { get, put, post, delete, head, patch, .. } = item;
        let operations = [
            ("get", get),
            ("put", put),
            ("post", post),
            ("delete", delete),
            ("head", head),
            ("patch", patch),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                describe_answers(operation);
                complete(method, operation);
            }
        }
    }
}

#[cfg(test)]
mod tests;
