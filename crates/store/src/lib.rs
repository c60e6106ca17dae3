//! The only crate that names sqlx. Sees sealed bytes and tags, never plaintext.
