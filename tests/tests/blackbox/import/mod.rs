//! Imports, over HTTP and by the command: what comes in, what does not, what comes back.

mod crash;
mod kit;
mod lists;
mod suppression;
mod surface;
