//! Growing up: the rows of an embedded store are copied into a store of PostgreSQL, ciphertext as it is, tenant by
//! tenant and table by table.
//!
//! A row that is there already stays, so that a copy that was cut off goes on. At the end of each table both sides are
//! read and compared, by number and by one digest over all rows in the order of their keys (the RFC 6962 root of
//! their canonical texts). Row numbers are translated where they are read: in PostgreSQL a lead's row is its
//! leaf address.

use futures::TryStreamExt as _;
use leadvault_domain::{TenantId, TenantNo};
use leadvault_ledger::Hash;
use leadvault_ledger::tree::{Frontier, leaf_hash};

use crate::data_store::DataStore;
use crate::engine::{Engine, Query, Reach, query};
use crate::error::{Result, StoreError};
use crate::key_store::KeyStore;
use crate::scope::TenantScope;
use crate::statement::{NONE, Sql, statements};

/// Rows of one statement: about a megabyte.
const ROWS_AT_ONCE: usize = 500;

/// Members of a JSON object, of columns that are numbers or texts.
macro_rules! plain {
    ($($column:literal)*) => { concat!($("'", $column, "', r.", $column, ", "),*) };
}
/// Members of a JSON object, of columns that are bytes, as PostgreSQL writes bytes. The hexadecimal form of NULL is
/// the empty text in SQLite.
macro_rules! bytes {
    ($($column:literal)*) => {
        concat!($("'", $column, "', CASE WHEN r.", $column, " IS NOT NULL THEN '\\x' || lower(hex(r.",
            $column, ")) END, "),*)
    };
}
/// A lead's row as PostgreSQL numbers it: `lead_row` of its schema.
macro_rules! row_id {
    ($lead:literal) => {
        concat!(
            "(",
            $lead,
            ".dataset_no * 4096 + ",
            $lead,
            ".tree) * 4294967296 + ",
            $lead,
            ".leaf"
        )
    };
}
/// Reads the rows of a tenant, each as one JSON object, in the order of their key.
macro_rules! read {
    ($table:literal of $tenant:literal = $id:literal, [$($plain:literal)*] [$($bytes:literal)*] by $order:literal) => {
        concat!("SELECT json_object(", plain!($($plain)*), bytes!($($bytes)*), "'", $tenant, "', ", $id,
            ") AS row FROM ", $table, " r WHERE r.", $tenant, " = $1 ORDER BY ", $order)
    };
}
/// Reads them in PostgreSQL.
macro_rules! back {
    ($table:literal of $tenant:literal by $order:literal) => {
        concat!(
            "SELECT row_to_json(r)::text AS row FROM ",
            $table,
            " r WHERE r.",
            $tenant,
            " = $1 ORDER BY ",
            $order
        )
    };
}
/// Inserts rows that came as a JSON array.
macro_rules! insert {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " SELECT * FROM json_populate_recordset(NULL::",
            $table,
            ", $1::json) ON CONFLICT DO NOTHING"
        )
    };
}

/// A table of the data store: how its rows are read on both sides, and inserted.
struct Table {
    name: &'static str,
    read: Sql,
    insert: Sql,
}

macro_rules! tables {
    ($list:ident: $($name:ident $insert:ident = $table:literal of $tenant:literal = $id:literal,
        [$($plain:literal)*] [$($bytes:literal)*] by $order:literal;)+) => {
        statements_of! { $($name $insert = $table of $tenant = $id, [$($plain)*] [$($bytes)*] by $order;)+ }
        const $list: &[Table] =
            &[$(Table { name: $table, read: $name, insert: $insert }),+];
    };
}
macro_rules! statements_of {
    ($($name:ident $insert:ident = $table:literal of $tenant:literal = $id:literal,
        [$($plain:literal)*] [$($bytes:literal)*] by $order:literal;)+) => {
        $(const $name: Sql = Sql {
            sqlite: read!($table of $tenant = $id, [$($plain)*] [$($bytes)*] by $order),
            postgres: back!($table of $tenant by $order),
        };
        const $insert: Sql = Sql { sqlite: NONE, postgres: insert!($table) };)+
    };
}

tables! { DATA:
    TENANT TENANT_IN = "tenant" of "tenant_no" = "r.tenant_no",
        ["region" "state" "key_state" "created_at" "facts" "meta_leaf" "meta_revision" "last_dataset_no"]
        ["uuid" "meta"] by "r.tenant_no";
    CHUNKS CHUNKS_IN = "log_chunk" of "tenant_no" = "r.tenant_no",
        ["first_index" "n" "state_gen" "key_epoch" "t_min" "t_max"] ["bytes"] by "r.first_index";
    TREE TREE_IN = "log_tree" of "tenant_no" = "r.tenant_no", ["built" "checkpoint"] ["frontier"]
        by "r.tenant_no";
    UPKEEP UPKEEP_IN = "log_upkeep" of "tenant_no" = "r.tenant_no", ["said_at" "said_to" "active_at"] []
        by "r.tenant_no";
    DATASETS DATASETS_IN = "dataset" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "tree" "state" "created_at" "meta_leaf" "meta_revision" "columns_leaf" "columns_revision"]
        ["uuid" "meta" "columns"] by "r.dataset_no";
    INSTRUCTIONS INSTRUCTIONS_IN = "instruction_version" of "tenant_no" = "r.tenant_no",
        ["version" "status" "created_at" "activated_at" "body_leaf" "body_revision"]
        ["uuid" "hash" "body"] by "r.uuid, r.version";
    PERMITS PERMITS_IN = "exit_permit" of "tenant_no" = "r.tenant_no",
        ["created_at" "body_leaf" "body_revision"] ["uuid" "hash" "body"] by "r.uuid";
    KEYS KEYS_IN = "api_key" of "tenant_no" = "r.tenant_no",
        ["role" "employer" "country" "default_purpose" "created_at" "expires_at" "revoked_at" "meta_leaf"
        "meta_revision"] ["uuid" "secret_hash" "principal" "recipient" "default_instruction" "datasets" "meta"]
        by "r.uuid";
    PRINCIPALS PRINCIPALS_IN = "principal" of "tenant_no" = "r.tenant_no",
        ["created_at" "expires_at" "name_leaf" "name_revision"] ["uuid" "handle" "name"] by "r.uuid";
    NOTICES NOTICES_IN = "notice" of "tenant_no" = "r.tenant_no", ["kind" "at" "state" "log_index"] ["uuid"]
        by "r.uuid";
    SUPPRESSION SUPPRESSION_IN = "suppression" of "tenant_no" = "r.tenant_no",
        ["month" "reason" "expires_at"] ["tag"] by "r.tag";
    OPERATIONS OPERATIONS_IN = "operation" of "tenant_no" = "r.tenant_no",
        ["kind" "state" "error" "done" "total" "attempts" "created_at" "run_at" "lease_until" "payload_leaf"
        "payload_revision" "result_leaf" "result_revision"]
        ["uuid" "subject" "lease_node" "payload" "result"] by "r.uuid";
    IMPORTS IMPORTS_IN = "import_batch" of "tenant_no" = "r.tenant_no",
        ["batch_no" "dataset_no" "state" "created_at" "expires_at" "next_byte" "next_row" "rows_read"
        "rows_stored" "rows_updated" "rows_skipped" "rows_rejected" "lease_until" "meta_leaf" "meta_revision"
        "cursor_leaf" "cursor_revision"] ["uuid" "lease_node" "meta" "cursor"] by "r.batch_no";
    RANGES RANGES_IN = "import_range" of "tenant_no" = "r.tenant_no",
        ["batch_no" "dataset_no" "tree" "first_leaf" "end_leaf"] [] by "r.batch_no, r.tree, r.first_leaf";
    FAILURES FAILURES_IN = "import_failure" of "tenant_no" = "r.tenant_no",
        ["batch_no" "row_no" "column_no" "code"] [] by "r.batch_no, r.row_no, r.column_no, r.code";
    EXPORTS EXPORTS_IN = "export" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "state" "encrypted" "delivered" "created_at" "expires_at" "leaf" "bytes" "leads"
        "log_index" "meta_leaf" "meta_revision" "begun_index" "file_leaf"]
        ["uuid" "operation" "object" "sha256" "meta"] by "r.uuid";
    PARTS PARTS_IN = "export_part" of "tenant_no" = "r.tenant_no",
        ["part_no" "dataset_no" "tree" "first_leaf" "end_leaf" "chunks" "bytes" "leads" "leaf" "state"
        "withheld" "row_count" "versions"] ["export" "object"] by "r.export, r.part_no";
    EXTENTS EXTENTS_IN = "export_extent" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "tree" "end_leaf"] ["export"] by "r.dataset_no, r.tree, r.export";
    LATE LATE_IN = "export_late" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "tree" "first_leaf" "end_leaf"] ["export"]
        by "r.export, r.dataset_no, r.tree, r.first_leaf";
    FILES FILES_IN = "file" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "state" "erase_with" "size" "next_byte" "created_at" "touched_at" "leaf" "meta_revision"]
        ["uuid" "meta"] by "r.uuid";
    FILE_LEADS FILE_LEADS_IN = "file_lead" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "tree" "leaf"] ["file" "lead"] by "r.dataset_no, r.tree, r.leaf, r.file";
    FILE_PARTS FILE_PARTS_IN = "file_part" of "tenant_no" = "r.tenant_no",
        ["first_chunk" "chunks"] ["file" "object"] by "r.file, r.first_chunk";
    FILE_BLOCKS FILE_BLOCKS_IN = "file_block" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "first_leaf" "end_leaf"] [] by "r.dataset_no, r.first_leaf";
    FILE_USAGE FILE_USAGE_IN = "file_usage" of "tenant_no" = "r.tenant_no", ["files" "bytes"] []
        by "r.tenant_no";
    REPLAYS REPLAYS_IN = "replay" of "tenant_no" = "r.tenant_no",
        ["status" "created_at" "expires_at" "answer_leaf" "answer_revision" "log_index"]
        ["key_hmac" "body_hmac" "answer"] by "r.key_hmac";
    ERASES ERASES_IN = "erase_request" of "tenant_no" = "r.tenant_no",
        ["dataset_no" "tree" "leaf" "requested_index" "requested_at" "state" "epoch" "completed_index"
        "receipt_leaf" "receipt_revision"] ["lead" "reference" "operation" "receipt"] by "r.lead";
    CHANGES CHANGES_IN = "change" of "tenant_no" = "r.tenant_no",
        ["log_index" "leads_leaf" "leads_revision"] ["leads"] by "r.log_index";
    CERTIFICATES CERTIFICATES_IN = "certificate" of "tenant_no" = "r.tenant_no",
        ["requested_index" "rows" "begun_at" "completed_index" "body"] ["operation"] by "r.operation";
}

tables! { KEY_TABLES:
    HEADS HEADS_IN = "key_head" of "tenant" = "'\\x' || lower(hex(r.tenant))", ["epoch" "forgotten_epoch"]
        ["directory" "slot"] by "r.tenant";
    DIRECTORIES DIRECTORIES_IN = "key_directory" of "tenant" = "'\\x' || lower(hex(r.tenant))", ["epoch"]
        ["directory" "blob"] by "r.directory";
    PAGES PAGES_IN = "key_page" of "tenant" = "'\\x' || lower(hex(r.tenant))", ["named_epoch" "inserted_at"]
        ["page" "blob"] by "r.page";
    HOPS HOPS_IN = "key_hop" of "tenant" = "'\\x' || lower(hex(r.tenant))", ["epoch"] ["directory" "blob"]
        by "r.epoch";
    KEKS KEKS_IN = "key_kek" of "tenant" = "'\\x' || lower(hex(r.tenant))", ["generation" "state"] ["wrapped"]
        by "r.generation";
    LEAVES LEAVES_IN = "leaf_hwm" of "tenant" = "'\\x' || lower(hex(r.tenant))",
        ["dataset_no" "tree" "next_leaf"] [] by "r.dataset_no, r.tree";
    LOG_HEADS LOG_HEADS_IN = "log_head" of "log" = "'\\x' || lower(hex(r.log))", ["size"] ["root"] by "r.log";
}

/// Tables whose rows name a lead's row.
const LEADS: &[Table] = &[
    Table { name: "lead", read: LEAD, insert: LEAD_IN },
    Table { name: "lead_part", read: LEAD_PART, insert: LEAD_PART_IN },
    Table { name: "lead_tag", read: LEAD_TAG, insert: LEAD_TAG_IN },
];
/// Generations and epochs; the operator's row is there already.
const CONTROL_TABLE: Table = Table { name: "tenant_control", read: CONTROL, insert: CONTROL_IN };
/// Reads the secrets of the cell. They lie in the key store, so that they are no statements of the data store's list.
const SECRETS: Sql = Sql {
    sqlite: "SELECT json_object('name', r.name, 'generation', r.generation, 'wrapped', \
        '\\x' || lower(hex(r.wrapped)), 'created_at', r.created_at) AS row FROM cell_secret r \
        ORDER BY r.name, r.generation",
    postgres: "SELECT row_to_json(r)::text AS row FROM cell_secret r ORDER BY r.name, r.generation",
};
/// Inserts them.
const SECRETS_IN: Sql = Sql { sqlite: NONE, postgres: insert!("cell_secret") };
/// Secrets of the cell.
const SECRET_TABLE: Table = Table { name: "cell_secret", read: SECRETS, insert: SECRETS_IN };

statements! {
    LEAD = concat!("SELECT json_object('row_id', ", row_id!("r"), ", ", plain!("leaf" "labels" "email_tag"
        "phone_tag" "domain_tag" "dup_no" "batch" "row_no" "created_min" "updated_min" "dataset_no" "tree"
        "version" "index_epoch" "contact_revision" "profile_revision" "contact_schema" "profile_schema" "parts"
        "tombstone"), bytes!("lead" "contact" "profile"), "'tenant_no', r.tenant_no) AS row FROM lead r \
        WHERE r.tenant_no = $1 ORDER BY r.dataset_no, r.tree, r.leaf"),
        postgres: back!("lead" of "tenant_no" by "r.row_id");
    LEAD_IN = NONE, postgres: insert!("lead");
    LEAD_PART = concat!("SELECT json_object('row_id', ", row_id!("l"), ", ",
        plain!("compartment" "schema" "revision"), bytes!("blob"), "'tenant_no', r.tenant_no) AS row \
        FROM lead l CROSS JOIN lead_part r WHERE l.tenant_no = $1 AND r.tenant_no = $1 \
        AND r.row_id = l.row_id ORDER BY l.dataset_no, l.tree, l.leaf, r.compartment"),
        postgres: back!("lead_part" of "tenant_no" by "r.row_id, r.compartment");
    LEAD_PART_IN = NONE, postgres: insert!("lead_part");
    LEAD_TAG = concat!("SELECT json_object('row_id', ", row_id!("l"), ", ",
        plain!("dataset_no" "kind" "tag"), "'tenant_no', r.tenant_no) AS row \
        FROM lead l CROSS JOIN lead_tag r WHERE l.tenant_no = $1 AND r.tenant_no = $1 \
        AND r.row_id = l.row_id ORDER BY l.dataset_no, l.tree, l.leaf, r.kind, r.tag"),
        postgres: back!("lead_tag" of "tenant_no" by "r.row_id, r.kind, r.tag");
    LEAD_TAG_IN = NONE, postgres: insert!("lead_tag");
    CONTROL = read!("tenant_control" of "tenant_no" = "r.tenant_no",
        ["state_gen" "dir_gen" "key_epoch" "state"] [] by "r.tenant_no"),
        postgres: back!("tenant_control" of "tenant_no" by "r.tenant_no");
    CONTROL_IN = NONE, postgres: "INSERT INTO tenant_control SELECT * FROM \
        json_populate_recordset(NULL::tenant_control, $1::json) ON CONFLICT (tenant_no) DO UPDATE \
        SET state_gen = excluded.state_gen, dir_gen = excluded.dir_gen, key_epoch = excluded.key_epoch, \
        state = excluded.state";
    COUNTER = "SELECT value FROM cell_counter WHERE name = 'tenant_no'";
    RAISE_COUNTER = NONE,
        postgres: "UPDATE cell_counter SET value = $1 WHERE name = 'tenant_no' AND value < $1";
}

/// A table that was copied and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedTable {
    /// Its name.
    pub table: &'static str,
    /// Rows, the same on both sides.
    pub rows: u64,
    /// One digest over all of them, the same on both sides.
    pub digest: Hash,
}

/// One side of a copy, as the rows of a tenant.
struct Side<'e> {
    engine: &'e Engine,
    reach: Reach,
}

impl Side<'_> {
    /// Number and digest of the rows a question gives.
    async fn digest(&self, question: Query) -> Result<(u64, Hash)> {
        let mut reader = self.engine.snapshot(self.reach.clone()).await?;
        let mut connection = reader.connection();
        let mut rows = question.stream(&mut connection);
        let mut tree = Frontier::default();
        while let Some(row) = rows.try_next().await? {
            tree.push(leaf_hash(canonical(&row.first::<String>()?)?.as_bytes()));
        }
        Ok((tree.size(), tree.root()))
    }
}

/// A row as both engines would say it: members sorted, no space.
fn canonical(row: &str) -> Result<String> {
    let bad = StoreError::Inconsistent { table: "?", column: "row" };
    let value: serde_json::Value = serde_json::from_str(row).map_err(|_| bad)?;
    Ok(value.to_string())
}

async fn copy(from: &Side<'_>, to: &Side<'_>, table: &Table, key: Query) -> Result<MovedTable> {
    let mut reader = from.engine.snapshot(from.reach.clone()).await?;
    let mut connection = reader.connection();
    let mut rows = key.clone().stream(&mut connection);
    let mut array = String::new();
    let mut count = 0;
    loop {
        let row = rows.try_next().await?;
        if let Some(row) = &row {
            array.push(if count == 0 { '[' } else { ',' });
            array.push_str(&row.first::<String>()?);
            count += 1;
        }
        if count == ROWS_AT_ONCE || (row.is_none() && count > 0) {
            array.push(']');
            let mut held = to.engine.writer(to.reach.clone()).await?;
            let mut transaction = held.begin().await?;
            let insert = query(table.insert).bind(std::mem::take(&mut array));
            insert.execute(&mut transaction.connection()).await?;
            transaction.commit().await?;
            count = 0;
        }
        if row.is_none() {
            break;
        }
    }
    drop(rows);
    let (mine, theirs) = (from.digest(key.clone()).await?, to.digest(key).await?);
    if mine != theirs {
        return Err(StoreError::Differs { table: table.name });
    }
    Ok(MovedTable { table: table.name, rows: mine.0, digest: mine.1 })
}

impl DataStore {
    /// Copies every row into `to`, a store of PostgreSQL, and compares both sides; says each table when it is done.
    /// Nobody else may use either store meanwhile. May be called again after it was cut off.
    ///
    /// # Errors
    /// [`StoreError::Differs`] where the other side holds rows of somebody else; [`StoreError::OutOfRange`] for a
    /// leaf address that a row number of PostgreSQL has no room for.
    pub async fn move_into(
        &self,
        to: &Self,
        mut says: impl FnMut(TenantNo, MovedTable) + Send,
    ) -> Result<()> {
        // Tags that are on their way into their tables are there before they are read.
        while self.merge_staged(usize::MAX >> 1).await? {}
        let tenants = self.list_tenant_numbers().await?;
        if to.list_tenant_numbers().await?.iter().any(|no| !tenants.contains(no)) {
            return Err(StoreError::Differs { table: "tenant" });
        }
        let logs = std::iter::once(TenantScope::OPERATOR.0).chain(tenants);
        for no in logs.collect::<Vec<_>>() {
            let side = |engine| Side { engine, reach: Reach::from(no) };
            let (from, into) = (side(self.engine()), side(to.engine()));
            let of = |table: &Table| query(table.read).bind(i64::from(no.0));
            for table in DATA.iter().chain(LEADS) {
                says(no, copy(&from, &into, table, of(table)).await?);
            }
            // Last: from here on the tenant is there.
            says(no, copy(&from, &into, &CONTROL_TABLE, of(&CONTROL_TABLE)).await?);
        }
        let mut reader = self.engine().reader(Reach::Nobody).await?;
        let counted: i64 = query(COUNTER).scalar(&mut reader.connection()).await?;
        let mut held = to.engine().writer(Reach::Nobody).await?;
        let mut transaction = held.begin().await?;
        let raise = query(RAISE_COUNTER).bind(counted);
        raise.execute(&mut transaction.connection()).await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl KeyStore {
    /// Copies every row of these tenants, of the operator's log and of the cell into `to`, a store of PostgreSQL, and
    /// compares both sides. The copy takes the place of this store, which must not be used again.
    ///
    /// # Errors
    /// As [`DataStore::move_into`].
    pub async fn move_into(
        &self,
        to: &Self,
        tenants: &[TenantId],
        mut says: impl FnMut(MovedTable) + Send,
    ) -> Result<()> {
        let operator = TenantId::from_bytes([0; 16]);
        for tenant in tenants.iter().copied().chain([operator]) {
            let side = |engine| Side { engine, reach: Reach::from(tenant) };
            let (from, into) = (side(self.engine()), side(to.engine()));
            for table in KEY_TABLES {
                let of = query(table.read).bind(tenant.bytes().to_vec());
                says(copy(&from, &into, table, of).await?);
            }
        }
        let side = |engine| Side { engine, reach: Reach::Nobody };
        let (from, into) = (side(self.engine()), side(to.engine()));
        says(copy(&from, &into, &SECRET_TABLE, query(SECRETS)).await?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use leadvault_test_postgres::{Databases, OWNER, psql};

    use super::*;

    /// Members of the objects that a statement reads.
    fn members(sql: &str) -> BTreeSet<String> {
        let quoted = sql.split('\'').collect::<Vec<_>>();
        let is_name = |pair: &&[&str]| pair[1].starts_with(", ");
        quoted[1..].windows(2).step_by(2).filter(is_name).map(|pair| pair[0].to_owned()).collect()
    }

    fn columns(url: &str) -> BTreeMap<String, BTreeSet<String>> {
        let all = "SELECT table_name || ' ' || column_name FROM information_schema.columns \
                   WHERE table_schema = 'public'";
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        for line in psql(url, all).lines() {
            let (table, column) = line.split_once(' ').unwrap();
            tables.entry(table.to_owned()).or_default().insert(column.to_owned());
        }
        tables
    }

    /// Tables that stay behind: what each store says of itself, and what nodes say of themselves.
    const LEFT: &[&str] = &["_sqlx_migrations", "cell_counter", "node_epoch"];

    fn assert_moved<'t>(url: &str, tables: impl Iterator<Item = &'t Table>) {
        let mut columns = columns(url);
        for table in tables {
            let known = columns.remove(table.name).unwrap();
            assert_eq!(members(table.read.sqlite), known, "{}", table.name);
        }
        let left: Vec<&str> = columns.keys().map(String::as_str).collect();
        assert!(left.iter().all(|table| LEFT.contains(table)), "forgotten: {left:?}");
    }

    #[tokio::test]
    async fn every_column_of_every_table_is_moved() {
        let databases = Databases::empty();
        DataStore::migrate_postgres(&databases.data_url(OWNER)).await.unwrap();
        KeyStore::migrate_postgres(&databases.keys_url(OWNER)).await.unwrap();
        let data = DATA.iter().chain(LEADS).chain([&CONTROL_TABLE]);
        assert_moved(&databases.data_url(OWNER), data);
        assert_moved(&databases.keys_url(OWNER), KEY_TABLES.iter().chain([&SECRET_TABLE]));
        // The control: a member that is left out is missed.
        assert!(!members("SELECT json_object('a', r.a) AS row FROM t r").contains("b"));
        assert!(members("SELECT json_object('a', r.a, 'b', '\\x' || r.b)").contains("b"));
    }
}
