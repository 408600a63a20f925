//! What is asked of the boards. Nothing happens by it, so nothing is appended but that somebody is known from then on.

use super::ask::{Ask, Caller};
use super::asking::Asked;
use super::deciding::{Decided, Decision, refuse};
use super::report::Report;
use super::{Answer, Inner};
use crate::game::{Boards, Game, GuildId, Moment, Refusal, Team};
use scorebook::{ExecuteError, Position, View};

impl Decision<'_, '_> {
    /// Whether there is what somebody wants to look at. "Every query is guild-scoped; cross-guild reads are an explicit
    /// exception (user stats only)".
    pub(super) fn may_look(&mut self, ask: &Ask) -> Decided {
        if matches!(ask, Ask::PlayerStats { .. }) {
            return Ok(());
        }
        let guild = self.guild()?;
        match ask {
            Ask::TeamStats { team: None } => self.own_team().map(drop),
            Ask::TeamStats { team: Some(team) } => {
                let known = self.together.load::<Team>(&team.stream(guild))?;
                if known.state().name().is_some() { Ok(()) } else { refuse(Refusal::TeamNotFound) }
            }
            Ask::Summary { game } => {
                let game = self.together.load::<Game>(&game.stream())?;
                if game.state().guild() == Some(guild) { Ok(()) } else { refuse(Refusal::GameNotFound) }
            }
            _ => Ok(()),
        }
    }
}

/// Something that is being looked up.
pub(super) struct Look<'a> {
    boards: View<Boards>,
    /// Everything up to here is to be in the boards.
    head: Position,
    caller: &'a Caller,
    ask: &'a Ask,
    at: Moment,
}

impl<'a> Look<'a> {
    /// Whatever was told to anybody before this is asked has happened, and is looked at: their own last game among it.
    pub(super) fn begin(bot: &Inner, caller: &'a Caller, ask: &'a Ask, at: Moment) -> Asked<Look<'a>> {
        let (boards, head) = (bot.store.projection::<Boards>()?, bot.store.head()?);
        Ok(Look { boards, head, caller, ask, at })
    }

    pub(super) fn wait(self, answer: Answer) -> Asked<Answer> {
        self.boards.reached(self.head).wait()?;
        self.answered(answer)
    }

    pub(super) async fn read(self, answer: Answer) -> Asked<Answer> {
        self.boards.reached(self.head).await?;
        self.answered(answer)
    }

    fn answered(&self, mut answer: Answer) -> Asked<Answer> {
        let report = self.boards.read(|boards| self.report(boards)).map_err(ExecuteError::Refused)?;
        answer.report = Some(report);
        Ok(answer)
    }

    fn report(&self, boards: &Boards) -> Result<Report, Refusal> {
        let by = self.caller.player;
        let guild = || self.caller.guild.ok_or(Refusal::MissingGuild);
        Ok(match self.ask {
            Ask::PlayerStats { player } => {
                let player = player.unwrap_or(by);
                let in_guild = |guild: GuildId| boards.player(guild, player);
                let record = self.caller.guild.map_or_else(|| boards.player_everywhere(player), in_guild);
                Report::Player { player, record }
            }
            Ask::TeamStats { team } => {
                let guild = guild()?;
                let team = team.or_else(|| boards.team_of(guild, by)).ok_or(Refusal::TeamNotFound)?;
                Report::Team { team, record: boards.team(guild, team) }
            }
            Ask::Leaderboard { board, period, limit } => {
                let (board, period) = (*board, *period);
                Report::Leaderboard {
                    board,
                    period,
                    lines: boards.leaderboard(guild()?, board, period, self.at, *limit),
                }
            }
            Ask::History { before, limit } => Report::History(boards.history(guild()?, None, *before, *limit)),
            Ask::Summary { game } => {
                let summary = boards.game(guild()?, *game).ok_or(Refusal::GameNotFound)?;
                Report::Game(Box::new(summary.clone()))
            }
            Ask::ActiveGames => Report::ActiveGames(boards.active(guild()?).into_iter().cloned().collect()),
            // Nothing else is looked up.
            _ => return Err(Refusal::UnknownCommand),
        })
    }
}
