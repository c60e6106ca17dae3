//! The baselines: SQL written without thought, against which the product is measured.
//!
//! - The naive loop: the very rows an import stored, read from its database, inserted one by one in
//!   transactions of 1,000 with the same durability, the three tags under ordinary indexes.
//! - The plaintext row: the same people as twelve texts, with indexes on e-mail, phone and domain.

use std::path::Path;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::leads;
use crate::stopwatch::Stopwatch;

/// Rows of one transaction.
const ROWS_PER_TRANSACTION: usize = 1_000;
/// Rows of the plaintext table: its bytes a row hardly change from there on.
const PLAINTEXT_ROWS: u64 = 200_000;

const NAIVE: [&str; 4] = [
    "CREATE TABLE lead (id BLOB PRIMARY KEY, dataset INTEGER NOT NULL, leaf INTEGER NOT NULL, \
     labels INTEGER NOT NULL, created INTEGER NOT NULL, email_tag INTEGER, phone_tag INTEGER, \
     domain_tag INTEGER, contact BLOB, profile BLOB)",
    "CREATE UNIQUE INDEX lead_email ON lead (dataset, email_tag)",
    "CREATE INDEX lead_phone ON lead (dataset, phone_tag)",
    "CREATE INDEX lead_domain ON lead (dataset, domain_tag)",
];
const NAIVE_INSERT: &str = "INSERT INTO lead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const STORED: &str = "SELECT lead, dataset_no, leaf, labels, created_min, email_tag, phone_tag, \
                      domain_tag, contact, profile FROM lead WHERE dataset_no = \
                      (SELECT dataset_no FROM lead GROUP BY tenant_no, dataset_no \
                      ORDER BY COUNT(*) DESC LIMIT 1) ORDER BY row_id";
const PLAINTEXT: [&str; 4] = [
    "CREATE TABLE lead (first TEXT, last TEXT, email TEXT, phone TEXT, company TEXT, domain TEXT, \
     title TEXT, city TEXT, country TEXT, source TEXT, owner TEXT, notes TEXT)",
    "CREATE INDEX lead_email ON lead (email)",
    "CREATE INDEX lead_phone ON lead (phone)",
    "CREATE INDEX lead_domain ON lead (domain)",
];
const PLAINTEXT_INSERT: &str = "INSERT INTO lead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const USED_BYTES: &str = "SELECT (SELECT page_count FROM pragma_page_count()) * \
                          (SELECT page_size FROM pragma_page_size()) - \
                          (SELECT freelist_count FROM pragma_freelist_count()) * \
                          (SELECT page_size FROM pragma_page_size())";

/// A stored row as the naive loop inserts it.
#[derive(Debug)]
struct Stored {
    id: Vec<u8>,
    numbers: [Option<i64>; 7],
    blobs: [Option<Vec<u8>>; 2],
}

/// Rows a second of the naive loop over the rows of the largest dataset of `stored`. Reading them is not
/// timed.
///
/// # Errors
/// What SQLite says.
pub(crate) async fn naive(stored: &Path, dir: &Path) -> anyhow::Result<f64> {
    let mut source = open(stored).read_only(true).connect().await?;
    let mut target = make(&dir.join("naive.db"), &NAIVE).await?;
    let (mut seconds, mut count, mut batch) = (0.0, 0_u32, Vec::new());
    let mut rows = sqlx::query(STORED).fetch(&mut source);
    loop {
        let row = rows.try_next().await.context("the imported rows")?;
        let is_last = row.is_none();
        if let Some(row) = row {
            batch.push(decode(&row)?);
        }
        if batch.len() == ROWS_PER_TRANSACTION || is_last {
            count += u32::try_from(batch.len())?;
            let watch = Stopwatch::start();
            insert(&mut target, std::mem::take(&mut batch)).await?;
            seconds += watch.seconds();
        }
        if is_last {
            break;
        }
    }
    drop(rows);
    target.close().await?;
    Ok(f64::from(count) / seconds)
}

fn decode(row: &SqliteRow) -> anyhow::Result<Stored> {
    let mut numbers = [None; 7];
    for (number, column) in numbers.iter_mut().zip(1..) {
        *number = row.try_get(column)?;
    }
    Ok(Stored { id: row.try_get(0)?, numbers, blobs: [row.try_get(8)?, row.try_get(9)?] })
}

async fn insert(target: &mut SqliteConnection, batch: Vec<Stored>) -> anyhow::Result<()> {
    let mut transaction = target.begin().await?;
    for row in batch {
        let mut query = sqlx::query(NAIVE_INSERT).bind(row.id);
        for number in row.numbers {
            query = query.bind(number);
        }
        for blob in row.blobs {
            query = query.bind(blob);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Bytes of a plaintext row with its indexes.
///
/// # Errors
/// What SQLite says.
pub(crate) async fn plaintext_bytes_per_row(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("plaintext.db");
    let mut target = make(&path, &PLAINTEXT).await?;
    let mut transaction = target.begin().await?;
    for n in 0..PLAINTEXT_ROWS {
        let mut query = sqlx::query(PLAINTEXT_INSERT);
        for cell in leads::lead(1, n).cells {
            query = query.bind(cell);
        }
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    target.close().await?;
    #[expect(clippy::cast_precision_loss, reason = "bytes and rows")]
    let bytes = used_bytes(&path).await? as f64 / PLAINTEXT_ROWS as f64;
    Ok(bytes)
}

/// Bytes of a database without its free pages.
///
/// # Errors
/// What SQLite says.
pub(crate) async fn used_bytes(path: &Path) -> anyhow::Result<u64> {
    let mut connection = open(path).connect().await?;
    let bytes: i64 = sqlx::query_scalar(USED_BYTES).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(u64::try_from(bytes)?)
}

/// A database with the product's durability and nothing else of its settings.
async fn make(path: &Path, schema: &[&'static str]) -> anyhow::Result<SqliteConnection> {
    let mut connection = open(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    for statement in schema {
        sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&mut connection).await?;
    }
    Ok(connection)
}

fn open(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).disable_statement_logging()
}
