//! Exports of known products, the sample files, and every question of fields.md 5.

use super::*;

fn personal(headers: &[&str]) -> Vec<Personal> {
    headers.iter().map(|h| Personal::from(*h)).collect()
}

fn mapped(headers: &[&str]) -> Vec<String> {
    let columns = map(&personal(headers), &Wanted::Nothing, &[]).unwrap();
    columns.iter().map(|column| column.field.name()).collect()
}

fn asked(headers: &[&str], rows: &[&[&str]]) -> Vec<(usize, Vec<String>)> {
    let sample: Vec<Cells> = rows.iter().map(|row| row.iter().copied().collect()).collect();
    match map(&personal(headers), &Wanted::Nothing, &sample) {
        Err(FileFault::MappingNeeded(asks)) => asks
            .into_iter()
            .map(|ask| (ask.column, ask.choices.into_iter().map(FieldNo::name).collect()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn by(pairs: &[(&str, Option<&str>)]) -> Result<Wanted, FileFault> {
    Wanted::parse(pairs.iter().copied(), FieldNo::by_name)
}

#[test]
fn the_sample_files_map_as_the_dictionary_says() {
    assert_eq!(
        mapped(&[
            "Index",
            "Account Id",
            "Lead Owner",
            "First Name",
            "Last Name",
            "Company",
            "Phone 1",
            "Phone 2",
            "Email 1",
            "Email 2",
            "Website",
            "Source",
            "Deal Stage",
            "Notes",
        ]),
        [
            "x_0",
            "external_id",
            "owner",
            "first_name",
            "last_name",
            "company",
            "phone",
            "phone_2",
            "email",
            "email_2",
            "website",
            "source",
            "stage",
            "notes",
        ]
    );
    assert_eq!(
        mapped(&[
            "Index",
            "User Id",
            "First Name",
            "Last Name",
            "Sex",
            "Email",
            "Phone",
            "Date of birth",
            "Job Title",
        ]),
        [
            "x_0",
            "external_id",
            "first_name",
            "last_name",
            "sex",
            "email",
            "phone",
            "birth_date",
            "job_title",
        ]
    );
}

#[test]
fn exports_of_known_products_map_without_a_question() {
    let hubspot = [
        "Record ID",
        "First Name",
        "Last Name",
        "Email",
        "Phone Number",
        "Mobile Phone Number",
        "Contact owner",
        "Primary Company",
        "Job Title",
        "Lead Status",
        "Lifecycle Stage",
        "Create Date",
        "Last Activity Date (EST)",
        "State/Region",
        "Zip/Postal code",
        "Website URL",
    ];
    assert_eq!(
        mapped(&hubspot),
        [
            "external_id",
            "first_name",
            "last_name",
            "email",
            "phone",
            "mobile",
            "owner",
            "company",
            "job_title",
            "status",
            "stage",
            "x_11",
            "x_12",
            "state",
            "postal_code",
            "website",
        ]
    );
    let salesforce = [
        "Id",
        "Salutation",
        "FirstName",
        "LastName",
        "Email",
        "Phone",
        "MobilePhone",
        "Title",
        "Company",
        "AccountId",
        "LeadSource",
        "Status",
        "Street",
        "City",
        "State",
        "PostalCode",
        "Country",
        "HasOptedOutOfEmail",
        "CreatedDate",
    ];
    assert_eq!(
        mapped(&salesforce),
        [
            "external_id",
            "salutation",
            "first_name",
            "last_name",
            "email",
            "phone",
            "mobile",
            "job_title",
            "company",
            "x_9",
            "source",
            "status",
            "street",
            "city",
            "state",
            "postal_code",
            "country",
            "x_17",
            "x_18",
        ]
    );
    assert_eq!(
        mapped(&["Company / Account", "Lead Source", "First Name"]),
        ["company", "source", "first_name"]
    );
    assert_eq!(
        mapped(&[
            "Person - Name",
            "Person - Email - Work",
            "Person - Phone - Work",
            "Person - Organization",
        ]),
        ["full_name", "email", "phone", "company"]
    );
    assert_eq!(
        mapped(&[
            "First Name",
            "Last Name",
            "Email",
            "Phone",
            "Mobile",
            "Lead Source",
            "Lead Status",
            "Email Opt Out",
        ]),
        ["first_name", "last_name", "email", "phone", "mobile", "source", "status", "x_7"]
    );
    assert_eq!(
        mapped(&[
            "First Name",
            "Last Name",
            "Title",
            "Company",
            "Job Title",
            "Business Street",
            "E-mail Address",
            "E-mail 2 Address",
            "Business Phone",
            "Mobile Phone",
            "Birthday",
            "Web Page",
            "Categories",
            "Notes",
        ]),
        [
            "first_name",
            "last_name",
            "salutation",
            "company",
            "job_title",
            "street",
            "email",
            "email_2",
            "phone",
            "mobile",
            "birth_date",
            "website",
            "tags",
            "notes",
        ]
    );
    assert_eq!(
        mapped(&[
            "Given Name",
            "Family Name",
            "E-mail 1 - Value",
            "Phone 1 - Value",
            "Organization 1 - Name",
            "Birthday",
            "Labels",
        ]),
        ["first_name", "last_name", "email", "phone", "company", "birth_date", "tags"]
    );
}

#[test]
fn what_means_several_things_is_asked() {
    let all = ["Name", "Title", "State", "Contact", "Account", "Type", "Date", "Address", "Number"];
    let asks = asked(&all, &[]);
    assert_eq!(
        asks.iter().map(|(column, _)| *column).collect::<Vec<_>>(),
        (0..9).collect::<Vec<_>>()
    );
    assert_eq!(asks[0].1, ["full_name", "company"]);
    assert_eq!(asks[1].1, ["job_title", "salutation"]);
    assert_eq!(asks[2].1, ["state", "stage", "status"]);
    assert_eq!(asks[7].1, ["street", "email"]);
    assert_eq!(asks[8].1, ["phone", "external_id"]);
    assert_eq!(asked(&["ID", "Account Id"], &[]), [(0, vec!["external_id".into(), "x_0".into()])]);
    assert_eq!(asked(&["Email", "email "], &[]).len(), 2);
    assert_eq!(asked(&["Owner"], &[&["ada@example.com"]])[0].1[..2], ["owner", "email"]);
    assert_eq!(asked(&["Phone", "Mobile"], &[&["1", "1"], &["", "2"]])[0].0, 1);
}

#[test]
fn what_only_looks_ambiguous_is_not_asked() {
    let sample: Vec<Cells> =
        [["1", "2"], ["3", "3"]].iter().map(|r| r.iter().copied().collect()).collect();
    assert!(map(&personal(&["Phone", "Mobile"]), &Wanted::Nothing, &sample).is_ok());
    let owners: Vec<Cells> =
        [["Selena Doyle"]].iter().map(|r| r.iter().copied().collect()).collect();
    assert!(map(&personal(&["Owner"]), &Wanted::Nothing, &owners).is_ok());
    assert_eq!(mapped(&["City", "State"]), ["city", "state"]);
    assert_eq!(mapped(&["ID"]), ["external_id"]);
    assert_eq!(mapped(&["Nickname", "Favourite colour"]), ["x_0", "x_1"]);
}

#[test]
fn a_second_address_takes_the_second_field_and_a_third_keeps_a_tag() {
    let columns = map(
        &personal(&["Email", "Work Email", "Primary Email", "Phone", "Telephone", "Work Phone"]),
        &Wanted::Nothing,
        &[],
    )
    .unwrap();
    let names: Vec<_> = columns.iter().map(|c| (c.field.name(), c.tag)).collect();
    assert_eq!(names[1], ("email_2".into(), None));
    assert_eq!(names[2], ("x_2".into(), Some(TagKind::EMAIL)));
    assert_eq!(names[4], ("phone_2".into(), None));
    assert_eq!(names[5], ("x_5".into(), Some(TagKind::PHONE)));
    assert_eq!(
        mapped(&["Company", "Organization", "Notes", "Note"]),
        ["company", "x_1", "notes", "notes"]
    );
}

#[test]
fn the_callers_word_comes_first() {
    let headers = personal(&["Name", "Title", "Phone", "Telephone"]);
    let wanted = by(&[("name", Some("full_name")), ("Title", None), ("Telephone", Some("phone"))]);
    let columns = map(&headers, &wanted.unwrap(), &[]).unwrap();
    let shown: Vec<_> = columns.iter().map(|c| (c.field.name(), c.by)).collect();
    assert_eq!(shown[0], ("full_name".into(), By::Caller));
    assert_eq!(shown[1], ("x_1".into(), By::None));
    assert_eq!(shown[2], ("phone_2".into(), By::Dictionary));
    assert_eq!(shown[3], ("phone".into(), By::Caller));
    let leave = by(&[("Name", Some("x_0")), ("Title", Some("x_1"))]).unwrap();
    assert!(map(&headers, &leave, &[]).is_ok());
}

#[test]
fn a_mapping_that_cannot_be_followed_is_refused() {
    let headers = personal(&["a", "b"]);
    let bad = |pairs: &[(&str, Option<&str>)]| match by(pairs) {
        Ok(wanted) => map(&headers, &wanted, &[]).err(),
        Err(fault) => Some(fault),
    };
    assert_eq!(bad(&[("a", Some("nope"))]), Some(FileFault::BadMapping));
    assert_eq!(bad(&[("a", Some("email")), ("b", Some("email"))]), Some(FileFault::BadMapping));
    assert_eq!(bad(&[("a", Some("original"))]), Some(FileFault::BadMapping));
    assert_eq!(bad(&[("a", Some("x_7"))]), Some(FileFault::BadMapping));
    assert_eq!(bad(&[("2", Some("email"))]), Some(FileFault::BadMapping));
    assert_eq!(bad(&[("1", Some("email"))]), None);
    assert_eq!(bad(&[("a", Some("notes")), ("b", Some("notes"))]), None);
    assert_eq!(bad(&[("elsewhere", Some("email"))]), None);
}
