//! Published files: planning, continuing, reading back, and what tlog_tiles makes of them.

use leadvault_ledger::publish::{Tail, TailError, prunable_bundles};
use leadvault_ledger::tile::{TileError, TilePath};
use leadvault_ledger::tree::{Frontier, leaf_hash, root, verify_consistency, verify_inclusion};
use leadvault_ledger::{Checkpoint, DirSource, Hash, LogSource, proof, verify_log};
use proptest::prelude::*;
use tlog_tiles::{HashReader as _, Tile, TileHashReader, TileReader};

use crate::support::{
    Files, ORIGIN, demo_entries, demo_entry, log_in_steps, log_of, publish, vkey, vkeys,
};

fn leaves(entries: &[Vec<u8>]) -> Vec<Hash> {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}

fn checkpoint(files: &Files) -> Checkpoint {
    Checkpoint::open(&files["checkpoint"], &vkeys()).unwrap()
}

/// Our files, read by their reader.
struct TheirReader<'a>(&'a Files);

impl TileReader for TheirReader<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &Tile| tile.path().replacen("tile/8/", "tile/", 1);
        let file = |tile| self.0.get(&path(tile)).cloned();
        tiles.iter().map(|tile| file(tile).ok_or(tlog_tiles::Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_reads_our_tiles_and_finds_its_own_root_and_leaves() {
    for n in [1, 5, 255, 256, 257, 600, 66_000] {
        let entries: Vec<Vec<u8>> = (0..n).map(|i: u32| i.to_be_bytes().to_vec()).collect();
        let files = log_of(&entries);
        let signed = checkpoint(&files);
        let reader = TheirReader(&files);
        let (size, top) = (u64::from(n), tlog_tiles::Hash(signed.root));
        let hashes = TileHashReader::new(size, top, &reader);
        assert_eq!(tlog_tiles::tree_hash(size, &hashes).unwrap().0, root(&leaves(&entries)));
        let last = tlog_tiles::stored_hash_index(0, size - 1);
        let read = hashes.read_hashes(&[last]).unwrap();
        assert_eq!(read[0].0, leaf_hash(entries.last().unwrap()));
        let path = tlog_tiles::prove_record(size, size / 2, &hashes).unwrap();
        let ours = proof::inclusion(&files, size / 2, &signed).unwrap();
        assert_eq!(path.iter().map(|h| h.0).collect::<Vec<_>>(), ours.path);
    }
}

#[test]
fn every_path_is_one_that_tlog_tiles_would_name() {
    let files = log_of(&demo_entries(600));
    let mut named: Vec<String> = Tile::new_tiles(8, 0, 600)
        .iter()
        .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
        .collect();
    let bundles = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"];
    named.extend(bundles.map(str::to_owned));
    named.push("checkpoint".to_owned());
    named.sort();
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), named);
}

#[test]
fn nothing_new_makes_no_file() {
    let (_, tail) = log_in_steps(&demo_entries(300), 300);
    assert_eq!(tail.clone().plan([]).unwrap().files, []);
    assert_eq!(Tail::default().plan([]).unwrap().files, []);
    let too_long = vec![0; 65_536];
    assert_eq!(tail.plan([too_long.as_slice()]).unwrap_err(), TailError::EntryTooLarge);
}

#[test]
fn full_tiles_supersede_partial_ones_and_bundles_come_first() {
    let entries = demo_entries(300);
    let (mut files, tail) = log_in_steps(&entries[..200], 200);
    let plan = publish(&mut files, tail, &entries[200..]);
    let paths: Vec<_> = plan.files.iter().map(|file| file.path.as_str()).collect();
    let expected = [
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ];
    assert_eq!(paths, expected);
    assert_eq!(plan.superseded, ["tile/0/000.p", "tile/entries/000.p"]);
    for file in &plan.files {
        assert!(TilePath::parse(&file.path).is_some(), "{}", file.path);
    }
    // Whoever collects what is superseded takes nothing that the checkpoint covers.
    files.retain(|path, _| !plan.superseded.iter().any(|dir| path.starts_with(dir.as_str())));
    assert!(verify_log(&files, &vkey(), None).unwrap().ok);
}

#[test]
fn a_log_is_continued_from_its_files_alone() {
    let entries = demo_entries(1000);
    let (mut files, tail) = log_in_steps(&entries[..700], 123);
    let loaded = Tail::load(&files, tail.frontier().clone()).unwrap();
    assert_eq!(loaded, tail);
    let continued = publish(&mut files, loaded, &entries[700..]);
    assert_eq!(continued.tail, log_in_steps(&entries, 1000).1);
    assert!(verify_log(&files, &vkey(), None).unwrap().ok);
}

#[test]
fn a_log_whose_files_disagree_with_the_frontier_is_not_continued() {
    let (files, tail) = log_in_steps(&demo_entries(700), 700);
    let mut other = Frontier::default();
    (0..700).for_each(|i: u32| other.push(leaf_hash(&i.to_be_bytes())));
    assert_eq!(Tail::load(&files, other).unwrap_err(), TailError::Mismatch);
    for path in ["tile/entries/002.p/188", "tile/0/002.p/188", "tile/1/000.p/2"] {
        let mut gone = files.clone();
        gone.remove(path);
        let missing = TailError::Tile(TileError::Missing(path.to_owned()));
        assert_eq!(Tail::load(&gone, tail.frontier().clone()).unwrap_err(), missing);
        let mut flipped = files.clone();
        flipped.get_mut(path).unwrap()[40] ^= 1;
        assert!(Tail::load(&flipped, tail.frontier().clone()).is_err(), "{path}");
    }
}

#[test]
fn proofs_from_tiles_hold_at_every_size_up_to_the_published_one() {
    let entries = demo_entries(600);
    let (files, _) = log_in_steps(&entries, 600);
    let (all, signed) = (leaves(&entries), checkpoint(&files));
    for size in [1_usize, 2, 255, 256, 257, 511, 599, 600] {
        let top = root(&all[..size]);
        assert_eq!(proof::root_at(&files, size as u64, 600).unwrap(), top);
        for index in [0, size / 2, size - 1] {
            let found = proof::inclusion_at(&files, index as u64, size as u64, 600).unwrap();
            let (index, size) = (index as u64, size as u64);
            assert!(verify_inclusion(index, size, &found.leaf_hash, &found.path, &top));
        }
        let old = Checkpoint { origin: ORIGIN.to_owned(), size: size as u64, root: top };
        let path = proof::consistency(&files, &old, &signed).unwrap();
        assert!(verify_consistency(size as u64, 600, &top, &signed.root, &path));
        let forked = Checkpoint { root: [0; 32], ..old };
        assert_eq!(
            proof::consistency(&files, &forked, &signed),
            Err(proof::ProofError::RootMismatch)
        );
    }
    assert_eq!(proof::inclusion(&files, 600, &signed), Err(proof::ProofError::Beyond));
    assert!(proof::inclusion_at(&files, 0, 601, 600).is_err());
    let missing = TileError::Missing("tile/0/000".to_owned());
    let mut gone = files.clone();
    gone.remove("tile/0/000");
    assert_eq!(proof::inclusion(&gone, 3, &signed), Err(missing.into()));
    let mut flipped = files;
    flipped.get_mut("tile/0/000").unwrap()[0] ^= 1;
    assert_eq!(proof::inclusion(&flipped, 0, &signed), Err(proof::ProofError::RootMismatch));
}

#[test]
fn a_tlog_proof_stands_alone() {
    let files = log_of(&demo_entries(300));
    let found = proof::inclusion(&files, 77, &checkpoint(&files)).unwrap();
    let note = String::from_utf8(files["checkpoint"].clone()).unwrap();
    let proof = proof::TlogProof { index: 77, path: found.path, checkpoint: note };
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 77\n"), "{text}");
    let read = proof::TlogProof::parse(&text).unwrap();
    assert_eq!(read, proof);
    assert!(read.verify(&leaf_hash(&demo_entry(77)), &vkeys()));
    assert!(!read.verify(&leaf_hash(&demo_entry(78)), &vkeys()));
    for changed in
        [text.replace("77", "077"), text.replace("@v1", "@v2"), text.replacen('\n', "\n\n", 1)]
    {
        assert_eq!(proof::TlogProof::parse(&changed), None);
    }
}

#[test]
fn only_bundles_that_lie_below_the_limit_are_pruned() {
    let paths = |from, to| prunable_bundles(from, to).collect::<Vec<_>>();
    assert_eq!(paths(0, 255), Vec::<String>::new());
    assert_eq!(paths(0, 600), ["tile/entries/000", "tile/entries/001"]);
    assert_eq!(paths(512, 1024), ["tile/entries/002", "tile/entries/003"]);
}

#[test]
fn a_directory_is_a_source_and_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for (path, bytes) in log_of(&demo_entries(300)) {
        let file = log.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    std::fs::write(dir.path().join("secret"), b"x").unwrap();
    let source = DirSource::new(&log);
    assert!(verify_log(&source, &vkey(), None).unwrap().ok);
    assert_eq!(source.read("../secret"), Ok(None));
    assert_eq!(source.read("tile"), Ok(None));
    assert_eq!(source.read("checkpoint/x"), Ok(None));
    assert_eq!(DirSource::new(dir.path()).read("secret"), Ok(Some(b"x".to_vec())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn however_it_is_published_the_log_is_the_same(n in 0_u32..1200, step in 1_usize..500) {
        let entries: Vec<Vec<u8>> = (0..n).map(|i| i.to_be_bytes().to_vec()).collect();
        let (stepped, tail) = log_in_steps(&entries, step);
        let once = log_of(&entries);
        if n > 0 {
            prop_assert!(verify_log(&stepped, &vkey(), None).unwrap().ok);
            for (path, bytes) in &once {
                prop_assert_eq!(stepped.get(path), Some(bytes));
            }
        }
        let verdict = verify_log(&once, &vkey(), None).unwrap();
        prop_assert!(verdict.ok && verdict.size == u64::from(n), "{:?}", verdict);
        prop_assert_eq!(tail.frontier().root(), root(&leaves(&entries)));
        prop_assert_eq!(Frontier::from_bytes(&tail.frontier().to_bytes()).unwrap(), tail.frontier().clone());
    }
}
