//! What people make of what they are told: where they stand, and what they mean to do next.

use crate::cli::demo::agenda::{Aside, Intent};
use crate::cli::demo::evening::Evening;
use crate::cli::demo::table::{Come, Stage};
use crate::cli::demo::town::Seat;
use crate::cli::demo::wire::{Heard, Interaction, Outcome, Stands, Told};
use scorebook::game::GameId;

/// How often somebody tries to get a game begun.
const START_TRIES: u32 = 4;

impl Evening {
    /// People sit down at a table: they find each other, or the host opens a game for whoever comes.
    pub(super) fn sit_down(&mut self, table: usize) {
        let plan = self.tables[table].plan;
        if plan.come == Come::Alone {
            let at = self.soon(500, 3_000);
            return self.agenda.put(at, Intent::Open { table });
        }
        self.tables[table].waiting = plan.teams;
        for pair in 0..plan.teams {
            let at = self.soon(500, 6_000);
            self.agenda.put(at, Intent::Invite { table, pair });
        }
        if self.chance.happens(1_000) {
            let at = self.soon(500, 6_000);
            self.agenda.put(at, Intent::InviteInVain { table });
        }
    }

    /// Somebody is told something, perhaps later than something else that is newer.
    pub(super) fn hear(&mut self, told: &Told) {
        let Some((game, person)) = told.game.zip(self.town.person(told.to)) else { return };
        let Some(table) = self.table_of.get(&game).copied() else { return };
        self.tables[table].heard_at = self.now;
        let is_end = |heard: &Heard| matches!(heard, Heard::Completed(_) | Heard::Cancelled(_));
        if told.news.iter().any(is_end) {
            if self.chance.happens(1_000) {
                let (guild, at) = (self.tables[table].guild, self.soon(0, 4_000));
                self.agenda.put(at, Intent::LookUp { person, guild });
            }
            return self.rise(table);
        }
        let Some(stands) = told.stands.clone() else { return };
        let seats = &mut self.town.people[person].seats;
        let says_which = match seats.get(&game) {
            Some(seat) if told.version <= seat.version => return,
            seat => seat.is_some_and(|seat| seat.says_which),
        };
        let version = told.version;
        seats.insert(game, Seat { version, stands: stands.clone(), says_which });
        match stands {
            Stands::Say { .. } => {
                let is_awaited = told.news.contains(&Heard::PartnerSpoke);
                let at = if is_awaited { self.soon(1_500, 7_000) } else { self.soon(5_000, 18_000) };
                self.agenda.put(at, Intent::Say { person, game, version, tries: 0 });
            }
            Stands::Out => {
                self.town.people[person].seats.remove(&game);
                self.free(person, table);
            }
            _ => {}
        }
    }

    /// What was asked is answered. What people were told with the answer they have heard by now.
    pub(super) fn go_on(&mut self, intent: Intent, interaction: &Interaction, outcome: &Outcome) {
        match (intent, outcome) {
            (Intent::Invite { table, pair }, Outcome::Done { .. }) => {
                let says_no = self.chance.happens(500) && self.tables[table].tries == 0;
                let at = self.soon(1_000, 6_000);
                let answer = if says_no { Intent::Decline { table, pair } } else { Intent::Accept { table, pair } };
                self.agenda.put(at, answer);
            }
            (Intent::Decline { table, pair }, _) => {
                self.tables[table].tries += 1;
                let at = self.soon(1_000, 6_000);
                self.agenda.put(at, Intent::Invite { table, pair });
            }
            // They are a team already, or will find out that they are none.
            (Intent::Accept { table, .. } | Intent::Invite { table, .. }, _) => self.is_settled(table),
            (Intent::Open { table }, Outcome::Done { game: Some(game), .. }) => self.is_open(table, *game),
            (Intent::Open { table }, _) => self.rise(table),
            (Intent::Join { table, person }, outcome) => self.has_joined(table, person, outcome),
            (Intent::Intrude { table, person, .. }, Outcome::Done { .. }) => {
                // They had time after all.
                self.tables[table].players.push(person);
                if self.tables[table].is_longform() {
                    self.town.people[person].longs += 1;
                } else {
                    self.town.people[person].short = Some(table);
                }
            }
            (Intent::Start { table }, Outcome::Done { .. }) => self.tables[table].stage = Stage::Playing,
            (Intent::Start { table }, Outcome::Refused(_)) => self.could_not_start(table),
            (Intent::Say { person, game, version, tries }, outcome) => {
                self.has_said(interaction, (person, game, version, tries), outcome);
            }
            (Intent::Aside { table, person, aside }, outcome) => self.has_done(table, person, aside, outcome),
            (Intent::Watch { table }, _) => self.rise(table),
            _ => {}
        }
    }

    fn is_open(&mut self, table: usize, game: GameId) {
        let plan = self.tables[table].plan;
        self.table_of.insert(game, table);
        self.tables[table].game = Some(game);
        self.tables[table].stage = Stage::Joining;
        self.tables[table].tries = 0;
        let players = self.tables[table].players.clone();
        let coming = match plan.come {
            Come::Alone => players,
            Come::InPairs => players.iter().copied().step_by(2).skip(1).collect(),
        };
        self.tables[table].waiting = coming.len();
        if coming.is_empty() {
            self.everybody_is_here(table);
        }
        for person in coming {
            let at = self.soon(200, 6_000);
            self.agenda.put(at, Intent::Join { table, person });
        }
        let guild = self.tables[table].guild;
        if self.chance.happens(400) {
            let (person, at) = (self.town.anybody(guild, &mut self.chance), self.soon(200, 6_000));
            self.agenda.put(at, Intent::Intrude { table, person, guild });
        }
        if self.chance.happens(200) {
            let guild = self.chance.place(self.town.guilds.len());
            let (person, at) = (self.town.anybody(guild, &mut self.chance), self.soon(200, 6_000));
            self.agenda.put(at, Intent::Intrude { table, person, guild });
        }
    }

    fn has_joined(&mut self, table: usize, person: usize, outcome: &Outcome) {
        if matches!(outcome, Outcome::Refused(_)) && person != self.tables[table].host() {
            let partner = self.tables[table].players.iter().position(|place| *place == person).map(|at| at ^ 1);
            let is_pair = self.tables[table].plan.come == Come::InPairs;
            let partner = partner.filter(|_| is_pair).and_then(|at| self.tables[table].players.get(at).copied());
            for place in [Some(person), partner].into_iter().flatten() {
                self.free(place, table);
            }
        }
        if self.has_answered(table) {
            self.everybody_is_here(table);
        }
    }

    fn everybody_is_here(&mut self, table: usize) {
        if self.tables[table].plan.is_forgotten {
            self.tables[table].stage = Stage::Forgotten;
            let (guild, at) = (self.tables[table].guild, self.soon(3_000, 9_000));
            return self.agenda.put(at, Intent::Meet { guild });
        }
        let at = self.soon(500, 4_000);
        self.agenda.put(at, Intent::Start { table });
    }

    /// Somebody is missing: another one is asked along, or it comes to nothing.
    fn could_not_start(&mut self, table: usize) {
        self.tables[table].tries += 1;
        let (guild, is_longform) = (self.tables[table].guild, self.tables[table].is_longform());
        let other = self.town.free(guild, is_longform, 1, &mut self.chance).first().copied();
        let at = self.soon(500, 4_000);
        match other.filter(|_| self.tables[table].tries < START_TRIES) {
            Some(person) => {
                let of = &mut self.town.people[person];
                if is_longform {
                    of.longs += 1
                } else {
                    of.short = Some(table)
                }
                self.tables[table].players.push(person);
                self.tables[table].plan.come = Come::Alone;
                self.tables[table].waiting = 1;
                self.agenda.put(at, Intent::Join { table, person });
            }
            None => {
                self.tables[table].heard_at = 0;
                self.agenda.put(at, Intent::Watch { table });
            }
        }
    }

    fn has_said(
        &mut self,
        interaction: &Interaction,
        (person, game, version, tries): (usize, GameId, u64, u32),
        outcome: &Outcome,
    ) {
        let again = match outcome {
            // It may have gone to another game.
            Outcome::Done { told, .. } => {
                let is_meant = |told: &Told| told.to == interaction.player && told.game == Some(game);
                (!told.iter().any(is_meant)).then_some(tries)
            }
            Outcome::Refused(reason) => match reason.as_str() {
                "forbidden_word" | "invalid_word" | "invalid_word_length" => Some(tries + 1),
                "guess_already_submitted" => None,
                "game_completed" | "game_cancelled" | "player_not_in_game" | "team_eliminated" => {
                    self.town.people[person].seats.remove(&game);
                    None
                }
                "ambiguous_game" | "game_not_found" => {
                    if let Some(seat) = self.town.people[person].seats.get_mut(&game) {
                        seat.says_which = true;
                    }
                    Some(tries)
                }
                _ => Some(tries),
            },
        };
        if let Some(tries) = again {
            let at = self.soon(2_000, 6_000);
            self.agenda.put(at, Intent::Say { person, game, version, tries });
        }
    }

    fn has_done(&mut self, table: usize, person: usize, aside: Aside, outcome: &Outcome) {
        let next = match aside {
            Aside::Pause | Aside::Resume if self.tables[table].stage == Stage::Playing => Some(Aside::Resume),
            Aside::Away => Some(Aside::Back),
            _ => None,
        };
        let is_refused = matches!(outcome, Outcome::Refused(_));
        // Whoever has paused it sees to it that it goes on.
        if let Some(next) = next.filter(|next| aside != *next || is_refused && self.tables[table].tries < START_TRIES) {
            self.tables[table].tries += u32::from(is_refused);
            let at = self.soon(5_000, 20_000);
            self.agenda.put(at, Intent::Aside { table, person, aside: next });
        }
        if is_refused {
            let at = self.soon(2_000, 6_000);
            let game = self.tables[table].game;
            let seat = game.and_then(|game| Some((game, self.town.people[person].seats.get(&game)?.version)));
            if let Some((game, version)) = seat {
                self.agenda.put(at, Intent::Say { person, game, version, tries: 0 });
            }
        }
    }

    /// One more of those who were asked to be a team has answered; behind the last of them the table opens.
    fn is_settled(&mut self, table: usize) {
        if self.has_answered(table) {
            let at = self.soon(500, 3_000);
            self.agenda.put(at, Intent::Open { table });
        }
    }

    /// One of those that a table waits for has answered. Whether it was the last.
    fn has_answered(&mut self, table: usize) -> bool {
        let waiting = self.tables[table].waiting.saturating_sub(1);
        self.tables[table].waiting = waiting;
        waiting == 0
    }

    fn soon(&mut self, least: u64, most: u64) -> u64 {
        self.now + self.chance.between(least, most)
    }
}
