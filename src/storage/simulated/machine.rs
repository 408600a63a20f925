//! The machine around a simulated disk: its clocks, its randomness and the name of this run.

use crate::storage::disk::system_random;
use crate::time::Timestamp;
use std::io;
use std::time::{Duration, Instant, SystemTime};

/// What the machine gives beside its disk: time, randomness and a name for this run of it.
#[derive(Clone)]
pub(super) enum Machine {
    /// Follows from a seed.
    Counted { boot: u64, time: i64, elapsed: Duration, random: SplitMix },
    /// The real one.
    Real { began: Instant },
}

/// The wall clock of a new disk: 14 November 2023.
const FIRST_TIME: i64 = 1_700_000_000_000_000_000;
/// How far a clock goes on each time it is looked at: 1 µs.
const TICK_NANOS: i64 = 1_000;

impl Machine {
    pub(super) fn counted(seed: u64) -> Machine {
        let mut random = SplitMix(seed);
        Machine::Counted { boot: random.next(), time: FIRST_TIME, elapsed: Duration::ZERO, random }
    }

    pub(super) fn real() -> Machine {
        Machine::Real { began: Instant::now() }
    }

    /// The same machine after a power cut: the clock goes on, the run is another.
    pub(super) fn rebooted(&self) -> Machine {
        let mut machine = self.clone();
        if let Machine::Counted { boot, random, .. } = &mut machine {
            *boot = random.next();
        }
        machine
    }

    pub(super) fn boot_id(&self) -> [u8; 16] {
        match self {
            // All zeros would say that it is unknown.
            Machine::Counted { boot, .. } => (u128::from(*boot) << 64 | 1).to_be_bytes(),
            Machine::Real { .. } => [0; 16],
        }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        match self {
            Machine::Counted { time, .. } => {
                *time = time.saturating_add(TICK_NANOS);
                Timestamp::from_nanos(*time)
            }
            Machine::Real { .. } => SystemTime::now().into(),
        }
    }

    pub(super) fn elapsed(&mut self) -> Duration {
        match self {
            Machine::Counted { elapsed, .. } => {
                *elapsed = elapsed.saturating_add(Duration::from_nanos(TICK_NANOS.unsigned_abs()));
                *elapsed
            }
            Machine::Real { began } => began.elapsed(),
        }
    }

    pub(super) fn random(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Machine::Counted { random, .. } => {
                for chunk in bytes.chunks_mut(size_of::<u64>()) {
                    chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
                }
                Ok(())
            }
            Machine::Real { .. } => system_random(bytes),
        }
    }

    pub(super) fn set_time(&mut self, to: Timestamp) {
        if let Machine::Counted { time, .. } = self {
            *time = to.nanos();
        }
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        if let Machine::Counted { time, elapsed, .. } = self {
            *time = time.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
            *elapsed = elapsed.saturating_add(duration);
        }
    }
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), with the
/// constants of Vigna's `splitmix64.c`, which is in the public domain.
#[derive(Clone, Debug)]
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
