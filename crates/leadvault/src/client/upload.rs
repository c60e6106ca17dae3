//! An upload whose answer may come before its end: a server that has seen enough of a file to refuse it says so
//! at once and reads no further. The blocking client would tell of the broken upload; this one takes the answer.

use std::io::Read;

use anyhow::Context as _;
use futures::stream;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Body, Method};

use super::{Answer, CONNECT_WAIT, unreachable_server};
use crate::exit::Stop;

/// Bytes of one piece on its way.
const PIECE_BYTES: usize = 64 * 1024;

/// PUTs `len` bytes of `body`.
///
/// # Errors
/// [`Stop::Again`] when the server cannot be reached.
pub(super) fn put<R: Read + Send + 'static>(
    url: &str,
    mut headers: HeaderMap,
    body: R,
    len: u64,
) -> Result<Answer, Stop> {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
    let http = reqwest::Client::builder().connect_timeout(CONNECT_WAIT).build();
    let http = http.context("HTTP client")?;
    let request = http.request(Method::PUT, url).headers(headers);
    let request = request.body(Body::wrap_stream(stream::iter(Pieces(body))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.context("upload")?.block_on(async {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    });
    answer.map_err(|error: reqwest::Error| Stop::Again(unreachable_server(error)))
}

/// A reader piece by piece. Reading blocks the thread, which has nothing else to do.
struct Pieces<R>(R);

impl<R: Read> Iterator for Pieces<R> {
    type Item = std::io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = vec![0_u8; PIECE_BYTES];
        match self.0.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some(Ok(piece))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
