//! What is not in a segment, told by one look: a Bloom filter of which each term has its own line of 64 bytes.
//!
//! Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters (2007), the blocked kind. With 12 bits a term
//! and six of them set, about one in a hundred that are not there looks as if it were.

use super::blocks::{Blocks, Doubt};
use crate::format::Term;

const LINE: usize = 64;
const BITS_A_TERM: usize = 12;
const BITS_SET: u32 = 6;

/// A filter that is being filled, made for so many terms.
#[derive(Debug)]
pub(super) struct Filling(Vec<u8>);

impl Filling {
    pub(super) fn of(terms: usize) -> Filling {
        Filling(vec![0; len_of(terms)])
    }

    pub(super) fn add(&mut self, term: Term) {
        let lines = self.0.len() / LINE;
        if lines != 0 {
            let begin = term.guess(lines) * LINE;
            bits(term).for_each(|bit| self.0[begin + bit / 8] |= 1 << (bit % 8));
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// How many bytes a filter of so many terms has.
pub(super) fn len_of(terms: usize) -> usize {
    terms.saturating_mul(BITS_A_TERM).div_ceil(8 * LINE) * LINE
}

/// Whether a term may be among those of a filter of `len` bytes that begins at a place.
pub(super) fn may_have(blocks: &Blocks, begin: usize, len: usize, term: Term) -> Result<bool, Doubt> {
    if len < LINE {
        return Ok(false);
    }
    let line = blocks.get(begin + term.guess(len / LINE) * LINE, LINE)?;
    Ok(bits(term).all(|bit| line[bit / 8] & (1 << (bit % 8)) != 0))
}

/// Which bits of its line a term sets.
fn bits(term: Term) -> impl Iterator<Item = usize> {
    let hash = term.hash();
    (0..BITS_SET).map(move |number| (hash >> (9 * number)) as usize % (8 * LINE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::TermHasher;

    #[test]
    fn nothing_that_is_there_is_missed_and_little_else_is_met() {
        let hasher = TermHasher::new([3; 16]);
        let keys = |from: u32, to: u32| (from..to).map(|number| hasher.key(&number.to_string())).collect::<Vec<_>>();
        for count in [0, 1, 40, 5_000] {
            let mut filling = Filling::of(count as usize);
            keys(0, count).iter().for_each(|term| filling.add(*term));
            let filter = filling.finish();
            let (len, blocks) = (filter.len(), Blocks::in_memory(filter));
            let has = |term: &Term| may_have(&blocks, 0, len, *term).expect("it is in memory");
            assert!(keys(0, count).iter().all(has), "{count}");
            let met = keys(count, count + 10_000).iter().filter(|term| has(term)).count();
            assert!(met < 300, "{met} of 10,000 that are not there look as if they were, beside {count}");
        }
    }
}
