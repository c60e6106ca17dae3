//! File root, file slots and directory mirror on a real filesystem.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mirror;
mod root;
mod slots;
