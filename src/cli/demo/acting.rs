//! What people do: an intent becomes an interaction, if there is still reason for it.

use crate::cli::demo::agenda::{Aside, Intent};
use crate::cli::demo::evening::Evening;
use crate::cli::demo::table::{Come, Stage};
use crate::cli::demo::wire::{Button, Interaction, Stands, Wants};
use scorebook::game::{GIVE_UP, GameConfig, GameId, GuildId};

/// For so long nobody wonders that nothing happens.
const PATIENCE_MS: u64 = 420_000;

impl Evening {
    /// What comes of an intent: an interaction, and what is to be thought of when it is answered.
    pub(super) fn act(&mut self, intent: Intent) -> Option<(Interaction, Intent)> {
        let (person, guild, wants) = match &intent {
            Intent::Meet { guild } => {
                self.meet(*guild);
                return None;
            }
            Intent::Invite { table, pair } => {
                let [first, second] = self.tables[*table].pair(*pair)?;
                let name = format!("{} and co", self.town.people[first].name);
                let text = format!("team <@{}> {name}", self.town.people[second].id);
                (first, self.guild_of(*table), Wants::Typed(text))
            }
            Intent::InviteInVain { table } => {
                let (host, guild) = (self.tables[*table].host(), self.tables[*table].guild);
                let asked = self.town.anybody(guild, &mut self.chance);
                let text = format!("team <@{}>", self.town.people[asked].id);
                (host, self.guild_of(*table), Wants::Typed(text))
            }
            Intent::Accept { table, pair } => {
                let [first, second] = self.tables[*table].pair(*pair)?;
                let text = format!("ok <@{}>", self.town.people[first].id);
                (second, self.guild_of(*table), Wants::Typed(text))
            }
            Intent::Decline { table, pair } => {
                let [first, second] = self.tables[*table].pair(*pair)?;
                let text = format!("no <@{}>", self.town.people[first].id);
                (second, self.guild_of(*table), Wants::Typed(text))
            }
            Intent::Open { table } => self.open(*table),
            Intent::Join { table, person } => {
                let game = self.tables[*table].game?;
                let is_pair = self.tables[*table].plan.come == Come::InPairs && self.tables[*table].waiting != 0;
                let text = if is_pair { format!("join {game} team") } else { format!("join {game}") };
                (*person, self.guild_of(*table), Wants::Typed(text))
            }
            Intent::Intrude { table, person, guild } => {
                let game = self.tables[*table].game?;
                (*person, self.town.guilds[*guild].id, Wants::Typed(format!("join {game}")))
            }
            Intent::LookUp { person, guild } => {
                (*person, self.town.guilds[*guild].id, Wants::Typed("stats player".to_owned()))
            }
            Intent::Start { table } => {
                let of = &self.tables[*table];
                let game = of.game.filter(|_| of.stage == Stage::Joining)?;
                (of.host(), self.guild_of(*table), Wants::Press { game, button: Button::Start })
            }
            Intent::Say { person, game, version, tries } => return self.say(*person, *game, *version, *tries),
            Intent::Aside { table, person, aside } => return self.aside(*table, *person, *aside),
            Intent::Watch { table } => self.watch(*table)?,
            // It is on its way already.
            Intent::AskTwice { .. } => return None,
        };
        Some((self.interaction(person, Some(guild), wants), intent))
    }

    fn open(&mut self, table: usize) -> (usize, GuildId, Wants) {
        let plan = self.tables[table].plan;
        let with_team = plan.come == Come::InPairs;
        let wants = match plan.config {
            Some(config) => Wants::Open { config, with_team },
            None if self.chance.happens(5_000) => Wants::Open { config: GameConfig::of(plan.mode), with_team },
            None if with_team => Wants::Typed(format!("open {} team", plan.mode)),
            None => Wants::Typed(format!("open {}", plan.mode.name().replace('_', " "))),
        };
        (self.tables[table].host(), self.guild_of(table), wants)
    }

    /// Says what comes to mind, in one of the ways that there are to say it; or does something else.
    fn say(&mut self, person: usize, game: GameId, version: u64, tries: u32) -> Option<(Interaction, Intent)> {
        let table = *self.table_of.get(&game)?;
        let guild = self.guild_of(table);
        let is_longform = self.tables[table].is_longform();
        let of = &self.town.people[person];
        let seat = of.seats.get(&game).filter(|seat| seat.version == version)?;
        let Stands::Say { own, partner, .. } = &seat.stands else { return None };
        // In a bare message it is the other game that is meant.
        let is_elsewhere = is_longform && of.short.is_some();
        let says_which = seat.says_which || is_elsewhere && !self.chance.happens(300);
        let aside = match self.chance.below(10_000) {
            0..20 => Some(Aside::Leave),
            20..50 => Some(Aside::Pause),
            50..70 => Some(Aside::Away),
            70..72 => Some(Aside::CancelAsAdmin),
            _ => None,
        };
        if let Some(aside) = aside.filter(|_| !is_longform) {
            return self.aside(table, person, aside);
        }
        let word = self.mind.say(own, partner.as_ref(), tries, &mut self.chance);
        let (guild, wants) = match self.chance.below(10) {
            _ if says_which => (Some(guild), Wants::Say { game, word }),
            0 => (Some(guild), Wants::Say { game, word }),
            1 | 2 if !is_longform && word == GIVE_UP => (Some(guild), Wants::Typed(word)),
            1 | 2 if !is_longform => (Some(guild), Wants::Typed(format!("guess {word}"))),
            _ => (None, Wants::Direct(word)),
        };
        Some((self.interaction(person, guild, wants), Intent::Say { person, game, version, tries }))
    }

    fn aside(&mut self, table: usize, person: usize, aside: Aside) -> Option<(Interaction, Intent)> {
        let of = &self.tables[table];
        let game = of.game.filter(|_| of.stage == Stage::Playing)?;
        let guild = self.guild_of(table);
        let typed = |text: &str| Wants::Typed(text.to_owned());
        let wants = match aside {
            Aside::Leave => typed("leave"),
            Aside::Pause if self.chance.happens(5_000) => typed("pause"),
            Aside::Pause => Wants::Press { game, button: Button::Pause },
            Aside::Resume => Wants::Press { game, button: Button::Resume },
            Aside::Away => typed("away"),
            Aside::Back => typed("back"),
            Aside::CancelAsAdmin => Wants::AdminTyped("cancel".to_owned()),
        };
        Some((self.interaction(person, Some(guild), wants), Intent::Aside { table, person, aside }))
    }

    /// A game in which nothing happens any more is cancelled by its host.
    fn watch(&mut self, table: usize) -> Option<(usize, GuildId, Wants)> {
        if self.tables[table].is_settled() {
            return None;
        }
        self.agenda.put(self.now + 60_000, Intent::Watch { table });
        let of = &self.tables[table];
        let is_quiet = of.heard_at + PATIENCE_MS < self.now;
        if !is_quiet && !self.is_last_call {
            return None;
        }
        match of.game {
            Some(game) => Some((of.host(), self.guild_of(table), Wants::Press { game, button: Button::Cancel })),
            None => {
                self.rise(table);
                None
            }
        }
    }

    fn interaction(&mut self, person: usize, guild: Option<GuildId>, wants: Wants) -> Interaction {
        let id = self.next_interaction();
        let channel = guild.and_then(|id| self.town.guilds.iter().find(|guild| guild.id == id)).map(|of| of.channel);
        let person = &self.town.people[person];
        let (player, name, channel) = (person.id, person.name.clone(), channel.unwrap_or(person.channel));
        Interaction { id, at: self.at(), player, name, guild, channel, wants }
    }

    fn guild_of(&self, table: usize) -> GuildId {
        self.town.guilds[self.tables[table].guild].id
    }
}
