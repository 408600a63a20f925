//! Who is shown what: most of all, that nobody is shown a word of the partner's before having said one.

use super::bot::{Club, Direct, HERE, say};
use super::game::numbered;
use crate::model::{Chance, Choices, seed};
use scorebook::game::*;
use std::collections::BTreeSet;

/// All words in a message, also those in its text, without case.
fn words_of(message: &Message) -> BTreeSet<String> {
    let text = format!("{message} {message:?}").to_lowercase();
    text.split(|c: char| !c.is_alphabetic()).map(str::to_owned).collect()
}

/// What a message may not hold: the word that the partner has said and the player has not answered, the word dealt to the
/// partner, and whatever other teams have.
fn secrets(game: &Game, player: PlayerId) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    let mut known = BTreeSet::new();
    for side in game.sides() {
        let is_own = side.team().has(player);
        let pending = side.pending().filter(|pending| pending.player != player);
        secrets.extend(pending.map(|pending| pending.word.folded()));
        let [one, other] = side.team().players();
        let words = side.words().map(|words| [one, other].map(|of| (of, words.of(side.team(), of).folded())));
        for (of, word) in words.into_iter().flatten() {
            let is_shown = is_own && (of == player || !side.are_words_dealt());
            if is_shown {
                known.insert(word)
            } else {
                secrets.insert(word)
            };
        }
    }
    secrets.retain(|word| !known.contains(word));
    secrets
}

#[test]
fn nobody_is_shown_a_word_before_having_said_one() {
    let mut looked = 0;
    for mode in Mode::ALL {
        let seed = seed() + mode as u64;
        let mut chance = Chance(seed);
        let mut club = Club::new();
        let teams = *mode.teams().start() as u64;
        let players = (1..=2 * teams).collect::<Vec<_>>();
        let id = club.opened(HERE, GameConfig::of(mode), &players);
        let mut told = vec![club.done(HERE, 1, Ask::Start { game: Some(id) }).messages().cloned().collect::<Vec<_>>()];
        for step in 0..250 {
            let player = *chance.pick(&players);
            club.props.wait(chance.below(3_000) as u64);
            // Each team has a few words of its own, so that pairs match by chance, and no team says another's.
            let few = 500_000 + (player - 1) / 2 * 100 + chance.below(6) as u64;
            let text = match chance.below(9) {
                0 => "give up".to_owned(),
                1..4 => club.fresh(),
                _ => numbered(few),
            };
            match chance.below(30) {
                0 => told.extend(club.pass(20_000).iter().map(|answer| answer.messages().cloned().collect())),
                1 => told.push(club.restart().messages().cloned().collect()),
                2 => drop(club.ask(Direct, player, Ask::Pause { game: None })),
                3..6 => drop(club.ask(Direct, player, Ask::Resume { game: None })),
                _ => {
                    let caller = club.caller(Direct, player);
                    if let Ok(answer) = club.bot.ask(caller.clone(), say(&text)).wait() {
                        let again = club.bot.ask(caller, say(&text)).wait().expect("the same");
                        assert!(again.messages().eq(answer.messages()), "seed {seed}, step {step}");
                        told.push(answer.messages().cloned().collect());
                    }
                }
            }
            let game = club.game(id);
            for message in told.drain(..).flatten() {
                let (secrets, words) = (secrets(&game, message.to()), words_of(&message));
                let shown = secrets.intersection(&words).collect::<Vec<_>>();
                assert!(shown.is_empty(), "seed {seed}, step {step}, {mode}: {shown:?} in {message:?}");
                looked += usize::from(!secrets.is_empty());
            }
            if game.is_over() {
                break;
            }
        }
    }
    assert!(250 < looked, "only {looked} messages could have told something");
}

fn own(message: Option<&Message>) -> Word {
    match message.and_then(Message::situation) {
        Some(Situation::Say { words: ShownWords::Own(word), .. }) => word.clone(),
        other => panic!("a dealt word, not {other:?}"),
    }
}

#[test]
fn each_sees_the_own_word_of_a_dealt_pair_and_both_after_a_miss() {
    let club = Club::new();
    let id = club.opened(HERE, GameConfig::of(Mode::Race), &[7, 8, 9, 10]);
    let started = club.done(HERE, 7, Ask::Start { game: None });
    let team = TeamId::of(7.into(), 8.into()).expect("two");
    let dealt = club.game(id).side(team).and_then(Side::words).cloned().expect("dealt");
    assert_eq!([7, 8].map(|player| own(started.message_to(player.into()))), [dealt.0, dealt.1]);

    let spoken = club.say(8, "wxaq");
    assert_eq!(spoken.messages().count(), 2, "the others have nothing to do with it");
    assert_eq!(spoken.message_to(7.into()).expect("told").news(), [News::PartnerSpoke]);
    assert_eq!(spoken.message_to(8.into()).expect("told").news(), []);
    let until = club.props.now().plus(180_000);
    let waits = Situation::WaitForPartner { said: super::game::word("wxaq"), until: Some(until) };
    assert_eq!(spoken.message_to(8.into()).and_then(Message::situation), Some(&waits));

    let missed = club.say(7, "wxbq");
    let words = WordPair(super::game::word("wxbq"), super::game::word("wxaq"));
    for (player, mine, other) in [(7, "wxbq", "wxaq"), (8, "wxaq", "wxbq")] {
        let message = missed.message_to(player.into()).expect("told");
        assert_eq!(message.news(), [News::Missed { words: words.clone() }]);
        let words = ShownWords::Both { own: super::game::word(mine), partner: super::game::word(other) };
        let say = Situation::Say { words, round_number: 1, guess_count: 2, until: Some(until) };
        assert_eq!(message.situation(), Some(&say));
    }
    let answer = club.say(8, "give up");
    let news = answer.message_to(7.into()).expect("told").news().to_vec();
    assert_eq!(news, [News::GaveUp { by: 8.into() }, News::RoundStarted { round_number: 2 }]);
    assert_ne!(own(answer.message_to(7.into())), own(answer.message_to(8.into())));
    assert!(answer.message_to(9.into()).is_none());
}

/// In a knockout who has matched waits, who is out is told so, and all hear how a round ended.
#[test]
fn everybody_is_told_where_a_knockout_stands_for_them() {
    let club = Club::new();
    let id = club.started(HERE, Mode::Knockout, &[1, 2, 3, 4, 5, 6]);
    let at = Some(club.props.now().plus(300_000));
    let matched = club.hit(1, 2);
    let waits = matched.message_to(1.into()).and_then(Message::situation);
    assert_eq!(waits, Some(&Situation::WaitForRound { at }));
    assert!(matched.message_to(3.into()).is_none(), "nobody hears of other teams' words");
    let left = club.done(Direct, 6, Ask::Leave { game: None });
    assert_eq!(left.messages().count(), 6);
    assert_eq!(left.message_to(5.into()).and_then(Message::situation), Some(&Situation::Out));
    let gone =
        News::Eliminated { team: TeamId::of(5.into(), 6.into()).expect("two"), reason: EliminationReason::Forfeit };
    assert!(left.message_to(1.into()).expect("told").news().contains(&gone));
    let over = club.hit(3, 4);
    let winner = TeamId::of(1.into(), 2.into()).expect("two");
    let news = over.message_to(2.into()).expect("told").news();
    assert!(news.contains(&News::RoundOver { round_number: 1, winner: Some(winner) }), "{news:?}");
    assert!(news.contains(&News::Completed { winners: vec![winner] }));
    assert!(matches!(news.last(), Some(News::ReplayNamed { .. })));
    let others = over.message_to(1.into()).expect("told").news().iter();
    assert!(!others.clone().any(|news| matches!(news, News::Matched { .. })), "the words are the team's own");
    assert!(club.game(id).is_over());
    let texts = over.messages().map(ToString::to_string).collect::<Vec<_>>();
    assert!(
        texts.iter().all(|text| text.contains("<@1> and <@2> have won.") && text.ends_with("Thank you for playing."))
    );
}
