//! The kit of the black-box tests.

pub mod corpus;
pub mod kit;
pub mod package;
