//! What an entry says was done: the 18 operations of an instruction, then the log's own.

use leadvault_domain::{Operation, UnknownWord};

macro_rules! own_operations {
    ($($variant:ident = $word:literal,)*) => {
        /// The operation of an entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LogOperation {
            /// An operation on tenant data, as instructions name it.
            Data(Operation),
            $(#[doc = concat!("`", $word, "`")] $variant,)*
        }

        impl LogOperation {
            /// The log's own operations, in the order of the schema.
            pub const OWN: &'static [Self] = &[$(Self::$variant),*];

            /// The word as the entry carries it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Data(operation) => operation.as_str(),
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for LogOperation {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => other.parse().map(Self::Data),
                }
            }
        }
    };
}

own_operations! {
    WriteBegin = "write.begin",
    TenantCreate = "tenant.create",
    TenantState = "tenant.state",
    TenantShred = "tenant.shred",
    AgreementChange = "agreement.change",
    KeyCreate = "key.create",
    KeyRevoke = "key.revoke",
    KeySuspend = "key.suspend",
    KeyResume = "key.resume",
    KeyRotate = "key.rotate",
    KeyDestroy = "key.destroy",
    DatasetCreate = "dataset.create",
    DatasetClassify = "dataset.classify",
    DatasetShred = "dataset.shred",
    InstructionDraft = "instruction.draft",
    InstructionActivate = "instruction.activate",
    InstructionSuspend = "instruction.suspend",
    InstructionRevoke = "instruction.revoke",
    InstructionChallenge = "instruction.challenge",
    RecipientChange = "recipient.change",
    GrantChange = "grant.change",
    HoldChange = "hold.change",
    FlagChange = "flag.change",
    RegisterLoad = "register.load",
    ConfigChange = "config.change",
    RoleChange = "role.change",
    EraseRequested = "erase.requested",
    EraseCompleted = "erase.completed",
    ExportReady = "export.ready",
    ExportDownload = "export.download",
    Restore = "restore",
    LogPrune = "log.prune",
    LogKey = "log.key",
    LogOrigin = "log.origin",
    Heartbeat = "heartbeat",
    Stats = "stats",
}

impl LogOperation {
    /// Every word an entry may carry.
    pub fn all() -> impl Iterator<Item = Self> {
        Operation::ALL.iter().copied().map(Self::Data).chain(Self::OWN.iter().copied())
    }

    /// Whether it is one of the 18 operations on tenant data.
    pub const fn is_data(self) -> bool {
        matches!(self, Self::Data(_))
    }
}

impl From<Operation> for LogOperation {
    fn from(operation: Operation) -> Self {
        Self::Data(operation)
    }
}

impl serde::Serialize for LogOperation {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for LogOperation {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        assert_eq!(LogOperation::all().count(), 18 + 36);
        for operation in LogOperation::all() {
            assert_eq!(operation.as_str().parse(), Ok(operation));
        }
        assert!("read.begin".parse::<LogOperation>().is_err());
    }
}
