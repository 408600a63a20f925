//! What comes to people's minds when they see a word, or two: something that others think of as well, often enough.

use crate::cli::demo::chance::{Chance, mixed, mixed_text};
use scorebook::game::{EnglishWords, GIVE_UP, Word, Words};

/// The words that people know, and what they think of.
pub(crate) struct Mind {
    words: EnglishWords,
}

/// Words that nobody finds in a dictionary.
const INVENTED: [&str; 4] = ["qwxzt", "flurbish", "zzyx", "grimblewock"];

impl Mind {
    pub(crate) fn new() -> Mind {
        Mind { words: EnglishWords::new() }
    }

    /// What somebody says who sees these words: the own one, and the partner's where both were said. `tries` is how often they
    /// have been refused something since.
    pub(crate) fn say(&self, own: &Word, partner: Option<&Word>, tries: u32, chance: &mut Chance) -> String {
        match chance.below(1_000) {
            0..15 => GIVE_UP.to_owned(),
            15..30 => INVENTED[chance.place(INVENTED.len())].to_owned(),
            30..40 => self.word(chance.next()),
            // Something that everybody has on their mind.
            40..60 if partner.is_none() => self.thought(0, 0),
            _ => {
                let seen = match partner {
                    // Both see the same two, and think the same way about them.
                    Some(partner) => mixed_text(&own.folded()) ^ mixed_text(&partner.folded()),
                    None => mixed_text(&own.folded()),
                };
                let usual = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3][chance.place(10)];
                let word = self.thought(seen, usual + u64::from(tries));
                self.inflected(word, chance)
            }
        }
    }

    /// A name that somebody could have.
    pub(crate) fn name(&self, number: u64) -> String {
        let word = self.word(mixed(number));
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        format!("{}{rest}", first.to_uppercase())
    }

    /// Of what is thought of, the one that comes as so-manieth.
    fn thought(&self, seen: u64, place: u64) -> String {
        self.word(mixed(seen ^ mixed(place)))
    }

    fn word(&self, number: u64) -> String {
        let place = usize::try_from(number % self.words.count().max(1) as u64).unwrap_or(0);
        self.words.word(place).map_or_else(|| "word".to_owned(), |word| word.to_string())
    }

    /// The same word, sometimes as another would write it.
    fn inflected(&self, word: String, chance: &mut Chance) -> String {
        match chance.below(20) {
            0 => format!("{word}s"),
            1 => word.to_uppercase(),
            _ => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorebook::game::{EnglishJudge, Judge, Outcome};

    #[test]
    fn two_who_see_the_same_words_meet_after_a_few_attempts() {
        let (mind, judge, mut chance) = (Mind::new(), EnglishJudge::new(), Chance::new(3));
        let mut matches = 0;
        for _ in 0..1_000 {
            let [one, other] = [0; 2].map(|_: i32| Word::new(&mind.word(chance.next())).expect("a word"));
            let first = Word::new(&mind.say(&one, Some(&other), 0, &mut chance));
            let second = Word::new(&mind.say(&other, Some(&one), 0, &mut chance));
            if let (Ok(first), Ok(second)) = (first, second) {
                matches += u32::from(judge.judge(&first, &second) == Outcome::Match);
            }
        }
        assert!((200..600).contains(&matches), "{matches} of 1000");
    }
}
