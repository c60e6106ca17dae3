//! The cells of one row, in one buffer that is wiped when it is dropped.

use zeroize::Zeroizing;

/// Cells by column index, exactly as they came. A cell may be absent, which is not the same as empty:
/// a key that a JSON line does not name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cells {
    text: Zeroizing<String>,
    /// Where each cell lies in `text`.
    spans: Vec<Option<(usize, usize)>>,
    /// Where the open cell begins.
    open_from: usize,
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cells({})", self.spans.len())
    }
}

impl Cells {
    /// Number of columns.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no column at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// A cell; `None` where it is absent.
    pub fn cell(&self, column: usize) -> Option<&str> {
        let (from, to) = self.spans.get(column).copied().flatten()?;
        self.text.get(from..to)
    }

    /// Every cell with its column.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Option<&str>)> {
        (0..self.spans.len()).map(|column| (column, self.cell(column)))
    }

    /// Bytes of all cells together.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Appends text to the open cell.
    pub fn append(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Bytes of the open cell.
    pub fn open_bytes(&self) -> usize {
        self.text.len().saturating_sub(self.open_from)
    }

    /// Ends the open cell; it takes the next column.
    pub fn close(&mut self) {
        self.spans.push(Some((self.open_from, self.text.len())));
        self.open_from = self.text.len();
    }

    /// Puts a cell at a column, which must not hold one yet; columns between become absent.
    pub fn put(&mut self, column: usize, text: &str) {
        self.append(text);
        if self.spans.len() <= column {
            self.spans.resize(column + 1, None);
        }
        if let Some(place) = self.spans.get_mut(column) {
            *place = Some((self.open_from, self.text.len()));
        }
        self.open_from = self.text.len();
    }

    /// First column whose cell satisfies `test`.
    pub fn find(&self, test: impl Fn(&str) -> bool) -> Option<usize> {
        self.iter().find_map(|(column, cell)| cell.is_some_and(&test).then_some(column))
    }
}

impl<'a> FromIterator<&'a str> for Cells {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut cells = Self::default();
        for text in texts {
            cells.append(text);
            cells.close();
        }
        cells
    }
}

/// One data record as it was read, before any meaning.
#[derive(Debug)]
pub struct RawRow {
    /// Number of the data record, from 1.
    pub number: u64,
    /// Offset in the file right after the row, in bytes: an import can go on from there.
    pub end_byte: u64,
    /// What the row holds.
    pub body: RawBody,
}

/// What a row holds.
#[derive(Debug)]
pub enum RawBody {
    /// Cells by column.
    Cells(Cells),
    /// A line of an export of the vault.
    Lead(Box<super::lead_line::LeadLine>),
}
