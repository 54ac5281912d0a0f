//! The file beside the database in which SQLite keeps commits until they are moved into it.
//!
//! SQLite cuts that file silently at the first frame that is not right: so it must when a commit was
//! torn by a power cut, which nobody was told of. But when commits follow that somebody was told of,
//! they would vanish too. [`inspect`] tells the two apart before SQLite sees the file. [`Meter`]
//! counts what was written, by the headers of the frames.
//!
//! The format is described at <https://www.sqlite.org/fileformat2.html#walformat>.

mod meter;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) use meter::Meter;

use super::StoreError;
use super::schema::{PAGE_BYTES, PAGE_LEN, SOFT_PAGE};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Bytes of a page and its header.
pub(super) const FRAME_BYTES: u64 = PAGE_BYTES + FRAME_HEADER_BYTES as u64;
const MAGIC: u32 = 0x377f_0682;

/// What a look at the file showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inspected {
    /// Frames of complete commits.
    pub(super) sound_frames: u64,
    /// Bytes behind them of a commit that was not completed.
    pub(super) torn_bytes: u64,
    /// Commits that were on the disk once, and are no longer whole.
    pub(super) lost: Option<Lost>,
}

/// Where commits are damaged that somebody was told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Where in the file.
    pub(super) offset: u64,
    /// Complete commits behind that place; `None` when that cannot be told.
    pub(super) commits: Option<u64>,
}

impl Lost {
    pub(super) fn error(&self, path: &Path) -> StoreError {
        let behind = match self.commits {
            Some(commits) => format!("{commits} complete commits stand behind that place"),
            None => "it holds commits that are not in the database yet".to_owned(),
        };
        let what = format!(
            "its checksum is wrong at byte {}, and {behind}; `mqttd store repair` keeps what is \
             sound and says what is lost",
            self.offset
        );
        StoreError::Damaged { path: path.to_owned(), what }
    }
}

/// The file's name.
pub(super) fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

type Sums = [u32; 2];

/// The file's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    big_endian: bool,
    salt: [u8; 8],
    sums: Sums,
}

impl Header {
    /// `None` when it is not right.
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        if magic & !1 != MAGIC || u64::from(word(bytes, 8)) != PAGE_BYTES {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sums = checksum(big_endian, [0; 2], &bytes[..24]);
        let salt = *bytes[16..].first_chunk()?;
        (sums == [word(bytes, 24), word(bytes, 28)]).then_some(Self { big_endian, salt, sums })
    }
}

/// A frame as it stands in the file, right or not.
pub(super) struct Frame {
    bytes: Box<[u8]>,
}

impl Frame {
    fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEADER_BYTES + PAGE_LEN].into() }
    }

    /// `false` at the end of the file.
    fn read(&mut self, file: &mut impl Read) -> io::Result<bool> {
        match file.read_exact(&mut self.bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn page_number(&self) -> u32 {
        word(&self.bytes, 0)
    }

    /// Pages of the database behind this commit; zero when this is not the last of one.
    pub(super) fn commit_pages(&self) -> u32 {
        word(&self.bytes, 4)
    }

    fn salt(&self) -> &[u8] {
        &self.bytes[8..16]
    }

    fn sums(&self) -> Sums {
        [word(&self.bytes, 16), word(&self.bytes, 20)]
    }

    pub(super) fn page(&self) -> &[u8] {
        &self.bytes[FRAME_HEADER_BYTES..]
    }

    /// Whether it is right behind a frame of these sums.
    fn follows(&self, header: &Header, sums: Sums) -> bool {
        let sums = checksum(header.big_endian, sums, &self.bytes[..8]);
        self.salt() == header.salt && checksum(header.big_endian, sums, self.page()) == self.sums()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

fn checksum(big_endian: bool, sums: Sums, bytes: &[u8]) -> Sums {
    let [mut first, mut second] = sums;
    let (words, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in words {
        let (left, right) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        first = first.wrapping_add(read(left)).wrapping_add(second);
        second = second.wrapping_add(read(right)).wrapping_add(first);
    }
    [first, second]
}

/// Looks at the file beside a database; nothing is there is fine.
pub(super) fn inspect(database: &Path) -> Result<Inspected, StoreError> {
    let path = beside(database);
    let failed = |error: io::Error| StoreError::failed("cannot read", &path, &error);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Inspected::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER_BYTES];
    match reader.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Inspected::default());
        }
        Err(error) => return Err(failed(error)),
    }
    match Header::read(&header) {
        Some(header) => {
            let mut walk = Walk::new(header);
            walk.run(&mut reader, |_| Ok(())).map_err(failed)?;
            Ok(walk.inspected())
        }
        None => without_header(reader, database).map_err(failed),
    }
}

/// A header is written anew, and synced, when all frames are in the database: so a bad one is no
/// loss when they are.
fn without_header(mut reader: impl Read, database: &Path) -> io::Result<Inspected> {
    let mut latest: BTreeMap<u32, Frame> = BTreeMap::new();
    let mut pages = 0;
    let mut frames = Vec::new();
    let mut frame = Frame::new();
    while frame.read(&mut reader)? {
        frames.push(std::mem::replace(&mut frame, Frame::new()));
    }
    // The first frame shares a block with the header.
    let Some(salt) = frames.get(1).map(|frame| frame.salt().to_owned()) else {
        return Ok(Inspected::default());
    };
    let mut commit = BTreeMap::new();
    for frame in frames.into_iter().filter(|frame| frame.salt() == salt) {
        let commit_pages = frame.commit_pages();
        commit.insert(frame.page_number(), frame);
        if commit_pages > 0 {
            pages = commit_pages;
            latest.append(&mut commit);
        }
    }
    let database = File::open(database)?;
    let mut page = vec![0; PAGE_LEN];
    for (number, frame) in latest.range(1..=pages) {
        let at = (u64::from(*number) - 1) * PAGE_BYTES;
        if database.read_exact_at(&mut page, at).is_err() || page != frame.page() {
            let lost = Lost { offset: 0, commits: None };
            return Ok(Inspected { lost: Some(lost), ..Inspected::default() });
        }
    }
    Ok(Inspected::default())
}

/// A walk over the frames.
struct Walk {
    header: Header,
    /// Frames seen.
    frames: u64,
    sound_frames: u64,
    sums: Sums,
    /// The first frame that is not right, and the commits behind it.
    broken: Option<Broken>,
    torn_frames: u64,
}

#[derive(Debug, Default)]
struct Broken {
    at: u64,
    /// For each complete commit behind, whether it was synced before the next one began.
    synced: Vec<bool>,
    /// Whether the commit under way may not have been.
    soft: bool,
}

impl Walk {
    fn new(header: Header) -> Self {
        Self { header, frames: 0, sound_frames: 0, sums: header.sums, broken: None, torn_frames: 0 }
    }

    /// Goes to the end; hands over each frame that is right behind the one before it.
    fn run(
        &mut self,
        reader: &mut impl Read,
        mut each: impl FnMut(&Frame) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut frame, mut before) = (Frame::new(), Frame::new());
        let mut soft = false;
        while frame.read(reader)? {
            let number = self.frames;
            self.frames += 1;
            let ours = frame.salt() == self.header.salt;
            let right = frame.follows(&self.header, self.sums);
            if right {
                each(&frame)?;
            }
            if ours {
                self.torn_frames += 1;
            }
            // A commit is filled up to the end of a block with copies of its last page.
            let filler = frame.commit_pages() > 0
                && frame.page_number() == before.page_number()
                && frame.commit_pages() == before.commit_pages()
                && frame.page() == before.page();
            soft |= frame.page_number() == SOFT_PAGE || !ours;
            let commits = frame.commit_pages() > 0 && right;
            match &mut self.broken {
                None if !right => {
                    self.broken = Some(Broken { at: number, synced: Vec::new(), soft });
                }
                None => {
                    if commits {
                        self.sound_frames = number + 1;
                        self.torn_frames = 0;
                        soft = false;
                    }
                }
                Some(broken) => {
                    broken.soft |= soft;
                    if commits && !filler {
                        broken.synced.push(!broken.soft);
                        broken.soft = false;
                    }
                    soft = false;
                }
            }
            self.sums = frame.sums();
            std::mem::swap(&mut frame, &mut before);
        }
        Ok(())
    }

    fn inspected(&self) -> Inspected {
        let lost = self.broken.as_ref().and_then(|broken| {
            let (_, but_the_last) = broken.synced.split_last()?;
            but_the_last.contains(&true).then(|| Lost {
                offset: HEADER_BYTES as u64 + broken.at * FRAME_BYTES,
                commits: Some(broken.synced.len() as u64),
            })
        });
        let torn_bytes = self.torn_frames * FRAME_BYTES;
        Inspected { sound_frames: self.sound_frames, torn_bytes, lost }
    }
}
