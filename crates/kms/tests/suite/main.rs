//! File root, file slots and directory mirror on a real filesystem.

mod mirror;
mod root;
mod slots;
