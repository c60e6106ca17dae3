//! The closed vocabularies that only entries have; the others are `domain`'s.

use leadvault_domain::UnknownWord;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word, in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word as an entry carries it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(UnknownWord) }
            }
        }
    )*};
}

words! {
    /// What kind of actor an entry names.
    ActorKind {
        TenantUser = "tenant_user", TenantApi = "tenant_api", OperatorStaff = "operator_staff",
        OperatorService = "operator_service", Subprocessor = "subprocessor",
        AuthorityLiaison = "authority_liaison",
    }
    /// How the actor proved who it is.
    Auth {
        MfaPhishResistant = "mfa_phish_resistant", Mfa = "mfa", Mtls = "mtls", ApiKey = "api_key",
    }
    /// What kind of thing was touched.
    ResourceType {
        Record = "record", File = "file", Query = "query", Dataset = "dataset", Index = "index",
        Backup = "backup", Key = "key", Export = "export", Import = "import", Log = "log",
        Instruction = "instruction", Tenant = "tenant", Grant = "grant", Register = "register",
        Config = "config",
    }
    /// How it ended, where it did not end well. Absent: ok.
    EntryOutcome { Error = "error", Partial = "partial" }
    /// What the decision demanded beside allowing.
    Obligation {
        Mask = "mask", Watermark = "watermark", Notify = "notify", LogCountry = "log_country",
        Propagate = "propagate",
    }
}
