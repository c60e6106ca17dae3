//! Words of this crate's own columns.

/// Declares closed vocabularies as they are stored.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] $variant,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = leadvault_domain::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(leadvault_domain::UnknownWord) }
            }
        }
    )+};
}

words! {
    /// State of a dataset.
    DatasetState { Active = "active", Shredding = "shredding", Shredded = "shredded" }
    /// State of an import.
    ImportState {
        Open = "open", Running = "running", Quarantined = "quarantined", Done = "done",
        Failed = "failed", Undone = "undone",
    }
    /// State of an operation.
    OperationState { Running = "running", Done = "done", Failed = "failed" }
    /// State of an export.
    ExportState { Running = "running", Ready = "ready", Stale = "stale", Expired = "expired" }
    /// State of a part of an export.
    PartState { Open = "open", Rendered = "rendered", Dirty = "dirty", Dropped = "dropped" }
    /// How far a file got.
    FileState { Open = "open", Complete = "complete", Erasing = "erasing" }
    /// Which of its leads a file goes with.
    EraseWith { Last = "last", Any = "any" }
    /// State of a notice.
    NoticeState { New = "new", Acknowledged = "acknowledged" }
    /// How far an erasure got.
    EraseState { Requested = "requested", Punctured = "punctured", Completed = "completed" }
}
