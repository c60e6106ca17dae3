//! Exit codes of the binary (surfaces.md 1).

/// Why a command ended otherwise than with 0.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Ran, and the answer is no. The result is on stdout already.
    No,
    /// Usage, configuration or unreadable input.
    Usage(anyhow::Error),
    /// Refuses to start for safety; the code is one of surfaces.md 1.
    Refused {
        /// `slot_behind_log`, `key_store_behind_slot`, …
        code: &'static str,
        /// Tenant and numbers, for people.
        detail: String,
    },
    /// Could not finish; run it again.
    Again(anyhow::Error),
}

impl Stop {
    /// What to say of it where a command is a step of another one.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::No => anyhow::anyhow!("the answer is no"),
            Self::Usage(error) | Self::Again(error) => error,
            Self::Refused { code, detail } => anyhow::anyhow!("{code}: {detail}"),
        }
    }

    /// The process's exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage(_) => 2,
            Self::Refused { .. } => 3,
            Self::Again(_) => 4,
        }
    }
}

/// Anything that goes wrong while reading what the user gave is a usage error unless said otherwise.
impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Usage(error)
    }
}

/// What every command returns.
pub(crate) type Done = Result<(), Stop>;
