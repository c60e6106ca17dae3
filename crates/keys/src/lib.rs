//! The keyring: tree state, pages, directory, epochs. Seeds and leaf keys never leave it.
