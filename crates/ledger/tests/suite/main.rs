//! The log against its schema, its reference, other people's verifiers, and whoever tampers with it.

#[cfg(test)]
mod acknowledged;
#[cfg(test)]
mod entry;
#[cfg(test)]
mod files;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod note;
#[cfg(test)]
mod receipt;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod tree;
