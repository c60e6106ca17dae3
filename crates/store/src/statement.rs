//! The inventory of SQL: every text of this crate is a constant, and a test prepares each of them on a
//! fresh database of each engine. Nothing builds SQL at run time.

use crate::engine::Connection;

/// A statement: one text where the dialects agree, else one for each engine, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sql {
    /// As SQLite reads it.
    pub(crate) sqlite: &'static str,
    /// As PostgreSQL reads it.
    pub(crate) postgres: &'static str,
}

/// Stands for the text of an engine that has no use for a statement.
pub(crate) const NONE: &str = "";

impl Sql {
    /// Whether the engine of a connection has a use for the statement.
    pub(crate) fn is_for(&self, connection: &Connection<'_>) -> bool {
        match connection {
            Connection::Sqlite(_) => self.sqlite != NONE,
            Connection::Postgres(_) => self.postgres != NONE,
        }
    }
}

/// Declares the statements of a file, each a constant of type [`Sql`], and lists them as `STATEMENTS`. A second
/// text, behind `postgres:`, is for what PostgreSQL says otherwise.
macro_rules! statements {
    (@postgres $sqlite:expr) => { $sqlite };
    (@postgres $sqlite:expr, $postgres:expr) => { $postgres };
    ($($(#[$doc:meta])* $name:ident = $sqlite:expr $(, postgres: $postgres:expr)?;)+) => {
        $($(#[$doc])* const $name: crate::statement::Sql = crate::statement::Sql {
            sqlite: $sqlite,
            postgres: crate::statement::statements!(@postgres $sqlite $(, $postgres)?),
        };)+

        /// Name and text of every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[(&str, crate::statement::Sql)] =
            &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use statements;
