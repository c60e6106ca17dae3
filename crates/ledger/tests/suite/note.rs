//! Checkpoints as signed notes: the strict form, rotation, and what signed_note makes of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_ledger::note::{Note, NoteError};
use leadvault_ledger::tree::empty_root;
use leadvault_ledger::vkey::encode_key;
use leadvault_ledger::{Checkpoint, LogKeys, Vkey, verify_log};
use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};

use crate::support::{NOW, ORIGIN, demo_entries, key, keys, log_of, vkey, vkeys};

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: [7; 32] }
}

fn signed(body: &str) -> String {
    keys().sign_note(ORIGIN, body, NOW).unwrap()
}

fn open(note: &str) -> Result<Checkpoint, NoteError> {
    Checkpoint::open(note.as_bytes(), &vkeys())
}

#[test]
fn signed_note_and_tlog_tiles_accept_our_checkpoint() {
    let note = signed(&checkpoint().to_string());
    let theirs = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&vkey()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let (held, unknown) = theirs.verify(&known).unwrap();
    assert_eq!((held.len(), unknown.len()), (1, 0));
    let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((read.origin(), read.size(), read.hash().0), (ORIGIN, 5, [7; 32]));
    assert_eq!(read.extension(), "");
    assert_eq!(open(&note), Ok(checkpoint()));
}

#[test]
fn a_checkpoint_has_one_form() {
    let good = signed(&checkpoint().to_string());
    let root = STANDARD.encode([7; 32]);
    let bodies = [
        format!("{ORIGIN}\n5\n{root}\nextension\n"),
        format!("{ORIGIN}\n05\n{root}\n"),
        format!("{ORIGIN}\n+5\n{root}\n"),
        format!("{ORIGIN}\n-5\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("{ORIGIN}\n5\n{}\n", root.trim_end_matches('=')),
        format!("{ORIGIN}\n5\n{}\n", STANDARD.encode([7; 31])),
        format!("{ORIGIN}\n5\n"),
        format!("{ORIGIN} \n5\n{root}\n"),
        "vault.example/o\n5\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n".to_owned(),
    ];
    for body in bodies {
        assert_eq!(open(&signed(&body)), Err(NoteError::Malformed), "{body}");
    }
    let line = good.lines().last().unwrap();
    let notes = [
        // A second blank line: after the body, and before the signatures.
        good.replacen("\n\n", "\n\n\n", 1),
        good.replacen(&format!("{ORIGIN}\n5"), &format!("{ORIGIN}\n\n5"), 1),
        good.replacen('\n', "\r\n", 1),
        good.replace('\n', "\r\n"),
        good.replacen("\n5\n", "\n5\r\n", 1),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        format!("{good}trailing\n"),
        good.replace('\u{2014}', "-"),
        good.replacen(line, &line.replacen(' ', "  ", 1), 1),
        good.replacen("=\n", "\n", 2),
        String::new(),
        "\n\n".to_owned(),
    ];
    for note in notes {
        assert_eq!(open(&note), Err(NoteError::Malformed), "{note:?}");
    }
    // Control: unchanged, it opens.
    assert_eq!(open(&good), Ok(checkpoint()));
}

#[test]
fn a_body_with_a_blank_line_is_never_signed() {
    let body = format!("{ORIGIN}\n5\n\n{}\n", STANDARD.encode([7; 32]));
    let note = keys().sign_note(ORIGIN, &body, NOW);
    assert!(note.is_err() || open(&note.unwrap()) == Err(NoteError::Malformed));
    assert!(keys().sign_note(ORIGIN, "no line end", NOW).is_err());
    assert!(keys().sign_note("two words", &checkpoint().to_string(), NOW).is_err());
}

#[test]
fn signatures_of_strangers_are_neither_needed_nor_harmful() {
    let good = signed(&checkpoint().to_string());
    let witness = "\u{2014} witness.example dnpcpGFhYWE=\n";
    assert_eq!(open(&format!("{good}{witness}")), Ok(checkpoint()));
    let (text, _) = good.rsplit_once("\n\n").unwrap();
    assert_eq!(open(&format!("{text}\n\n{witness}")), Err(NoteError::UnknownKey));
    let stranger = LogKeys::new("vault.example", key(9)).unwrap();
    let foreign = stranger.sign_note(ORIGIN, &checkpoint().to_string(), NOW).unwrap();
    assert_eq!(open(&foreign), Err(NoteError::UnknownKey));
}

#[test]
fn a_colliding_key_id_does_not_help() {
    // Our name and our key id, and somebody else's signature.
    let stranger = LogKeys::new("vault.example", key(9)).unwrap();
    let body = checkpoint().to_string();
    let foreign = stranger.sign_note(ORIGIN, &body, NOW).unwrap();
    let line = Note::parse(foreign.as_bytes()).unwrap().signatures()[0].clone();
    let forged = leadvault_ledger::note::SignatureLine { key_id: vkeys()[0].id(), ..line };
    let alone = Note::new(&body, vec![forged.clone()]).unwrap().to_string();
    assert_eq!(open(&alone), Err(NoteError::BadSignature));
    let ours = Note::parse(signed(&body).as_bytes()).unwrap().signatures()[0].clone();
    let beside = Note::new(&body, vec![ours, forged]).unwrap().to_string();
    assert_eq!(open(&beside), Err(NoteError::BadSignature));
    // The same key twice cannot be told apart either.
    assert!(Vkey::parse_all(&format!("{0}\n{0}\n", vkey())).is_err());
}

#[test]
fn verification_keys_have_one_form() {
    assert_eq!(Vkey::parse(&vkey()).unwrap().to_string(), vkey());
    assert!(vkey().ends_with(&encode_key(&keys().verifying_key())));
    let other = LogKeys::new("vault.example", key(8)).unwrap();
    let two = format!("{}\n{}\n", vkey(), other.vkey(ORIGIN));
    assert_eq!(Vkey::parse_all(&two).unwrap().len(), 2);
    for bad in [
        String::new(),
        "a+b".to_owned(),
        vkey().replacen("767a5ca4", "767a5ca5", 1),
        vkey().replacen("767a5ca4", "767A5CA4", 1),
        vkey().replacen("vault", "fault", 1),
        vkey().replacen("+Aep", "+Bep", 1),
        format!("{}\n{}\n", vkey(), other.vkey("vault.example/o")),
        format!("{} x", vkey()),
    ] {
        assert!(Vkey::parse_all(&bad).is_err(), "{bad}");
    }
    assert!(LogKeys::new("vault example", key(7)).is_err());
    assert!(LogKeys::new("", key(7)).is_err());
}

#[test]
fn after_a_rotation_both_keys_sign_for_thirty_days() {
    const DAY_SECONDS: i64 = 24 * 3600;
    let rotating = keys();
    rotating.rotate(key(8), NOW);
    let restarted = LogKeys::rotated("vault.example", key(8), key(7), NOW).unwrap();
    let body = checkpoint().to_string();
    for keys in [rotating, restarted] {
        let (during, after) =
            (NOW.plus_seconds(29 * DAY_SECONDS), NOW.plus_seconds(31 * DAY_SECONDS));
        let both = keys.sign_note(ORIGIN, &body, during).unwrap();
        assert_eq!(Note::parse(both.as_bytes()).unwrap().signatures().len(), 2);
        let new = Vkey::parse_all(&keys.vkey(ORIGIN)).unwrap();
        assert_eq!(Checkpoint::open(both.as_bytes(), &vkeys()), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(both.as_bytes(), &new), Ok(checkpoint()));
        let published = Vkey::parse_all(&keys.vkey_file(ORIGIN, during)).unwrap();
        assert_eq!(Checkpoint::open(both.as_bytes(), &published), Ok(checkpoint()));
        let one = keys.sign_note(ORIGIN, &body, after).unwrap();
        assert_eq!(Checkpoint::open(one.as_bytes(), &vkeys()), Err(NoteError::UnknownKey));
        assert_eq!(Checkpoint::open(one.as_bytes(), &new), Ok(checkpoint()));
        assert_eq!(keys.vkey_file(ORIGIN, after).lines().count(), 1);
        assert_eq!(keys.verifying_key(), key(8).verifying_key());
    }
    let mut files = log_of(&demo_entries(5));
    let two = leadvault_ledger::LogKeys::rotated("vault.example", key(8), key(7), NOW).unwrap();
    let body = Note::parse(&files["checkpoint"]).unwrap().text().to_owned();
    files.insert("checkpoint".to_owned(), two.sign_note(ORIGIN, &body, NOW).unwrap().into_bytes());
    assert!(verify_log(&files, &two.vkey_file(ORIGIN, NOW), None).unwrap().ok);
    assert!(verify_log(&files, &vkey(), None).unwrap().ok);
}

#[test]
fn an_empty_log_verifies() {
    let mut files = log_of(&[]);
    let note = String::from_utf8(files["checkpoint"].clone()).unwrap();
    assert_eq!(open(&note).unwrap().root, empty_root());
    assert!(verify_log(&files, &vkey(), None).unwrap().ok);
    let other = signed(&Checkpoint { size: 0, ..checkpoint() }.to_string());
    files.insert("checkpoint".to_owned(), other.into_bytes());
    assert!(!verify_log(&files, &vkey(), None).unwrap().ok);
}

proptest! {
    #[test]
    fn random_notes_and_keys_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            prop_assert!(Checkpoint::open(bytes, &vkeys()).is_err());
            if let Ok(note) = Note::parse(bytes) {
                prop_assert_eq!(note.to_string().into_bytes(), bytes);
            }
        }
        prop_assert!(Vkey::parse(&text).is_err());
        prop_assert!(Checkpoint::parse_body(&text).is_err());
    }

    #[test]
    fn a_note_with_random_edits_never_panics_and_never_opens_as_another(
        at in any::<prop::sample::Index>(), new in any::<u8>(),
    ) {
        let mut bytes = signed(&checkpoint().to_string()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = new;
        if let Ok(opened) = Checkpoint::open(&bytes, &vkeys()) {
            prop_assert_eq!(opened, checkpoint());
        }
    }
}
