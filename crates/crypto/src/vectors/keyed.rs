//! Sections of one keyed hash each: `blind_index`, `suppression`, `log_ref`.

use super::section::Section;
use super::tree::number;
use crate::{IndexKey, SuppressionKey, TagForm, lead_ref, tag_bits};

/// `blind_index`: `tag_<bits>` and `tag_<bits>_part<p>`.
pub(super) fn blind_index(section: &mut Section<'_>) {
    let key = section.array("k_idx").map(IndexKey::from_bytes);
    let field = section.number("field");
    let version = section.number("normver");
    let epoch = section.number("epoch");
    let value = section.text("value");
    let (Some(key), Some(value)) = (key, value) else { return };
    let (Some(field), Some(norm_version), Some(index_epoch)) = (field, version, epoch) else {
        return;
    };
    for (name, _) in section.members() {
        let Some((bits, partition)) = name.strip_prefix("tag_").and_then(tag_parameters) else {
            continue;
        };
        let form = TagForm { field, norm_version, index_epoch, partition };
        let tag = tag_bits(&key, &form, bits, value.as_bytes());
        section.compare(name, &tag, &["k_idx", "field", "normver", "epoch", "value"]);
    }
}

fn tag_parameters(name: &str) -> Option<(u16, u16)> {
    let (bits, partition) = match name.split_once("_part") {
        Some((bits, partition)) => (bits, number(partition)?),
        None => (name, 0),
    };
    Some((number(bits).filter(|bits| (1..=256).contains(bits))?, partition))
}

/// `suppression`: one tag.
pub(super) fn suppression(section: &mut Section<'_>) {
    let key = section.array("k_sup").map(SuppressionKey::from_bytes);
    let kind = section.number("type");
    let value = section.text("value");
    let (Some(key), Some(kind), Some(value)) = (key, kind, value) else { return };
    section.compare("tag", &key.tag(kind, value.as_bytes()), &["k_sup", "type", "value"]);
}

/// `log_ref`: one reference.
pub(super) fn log_ref(section: &mut Section<'_>) {
    let key = section.key("leaf_key");
    let (tenant, dataset) = (section.array("tenant"), section.array("dataset"));
    let (Some(key), Some(tenant), Some(dataset)) = (key, tenant, dataset) else { return };
    let reference = lead_ref(&key, &tenant, &dataset);
    section.compare("ref", reference.bytes(), &["leaf_key", "tenant", "dataset"]);
}
