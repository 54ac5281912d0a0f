//! Power cuts in a commit, bits that flip, disks that fill up: what was acknowledged is there, or
//! its loss is told.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::kit::{Chance, Picture, Truth};
use super::{copy_files, folder, open};
use crate::broker::{Class, Records};
use crate::store::{Options, SqliteStore, Store, StoreError, wal};

const BLOCK: usize = 4096;

/// The files of a store at some moment.
#[derive(Clone)]
struct Image {
    database: Vec<u8>,
    wal: Vec<u8>,
}

impl Image {
    fn of(path: &Path) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        Self { database: read(path), wal: read(&wal::beside(path)) }
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, &self.database).unwrap();
        std::fs::write(wal::beside(path), &self.wal).unwrap();
    }
}

/// Of the blocks that differ some are not written, or are destroyed; the file may be cut.
fn tear(before: &[u8], after: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut torn = after.to_vec();
    let way = chance.below(5);
    let odds = 1 + chance.below(4);
    for (number, block) in torn.chunks_mut(BLOCK).enumerate() {
        let at = number * BLOCK;
        let old = before.get(at..).unwrap_or_default();
        let old = &old[..old.len().min(block.len())];
        if old == block || !chance.one_in(odds) {
            continue;
        }
        match way {
            0 => block.fill(0),
            1 => block.iter_mut().for_each(|byte| *byte = chance.next().to_le_bytes()[0]),
            2 if at >= before.len() => {
                torn.truncate(at + chance.below(BLOCK));
                return torn;
            }
            _ => {
                block.fill(0);
                block[..old.len()].copy_from_slice(old);
            }
        }
    }
    torn
}

/// A commit that can be told from others: session 1 says its number.
fn commit(store: &mut SqliteStore, truth: &mut Truth, chance: &mut Chance, class: Class) {
    let mut batch = truth.batch(chance, 12);
    let mut mark = Records::default();
    truth.mark(&mut mark);
    batch.push(mark);
    store.commit(&batch, class).unwrap();
}

/// Opens what a power cut left; returns which of the states it is.
fn recovered(image: &Image, path: &Path, states: &[Truth]) -> usize {
    image.write(path);
    let mut store = SqliteStore::open(path, Options::default()).expect("a store that opens");
    let mut picture = Picture::default();
    store.recover(&mut picture, &mut |_| {}).expect("a store that can be read");
    let number = picture.sessions[&1].version;
    let at = states.iter().position(|state| state.number() == number).expect("one of the states");
    let mut truth = states[at].clone();
    truth.check(&mut store);
    // And it goes on.
    let mut chance = Chance::quiet(number);
    commit(&mut store, &mut truth, &mut chance, Class::Disk);
    drop(store);
    truth.check(&mut open(path));
    at
}

fn scratch(path: &Path) -> PathBuf {
    path.with_file_name("torn.db")
}

#[test]
fn a_power_cut_in_a_commit_leaves_it_whole_or_not_at_all() {
    for large in [false, true] {
        let (_folder, path) = folder();
        let mut chance = Chance::new(None);
        let mut truth = Truth::new(large);
        let mut store = open(&path);
        let mut seen = [0; 2];
        for _ in 0..6 {
            (0..3).for_each(|_| commit(&mut store, &mut truth, &mut chance, Class::Disk));
            let (acknowledged, before) = (truth.clone(), Image::of(&path));
            commit(&mut store, &mut truth, &mut chance, Class::Disk);
            let after = Image::of(&path);
            let states = [acknowledged, truth.clone()];
            for _ in 0..12 {
                let wal = tear(&before.wal, &after.wal, &mut chance);
                let image = Image { wal, database: after.database.clone() };
                seen[recovered(&image, &scratch(&path), &states)] += 1;
            }
        }
        assert!(seen[0] > 10, "{seen:?}");
    }
}

#[test]
fn a_power_cut_loses_of_commits_that_nobody_waited_for_only_the_last_ones() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store = open(&path);
    for _ in 0..6 {
        (0..3).for_each(|_| commit(&mut store, &mut truth, &mut chance, Class::Disk));
        let before = Image::of(&path);
        let mut states = vec![truth.clone()];
        for _ in 0..5 {
            commit(&mut store, &mut truth, &mut chance, Class::Os);
            states.push(truth.clone());
        }
        let after = Image::of(&path);
        for _ in 0..12 {
            let wal = tear(&before.wal, &after.wal, &mut chance);
            let image = Image { wal, database: after.database.clone() };
            recovered(&image, &scratch(&path), &states);
        }
    }
}

#[test]
fn a_power_cut_while_pages_are_moved_loses_nothing() {
    for large in [false, true] {
        let (_folder, path) = folder();
        let mut chance = Chance::new(None);
        let mut truth = Truth::new(large);
        let mut store = open(&path);
        for _ in 0..4 {
            (0..4).for_each(|_| commit(&mut store, &mut truth, &mut chance, Class::Disk));
            let before = Image::of(&path);
            store.move_pages().unwrap();
            let moved = Image::of(&path);
            assert_ne!(before.database, moved.database);
            let mut states = vec![truth.clone()];
            for _ in 0..6 {
                let database = tear(&before.database, &moved.database, &mut chance);
                let image = Image { database, wal: before.wal.clone() };
                assert_eq!(recovered(&image, &scratch(&path), &states), 0);
            }
            // The next commit begins the file beside the database anew.
            commit(&mut store, &mut truth, &mut chance, Class::Disk);
            let after = Image::of(&path);
            assert_ne!(after.wal[..32], moved.wal[..32]);
            states.push(truth.clone());
            // The new header was synced before anything else was written.
            let mut begun = moved.wal.clone();
            begun[..32].copy_from_slice(&after.wal[..32]);
            for _ in 0..6 {
                let wal = tear(&begun, &after.wal, &mut chance);
                let image = Image { wal, database: after.database.clone() };
                recovered(&image, &scratch(&path), &states);
            }
        }
    }
}

#[test]
fn a_bit_that_flips_in_an_acknowledged_commit_beside_the_database_is_found() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store = open(&path);
    let mut ends = Vec::new();
    for number in 0..30 {
        // Some that nobody waited for are among them.
        let class = if number % 7 == 3 { Class::Os } else { Class::Disk };
        commit(&mut store, &mut truth, &mut chance, class);
        ends.push(Image::of(&path).wal.len());
    }
    let image = Image::of(&path);
    // The last two may look as if they were torn.
    let acknowledged = ends[ends.len() - 3];
    for _ in 0..100 {
        let mut flipped = image.clone();
        // Behind the magic number, which says for itself that it is wrong.
        let at = 32 + chance.below(acknowledged - 32);
        flipped.wal[at] ^= 1 << chance.below(8);
        flipped.write(&scratch(&path));
        match SqliteStore::open(&scratch(&path), Options::default()) {
            Err(StoreError::Damaged { what, .. }) => {
                assert!(what.contains("store repair"), "{what}")
            }
            other => panic!("a flip at {at} of {acknowledged}: {other:?}"),
        }
    }
    for at in 0..32 {
        let mut flipped = image.clone();
        flipped.wal[at] ^= 1 << chance.below(8);
        flipped.write(&scratch(&path));
        let opened = SqliteStore::open(&scratch(&path), Options::default());
        assert!(matches!(opened, Err(StoreError::Damaged { .. })), "a flip at {at}: {opened:?}");
    }
}

#[test]
fn a_bit_that_flips_in_the_database_is_found_when_it_matters() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(true);
    let mut store = open(&path);
    (0..30).for_each(|_| commit(&mut store, &mut truth, &mut chance, Class::Disk));
    drop(store);
    let size = std::fs::metadata(&path).unwrap().len();
    let mut found = 0;
    for _ in 0..150 {
        let copy = scratch(&path);
        copy_files(&path, &copy);
        let at = chance.next() % size;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&copy).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << chance.below(8);
        file.write_all_at(&byte, at).unwrap();
        drop(file);
        found += usize::from(!truth.clone().is_there_or_missed(&copy));
        let _ = std::fs::remove_file(wal::beside(&copy));
    }
    assert!(found > 50, "{found}");
}
