//! Known answers: the files are right, and nothing in them can change unnoticed.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use leadvault_crypto::vectors::{Base, Report, SectionReport, check, check_section, check_with};
use serde_json::{Value, json};

const OURS: &str = include_str!("../testdata/crypto_vectors.json");
/// Made by the same reference from other seeds, punctures, tags and headers.
const OTHER: &str = include_str!("../testdata/crypto_vectors_other.json");

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Sections of this crate.
fn crypto_sections(file: &Value) -> Vec<String> {
    file.as_object().unwrap().keys().filter(|name| *name != "log").cloned().collect()
}

#[test]
fn every_answer_of_both_files_is_reproduced() {
    for (text, checked) in [(OURS, 155), (OTHER, 157)] {
        let report = check(&parse(text));
        assert_eq!(report.failed, Vec::<String>::new());
        assert!(report.ok);
        assert!(report.checked > 130, "{} of about {checked}", report.checked);
    }
}

/// Pointers to every single value below `value`.
fn leaves(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, v)| leaves(v, &format!("{at}/{name}"), out));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| leaves(v, &format!("{at}/{i}"), out));
        }
        _ => out.push(at.to_owned()),
    }
}

/// The value with its first, middle or last character changed; numbers counted up, null made text.
fn changed(value: &Value, which: usize) -> Value {
    let Some(text) = value.as_str() else {
        return value.as_u64().map_or(json!("00"), |number| json!(number + 1));
    };
    let mut chars: Vec<char> = text.chars().collect();
    let at = [0, chars.len() / 2, chars.len() - 1][which];
    chars[at] = if chars[at] == '0' { '1' } else { '0' };
    json!(chars.into_iter().collect::<String>())
}

#[test]
fn changing_any_single_value_fails_and_names_its_member() {
    for text in [OURS, OTHER] {
        let file = parse(text);
        let mut pointers = Vec::new();
        for name in crypto_sections(&file) {
            leaves(&file[&name], &format!("/{name}"), &mut pointers);
        }
        assert!(pointers.len() > 130);
        for pointer in pointers {
            for which in 0..3 {
                let mut file = file.clone();
                let value = file.pointer_mut(&pointer).unwrap();
                *value = changed(value, which);
                let report = check(&file);
                let mut parts = pointer.split('/').skip(1);
                let name = format!("{}.{}", parts.next().unwrap(), parts.next().unwrap());
                assert!(!report.ok && report.failed.contains(&name), "{pointer}: {report:?}");
            }
        }
    }
}

#[test]
fn changing_an_answer_names_that_answer_alone() {
    for (pointer, name) in [
        ("/record/C", "record.C"),
        ("/record/K", "record.K"),
        ("/record/blob", "record.blob"),
        ("/record/blob_sha256", "record.blob_sha256"),
        ("/wrap/blob", "wrap.blob"),
        ("/suppression/tag", "suppression.tag"),
        ("/log_ref/ref", "log_ref.ref"),
        ("/blind_index/tag_21", "blind_index.tag_21"),
        ("/ggm/child_1", "ggm.child_1"),
        ("/ggm/leaf/5", "ggm.leaf"),
        ("/ggm_after_puncture_5/nodes", "ggm_after_puncture_5.nodes"),
        ("/ggm_after_puncture_5/cover/3/seed", "ggm_after_puncture_5.cover"),
    ] {
        for which in 0..3 {
            let mut file = parse(OURS);
            let value = file.pointer_mut(pointer).unwrap();
            *value = changed(value, which);
            assert_eq!(check(&file).failed, [name], "{which}");
        }
    }
}

#[test]
fn unknown_sections_members_and_shapes_fail() {
    let mut file = parse(OURS);
    file["ggm2"] = json!({});
    file["ggm_after_puncture_05"] = json!({});
    file["suppression"]["extra"] = json!(1);
    file["ggm"]["child_2"] = json!("00");
    file["log_ref"] = json!([]);
    let failed = check(&file).failed;
    for name in ["ggm2", "ggm_after_puncture_05", "suppression.extra", "ggm.child_2", "log_ref"] {
        assert!(failed.contains(&name.to_owned()), "{name} in {failed:?}");
    }
    for empty in [json!({}), json!([]), json!(null)] {
        assert!(!check(&empty).ok);
    }
}

#[test]
fn a_section_may_state_what_it_would_borrow() {
    let mut file = parse(OTHER);
    let base = parse(OURS);
    for (name, section) in base.as_object().unwrap() {
        if name.starts_with("ggm_after") || name == "log_ref" {
            let mut section = section.clone();
            for member in ["tenant", "dataset"] {
                if name != "ggm_after_range_1000_5000" {
                    section[member] = base["record"][member].clone();
                }
            }
            if name.starts_with("ggm_after") {
                section["root"] = base["ggm"]["root"].clone();
            }
            file[name] = section;
        }
    }
    assert_eq!(check(&file).failed, Vec::<String>::new());
}

#[test]
fn another_crate_answers_for_its_section() {
    let file = parse(OURS);
    let none: Report = check_with(&file, |_, _| None);
    assert_eq!(none.failed, ["log"]);
    let log = check_with(&file, |name, _| {
        (name == "log")
            .then(|| SectionReport { checked: 20, failed: vec!["log.root_3".to_owned()] })
    });
    assert_eq!(log.failed, ["log.root_3"]);
    assert_eq!(log.checked, none.checked + 20);
    assert!(check_section("log", &file["log"], &Base::of(&file)).is_none());
}
