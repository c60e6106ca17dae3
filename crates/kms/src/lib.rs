//! Where root keys and erasable slots live.
