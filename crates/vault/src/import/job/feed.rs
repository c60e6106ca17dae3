//! The body of an upload, cut into portions that workers parse and seal: at most [`AHEAD`] of them wait.
//!
//! A portion ends with a row, after as many as a slice has or [`PORTION_BYTES`], so that what is in flight
//! does not grow with the file, however long its rows are. Bytes that were stored before are compared by
//! their digest and dropped.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::digest::Prefix;
use super::super::{Event, FileFault, Plan, Reader};
use super::content::Part;
use super::press::{Portion, Press, Raw, Slice};
use crate::error::{Fault, Pointed, Question, Refusal};
use crate::room::Room;

/// Bytes of the file in one portion, unless a single row is longer.
const PORTION_BYTES: usize = 1 << 20;
/// A body that pauses this long has its rows so far stored: whoever sends slowly, or is cut off, loses little.
const PAUSE: Duration = Duration::from_millis(250);
/// Portions that wait between the reader and the store.
pub(super) const AHEAD: usize = 2;
/// Bytes read at a time, so that no other task waits long for this one.
const PIECE_BYTES: usize = 32 << 10;
/// Leaves taken first, and the most at a time: each block is one write of the key store.
const LEAF_BLOCKS: Range<u32> = 256..8_192;

/// What comes out, in the order of the file.
pub(super) enum Fed {
    /// The columns are known, or more of them. Serves for the slices before as well.
    Plan(Arc<Plan>),
    /// The next slice, being pressed.
    Slice(JoinHandle<Result<Slice, Refusal>>),
    /// The file is whole: its last bytes, behind the last row.
    End(Zeroizing<Vec<u8>>),
}

/// What a body brings again.
pub(super) struct Known {
    /// Bytes of the body that are stored already.
    pub(super) bytes: u64,
    /// The digest of everything that is stored, to compare them with.
    pub(super) digest: Prefix,
    /// Offset in the file behind them.
    pub(super) next_byte: u64,
}

/// Reads the body.
pub(super) struct Feed {
    reader: Reader,
    press: Arc<Press>,
    room: Arc<Room>,
    out: Sender<Fed>,
    known: Known,
    /// Bytes that came and are in no portion yet.
    open: VecDeque<u8>,
    /// Offset of the first of them in the file.
    open_at: u64,
    rows: Vec<Raw>,
    /// Rows of one portion, which is one slice.
    portion_rows: usize,
    leaves: Range<u32>,
    leaf_block: u32,
}

/// Why the feed ended early.
pub(super) enum Stop {
    /// The store side ended first; it says why.
    Closed,
    /// The body or the file is not as it should be.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.into())
    }
}

impl Feed {
    /// A feed of an import that stands behind the known bytes.
    pub(super) fn new(
        reader: Reader,
        press: Arc<Press>,
        room: Arc<Room>,
        out: Sender<Fed>,
        known: Known,
        portion_rows: usize,
    ) -> Self {
        Self {
            reader,
            press,
            room,
            out,
            open: VecDeque::new(),
            open_at: known.next_byte,
            known,
            rows: Vec::new(),
            portion_rows,
            leaves: 0..0,
            leaf_block: LEAF_BLOCKS.start,
        }
    }

    /// Reads the body to its end, or to where it is cut off.
    pub(super) async fn run<S, E>(mut self, part: Part, mut body: S) -> Result<(), Stop>
    where
        S: Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    {
        let mut before = Prefix::default();
        let mut came = 0_u64;
        loop {
            let chunk = match timeout(PAUSE, body.next()).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(_) => {
                    self.send_portion().await?;
                    continue;
                }
            };
            // Cut off: what is stored stays, the client goes on from `next_byte`.
            let Ok(chunk) = chunk else { return Err(cut_off().into()) };
            came = came.saturating_add(chunk.len() as u64);
            let mut bytes: &[u8] = &chunk;
            if self.known.bytes > 0 {
                let known = usize::try_from(self.known.bytes).unwrap_or(usize::MAX);
                let (again, fresh) = bytes.split_at(known.min(bytes.len()));
                before.push(again);
                self.known.bytes -= again.len() as u64;
                bytes = fresh;
                if self.known.bytes == 0 && before != self.known.digest {
                    return Err(Fault::ContentDiffers.into());
                }
            }
            for piece in bytes.chunks(PIECE_BYTES) {
                self.push(piece).await?;
            }
        }
        if part.bytes.is_some_and(|bytes| bytes != came) {
            return Err(cut_off().into());
        }
        if self.known.bytes > 0 {
            return Err(Fault::ContentDiffers.into());
        }
        self.finish(part.is_last()).await
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.open.extend(bytes);
        let mut events = Vec::new();
        self.reader.push(bytes, &mut |event| events.push(event)).map_err(|f| fault_of(&f))?;
        self.take(events).await
    }

    async fn finish(&mut self, is_last: bool) -> Result<(), Stop> {
        if is_last {
            let mut events = Vec::new();
            self.reader.finish(&mut |event| events.push(event)).map_err(|f| fault_of(&f))?;
            self.take(events).await?;
        }
        self.send_portion().await?;
        if is_last {
            let rest = Zeroizing::new(self.open.drain(..).collect());
            self.send(Fed::End(rest)).await?;
        }
        Ok(())
    }

    async fn take(&mut self, events: Vec<Event>) -> Result<(), Stop> {
        for event in events {
            match event {
                Event::Plan(plan) => self.send(Fed::Plan(plan)).await?,
                Event::Row(row) => self.rows.push(Raw::Row(row)),
                Event::Refused(refused) => self.rows.push(Raw::Refused(refused)),
            }
            let read =
                self.rows.last().map_or(0, |row| row.end_byte().saturating_sub(self.open_at));
            if self.rows.len() >= self.portion_rows || read >= PORTION_BYTES as u64 {
                self.send_portion().await?;
            }
        }
        Ok(())
    }

    /// Gives the rows so far to a worker.
    async fn send_portion(&mut self) -> Result<(), Stop> {
        let Some(last) = self.rows.last() else { return Ok(()) };
        let plan = self.reader.plan().cloned().ok_or(Fault::Internal("no plan"))?;
        let (next_byte, next_row) = (last.end_byte(), last.number() + 1);
        let taken = usize::try_from(next_byte.saturating_sub(self.open_at)).unwrap_or(usize::MAX);
        let taken = taken.min(self.open.len());
        let bytes = Zeroizing::new(self.open.drain(..taken).collect());
        self.open_at = next_byte;
        let rows = std::mem::take(&mut self.rows);
        let wanted = rows.iter().filter(|row| matches!(row, Raw::Row(_))).count();
        let leaves = self.leaves_for(wanted).await?;
        let portion = Portion { rows, bytes, next_byte, next_row, plan, leaves };
        let press = Arc::clone(&self.press);
        let worker = tokio::task::spawn_blocking(move || press.run(portion));
        self.send(Fed::Slice(worker)).await
    }

    /// Leaves for the rows of a portion, from a block that is taken ahead. Blocks double, so that a small
    /// file takes few and a large one seldom asks.
    async fn leaves_for(&mut self, rows: usize) -> Result<Vec<u32>, Stop> {
        let mut leaves = Vec::with_capacity(rows);
        while leaves.len() < rows {
            if self.leaves.is_empty() {
                let (dataset, block) = (&self.press.dataset, self.leaf_block);
                let taken = self.room.keys()?.allocate(dataset.no, dataset.tree, block).await;
                let first = taken.map_err(Refusal::from)?;
                self.leaves = first..first.saturating_add(block);
                self.leaf_block = block.saturating_mul(2).min(LEAF_BLOCKS.end);
            }
            leaves.extend(self.leaves.next());
        }
        Ok(leaves)
    }

    async fn send(&self, fed: Fed) -> Result<(), Stop> {
        self.out.send(fed).await.map_err(|_| Stop::Closed)
    }
}

fn cut_off() -> Fault {
    Fault::bad("#", "cut_off")
}

fn fault_of(fault: &FileFault) -> Fault {
    match fault {
        FileFault::Binary => Fault::MediaType,
        FileFault::NoHeaderRow => Fault::NoHeaderRow,
        FileFault::MappingNeeded(asks) => Fault::MappingNeeded(
            asks.iter()
                .map(|ask| Question {
                    column: ask.column,
                    choices: ask.choices.iter().map(|f| f.name()).collect(),
                })
                .collect(),
        ),
        FileFault::BadMapping => Fault::Invalid(vec![Pointed::new("#/mapping", "bad_mapping")]),
        FileFault::TooManyColumns => Fault::TooLarge,
    }
}
