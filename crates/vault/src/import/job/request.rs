//! What a caller asks for: dataset, format, mapping, duplicates, attestation. Kept sealed with the import.

use leadvault_domain::{Country, DatasetId, FieldNo, TagKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::super::{Options, Plan, Wanted, WantedFormat};
use crate::error::Fault;

/// What to do with a row whose lead is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateAction {
    /// Leave what is there.
    #[default]
    Skip,
    /// Merge into what is there.
    Update,
    /// List the row as a failure.
    Reject,
}

/// How duplicates are recognised and treated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// `email`, `phone`, `external_id`: a row that shares one of them with a lead is a duplicate of it.
    #[serde(default = "by_email")]
    pub by: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub action: DuplicateAction,
}

fn by_email() -> Vec<String> {
    vec!["email".to_owned()]
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { by: by_email(), action: DuplicateAction::Skip }
    }
}

impl Duplicates {
    /// The kinds of tags to look for, in the order they decide in.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for an empty list, an unknown word, or one that stands twice.
    pub(super) fn kinds(&self) -> Result<Vec<TagKind>, Fault> {
        let mut kinds = Vec::with_capacity(self.by.len());
        for word in &self.by {
            let kind = match word.as_str() {
                "email" => TagKind::EMAIL,
                "phone" => TagKind::PHONE,
                "external_id" => TagKind::EXTERNAL_ID,
                _ => return Err(Fault::invalid("#/duplicates/by", "by_unknown")),
            };
            if kinds.contains(&kind) {
                return Err(Fault::invalid("#/duplicates/by", "by_repeated"));
            }
            kinds.push(kind);
        }
        if kinds.is_empty() {
            return Err(Fault::invalid("#/duplicates/by", "by_empty"));
        }
        Ok(kinds)
    }
}

/// An import to be opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Where the leads go.
    pub dataset: DatasetId,
    /// `auto`, `csv`, `jsonl`.
    #[serde(default = "auto")]
    pub format: String,
    /// Header or column index → field.
    #[serde(default)]
    pub mapping: Option<serde_json::Map<String, Json>>,
    /// Duplicates.
    #[serde(default)]
    pub duplicates: Option<Duplicates>,
    /// Region for phones; the dataset's where absent.
    #[serde(default)]
    pub default_region: Option<Country>,
    /// R-006; without it the import is quarantined.
    #[serde(default)]
    pub attestation: Option<Attestation>,
}

fn auto() -> String {
    "auto".to_owned()
}

/// What the controller attests of a file (R-006).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Where the data comes from.
    pub source: String,
    /// On which basis.
    pub legal_basis: String,
    /// Whether the people were told.
    pub notice: Json,
    /// Where they are.
    pub jurisdictions: Vec<String>,
    /// No person under 18.
    pub no_minors: bool,
    /// No special category.
    pub no_special_category: bool,
}

impl NewImport {
    /// How duplicates are treated; skipped by e-mail where nothing is said.
    pub(super) fn duplicates(&self) -> Duplicates {
        self.duplicates.clone().unwrap_or_default()
    }

    /// Whether the import waits for an attestation (R-006).
    pub(super) fn quarantined(&self) -> bool {
        self.attestation.is_none()
    }

    /// How the file is to be read.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a format or a field nobody knows.
    pub(super) fn options(&self) -> Result<Options, Fault> {
        let format = match self.format.as_str() {
            "auto" => WantedFormat::Auto,
            "csv" => WantedFormat::Csv,
            "jsonl" => WantedFormat::Jsonl,
            _ => return Err(Fault::invalid("#/format", "format_unknown")),
        };
        Ok(Options { format, charset: None, wanted: self.wanted()? })
    }

    fn wanted(&self) -> Result<Wanted, Fault> {
        let Some(mapping) = &self.mapping else { return Ok(Wanted::Nothing) };
        let pairs: Vec<_> =
            mapping.iter().map(|(column, field)| (column.as_str(), field.as_str())).collect();
        Wanted::parse(pairs, FieldNo::by_name)
            .map_err(|_| Fault::invalid("#/mapping", "field_unknown"))
    }
}

/// What is sealed of an import: the request, and the plan once the header was read.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) new: NewImport,
    /// [`Plan::to_bytes`] as hex.
    pub(super) plan: Option<String>,
}

impl Meta {
    pub(super) fn from_bytes(plain: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(plain).map_err(|_| Fault::Internal("import meta"))
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec(self).map_err(|_| Fault::Internal("import meta"))
    }

    pub(super) fn plan(&self) -> Result<Option<Plan>, Fault> {
        let Some(text) = &self.plan else { return Ok(None) };
        let bytes = hex::decode(text).map_err(|_| Fault::Internal("plan"))?;
        Plan::from_bytes(&bytes).map(Some).map_err(|_| Fault::Internal("plan"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_skipped_by_email_unless_said_otherwise() {
        let none = Duplicates::default();
        assert_eq!(none.kinds(), Ok(vec![TagKind::EMAIL]));
        let action: Duplicates = serde_json::from_str(r#"{"action":"update"}"#).unwrap();
        assert_eq!((action.kinds(), action.action), (none.kinds(), DuplicateAction::Update));
        let by = |by: &[&str]| Duplicates {
            by: by.iter().map(|w| (*w).to_owned()).collect(),
            action: DuplicateAction::Skip,
        };
        let kinds = by(&["external_id", "phone"]).kinds();
        assert_eq!(kinds, Ok(vec![TagKind::EXTERNAL_ID, TagKind::PHONE]));
        for wrong in [&[][..], &["name"], &["email", "email"]] {
            assert!(by(wrong).kinds().is_err(), "{wrong:?}");
        }
    }
}
