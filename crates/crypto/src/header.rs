//! The 24 clear bytes in front of every LV1 blob, and the context it is bound to (crypto.md 1.3).
//!
//! ```text
//! 0  2 "LV"      4  1 kind     8  2 compartment   12 4 revision
//! 2  1 version   5  1 flags   10  2 zero          16 4 tree
//! 3  1 suite     6  2 schema                      20 4 leaf
//! ```
//! The caller states the whole header and context from its own question; nothing is taken from the blob.

/// Length of the header.
pub(crate) const HEADER_BYTES: usize = 24;
/// Length of header and the three ids.
pub(crate) const CTX_BYTES: usize = 72;

const MAGIC: [u8; 2] = *b"LV";
const VERSION: u8 = 1;
/// PPRF-HMAC-SHA256 leaf, HKDF-SHA256, AES-256-GCM, commitment of 32 bytes.
const SUITE: u8 = 1;
const FLAG_PADDED: u8 = 1;

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A compartment of a lead.
    Compartment = 0x01,
    /// Dataset metadata and other small sealed things.
    Small = 0x02,
    /// The body of an instruction.
    Instruction = 0x03,
    /// One chunk of an object.
    Chunk = 0x04,
    /// A wrapped key; the compartment is its purpose code.
    Wrap = 0x10,
    /// The epoch key in the slot.
    EpochSlot = 0x11,
    /// A page of the key store.
    Page = 0x12,
    /// The directory of the key store.
    Directory = 0x13,
    /// The slot record of the next epoch.
    Hop = 0x14,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Compartment,
        Self::Small,
        Self::Instruction,
        Self::Chunk,
        Self::Wrap,
        Self::EpochSlot,
        Self::Page,
        Self::Directory,
        Self::Hop,
    ];

    fn parse(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether the plaintext is padded: the record kinds, and only they.
    pub(crate) fn is_padded(self) -> bool {
        (self as u8) < 0x10
    }

    /// Domain label of the key derivation.
    pub(crate) fn label(self) -> &'static [u8; 8] {
        if self.is_padded() { b"LV1-REC\0" } else { b"LV1-WRP\0" }
    }

    fn flags(self) -> u8 {
        if self.is_padded() { FLAG_PADDED } else { 0 }
    }
}

/// The variable part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What is sealed.
    pub kind: Kind,
    /// Version of the payload's format.
    pub schema: u16,
    /// Compartment of a lead, purpose code of a wrap or slot, else 0.
    pub compartment: u16,
    /// +1 at each rewrite; generation, epoch, page version or chunk number.
    pub revision: u32,
    /// Tree of the leaf; 0 for wraps, slots, directories and hops.
    pub tree: u32,
    /// Leaf, or first leaf of a page; 0 like `tree`.
    pub leaf: u32,
}

impl Header {
    /// Whether the fields that a kind does not use are zero.
    pub(crate) fn is_canonical(&self) -> bool {
        let at_leaf =
            !matches!(self.kind, Kind::Wrap | Kind::EpochSlot | Kind::Directory | Kind::Hop);
        let with_purpose = !matches!(self.kind, Kind::Page | Kind::Directory | Kind::Hop);
        (at_leaf || (self.tree == 0 && self.leaf == 0)) && (with_purpose || self.compartment == 0)
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..2].copy_from_slice(&MAGIC);
        out[2..6].copy_from_slice(&[VERSION, SUITE, self.kind as u8, self.kind.flags()]);
        out[6..8].copy_from_slice(&self.schema.to_be_bytes());
        out[8..10].copy_from_slice(&self.compartment.to_be_bytes());
        out[12..16].copy_from_slice(&self.revision.to_be_bytes());
        out[16..20].copy_from_slice(&self.tree.to_be_bytes());
        out[20..].copy_from_slice(&self.leaf.to_be_bytes());
        out
    }

    /// Reads a header; nothing where magic, version, suite, kind, flags, reserved or unused fields are
    /// not what this version writes.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [m0, m1, version, suite, kind, flags, s0, s1, c0, c1, z0, z1, rest @ ..] = *bytes;
        let [r0, r1, r2, r3, t0, t1, t2, t3, l0, l1, l2, l3] = rest;
        let kind = Kind::parse(kind)?;
        let header = Self {
            kind,
            schema: u16::from_be_bytes([s0, s1]),
            compartment: u16::from_be_bytes([c0, c1]),
            revision: u32::from_be_bytes([r0, r1, r2, r3]),
            tree: u32::from_be_bytes([t0, t1, t2, t3]),
            leaf: u32::from_be_bytes([l0, l1, l2, l3]),
        };
        let known = [m0, m1] == MAGIC && version == VERSION && suite == SUITE;
        let strict = flags == kind.flags() && [z0, z1] == [0, 0] && header.is_canonical();
        (known && strict).then_some(header)
    }
}

/// Whom and what a blob belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Tenant id.
    pub tenant: [u8; 16],
    /// Dataset id; the tenant id for the system tree, zeros for wraps, slots, directories and hops.
    pub dataset: [u8; 16],
    /// Id of the lead or thing; zeros for pages.
    pub record: [u8; 16],
}

impl Context {
    /// Header and ids, all of fixed width, hence injective.
    pub(crate) fn bytes(&self, header: &Header) -> [u8; CTX_BYTES] {
        let mut out = [0; CTX_BYTES];
        out[..24].copy_from_slice(&header.to_bytes());
        out[24..40].copy_from_slice(&self.tenant);
        out[40..56].copy_from_slice(&self.dataset);
        out[56..].copy_from_slice(&self.record);
        out
    }
}
