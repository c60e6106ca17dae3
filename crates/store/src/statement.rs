//! The inventory of SQL: every text of this crate is a constant, and a test prepares each of them on a
//! fresh database. Nothing builds SQL at run time.

/// Declares the statements of a file, each a `&'static str` constant, and lists them as `STATEMENTS`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+

        /// Name and text of every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use statements;
