//! Running a body under a model checker.

use super::{Arc, Condvar, JoinHandle, Mutex, ThreadBuilder};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

/// The stack of a thread. What the checkers give is little.
#[cfg(scorebook_loom)]
const STACK_WORDS: usize = 64 * 1024;
#[cfg(scorebook_shuttle)]
const STACK_BYTES: usize = 512 * 1024;

/// Begins a thread of a model.
pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(scorebook_loom)]
    let builder = ThreadBuilder::new().stack_size(STACK_WORDS);
    #[cfg(scorebook_shuttle)]
    let builder = ThreadBuilder::new().stack_size(STACK_BYTES);
    builder.spawn(body).expect("a model has room for its threads")
}

/// Runs a future to its end on this thread. A wake-up that is lost is a thread that sleeps for ever, and is found.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Alarm {
        has_rung: Mutex<bool>,
        rung: Condvar,
    }

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            *self.has_rung.lock() = true;
            self.rung.notify_one();
        }
    }

    let alarm = Arc::new(Alarm { has_rung: Mutex::new(false), rung: Condvar::new() });
    let waker = Waker::from(alarm.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let mut has_rung = alarm.has_rung.lock();
        while !*has_rung {
            alarm.rung.wait(&mut has_rung);
        }
        *has_rung = false;
    }
}

/// Runs a body under every schedule with at most this many moments at which a thread has to stop that could go on.
///
/// `LOOM_MAX_PREEMPTIONS` asks for another number. A failing schedule can be looked at with `LOOM_LOG=trace` and
/// `LOOM_LOCATION=1`.
#[cfg(scorebook_loom)]
pub(crate) fn explore(name: &str, preemptions: usize, body: fn()) {
    use super::{Ordering, ProcessCounter};
    let explored = Arc::new(ProcessCounter::new(0));
    let counted = explored.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(preemptions));
    model.max_branches = 20_000;
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        // The first thread of a model has a stack of its own size.
        spawn(body).join().expect("the body ends");
    });
    tell(&format!("{name}: {} interleavings", explored.load(Ordering::Relaxed)));
}

/// Runs a body under many schedules, half of them by chance and half with few preemptions at places chosen by chance.
///
/// `SCOREBOOK_SCHEDULES` says how many, 2,000 by default, and `SCOREBOOK_SEED` which. A failing one is printed as a string
/// of digits and letters; `SCOREBOOK_REPLAY`, set to that string or to the name of a file that holds it, runs it again, and
/// nothing else.
#[cfg(scorebook_shuttle)]
pub(crate) fn explore(name: &str, body: fn()) {
    use shuttle::Runner;
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
    /// How many times the order of the threads changes where no thread has to stop.
    const DEPTH: usize = 4;
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    // More than ten times what the longest takes: to wait in vain while another thread looks again and again is a failure
    // too.
    config.max_steps = shuttle::MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    if let Ok(schedule) = std::env::var("SCOREBOOK_REPLAY") {
        let replay = match std::path::Path::new(&schedule).exists() {
            true => ReplayScheduler::new_from_file(schedule).expect("a file with a schedule"),
            false => ReplayScheduler::new_from_encoded(&schedule),
        };
        Runner::new(replay, config).run(body);
        return;
    }
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (schedules, seed) = (number("SCOREBOOK_SCHEDULES", 2_000), number("SCOREBOOK_SEED", 7));
    tell(&format!("{name}: seed {seed}"));
    let half = schedules.div_ceil(2) as usize;
    Runner::new(RandomScheduler::new_from_seed(seed, half), config.clone()).run(body);
    Runner::new(PctScheduler::new_from_seed(seed, DEPTH, half), config).run(body);
    tell(&format!("{name}: {} schedules", 2 * half));
}

/// A number below a bound, as the schedule has it.
#[cfg(scorebook_shuttle)]
pub(crate) fn chance(bound: u64) -> u64 {
    use shuttle::rand::Rng as _;
    shuttle::rand::thread_rng().gen_range(0..bound)
}

/// Says how much was tried, also where the output of tests that hold is not shown.
fn tell(text: &str) {
    use std::io::Write as _;
    // Nobody is worse off where that cannot be said.
    let _ = writeln!(std::io::stdout(), "{text}");
}
