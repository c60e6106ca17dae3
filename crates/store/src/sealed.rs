//! A sealed text beside the leaf it grows from: everything that is not a lead and must not be read.

use crate::cells::Cells;
use crate::error::Result;

/// Ciphertext and where its key is found. The store cannot open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Leaf in the tenant's system tree.
    pub leaf: u32,
    /// Revision in the header of the container.
    pub revision: u32,
    /// The LV1 container.
    pub blob: Vec<u8>,
}

impl Sealed {
    /// Reads the three columns; `None` where the ciphertext is NULL.
    pub(crate) fn read(
        cells: Cells<'_>,
        leaf: &'static str,
        revision: &'static str,
        blob: &'static str,
    ) -> Result<Option<Self>> {
        let Some(bytes) = cells.value::<Option<Vec<u8>>>(blob)? else { return Ok(None) };
        let leaf = cells.number_or_null(leaf)?.ok_or(cells.bad(leaf))?;
        Ok(Some(Self { leaf, revision: cells.number(revision)?, blob: bytes }))
    }
}
