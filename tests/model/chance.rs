//! Choices: from a seed, or from the bytes of a fuzzer.

/// Where choices come from.
pub(crate) trait Choices {
    /// A number below `bound`, or 0 where nothing is below it.
    fn below(&mut self, bound: usize) -> usize;

    /// True once in so many times.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T
    where
        Self: Sized,
    {
        &of[self.below(of.len())]
    }
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Choices for Chance {
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Choices that were made before and are read from bytes, one for each choice (two for a wide one). Behind the last byte
/// every choice is the first there is. A change of one byte changes one choice, which suits fuzzers and shrinking.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl Script<'_> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

impl Choices for Script<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let width = if bound <= 256 { 1 } else { 2 };
        let (now, later) = self.0.split_at(width.min(self.0.len()));
        self.0 = later;
        now.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) % bound.max(1)
    }
}

/// The seed of a test: another one can be given from outside.
pub(crate) fn seed() -> u64 {
    std::env::var("SCOREBOOK_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261)
}
