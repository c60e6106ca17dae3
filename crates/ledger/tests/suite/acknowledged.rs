//! What a client can do with the receipts it kept.

use leadvault_ledger::publish::Tail;
use leadvault_ledger::{CommittedReceipt, LedgerReceipt, LogKeys, Since, verify_log};

use crate::journal::{LOG, OTHER, entry, scene, settle};
use crate::store::Memory;
use crate::support::{Files, ORIGIN, key, keys, log_of, publish, vkey};

/// Commits of a busy minute, and the log that was published after them.
async fn acknowledged() -> (Vec<CommittedReceipt>, Files) {
    let scene = scene(Memory::with_gate(0));
    let commit = |n| {
        let (journal, log) = (scene.journal.clone(), if n % 7 == 0 { OTHER } else { LOG });
        tokio::spawn(async move { journal.commit(log, entry(n), None).await })
    };
    let tasks: Vec<_> = (0..60).map(commit).collect();
    settle().await;
    scene.store.gate.add_permits(100);
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap().unwrap());
    }
    let entries: Vec<_> = scene.store.state.lock().unwrap().logs[&LOG]
        .iter()
        .map(|entry| entry.bytes().to_vec())
        .collect();
    receipts.retain(|receipt| receipt.log() == LOG);
    (receipts, log_of(&entries))
}

#[tokio::test]
async fn a_kept_receipt_detects_a_cut_tail_and_a_rewritten_entry() {
    let (receipts, files) = acknowledged().await;
    let judge = |files: &Files, receipt: &CommittedReceipt| {
        let kept = Since::from_text(&receipt.header());
        verify_log(files, &vkey(), Some(kept)).unwrap()
    };
    for receipt in &receipts {
        let verdict = judge(&files, receipt);
        assert!(verdict.ok && verdict.entries_unknown == 0, "{verdict:?}");
    }
    let entries: Vec<Vec<u8>> =
        leadvault_ledger::tile::decode_bundle(&files["tile/entries/000.p/51"])
            .unwrap()
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
    let last = receipts.last().unwrap();
    let word = |verdict: leadvault_ledger::Verdict| serde_json::to_value(verdict.failure).unwrap();
    assert_eq!(word(judge(&log_of(&entries[..50]), last)), "rollback");
    let mut rewritten = entries.clone();
    rewritten[usize::try_from(last.index()).unwrap()] = entry(999).bytes().to_vec();
    assert_eq!(word(judge(&log_of(&rewritten), last)), "fork");
    // Another log's receipt is no evidence about this one.
    let stranger = LogKeys::new("vault.example", key(8)).unwrap();
    let mut other = Files::new();
    publish(&mut other, Tail::default(), &entries);
    let vkey = stranger.vkey(ORIGIN);
    assert!(!verify_log(&other, &vkey, Some(Since::from_text(&last.header()))).unwrap().ok);
}

#[tokio::test]
async fn a_receipt_verifies_offline_and_no_changed_byte_of_it_does() {
    let (receipts, _) = acknowledged().await;
    let receipt = receipts.iter().max_by_key(|receipt| receipt.header().len()).unwrap();
    let (text, leaf) = (receipt.header(), receipt.leaf_hash());
    let keys = [keys().verifying_key()];
    let holds = |text: &str| {
        LedgerReceipt::parse(text).is_ok_and(|parsed| parsed.verify(ORIGIN, &leaf, &keys).is_ok())
    };
    assert!(holds(&text));
    assert!(text.contains(";q=") && !text.contains(";q=;"), "{text}");
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(!holds(&changed), "byte {at} bit {bit}: {changed}");
            }
        }
    }
    let parsed = LedgerReceipt::parse(&text).unwrap();
    assert!(parsed.verify(ORIGIN, &[0; 32], &keys).is_err());
    assert!(parsed.verify(ORIGIN, &leaf, &[]).is_err());
}
