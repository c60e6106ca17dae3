//! Sections of the puncturable tree: `ggm`, `ggm_after_puncture_<i>`, `ggm_after_range_<a>_<z>`.

use serde_json::{Value, json};

use super::section::Section;
use crate::cover::child;
use crate::{Cover, SecretKey, sha256};

/// Levels of the tree; the only depth there is.
const DEPTH: u64 = 32;

/// `ggm`: root, children, leaves.
pub(super) fn fresh(section: &mut Section<'_>) {
    let Some(root) = section.key("root") else { return };
    let cover = Cover::new(root.clone());
    for (name, value) in section.members() {
        if name == "D" {
            section.piece(name, value.as_u64() == Some(DEPTH), &[]);
        } else if name == "leaf" {
            leaves(section, &cover, value);
        } else if let Some(bit) = name.strip_prefix("child_").and_then(number::<u8>) {
            let computed = (bit < 2).then(|| child(&root, 0, bit));
            compare_key(section, name, computed.as_ref());
        }
    }
}

/// Members of `leaf` are indices.
fn leaves(section: &mut Section<'_>, cover: &Cover, value: &Value) {
    let members = value.as_object();
    section.piece("leaf", members.is_some(), &[]);
    for (index, given) in members.into_iter().flatten() {
        let computed = number(index).and_then(|index| cover.eval(index));
        let agrees = computed.is_some_and(|key| given.as_str() == Some(&hex_of(&key)));
        section.piece("leaf", agrees, &["root"]);
    }
}

/// The check of a section after a puncture, where that is its name.
pub(super) fn punctured(name: &str) -> Option<fn(&mut Section<'_>)> {
    holes(name).map(|_| after as fn(&mut Section<'_>))
}

/// Leaves that a section's name punctures.
fn holes(name: &str) -> Option<(u64, u64)> {
    if let Some(index) = name.strip_prefix("ggm_after_puncture_") {
        let index = number::<u32>(index)?;
        return Some((u64::from(index), u64::from(index) + 1));
    }
    let (first, end) = name.strip_prefix("ggm_after_range_")?.split_once('_')?;
    Some((number(first)?, number(end)?)).filter(|(first, end)| first <= end && *end <= 1 << DEPTH)
}

fn after(section: &mut Section<'_>) {
    let Some((first, end)) = holes(section.name()) else { return };
    let Some(root) = section.key("root") else { return };
    let mut cover = Cover::new(root);
    match u32::try_from(first) {
        // Both ways to one state, so that both are held to the answers.
        Ok(leaf) if end == first + 1 => drop(cover.puncture(leaf)),
        _ => cover.puncture_range(first, end),
    }
    for (name, value) in section.members() {
        match name {
            "nodes" => section.piece(name, value.as_u64() == u64::try_from(cover.len()).ok(), &[]),
            "cover" => nodes(section, &cover, value),
            "sha256_of_cover" => section.compare(name, &digest(&cover), &["root"]),
            "root" | "tenant" | "dataset" => {}
            _ => named(section, &cover, name, value),
        }
    }
}

fn nodes(section: &mut Section<'_>, cover: &Cover, value: &Value) {
    let given = value.as_array();
    section.piece("cover", given.is_some_and(|given| given.len() == cover.len()), &[]);
    for ((first, depth, seed), given) in cover.nodes().zip(given.into_iter().flatten()) {
        let computed =
            json!({ "first": first, "depth": depth, "seed": hex::encode(seed.expose()) });
        section.piece("cover", computed == *given, &["root"]);
    }
}

/// `eval_<i>` and `commitment_tree<t>_epoch<e>`.
fn named(section: &mut Section<'_>, cover: &Cover, name: &str, value: &Value) {
    if let Some(index) = name.strip_prefix("eval_").and_then(number) {
        match cover.eval(index) {
            None => section.piece(name, value.is_null(), &[]),
            Some(key) => compare_key(section, name, Some(&key)),
        }
    } else if let Some((tree, epoch)) = commitment(name) {
        let (Some(tenant), Some(dataset)) = (section.array("tenant"), section.array("dataset"))
        else {
            return;
        };
        let computed = cover.commitment(&tenant, &dataset, tree, epoch);
        section.compare(name, &computed, &["root", "tenant", "dataset"]);
    }
}

fn commitment(name: &str) -> Option<(u32, u64)> {
    let (tree, epoch) = name.strip_prefix("commitment_tree")?.split_once("_epoch")?;
    Some((number(tree)?, number(epoch)?))
}

fn compare_key(section: &mut Section<'_>, name: &str, computed: Option<&SecretKey>) {
    match computed {
        Some(key) => section.compare(name, key.expose(), &["root"]),
        None => section.piece(name, false, &[]),
    }
}

fn digest(cover: &Cover) -> [u8; 32] {
    let mut bytes = Vec::new();
    for (first, depth, seed) in cover.nodes() {
        bytes.push(depth);
        bytes.extend_from_slice(&first.to_be_bytes());
        bytes.extend_from_slice(seed.expose());
    }
    sha256(&[&bytes])
}

fn hex_of(key: &SecretKey) -> String {
    hex::encode(key.expose())
}

/// A decimal parameter in its only spelling.
pub(super) fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}
