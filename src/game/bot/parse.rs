//! Commands that are typed.

use super::ask::Ask;
use crate::game::{Board, GameConfig, GameId, Mode, Period, PlayerId, PlayerStatus, Refusal, ReplayAccess, TeamId};

/// The most characters of a message that is looked at.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// How many lines a leaderboard or a page has where a command does not say.
const LINES: usize = 10;

impl Ask {
    /// What a direct message asks for: whatever it says is said in the player's game.
    ///
    /// # Errors
    ///
    /// * [`InvalidMessage`](Refusal::InvalidMessage): there is nothing in it, or more than 2,000 characters.
    pub fn direct(text: &str) -> Result<Ask, Refusal> {
        Ok(Ask::Guess { game: None, word: whole(text)?.to_owned() })
    }

    /// What a command asks for that was typed, without its prefix.
    ///
    /// | typed | asks |
    /// |---|---|
    /// | `open MODE [team]` | to open a game, the player's team in it |
    /// | `join GAME [team]`, `leave`, `start`, `cancel`, `pause`, `resume`, `away`, `back` | what it says |
    /// | `mode MODE` | to play in another way |
    /// | `guess WORD`, `give up` | to take a word, or that the player gives up |
    /// | `team @PLAYER [NAME]`, `ok [@PLAYER]`, `no [@PLAYER]`, `rename NAME`, `unteam` | about teams |
    /// | `replay NAME` | to see a finished game again |
    /// | `stats player [@PLAYER]`, `stats team [@PLAYER @PLAYER]` | what a player or a team has come to |
    /// | `stats leaderboard [player\|team\|pair] [day\|week\|month\|all]` | who is ahead: the first ten, of players and of all time where nothing is said |
    /// | `history [CURSOR]`, `summary GAME` | the last ten games, the ten before them, one of them; `replay` may stand in front |
    /// | `games` | which games are not over |
    ///
    /// ```
    /// use scorebook::game::{Ask, GameConfig, Mode, Refusal};
    /// assert_eq!(Ask::typed("open knockout"), Ok(Ask::Open { config: GameConfig::of(Mode::Knockout) }));
    /// assert_eq!(Ask::typed("team <@8812> Night owls"), Ok(Ask::Invite { invitee: 8812.into(), name: Some("Night owls".to_owned()) }));
    /// assert_eq!(Ask::typed("dance"), Err(Refusal::UnknownCommand));
    /// ```
    ///
    /// # Errors
    ///
    /// * [`InvalidMessage`](Refusal::InvalidMessage): there is nothing in it, or more than 2,000 characters.
    /// * [`UnknownCommand`](Refusal::UnknownCommand): it is none of these.
    /// * [`GameNotFound`](Refusal::GameNotFound), [`ReplayNotFound`](Refusal::ReplayNotFound): what stands there can be the name of none.
    pub fn typed(text: &str) -> Result<Ask, Refusal> {
        let text = whole(text)?;
        let ((command, rest), game) = (first_word(text), None);
        Ok(match (command.to_lowercase().as_str(), rest) {
            ("open", rest) => match with_team(rest) {
                (mode, true) => Ask::OpenWithTeam { config: GameConfig::of(named(mode)?) },
                (mode, false) => Ask::Open { config: GameConfig::of(named(mode)?) },
            },
            ("join", rest) => match with_team(rest) {
                (game, true) => Ask::JoinWithTeam { game: game.parse::<GameId>()? },
                (game, false) => Ask::Join { game: game.parse::<GameId>()? },
            },
            ("leave", "") => Ask::Leave { game },
            ("start", "") => Ask::Start { game },
            ("cancel", "") => Ask::Cancel { game },
            ("pause", "") => Ask::Pause { game },
            ("resume", "") => Ask::Resume { game },
            ("away", "") => Ask::ChangeStatus { game, status: PlayerStatus::Away },
            ("back", "") => Ask::ChangeStatus { game, status: PlayerStatus::Active },
            ("mode", rest) => Ask::ChangeMode { game, mode: named(rest)? },
            ("guess", rest) if !rest.is_empty() => Ask::Guess { game, word: rest.to_owned() },
            ("give", up) if up.eq_ignore_ascii_case("up") => Ask::Guess { game, word: crate::game::GIVE_UP.to_owned() },
            ("team", rest) => {
                let (invitee, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
                Ask::Invite { invitee: mentioned(invitee)?, name }
            }
            ("ok", rest) => Ask::Accept { inviter: mentioned_if_any(rest)? },
            ("no", rest) => Ask::Decline { inviter: mentioned_if_any(rest)? },
            ("rename", rest) => Ask::Rename { name: rest.to_owned() },
            ("unteam", "") => Ask::LeaveTeam { reason: None },
            ("stats", rest) => stats(rest)?,
            ("history", rest) => history(rest)?,
            ("summary", rest) => Ask::Summary { game: rest.parse()? },
            ("games", "") => Ask::ActiveGames,
            // "replay id | history | summary id": no replay is called so.
            ("replay", rest) if first_word(rest).0 == "history" => history(first_word(rest).1)?,
            ("replay", rest) if first_word(rest).0 == "summary" => Ask::Summary { game: first_word(rest).1.parse()? },
            ("replay", rest) => Ask::Replay { name: rest.parse()?, access: ReplayAccess::View },
            _ => return Err(Refusal::UnknownCommand),
        })
    }
}

/// "`stats player|team|leaderboard`".
fn stats(rest: &str) -> Result<Ask, Refusal> {
    let (about, rest) = first_word(rest);
    let words: Vec<_> = rest.split_whitespace().map(str::to_lowercase).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    Ok(match (about.to_lowercase().as_str(), &words[..]) {
        ("player", []) => Ask::PlayerStats { player: None },
        ("player", [player]) => Ask::PlayerStats { player: Some(mentioned(player)?) },
        ("team", []) => Ask::TeamStats { team: None },
        ("team", [one, other]) => {
            let team = TeamId::of(mentioned(one)?, mentioned(other)?).ok_or(Refusal::TeamNotFound)?;
            Ask::TeamStats { team: Some(team) }
        }
        ("leaderboard", words @ ([] | [_] | [_, _])) => {
            let board = words.iter().find_map(|word| Board::named(word));
            let period = words.iter().find_map(|word| Period::named(word));
            if usize::from(board.is_some()) + usize::from(period.is_some()) != words.len() {
                return Err(Refusal::UnknownCommand);
            }
            let (board, period) = (board.unwrap_or(Board::Players), period.unwrap_or(Period::All));
            Ask::Leaderboard { board, period, limit: LINES }
        }
        _ => return Err(Refusal::UnknownCommand),
    })
}

fn history(rest: &str) -> Result<Ask, Refusal> {
    let before = if rest.is_empty() { None } else { Some(rest.parse()?) };
    Ok(Ask::History { before, limit: LINES })
}

/// The first word, and what comes behind it.
fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim())
}

fn whole(text: &str) -> Result<&str, Refusal> {
    let is_fine = !text.trim().is_empty() && text.chars().nth(MESSAGE_CHARS_MAX).is_none();
    if is_fine { Ok(text.trim()) } else { Err(Refusal::InvalidMessage) }
}

/// What stands before `team` at the end, and whether that is there.
fn with_team(text: &str) -> (&str, bool) {
    match text.rsplit_once(char::is_whitespace) {
        Some((before, last)) if last.eq_ignore_ascii_case("team") => (before.trim(), true),
        _ => (text, false),
    }
}

fn named(mode: &str) -> Result<Mode, Refusal> {
    Mode::named(&mode.to_lowercase().replace([' ', '-'], "_")).ok_or(Refusal::UnknownCommand)
}

/// A player, as Discord writes a mention, or by the id alone.
fn mentioned(text: &str) -> Result<PlayerId, Refusal> {
    let mention = text.strip_prefix("<@").and_then(|id| id.strip_suffix('>'));
    // Discord still writes some mentions as it wrote all of them once.
    let id = mention.map_or(text, |id| id.strip_prefix('!').unwrap_or(id));
    id.parse().map_err(|_| Refusal::UnknownCommand)
}

fn mentioned_if_any(text: &str) -> Result<Option<PlayerId>, Refusal> {
    if text.is_empty() { Ok(None) } else { mentioned(text).map(Some) }
}
