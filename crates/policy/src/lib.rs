//! Pure decisions: may this happen, and why.
