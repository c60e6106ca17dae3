//! What the key store must do: rows in, rows out, and one compare-and-set.
//!
//! The rows are ciphertext and numbers; nothing here is a secret, and nothing here decides. The one
//! statement that decides is [`KeyBlobs::decide`]: whoever moves `key_head` from `(e, d)` to
//! `(e + 1, d')` has made the change, for every node (protocols.md 1.1).
//!
//! ```text
//! key_head      (tenant)                 epoch, directory, forgotten_epoch, slot
//! key_directory (tenant, directory)      epoch, blob
//! key_page      (tenant, page)           blob, named_epoch NULL, inserted_at
//! key_hop       (tenant, epoch)          directory, blob         epoch = the one the hop leads to
//! key_kek       (tenant, generation)     wrapped, state
//! leaf_hwm      (tenant, dataset, tree)  next_leaf               u64: 0 ..= 2^32
//! node_epoch    (node, tenant)           epoch, seen_at
//! ```
//!
//! Every method is one transaction, durable when it returns (`synchronous = FULL`, `synchronous_commit =
//! on`), unless its text says otherwise. A method either did all of it or nothing of it.

use leadvault_domain::{DatasetNo, DirectoryId, PageId, SlotId, TenantId, Timestamp};

/// Which directory is in force. The row whose change is the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRow {
    /// The tenant.
    pub tenant: TenantId,
    /// Epoch in force, from 1.
    pub epoch: u32,
    /// Directory in force.
    pub directory: DirectoryId,
    /// Highest epoch whose predecessor's key was seen forgotten by the slot.
    pub forgotten_epoch: u32,
    /// The slot this history belongs to; another slot is another history.
    pub slot: SlotId,
}

/// A directory: LV1 kind 13 under the epoch key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRow {
    /// The tenant.
    pub tenant: TenantId,
    /// Its id.
    pub directory: DirectoryId,
    /// Its epoch.
    pub epoch: u32,
    /// The sealed bytes; tens of KB.
    pub blob: Vec<u8>,
}

/// A page: LV1 kind 12 under its own random key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// The tenant.
    pub tenant: TenantId,
    /// Its id, random, new on every rewrite.
    pub page: PageId,
    /// The sealed bytes; at most about 300 KB, typically 35 KB.
    pub blob: Vec<u8>,
    /// When it was made (node's clock).
    pub inserted_at: Timestamp,
}

/// A hop: the slot record of `epoch`, LV1 kind 14 under the key of `epoch - 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The epoch it leads to.
    pub epoch: u32,
    /// The directory of that epoch.
    pub directory: DirectoryId,
    /// The sealed bytes.
    pub blob: Vec<u8>,
}

/// Whether a wrapped KEK may still be unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KekState {
    /// It may.
    Active,
    /// The tenant is being shredded: no unwrap any more.
    Destroyed,
}

impl KekState {
    /// The word as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Destroyed => "destroyed",
        }
    }

    /// From the stored word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "active" => Some(Self::Active),
            "destroyed" => Some(Self::Destroyed),
            _ => None,
        }
    }
}

/// One generation of a tenant's KEK, wrapped by the root provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekRow {
    /// The tenant.
    pub tenant: TenantId,
    /// Generation, from 1.
    pub generation: u32,
    /// What the provider gave.
    pub wrapped: Vec<u8>,
    /// Its state.
    pub state: KekState,
}

/// Where the next block of leaves begins. Not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HwmRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The dataset's number.
    pub dataset: DatasetNo,
    /// The tree.
    pub tree: u32,
    /// First leaf never issued; 2^32 = the tree is used up.
    pub next_leaf: u64,
}

/// What a node confirms: it holds no key older than `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeEpochRow {
    /// The node: random, made at its start.
    pub node: [u8; 16],
    /// The tenant.
    pub tenant: TenantId,
    /// The epoch of its snapshot.
    pub epoch: u32,
    /// When it said so (node's clock).
    pub seen_at: Timestamp,
}

/// The rows a tenant is born with.
#[derive(Debug, Clone)]
pub struct FirstRows {
    /// Epoch 1, forgotten epoch 1.
    pub head: HeadRow,
    /// The first directory.
    pub directory: DirectoryRow,
    /// Generation 1.
    pub kek: KekRow,
}

/// One advance, up to and including the decision (protocols.md 1.1, step 3).
#[derive(Debug, Clone)]
pub struct Decision {
    /// The tenant.
    pub tenant: TenantId,
    /// The head must still name this epoch …
    pub expected_epoch: u32,
    /// … and this directory.
    pub expected_directory: DirectoryId,
    /// The new directory; its epoch and id become the head's.
    pub directory: DirectoryRow,
    /// Pages inserted here, `named_epoch` = the new epoch.
    pub pages: Vec<PageRow>,
    /// Pages inserted earlier by [`KeyBlobs::insert_pages`]; `named_epoch` is set to the new epoch.
    pub staged: Vec<PageId>,
    /// The way from the old epoch key to the new slot record.
    pub hop: HopRow,
    /// The new KEK generation, when the change is a rotation.
    pub kek: Option<KekRow>,
}

/// Outcome of the compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// The head moved; everything of the decision is stored.
    Won,
    /// The head was another one; nothing is stored.
    Lost,
}

/// What hygiene removes (protocols.md 1.1, step 7).
#[derive(Debug, Clone)]
pub struct Unreferenced {
    /// The tenant.
    pub tenant: TenantId,
    /// The head this list was made for; another head: nothing is removed.
    pub head_epoch: u32,
    /// Its directory: the only one that stays.
    pub head_directory: DirectoryId,
    /// Pages that stay.
    pub live_pages: Vec<PageId>,
    /// Pages outside `live_pages` that no head ever named go only when made before this.
    pub unnamed_before: Timestamp,
    /// Hops to this epoch and below go.
    pub hops_through: u32,
    /// KEK generations below this one go.
    pub keks_below: u32,
}

/// Everything the key store holds of a tenant: what a mirror gives back.
#[derive(Debug, Clone)]
pub struct TenantRows {
    /// The head.
    pub head: HeadRow,
    /// Its directory.
    pub directory: DirectoryRow,
    /// Every page the directory names.
    pub pages: Vec<PageRow>,
    /// Hops that may still be needed.
    pub hops: Vec<HopRow>,
    /// KEK generations.
    pub keks: Vec<KekRow>,
    /// Leaf numbers.
    pub hwm: Vec<HwmRow>,
}

/// Why the key store did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobsError {
    /// Not reachable, busy beyond its limit, or the outcome is unknown.
    #[error("the key store is not available")]
    Unavailable,
    /// No space left; the ballast is gone as well.
    #[error("the key store is full")]
    Full,
    /// A row that must be new exists.
    #[error("the row exists")]
    Exists,
    /// A row that must exist does not: a head to raise, a staged page to name.
    #[error("the row does not exist")]
    Missing,
    /// The tree has no 2^32 leaves left for this block.
    #[error("the leaf numbers of the tree are used up")]
    Exhausted,
    /// A row cannot be decoded.
    #[error("a row of {table} cannot be decoded")]
    Inconsistent {
        /// The table.
        table: &'static str,
    },
}

/// The key store. `store` implements it; `keys` alone calls it.
#[async_trait::async_trait]
pub trait KeyBlobs: Send + Sync + 'static {
    /// The head of a tenant. One read.
    async fn find_head(&self, tenant: TenantId) -> Result<Option<HeadRow>, BlobsError>;

    /// Every head, ascending by tenant: start, the poll of a node, `doctor`. One read.
    async fn list_heads(&self) -> Result<Vec<HeadRow>, BlobsError>;

    /// Inserts the rows a tenant is born with, in ONE transaction.
    ///
    /// # Errors
    /// [`BlobsError::Exists`] if the tenant has a head; nothing is changed then.
    async fn insert_tenant(&self, first: FirstRows) -> Result<(), BlobsError>;

    /// A directory. One read.
    async fn find_directory(
        &self,
        tenant: TenantId,
        directory: DirectoryId,
    ) -> Result<Option<DirectoryRow>, BlobsError>;

    /// A page. One read.
    async fn find_page(
        &self,
        tenant: TenantId,
        page: PageId,
    ) -> Result<Option<PageRow>, BlobsError>;

    /// The hop that leads to `epoch`. One read.
    async fn find_hop(&self, tenant: TenantId, epoch: u32) -> Result<Option<HopRow>, BlobsError>;

    /// All KEK generations, ascending. One read.
    async fn list_keks(&self, tenant: TenantId) -> Result<Vec<KekRow>, BlobsError>;

    /// Inserts pages before a decision, `named_epoch` NULL, in one transaction. A mass erasure calls it
    /// slice by slice (about 1 MiB each); pages that no decision ever names are swept after an hour.
    ///
    /// # Errors
    /// [`BlobsError::Exists`] for an id that is taken.
    async fn insert_pages(&self, pages: Vec<PageRow>) -> Result<(), BlobsError>;

    /// THE DECISION. In ONE transaction (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: READ COMMITTED,
    /// `synchronous_commit = on`):
    ///
    /// 1. `UPDATE key_head SET epoch = directory.epoch, directory = directory.directory WHERE tenant AND
    ///    epoch = expected_epoch AND directory = expected_directory`; 0 rows: ROLLBACK, [`Decided::Lost`].
    /// 2. Insert the directory, the hop, the pages (`named_epoch` = new epoch) and the KEK generation.
    /// 3. `UPDATE key_page SET named_epoch = new epoch` for the staged pages; all of them must be there.
    ///
    /// When it returns [`Decided::Won`] the transaction is durable. An outcome that is not known is an
    /// error, never `Lost`: the caller reads the head again.
    ///
    /// # Errors
    /// [`BlobsError::Missing`] if a staged page is gone (rolled back).
    async fn decide(&self, decision: Decision) -> Result<Decided, BlobsError>;

    /// `forgotten_epoch = GREATEST(forgotten_epoch, epoch)`. One statement, durable.
    ///
    /// # Errors
    /// [`BlobsError::Missing`] without a head.
    async fn raise_forgotten(&self, tenant: TenantId, epoch: u32) -> Result<(), BlobsError>;

    /// Hygiene, in ONE transaction that first reads the head and does nothing if it is not
    /// `(head_epoch, head_directory)`. Deletes directories with `epoch < head_epoch` other than the
    /// head's; pages outside `live_pages` whose `named_epoch <= head_epoch`, or whose `named_epoch` is
    /// NULL and `inserted_at < unnamed_before`; hops with `epoch <= hops_through`; KEK generations
    /// `< keks_below`. `live_pages` may be thousands long: pass it as one array, not as placeholders.
    /// SQLite: `secure_delete = ON` and `wal_checkpoint(TRUNCATE)` afterwards (crypto.md 3.5).
    /// Need not be durable when it returns.
    async fn delete_unreferenced(&self, what: Unreferenced) -> Result<(), BlobsError>;

    /// Takes `count` leaves and returns the first of them, in one transaction, durable:
    /// `first = next_leaf rounded up to a multiple of align; next_leaf = first + count`. A missing row
    /// counts as `next_leaf = 0`. `align` is a power of two. Two callers never get a common leaf.
    ///
    /// # Errors
    /// [`BlobsError::Exhausted`] if `first + count > 2^32`; nothing is changed then.
    async fn take_leaves(
        &self,
        tenant: TenantId,
        dataset: DatasetNo,
        tree: u32,
        count: u32,
        align: u32,
    ) -> Result<u32, BlobsError>;

    /// `next_leaf = GREATEST(next_leaf, row.next_leaf)`, inserting the row if it is missing. Durable.
    async fn raise_leaves(&self, row: HwmRow) -> Result<(), BlobsError>;

    /// All rows of `leaf_hwm` of a tenant, ascending. One read.
    async fn list_leaves(&self, tenant: TenantId) -> Result<Vec<HwmRow>, BlobsError>;

    /// Writes or refreshes what a node confirms (`epoch` never goes down). Need not be durable.
    async fn upsert_node_epoch(&self, row: NodeEpochRow) -> Result<(), BlobsError>;

    /// What nodes confirm of a tenant with `seen_at >= since`. One read.
    async fn list_node_epochs(
        &self,
        tenant: TenantId,
        since: Timestamp,
    ) -> Result<Vec<NodeEpochRow>, BlobsError>;

    /// The node dropped its keys of the tenant. Need not be durable.
    async fn delete_node_epoch(&self, node: [u8; 16], tenant: TenantId) -> Result<(), BlobsError>;

    /// Sets every KEK generation of the tenant to [`KekState::Destroyed`]. One statement, durable,
    /// idempotent; the first step of a shred.
    async fn destroy_keks(&self, tenant: TenantId) -> Result<(), BlobsError>;

    /// Deletes every row of the tenant, in one transaction, durable, idempotent; the last step of a shred.
    async fn delete_tenant(&self, tenant: TenantId) -> Result<(), BlobsError>;

    /// Replaces everything the store holds of the tenant by `rows`, in ONE transaction, durable. Pages get
    /// `named_epoch` = the head's epoch. Only a restore from a mirror calls it.
    async fn replace_tenant(&self, rows: TenantRows) -> Result<(), BlobsError>;
}
