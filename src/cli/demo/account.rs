//! What people sent and what they were told, written down as it happened, and nothing worked out from it.
//!
//! This is the one side of the comparison; [`recount`](super::recount) is the other. Neither knows anything of the states that
//! games have.

use crate::cli::demo::wire::{Button, Heard, Interaction, Outcome, Record, Stands, Told, Wants};
use scorebook::game::{GIVE_UP, GuildId, TeamId};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A game, by its id.
pub(super) type Game = String;

/// A player, by their id.
pub(super) type Player = u64;

/// Something that happened in a game and that people are told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// Two words that did not match, in the order of the team.
    Missed(String, String),
    /// Two that did.
    Matched(String, String),
    /// A team, and why it is out.
    Eliminated(String, String),
    /// Who won.
    Completed(Vec<String>),
    /// Why.
    Cancelled(String),
    /// The name of the replay.
    Named(String),
}

impl Fact {
    fn of(heard: &Heard) -> Option<Fact> {
        Some(match heard {
            Heard::Missed(words) => Fact::Missed(words.0.folded(), words.1.folded()),
            Heard::Matched(words) => Fact::Matched(words.0.folded(), words.1.folded()),
            Heard::Eliminated(team, reason) => Fact::Eliminated(team.to_string(), name_of(reason)),
            Heard::Completed(winners) => Fact::Completed(winners.iter().map(TeamId::to_string).collect()),
            Heard::Cancelled(reason) => Fact::Cancelled(name_of(reason)),
            Heard::Named(name) => Fact::Named(name.to_string()),
            Heard::PartnerSpoke | Heard::GaveUp(_) | Heard::Else(_) => return None,
        })
    }
}

/// Everything that was sent and told.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) sent: HashMap<u64, Sent>,
    /// How often a word, or `give up`, was told to be taken, by game and player.
    pub(super) taken: BTreeMap<(Game, Player, String), u64>,
    /// How often something was told to a player.
    pub(super) facts: BTreeMap<(Game, Player, Fact), u64>,
    /// In which guild each game was opened.
    pub(super) guilds: HashMap<Game, GuildId>,
    /// The games that each player was told to be over with a result, and whether they have won.
    pub(super) completed: HashMap<Player, BTreeMap<Game, bool>>,
    /// What they had been told of by then, of each who has looked that up and has no answer yet.
    pub(super) looking: HashMap<u64, Record>,
    /// What somebody was told who had looked up what they have come to in a guild.
    pub(super) looked: Vec<(GuildId, Player, Record)>,
    /// Where each game was last said to stand, and at which version.
    pub(super) shown: BTreeMap<(Game, Player), (u64, Stands)>,
    /// Up to where nothing that time brings was untold when the bot was killed, and how far the log was when it was back.
    pub(super) gaps: Vec<Gap>,
    /// What was wrong before there was anything to compare.
    pub(super) complaints: Vec<String>,
}

/// A stretch of the log of which people may not have been told what time brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) after: u64,
    pub(super) to: u64,
}

/// An interaction, and what was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) kind: Kind,
    /// `None` until it is answered.
    pub(super) answer: Option<Answered>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answered {
    /// That it is done, by so many events.
    Done(u64),
    /// Why it is not.
    Refused(String),
}

/// What somebody wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Join,
    Leave,
    Start,
    Say,
    Pause,
    Resume,
    Cancel,
    Invite,
    Accept,
    Decline,
    Other,
}

impl Kind {
    fn of(wants: &Wants) -> Kind {
        let text = match wants {
            Wants::Open { .. } => return Kind::Open,
            Wants::Direct(_) | Wants::Say { .. } => return Kind::Say,
            Wants::Press { button: Button::Start, .. } => return Kind::Start,
            Wants::Press { button: Button::Pause, .. } => return Kind::Pause,
            Wants::Press { button: Button::Resume, .. } => return Kind::Resume,
            Wants::Press { button: Button::Cancel, .. } => return Kind::Cancel,
            Wants::Typed(text) | Wants::AdminTyped(text) => text,
        };
        match text.split(' ').next().unwrap_or_default() {
            "open" => Kind::Open,
            "join" => Kind::Join,
            "leave" => Kind::Leave,
            "start" => Kind::Start,
            "guess" | "give" => Kind::Say,
            "pause" => Kind::Pause,
            "resume" => Kind::Resume,
            "cancel" => Kind::Cancel,
            "team" => Kind::Invite,
            "ok" => Kind::Accept,
            "no" => Kind::Decline,
            _ => Kind::Other,
        }
    }
}

impl Account {
    /// Somebody wants something.
    pub(super) fn sends(&mut self, interaction: &Interaction) {
        let sent = Sent { kind: Kind::of(&interaction.wants), answer: None };
        self.sent.entry(interaction.id.get()).or_insert(sent);
        if let (Wants::Typed(text), Some(guild)) = (&interaction.wants, interaction.guild)
            && text == "stats player"
        {
            self.looking.insert(interaction.id.get(), self.record(guild, interaction.player.get()));
        }
    }

    /// What a player has come to in a guild, by what they were told so far.
    fn record(&self, guild: GuildId, player: Player) -> Record {
        let completed = self.completed.get(&player).into_iter().flatten();
        let here = completed.filter(|(game, _)| self.guilds.get(*game) == Some(&guild));
        here.fold(Record::default(), |record, (_, has_won)| Record {
            games: record.games + 1,
            wins: record.wins + u64::from(*has_won),
        })
    }

    /// They are answered, for the first time.
    pub(super) fn is_answered(&mut self, interaction: &Interaction, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::Done { events, .. } => Answered::Done(*events),
            Outcome::Refused(reason) => Answered::Refused(reason.clone()),
        };
        let kind = Kind::of(&interaction.wants);
        self.sent.insert(interaction.id.get(), Sent { kind, answer: Some(answer) });
        let Outcome::Done { told, game, record, .. } = outcome else { return };
        if let (Kind::Open, Some(game), Some(guild)) = (kind, game, interaction.guild) {
            self.guilds.insert(game.to_string(), guild);
        }
        self.has_looked(interaction, *record);
        told.iter().for_each(|told| self.is_told(told));
        if let Some(word) = word_of(&interaction.wants) {
            self.says(interaction, &word, told);
        }
    }

    /// Somebody has looked up what they have come to: all that they had been told of is in it.
    fn has_looked(&mut self, interaction: &Interaction, record: Option<Record>) {
        let Some(least) = self.looking.remove(&interaction.id.get()) else { return };
        let player = interaction.player.get();
        match (record, interaction.guild) {
            (Some(record), Some(guild)) if least.games <= record.games && least.wins <= record.wins => {
                self.looked.push((guild, player, record));
            }
            (record, _) => {
                let text = format!("{player} knows of {least:?}, looks that up, and is told {record:?}");
                self.complaints.push(text);
            }
        }
    }

    /// They are answered once more, to the same interaction: it must be the first answer again.
    pub(super) fn is_answered_again(&mut self, id: u64, before: &Outcome, again: &Outcome, is_repeat: bool) {
        if before != again {
            self.complaints.push(format!("interaction {id}: was answered {before:?} and then {again:?}"));
        } else if matches!(before, Outcome::Done { .. }) && !is_repeat {
            self.complaints.push(format!("interaction {id}: the same answer again is not said to be one"));
        }
    }

    /// A word that was taken: it waits for the partner's, or was compared with it. Or they gave up.
    fn says(&mut self, interaction: &Interaction, word: &str, told: &[Told]) {
        let player = interaction.player;
        let own = told.iter().find(|told| told.to == player);
        let taken = own.and_then(|own| own.game.filter(|_| is_taken(own, word)));
        match taken {
            Some(game) => *self.taken.entry((game.to_string(), player.get(), word.to_owned())).or_default() += 1,
            None => self.complaints.push(format!(
                "interaction {}: {player} said `{word}`, which was taken, and is not told what came of it",
                interaction.id
            )),
        }
    }

    /// Somebody is told something.
    pub(super) fn is_told(&mut self, told: &Told) {
        let Some(game) = told.game else { return };
        for heard in &told.news {
            if let Heard::Completed(winners) = heard {
                let has_won = winners.iter().any(|team| team.has(told.to));
                self.completed.entry(told.to.get()).or_default().insert(game.to_string(), has_won);
            }
            if let Some(fact) = Fact::of(heard) {
                *self.facts.entry((game.to_string(), told.to.get(), fact)).or_default() += 1;
            }
        }
        if let Some(stands) = &told.stands {
            let shown = self.shown.entry((game.to_string(), told.to.get())).or_insert((0, Stands::Open));
            if shown.0 <= told.version {
                *shown = (told.version, stands.clone());
            }
        }
    }
}

/// Whether somebody is told that this word of theirs was taken.
fn is_taken(own: &Told, word: &str) -> bool {
    let is_waiting = matches!(&own.stands, Some(Stands::WaitForPartner { said }) if said.folded() == word);
    is_waiting
        || own.news.iter().any(|heard| match heard {
            Heard::Missed(words) | Heard::Matched(words) => {
                [words.0.folded(), words.1.folded()].contains(&word.to_owned())
            }
            Heard::GaveUp(by) => word == GIVE_UP && *by == own.to,
            _ => false,
        })
}

/// What events call it.
fn name_of(what: &impl Serialize) -> String {
    serde_json::to_value(what).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The word that somebody says, without case.
fn word_of(wants: &Wants) -> Option<String> {
    let said = match wants {
        Wants::Direct(said) | Wants::Say { word: said, .. } => said.as_str(),
        Wants::Typed(text) if text == GIVE_UP => GIVE_UP,
        Wants::Typed(text) => text.strip_prefix("guess ")?,
        Wants::AdminTyped(_) | Wants::Open { .. } | Wants::Press { .. } => return None,
    };
    Some(said.to_lowercase())
}
