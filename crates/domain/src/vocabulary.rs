//! The closed vocabularies: words of the schemas and of decisions.md, each a type.

/// A word that the vocabulary does not have. The word itself is not kept: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word the vocabulary does not have")]
pub struct UnknownWord;

macro_rules! vocabulary {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word as it is written outside.
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    )*};
}

vocabulary! {
    /// Why data is processed. Words for selling or advertising do not exist.
    Purpose {
        CrmOperations = "crm_operations", ProvideService = "provide_service",
        TenantMarketing = "tenant_marketing", TenantAnalytics = "tenant_analytics",
        CustomerSupport = "customer_support", Security = "security",
        AbusePrevention = "abuse_prevention", BackupRecovery = "backup_recovery",
        RightsRequest = "rights_request", LegalRequirement = "legal_requirement",
        RetentionDeletion = "retention_deletion", RegionMove = "region_move",
        DeidentifiedRnd = "deidentified_rnd", Enrichment = "enrichment",
    }
    /// The 18 operations of an instruction.
    Operation {
        Collect = "collect", Store = "store", CopyBackup = "copy_backup", Read = "read",
        Search = "search", Display = "display", Modify = "modify", Match = "match",
        Derive = "derive", ShareInternal = "share_internal", Export = "export",
        Disclose = "disclose", Transfer = "transfer", Restrict = "restrict",
        Pseudonymise = "pseudonymise", Anonymise = "anonymise", Aggregate = "aggregate",
        Erase = "erase",
    }
    /// The 16 data categories.
    Category {
        Identity = "identity", Contact = "contact", CompanyRole = "company_role",
        NoteText = "note_text", Tag = "tag", File = "file", MessageHeader = "message_header",
        MeetingMetadata = "meeting_metadata", CampaignMetric = "campaign_metric",
        ActivityLog = "activity_log", Preference = "preference", FinancialHint = "financial_hint",
        Location = "location", Unclassified = "unclassified", Biometric = "biometric",
        SpecialCategory = "special_category",
    }
    /// Regimes a subject's data may stand under (origin labels).
    Regime {
        Eu = "EU", Uk = "UK", Ch = "CH", Br = "BR", In = "IN", Sg = "SG", Ca = "CA", Qc = "QC",
        UsCa = "US-CA", UsCo = "US-CO", UsCt = "US-CT", UsUt = "US-UT", UsVa = "US-VA",
        UsOr = "US-OR", UsMt = "US-MT", UsTx = "US-TX", UsOther = "US-OTHER", Other = "OTHER",
    }
    /// What a key of the tenant may do (surfaces.md 3), and the operator's own roles.
    Role {
        Controller = "controller", Editor = "editor", Reader = "reader", Auditor = "auditor",
        Operator = "operator", Support = "support", Security = "security", Legal = "legal",
        Approver = "approver",
    }
    /// State of a tenant; not the state of its key (decisions.md 4).
    TenantState { Active = "active", Restricted = "restricted", Closing = "closing", Closed = "closed" }
    /// State of a tenant's key; not the state of the tenant (decisions.md 4).
    KeyState { Active = "active", Disabled = "disabled", Unreachable = "unreachable", Destroyed = "destroyed" }
    /// Permit or prohibit.
    Effect { Permit = "permit", Prohibit = "prohibit" }
    /// Kind of an instruction.
    InstructionKind {
        Standing = "standing", OneOff = "one_off", Emergency = "emergency",
        LegalRequirement = "legal_requirement",
    }
    /// Status of one version of an instruction.
    InstructionStatus {
        Draft = "draft", Active = "active", Suspended = "suspended", Challenged = "challenged",
        Revoked = "revoked", Expired = "expired", Superseded = "superseded",
    }
    /// Who instructs.
    Party {
        Controller = "controller", JointController = "joint_controller",
        UpstreamProcessor = "upstream_processor", Law = "law",
    }
    /// Whom the data is about.
    SubjectKind {
        Lead = "lead", CustomerContact = "customer_contact", TenantUser = "tenant_user",
        ThirdPartyMentioned = "third_party_mentioned",
    }
    /// How much of a value an instruction lets out.
    Masking { None = "none", Partial = "partial", Full = "full", TokensOnly = "tokens_only" }
    /// Role of a recipient.
    RecipientRole {
        Operator = "operator", Affiliate = "affiliate", Subprocessor = "subprocessor",
        TenantUser = "tenant_user", OtherTenant = "other_tenant",
        TenantDirected = "tenant_directed", Authority = "authority",
    }
    /// Whether the tenant approves each use.
    TenantApproval { None = "none", PerSession = "per_session", PerRequest = "per_request" }
    /// Flags of a subject that an instruction may promise to honour.
    HonourFlag {
        Restrict = "restrict", Object = "object", OptoutSale = "optout_sale",
        OptoutShare = "optout_share", OptoutTargetedAds = "optout_targeted_ads",
        OptoutTraining = "optout_training", OptoutMarketing = "optout_marketing",
        ConsentWithdrawn = "consent_withdrawn",
    }
    /// Why an access happened (instructions.md 2.8).
    ReasonCode {
        TenantUserAction = "TENANT_USER_ACTION", TenantApiCall = "TENANT_API_CALL",
        TenantInstructedJob = "TENANT_INSTRUCTED_JOB", SystemOperation = "SYSTEM_OPERATION",
        SupportTenantInitiated = "SUPPORT_TENANT_INITIATED",
        SupportOperatorInitiated = "SUPPORT_OPERATOR_INITIATED",
        ProductionAlert = "PRODUCTION_ALERT", SecurityReview = "SECURITY_REVIEW",
        AbuseReview = "ABUSE_REVIEW", DsrFulfilment = "DSR_FULFILMENT",
        RetentionDeletion = "RETENTION_DELETION", RegionMove = "REGION_MOVE",
        LegalProcess = "LEGAL_PROCESS", BreakGlass = "BREAK_GLASS",
        ReasonNotExpected = "REASON_NOT_EXPECTED",
    }
    /// Every verdict of decisions.md 2, in the order in which denials win; then the two codes only the
    /// log knows: a key whose role is too weak, and `NOT_FOUND`.
    DecisionCode {
        Allow = "ALLOW",
        KeyDestroyed = "DENY_KEY_DESTROYED", KeyDisabled = "DENY_KEY_DISABLED",
        KeyUnreachable = "DENY_KEY_UNREACHABLE", TenantState = "DENY_TENANT_STATE",
        Agreement = "DENY_AGREEMENT",
        Hold = "DENY_HOLD", Restricted = "DENY_RESTRICTED",
        ObjectionSubject = "DENY_OBJECTION_SUBJECT", Optout = "DENY_OPTOUT", Minor = "DENY_MINOR",
        Prohibited = "DENY_PROHIBITED", Biometric = "DENY_BIOMETRIC",
        NoInstruction = "DENY_NO_INSTRUCTION", Ambiguous = "DENY_AMBIGUOUS",
        InstructionDraft = "DENY_INSTRUCTION_DRAFT",
        InstructionSuspended = "DENY_INSTRUCTION_SUSPENDED",
        InstructionChallenged = "DENY_INSTRUCTION_CHALLENGED",
        InstructionRevoked = "DENY_INSTRUCTION_REVOKED",
        InstructionSuperseded = "DENY_INSTRUCTION_SUPERSEDED",
        NoGrant = "DENY_NO_GRANT", GrantExpired = "DENY_GRANT_EXPIRED",
        GrantScope = "DENY_GRANT_SCOPE", GrantRevoked = "DENY_GRANT_REVOKED",
        InstructionExpired = "DENY_INSTRUCTION_EXPIRED",
        InstructionNotYet = "DENY_INSTRUCTION_NOT_YET",
        Purpose = "DENY_PURPOSE", Operation = "DENY_OPERATION", Dataset = "DENY_DATASET",
        Category = "DENY_CATEGORY", Field = "DENY_FIELD", Unclassified = "DENY_UNCLASSIFIED",
        Filter = "DENY_FILTER", MaxRecords = "DENY_MAX_RECORDS",
        SubjectKind = "DENY_SUBJECT_KIND", Regime = "DENY_REGIME",
        RecipientNotAuthorised = "DENY_RECIPIENT_NOT_AUTHORISED",
        NoticeWindowOpen = "DENY_NOTICE_WINDOW_OPEN", Objection = "DENY_OBJECTION",
        RegionPin = "DENY_REGION_PIN",
        Approval = "DENY_APPROVAL", DualControl = "DENY_DUAL_CONTROL",
        TimeWindow = "DENY_TIME_WINDOW", Rate = "DENY_RATE",
        RoleInsufficient = "DENY_ROLE_INSUFFICIENT", NotFound = "NOT_FOUND",
    }
}

impl DecisionCode {
    /// Whether data may be released under this code.
    pub fn is_allow(self) -> bool {
        self == Self::Allow
    }
}
