//! The baseline of single reads and writes: the same two calls over plaintext, axum and sqlx on the same cluster, with
//! nothing between the request and the row.

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Row as _};

/// The table, with the indexes that searches need; `psql COPY` fills the same one.
pub(crate) const SCHEMA: &str = "CREATE TABLE lead (id uuid PRIMARY KEY, first text, last text, email text, \
    phone text, company text, website text, title text, city text, country text, source text, owner text, \
    notes text); CREATE INDEX lead_email ON lead (email); CREATE INDEX lead_phone ON lead (phone); \
    CREATE INDEX lead_company ON lead (website)";
const INSERT: &str = "INSERT INTO lead (first, last, email, phone, company, website, title, city, country, \
    source, owner, notes, id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
    gen_random_uuid()) RETURNING id::text";
const SELECT: &str = "SELECT email, phone FROM lead WHERE id = $1::uuid";
/// As many as a pool of the product has in all.
const CONNECTIONS: u32 = 16;
/// Members of a body, in the order of the columns.
const FIELDS: [&str; 11] = [
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "website",
    "job_title",
    "city",
    "country",
    "source",
    "owner",
];

/// Serves until the process is killed.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn serve(url: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .connect_with(options.disable_statement_logging())
        .await?;
    let router = Router::new()
        .route("/v1/leads", post(insert))
        .route("/v1/leads/{id}", get(find))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let address = listener.local_addr()?;
    println!("{}", json!({ "ready": true, "address": format!("http://{address}") }));
    axum::serve(listener, router).await.context("the server ended")
}

async fn insert(State(pool): State<PgPool>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut query = sqlx::query_scalar::<_, String>(INSERT);
    for field in FIELDS {
        query = query.bind(body["fields"][field].as_str().map(str::to_owned));
    }
    let note = body["notes"][0]["text"].as_str().map(str::to_owned);
    match query.bind(note).fetch_one(&pool).await {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id }))),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Json(Value::Null)),
    }
}

async fn find(State(pool): State<PgPool>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    match sqlx::query(SELECT).bind(id).fetch_optional(&pool).await {
        Ok(Some(row)) => {
            let text = |column: usize| row.try_get::<Option<String>, _>(column).ok().flatten();
            let fields = json!({ "email": text(0), "phone": text(1) });
            (StatusCode::OK, Json(json!({ "fields": fields })))
        }
        Ok(None) => (StatusCode::NOT_FOUND, Json(Value::Null)),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Json(Value::Null)),
    }
}
