//! Words, and whether two of them match.

use super::game::word;
use crate::model::{Chance, Choices};
use scorebook::game::*;

#[track_caller]
fn check_judge(one: &str, other: &str, expected: Outcome) {
    let judge = EnglishJudge::new();
    assert_eq!(judge.judge(&word(one), &word(other)), expected, "{one} and {other}");
    assert_eq!(judge.judge(&word(other), &word(one)), expected, "{other} and {one}");
}

/// 2.3, "match: color/colour, colors, coloured · analyze/analyse/analysing · theater/theatre/theatres · cat/cats · box/boxes ·
/// run/running/ran · be/was"
#[test]
fn the_examples_of_matches_match() {
    for same in [
        &["color", "colour", "colors", "coloured"][..],
        &["analyze", "analyse", "analysing"],
        &["theater", "theatre", "theatres"],
        &["cat", "cats"],
        &["box", "boxes"],
        &["run", "running", "ran"],
        &["be", "was"],
    ] {
        for one in same {
            same.iter().for_each(|other| check_judge(one, &other.to_uppercase(), Outcome::Match));
        }
    }
}

/// 2.3, "No match: run/walk, happy/sad, cat/dog."
#[test]
fn the_examples_of_misses_miss() {
    for (one, other) in [("run", "walk"), ("happy", "sad"), ("cat", "dog")] {
        check_judge(one, other, Outcome::Miss);
    }
}

/// 2.3, "base_form: running→run, cats→cat, was→be"
#[test]
fn the_examples_of_base_forms_hold() {
    let judge = EnglishJudge::new();
    for (form, base) in [("running", "run"), ("cats", "cat"), ("was", "be"), ("Went", "go")] {
        assert_eq!(judge.base_form(&word(form)), base);
    }
}

/// 2.3, "irregular verbs known: be, run, go, do, have, see, eat, take, make, come"
#[test]
fn the_irregular_verbs_are_known() {
    for (verb, past, participle) in [
        ("be", "were", "been"),
        ("run", "ran", "run"),
        ("go", "went", "gone"),
        ("do", "did", "done"),
        ("have", "had", "having"),
        ("see", "saw", "seen"),
        ("eat", "ate", "eaten"),
        ("take", "took", "taken"),
        ("make", "made", "making"),
        ("come", "came", "coming"),
    ] {
        check_judge(verb, past, Outcome::Match);
        check_judge(verb, participle, Outcome::Match);
        check_judge(past, participle, Outcome::Match);
    }
}

/// 2.3, "regional patterns: or↔our, ize↔ise, yze↔yse, er↔re": and no more than that.
#[test]
fn regional_patterns_join_spellings_and_not_words() {
    for (american, british) in [
        ("honor", "honour"),
        ("favorite", "favourite"),
        ("organize", "organise"),
        ("organizing", "organising"),
        ("realized", "realised"),
        ("paralyze", "paralyse"),
        ("center", "centre"),
        ("fibers", "fibres"),
        ("organization", "organisation"),
    ] {
        check_judge(american, british, Outcome::Match);
    }
    for (one, other) in [
        ("for", "four"),
        ("prize", "prise"),
        ("raise", "raze"),
        ("here", "her"),
        ("sour", "sore"),
        ("scored", "scoured"),
        ("scoring", "scouring"),
    ] {
        check_judge(one, other, Outcome::Miss);
    }
}

/// "shipped with an embedded, freely licensed English list of at least 5,000 words"; "generated words 3–8" letters and
/// nothing but letters.
#[test]
fn there_are_enough_words() {
    let words = EnglishWords::new();
    assert!(5_000 <= words.count(), "{words:?}");
    for number in 0..words.count() {
        let word = words.word(number).expect("it was counted");
        assert!((3..=8).contains(&word.as_str().len()), "{word}");
        assert!(word.as_str().bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        assert!(words.knows(&word), "{word}");
    }
    assert_eq!(words.word(words.count()), None);
}

/// Debug builds copy what is passed by value, and the lists are long: whoever takes them in needs no stack for that.
#[test]
fn the_lists_do_not_fill_the_stack() {
    let thread = std::thread::Builder::new().stack_size(200 << 10);
    let count = thread.spawn(|| EnglishWords::new().count()).expect("a thread").join().expect("no panic");
    assert!(5_000 <= count);
}

/// Phones type another apostrophe than keyboards do: the players said the same.
#[test]
fn an_apostrophe_is_an_apostrophe() {
    check_judge("don’t", "DON'T", Outcome::Match);
    check_judge("cat’s", "cat's", Outcome::Match);
    let words = EnglishWords::new();
    assert_eq!(words.knows(&word("cat’s")), words.knows(&word("cat's")));
    assert!(word("o’clock").is_same(&word("O'clock")));
    assert_eq!(WordCheck::of(&words, &[word("cat's")], &word("cat’s")), WordCheck::Forbidden);
}

/// "in the dictionary (case-insensitive)"
#[test]
fn forms_and_spellings_of_known_words_are_known() {
    let words = EnglishWords::new();
    for known in ["cat", "Cats", "running", "RAN", "colour", "theatre", "water", "dog", "happy", "house"] {
        assert!(words.knows(&word(known)), "{known}");
    }
    for unknown in ["qwxz", "aaaaaa", "xyzzyx"] {
        assert!(!words.knows(&word(unknown)), "{unknown}");
    }
}

/// "per player, the last 12 valid guesses over all games"
#[test]
fn the_last_twelve_words_are_forbidden() {
    let words = EnglishWords::new();
    let last = (0..13).filter_map(|number| words.word(number)).collect::<Vec<_>>();
    for (number, said) in last.iter().enumerate() {
        let expected = if number < 12 { WordCheck::Forbidden } else { WordCheck::Valid };
        assert_eq!(WordCheck::of(&words, &last, &word(&said.as_str().to_uppercase())), expected);
    }
}

/// The words of the last attempt are seen by both: who said `beach` may not win with `beaches`, for which the partner would
/// only have to say `beach` again.
#[test]
fn forms_of_the_last_words_are_forbidden() {
    let words = EnglishWords::new();
    let check = |last: &str, said: &str| WordCheck::of(&words, &[word(last)], &word(said));
    for (last, said) in [("beach", "Beaches"), ("ran", "running"), ("colour", "colors"), ("cat", "CAT")] {
        assert_eq!(check(last, said), WordCheck::Forbidden, "{said} after {last}");
    }
    assert_eq!(check("beach", "ocean"), WordCheck::Valid);
    struct Two;
    impl Words for Two {
        fn count(&self) -> usize {
            2
        }
        fn word(&self, number: usize) -> Option<Word> {
            ["cat", "cats"].get(number).map(|text| word(text))
        }
        fn knows(&self, _: &Word) -> bool {
            true
        }
    }
    let check = |said: &str| WordCheck::of(&Two, &[word("cat")], &word(said));
    assert_eq!((check("Cat"), check("cats")), (WordCheck::Forbidden, WordCheck::Valid), "the same but for case");
}

/// "if either word is on a forbidden list the pair is silently redrawn"
#[test]
fn pairs_are_of_two_words_that_are_not_forbidden() {
    let words = EnglishWords::new();
    let mut chance = Chance(7);
    let pairs = draw_pairs(&words, 500, &mut || chance.next(), &|word| word.as_str() < "m");
    assert_eq!(pairs.len(), 500);
    for WordPair(one, other) in pairs {
        assert!("m" <= one.as_str() && "m" <= other.as_str() && !one.is_same(&other));
    }
    let only = |word: &Word| word.as_str() != "abacus";
    assert_eq!(draw_pairs(&words, 3, &mut || chance.next(), &only), [], "one word is no pair");
}

/// Whatever is said, nothing but a named answer comes of it.
#[test]
fn no_text_is_too_strange() {
    let (judge, words) = (EnglishJudge::new(), EnglishWords::new());
    let mut chance = Chance(11);
    let letters = [
        'a', 'e', 'i', 'n', 'g', 's', 'y', '\'', '-', '’', 'é', 'ß', 'İ', 'ﬁ', 'ǆ', 'Σ', '中', 'א', 'ु', '\u{301}',
        '😀', ' ',
    ];
    for _ in 0..20_000 {
        let text = (0..chance.below(60)).map(|_| *chance.pick(&letters)).collect::<String>();
        if let Ok(word) = Word::new(&text) {
            assert!((Word::CHARS_MIN..=Word::CHARS_MAX).contains(&word.as_str().chars().count()));
            let _ = (judge.base_form(&word), words.knows(&word));
            assert_eq!(judge.judge(&word, &word), Outcome::Match);
            assert_eq!(Word::new(word.as_str()), Ok(word));
        }
    }
}
