//! An upload that is refused before its end. A connection that is closed with bytes on their way is reset, and the client
//! never hears why; so what comes is read on for a moment and dropped.

use std::time::Duration;

use futures::{Stream, StreamExt as _};

/// Bytes that are read on at most.
const BYTES_MAX: usize = 4 << 20;
/// How long at most.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Reads on, within limits.
pub(crate) async fn linger<S, B, E>(body: &mut S)
where
    S: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
{
    let reading = async {
        let mut left = BYTES_MAX;
        while let Some(Ok(piece)) = body.next().await {
            left = left.saturating_sub(piece.as_ref().len());
            if left == 0 {
                break;
            }
        }
    };
    // Whoever sends more, or slowly, is not waited for.
    let _ = tokio::time::timeout(TIME_MAX, reading).await;
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn what_comes_is_read_to_its_end_or_to_the_limit() {
        let pieces = |n: usize| stream::iter((0..n).map(|_| Ok::<_, ()>(vec![0; 1 << 20])));
        let mut short = pieces(3);
        linger(&mut short).await;
        assert!(short.next().await.is_none());
        let mut long = pieces(9);
        linger(&mut long).await;
        assert_eq!(long.count().await, 5);
    }

    #[tokio::test]
    async fn nobody_is_waited_for_long() {
        linger(&mut stream::pending::<Result<Vec<u8>, ()>>()).await;
    }
}
