//! How long things took, of any number of them.

use std::time::Duration;

/// So many buckets for each doubling: a time is told to within a sixteenth.
const PARTS: u32 = 16;

/// So many doublings there are, from a microsecond on: an hour is within.
const DOUBLINGS: u32 = 33;

/// Times, counted by size: what it takes does not grow with their number.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    counts: Vec<u64>,
}

impl Default for Times {
    fn default() -> Times {
        Times { counts: vec![0; (PARTS * DOUBLINGS) as usize] }
    }
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        let micros = (time.as_secs_f64() * 1e6).max(1.0);
        let bucket = (micros.log2() * f64::from(PARTS)).min(f64::from(PARTS * DOUBLINGS - 1));
        // Between 0 and the last bucket, by what stands above.
        self.counts[bucket as usize] += 1;
    }

    pub(crate) fn take_in(&mut self, other: &Times) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time within which so many percent of them were.
    pub(crate) fn within(&self, percent: u64) -> Duration {
        let wanted = (self.count() * percent).div_ceil(100).max(1);
        let mut counted = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            counted += count;
            if wanted <= counted {
                let micros = (bucket as f64 / f64::from(PARTS)).exp2();
                return Duration::from_secs_f64(micros / 1e6);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_times_the_middle_and_the_last_are_known_to_a_sixteenth() {
        let mut times = Times::default();
        (1..=1_000).for_each(|ms| times.add(Duration::from_millis(ms)));
        let check = |percent, ms: f64| {
            let within = times.within(percent).as_secs_f64() * 1e3;
            assert!((within / ms - 1.0).abs() < 0.07, "{within} is not {ms}");
        };
        check(50, 500.0);
        check(99, 990.0);
        assert_eq!((times.count(), Times::default().within(50)), (1_000, Duration::ZERO));
    }
}
