//! The kit of the black-box tests.

pub mod account;
pub mod corpus;
pub mod fault;
pub mod kit;
pub mod package;
