//! What follows from what is asked: events of a game, a team or a user, and what goes with them, as one batch.
//!
//! All that is looked at on the way is a condition of the batch. Where somebody else was faster, it is decided again.

use super::ask::{Ask, Caller, Standing};
use super::membership::Membership;
use super::schedule::{Matter, Touched};
use super::seats::Seat;
use super::{Inner, refusing, said, seats};
use crate::game::word::is_give_up;
use crate::game::{
    CancelRight, FORBIDDEN_WORDS_MAX, Game, GameAction, GameCommand, GameConfig, GameEvent, GameId, GuildId,
    LeaveReason, Mode, Moment, PauseReason, PlayerId, REPLAY_MS, Refusal, Replay, ReplayAccess, ReplayAccessed,
    ReplayCommand, ReplayCreated, ReplayName, TeamId, UserAction, Verdict, Word, WordCheck, WordPair, draw_pairs,
};
use scorebook::{ExecuteError, ExpectedVersion, Query, Together};

/// Something that is being decided, together with all that it takes.
pub(super) struct Decision<'a, 't> {
    pub(super) bot: &'a Inner,
    pub(super) caller: &'a Caller,
    /// When it was asked.
    pub(super) at: Moment,
    /// What is being changed.
    pub(super) touched: &'a Touched,
    pub(super) together: &'a mut Together<'t>,
}

/// What deciding can come to: nothing, or why not.
pub(super) type Decided<T = ()> = Result<T, ExecuteError<Refusal>>;

pub(super) fn refuse<T>(refusal: Refusal) -> Decided<T> {
    Err(ExecuteError::Refused(refusal))
}

impl Decision<'_, '_> {
    /// Decides what is asked. `new_game` is the id of the game that is opened, if one is.
    pub(super) fn decide(&mut self, ask: &Ask, new_game: GameId) -> Decided {
        if Moment::MAX < self.at {
            return refuse(Refusal::InvalidTime);
        }
        // Who changes what is noted about them is registered by that.
        if !matches!(ask, Ask::UpdateProfile { .. } | Ask::ChangePreferences { .. }) {
            self.register()?;
        }
        let by = self.caller.player;
        match ask {
            Ask::Open { config } => self.open(new_game, *config, Vec::new()),
            Ask::OpenWithTeam { config } => {
                let team = self.own_team()?;
                self.open(new_game, *config, vec![team])
            }
            Ask::Join { game } => self.join(*game, None),
            Ask::JoinWithTeam { game } => {
                let team = self.own_team()?;
                self.join(*game, Some(team))
            }
            Ask::Leave { game } => {
                let reason = LeaveReason::PlayerQuit;
                self.act(*game, GameAction::Leave { player: by, reason })
            }
            Ask::ChangeStatus { game, status } => {
                self.act(*game, GameAction::ChangeStatus { player: by, status: *status })
            }
            Ask::Configure { game, config } => self.act(*game, GameAction::Configure { by, config: *config }),
            Ask::ChangeMode { game, mode } => self.change_mode(*game, *mode),
            Ask::Start { game } => self.act(*game, GameAction::Start { by }),
            Ask::Guess { game, word } => self.guess(*game, word),
            Ask::Pause { game } => self.pause(*game),
            Ask::Resume { game } => self.resume(*game),
            Ask::Cancel { game } => {
                let right = if self.is_admin() { CancelRight::Admin } else { CancelRight::Player };
                self.act(*game, GameAction::Cancel { by, right })
            }
            Ask::Invite { .. }
            | Ask::Accept { .. }
            | Ask::Decline { .. }
            | Ask::Rename { .. }
            | Ask::LeaveTeam { .. }
            | Ask::TakeBack { .. } => self.decide_team(ask),
            Ask::UpdateProfile { display_name } => {
                self.user(Some(UserAction::UpdateProfile { display_name: display_name.clone() }))
            }
            Ask::ChangePreferences { notifications, ui } => {
                let (notifications, ui) = (notifications.clone(), ui.clone());
                self.user(Some(UserAction::ChangePreferences { notifications, ui }))
            }
            Ask::Replay { name, access } => self.replay(name, *access),
            look => self.may_look(look),
        }
    }

    /// A matter is about to change. Should nobody be left to hear the answer, whatever is due then is looked for all the same.
    pub(super) fn expect(&self, matter: Matter) {
        self.touched.add(matter);
        self.bot.schedule.expect(matter, self.at);
    }

    /// Does what is due in a game by now.
    pub(super) fn pass_time(&mut self, game: GameId) -> Decided {
        let command = GameCommand::new(self.at, GameAction::PassTime);
        self.execute(game, command, |game| game.players())
    }

    // Games.

    fn open(&mut self, id: GameId, config: GameConfig, teams: Vec<TeamId>) -> Decided {
        let guild = self.guild()?;
        if config.mode() != Mode::Longform {
            self.are_free(teams.iter().flat_map(|team| team.players()), id)?;
        }
        let action = GameAction::Create { guild, by: self.caller.player, config, teams };
        let command = GameCommand::new(self.at, action).from_guild(guild);
        self.execute(id, command, |_| Vec::new())
    }

    fn join(&mut self, id: GameId, team: Option<TeamId>) -> Decided {
        self.guild()?;
        let player = self.caller.player;
        let coming = team.map_or_else(|| vec![player], |team| team.players().to_vec());
        if self.together.load::<Game>(&id.stream())?.state().mode() != Mode::Longform {
            self.are_free(coming, id)?;
        }
        self.act(Some(id), GameAction::Join { player, team })
    }

    fn change_mode(&mut self, id: Option<GameId>, mode: Mode) -> Decided {
        let id = self.find(id)?;
        let loaded = self.together.load::<Game>(&id.stream())?;
        if loaded.state().mode() == Mode::Longform && mode != Mode::Longform {
            self.are_free(loaded.state().players(), id)?;
        }
        self.act(Some(id), GameAction::ChangeMode { by: self.caller.player, mode })
    }

    fn pause(&mut self, id: Option<GameId>) -> Decided {
        let reason = if self.is_admin() { PauseReason::ByAdmin } else { PauseReason::ByPlayers };
        self.act(id, GameAction::Pause { reason, by: Some(self.caller.player) })
    }

    /// Lets a game go on, for those who may hold it up.
    fn resume(&mut self, id: Option<GameId>) -> Decided {
        let (id, by) = (self.find(id)?, self.caller.player);
        let loaded = self.together.load::<Game>(&id.stream())?;
        let game = loaded.state();
        let is_elsewhere = game.about.is_some_and(|about| about.creator != by) && !game.players().contains(&by);
        if is_elsewhere && !self.is_admin() {
            return refuse(Refusal::PlayerNotInGame(by));
        }
        self.act(Some(id), GameAction::Resume { by: Some(by) })
    }

    /// Takes what a player says. What is refused is kept.
    fn guess(&mut self, id: Option<GameId>, said: &str) -> Decided {
        let id = self.find(id)?;
        let (player, channel) = (self.caller.player, self.caller.channel);
        let loaded = self.together.load::<Game>(&id.stream())?;
        let game = loaded.state();
        let side = game.team_of(player).and_then(|team| game.side(team));
        let word = Word::new(said).ok().filter(|_| !is_give_up(said));
        let check = word.as_ref().map_or(Ok(WordCheck::Valid), |word| self.check(word))?;
        let pending = side.and_then(|side| side.pending()).filter(|pending| pending.player != player);
        let verdict = pending.zip(word).map(|(first, word)| Verdict::of(&*self.bot.setup.judge, &first.word, &word));
        let action = GameAction::Guess { player, channel, word: said.to_owned(), check, verdict };
        let command = self.command(action);
        // Words are dealt to nobody but those who have just guessed.
        let dealt_to = |game: &Game| game.team_of(player).map_or_else(Vec::new, |team| team.players().to_vec());
        match self.execute(id, command, dealt_to) {
            Err(ExecuteError::Refused(refusal)) => {
                let Some(event) = refusing::kept(game, (player, said), &refusal, self.at) else {
                    return refuse(refusal);
                };
                let guild = game.guild().ok_or(ExecuteError::Refused(refusal))?;
                self.together.append(
                    &guild.refusal_stream(),
                    ExpectedVersion::Any,
                    [self.bot.registry.encode(&event)?],
                );
                Ok(())
            }
            decided => decided,
        }
    }

    /// Whether the caller may say a word.
    fn check(&mut self, word: &Word) -> Decided<WordCheck> {
        let last = self.last_words(self.caller.player)?;
        Ok(WordCheck::of(&*self.bot.setup.words, &last, word))
    }

    fn last_words(&mut self, player: PlayerId) -> Decided<Vec<Word>> {
        let read = self.together.read(said::query(player))?;
        Ok(said::last(read, player, &self.bot.registry)?)
    }

    /// Has a game of the caller's do something.
    fn act(&mut self, id: Option<GameId>, action: GameAction) -> Decided {
        let id = self.find(id)?;
        let command = self.command(action);
        self.execute(id, command, Game::players)
    }

    fn command(&self, action: GameAction) -> GameCommand {
        let command = GameCommand::new(self.at, action);
        match self.caller.guild {
            Some(guild) => command.from_guild(guild),
            None => command,
        }
    }

    /// Has a game do something. Where it takes words to deal, they are drawn, and none that `dealt_to` have said last. Where it
    /// ends with a result, it gets a name to be found by.
    fn execute(&mut self, id: GameId, command: GameCommand, dealt_to: impl Fn(&Game) -> Vec<PlayerId>) -> Decided {
        self.expect(Matter::Game(id));
        let stream = id.stream();
        let events = match self.together.execute::<Game>(&stream, &command) {
            Err(ExecuteError::Refused(Refusal::WordsMissing)) => {
                let loaded = self.together.load::<Game>(&stream)?;
                let pairs = self.draw(loaded.state().pairs_needed(), dealt_to(loaded.state()))?;
                self.together.execute::<Game>(&stream, &command.dealing(pairs))
            }
            executed => executed,
        }?;
        match events.iter().find_map(|event| if let GameEvent::GameCompleted(of) = event { Some(of) } else { None }) {
            Some(completed) => {
                let before = self.together.load::<Game>(&stream)?;
                let event_count = before.version().get().saturating_add(events.len() as u64);
                let start_time = started_at(before.state(), &events).unwrap_or(completed.finished_at);
                let of = ReplayCreated {
                    game_id: id,
                    guild_id: completed.base.guild_id,
                    mode: completed.base.mode,
                    name: self.free_name(id)?,
                    event_count,
                    start_time,
                    end_time: completed.finished_at,
                    created_at: completed.finished_at,
                };
                self.together.execute::<Replay>(&id.replay_stream(), &ReplayCommand::Create(of))?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn draw(&mut self, pairs: usize, players: Vec<PlayerId>) -> Decided<Vec<WordPair>> {
        let mut forbidden = Vec::with_capacity(players.len() * FORBIDDEN_WORDS_MAX);
        for player in players {
            forbidden.extend(self.last_words(player)?.iter().take(FORBIDDEN_WORDS_MAX).map(Word::folded));
        }
        let draw = |pairs: usize, is_forbidden: &dyn Fn(&Word) -> bool| {
            draw_pairs(&*self.bot.setup.words, pairs, &mut || self.bot.chance(), is_forbidden)
        };
        let mut drawn = draw(pairs, &|word| forbidden.contains(&word.folded()));
        // Where a small dictionary has nothing else, a word that was said not long ago is better than a game that stands still.
        drawn.extend(draw(pairs - drawn.len(), &|_| false));
        Ok(drawn)
    }

    /// A name that no replay has. That it has none is a condition of the batch.
    ///
    /// Each attempt has more names to draw from, and draws for this game alone: it ends, also where chance says the same each
    /// time.
    fn free_name(&mut self, id: GameId) -> Decided<ReplayName> {
        let (mut attempt, mut draws) = (0_u32, 0_u64);
        loop {
            let mut draw = || {
                draws += 1;
                self.bot.chance_for((id, draws))
            };
            let name = ReplayName::draw(&*self.bot.setup.words, attempt, &mut draw);
            if !self.together.read(replays_named(&name))?.exists()? {
                return Ok(name);
            }
            attempt = attempt.saturating_add(1);
        }
    }

    // Where the caller is.

    /// Whether the caller looks after the guild in which this is asked. In a direct message there is none to look after.
    fn is_admin(&self) -> bool {
        self.caller.standing == Standing::Admin && self.caller.guild.is_some()
    }

    pub(super) fn guild(&self) -> Decided<GuildId> {
        self.caller.guild.map_or_else(|| refuse(Refusal::MissingGuild), Ok)
    }

    /// The game that is meant: the named one, else "the player's unfinished game that is not longform, else the only longform
    /// one, else the bot asks". In a guild only games of that guild are meant.
    fn find(&self, named: Option<GameId>) -> Decided<GameId> {
        if let Some(id) = named {
            return Ok(id);
        }
        // No condition: who is in no game when the batch is judged is refused by the game itself.
        let read = || self.bot.store.read_all().matching(seats::query(self.caller.player));
        let is_meant = |seat: &Seat| self.caller.guild.is_none_or(|guild| guild == seat.guild);
        if let Some(seat) = seats::short(read())?.filter(is_meant) {
            return Ok(seat.game);
        }
        let longform = seats::all(read())?.into_iter().filter(|seat| is_meant(seat) && seat.mode == Mode::Longform);
        match longform.map(|seat| seat.game).collect::<Vec<_>>()[..] {
            [] => refuse(Refusal::GameNotFound),
            [game] => Ok(game),
            ref several => refuse(Refusal::AmbiguousGame(several.to_vec())),
        }
    }

    /// That none of these players is in a game that is not longform, another one than this. It is a condition of the batch.
    fn are_free(&mut self, players: impl IntoIterator<Item = PlayerId>, id: GameId) -> Decided {
        for player in players {
            let read = self.together.read(seats::query(player))?;
            if seats::short(read)?.is_some_and(|seat| seat.game != id) {
                return refuse(Refusal::AlreadyPlaying(player));
            }
        }
        Ok(())
    }

    /// The caller's team in this guild, if both are in it.
    pub(super) fn own_team(&mut self) -> Decided<TeamId> {
        let guild = self.guild()?;
        match self.membership(guild, self.caller.player)? {
            Some(Membership { team, state }) if state.is_complete() => Ok(team),
            _ => refuse(Refusal::TeamNotFound),
        }
    }

    // Finished games.

    /// Notes that somebody has a finished game. "Anyone in the server"; it is found for 30 days.
    fn replay(&mut self, name: &ReplayName, access: ReplayAccess) -> Decided {
        let guild_id = self.guild()?;
        let Some(created) = self.replay_named(name)?.filter(|of| self.at.since(of.created_at) < REPLAY_MS) else {
            return refuse(Refusal::ReplayNotFound);
        };
        if created.guild_id != guild_id {
            return refuse(Refusal::Unauthorized);
        }
        let (game_id, user_id, accessed_at) = (created.game_id, self.caller.player, self.at);
        let accessed = GameEvent::from(ReplayAccessed { game_id, guild_id, user_id, access, accessed_at });
        // Whoever else looks at it is in nobody's way.
        let stream = game_id.replay_stream();
        self.together.append(&stream, ExpectedVersion::StreamExists, [self.bot.registry.encode(&accessed)?]);
        Ok(())
    }

    fn replay_named(&mut self, name: &ReplayName) -> Decided<Option<ReplayCreated>> {
        let read = self.together.read(replays_named(name))?.limit(1);
        for event in read {
            for event in self.bot.registry.decode::<GameEvent>(&event?)? {
                if let GameEvent::ReplayCreated(of) = event {
                    return Ok(Some(of));
                }
            }
        }
        Ok(None)
    }
}

/// When a game began that ends now.
fn started_at(before: &Game, events: &[GameEvent]) -> Option<Moment> {
    let now =
        events.iter().find_map(|event| if let GameEvent::GameStarted(of) = event { Some(of.started_at) } else { None });
    now.or(before.started_at())
}

/// What gave a replay this name.
pub(super) fn replays_named(name: &ReplayName) -> Query {
    Query::all().of_type("replay_created").tag("replay", name)
}
