//! Imports, over HTTP and by the command: what comes in, what does not, what comes back.

mod command;
mod crash;
mod kit;
mod lists;
mod suppression;
mod surface;
