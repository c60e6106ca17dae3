//! [`KeyBlobs`] on SQLite. Every method that changes something is one transaction, durable when it returns.
//!
//! A transaction that is run again with the ballast's space may find its own first run: an answer that could
//! mean either is given as "not available", and the caller reads again.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use leadvault_domain::{DatasetNo, DirectoryId, PageId, TenantId, Timestamp};
use leadvault_keys::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KeyBlobs, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};

use crate::engine::query::Value;
use crate::engine::{Query, Reach, Row, query};
use crate::error::{Result, StoreError};
use crate::key_rows::{
    self, decode_directory, decode_head, decode_hop, decode_kek, decode_leaves, decode_node,
    decode_page, delete_all, find_head, insert_directory, insert_head, insert_hop, insert_kek,
    insert_page, raise_leaves, tenant_bytes,
};
use crate::key_store::KeyStore;
use crate::statement::{NONE, statements};

statements! {
    LIST_HEADS = "SELECT tenant, epoch, directory, forgotten_epoch, slot FROM key_head \
                  ORDER BY tenant";
    FIND_DIRECTORY = "SELECT tenant, directory, epoch, blob FROM key_directory \
                      WHERE tenant = $1 AND directory = $2";
    FIND_PAGE = "SELECT tenant, page, blob, inserted_at FROM key_page \
                 WHERE tenant = $1 AND page = $2";
    FIND_HOP = "SELECT tenant, epoch, directory, blob FROM key_hop WHERE tenant = $1 AND epoch = $2";
    LIST_KEKS = "SELECT tenant, generation, wrapped, state FROM key_kek WHERE tenant = $1 \
                 ORDER BY generation";
    LIST_LEAVES = "SELECT tenant, dataset_no, tree, next_leaf FROM leaf_hwm WHERE tenant = $1 \
                   ORDER BY dataset_no, tree";
    LIST_NODES = "SELECT node, tenant, epoch, seen_at FROM node_epoch WHERE tenant = $1 \
                  AND seen_at >= $2 ORDER BY node";
    /// The decision.
    DECIDE = "UPDATE key_head SET epoch = $4, directory = $5 \
              WHERE tenant = $1 AND epoch = $2 AND directory = $3";
    /// Heard by every node once the decision is committed.
    TELL = NONE, postgres: "SELECT pg_notify('lv_head', $1)";
    NAME_PAGE = "UPDATE key_page SET named_epoch = $3 WHERE tenant = $1 AND page = $2 \
                 AND named_epoch IS NULL";
    RAISE_FORGOTTEN = "UPDATE key_head SET forgotten_epoch = \
                       CASE WHEN forgotten_epoch < $2 THEN $2 ELSE forgotten_epoch END \
                       WHERE tenant = $1";
    SWEEP_DIRECTORIES = "DELETE FROM key_directory WHERE tenant = $1 AND epoch < $2 \
                         AND directory <> $3";
    SWEEP_PAGES = "DELETE FROM key_page WHERE tenant = $1 \
                   AND (named_epoch <= $2 OR (named_epoch IS NULL AND inserted_at < $3)) \
                   AND hex(page) NOT IN (SELECT value FROM json_each($4))",
        postgres: "DELETE FROM key_page WHERE tenant = $1 \
                   AND (named_epoch <= $2 OR (named_epoch IS NULL AND inserted_at < $3)) \
                   AND upper(encode(page, 'hex')) \
                   NOT IN (SELECT json_array_elements_text($4::json))";
    SWEEP_HOPS = "DELETE FROM key_hop WHERE tenant = $1 AND epoch <= $2";
    SWEEP_KEKS = "DELETE FROM key_kek WHERE tenant = $1 AND generation < $2";
    UPSERT_NODE = "INSERT INTO node_epoch (tenant, node, epoch, seen_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (tenant, node) DO UPDATE SET epoch = \
                   CASE WHEN node_epoch.epoch < excluded.epoch THEN excluded.epoch ELSE node_epoch.epoch END, \
                   seen_at = excluded.seen_at";
    /// Of many tenants at once; nobody waits for the disk, for a node that dies has dropped its keys.
    SAY_SOON = NONE, postgres: "SET LOCAL synchronous_commit = off";
    UPSERT_NODES = NONE, postgres: "INSERT INTO node_epoch (tenant, node, epoch, seen_at) \
                   SELECT r.tenant, $1, r.epoch, $2 FROM unnest($3::bytea[], $4::bigint[]) \
                   AS r (tenant, epoch) ORDER BY r.tenant ON CONFLICT (tenant, node) DO UPDATE SET epoch = \
                   CASE WHEN node_epoch.epoch < excluded.epoch THEN excluded.epoch ELSE node_epoch.epoch END, \
                   seen_at = excluded.seen_at";
    DELETE_NODE = "DELETE FROM node_epoch WHERE tenant = $1 AND node = $2";
    DESTROY_KEKS = "UPDATE key_kek SET state = 'destroyed' WHERE tenant = $1";
}

/// Tenants of one statement that says epochs.
const EPOCHS_AT_ONCE: usize = 1_000;
/// One past the last leaf of a tree.
const LEAVES: u64 = 1 << 32;

impl From<StoreError> for BlobsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unwritable => Self::Full,
            StoreError::Exists { .. } => Self::Exists,
            StoreError::Missing { .. } => Self::Missing,
            StoreError::OutOfRange => Self::Exhausted,
            StoreError::Inconsistent { table, .. } => Self::Inconsistent { table },
            _ => Self::Unavailable,
        }
    }
}

impl KeyStore {
    /// Runs a transaction; tells the caller nothing that its own first run may have caused.
    async fn change<T, F, Fut>(&self, attempt: F) -> Result<(T, bool), BlobsError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let runs = AtomicU32::new(0);
        let counted = || {
            runs.fetch_add(1, Ordering::Relaxed);
            attempt()
        };
        let outcome = self.engine().write(counted).await;
        let again = runs.load(Ordering::Relaxed) > 1;
        match outcome {
            Ok(value) => Ok((value, again)),
            Err(StoreError::Exists { .. } | StoreError::Missing { .. }) if again => {
                Err(BlobsError::Unavailable)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Runs one statement as a transaction and returns how many rows it changed.
    async fn change_one(&self, tenant: TenantId, change: Query) -> Result<u64, BlobsError> {
        let once = || async {
            let mut held = self.engine().writer(tenant).await?;
            let mut transaction = held.begin().await?;
            let done = change.clone().execute(&mut transaction.connection()).await?;
            transaction.commit().await?;
            Ok(done)
        };
        self.change(once).await.map(|(rows, _)| rows)
    }

    async fn find<T>(
        &self,
        tenant: TenantId,
        question: Query,
        decode: fn(&Row) -> Result<T>,
    ) -> Result<Option<T>, BlobsError> {
        Ok(self.engine().find(tenant, question, decode).await?)
    }

    async fn list<T>(
        &self,
        reach: impl Into<Reach>,
        question: Query,
        decode: fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>, BlobsError> {
        Ok(self.engine().list(reach, question, decode).await?)
    }

    async fn say_epochs_once(
        &self,
        node: [u8; 16],
        epochs: &[(TenantId, u32)],
        at: Timestamp,
    ) -> Result<()> {
        let (tenants, epochs): (Vec<TenantId>, Vec<i64>) =
            epochs.iter().map(|(tenant, epoch)| (*tenant, i64::from(*epoch))).unzip();
        let ids = tenants.iter().map(|tenant| Some(tenant_bytes(*tenant))).collect();
        let upsert = query(UPSERT_NODES)
            .bind(node.to_vec())
            .bind(at.micros())
            .bind(Value::BytesColumn(ids))
            .bind(epochs);
        let mut held = self.engine().writer(Reach::Keys(tenants)).await?;
        let mut transaction = held.begin().await?;
        let connection = &mut transaction.connection();
        query(SAY_SOON).execute(connection).await?;
        upsert.execute(connection).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Says for a node that it holds no older keys of these tenants than those of an epoch, where the cell has
    /// several nodes (PostgreSQL).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn say_epochs(
        &self,
        node: [u8; 16],
        epochs: &[(TenantId, u32)],
        at: Timestamp,
    ) -> Result<()> {
        for portion in epochs.chunks(EPOCHS_AT_ONCE) {
            self.say_epochs_once(node, portion, at).await?;
        }
        Ok(())
    }

    async fn insert_tenant_once(&self, first: &FirstRows) -> Result<()> {
        let mut held = self.engine().writer(first.head.tenant).await?;
        let mut transaction = held.begin().await?;
        insert_head(&mut transaction.connection(), &first.head).await?;
        insert_directory(&mut transaction.connection(), &first.directory).await?;
        insert_kek(&mut transaction.connection(), &first.kek).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn insert_pages_once(&self, pages: &[PageRow]) -> Result<()> {
        // Pages of one change: all are of its tenant.
        let Some(first) = pages.first() else { return Ok(()) };
        let mut held = self.engine().writer(first.tenant).await?;
        let mut transaction = held.begin().await?;
        for page in pages {
            insert_page(&mut transaction.connection(), page, None).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn decide_once(&self, decision: &Decision) -> Result<Decided> {
        let mut held = self.engine().writer(decision.tenant).await?;
        let mut transaction = held.begin().await?;
        let (tenant, epoch) = (decision.tenant, decision.directory.epoch);
        let moved = query(DECIDE)
            .bind(tenant_bytes(tenant))
            .bind(i64::from(decision.expected_epoch))
            .bind(decision.expected_directory.bytes().to_vec())
            .bind(i64::from(epoch))
            .bind(decision.directory.directory.bytes().to_vec())
            .execute(&mut transaction.connection())
            .await?;
        if moved == 0 {
            transaction.rollback().await?;
            return Ok(Decided::Lost);
        }
        insert_directory(&mut transaction.connection(), &decision.directory).await?;
        insert_hop(&mut transaction.connection(), &decision.hop).await?;
        for page in &decision.pages {
            insert_page(&mut transaction.connection(), page, Some(epoch)).await?;
        }
        for page in &decision.staged {
            let named = query(NAME_PAGE)
                .bind(tenant_bytes(tenant))
                .bind(page.bytes().to_vec())
                .bind(i64::from(epoch))
                .execute(&mut transaction.connection())
                .await?;
            if named != 1 {
                return Err(StoreError::Missing { table: "key_page" });
            }
        }
        if let Some(kek) = &decision.kek {
            insert_kek(&mut transaction.connection(), kek).await?;
        }
        if TELL.is_for(&transaction.connection()) {
            let told = query(TELL).bind(tenant.uuid().to_string());
            told.execute(&mut transaction.connection()).await?;
        }
        transaction.commit().await?;
        Ok(Decided::Won)
    }

    async fn sweep_once(&self, what: &Unreferenced) -> Result<()> {
        let mut held = self.engine().writer(what.tenant).await?;
        let mut transaction = held.begin().await?;
        let tenant = tenant_bytes(what.tenant);
        let head = find_head(&mut transaction.connection(), what.tenant).await?;
        let is_same =
            head.is_some_and(|h| (h.epoch, h.directory) == (what.head_epoch, what.head_directory));
        if !is_same {
            transaction.rollback().await?;
            return Ok(());
        }
        let epoch = i64::from(what.head_epoch);
        let queries = [
            query(SWEEP_DIRECTORIES)
                .bind(tenant.clone())
                .bind(epoch)
                .bind(what.head_directory.bytes().to_vec()),
            query(SWEEP_PAGES)
                .bind(tenant.clone())
                .bind(epoch)
                .bind(what.unnamed_before.micros())
                .bind(json_pages(&what.live_pages)),
            query(SWEEP_HOPS).bind(tenant.clone()).bind(i64::from(what.hops_through)),
            query(SWEEP_KEKS).bind(tenant).bind(i64::from(what.keks_below)),
        ];
        for sweep in queries {
            sweep.execute(&mut transaction.connection()).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn take_leaves_once(&self, row: HwmRow, count: u32, align: u32) -> Result<u32> {
        let mut held = self.engine().writer(row.tenant).await?;
        let mut transaction = held.begin().await?;
        let next = key_rows::find_next_leaf(
            &mut transaction.connection(),
            row.tenant,
            row.dataset,
            row.tree,
        )
        .await?;
        let first = next.next_multiple_of(u64::from(align.max(1)));
        let end = first + u64::from(count);
        if end > LEAVES {
            return Err(StoreError::OutOfRange);
        }
        // `count` of 0 at the very end of the tree has no first leaf.
        let leaf = u32::try_from(first).map_err(|_| StoreError::OutOfRange)?;
        raise_leaves(&mut transaction.connection(), HwmRow { next_leaf: end, ..row }).await?;
        transaction.commit().await?;
        Ok(leaf)
    }

    async fn delete_tenant_once(&self, tenant: TenantId) -> Result<()> {
        let mut held = self.engine().writer(tenant).await?;
        let mut transaction = held.begin().await?;
        delete_all(&mut transaction.connection(), tenant).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn replace_tenant_once(&self, rows: &TenantRows) -> Result<()> {
        let mut held = self.engine().writer(rows.head.tenant).await?;
        let mut transaction = held.begin().await?;
        let connection = &mut transaction.connection();
        delete_all(connection, rows.head.tenant).await?;
        insert_head(connection, &rows.head).await?;
        insert_directory(connection, &rows.directory).await?;
        for page in &rows.pages {
            insert_page(connection, page, Some(rows.head.epoch)).await?;
        }
        for hop in &rows.hops {
            insert_hop(connection, hop).await?;
        }
        for kek in &rows.keks {
            insert_kek(connection, kek).await?;
        }
        for row in &rows.hwm {
            raise_leaves(connection, *row).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Page ids as a JSON array of upper-case hexadecimal, as SQL's `hex` writes them.
fn json_pages(pages: &[PageId]) -> String {
    let quoted: Vec<String> =
        pages.iter().map(|page| format!("\"{:X}\"", page.uuid().simple())).collect();
    format!("[{}]", quoted.join(","))
}

#[async_trait]
impl KeyBlobs for KeyStore {
    async fn find_head(&self, tenant: TenantId) -> Result<Option<HeadRow>, BlobsError> {
        let mut reader = self.engine().reader(tenant).await?;
        Ok(find_head(&mut reader.connection(), tenant).await?)
    }

    async fn list_heads(&self) -> Result<Vec<HeadRow>, BlobsError> {
        self.list(Reach::Cell, query(LIST_HEADS), decode_head).await
    }

    async fn insert_tenant(&self, first: FirstRows) -> Result<(), BlobsError> {
        self.change(|| self.insert_tenant_once(&first)).await.map(|((), _)| ())
    }

    async fn find_directory(
        &self,
        tenant: TenantId,
        directory: DirectoryId,
    ) -> Result<Option<DirectoryRow>, BlobsError> {
        let question =
            query(FIND_DIRECTORY).bind(tenant_bytes(tenant)).bind(directory.bytes().to_vec());
        self.find(tenant, question, decode_directory).await
    }

    async fn find_page(
        &self,
        tenant: TenantId,
        page: PageId,
    ) -> Result<Option<PageRow>, BlobsError> {
        let question = query(FIND_PAGE).bind(tenant_bytes(tenant)).bind(page.bytes().to_vec());
        self.find(tenant, question, decode_page).await
    }

    async fn find_hop(&self, tenant: TenantId, epoch: u32) -> Result<Option<HopRow>, BlobsError> {
        let question = query(FIND_HOP).bind(tenant_bytes(tenant)).bind(i64::from(epoch));
        self.find(tenant, question, decode_hop).await
    }

    async fn list_keks(&self, tenant: TenantId) -> Result<Vec<KekRow>, BlobsError> {
        self.list(tenant, query(LIST_KEKS).bind(tenant_bytes(tenant)), decode_kek).await
    }

    async fn insert_pages(&self, pages: Vec<PageRow>) -> Result<(), BlobsError> {
        self.change(|| self.insert_pages_once(&pages)).await.map(|((), _)| ())
    }

    async fn decide(&self, decision: Decision) -> Result<Decided, BlobsError> {
        match self.change(|| self.decide_once(&decision)).await? {
            // It may have lost against its own first run.
            (Decided::Lost, true) => Err(BlobsError::Unavailable),
            (decided, _) => Ok(decided),
        }
    }

    async fn raise_forgotten(&self, tenant: TenantId, epoch: u32) -> Result<(), BlobsError> {
        let change = query(RAISE_FORGOTTEN).bind(tenant_bytes(tenant)).bind(i64::from(epoch));
        match self.change_one(tenant, change).await? {
            1 => Ok(()),
            _ => Err(BlobsError::Missing),
        }
    }

    async fn delete_unreferenced(&self, what: Unreferenced) -> Result<(), BlobsError> {
        self.change(|| self.sweep_once(&what)).await?;
        self.checkpoint().await?;
        Ok(())
    }

    async fn take_leaves(
        &self,
        tenant: TenantId,
        dataset: DatasetNo,
        tree: u32,
        count: u32,
        align: u32,
    ) -> Result<u32, BlobsError> {
        let row = HwmRow { tenant, dataset, tree, next_leaf: 0 };
        self.change(|| self.take_leaves_once(row, count, align)).await.map(|(leaf, _)| leaf)
    }

    async fn raise_leaves(&self, row: HwmRow) -> Result<(), BlobsError> {
        let once = || async {
            let mut held = self.engine().writer(row.tenant).await?;
            let mut transaction = held.begin().await?;
            raise_leaves(&mut transaction.connection(), row).await?;
            transaction.commit().await?;
            Ok(())
        };
        self.change(once).await.map(|((), _)| ())
    }

    async fn list_leaves(&self, tenant: TenantId) -> Result<Vec<HwmRow>, BlobsError> {
        self.list(tenant, query(LIST_LEAVES).bind(tenant_bytes(tenant)), decode_leaves).await
    }

    async fn upsert_node_epoch(&self, row: NodeEpochRow) -> Result<(), BlobsError> {
        let change = query(UPSERT_NODE)
            .bind(tenant_bytes(row.tenant))
            .bind(row.node.to_vec())
            .bind(i64::from(row.epoch))
            .bind(row.seen_at.micros());
        self.change_one(row.tenant, change).await.map(|_| ())
    }

    async fn list_node_epochs(
        &self,
        tenant: TenantId,
        since: Timestamp,
    ) -> Result<Vec<NodeEpochRow>, BlobsError> {
        let question = query(LIST_NODES).bind(tenant_bytes(tenant)).bind(since.micros());
        self.list(tenant, question, decode_node).await
    }

    async fn delete_node_epoch(&self, node: [u8; 16], tenant: TenantId) -> Result<(), BlobsError> {
        let change = query(DELETE_NODE).bind(tenant_bytes(tenant)).bind(node.to_vec());
        self.change_one(tenant, change).await.map(|_| ())
    }

    async fn destroy_keks(&self, tenant: TenantId) -> Result<(), BlobsError> {
        let change = query(DESTROY_KEKS).bind(tenant_bytes(tenant));
        self.change_one(tenant, change).await.map(|_| ())
    }

    async fn delete_tenant(&self, tenant: TenantId) -> Result<(), BlobsError> {
        self.change(|| self.delete_tenant_once(tenant)).await?;
        self.checkpoint().await?;
        Ok(())
    }

    async fn replace_tenant(&self, rows: TenantRows) -> Result<(), BlobsError> {
        self.change(|| self.replace_tenant_once(&rows)).await.map(|((), _)| ())
    }
}
