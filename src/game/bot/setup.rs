//! What a bot plays with: the one place of the game that asks a clock and draws lots, unless it is told what to ask.

use crate::game::{EnglishJudge, EnglishWords, Judge, Moment, Words};
use scorebook::Timestamp;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// What a bot plays with.
#[derive(Clone)]
pub struct BotSetup {
    /// The dictionary. Default: [`EnglishWords`].
    pub words: Arc<dyn Words>,
    /// Says whether two words match. Default: [`EnglishJudge`].
    pub judge: Arc<dyn Judge>,
    /// What time it is. Default: the system's clock.
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// A number at each call that nobody foresees, for ids, words and names. Default: from the keys that the standard library
    /// draws for its hash maps: nobody foresees it who plays, but it is nothing to guard a secret with.
    pub chance: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for BotSetup {
    fn default() -> BotSetup {
        let drawn = AtomicU64::new(0);
        let keys = RandomState::new();
        BotSetup {
            words: Arc::new(EnglishWords::new()),
            judge: Arc::new(EnglishJudge::new()),
            clock: Arc::new(|| Moment::from(Timestamp::from(SystemTime::now()))),
            // Only that no two calls hash the same number matters, not in which order threads come.
            chance: Arc::new(move || keys.hash_one(drawn.fetch_add(1, Ordering::Relaxed))),
        }
    }
}

impl fmt::Debug for BotSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a dictionary of {} words to deal, a judge, a clock and chance", self.words.count())
    }
}
