//! The only crate that names ring: LV1 container, puncturable tree, tags, signatures.
