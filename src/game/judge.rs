//! Whether two words are the same.

use super::word::Word;
use snowball_stemmers_rs::{Algorithm, Stemmer};
use std::fmt;

/// Says whether two words match.
///
/// It is asked once for each pair, before the command that completes it; what it said stands in the event. So a judge may
/// learn, and its dictionary may change: a replay never asks again.
pub trait Judge: Send + Sync {
    /// Whether the two words match. The order of the words makes no difference.
    fn judge(&self, first: &Word, second: &Word) -> Outcome;
}

/// Whether two words match: there is nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They do.
    Match,
    /// They do not.
    Miss,
}

/// What a judge said of two words. It holds for these and for no others.
///
/// ```
/// use scorebook::game::{EnglishJudge, Outcome, Verdict, Word};
/// let (theater, theatres) = (Word::new("theater").unwrap(), Word::new("Theatres").unwrap());
/// let verdict = Verdict::of(&EnglishJudge::new(), &theater, &theatres);
/// assert_eq!(verdict.outcome(), Outcome::Match);
/// assert!(verdict.is_on(&theatres, &theater));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    first: Word,
    second: Word,
    outcome: Outcome,
}

impl Verdict {
    /// Asks the judge.
    #[must_use]
    pub fn of(judge: &dyn Judge, first: &Word, second: &Word) -> Verdict {
        Verdict { first: first.clone(), second: second.clone(), outcome: judge.judge(first, second) }
    }

    /// What the judge said.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether it is about these two words, in whatever order.
    #[must_use]
    pub fn is_on(&self, one: &Word, other: &Word) -> bool {
        let said = (&self.first, &self.second);
        said == (one, other) || said == (other, one)
    }
}

/// The judge for English: two words match if they are the same without case, or have the same base form.
///
/// A base form is what a stemmer leaves of a word, after the forms of irregular verbs have become their verb and British
/// spellings American ones.
///
/// ```
/// use scorebook::game::{EnglishJudge, Judge, Outcome, Word};
/// let judge = |one, other| EnglishJudge::new().judge(&Word::new(one).unwrap(), &Word::new(other).unwrap());
/// assert_eq!(judge("coloured", "colors"), Outcome::Match);
/// assert_eq!(judge("ran", "running"), Outcome::Match);
/// assert_eq!(judge("run", "walk"), Outcome::Miss);
/// ```
pub struct EnglishJudge {
    stemmer: Stemmer,
}

/// The irregular verbs that the judge knows, each with its forms.
const IRREGULAR: [(&str, &[&str]); 10] = [
    ("be", &["am", "is", "are", "was", "were", "been", "being"]),
    ("run", &["runs", "ran", "running"]),
    ("go", &["goes", "went", "gone", "going"]),
    ("do", &["does", "did", "done", "doing"]),
    ("have", &["has", "had", "having"]),
    ("see", &["sees", "saw", "seen", "seeing"]),
    ("eat", &["eats", "ate", "eaten", "eating"]),
    ("take", &["takes", "took", "taken", "taking"]),
    ("make", &["makes", "made", "making"]),
    ("come", &["comes", "came", "coming"]),
];

/// A spelling of one side of the ocean and its counterpart, what may stand behind it, and how many letters stand before it at
/// least, a vowel among them: `our` makes no `or` of `four` or `scour`, nor `ise` an `ize` of `prise`.
struct Regional {
    british: &'static str,
    american: &'static str,
    endings: &'static [&'static str],
    letters_before: usize,
}

const REGIONAL: [Regional; 8] = [
    Regional {
        british: "our",
        american: "or",
        endings: &["", "s", "ed", "ing", "er", "ers", "able", "ably", "ful", "fully", "less", "ite", "ites"],
        letters_before: 2,
    },
    Regional { british: "yse", american: "yze", endings: &["", "s", "d", "r", "rs"], letters_before: 2 },
    Regional { british: "ysing", american: "yzing", endings: &["", "s"], letters_before: 2 },
    Regional { british: "ise", american: "ize", endings: &["", "s", "d", "r", "rs"], letters_before: 3 },
    Regional { british: "ising", american: "izing", endings: &["", "s"], letters_before: 3 },
    Regional { british: "isation", american: "ization", endings: &["", "s", "al"], letters_before: 3 },
    Regional { british: "tre", american: "ter", endings: &["", "s"], letters_before: 2 },
    Regional { british: "bre", american: "ber", endings: &["", "s"], letters_before: 2 },
];

const VOWELS: [char; 6] = ['a', 'e', 'i', 'o', 'u', 'y'];

impl EnglishJudge {
    /// A judge. Those who judge often keep it.
    #[must_use]
    pub fn new() -> EnglishJudge {
        EnglishJudge { stemmer: Stemmer::create(Algorithm::English) }
    }

    /// What all forms of a word have in common. Not always a word: of `happiness` it is `happi`.
    #[must_use]
    pub fn base_form(&self, word: &Word) -> String {
        let word = word.folded();
        let is_form = |(verb, forms): &&(&str, &[&str])| *verb == word || forms.contains(&&*word);
        match IRREGULAR.iter().find(is_form) {
            Some((verb, _)) => (*verb).to_owned(),
            None => self.stemmer.stem(&american(&word)).into_owned(),
        }
    }
}

/// The American spelling of a word.
fn american(word: &str) -> String {
    for Regional { british, american, endings, letters_before } in &REGIONAL {
        for ending in *endings {
            let before = word.strip_suffix(ending).and_then(|word| word.strip_suffix(british));
            let is_stem = |before: &&str| *letters_before <= before.chars().count() && before.contains(VOWELS);
            if let Some(before) = before.filter(is_stem) {
                return format!("{before}{american}{ending}");
            }
        }
    }
    word.to_owned()
}

impl Judge for EnglishJudge {
    fn judge(&self, first: &Word, second: &Word) -> Outcome {
        let is_match = first.is_same(second) || self.base_form(first) == self.base_form(second);
        if is_match { Outcome::Match } else { Outcome::Miss }
    }
}

impl Default for EnglishJudge {
    fn default() -> EnglishJudge {
        EnglishJudge::new()
    }
}

impl fmt::Debug for EnglishJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("judge for English")
    }
}
