//! The id of a thing that an entry names: anything but a lead.

use std::fmt;
use std::str::FromStr;

use leadvault_domain::{
    ApiKeyId, CertificateId, DatasetId, ExportId, FileId, IdError, ImportId, InstructionId,
    NoticeId, OperationId, PrincipalId, RecipientId, ServiceId, TenantId,
};

use crate::form::is_id;

/// Prefix of the one kind of id that entries never carry: a lead is named by its reference alone.
const LEAD_PREFIX: &str = "ct_";

/// `<2 to 4 letters>_<26 characters>`, of any kind but a lead's. Kinds without a type of their own
/// (`gr_`, `dsr_`, `leg_`, `mec_`, `stf_`) are parsed from text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(String);

impl EntityId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntityId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_id(text, None) && !text.starts_with(LEAD_PREFIX) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError)
        }
    }
}

macro_rules! from_typed {
    ($($id:ident),*) => {$(
        impl From<$id> for EntityId {
            fn from(id: $id) -> Self { Self(id.to_string()) }
        }
    )*};
}
from_typed!(
    ApiKeyId,
    CertificateId,
    DatasetId,
    ExportId,
    FileId,
    ImportId,
    InstructionId,
    NoticeId,
    OperationId,
    PrincipalId,
    RecipientId,
    ServiceId,
    TenantId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_is_not_an_entity() {
        let digits = "01h455vb4pex5vsknk084sn02q";
        assert!(format!("gr_{digits}").parse::<EntityId>().is_ok());
        assert_eq!(format!("ct_{digits}").parse::<EntityId>(), Err(IdError));
        for bad in ["", "gr_", "g_01h455vb4pex5vsknk084sn02q", "grant_01h455vb4pex5vsknk084sn02q"] {
            assert_eq!(bad.parse::<EntityId>(), Err(IdError), "{bad}");
        }
    }
}
