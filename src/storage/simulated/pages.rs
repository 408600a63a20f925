//! Bytes in pages that copies share until one of them writes.

use crate::sync::Arc;

/// A sector is old or new and never a mixture.
pub(super) const SECTOR_BYTES: usize = 512;
/// Tests copy whole disks for every state they look at, and then change little.
const PAGE_BYTES: usize = 4_096;
const _: () = assert!(PAGE_BYTES.is_multiple_of(SECTOR_BYTES));

pub(super) type Sector = [u8; SECTOR_BYTES];
type Page = [u8; PAGE_BYTES];

static BLANK: Page = [0; PAGE_BYTES];

/// Bytes that grow at the end and are changed in place.
#[derive(Clone, Default)]
pub(super) struct Pages {
    /// INVARIANT: there are as many as the length needs, and what lies behind the length is zeros. `None` is a page of
    /// zeros.
    pages: Arc<Vec<Option<Arc<Page>>>>,
    len: usize,
}

impl Pages {
    pub(super) fn new(bytes: &[u8]) -> Pages {
        let mut pages = Pages::default();
        pages.write(bytes, 0);
        pages
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Reads until the buffer is full or the bytes end; how much was read.
    pub(super) fn read(&self, buffer: &mut [u8], start: usize) -> usize {
        let len = buffer.len().min(self.len.saturating_sub(start));
        let mut filled = 0;
        while filled < len {
            let (page, within) = split(start + filled);
            let more = (PAGE_BYTES - within).min(len - filled);
            buffer[filled..filled + more].copy_from_slice(&self.page(page)[within..within + more]);
            filled += more;
        }
        len
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Puts bytes at a place; what lies between the end and a place behind it becomes zeros.
    pub(super) fn write(&mut self, bytes: &[u8], start: usize) {
        self.grow(start + bytes.len());
        let mut written = 0;
        while written < bytes.len() {
            let (page, within) = split(start + written);
            let more = (PAGE_BYTES - within).min(bytes.len() - written);
            let piece = &bytes[written..written + more];
            // Zeros upon zeros take no room.
            if self.pages[page].is_some() || piece != &BLANK[..more] {
                self.page_mut(page)[within..within + more].copy_from_slice(piece);
            }
            written += more;
        }
    }

    /// A sector; what lies behind the end is zeros.
    pub(super) fn sector(&self, number: usize) -> &Sector {
        let (page, within) = split(number * SECTOR_BYTES);
        let bytes = &self.page(page)[within..within + SECTOR_BYTES];
        bytes.try_into().expect("a page is a number of sectors")
    }

    /// Puts a sector in its place, as far as that lies before the end.
    pub(super) fn put_sector(&mut self, number: usize, content: &Sector) {
        let start = number * SECTOR_BYTES;
        let len = self.len.saturating_sub(start).min(SECTOR_BYTES);
        if self.sector(number)[..len] != content[..len] {
            self.write(&content[..len], start);
        }
    }

    /// Cuts the bytes off where they are longer.
    pub(super) fn cut(&mut self, len: usize) {
        if self.len <= len {
            return;
        }
        self.len = len;
        let (page, within) = split(len);
        if within != 0 && self.pages[page].is_some() {
            self.page_mut(page)[within..].fill(0);
        }
        Arc::make_mut(&mut self.pages).truncate(len.div_ceil(PAGE_BYTES));
    }

    fn grow(&mut self, len: usize) {
        if self.len < len {
            self.len = len;
            let needed = len.div_ceil(PAGE_BYTES);
            if self.pages.len() < needed {
                Arc::make_mut(&mut self.pages).resize(needed, None);
            }
        }
    }

    fn page(&self, number: usize) -> &Page {
        self.pages.get(number).and_then(Option::as_deref).unwrap_or(&BLANK)
    }

    fn page_mut(&mut self, number: usize) -> &mut Page {
        let page = &mut Arc::make_mut(&mut self.pages)[number];
        Arc::make_mut(page.get_or_insert_with(|| Arc::new(BLANK)))
    }
}

/// The page a byte lies in, and its place there.
fn split(byte: usize) -> (usize, usize) {
    (byte / PAGE_BYTES, byte % PAGE_BYTES)
}
