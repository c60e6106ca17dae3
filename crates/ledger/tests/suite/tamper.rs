//! Whoever changes, removes, cuts or rewrites a published log is found out.

use leadvault_domain::DecisionCode;
use leadvault_ledger::{
    Entry, Failure, LogOperation, Since, SourceError, Verdict, publish::Tail, verify_log,
};
use serde_json::json;

use crate::support::{
    Files, NOW, ORIGIN, demo_entries, draft, key, keys, log_in_steps, log_of, publish, read_draft,
    vkey,
};

fn verify(files: &Files) -> Verdict {
    verify_log(files, &vkey(), None).unwrap()
}

fn since(files: &Files, kept: &[u8]) -> Option<Failure> {
    let kept = Since::from_text(std::str::from_utf8(kept).unwrap());
    let verdict = verify_log(files, &vkey(), Some(kept)).unwrap();
    assert_eq!(verdict.ok, verdict.failure.is_none());
    verdict.failure
}

/// Entries so short that every byte of a log of three bundles can be flipped in turn.
fn short_entries(n: u16) -> Vec<Vec<u8>> {
    (0..n).map(|i| i.to_be_bytes().to_vec()).collect()
}

#[test]
fn any_flipped_byte_of_any_file_is_detected() {
    let files = log_of(&short_entries(258));
    assert!(verify(&files).ok);
    let mut flipped = 0;
    for (path, bytes) in &files {
        // The two full files are the same work 256 times: every byte of some hashes and entries is enough.
        let step = if bytes.len() > 4096 { 37 } else { 1 };
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = files.clone();
            changed.get_mut(path).unwrap()[at] ^= 1;
            let verdict = verify(&changed);
            assert!(!verdict.ok && verdict.failure.is_some(), "{path} byte {at}");
            if path != "checkpoint" {
                assert_eq!(verdict.at.as_ref(), Some(path), "byte {at}: {verdict:?}");
            }
            flipped += 1;
        }
    }
    assert!(flipped > 600, "{flipped}");
}

#[test]
fn any_flipped_byte_of_a_small_log_is_detected_without_exception() {
    let files = log_of(&short_entries(5));
    for (path, bytes) in &files {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = files.clone();
                changed.get_mut(path).unwrap()[at] ^= 1 << bit;
                let verdict = verify(&changed);
                assert!(!verdict.ok, "{path} byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn a_changed_file_is_named_with_its_kind() {
    let files = log_of(&short_entries(600));
    for (path, failure) in [
        ("tile/entries/001", Failure::BadBundle),
        ("tile/entries/002.p/88", Failure::BadBundle),
        ("tile/0/001", Failure::BadTile),
        ("tile/0/002.p/88", Failure::BadTile),
        ("tile/1/000.p/2", Failure::BadTile),
    ] {
        for change in [
            |bytes: &mut Vec<u8>| bytes[9] ^= 0x20,
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
            |bytes: &mut Vec<u8>| bytes.push(0),
            |bytes: &mut Vec<u8>| bytes.clear(),
            |bytes: &mut Vec<u8>| bytes.extend([0, 1, 65]),
        ] {
            let mut changed = files.clone();
            change(changed.get_mut(path).unwrap());
            let verdict = verify(&changed);
            assert_eq!((verdict.failure, verdict.at.as_deref()), (Some(failure), Some(path)));
        }
    }
}

#[test]
fn any_missing_file_is_named() {
    let files = log_of(&short_entries(600));
    for path in files.keys() {
        let mut gone = files.clone();
        gone.remove(path);
        let verdict = verify(&gone);
        assert_eq!(verdict.failure, Some(Failure::Missing), "{path}");
        assert_eq!(verdict.at.as_ref(), Some(path));
    }
}

#[test]
fn a_partial_tile_is_no_full_one() {
    let files = log_of(&short_entries(300));
    for (full, partial) in
        [("tile/0/000", "tile/0/000.p/255"), ("tile/entries/000", "tile/entries/000.p/255")]
    {
        let mut swapped = files.clone();
        let bytes = swapped.remove(full).unwrap();
        swapped.insert(partial.to_owned(), bytes);
        let verdict = verify(&swapped);
        assert_eq!((verdict.failure, verdict.at.as_deref()), (Some(Failure::Missing), Some(full)));
    }
}

#[test]
fn a_full_tile_stands_for_a_partial_one_that_is_gone() {
    let entries = short_entries(600);
    let (mut files, tail) = log_in_steps(&entries[..300], 300);
    let old = files["checkpoint"].clone();
    publish(&mut files, tail, &entries[300..]);
    files.retain(|path, _| !path.contains("001.p/") && !path.ends_with("000.p/1"));
    files.insert("tile/1/000.p/1".to_owned(), files["tile/1/000.p/2"][..32].to_vec());
    files.insert("checkpoint".to_owned(), old);
    let verdict = verify(&files);
    assert!(verdict.ok && verdict.size == 300, "{verdict:?}");
    files.get_mut("tile/entries/001").unwrap()[5] ^= 1;
    assert!(!verify(&files).ok);
}

#[test]
fn a_rewritten_log_holds_together_and_is_a_fork() {
    let honest = log_of(&short_entries(600));
    let mut entries = short_entries(700);
    entries[3] = b"rewritten".to_vec();
    let forged = log_of(&entries);
    // Signed by the operator itself: the files alone cannot tell.
    assert!(verify(&forged).ok);
    assert_eq!(since(&forged, &honest["checkpoint"]), Some(Failure::Fork));
    let mut same_size = short_entries(600);
    same_size[599] = b"rewritten".to_vec();
    assert_eq!(since(&log_of(&same_size), &honest["checkpoint"]), Some(Failure::Fork));
    // Control: a continuation is none.
    assert_eq!(since(&log_of(&short_entries(700)), &honest["checkpoint"]), None);
    assert_eq!(since(&honest, &honest["checkpoint"]), None);
}

#[test]
fn a_cut_tail_is_a_rollback() {
    let (long, short) = (log_of(&short_entries(600)), log_of(&short_entries(599)));
    assert!(verify(&short).ok);
    assert_eq!(since(&short, &long["checkpoint"]), Some(Failure::Rollback));
    let verdict = verify_log(&short, &vkey(), Some(Since::from_text(&text(&long)))).unwrap();
    assert_eq!(verdict.at.as_deref(), Some("checkpoint"));
}

fn text(files: &Files) -> String {
    String::from_utf8(files["checkpoint"].clone()).unwrap()
}

#[test]
fn what_was_kept_must_be_signed_by_the_same_log() {
    let files = log_of(&short_entries(10));
    let judge = |kept: String| {
        let verdict = verify_log(&files, &vkey(), Some(Since::from_text(&kept))).unwrap();
        assert_eq!(verdict.at.as_deref(), Some("since"));
        verdict.failure.unwrap()
    };
    assert_eq!(judge("nonsense".to_owned()), Failure::Malformed);
    assert_eq!(judge("v=1;i=0".to_owned()), Failure::Malformed);
    assert_eq!(judge(text(&files).replacen("\n10\n", "\n11\n", 1)), Failure::BadSignature);
    let stranger = leadvault_ledger::LogKeys::new("vault.example", key(8)).unwrap();
    let body = format!("{ORIGIN}\n1\n{}\n", "A".repeat(43) + "=");
    assert_eq!(judge(stranger.sign_note(ORIGIN, &body, NOW).unwrap()), Failure::UnknownKey);
}

#[test]
fn a_checkpoint_that_is_forged_unsigned_or_anothers_is_refused() {
    let files = log_of(&short_entries(10));
    let with = |note: String| {
        let mut changed = files.clone();
        changed.insert("checkpoint".to_owned(), note.into_bytes());
        let verdict = verify(&changed);
        assert_eq!(verdict.at.as_deref(), Some("checkpoint"));
        verdict.failure.unwrap()
    };
    assert_eq!(with(text(&files).replacen("\n10\n", "\n9\n", 1)), Failure::BadSignature);
    let other = keys().sign_note(
        "vault.example/o",
        &"vault.example/o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".replace('\r', ""),
        NOW,
    );
    assert_eq!(with(other.unwrap()), Failure::UnknownKey);
    // The operator's own signature over a body that names another log.
    let mixed = keys().sign_note(
        ORIGIN,
        "vault.example/o\n10\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        NOW,
    );
    assert_eq!(with(mixed.unwrap()), Failure::Malformed);
    let wrong_root = keys().sign_note(ORIGIN, &format!("{ORIGIN}\n10\n{}=\n", "A".repeat(43)), NOW);
    assert_eq!(with(wrong_root.unwrap()), Failure::RootMismatch);
    assert_eq!(with("\n".to_owned()), Failure::Malformed);
    let verdict = verify_log(&files, "not a key", None).unwrap();
    assert_eq!((verdict.failure, verdict.at.as_deref()), (Some(Failure::Malformed), Some("vkey")));
}

/// A log of 600 entries whose last one announces that those below `limit` are pruned.
fn pruned_log(limit: u64, code: DecisionCode) -> Files {
    let mut entries = short_entries(599);
    let announced = draft(LogOperation::LogPrune, code).own_number("pruned_to", limit);
    entries.push(announced.finish().unwrap().bytes().to_vec());
    log_of(&entries)
}

#[test]
fn pruned_bundles_are_reported_and_everything_else_is_still_proven() {
    let mut files = pruned_log(512, DecisionCode::Allow);
    let before = files["checkpoint"].clone();
    files.remove("tile/entries/000");
    files.remove("tile/entries/001");
    let verdict = verify(&files);
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!(verdict.pruned_to, Some(512));
    assert_eq!(since(&files, &before), None);
    assert_eq!(since(&files, &log_of(&short_entries(300))["checkpoint"]), None);
    for path in ["tile/0/000", "tile/0/001"] {
        let mut changed = files.clone();
        changed.get_mut(path).unwrap()[0] ^= 1;
        let verdict = verify(&changed);
        assert_eq!((verdict.failure, verdict.at.as_deref()), (Some(Failure::BadTile), Some(path)));
    }
}

#[test]
fn bundles_that_no_entry_announced_as_pruned_are_missing() {
    for (limit, code) in
        [(511, DecisionCode::Allow), (256, DecisionCode::Allow), (512, DecisionCode::Approval)]
    {
        let mut files = pruned_log(limit, code);
        assert_eq!(verify(&files).pruned_to, None);
        files.remove("tile/entries/001");
        let verdict = verify(&files);
        assert_eq!(verdict.failure, Some(Failure::Missing));
        assert_eq!(verdict.at.as_deref(), Some("tile/entries/001"));
    }
}

#[test]
fn entries_of_unknown_shape_are_counted_and_not_refused() {
    let known: Entry = read_draft().finish().unwrap();
    let mut entries = demo_entries(3);
    entries.push(known.bytes().to_vec());
    let verdict = verify(&log_of(&entries));
    assert!(verdict.ok);
    assert_eq!(verdict.entries_unknown, 3);
}

#[test]
fn the_verdict_is_the_documented_json() {
    let mut files = log_of(&short_entries(3));
    let root = text(&files).lines().nth(2).unwrap().to_owned();
    let shown = |files: &Files| serde_json::to_value(verify(files)).unwrap();
    let good = json!({"ok": true, "origin": ORIGIN, "size": 3, "root": root, "pruned_to": null,
        "entries_unknown": 3, "failure": null, "at": null});
    assert_eq!(shown(&files), good);
    files.remove("tile/entries/000.p/3");
    let bad = json!({"ok": false, "origin": ORIGIN, "size": 3, "root": root, "pruned_to": null,
        "entries_unknown": 0, "failure": "missing", "at": "tile/entries/000.p/3"});
    assert_eq!(shown(&files), bad);
    let words = [
        (Failure::BadSignature, "bad_signature"),
        (Failure::UnknownKey, "unknown_key"),
        (Failure::Malformed, "malformed"),
        (Failure::Missing, "missing"),
        (Failure::BadTile, "bad_tile"),
        (Failure::BadBundle, "bad_bundle"),
        (Failure::RootMismatch, "root_mismatch"),
        (Failure::Rollback, "rollback"),
        (Failure::Fork, "fork"),
    ];
    for (failure, word) in words {
        assert_eq!(serde_json::to_value(failure).unwrap(), word);
    }
}

#[test]
fn a_source_that_cannot_be_read_is_no_verdict() {
    struct Broken;
    impl leadvault_ledger::LogSource for Broken {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
            if path == "checkpoint" {
                Ok(Some(log_of(&short_entries(3))[path].clone()))
            } else {
                Err(SourceError)
            }
        }
    }
    assert_eq!(verify_log(&Broken, &vkey(), None), Err(SourceError));
}

#[test]
fn two_builders_write_equal_bytes() {
    let entries = short_entries(700);
    let (mut first, tail) = log_in_steps(&entries[..400], 400);
    let mut second = first.clone();
    let (one, other) = (tail.clone(), Tail::load(&first, tail.frontier().clone()).unwrap());
    publish(&mut first, one, &entries[400..]);
    publish(&mut second, other, &entries[400..]);
    assert_eq!(first, second);
}
