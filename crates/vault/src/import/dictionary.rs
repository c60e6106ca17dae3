//! The header dictionary of fields.md 5: which header means which field, which headers mean several
//! things, and which exports are recognised by their headers.
//!
//! Everything here is compared in the form of [`super::header::normalise`], as a whole: a header that
//! merely contains a known one is another header ("Last Activity Date" is no date of the lead).

use leadvault_domain::FieldNo as F;

/// Headers that map without asking.
pub(super) const DICTIONARY: &[(F, &[&str])] = &[
    (
        F::EMAIL,
        &[
            "email",
            "e mail",
            "email address",
            "e mail address",
            "primary email",
            "work email",
            "business email",
            "email 1",
            "e mail 1 value",
            "person email work",
        ],
    ),
    (
        F::EMAIL_2,
        &[
            "email 2",
            "secondary email",
            "secondary e mail",
            "other email",
            "e mail 2 address",
            "e mail 2 value",
            "additional email addresses",
        ],
    ),
    (
        F::PHONE,
        &[
            "phone",
            "phone number",
            "telephone",
            "phone 1",
            "primary phone",
            "work phone",
            "business phone",
            "phone 1 value",
            "person phone work",
        ],
    ),
    (
        F::PHONE_2,
        &[
            "phone 2",
            "other phone",
            "secondary phone",
            "business phone 2",
            "phone 2 value",
            "home phone",
        ],
    ),
    (
        F::MOBILE,
        &["mobile", "mobile phone", "mobile phone number", "mobilephone", "cell", "cell phone"],
    ),
    (F::FIRST_NAME, &["first name", "firstname", "given name", "forename"]),
    (F::LAST_NAME, &["last name", "lastname", "surname", "family name"]),
    (F::FULL_NAME, &["full name", "person name", "contact name", "lead name"]),
    (F::SALUTATION, &["salutation", "title of courtesy", "prefix", "name prefix"]),
    (F::BIRTH_DATE, &["date of birth", "birth date", "birthdate", "birthday", "dob"]),
    (F::SEX, &["sex", "gender"]),
    (
        F::EXTERNAL_ID,
        &[
            "record id",
            "id",
            "lead id",
            "contact id",
            "account id",
            "user id",
            "person id",
            "external id",
        ],
    ),
    (
        F::COMPANY,
        &[
            "company",
            "company name",
            "account name",
            "company account",
            "primary company",
            "organization",
            "organisation",
            "organization name",
            "person organization",
            "organization 1 name",
        ],
    ),
    (F::JOB_TITLE, &["job title", "position", "role", "organization 1 title"]),
    (F::WEBSITE, &["website", "website url", "web page", "url", "company website"]),
    (
        F::STREET,
        &["street", "street address", "mailing street", "business street", "address 1 street"],
    ),
    (F::CITY, &["city", "mailing city", "business city"]),
    (F::STATE, &["state region", "mailing state"]),
    (
        F::POSTAL_CODE,
        &["postal code", "zip", "zip code", "zip postal code", "business postal code"],
    ),
    (F::COUNTRY, &["country", "country region", "mailing country", "business country region"]),
    (F::OWNER, &["owner", "lead owner", "contact owner", "account owner", "person owner"]),
    (F::SOURCE, &["source", "lead source", "original source"]),
    (F::STAGE, &["stage", "deal stage", "lifecycle stage", "lifecyclestage"]),
    (F::STATUS, &["status", "lead status"]),
    (F::NOTES, &["notes", "note", "description", "comments"]),
    (F::TAGS, &["tags", "labels", "categories", "groups", "group membership"]),
    (F::GPC, &["gpc", "global privacy control"]),
];

/// Headers that mean several things: asked about, never guessed.
pub(super) const AMBIGUOUS: &[(&str, &[F])] = &[
    ("name", &[F::FULL_NAME, F::COMPANY]),
    ("title", &[F::JOB_TITLE, F::SALUTATION]),
    ("state", &[F::STATE, F::STAGE, F::STATUS]),
    ("contact", &[F::FULL_NAME, F::EMAIL, F::PHONE]),
    ("account", &[F::COMPANY, F::EXTERNAL_ID]),
    ("type", &[F::STATUS, F::STAGE, F::TAGS]),
    ("date", &[F::BIRTH_DATE, F::CONSENT_AT, F::NOTICE_AT]),
    ("address", &[F::STREET, F::EMAIL]),
    ("number", &[F::PHONE, F::EXTERNAL_ID]),
];

/// The exports of one product.
#[derive(Debug)]
pub(super) struct Set {
    /// Headers that only its exports carry. Plain words such as `id` or `status` are not among them,
    /// though its exports carry them too.
    pub own: &'static [&'static str],
    /// What it settles that the dictionary leaves open; `None` leaves the column unmapped.
    pub settles: &'static [(&'static str, Option<F>)],
}

/// Own headers that make a file one of a product's exports.
const RECOGNISED_BY: usize = 3;

/// The recognised sets.
pub(super) const SETS: &[Set] =
    &[HUBSPOT, SALESFORCE, SALESFORCE_REPORT, PIPEDRIVE, ZOHO, OUTLOOK, GOOGLE, LINKEDIN];

const HUBSPOT: Set = Set {
    own: &[
        "record id",
        "mobile phone number",
        "contact owner",
        "primary company",
        "lifecycle stage",
        "create date",
        "last activity date est",
        "last activity date",
        "state region",
        "website url",
    ],
    settles: &[],
};

const SALESFORCE: Set = Set {
    own: &[
        "firstname",
        "lastname",
        "mobilephone",
        "accountid",
        "leadsource",
        "postalcode",
        "hasoptedoutofemail",
        "createddate",
    ],
    settles: &[
        ("title", Some(F::JOB_TITLE)),
        ("state", Some(F::STATE)),
        ("leadsource", Some(F::SOURCE)),
        ("postalcode", Some(F::POSTAL_CODE)),
        ("accountid", None),
    ],
};

const SALESFORCE_REPORT: Set = Set {
    own: &["company account", "state province", "rating", "created date", "unread by owner"],
    settles: &[("title", Some(F::JOB_TITLE)), ("state province", Some(F::STATE))],
};

const PIPEDRIVE: Set = Set {
    own: &[
        "person name",
        "person email work",
        "person phone work",
        "person organization",
        "person owner",
        "person labels",
        "person id",
    ],
    settles: &[],
};

const ZOHO: Set = Set {
    own: &[
        "email opt out",
        "skype id",
        "annual revenue",
        "no of employees",
        "lead conversion time",
    ],
    settles: &[],
};

const OUTLOOK: Set = Set {
    own: &[
        "business street",
        "business city",
        "business state",
        "business postal code",
        "business country region",
        "e mail address",
        "e mail 2 address",
        "business phone",
        "business phone 2",
        "web page",
        "middle name",
    ],
    settles: &[("title", Some(F::SALUTATION)), ("business state", Some(F::STATE))],
};

const GOOGLE: Set = Set {
    own: &[
        "e mail 1 value",
        "e mail 2 value",
        "phone 1 value",
        "phone 2 value",
        "e mail 1 type",
        "e mail 1 label",
        "phone 1 type",
        "phone 1 label",
        "organization 1 name",
        "organization 1 title",
        "organization title",
        "group membership",
        "given name",
        "family name",
    ],
    settles: &[("name", Some(F::FULL_NAME)), ("organization title", Some(F::JOB_TITLE))],
};

const LINKEDIN: Set = Set {
    own: &["connected on", "url", "position", "profile url", "linkedin url", "linkedin profile"],
    settles: &[("title", Some(F::JOB_TITLE))],
};

/// The field a header maps to without asking.
pub(super) fn field_of(compared: &str) -> Option<F> {
    DICTIONARY.iter().find(|(_, headers)| headers.contains(&compared)).map(|(field, _)| *field)
}

/// What an ambiguous header may mean.
pub(super) fn choices_of(compared: &str) -> Option<&'static [F]> {
    AMBIGUOUS.iter().find(|(header, _)| *header == compared).map(|(_, choices)| *choices)
}

/// The set a file is an export of.
pub(super) fn recognise(compared: &[String]) -> Option<&'static Set> {
    let count = |set: &Set| compared.iter().filter(|h| set.own.contains(&h.as_str())).count();
    SETS.iter()
        .map(|set| (count(set), set))
        .filter(|(own, _)| *own >= RECOGNISED_BY)
        .max_by_key(|(own, _)| *own)
        .map(|(_, set)| set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::header::normalise;

    fn all_headers() -> Vec<&'static str> {
        let dictionary = DICTIONARY.iter().flat_map(|(_, headers)| headers.iter().copied());
        dictionary.chain(AMBIGUOUS.iter().map(|(header, _)| *header)).collect()
    }

    #[test]
    fn no_header_stands_in_two_rows_and_each_is_in_its_compared_form() {
        let mut headers = all_headers();
        let mut own: Vec<_> = SETS.iter().flat_map(|set| set.own.iter().copied()).collect();
        for list in [&mut headers, &mut own] {
            assert!(list.iter().all(|header| normalise(header) == *header));
            list.sort_unstable();
            assert!(list.windows(2).all(|pair| pair[0] != pair[1]), "a header stands twice");
        }
        assert!(own.iter().all(|header| choices_of(header).is_none()));
    }

    #[test]
    fn an_export_is_recognised_by_three_headers_that_only_it_has() {
        let recognised = |headers: &[&str]| {
            let compared: Vec<String> = headers.iter().map(|h| normalise(h)).collect();
            recognise(&compared).map(|set| set.own[0])
        };
        assert_eq!(recognised(&["FirstName", "LastName", "Title"]), None);
        assert_eq!(recognised(&["Id", "Name", "Title", "State", "Status"]), None);
        assert_eq!(recognised(&["FirstName", "LastName", "LeadSource"]), Some("firstname"));
        let outlook = ["Title", "E-mail Address", "Business Phone", "Web Page"];
        assert_eq!(recognised(&outlook), Some("business street"));
        assert_eq!(recognised(&["First Name", "Last Name", "Title", "Email"]), None);
    }
}
