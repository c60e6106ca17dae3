//! Lead fields and the compartments they are sealed in (fields.md 1).
//!
//! The numbers are frozen: the ledger, mappings, error bodies and failure files carry numbers. A field
//! is never renumbered.

use crate::Category;

/// Number of a lead field.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct FieldNo(pub u16);

/// A group of fields sealed together; its number stands in the LV1 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compartment(pub u16);

impl Compartment {
    /// Names, e-mails, phones: what identifies a person.
    pub const CONTACT: Self = Self(1);
    /// Everything else, short notes included.
    pub const PROFILE: Self = Self(2);
    /// First number of the compartments that hold one note or other part each.
    pub const FIRST_PART: u16 = 0x0100;
}

/// Kind of a search tag (fields.md 3); also the `field` of the tag's key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagKind(pub u16);

impl TagKind {
    /// Normalised e-mail address.
    pub const EMAIL: Self = Self(1);
    /// Phone in E.164.
    pub const PHONE: Self = Self(2);
    /// Registrable domain of the website, else of the e-mail.
    pub const DOMAIN: Self = Self(3);
    /// The client's own id.
    pub const EXTERNAL_ID: Self = Self(4);
}

/// What a masked answer shows of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskRule {
    /// `f…@s….info`
    Email,
    /// `+1…96`
    Phone,
    /// `J.`
    Initial,
    /// Initials of each word.
    Initials,
    /// `…`
    Hidden,
    /// First three letters.
    FirstThree,
    /// Shown as it is.
    Kept,
    /// Length class of each element: `<100`, `<1k`, `<10k`, `≥10k`.
    LengthClass,
    /// The number of elements.
    Count,
    /// Not in a masked answer at all.
    Never,
}

/// One row of the field table.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// Its frozen number.
    pub no: FieldNo,
    /// Its name in the API.
    pub name: &'static str,
    /// Its category.
    pub category: Category,
    /// Where it is sealed.
    pub compartment: Compartment,
    /// What it is found by.
    pub tag: Option<TagKind>,
    /// What a masked answer shows.
    pub mask: MaskRule,
}

const fn row(
    no: u16,
    name: &'static str,
    category: Category,
    compartment: Compartment,
    tag: Option<TagKind>,
    mask: MaskRule,
) -> FieldInfo {
    FieldInfo { no: FieldNo(no), name, category, compartment, tag, mask }
}

const C: Compartment = Compartment::CONTACT;
const P: Compartment = Compartment::PROFILE;

/// The field table of fields.md 1, ascending by number.
pub const FIELDS: &[FieldInfo] = &[
    row(1, "email", Category::Contact, C, Some(TagKind::EMAIL), MaskRule::Email),
    row(2, "email_2", Category::Contact, C, Some(TagKind::EMAIL), MaskRule::Email),
    row(3, "phone", Category::Contact, C, Some(TagKind::PHONE), MaskRule::Phone),
    row(4, "phone_2", Category::Contact, C, Some(TagKind::PHONE), MaskRule::Phone),
    row(5, "mobile", Category::Contact, C, Some(TagKind::PHONE), MaskRule::Phone),
    row(6, "first_name", Category::Identity, C, None, MaskRule::Initial),
    row(7, "last_name", Category::Identity, C, None, MaskRule::Initial),
    row(8, "full_name", Category::Identity, C, None, MaskRule::Initials),
    row(9, "salutation", Category::Identity, C, None, MaskRule::Hidden),
    row(10, "birth_date", Category::Identity, C, None, MaskRule::Hidden),
    row(11, "sex", Category::Identity, C, None, MaskRule::Hidden),
    row(12, "external_id", Category::Identity, C, Some(TagKind::EXTERNAL_ID), MaskRule::Hidden),
    row(13, "company", Category::CompanyRole, P, None, MaskRule::FirstThree),
    row(14, "job_title", Category::CompanyRole, P, None, MaskRule::FirstThree),
    row(15, "website", Category::CompanyRole, P, Some(TagKind::DOMAIN), MaskRule::FirstThree),
    row(16, "street", Category::Location, P, None, MaskRule::Hidden),
    row(17, "city", Category::Location, P, None, MaskRule::Hidden),
    row(18, "state", Category::Location, P, None, MaskRule::Hidden),
    row(19, "postal_code", Category::Location, P, None, MaskRule::Hidden),
    row(20, "country", Category::Location, P, None, MaskRule::Kept),
    row(21, "owner", Category::ActivityLog, P, None, MaskRule::Kept),
    row(22, "source", Category::ActivityLog, P, None, MaskRule::Kept),
    row(23, "stage", Category::ActivityLog, P, None, MaskRule::Kept),
    row(24, "status", Category::ActivityLog, P, None, MaskRule::Kept),
    row(25, "notes", Category::NoteText, P, None, MaskRule::LengthClass),
    row(26, "tags", Category::Tag, P, None, MaskRule::Count),
    row(27, "consent_basis", Category::Preference, P, None, MaskRule::Kept),
    row(28, "consent_at", Category::Preference, P, None, MaskRule::Kept),
    row(29, "notice_at", Category::Preference, P, None, MaskRule::Kept),
    row(30, "gpc", Category::Preference, P, None, MaskRule::Kept),
    row(31, "original", Category::Unclassified, P, None, MaskRule::Never),
    row(32, "created_at", Category::ActivityLog, P, None, MaskRule::Kept),
    row(33, "updated_at", Category::ActivityLog, P, None, MaskRule::Kept),
];

macro_rules! named {
    ($($name:ident = $no:literal),* $(,)?) => {
        impl FieldNo { $(#[doc = concat!("Field ", $no, " of fields.md.")] pub const $name: Self = Self($no);)* }
    };
}
named! {
    EMAIL = 1, EMAIL_2 = 2, PHONE = 3, PHONE_2 = 4, MOBILE = 5, FIRST_NAME = 6, LAST_NAME = 7,
    FULL_NAME = 8, SALUTATION = 9, BIRTH_DATE = 10, SEX = 11, EXTERNAL_ID = 12, COMPANY = 13,
    JOB_TITLE = 14, WEBSITE = 15, STREET = 16, CITY = 17, STATE = 18, POSTAL_CODE = 19,
    COUNTRY = 20, OWNER = 21, SOURCE = 22, STAGE = 23, STATUS = 24, NOTES = 25, TAGS = 26,
    CONSENT_BASIS = 27, CONSENT_AT = 28, NOTICE_AT = 29, GPC = 30, ORIGINAL = 31,
    CREATED_AT = 32, UPDATED_AT = 33,
}

impl FieldNo {
    /// First number of unmapped columns: `1000 + n` is `x_n`.
    pub const FIRST_UNMAPPED: u16 = 1000;
    /// First number of the custom fields of a dataset.
    pub const FIRST_CUSTOM: u16 = 20_000;

    /// The field of unmapped column `n`; `None` beyond column 18,999.
    pub fn unmapped(n: usize) -> Option<Self> {
        let n = u16::try_from(n).ok()?;
        let no = n.checked_add(Self::FIRST_UNMAPPED)?;
        (no < Self::FIRST_CUSTOM).then_some(Self(no))
    }

    /// The row of the field table, if it is one of its fields.
    pub fn info(self) -> Option<&'static FieldInfo> {
        FIELDS.iter().find(|f| f.no == self)
    }

    /// The field by its API name: a name of the table or `x_<n>`.
    pub fn by_name(name: &str) -> Option<Self> {
        if let Some(info) = FIELDS.iter().find(|f| f.name == name) {
            return Some(info.no);
        }
        let digits = name.strip_prefix("x_")?;
        let plain = digits == "0" || !digits.starts_with('0');
        if !plain || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::unmapped(digits.parse().ok()?)
    }

    /// The API name: of the table, `x_<n>`, or `custom_<k>`.
    pub fn name(self) -> String {
        match self.info() {
            Some(info) => info.name.to_owned(),
            None if self.0 >= Self::FIRST_CUSTOM => {
                format!("custom_{}", self.0 - Self::FIRST_CUSTOM)
            }
            None => format!("x_{}", self.0.saturating_sub(Self::FIRST_UNMAPPED)),
        }
    }

    /// The category before any classification by the tenant: `unclassified` for unmapped columns.
    pub fn category(self) -> Category {
        self.info().map_or(Category::Unclassified, |f| f.category)
    }

    /// The compartment before any classification: `profile` for everything outside the table.
    pub fn compartment(self) -> Compartment {
        self.info().map_or(Compartment::PROFILE, |f| f.compartment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ascending_and_names_lead_back_to_numbers() {
        assert!(FIELDS.windows(2).all(|w| w[0].no < w[1].no));
        for info in FIELDS {
            assert_eq!(FieldNo::by_name(info.name), Some(info.no));
            assert_eq!(info.no.name(), info.name);
        }
        assert_eq!(FieldNo::by_name("x_0"), Some(FieldNo(1000)));
        assert_eq!(FieldNo::by_name("x_18999"), Some(FieldNo(19_999)));
        for bad in ["x_19000", "x_00", "x_-1", "x_", "nope"] {
            assert_eq!(FieldNo::by_name(bad), None, "{bad}");
        }
    }
}
