//! The package as one stream: ZIP (deflate level 1) → age, unless it is plain → sealed chunks.
//!
//! Compression runs on a blocking thread behind a bounded channel; nothing is ever written that is not sealed.
//! What goes in is counted and hashed here, for the manifests.

use std::io::{self, Write};

use leadvault_crypto::Sha256Stream;
use leadvault_crypto::age::{Encryptor, Recipient};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::artifact::{Writer, Written};
use super::bag::Member;
use crate::error::Fault;

/// Fastest deflate: a package is written once and read a few times.
const DEFLATE_LEVEL: i64 = 1;
/// Pieces that may wait for the compressing thread.
const QUEUE: usize = 4;

enum Step {
    Begin { path: String },
    Bytes(Zeroizing<Vec<u8>>),
    Finish,
}

/// A package being written.
#[derive(Debug)]
pub(crate) struct Packer {
    root: String,
    steps: mpsc::Sender<Step>,
    thread: JoinHandle<Result<Written, Fault>>,
    members: Vec<Member>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: String,
    digest: Sha256Stream,
    bytes: u64,
}

impl Packer {
    /// Starts a package whose files lie under the directory `root`, into `writer`.
    ///
    /// # Errors
    /// [`Fault::Internal`] where age cannot start.
    pub(crate) fn start(
        root: String,
        mut writer: Writer,
        recipient: Option<&Recipient>,
        entropy: &dyn leadvault_domain::Entropy,
    ) -> Result<Self, Fault> {
        let age = match recipient {
            None => None,
            Some(recipient) => {
                let made = Encryptor::new(recipient, entropy);
                Some(made.map_err(|_| Fault::Internal("age"))?)
            }
        };
        let (steps, queue) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || {
            let age = match age {
                None => None,
                Some((header, age)) => {
                    writer.push(&header)?;
                    Some(age)
                }
            };
            pack(queue, Sink { age, writer, out: Vec::new(), fault: None })
        });
        Ok(Self { root, steps, thread, members: Vec::new(), open: None })
    }

    /// The files written so far.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Begins the next file.
    ///
    /// # Errors
    /// [`Fault::Internal`] when the thread gave up; [`Packer::finish`] says why.
    pub(crate) async fn begin(&mut self, path: &str) -> Result<(), Fault> {
        self.end();
        let full = format!("{}/{path}", self.root);
        self.open = Some(Open { path: path.to_owned(), digest: Sha256Stream::new(), bytes: 0 });
        self.send(Step::Begin { path: full }).await
    }

    /// Writes to the file that was begun.
    ///
    /// # Errors
    /// As [`Packer::begin`].
    pub(crate) async fn write(&mut self, bytes: Zeroizing<Vec<u8>>) -> Result<(), Fault> {
        if let Some(open) = &mut self.open {
            open.digest.update(&bytes);
            open.bytes = open.bytes.saturating_add(bytes.len() as u64);
        }
        self.send(Step::Bytes(bytes)).await
    }

    /// Writes a whole file.
    ///
    /// # Errors
    /// As [`Packer::begin`].
    pub(crate) async fn file(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        self.begin(path).await?;
        self.write(Zeroizing::new(bytes)).await?;
        self.end();
        Ok(())
    }

    /// Ends the file that was begun: from here on it is among the members.
    pub(crate) fn end(&mut self) {
        if let Some(Open { path, digest, bytes }) = self.open.take() {
            self.members.push(Member { path, sha256: digest.finish(), bytes });
        }
    }

    /// Ends the package.
    ///
    /// # Errors
    /// What kept it from being written.
    pub(crate) async fn finish(self) -> Result<Written, Fault> {
        // A thread that gave up has closed the channel; its result says why.
        let _ = self.steps.send(Step::Finish).await;
        self.thread.await.map_err(|_| Fault::Internal("package"))?
    }

    async fn send(&self, step: Step) -> Result<(), Fault> {
        self.steps.send(step).await.map_err(|_| Fault::Internal("package"))
    }
}

fn pack(mut queue: mpsc::Receiver<Step>, sink: Sink) -> Result<Written, Fault> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(DEFLATE_LEVEL))
        .large_file(true);
    let mut zip = ZipWriter::new_stream(sink);
    loop {
        match queue.blocking_recv() {
            Some(Step::Begin { path }) => {
                zip.start_file(path, options).map_err(|_| Fault::Internal("zip"))?;
            }
            Some(Step::Bytes(bytes)) => {
                zip.write_all(&bytes).map_err(|_| Fault::Internal("zip"))?;
            }
            Some(Step::Finish) => break,
            // The job was dropped: what was written so far is no package.
            None => return Err(Fault::Internal("package")),
        }
    }
    let inner: StreamWriter<Sink> = zip.finish().map_err(|_| Fault::Internal("zip"))?;
    inner.into_inner().finish()
}

/// Behind the ZIP: age, then chunks.
struct Sink {
    age: Option<Encryptor>,
    writer: Writer,
    out: Vec<u8>,
    fault: Option<Fault>,
}

impl Sink {
    fn finish(mut self) -> Result<Written, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if let Some(age) = self.age.take() {
            self.out.clear();
            age.finish(&mut self.out);
            self.writer.push(&self.out)?;
        }
        self.writer.finish()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pushed = match &mut self.age {
            None => self.writer.push(bytes),
            Some(age) => {
                self.out.clear();
                age.push(bytes, &mut self.out);
                self.writer.push(&self.out)
            }
        };
        pushed.map_err(|fault| {
            self.fault = Some(fault);
            io::Error::other("sealing failed")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
